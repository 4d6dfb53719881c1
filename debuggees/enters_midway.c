// Short instructions that are entered at each of them by a computed jump, which
// no look at the code can foresee.
// They are at enter+5, +7, +9 and +11.
// Usage: enters_midway [ROUNDS]
// Prints: entered=E0,E1,E2,E3 executed=X0,X1,X2,X3 sum=S, and in words
//         x0=X0 x1=X1 x2=X2 x3=X3

#include <stdio.h>
#include <stdlib.h>

extern char *const ways[4] __attribute__((visibility("hidden")));

long enter(long value, const char *where);
__asm__(".pushsection .text\n.globl enter\n.type enter, @function\n"
        "enter:\n"
        "  mov %rdi, %rax\n"
        "  jmp *%rsi\n"
        ".Lway_0: inc %eax\n"
        ".Lway_1: shl %eax\n"
        ".Lway_2: xor %edi, %eax\n"
        ".Lway_3: neg %eax\n"
        "  add $5, %rax\n"
        "  ret\n"
        ".size enter, .-enter\n.popsection\n"
        ".pushsection .data.rel.ro\n.balign 8\n.hidden ways\n.globl ways\n"
        "ways: .quad .Lway_0, .Lway_1, .Lway_2, .Lway_3\n.popsection\n");

int main(int argc, char **argv) { // @mark main
    long rounds = argc > 1 ? atol(argv[1]) : 100, sum = 0;
    long entered[4] = {0}, executed[4] = {0};
    unsigned seed = 1;
    for (long round = 0; round < rounds; round++) {
        seed = seed * 1103515245u + 12345u;
        unsigned way = seed >> 16 & 3;
        entered[way]++;
        for (unsigned later = way; later < 4; later++)
            executed[later]++;
        sum = enter(sum + round, ways[way]) & 0xffffff;
    }
    printf("entered=%ld,%ld,%ld,%ld sum=%ld x0=%ld x1=%ld x2=%ld x3=%ld\n", entered[0], entered[1], entered[2],
           entered[3], sum, executed[0], executed[1], executed[2], executed[3]); // @mark end
    return 0;
}
