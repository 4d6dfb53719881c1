// A program in a sandbox: a seccomp filter that kills the process at any system
// call but those named. A debugger that runs a call of its own in it (mmap, say)
// kills it.
// Usage: seccomp_kill [PASSES [break]]   (`break`: makes a forbidden call at the end)
// Prints: passes=P

#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW(name)                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),   \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static volatile long passes;

__attribute__((noinline)) static void visit(void) { // @mark visit
    passes++; // @mark body
}

static int enter_sandbox(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(write), ALLOW(exit_group), ALLOW(rt_sigreturn),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv) { // @mark main
    long wanted = argc > 1 ? atol(argv[1]) : 1000;
    char line[64];
    if (enter_sandbox())
        return 3;
    for (long pass = 0; pass < wanted; pass++)
        visit();
    int length = snprintf(line, sizeof line, "passes=%ld\n", passes); // @mark end
    if (write(1, line, (size_t)length) != length)
        return 4;
    if (argc > 2)
        syscall(SYS_getppid); // @mark forbidden
    _exit(0);
}
