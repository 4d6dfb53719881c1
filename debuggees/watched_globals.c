// Globals written and read in every size and way that a data breakpoint must
// tell apart. The program prints what it did, in order, before it does it.
// Usage: watched_globals [THREADS]   (each thread repeats the writes; default:
// the main thread alone)

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct {
    _Alignas(64) volatile uint8_t one;
    _Alignas(8) volatile uint16_t two;
    _Alignas(8) volatile uint32_t four;
    _Alignas(8) volatile uint64_t eight;
    _Alignas(8) volatile uint8_t odd[7];
    volatile uint8_t beside;
} globals;

static volatile uint64_t sink;
static volatile int from_kernel;
static volatile uint64_t by_thread[64];

static void write_each_size(uint64_t value) {
    globals.one = (uint8_t)value; // @mark write_one
    globals.two = (uint16_t)value; // @mark write_two
    globals.four = (uint32_t)value; // @mark write_four
    globals.eight = value; // @mark write_eight
    globals.odd[6] = (uint8_t)value; // @mark write_odd
    globals.beside = (uint8_t)value; // @mark write_beside
}

static void write_the_same_again(void) {
    uint64_t same = globals.eight;
    globals.eight = same; // @mark write_silent
}

static void read_each_size(void) {
    sink = globals.one; // @mark read_one
    sink = globals.two; // @mark read_two
    sink = globals.four; // @mark read_four
    sink = globals.eight; // @mark read_eight
    sink = globals.odd[0]; // @mark read_odd
}

static void read_and_write_in_one(void) {
    globals.four++; // @mark read_write
}

static void write_wide(void) {
    memset((void *)globals.odd, 0xEE, sizeof globals.odd); // @mark write_wide
}

static void write_by_kernel(FILE *zeroes) {
    if (fread((void *)&globals.four, sizeof globals.four, 1, zeroes) == 1) // @mark write_kernel
        from_kernel++;
}

static void *write_in_thread(void *argument) {
    for (uint64_t pass = 1; pass <= 100; pass++)
        by_thread[(long)argument] = pass; // @mark write_thread
    return NULL;
}

static int run_threads(int threads) {
    pthread_t handles[64];
    if (threads > 64)
        return 2;
    for (long i = 0; i < threads; i++)
        if (pthread_create(&handles[i], NULL, write_in_thread, (void *)i))
            return 3;
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    printf("threads=%d writes_each=100\n", threads);
    return 0;
}

int main(int argc, char **argv) { // @mark main
    if (argc > 1)
        return run_threads(atoi(argv[1]));
    FILE *zeroes = fopen("/dev/zero", "r");
    if (!zeroes)
        return 4;
    setvbuf(zeroes, NULL, _IONBF, 0);
    write_each_size(0x1122334455667788);
    write_each_size(0x99aabbccddeeff00);
    write_the_same_again();
    read_each_size();
    read_and_write_in_one();
    write_wide();
    write_by_kernel(zeroes);
    printf("eight: writes=3 changes=2 reads=2\n");
    printf("four: writes=3 kernel=%d value=%u\n", from_kernel, globals.four); // @mark end
    return 0;
}
