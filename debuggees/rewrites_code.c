// Makes code at run time and writes other code over it, as a compiler in the
// program does. The code is `mov eax, VALUE; ret` and returns its value.
// Usage: rewrites_code KIND [ROUNDS]
//   same    the same bytes once more
//   value   another value, by writing the whole
//   operand another value, by writing the operand alone
//   longer  `mov rax, VALUE; ret`, whose operand lies where the `ret` was
// Prints: kind=K rounds=R sum=S

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, CALLS = 3 };

typedef int made(void);
static unsigned char *volatile page;

__attribute__((noinline)) static void ready(int round) { // @mark ready
    __asm__ volatile("" : : "r"(round));
}

static void emit(int value) {
    unsigned char code[] = {0xb8, 0, 0, 0, 0, 0xc3};
    memcpy(code + 1, &value, sizeof value);
    memcpy(page, code, sizeof code);
}

static void emit_longer(int value) {
    unsigned char code[] = {0x48, 0xb8, 5, 5, 5, 5, 0, 0, 0, 0, 0xc3};
    memcpy(code + 2, &value, sizeof value);
    memcpy(page, code, sizeof code);
}

static void rewrite(const char *kind, int value) {
    if (!strcmp(kind, "same"))
        emit(1);
    else if (!strcmp(kind, "value"))
        emit(value);
    else if (!strcmp(kind, "operand"))
        memcpy(page + 1, &value, sizeof value);
    else
        emit_longer(value * 0x01010101);
}

static long call(void) {
    long sum = 0;
    for (int i = 0; i < CALLS; i++)
        sum += ((made *)page)();
    return sum;
}

int main(int argc, char **argv) { // @mark main
    const char *kind = argc > 1 ? argv[1] : "same";
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 3;
    emit(1);
    ready(0);
    long sum = call();
    for (int round = 1; round <= rounds; round++) {
        rewrite(kind, round + 1);
        sum += call();
        ready(round);
        sum += call();
    }
    printf("kind=%s rounds=%d sum=%ld\n", kind, rounds, sum); // @mark end
    return 0;
}
