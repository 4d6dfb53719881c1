// Values of every kind that C has, to be printed, compared and changed.
// Prints each value as it is at `@mark stop`, one `name=value` per line.

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum colour { RED, GREEN = 5, BLUE };

struct point {
    int x;
    int y;
};

union number {
    uint32_t bits;
    float real;
};

struct shape {
    const char *name;
    struct point corners[3];
    enum colour colour;
    unsigned visible : 1;
    unsigned layer : 5;
    int tilt : 4;
    struct shape *next;
    union number weight;
    int (*area)(const struct shape *);
};

static int twice_area(const struct shape *it) {
    const struct point *p = it->corners;
    return (p[1].x - p[0].x) * (p[2].y - p[0].y) - (p[2].x - p[0].x) * (p[1].y - p[0].y);
}

int8_t tiny = -8;
uint8_t byte = 200;
int16_t small = -1600;
uint16_t word = 60000;
int32_t medium = -320000;
uint32_t dword = 4000000000u;
int64_t large = -6400000000;
uint64_t qword = 18000000000000000000u;
float ratio = 0.75f;
double precise = 3.25;
long double extended = 1.5L;
bool flag = true;
char letter = 'T';
char text[16] = "trapline";
int grid[2][3] = {{1, 2, 3}, {4, 5, 6}};
static const int constants[4] = {10, 20, 30, 40};
__thread int per_thread = 77;
struct point unset[2];

static int show(struct shape *shape, int depth) {
    int local = depth * 3;
    static int calls;
    calls++;
    int result = shape->area(shape) + local; // @mark stop
    return result;
}

int main(void) { // @mark main
    struct shape second = {"second", {{0, 0}, {2, 0}, {0, 2}}, BLUE, 0, 9, -3, NULL, {0x3f800000}, twice_area};
    struct shape first = {"first", {{0, 0}, {4, 0}, {0, 3}}, GREEN, 1, 17, 5, &second, {.real = 2.5f}, twice_area};
    int result = show(&first, 14);
    printf("tiny=%d\nbyte=%u\nsmall=%d\nword=%u\nmedium=%d\ndword=%u\nlarge=%ld\nqword=%lu\n", tiny, byte,
           small, word, medium, dword, large, qword);
    printf("ratio=%g\nprecise=%g\nextended=%Lg\nflag=%d\nletter=%c\ntext=%s\n", ratio, precise, extended, flag,
           letter, text);
    printf("grid[1][2]=%d\nconstants[3]=%d\nper_thread=%d\n", grid[1][2], constants[3], per_thread);
    printf("first.name=%s\nfirst.corners[1].x=%d\nfirst.colour=%d\nfirst.visible=%d\nfirst.layer=%d\nfirst.tilt=%d\n",
           first.name, first.corners[1].x, first.colour, first.visible, first.layer, first.tilt);
    printf("first.next->name=%s\nfirst.next->tilt=%d\nfirst.weight.real=%g\nresult=%d\n", first.next->name,
           first.next->tilt, first.weight.real, result); // @mark end
    return 0;
}
