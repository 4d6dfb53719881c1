// Data in every kind of memory, for breakpoints and watches that outlive the
// process they were set in.
// Usage: restarted
// Prints: first=F own=O

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct pair {
    int first;
    int second;
};

static struct pair *shared;
static int fixed;
static __thread long own;

__attribute__((noinline)) static int fill(struct pair *pair, int rounds) {
    int local = 0; // @mark fill
    for (int round = 1; round <= rounds; round++) {
        pair->first += round; // @mark first
        local += pair->first;
        fixed = local;
        own += round;
    }
    return local;
}

static void *work(void *nothing) {
    (void)nothing;
    own = 100; // @mark work
    own = 200;
    return NULL;
}

int main(void) {
    shared = calloc(1, sizeof *shared); // @mark main
    int sum = fill(shared, 3); // @mark filled
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) || pthread_join(thread, NULL))
        return 1;
    printf("first=%d own=%ld\n", shared->first, own);
    return sum != 10;
}
