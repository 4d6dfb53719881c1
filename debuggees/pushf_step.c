// Pushes and pops the flags: a debugger that single-steps `pushf` must not leave
// its trap flag on the stack, nor lose one that the program itself sets.
// Labels: flags_pushed (the pushf), flags_popped (the popf).
// Usage: pushf_step [TIMES]
// Prints: times=T trap_flags_seen=0 carry_kept=T

#include <stdio.h>
#include <stdlib.h>

enum { CARRY = 1, TRAP = 1 << 8 };

__attribute__((noinline)) static unsigned long read_flags(void) {
    unsigned long flags;
    __asm__ volatile("sub $128, %%rsp\n"
                     "stc\n"
                     ".globl flags_pushed\nflags_pushed: pushfq\n" // @mark pushf
                     "pop %0\n"
                     "add $128, %%rsp"
                     : "=r"(flags)
                     :
                     : "cc", "memory");
    return flags;
}

__attribute__((noinline)) static void write_flags(unsigned long flags) {
    __asm__ volatile("sub $128, %%rsp\n"
                     "push %0\n"
                     ".globl flags_popped\nflags_popped: popfq\n" // @mark popf
                     "lea 128(%%rsp), %%rsp"
                     :
                     : "r"(flags)
                     : "cc", "memory");
}

int main(int argc, char **argv) { // @mark main
    int times = argc > 1 ? atoi(argv[1]) : 100;
    int seen = 0, kept = 0;
    for (int i = 0; i < times; i++) {
        unsigned long flags = read_flags();
        seen += (flags & TRAP) != 0;
        kept += (flags & CARRY) != 0;
        write_flags(flags & ~(unsigned long)TRAP);
    }
    printf("times=%d trap_flags_seen=%d carry_kept=%d\n", times, seen, kept); // @mark end
    return 0;
}
