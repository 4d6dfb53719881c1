// Processes made by clone(2) with shared memory that are not threads, with and
// without an exit signal: whether memory is shared is told by the flags alone.
// Usage: clone_shared_memory [ROUNDS [SIGNAL]]
// SIGNAL: the exit signal's number; 17 (SIGCHLD) by default, 0 for none, 10 for
// SIGUSR1.
// Prints: rounds=R parent_passes=R child_passes=R signals=S bad_exits=0

#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_BYTES = 65536 };

static volatile long child_passes;
static volatile long parent_passes;
static volatile sig_atomic_t signals;
static _Alignas(16) char stack[STACK_BYTES];

static void on_signal(int number) {
    (void)number;
    signals++;
}

__attribute__((noinline)) static void visit(volatile long *counter) { // @mark visit
    ++*counter; // @mark body
}

static int run_child(void *unused) {
    (void)unused;
    visit(&child_passes); // @mark child
    return 7;
}

int main(int argc, char **argv) { // @mark main
    int rounds = argc > 1 ? atoi(argv[1]) : 10;
    int exit_signal = argc > 2 ? atoi(argv[2]) : SIGCHLD;
    int bad = 0;
    if (exit_signal)
        signal(exit_signal, on_signal);
    for (int round = 0; round < rounds; round++) {
        visit(&parent_passes);
        int child = clone(run_child, stack + STACK_BYTES, CLONE_VM | exit_signal, NULL); // @mark clone
        int status = 0;
        pid_t waited;
        do
            waited = waitpid(child, &status, __WALL);
        while (waited < 0 && child > 0 && signals > round);
        if (waited != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
            bad++;
    }
    printf("rounds=%d parent_passes=%ld child_passes=%ld signals=%d bad_exits=%d\n", rounds, parent_passes,
           child_passes, signals, bad); // @mark end
    return bad != 0;
}
