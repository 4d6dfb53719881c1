// One thread that another process traces, among threads that are born and die
// all the time: who attaches to the program is refused in the middle of it.
// Usage: traced_already THREADS
// Prints `ready`, and when input ends: born=N lost=0

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int traced, over;
static atomic_long born, lived;

static void *be_traced(void *unused) {
    atomic_store(&traced, (int)syscall(SYS_gettid));
    while (!atomic_load(&over))
        usleep(1000);
    return unused;
}

static void *live(void *unused) {
    atomic_fetch_add(&lived, 1);
    return unused;
}

static void *bear(void *unused) {
    while (!atomic_load(&over)) {
        pthread_t child;
        if (pthread_create(&child, NULL, live, NULL))
            continue;
        atomic_fetch_add(&born, 1); // @mark born
        pthread_join(child, NULL);
    }
    return unused;
}

// Traces a thread of its parent until the parent is gone or says so.
static void trace(pid_t tid, int told, int word) {
    char byte = 0;
    if (ptrace(PTRACE_SEIZE, tid, 0, 0))
        _exit(1);
    if (write(told, &byte, 1) == 1)
        while (read(word, &byte, 1) > 0)
            continue;
    _exit(0);
}

int main(int argc, char **argv) {
    int threads = argc > 1 ? atoi(argv[1]) : 4;
    int told[2], word[2];
    char byte;
    pthread_t middle, *all = calloc((size_t)threads, sizeof *all);
    if (pipe(told) || pipe(word))
        return 3;
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    // Some come before it in the list of threads, some after.
    for (int at = 0; at < threads / 2; at++)
        pthread_create(&all[at], NULL, bear, NULL);
    pthread_create(&middle, NULL, be_traced, NULL);
    while (!atomic_load(&traced))
        usleep(100);
    for (int at = threads / 2; at < threads; at++)
        pthread_create(&all[at], NULL, bear, NULL);
    if (fork() == 0) {
        close(word[1]);
        trace(atomic_load(&traced), told[1], word[0]);
    }
    close(word[0]);
    if (read(told[0], &byte, 1) != 1)
        return 4;
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        continue;
    atomic_store(&over, 1);
    for (int at = 0; at < threads; at++)
        pthread_join(all[at], NULL);
    close(word[1]);
    pthread_join(middle, NULL);
    printf("born=%ld lost=%ld\n", atomic_load(&born), atomic_load(&born) - atomic_load(&lived));
    return 0;
}
