// A call inlined into a function whose first instruction the compiler moves
// before what saves registers: the function begins with code of a call that is
// not entered yet, and whose own argument is nowhere there.
// Usage: hoisted_from_a_call

#include <stdio.h>
#include <stdlib.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

__attribute__((noipa, noreturn)) static void give_up(unsigned long size) {
    fprintf(stderr, "no %lu bytes\n", size);
    exit(1);
}

__attribute__((noipa)) static unsigned long configured_limit(void) {
    return 1000;
}

ALWAYS_INLINE int is_over_limit(unsigned long size) {
    static unsigned long limit;
    if (!limit)
        limit = configured_limit();
    return size > limit;
}

ALWAYS_INLINE void *take_within_limit(unsigned long size) {
    if (is_over_limit(size))
        return NULL;
    void *taken = malloc(size);
    if (!taken)
        give_up(size);
    return taken;
}

__attribute__((noipa)) void *take(unsigned long size) {
    return take_within_limit(size);
}

int main(void) {
    unsigned long taken = 0;
    for (unsigned long size = 10; size <= 50; size += 10) {
        free(take(size));
        taken += size;
    }
    printf("taken=%lu\n", taken);
    return 0;
}
