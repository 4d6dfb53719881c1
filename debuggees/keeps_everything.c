// Every register, flag and byte of the red zone is filled with random bits,
// carried through a run of labelled instructions that change none of it, and
// compared behind them: what a debugger does there must leave no trace.
// Their addresses are in kept_sites: of 3, 1 and 7 bytes, one between a
// comparison and its jump, one in a chain of additions with carry.
// Usage: keeps_everything [ROUNDS]
// Prints: rounds=R kept=R jumped=J sum=S

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN __attribute__((visibility("hidden")))

// The assembly code below knows the offsets.
struct state {
    uint64_t general[15]; // 0: rax rbx rcx rdx rsi rdi rbp r8 ... r15
    uint64_t flags;       // 120
    uint64_t red_zone[16]; // 128
    uint32_t mxcsr, unused[7]; // 256
    uint8_t vectors[16][32]; // 288
};

HIDDEN struct state wanted, found;
HIDDEN uint64_t own_stack;
long round_number; // what conditions look at
double ratio = 0.25;
const char *name = "someone";

void carry_through(void);
__asm__(".pushsection .text\n.globl carry_through\n.type carry_through, @function\n"
        "carry_through:\n"
        "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "  mov %rsp, own_stack(%rip)\n"
        "  ldmxcsr wanted+256(%rip)\n"
        ".altmacro\n"
        ".macro each_vector what\n"
        "  .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
        "    \\what \\n\n"
        "  .endr\n"
        ".endm\n"
        ".macro load_vector n\n  vmovdqu wanted+288+32*\\n(%rip), %ymm\\n\n.endm\n"
        ".macro store_vector n\n  vmovdqu %ymm\\n, found+288+32*\\n(%rip)\n.endm\n"
        ".macro fill_red n\n  mov wanted+128+8*\\n(%rip), %rax; mov %rax, -8-8*\\n(%rsp)\n.endm\n"
        ".macro store_red n\n  mov -8-8*\\n(%rsp), %rax; mov %rax, found+128+8*\\n(%rip)\n.endm\n"
        "  each_vector load_vector\n"
        "  push wanted+120(%rip); popfq\n"
        "  each_vector fill_red\n"
        "  mov wanted+8(%rip), %rbx; mov wanted+16(%rip), %rcx; mov wanted+24(%rip), %rdx\n"
        "  mov wanted+32(%rip), %rsi; mov wanted+40(%rip), %rdi; mov wanted+48(%rip), %rbp\n"
        "  mov wanted+56(%rip), %r8; mov wanted+64(%rip), %r9; mov wanted+72(%rip), %r10\n"
        "  mov wanted+80(%rip), %r11; mov wanted+88(%rip), %r12; mov wanted+96(%rip), %r13\n"
        "  mov wanted+104(%rip), %r14; mov wanted+112(%rip), %r15; mov wanted(%rip), %rax\n"
        ".Lkept_short: mov %rcx, %rcx\n"
        "  mov %rax, %rax; mov %r8, %r8\n"
        ".Lkept_one: nop\n"
        "  mov %r9, %r9; mov %rsi, %rsi\n"
        ".Lkept_long: .byte 0x48, 0x8d, 0x92, 0, 0, 0, 0\n" // lea 0(%rdx), %rdx
        "  mov %rax, found(%rip)\n"
        "  mov %rbx, found+8(%rip); mov %rcx, found+16(%rip); mov %rdx, found+24(%rip)\n"
        "  mov %rsi, found+32(%rip); mov %rdi, found+40(%rip); mov %rbp, found+48(%rip)\n"
        "  mov %r8, found+56(%rip); mov %r9, found+64(%rip); mov %r10, found+72(%rip)\n"
        "  mov %r11, found+80(%rip); mov %r12, found+88(%rip); mov %r13, found+96(%rip)\n"
        "  mov %r14, found+104(%rip); mov %r15, found+112(%rip)\n"
        "  each_vector store_red\n"
        "  pushfq; pop found+120(%rip)\n"
        "  each_vector store_vector\n"
        "  stmxcsr found+256(%rip)\n"
        "  cld; vzeroupper\n"
        "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "  ret\n"
        ".size carry_through, .-carry_through\n.popsection\n");

// Whether one number is below another, with a site between the comparison and
// the jump.
long is_below(uint64_t one, uint64_t other);
__asm__(".pushsection .text\n.globl is_below\n.type is_below, @function\n"
        "is_below:\n"
        "  xor %eax, %eax\n"
        "  cmp %rsi, %rdi\n"
        ".Lkept_compare: jb 1f\n"
        "  mov %rax, %rax\n"
        "  ret\n"
        "1: inc %eax\n"
        "  ret\n"
        ".size is_below, .-is_below\n.popsection\n");

// The sum of two numbers of 256 bits each, to the first, with a site inside.
void add_long(uint64_t *sum, const uint64_t *other);
__asm__(".pushsection .text\n.globl add_long\n.type add_long, @function\n"
        "add_long:\n"
        "  mov (%rsi), %rax; mov 8(%rsi), %rcx; mov 16(%rsi), %rdx; mov 24(%rsi), %r8\n"
        "  add %rax, (%rdi)\n"
        "  adc %rcx, 8(%rdi)\n"
        ".Lkept_carry: adc %rdx, 16(%rdi)\n"
        "  adc %r8, 24(%rdi)\n"
        "  ret\n"
        ".size add_long, .-add_long\n.popsection\n");

#define SITE(name) HIDDEN extern char name[] __asm__(".L" #name)
SITE(kept_short);
SITE(kept_one);
SITE(kept_long);
SITE(kept_compare);
SITE(kept_carry);
char *const kept_sites[5] = {kept_short, kept_one, kept_long, kept_compare, kept_carry};

static uint64_t seed = 88172645463325252u;

static uint64_t random_bits(void) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

static void fill(struct state *state) {
    enum { STATUS_AND_DIRECTION = 0xcd5, ALWAYS = 0x202, MASKED = 0x1f80, ROUNDING_AND_STICKY = 0xe07f };
    uint8_t *bytes = (uint8_t *)state;
    for (size_t at = 0; at < sizeof *state; at++)
        bytes[at] = (uint8_t)random_bits();
    state->flags = (random_bits() & STATUS_AND_DIRECTION) | ALWAYS;
    state->mxcsr = ((uint32_t)random_bits() & ROUNDING_AND_STICKY) | MASKED;
    memset(state->unused, 0, sizeof state->unused);
}

int main(int argc, char **argv) { // @mark main
    long rounds = argc > 1 ? atol(argv[1]) : 1000, kept = 0, jumped = 0;
    uint64_t sum[4] = {0}, other[4];
    if (!__builtin_cpu_supports("avx") || !kept_sites[0])
        return 4;
    for (round_number = 0; round_number < rounds; round_number++) {
        uint32_t own_mxcsr = __builtin_ia32_stmxcsr();
        fill(&wanted);
        carry_through();
        __builtin_ia32_ldmxcsr(own_mxcsr);
        kept += !memcmp(&wanted, &found, sizeof wanted);
        if (memcmp(&wanted, &found, sizeof wanted))
            for (size_t at = 0; at < sizeof wanted / 8; at++)
                if (((uint64_t *)&wanted)[at] != ((uint64_t *)&found)[at])
                    printf("word %zu of round %ld: %016lx became %016lx\n", at, round_number,
                           ((uint64_t *)&wanted)[at], ((uint64_t *)&found)[at]);
        uint64_t one = random_bits() % 3, two = random_bits() % 3;
        jumped += is_below(one, two) == (one < two);
        for (int at = 0; at < 4; at++)
            other[at] = random_bits() | (random_bits() % 2 ? 0 : ~0ul << 8);
        add_long(sum, other);
    }
    printf("rounds=%ld kept=%ld jumped=%ld sum=%lu\n", rounds, kept, jumped,
           sum[0] ^ sum[1] * 3 ^ sum[2] * 5 ^ sum[3] * 7); // @mark end
    return kept != rounds || jumped != rounds;
}
