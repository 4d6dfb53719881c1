// The least that a ptrace debugger can do per hit of a trap whose condition is
// false: what Trapline's own cost is measured against.
//
// Per hit: waitpid, GETREGS, process_vm_readv of 8 bytes (the condition's
// operand), SETREGS to an out-of-line slot that holds the displaced instruction
// and a jump back, CONT. Nothing is pinned and no priority is changed.
//
// Usage: ptrace_floor MAIN SITE SLOT PROGRAM ARGS...
//   MAIN  hexadecimal address of `main`, run to before anything is written
//   SITE  hexadecimal address of a one-byte `push %rbp`
//   SLOT  hexadecimal address of 6 bytes of code that never run again, within
//         reach of a 32-bit jump (the program's `_start`)
// The program is at a fixed address. Ends with the program's own exit code and
// prints on standard error: hits=N

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PUSH_RBP = 0x55, INT3 = 0xcc, JMP_REL32 = 0xe9 };

static pid_t child;

static void fail(const char *what) {
    perror(what);
    if (child > 0)
        kill(child, SIGKILL);
    exit(3);
}

static void poke(uint64_t at, const unsigned char *bytes, size_t count) {
    unsigned char word[8];
    long old = ptrace(PTRACE_PEEKTEXT, child, at, 0);
    memcpy(word, &old, sizeof word);
    memcpy(word, bytes, count);
    memcpy(&old, word, sizeof word);
    if (ptrace(PTRACE_POKETEXT, child, at, old))
        fail("POKETEXT");
}

static int wait_for_child(void) {
    int status;
    if (waitpid(child, &status, 0) != child)
        fail("waitpid");
    return status;
}

static void run_to(uint64_t address) {
    const unsigned char trap = INT3;
    long old = ptrace(PTRACE_PEEKTEXT, child, address, 0);
    unsigned char first = (unsigned char)old;
    struct user_regs_struct registers;
    poke(address, &trap, 1);
    if (ptrace(PTRACE_CONT, child, 0, 0) || !WIFSTOPPED(wait_for_child()))
        fail("run to the site");
    poke(address, &first, 1);
    ptrace(PTRACE_GETREGS, child, 0, &registers);
    registers.rip = address;
    ptrace(PTRACE_SETREGS, child, 0, &registers);
}

static void arm(uint64_t site, uint64_t slot) {
    unsigned char code[6] = {PUSH_RBP, JMP_REL32};
    const unsigned char trap = INT3;
    int32_t back = (int32_t)((site + 1) - (slot + sizeof code));
    if ((unsigned char)ptrace(PTRACE_PEEKTEXT, child, site, 0) != PUSH_RBP) {
        fprintf(stderr, "no push at the site\n");
        kill(child, SIGKILL);
        exit(3);
    }
    memcpy(code + 2, &back, sizeof back);
    poke(slot, code, sizeof code);
    poke(site, &trap, 1);
}

// One hit; nonzero when the condition would hold.
static int handle_hit(uint64_t site, uint64_t slot) {
    struct user_regs_struct registers;
    uint64_t operand = 0;
    if (ptrace(PTRACE_GETREGS, child, 0, &registers))
        fail("GETREGS");
    if (registers.rip != site + 1)
        fail("stopped elsewhere");
    struct iovec local = {&operand, sizeof operand};
    struct iovec remote = {(void *)registers.rsp, sizeof operand};
    if (process_vm_readv(child, &local, 1, &remote, 1, 0) != sizeof operand)
        fail("process_vm_readv");
    registers.rip = slot;
    if (ptrace(PTRACE_SETREGS, child, 0, &registers))
        fail("SETREGS");
    return operand == UINT64_MAX;
}

int main(int argc, char **argv) {
    if (argc < 5)
        return 2;
    uint64_t site = strtoull(argv[2], NULL, 16), slot = strtoull(argv[3], NULL, 16);
    long hits = 0;
    child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execv(argv[4], argv + 4);
        _exit(127);
    }
    if (child < 0 || !WIFSTOPPED(wait_for_child()))
        fail("start");
    // Past the slot first: `_start` must have run before it is overwritten.
    run_to(strtoull(argv[1], NULL, 16));
    arm(site, slot);
    for (;;) {
        if (ptrace(PTRACE_CONT, child, 0, 0))
            fail("CONT");
        int status = wait_for_child();
        if (WIFEXITED(status)) {
            fprintf(stderr, "hits=%ld\n", hits);
            return WEXITSTATUS(status);
        }
        if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
            fail("unexpected stop");
        hits++;
        if (handle_hit(site, slot))
            return 4;
    }
}
