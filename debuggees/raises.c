// Instructions that raise signals of which each tells where: a handler says what
// it was told and goes on behind the instruction.
// They are at raises_KIND, each with one instruction before it and some after.
// Usage: raises KIND [TIMES [fatal]]   KIND: ud2 | unknown | divide | int1 | sys
// `unknown` is no instruction at all; `sys` is a system call that a filter
// answers with SIGSYS. With `fatal` there is no handler.
// Prints, each time: signal=S code=C address=A pc=P   both from raises_KIND on

#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

enum { FILTERED = 4000 };

#define RAISES(name, before, raising)                                                                                  \
    extern const char raises_##name[] __attribute__((visibility("hidden")));                                           \
    void run_##name(void);                                                                                             \
    __asm__(".pushsection .text\n.globl run_" #name "\n.type run_" #name ", @function\n"                               \
            "run_" #name ":\n  push %rbx\n  " before "\n"                                                              \
            ".hidden raises_" #name "\n.globl raises_" #name "\nraises_" #name ":\n  " raising "\n"                    \
            "  mov %rcx, %rdx\n  pop %rbx\n  ret\n"                                                                    \
            ".size run_" #name ", .-run_" #name "\n.popsection\n")

RAISES(ud2, "mov $5, %eax", "ud2");
RAISES(unknown, "mov $5, %eax", ".byte 0xf0, 0x48, 0x01, 0xc0");
RAISES(divide, "xor %ecx, %ecx", "div %ecx");
RAISES(int1, "mov $5, %eax", ".byte 0xf1");
RAISES(sys, "mov $4000, %eax", "syscall");

struct kind {
    const char *name;
    void (*run)(void);
    const char *at;
    int skip;
};

static const struct kind kinds[] = {
    {"ud2", run_ud2, raises_ud2, 2},          {"unknown", run_unknown, raises_unknown, 4},
    {"divide", run_divide, raises_divide, 2}, {"int1", run_int1, raises_int1, 0},
    {"sys", run_sys, raises_sys, 0},
};

static const struct kind *kind;

static void on_signal(int number, siginfo_t *info, void *context) {
    greg_t *pc = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    const char *address = number == SIGSYS ? info->si_call_addr : info->si_addr;
    printf("signal=%d code=%d address=%td pc=%td\n", number, info->si_code, address - kind->at,
           (const char *)*pc - kind->at);
    *pc += kind->skip;
}

static void filter_calls(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTERED, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        exit(3);
}

int main(int argc, char **argv) { // @mark main
    static const int raised[] = {SIGILL, SIGFPE, SIGTRAP, SIGSYS};
    int times = argc > 2 ? atoi(argv[2]) : 1;
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    for (size_t i = 0; argc < 4 && i < sizeof raised / sizeof *raised; i++)
        sigaction(raised[i], &action, NULL);
    for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, argv[1]))
            kind = &kinds[i];
    if (!kind)
        return 2;
    if (kind->run == run_sys)
        filter_calls();
    for (int n = 0; n < times; n++)
        kind->run();
    return 0;
}
