// Calls that the compiler puts inline, in one another, in a loop and beside a
// call of the same function that is not.
// Usage: inlined_calls
// Prints: sum=N

#include <stdio.h>

#define INLINE static inline __attribute__((always_inline))
#define OUTLINE __attribute__((noinline))

static volatile int sink;

OUTLINE static void deepest(int value) {
    sink += value; // @mark deepest
}

INLINE int inner(int first, int second) {
    int product = first * second;
    sink = product; // @mark inner
    deepest(product); // @mark calls
    return product + sink;
}

INLINE int middle(int number) {
    int twice = number * 2;
    sink += 1; // @mark middle
    return inner(twice, number + 1) + twice; // @mark through
}

// Begins with the inlined call: both are entered at one address.
OUTLINE static int begins_inline(int number) {
    return middle(number);
}

OUTLINE static int outer(int count) {
    int sum = 0;
    for (int turn = 0; turn < count; turn++)
        sum += middle(turn + count); // @mark outer
    sink = sum; // @mark after
    return sum + begins_inline(count);
}

OUTLINE static int recursive(int depth) {
    if (depth == 0)
        return outer(3) + sink; // @mark bottom
    int below = recursive(depth - 1);
    sink += depth;
    return below + inner(depth, 1);
}

int main(void) {
    printf("sum=%d\n", recursive(3));
}
