// Two functions of about 2 and 10 nanoseconds, called as fast as they go: what
// a condition at their entries and in their middles costs. -DENTRY_IF=EXPR and
// -DMIDDLE_IF=EXPR compile a condition in at the same places.
// Usage: conditions [FUNCTION [MILLISECONDS [THREADS]]], FUNCTION short or long
// Prints: calls=N ns_per_pass=T, where N counts every call and T is the time
// that a thread took for one, timed inside over some milliseconds after others
// that only calibrate.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_THREADS = 64, CACHE_LINES = 128, FACTOR = 0x61C88647, NEVER = -1 };

#ifndef ENTRY_IF
#define ENTRY_IF 0
#endif
#ifndef MIDDLE_IF
#define MIDDLE_IF 0
#endif

// A compiled-in condition that held would stop the program where it stands.
#define STOP_IF(condition)                  \
    if (__builtin_expect((condition), 0))   \
        __asm__ volatile("int3")

struct owner {
    int level;
};

struct item {
    const char *name;
    struct owner *owner;
    unsigned long weight;
    unsigned long table[8];
} __attribute__((aligned(CACHE_LINES)));

// What conditions that are compiled in count and compare.
__attribute__((unused)) static unsigned long hits;
__attribute__((unused)) static _Thread_local int own_tid;

// Each of them depends on its own result, as hashes and generators do, and
// shares no cache line with another. noipa: as if in another file.
#define MEASURED __attribute__((noipa, aligned(64)))

MEASURED unsigned long short_work(struct item *item, long turn, unsigned long seed) { // @mark short_entry
    STOP_IF(ENTRY_IF);
    unsigned long mixed = seed ^ item->weight;
    mixed ^= mixed >> 29;
    STOP_IF(MIDDLE_IF);
    mixed *= FACTOR; // @mark short_middle
    return mixed + (unsigned long)turn;
}

MEASURED unsigned long long_work(struct item *item, long turn, unsigned long seed) { // @mark long_entry
    STOP_IF(ENTRY_IF);
    unsigned long mixed = seed ^ item->weight;
    mixed = (mixed ^ mixed >> 29) * FACTOR + item->table[mixed % 8];
    mixed = (mixed ^ mixed >> 31) * FACTOR;
    STOP_IF(MIDDLE_IF);
    mixed ^= item->table[mixed % 8]; // @mark long_middle
    mixed = (mixed ^ mixed >> 29) * FACTOR;
    mixed = (mixed ^ mixed >> 31) * FACTOR;
    mixed = (mixed ^ mixed >> 27) * FACTOR;
    return mixed + (unsigned long)turn;
}

// The loops, with everything in registers. Both are aligned alike.
MEASURED static unsigned long call_short(struct item *item, long calls, unsigned long seed) {
    for (long turn = 0; turn < calls; turn++)
        seed = short_work(item, turn, seed);
    return seed;
}

MEASURED static unsigned long call_long(struct item *item, long calls, unsigned long seed) {
    for (long turn = 0; turn < calls; turn++)
        seed = long_work(item, turn, seed);
    return seed;
}

struct worker {
    pthread_t handle;
    struct item item;
    struct owner owner;
    unsigned long seed;
    long calls;
    double ns_per_pass;
};

static unsigned long (*call)(struct item *, long, unsigned long) = call_short;
static double limit_ns = 100e6;
static pthread_barrier_t calibrated;
static struct worker workers[MAX_THREADS];

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double timed(struct worker *self, long calls) {
    double start = now_ns();
    self->seed = call(&self->item, calls, self->seed);
    self->calls += calls;
    return now_ns() - start;
}

// How many calls take a hundredth of the limit.
static long calibrate(struct worker *self) {
    long calls = 16;
    while (timed(self, calls) < limit_ns / 100)
        calls *= 2;
    return calls;
}

static void *run(void *argument) {
    struct worker *self = argument;
    own_tid = gettid();
    long calls = calibrate(self), passes = 0;
    double spent = 0;
    pthread_barrier_wait(&calibrated);
    while (spent < limit_ns) {
        spent += timed(self, calls);
        passes += calls;
    }
    self->ns_per_pass = spent / (double)passes;
    return NULL;
}

static void prepare(struct worker *worker, unsigned long number) {
    worker->owner.level = 3;
    worker->item.owner = &worker->owner;
    worker->item.name = "balanced";
    worker->item.weight = number + 1;
    worker->seed = ~number;
    for (unsigned long i = 0; i < 8; i++)
        worker->item.table[i] = (number + i + 1) * FACTOR;
}

int main(int argc, char **argv) { // @mark main
    if (argc > 1 && !strcmp(argv[1], "long"))
        call = call_long;
    if (argc > 2)
        limit_ns = atof(argv[2]) * 1e6;
    int threads = argc > 3 ? atoi(argv[3]) : 1;
    if (threads < 1 || threads > MAX_THREADS)
        return 2;
    pthread_barrier_init(&calibrated, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        prepare(&workers[i], (unsigned long)i);
        if (pthread_create(&workers[i].handle, NULL, run, &workers[i]))
            return 3;
    }
    long calls = 0;
    double passes_per_ns = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].handle, NULL);
        calls += workers[i].calls;
        passes_per_ns += 1 / workers[i].ns_per_pass;
    }
    printf("calls=%ld ns_per_pass=%.3f\n", calls, threads / passes_per_ns); // @mark end
    return 0;
}
