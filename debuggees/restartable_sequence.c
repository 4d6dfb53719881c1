// Threads that count in restartable sequences (rseq(2)): each adds to the
// counter of the processor it runs on, without a lock or an atomic instruction.
// Usage: restartable_sequence THREADS PASSES
// Prints: counted=N

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/rseq.h>

#define PROCESSORS 1024

static long counters[PROCESSORS * 8];
static long passes;

static struct rseq *area(void) {
    return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

// Adds 1 to this processor's counter; whether it was not sent back.
__attribute__((noinline)) static int add(struct rseq *rseq) { // @mark add
    __asm__ goto("  .pushsection __rseq_cs, \"aw\"\n"
                 "  .balign 32\n"
                 "3: .long 0, 0\n"
                 "  .quad 1f, 2f - 1f, 4f\n"
                 "  .popsection\n"
                 "  leaq 3b(%%rip), %%rax\n"
                 ".globl before\n"
                 "before: nop\n"
                 ".globl told\n"
                 "told: movq %%rax, %c[cs](%[rseq])\n"
                 "1: movl %c[cpu](%[rseq]), %%eax\n"
                 "  shlq $6, %%rax\n"
                 "  leaq %[counters], %%rcx\n"
                 "  addq %%rax, %%rcx\n"
                 ".globl within\n"
                 "within: movq (%%rcx), %%rax\n"
                 "  incq %%rax\n"
                 ".globl last\n"
                 "last: movq %%rax, (%%rcx)\n"
                 "2:\n"
                 ".globl committed\n"
                 "committed: nop\n"
                 "  .pushsection .text.unlikely, \"ax\"\n"
                 "  .long 0x53053053\n" // RSEQ_SIG: what the kernel demands before it
                 "4: jmp %l[sent_back]\n"
                 "  .popsection\n"
                 :
                 : [rseq] "r"(rseq), [counters] "m"(counters[0]), [cs] "i"(offsetof(struct rseq, rseq_cs)),
                   [cpu] "i"(offsetof(struct rseq, cpu_id))
                 : "rax", "rcx", "memory"
                 : sent_back);
    return 1;
sent_back:
    return 0;
}

static void *count(void *unused) {
    struct rseq *rseq = area();
    for (long pass = 0; pass < passes; pass++)
        while (!add(rseq))
            continue;
    return unused;
}

int main(int argc, char **argv) { // @mark main
    int threads = argc > 1 ? atoi(argv[1]) : 4;
    passes = argc > 2 ? atol(argv[2]) : 100000;
    if (__rseq_size == 0)
        return 4;
    pthread_t *all = calloc((size_t)threads, sizeof *all);
    for (int at = 0; at < threads; at++)
        if (pthread_create(&all[at], NULL, count, NULL))
            return 3;
    for (int at = 0; at < threads; at++)
        pthread_join(all[at], NULL);
    long counted = 0;
    for (int at = 0; at < PROCESSORS; at++)
        counted += counters[at * 8];
    printf("counted=%ld\n", counted);
    return counted != threads * passes;
}
