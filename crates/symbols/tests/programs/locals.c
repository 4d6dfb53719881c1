// Variables of every kind of place, stopped at `stop_here`.
#include <stdio.h>
#include <stdlib.h>

struct point { int x, y; };
struct wide { long a, b, c; };

int counter = 3;
static short hidden = -7;
volatile long sink;

__attribute__((noinline)) void stop_here(void) { sink++; }

static inline __attribute__((always_inline)) long inlined(long given, int scale) {
    long product = given * scale;
    stop_here();
    return product + sink;
}

__attribute__((noinline)) long many(int small, unsigned char byte, long big, struct point pt,
                                    struct wide wide, const char *text, int seventh, int eighth) {
    static int calls = 11;
    long total = big + small;
    struct point moved = {pt.x + 1, pt.y - 1};
    unsigned short narrow = byte * 3;
    for (int i = 0; i < 2; i++) {
        int shadow = i * 10 + 1;
        long total = shadow + wide.b;
        total += inlined(total, seventh + i);
        sink += total + shadow;
    }
    calls++;
    stop_here();
    return total + moved.x * moved.y + narrow + calls + wide.a + wide.c + text[0] + eighth;
}

int main(int argc, char **argv) {
    struct point pt = {17, 29};
    struct wide wide = {101, 102, 103};
    long result = many(argc + 4, 200, 1L << 40, pt, wide, argv[0], 7, 8);
    printf("%ld %d %d\n", result, counter, hidden);
    return 0;
}
