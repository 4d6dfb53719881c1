// Arguments whose names something within the function hides: a block's own
// variable, and the argument of a call inlined at the very beginning.
// Usage: hidden_arguments

#include <stdio.h>

static volatile int sum;

static inline __attribute__((always_inline)) void add(int value) {
    sum += value * 2;
}

__attribute__((noinline)) void hidden_by_a_call(int value, int other) {
    add(other); // @mark call
    sum += value;
}

__attribute__((noinline)) void hidden_by_a_block(int value) {
    for (int round = 0; round < 2; round++) {
        int value = 50 + round;
        sum += value; // @mark block
    }
    sum += value;
}

int main(void) {
    hidden_by_a_call(1, 20);
    hidden_by_a_block(3);
    printf("sum=%d\n", sum);
    return 0;
}
