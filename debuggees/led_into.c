// Short instructions right before a place that jumps lead to: a jump of five
// bytes can only begin at the instruction in front of them.
// They are at led_into+6, after a bswap, and at led_into+15, after a pushf.
// Usage: led_into [PASSES [itself]]
// With `itself`, the program's own trap flag is set in every pass, and a handler
// adds up where it was trapped.
// Prints: passes=P sum=S traps=N places=X

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

enum { LENGTH = 24 };

static volatile long traps, places;

long led_into(long one, long two);
__asm__(".pushsection .text\n.globl led_into\n.type led_into, @function\n"
        "led_into:\n"
        "  mov %rdi, %rax\n"
        "  bswap %r10\n"
        "  cmc\n"
        "  jmp 1f\n"
        "1: test %rsi, %rsi\n"
        "  js 2f\n"
        "  pushfq\n"
        "  pop %rcx\n"
        "  add %rcx, %rax\n"
        "2: lea (%rax,%rdi,2), %rax\n"
        "  ret\n"
        ".size led_into, .-led_into\n.popsection\n");

__attribute__((noinline)) static long led_into_by_itself(long one, long two) {
    long sum;
    __asm__ volatile("sub $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq\n"
                     "call led_into\n"
                     "pushfq; andq $~0x100, (%%rsp); popfq; add $128, %%rsp"
                     : "=a"(sum), "+D"(one), "+S"(two)
                     :
                     : "rcx", "r10", "memory", "cc");
    return sum;
}

static void on_trap(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    long at = ((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP] - (long)led_into;
    if (at < 0 || at >= LENGTH)
        return;
    traps++;
    places += (at + 1) * traps % 1009;
}

int main(int argc, char **argv) { // @mark main
    long passes = argc > 1 ? atol(argv[1]) : 100, sum = 0;
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    for (long pass = 0; pass < passes; pass++) {
        long two = pass % 3 ? pass : -1;
        sum += argc > 2 ? led_into_by_itself(pass, two) : led_into(pass, two);
    }
    printf("passes=%ld sum=%ld traps=%ld places=%ld\n", passes, sum, traps, places); // @mark end
    return 0;
}
