// Functions that end in a jump to another: by one way only, by two ways that
// part and meet again, out of an inlined call, through a pointer, and with a
// variable on the stack.
// Usage: tail_calls
// Prints: seen=N

#include <stdio.h>

#define OUTLINE __attribute__((noinline)) static

static volatile int seen, start = 7;

OUTLINE int bottom(int value) {
    seen += value; // @mark bottom
    return seen;
}

OUTLINE int inner(int value, int other) {
    seen += other;
    return bottom(value * 2); // @mark inner
}

OUTLINE int middle(int value) {
    seen++;
    return inner(value + 1, value); // @mark middle
}

OUTLINE int joined(int value) {
    seen += 2;
    return bottom(value - 1); // @mark joined
}

OUTLINE int left(int value) {
    seen += 3;
    return joined(value + 10);
}

OUTLINE int right(int value) {
    seen += 4;
    return joined(value + 20);
}

OUTLINE int parts(int value) {
    if (seen & 1)
        return left(value);
    return right(value);
}

OUTLINE int before(int value) {
    seen += 5;
    return parts(value + 1);
}

static inline __attribute__((always_inline)) int last(int value) {
    seen += 6;
    return bottom(value); // @mark last
}

OUTLINE int through_inline(int value) {
    seen++;
    return last(value + 3);
}

OUTLINE int through_pointer(int (*call)(int), int value) {
    seen++;
    return call(value);
}

OUTLINE int keeps(int value) {
    volatile int kept = value + 40;
    seen += kept;
    return bottom(value + 5);
}

OUTLINE int calls_all(int first) {
    int sum = middle(first); // @mark one_way
    sum += before(first);    // @mark two_ways
    sum += through_inline(first);
    sum += through_pointer(seen ? bottom : middle, first);
    sum += keeps(first + 1);
    return sum + inner(first, sum);
}

int main(void) {
    printf("seen=%d\n", calls_all(start) + seen);
    return 0;
}
