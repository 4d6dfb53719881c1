// Threads block inside system calls whose own `syscall` instruction is labelled,
// so that a trap can sit right on it: the displaced instruction then blocks
// somewhere else while the debugger detaches or interrupts.
// Labels: syscall_read, syscall_futex.
// Usage: displaced_syscall [ROUNDS [thread] [sandbox]]   (0: print `ready`, block
// until input ends, in a thread of its own with `thread`; `sandbox`: under a
// seccomp filter, which lets everything pass)
// Prints: reads=R wakes=R errors=0

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int ends[2];
static _Atomic unsigned word;
static atomic_int waiting;
static long reads, wakes, errors;

__attribute__((noinline)) static long read_here(int file, void *buffer, long count) {
    long result;
    __asm__ volatile(".globl syscall_read\nsyscall_read: syscall" // @mark syscall_read
                     : "=a"(result)
                     : "a"(SYS_read), "D"(file), "S"(buffer), "d"(count)
                     : "rcx", "r11", "memory");
    return result;
}

__attribute__((noinline)) static long wait_here(_Atomic unsigned *at, unsigned expected) {
    long result;
    register long timeout __asm__("r10") = 0;
    __asm__ volatile(".globl syscall_futex\nsyscall_futex: syscall" // @mark syscall_futex
                     : "=a"(result)
                     : "a"(SYS_futex), "D"(at), "S"(FUTEX_WAIT), "d"(expected), "r"(timeout)
                     : "rcx", "r11", "memory");
    return result;
}

static void *wait_for_word(void *argument) {
    long rounds = (long)argument;
    for (unsigned round = 0; round < rounds; round++) {
        atomic_store(&waiting, 1);
        while (atomic_load(&word) == round)
            wait_here(&word, round);
        wakes++; // @mark woken
    }
    return NULL;
}

static void *feed(void *argument) {
    long rounds = (long)argument;
    struct timespec pause = {0, 2000000};
    for (long round = 0; round < rounds; round++) {
        nanosleep(&pause, NULL);
        atomic_fetch_add(&word, 1);
        syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0);
        if (write(ends[1], "x", 1) != 1)
            errors++;
    }
    return NULL;
}

static long last;

static void *read_to_the_end(void *unused) {
    char byte;
    while ((last = read_here(0, &byte, 1)) > 0)
        reads++;
    return unused;
}

static int enter_sandbox(void) {
    struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv) { // @mark main
    long rounds = argc > 1 ? atol(argv[1]) : 20;
    char byte;
    if (argc > 2 && !strcmp(argv[argc - 1], "sandbox") && enter_sandbox())
        return 4;
    if (rounds == 0) {
        puts("ready");
        fflush(stdout);
        pthread_t reader;
        if (argc < 3 || strcmp(argv[2], "thread"))
            read_to_the_end(NULL);
        else if (pthread_create(&reader, NULL, read_to_the_end, NULL) || pthread_join(reader, NULL))
            return 3;
        printf("reads=%ld last=%ld\n", reads, last);
        return 0;
    }
    pthread_t waiter, feeder;
    if (pipe(ends) || pthread_create(&waiter, NULL, wait_for_word, (void *)rounds) ||
        pthread_create(&feeder, NULL, feed, (void *)rounds))
        return 3;
    for (; reads < rounds; reads++)
        if (read_here(ends[0], &byte, 1) != 1)
            errors++;
    pthread_join(feeder, NULL);
    pthread_join(waiter, NULL);
    printf("reads=%ld wakes=%ld errors=%ld\n", reads, wakes, errors); // @mark end
    return errors != 0;
}
