// Signals of every kind, counted by the program: ordinary, real-time (queued,
// never merged), with and without SA_RESTART, and one that interrupts a sleep.
// Usage: signals [TIMES]
// Prints: usr1=T rt=T rt_in_order=1 restarted_reads=T interrupted_sleeps=T

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t usr1;
static volatile sig_atomic_t rt;
static volatile sig_atomic_t rt_in_order = 1;
static volatile sig_atomic_t nudged;
static volatile int blocks;
static pthread_t main_thread;

static void on_usr1(int number) {
    (void)number;
    usr1++; // @mark on_usr1
}

static void on_rt(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (info->si_value.sival_int != rt)
        rt_in_order = 0;
    rt++; // @mark on_rt
}

static void on_nudge(int number) {
    (void)number;
    nudged++; // @mark on_nudge
}

static void install(int number, int flags, void (*plain)(int)) {
    struct sigaction action = {.sa_handler = plain, .sa_flags = flags};
    sigaction(number, &action, NULL);
}

// Waits until the main thread, which has said that it is about to, sleeps in
// the kernel.
static void wait_until_blocked(void) {
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", getpid());
    for (;;) {
        FILE *file = fopen(path, "r");
        int sleeps = file && fgets(line, sizeof line, file) && strstr(line, ") S ");
        if (file)
            fclose(file);
        if (blocks && sleeps)
            return;
        sched_yield();
    }
}

// Signals the main thread while it blocks in read, then lets the read end.
static void *nudge_then_write(void *argument) {
    int before = nudged;
    wait_until_blocked();
    pthread_kill(main_thread, SIGUSR2);
    while (nudged == before)
        sched_yield();
    wait_until_blocked();
    return (void *)(long)write((int)(long)argument, "x", 1);
}

static void *nudge(void *unused) {
    (void)unused;
    wait_until_blocked();
    pthread_kill(main_thread, SIGALRM);
    return NULL;
}

static int read_restarts(void) {
    int ends[2];
    char byte = 0;
    pthread_t other;
    int before = nudged;
    if (pipe(ends) || pthread_create(&other, NULL, nudge_then_write, (void *)(long)ends[1]))
        exit(3);
    blocks = 1;
    ssize_t got = read(ends[0], &byte, 1); // @mark read
    blocks = 0;
    pthread_join(other, NULL);
    close(ends[0]);
    close(ends[1]);
    return got == 1 && byte == 'x' && nudged == before + 1;
}

static int sleep_is_interrupted(void) {
    pthread_t other;
    if (pthread_create(&other, NULL, nudge, NULL))
        exit(3);
    struct timespec wait = {5, 0};
    blocks = 1;
    int result = nanosleep(&wait, NULL); // @mark sleep
    int interrupted = result == -1 && errno == EINTR;
    blocks = 0;
    pthread_join(other, NULL);
    return interrupted;
}

int main(int argc, char **argv) { // @mark main
    int times = argc > 1 ? atoi(argv[1]) : 5;
    main_thread = pthread_self();
    install(SIGUSR1, 0, on_usr1);
    install(SIGUSR2, SA_RESTART, on_nudge);
    install(SIGALRM, 0, on_nudge);
    struct sigaction queued = {.sa_sigaction = on_rt, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 3, &queued, NULL);
    for (int i = 0; i < times; i++)
        raise(SIGUSR1); // @mark raise
    for (int i = 0; i < times; i++)
        sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i}); // @mark queue
    int restarted = 0, interrupted = 0;
    for (int i = 0; i < times; i++)
        restarted += read_restarts();
    for (int i = 0; i < times; i++)
        interrupted += sleep_is_interrupted();
    printf("usr1=%d rt=%d rt_in_order=%d restarted_reads=%d interrupted_sleeps=%d\n", usr1, rt, rt_in_order,
           restarted, interrupted); // @mark end
    return 0;
}
