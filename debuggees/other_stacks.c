// One function runs on several stacks, some above the one it is called from:
// that of a signal handler, and that of a coroutine.
// Usage: other_stacks
// Prints: main=N handler=N coroutine=N

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

static volatile int handled, raised;
static ucontext_t back, other;

__attribute__((noinline)) static int sum(int number) {
    if (number == 0)
        return 0;
    if (number == 2 && !raised) {
        raised = 1;
        raise(SIGUSR1);
    }
    int below = sum(number - 1);
    return below + number; // @mark returns
}

static void on_signal(int number) {
    (void)number;
    handled += sum(3);
}

static int of_coroutine;

__attribute__((noinline)) static void hand_over(ucontext_t *from, ucontext_t *to) {
    swapcontext(from, to); // @mark swap
    of_coroutine++; // @mark swapped
}

static void coroutine(void) {
    for (int turn = 0; turn < 3; turn++)
        hand_over(&other, &back);
}

int main(void) {
    char above[65536];
    stack_t stack = {.ss_sp = above, .ss_size = sizeof above};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    if (sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &action, NULL))
        return 2;
    int in_main = sum(4);
    getcontext(&other);
    other.uc_stack.ss_sp = malloc(65536);
    other.uc_stack.ss_size = 65536;
    other.uc_link = &back;
    makecontext(&other, coroutine, 0);
    for (int turn = 0; turn < 3; turn++)
        hand_over(&back, &other);
    printf("main=%d handler=%d coroutine=%d\n", in_main, handled, of_coroutine);
    return 0;
}
