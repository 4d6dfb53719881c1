// A program with traps of its own, and a handler that survives them.
// Usage: own_traps KIND [TIMES [fatal]]   KIND: cc | cd03 | f1 | raise | code_filled | flag
// Each trap raises SIGTRAP; the handler counts it and remembers si_code. With
// `fatal` there is no handler, and the first trap is the end.
// Prints: kind=K traps=N handled=N si_code=C after=N

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static volatile sig_atomic_t handled;
static volatile sig_atomic_t code_seen;
static int after;

static void on_trap(int number, siginfo_t *info, void *context) {
    (void)number, (void)context;
    handled++;
    code_seen = info->si_code;
}

__attribute__((noinline)) static void trap_cc(void) {
    __asm__ volatile("own_cc: .byte 0xcc"); // @mark cc
}

__attribute__((noinline)) static void trap_cd03(void) {
    __asm__ volatile("own_cd03: .byte 0xcd, 0x03"); // @mark cd03
}

__attribute__((noinline)) static void trap_f1(void) {
    __asm__ volatile("own_f1: .byte 0xf1"); // @mark f1
}

__attribute__((noinline)) static void trap_raise(void) {
    raise(SIGTRAP); // @mark raise
}

// The trap flag is set before the first of five instructions that each trap;
// the last clears it.
__attribute__((noinline)) static void trap_flag(void) {
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq;"
                     "own_flag: nop; nop; pushfq; andq $~0x100, (%%rsp); own_flag_ends: popfq" // @mark flag
                     ::: "memory", "cc");
}

// Memory filled with CC, and a return at its end, that gets executed.
__attribute__((noinline)) static void trap_code_filled(void) {
    unsigned char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        exit(3);
    memset(page, 0xcc, 4);
    page[4] = 0xc3;
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    ((void (*)(void))page)(); // @mark code_filled
    munmap(page, 4096);
}

struct kind {
    const char *name;
    void (*trap)(void);
    int traps_each;
};

static const struct kind kinds[] = {
    {"cc", trap_cc, 1},       {"cd03", trap_cd03, 1},           {"f1", trap_f1, 1},
    {"raise", trap_raise, 1}, {"code_filled", trap_code_filled, 4},
    {"flag", trap_flag, 5},
};

int main(int argc, char **argv) { // @mark main
    int times = argc > 2 ? atoi(argv[2]) : 1;
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    if (argc < 4)
        sigaction(SIGTRAP, &action, NULL);
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, argv[1]))
            continue;
        for (int n = 0; n < times; n++) {
            kinds[i].trap();
            after++; // @mark after
        }
        printf("kind=%s traps=%d handled=%d si_code=%d after=%d\n", argv[1], times * kinds[i].traps_each,
               handled, code_seen, after); // @mark end
        return 0;
    }
    fprintf(stderr, "usage: own_traps cc|cd03|f1|raise|code_filled|flag [TIMES [fatal]]\n");
    return 2;
}
