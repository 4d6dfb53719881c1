// Reads its flags under a seccomp filter that allows everything, so that a
// debugger has no memory of its own here and has to step: its trap flag must
// show neither in what `pushf` pushes nor in the r11 that `syscall` leaves.
// Labels: flags_pushed (the pushf), call_made (the syscall).
// Usage: sandboxed_flags [TIMES]
// Prints: times=T pushed=0 left=0

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { TRAP = 1 << 8 };

__attribute__((noinline)) static void ready(void) { // @mark ready
    __asm__ volatile("");
}

__attribute__((noinline)) static unsigned long pushed_flags(void) {
    unsigned long flags;
    __asm__ volatile("sub $128, %%rsp\n"
                     ".globl flags_pushed\nflags_pushed: pushfq\n"
                     "pop %0\n"
                     "add $128, %%rsp"
                     : "=r"(flags)
                     :
                     : "cc", "memory");
    return flags;
}

__attribute__((noinline)) static unsigned long flags_after_call(void) {
    unsigned long number = SYS_getpid, flags;
    __asm__ volatile(".globl call_made\ncall_made: syscall\n"
                     "mov %%r11, %1"
                     : "+a"(number), "=r"(flags)
                     :
                     : "rcx", "r11", "memory");
    return flags;
}

int main(int argc, char **argv) { // @mark main
    int times = argc > 1 ? atoi(argv[1]) : 20;
    int pushed = 0, left = 0;
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 3;
    ready();
    for (int i = 0; i < times; i++) {
        pushed += (pushed_flags() & TRAP) != 0;
        left += (flags_after_call() & TRAP) != 0;
    }
    printf("times=%d pushed=%d left=%d\n", times, pushed, left); // @mark end
    return 0;
}
