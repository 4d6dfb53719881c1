// Four short instructions in a row, run through in rounds: breakpoints on them
// may come and go between rounds in any order.
// They are at mix+3, +5, +9 and +11.
// Usage: neighbours [ROUNDS [PASSES_EACH [THREADS]]]
// Prints: passes=P sum=S

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static long passes_each = 20;
static long rounds = 10;
volatile int enough;
static _Atomic long passes;

long mix(long one, long two);
__asm__(".pushsection .text\n.globl mix\n.type mix, @function\n"
        "mix:\n"
        "  mov %rdi, %rax\n"
        "  inc %eax\n"
        "  add $3, %rsi\n"
        "  xor %esi, %eax\n"
        "  push %rax\n"
        "  pop %rcx\n"
        "  lea (%rcx,%rsi,2), %rax\n"
        "  ret\n"
        ".size mix, .-mix\n.popsection\n");

__attribute__((noinline)) static void begin_round(long round) { // @mark round
    __asm__ volatile("" : : "r"(round));
}

static void *run(void *argument) {
    long pass = 0;
    for (long sum = (long)argument; !enough; pass++)
        sum = mix(sum, pass);
    passes += pass;
    return NULL;
}

int main(int argc, char **argv) { // @mark main
    rounds = argc > 1 ? atol(argv[1]) : rounds;
    passes_each = argc > 2 ? atol(argv[2]) : passes_each;
    int threads = argc > 3 ? atoi(argv[3]) : 0;
    pthread_t handles[16];
    long sum = 0;
    if (threads > 16)
        return 2;
    for (long at = 0; at < threads; at++)
        if (pthread_create(&handles[at], NULL, run, (void *)at))
            return 3;
    for (long round = 0; !threads && round < rounds; round++) {
        begin_round(round);
        for (long pass = 0; pass < passes_each; pass++)
            sum = mix(sum, pass);
        passes += passes_each;
    }
    for (int at = 0; at < threads; at++)
        pthread_join(handles[at], NULL);
    printf("passes=%ld sum=%ld\n", passes, sum); // @mark end
    return 0;
}
