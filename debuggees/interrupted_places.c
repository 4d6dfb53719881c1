// Signals interrupt straight-line code and a string instruction that runs long:
// a handler must find the program's own place in the first, and must not make
// the second take any longer.
// Labels: filled (the rep stosb).
// Usage: interrupted_places [SIGNALS [MEBIBYTES]]
// Prints: elsewhere=0 filled=1

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

extern char __executable_start, etext;
static volatile long handled, elsewhere, looking;

static void on_alarm(int signal, siginfo_t *info, void *context) {
    char *pc = (char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)signal, (void)info;
    handled++;
    elsewhere += looking && (pc < &__executable_start || pc >= &etext);
}

__attribute__((noinline)) static void fill(char *where, long count) {
    __asm__ volatile(".globl filled\nfilled: rep stosb" // @mark fill
                     : "+D"(where), "+c"(count)
                     : "a"(7)
                     : "memory");
}

int main(int argc, char **argv) { // @mark main
    long signals = argc > 1 ? atol(argv[1]) : 100;
    long count = (argc > 2 ? atol(argv[2]) : 64) << 20;
    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
    struct itimerval every = {{0, 1000}, {0, 1000}};
    char *bytes = mmap(NULL, (size_t)count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED || sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &every, NULL))
        return 3;
    volatile unsigned long sum = 0;
    looking = 1;
    while (handled < signals)
        sum = sum * 31 + 7; // @mark turn
    looking = 0;
    fill(bytes, count);
    printf("elsewhere=%ld filled=%d\n", elsewhere, bytes[0] == 7 && bytes[count - 1] == 7); // @mark end
    return 0;
}
