// Runs through one place with pointers of which some are bad, and divisors of
// which some are zero, without using them: only a condition does. Meanwhile the
// program handles, blocks or ignores the signals of such faults, or none of it.
// Usage: bad_pointers [PASSES [default | handled | blocked | ignored]]
// Prints: passes=P bad=B zero=Z sevens=S never=0 spoilt=0 handled=H
// `handled` raises one fault of each kind itself at the end, so H is 2.

#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item {
    long value;
};

static struct item items[16];
static struct item *const bad[3] = {NULL, (struct item *)0x10, (struct item *)0x8000000000000000};
static const int signals[2] = {SIGSEGV, SIGFPE};
static volatile long passes;
static long handled;
static sigjmp_buf again;

__attribute__((noinline)) static void visit(struct item *item, int divisor) { // @mark visit
    (void)item, (void)divisor;
    passes++; // @mark body
}

static void on_fault(int signal) {
    (void)signal;
    handled++;
    siglongjmp(again, 1);
}

static void prepare(const char *mode) {
    sigset_t set;
    sigemptyset(&set);
    for (int at = 0; at < 2; at++) {
        if (!strcmp(mode, "handled") || !strcmp(mode, "blocked"))
            signal(signals[at], on_fault);
        if (!strcmp(mode, "ignored"))
            signal(signals[at], SIG_IGN);
        sigaddset(&set, signals[at]);
    }
    if (!strcmp(mode, "blocked"))
        pthread_sigmask(SIG_BLOCK, &set, NULL);
}

struct disposition {
    void (*handlers[2])(int);
    int blocked[2];
};

static struct disposition look(void) {
    struct disposition now;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    memset(&now, 0, sizeof now);
    for (int at = 0; at < 2; at++) {
        struct sigaction action;
        sigaction(signals[at], NULL, &action);
        now.handlers[at] = action.sa_handler;
        now.blocked[at] = sigismember(&mask, signals[at]);
    }
    return now;
}

static volatile int zero;
static volatile long none;

static void fault(void) {
    if (!sigsetjmp(again, 1))
        *(volatile long *)none = 1; // @mark own_fault
    if (!sigsetjmp(again, 1))
        none = 60 / zero; // @mark own_division
}

int main(int argc, char **argv) { // @mark main
    long wanted = argc > 1 ? atol(argv[1]) : 1000, bads = 0, zeros = 0, sevens = 0, spoilt = 0;
    const char *mode = argc > 2 ? argv[2] : "default";
    prepare(mode);
    struct disposition before = look();
    for (int at = 0; at < 16; at++)
        items[at].value = at;
    for (long pass = 0; pass < wanted; pass++) {
        int is_bad = pass % 10 == 3, divisor = pass % 5 - 2;
        visit(is_bad ? bad[pass / 10 % 3] : &items[pass % 16], divisor);
        bads += is_bad, zeros += divisor == 0, sevens += !is_bad && pass % 16 == 7;
        struct disposition now = look();
        spoilt += !!memcmp(&before, &now, sizeof now);
    }
    if (!strcmp(mode, "handled"))
        fault();
    printf("passes=%ld bad=%ld zero=%ld sevens=%ld never=0 spoilt=%ld handled=%ld\n", passes, bads, zeros, sevens, spoilt,
           handled); // @mark end
    return spoilt != 0;
}
