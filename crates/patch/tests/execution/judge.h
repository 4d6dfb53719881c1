/* What both judges need: areas at chosen addresses, and signals that end a run.
 *
 * A run is entered by returning from a signal handler with the case's
 * registers, and ends with the first signal: all code around is int3.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define DATA_SIZE 0x2000
#define STACK_SIZE 0x2000
#define CODE_SIZE 0x2000
#define RED_ZONE 128
#define TRAP_FLAG 0x100

/* ucontext's order of registers, in the order of their encoding. */
static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t hash(const void *bytes, size_t len) {
    const uint64_t *words = bytes;
    uint64_t sums[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < len / 8; i++) sums[i % 4] = (sums[i % 4] ^ words[i]) * 0x100000001b3;
    for (int i = 1; i < 4; i++) sums[0] = (sums[0] ^ sums[i]) * 0x100000001b3;
    return sums[0];
}

static uint8_t *map_code(uint64_t where) {
    int file = memfd_create("code", 0);
    if (file < 0 || ftruncate(file, CODE_SIZE)) die("memfd");
    if (mmap((void *)where, CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE,
             file, 0) != (void *)where)
        die("mmap code");
    uint8_t *view = mmap(0, CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (view == MAP_FAILED) die("mmap view");
    return view;
}

static void map_data(uint64_t where, size_t size) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap((void *)where, size, PROT_READ | PROT_WRITE, flags, -1, 0) != (void *)where)
        die("mmap data");
}

static void catch_signals(void (*handler)(int, siginfo_t *, void *)) {
    static uint8_t alternate[0x40000];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    if (sigaltstack(&stack, 0)) die("sigaltstack");
    struct sigaction action = {.sa_sigaction = handler,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int all[] = {SIGUSR1, SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (sigaction(all[i], &action, 0)) die("sigaction");
    }
}
