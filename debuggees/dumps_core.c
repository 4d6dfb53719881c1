// Threads run through one function while another ends the process by a signal
// that nobody handles, so that the system writes a core file.
// Usage: dumps_core KIND   KIND: fault | abort | sent | awaited
// `awaited` is a signal that is blocked but while `sigsuspend` waits for it.
// Prints: turns=N, of all threads together, some time before the end.

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { THREADS = 3, MICROSECONDS = 20000 };

static atomic_long turns;
static volatile long sums[THREADS][16];
static int *volatile nowhere;

__attribute__((noinline)) static void work(long thread, long turn) { // @mark work
    sums[thread][0] += turn;
    sums[thread][1] ^= turn; // @mark middle
    sums[thread][2] -= turn;
}

static void *run(void *argument) {
    for (long turn = 0;; turn++) {
        work((long)argument, turn);
        atomic_fetch_add(&turns, 1);
    }
}

__attribute__((noinline)) static void fault(void) {
    *nowhere = 1; // @mark fault
}

static void *end(void *kind) {
    usleep(MICROSECONDS);
    printf("turns=%ld\n", atomic_load(&turns));
    fflush(stdout);
    if (!strcmp(kind, "fault"))
        fault();
    else if (!strcmp(kind, "abort"))
        abort();
    else
        kill(getpid(), SIGQUIT);
    sigset_t none;
    sigemptyset(&none);
    sigsuspend(&none);
    for (;;)
        pause();
}

// Behind all other functions.
int main(int argc, char **argv) { // @mark main
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    if (argc < 2 || setrlimit(RLIMIT_CORE, &all))
        return 2;
    sigset_t blocked;
    sigemptyset(&blocked);
    if (!strcmp(argv[1], "awaited"))
        sigaddset(&blocked, SIGQUIT);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    pthread_t handles[THREADS], ending;
    for (long thread = 0; thread < THREADS; thread++)
        if (pthread_create(&handles[thread], NULL, run, (void *)thread))
            return 3;
    if (pthread_create(&ending, NULL, end, argv[1]))
        return 3;
    pthread_join(ending, NULL);
}
