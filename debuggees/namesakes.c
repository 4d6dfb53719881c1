// Static variables of two files that share their names, of which the first
// file's are optimised away. Compiled by itself it is the first file, and with
// OTHER defined the second, which is linked to it; with THIRD defined one that
// keeps a name to itself that the others share; with ALONE defined a file whose
// variable nothing uses.
// Usage: namesakes
// Prints: total=N

#include <stdio.h>

#ifdef ALONE

int shared = 7;

int main(void) {
    printf("total=0\n"); // @mark main
    return 0;
}

#elif defined(OTHER)

static int limit = 99;
static const char *mode = "slow";
int shared = 7;

__attribute__((noinline)) int other(int more) {
    limit += more; // @mark other
    mode += more > 50;
    return limit + mode[0];
}

#elif defined(THIRD)

static int shared = 99;
enum words { tick = 77 };
long item[4];

int third(enum words word) {
    return shared++ + word + tick;
}

#else

typedef char tick;
typedef char size;
typedef struct {
    int words[10];
} item;

static int limit = 10;
static const char *mode = "fast";
static const char kept[] = "kept";
extern __attribute__((weak)) int shared;

__attribute__((weak)) int other(int more);

__attribute__((noinline)) int hot(int number) {
    {
        typedef long size;
        enum inner { blue = 9 } shade = blue;
        size wide = number;
        number += wide == shade; // @mark block
    }
    size least = 1;
    tick small = (tick)(number * least);
    item all = {{0}};
    return number * limit + mode[0] + kept[1] + all.words[small % 10]; // @mark hot
}

int main(void) {
    int total = 0;
    for (int number = 0; number < 100; number++) {
        total += hot(number);
        if (other) {
            total += other(number);
        }
        if (&shared) {
            total += shared;
        }
    }
    printf("total=%d\n", total);
    return 0;
}

#endif
