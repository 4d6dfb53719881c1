// A thread is interrupted by real-time signals all the time while it runs
// through a function that the signals' handler runs through too: a handler may
// come before, in and after a displaced instruction, and the interrupted place
// is entered again before it is left.
// Usage: signal_storm [SIGNALS]
// Prints: `ready` before it begins, and at the end
//         signals=S handled=S in_order=1 sum=S*(S-1)/2 in_handler=S main_passes=M
//         passes=S+M

#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_t main_thread;
static volatile sig_atomic_t handled, in_order = 1;
static volatile long sum;
static atomic_long passes, in_handler;
static atomic_int sent_all;

__attribute__((noinline)) static void visit(atomic_long *also) { // @mark visit
    atomic_fetch_add(&passes, 1); // @mark body
    atomic_fetch_add(also, 1); // @mark also
}

static void on_signal(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    if (info->si_value.sival_int != handled)
        in_order = 0;
    handled++;
    sum += info->si_value.sival_int;
    visit(&in_handler);
}

static void *storm(void *argument) {
    long wanted = (long)argument;
    for (long i = 0; i < wanted; i++)
        while (pthread_sigqueue(main_thread, SIGRTMIN + 5, (union sigval){.sival_int = (int)i}) == EAGAIN)
            sched_yield();
    atomic_store(&sent_all, 1);
    return NULL;
}

int main(int argc, char **argv) { // @mark main
    long wanted = argc > 1 ? atol(argv[1]) : 100;
    atomic_long main_passes = 0;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 5, &action, NULL);
    main_thread = pthread_self();
    puts("ready");
    fflush(stdout);
    pthread_t sender;
    if (pthread_create(&sender, NULL, storm, (void *)wanted))
        return 3;
    while (!atomic_load(&sent_all) || handled < wanted) // @mark loop
        visit(&main_passes);
    pthread_join(sender, NULL);
    printf("signals=%ld handled=%d in_order=%d sum=%ld in_handler=%ld main_passes=%ld passes=%ld\n", wanted, (int)handled,
           (int)in_order, sum, in_handler, main_passes, passes); // @mark end
    return 0;
}
