// Variables of every kind in frames of their own: hidden by inner blocks,
// static, in registers, in parts, constant, of every basic type.
// Usage: many_locals
// Prints: total=N

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define OUTLINE __attribute__((noinline))

enum colour { RED, GREEN = 5, BLUE };

struct point {
    short x, y;
};

struct mixed {
    int8_t small;
    struct point where[2];
    enum colour colour;
    union {
        int number;
        float real;
    } either;
    unsigned low : 3, high : 5;
};

static volatile int sink;

OUTLINE static int bottom(int value) {
    sink = value; // @mark bottom
    return value + 1;
}

OUTLINE static int scalars(int first, long second, unsigned char third) {
    bool yes = first > 0;
    char letter = 'a' + first;
    short little = -first;
    unsigned wide = 4000000000u + first;
    long long huge = -5000000000ll * second;
    uint8_t byte = third * 3;
    float half = first / 2.0f;
    double quarter = second / 4.0;
    enum colour colour = first == 1 ? BLUE : RED;
    int sum = bottom(first);
    return sum + yes + letter + little + (int)wide + (int)huge + byte + (int)half + (int)quarter + (int)colour;
}

OUTLINE static int blocks(int count) {
    static int calls = 40;
    int value = count;
    calls++;
    for (int turn = 0; turn < count; turn++) {
        int value = turn * 10;
        {
            int value = turn * 100;
            sink = bottom(value);
        }
        sink += value;
    }
    return value + calls;
}

OUTLINE static int aggregates(int seed) {
    int numbers[4] = {seed, seed + 1, seed + 2, seed + 3};
    char text[8] = "abc";
    struct point point = {(short)seed, (short)-seed};
    struct mixed mixed = {1, {{2, 3}, {4, 5}}, GREEN, {1069547520}, 7, 9};
    int grid[2][3] = {{1, 2, 3}, {4, 5, seed}};
    int sum = bottom(numbers[3]);
    return sum + point.x + mixed.where[1].y + grid[1][2] + text[0];
}

OUTLINE static int several(int argument) {
    const int fixed = 17;
    int derived = argument * 2;
    int unused = argument + 3;
    int later = bottom(derived + fixed);
    return later + derived + argument + 0 * unused;
}

int main(void) {
    int total = scalars(1, 2, 3);
    total += blocks(2);
    total += aggregates(4);
    total += several(5);
    printf("total=%d\n", total);
    return 0;
}
