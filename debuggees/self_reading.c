// Reads its own code: what a debugger placed there is visible to the program,
// while the debugger shows the program's own bytes.
// Usage: self_reading [print|wait|patch|watch PASSES]
//   print  prints the first 16 bytes of `visit` (the default)
//   wait   prints `ready` and sleeps
//   patch  changes one byte of its own text, prints `ready` and sleeps
//   watch  runs `visit` PASSES times and prints how often its bytes were found changed
// Prints: bytes=HEX, or passes=P changes=C

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SHOWN = 16 };
static volatile long passes;

__attribute__((noinline)) static void visit(void) { // @mark visit
    passes++; // @mark body
}

__attribute__((noinline)) static void never_called(void) {
    __asm__ volatile("nop; nop; nop; nop");
}

static void print_bytes(void) {
    const volatile unsigned char *code = (const volatile unsigned char *)visit;
    printf("bytes=");
    for (int i = 0; i < SHOWN; i++)
        printf("%02x", code[i]);
    putchar('\n');
}

static int patch_own_text(void) {
    uintptr_t page = (uintptr_t)never_called & ~(uintptr_t)4095;
    if (mprotect((void *)page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC))
        return 0;
    *(volatile unsigned char *)never_called = 0x90; // @mark patch
    return !mprotect((void *)page, 8192, PROT_READ | PROT_EXEC);
}

static int watch(long wanted) {
    unsigned char before[SHOWN], now[SHOWN];
    long changes = 0;
    memcpy(before, (const void *)visit, SHOWN);
    for (long pass = 0; pass < wanted; pass++) {
        visit();
        memcpy(now, (const void *)visit, SHOWN);
        if (memcmp(before, now, SHOWN)) {
            changes++;
            memcpy(before, now, SHOWN);
        }
    }
    printf("passes=%ld changes=%ld\n", passes, changes);
    return 0;
}

int main(int argc, char **argv) { // @mark main
    const char *mode = argc > 1 ? argv[1] : "print";
    if (!strcmp(mode, "watch"))
        return watch(argc > 2 ? atol(argv[2]) : 1000);
    if (!strcmp(mode, "print")) {
        visit();
        print_bytes(); // @mark end
        return 0;
    }
    if (!strcmp(mode, "patch") && !patch_own_text())
        return 3;
    puts("ready");
    fflush(stdout);
    sleep(60);
    return 0;
}
