// Threads are created and end all the time, several at once, each making a few
// passes: breakpoints must reach every one of them, and attaching must catch
// those born while it attaches.
// Usage: threads_born_and_die [BIRTHS [ALIVE_AT_ONCE [PASSES_EACH]]]
// (BIRTHS 0: for ever, after printing `ready`.)
// Prints: births=B passes=P

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static int passes_each = 10;
static long births_wanted = 2000;
static atomic_long births;
static atomic_long passes;

__attribute__((noinline)) static void visit(int pass) { // @mark visit
    atomic_fetch_add(&passes, 1); // @mark body
    (void)pass;
}

static void *child(void *unused) {
    (void)unused;
    for (int pass = 0; pass < passes_each; pass++)
        visit(pass);
    return NULL;
}

static int may_bear(void) {
    if (births_wanted == 0)
        return 1;
    if (atomic_fetch_add(&births, 1) < births_wanted)
        return 1;
    atomic_fetch_sub(&births, 1);
    return 0;
}

static void *parent(void *unused) {
    (void)unused;
    while (may_bear()) {
        pthread_t handle;
        if (pthread_create(&handle, NULL, child, NULL))
            exit(3);
        pthread_join(handle, NULL);
    }
    return NULL;
}

int main(int argc, char **argv) { // @mark main
    births_wanted = argc > 1 ? atol(argv[1]) : births_wanted;
    int at_once = argc > 2 ? atoi(argv[2]) : 4;
    passes_each = argc > 3 ? atoi(argv[3]) : passes_each;
    if (at_once < 1 || at_once > 64)
        return 2;
    pthread_t parents[64];
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < at_once; i++)
        if (pthread_create(&parents[i], NULL, parent, NULL))
            return 3;
    for (int i = 0; i < at_once; i++)
        pthread_join(parents[i], NULL);
    printf("births=%ld passes=%ld\n", births, passes); // @mark end
    return 0;
}
