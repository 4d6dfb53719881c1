// Functions that end in jumps to each other: what the first was called with is
// not what it runs with.
// Usage: tail_cycle
// Prints: seen=N

#include <stdio.h>

#define OUTLINE __attribute__((noinline))

static volatile int seen, next = 100;

OUTLINE static int there(int id, int left);

OUTLINE static void see(int value) {
    seen += value; // @mark see
}

OUTLINE static int here(int id, int left) {
    see(id);
    see(7);
    if (left <= 0)
        return seen;
    return there(next++, left - 1);
}

OUTLINE static int there(int id, int left) {
    see(id);
    return here(next++, left - 1);
}

int main(void) {
    printf("seen=%d\n", here(10, 4));
    return 0;
}
