// A signal's handler throws a C++ exception out of the instructions that the
// signal interrupted, whose unwind information is exact everywhere.
// Labels: thrown_from, thrown_next.
// Usage: throws_from_handler [THROWS]
// Prints: thrown=T caught=T passes=P next=N

#include <cstdio>
#include <cstdlib>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

extern "C" {
extern char run_many[], run_many_end[];
long run_many_times(long *counters, long times);
}

__asm__(".pushsection .text\n.globl run_many_times, run_many, run_many_end, thrown_from, thrown_next\n"
        ".type run_many_times, @function\n"
        "run_many_times:\n"
        "  .cfi_startproc\n"
        "run_many:\n"
        "thrown_from: incq (%rdi)\n"
        "thrown_next: incq 8(%rdi)\n"
        "  dec %rsi\n"
        "  jnz run_many\n"
        "  mov %rsi, %rax\n"
        "  ret\n"
        "run_many_end:\n"
        "  .cfi_endproc\n"
        ".size run_many_times, .-run_many_times\n.popsection\n");

struct alarm_went_off {};

static long thrown, caught, counters[2];

static void arm() {
    itimerval once = {{0, 0}, {0, 20 + thrown % 31}};
    setitimer(ITIMER_REAL, &once, nullptr);
}

static void on_alarm(int, siginfo_t *, void *context) {
    char *pc = reinterpret_cast<char *>(static_cast<ucontext_t *>(context)->uc_mcontext.gregs[REG_RIP]);
    if (pc < run_many || pc >= run_many_end) {
        arm();
        return;
    }
    thrown++;
    throw alarm_went_off();
}

__attribute__((noinline)) static void run_until_thrown() {
    try {
        arm();
        for (;;)
            run_many_times(counters, 100000000);
    } catch (const alarm_went_off &) { // @mark caught
        caught++;
    }
}

int main(int argc, char **argv) { // @mark main
    long wanted = argc > 1 ? atol(argv[1]) : 100;
    struct sigaction action = {};
    action.sa_sigaction = on_alarm;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGALRM, &action, nullptr))
        return 3;
    while (thrown < wanted)
        run_until_thrown();
    std::printf("thrown=%ld caught=%ld passes=%ld next=%ld\n", thrown, caught, counters[0], counters[1]); // @mark end
    return thrown != caught;
}
