// Bytes written one by one, shared by readers and writers, filled by the
// kernel, and locals whose frames end in each way that a frame can end.
// Usage: watched_shapes KIND [ROUNDS]
//   bytes    writes 1, 2, 3, ... to each of 32 bytes in turn, then reads each
//   kernel   read(2) fills `filled` between two calls of `looked`
//   frames   ROUNDS calls of `leaf`, whose stack `reuse` then writes over
//   jumps    the same, leaving `leaf` by longjmp
//   recurse  a recursion with a local of each level
//   fields   writes each of three neighbouring bit-fields in turn
//   spin     writes `spun` for ever after printing ready
// Prints: kind=K writes=W

#include <fcntl.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Alignas(64) volatile uint8_t bytes[32];
volatile uint32_t filled = 7;
volatile uint64_t spun;
volatile struct {
    unsigned low : 3, high : 5;
    int wide : 10;
} fields;
static volatile uint8_t sink;
static jmp_buf back;
static long writes;

__attribute__((noinline)) static void write_bytes(void) {
    for (int i = 0; i < 32; i++, writes++)
        bytes[i] = (uint8_t)(i + 1); // @mark write_byte
}

// Into a register that the address is not in: a debugger that comes after the
// instruction can still tell which byte it read.
static inline uint8_t read_byte(const volatile uint8_t *at) {
    uint8_t value;
    __asm__ volatile("movb %1, %0" : "=&q"(value) : "m"(*at));
    return value;
}

__attribute__((noinline)) static void read_bytes(void) {
    for (int i = 0; i < 32; i++)
        sink = read_byte(&bytes[i]); // @mark read_byte
}

static void write_fields(void) {
    for (int i = 1; i < 4; i++) {
        fields.low = i; // @mark low
        fields.high = 2 * i;
        fields.wide = -i;
        writes += 3;
    }
}

__attribute__((noinline)) static void looked(void) { // @mark looked
    sink = 0;
}

static void fill_by_kernel(void) {
    int zeroes = open("/dev/zero", O_RDONLY);
    looked();
    if (read(zeroes, (void *)&filled, sizeof filled) == sizeof filled)
        writes++;
    looked();
}

__attribute__((noinline)) static void leaf(int round, int jump) {
    volatile int mine = 0; // @mark leaf
    mine = round * 10;
    writes++;
    if (jump)
        longjmp(back, 1);
    mine += 1;
    writes++;
} // @mark leaf_end

__attribute__((noinline)) static void reuse(void) {
    volatile int others[64];
    for (int i = 0; i < 64; i++)
        others[i] = i + 1000, sink = (uint8_t)others[i]; // @mark reuse
}

static void call_leaves(int rounds, int jump) {
    for (volatile int round = 1; round <= rounds; round++) {
        if (!setjmp(back))
            leaf(round, jump);
        reuse(); // @mark after_leaf
    }
}

__attribute__((noinline)) static int recurse(int level) {
    volatile int mine = level; // @mark recurse
    int below = level > 0 ? recurse(level - 1) : 0;
    mine = mine + below; // @mark unwound
    writes++;
    return mine;
}

static void spin(void) {
    puts("ready");
    fflush(stdout);
    for (;;)
        spun++; // @mark spin
}

int main(int argc, char **argv) { // @mark main
    const char *kind = argc > 1 ? argv[1] : "bytes";
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    if (!strcmp(kind, "bytes"))
        write_bytes(), read_bytes();
    else if (!strcmp(kind, "fields"))
        write_fields();
    else if (!strcmp(kind, "kernel"))
        fill_by_kernel();
    else if (!strcmp(kind, "recurse"))
        recurse(rounds);
    else if (!strcmp(kind, "spin"))
        spin();
    else
        call_leaves(rounds, !strcmp(kind, "jumps"));
    printf("kind=%s writes=%ld\n", kind, writes); // @mark end
    return 0;
}
