// A function called N times with its turn as the argument: what one pass over a
// breakpoint costs.
// Usage: tight_loop [N]   Prints: calls=N sum=S ns_per_call=T

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static volatile long sum;

__attribute__((noinline)) void body(int i) { // @mark body
    sum += i;
}

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv) { // @mark main
    int calls = argc > 1 ? atoi(argv[1]) : 1000;
    double start = now_ns();
    for (int i = 0; i < calls; i++)
        body(i);
    double each = calls ? (now_ns() - start) / calls : 0;
    printf("calls=%d sum=%ld ns_per_call=%.1f\n", calls, sum, each); // @mark end
    return 0;
}
