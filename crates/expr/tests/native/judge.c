/* Runs predicates as a trampoline does and says how each came out, and whether
 * it changed anything that it may not.
 *
 * A run is entered by returning from a signal handler with the program's
 * registers and ends with the first signal: after the code and where it asks
 * there is an int3.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define LOW ((uint8_t *)0x10000000)
#define HIGH ((uint8_t *)0x500000000000)
#define STACK ((uint8_t *)0x510000000000)
#define CODE ((uint8_t *)0x520000000000)
#define DATA_SIZE 0x2000
#define STACK_SIZE 0x4000
#define CODE_SIZE 0x40000
#define TLS_SIZE 256
#define CELLS_SIZE 512
#define MAX_ASKS 8192
#define RED_ZONE 128
#define DIRECTION 0x400

enum { RAX, RSP = 4 };
enum { QUIET, ASKED, FAULT, BROKEN };

struct program {
    uint32_t code_len, asks, scratch, saved, vectors, uses_rax, size, credit, runs;
    uint8_t saved_regs[16], vector_regs[16];
};

struct run {
    uint64_t registers[16], row[16];
    uint8_t xmm[256], cells[CELLS_SIZE];
    uint32_t rflags, mxcsr;
};

struct outcome {
    uint32_t how, what;
    uint64_t credit;
};

static struct program program;
static struct run run;
static struct outcome outcome;
static uint8_t code[CODE_SIZE];
static uint32_t asks[MAX_ASKS];
static uint8_t low_copy[DATA_SIZE], high_copy[DATA_SIZE], stack_copy[STACK_SIZE], tls_copy[TLS_SIZE];
static __thread uint8_t tls[TLS_SIZE] __attribute__((aligned(64)));
static uint8_t *row;
static uint64_t entry_rsp;
static ucontext_t home;
static struct _libc_fpstate home_fp;
static volatile int entering;

/* ucontext's order of registers, in the order of their encoding. */
static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void take(void *into, size_t len) {
    if (len && fread(into, len, 1, stdin) != 1) die("read");
}

/* What the trampoline does before. */
static void prepare_stack(void) {
    uint8_t *frame = STACK + (run.registers[RSP] - program.size - (uint64_t)STACK);
    memcpy(STACK, stack_copy, STACK_SIZE);
    memset(frame, 0xa5, program.size - RED_ZONE);
    for (uint32_t i = 0; i < program.saved; i++)
        memcpy(frame + program.scratch + 8 * i, &run.registers[program.saved_regs[i]], 8);
    for (uint32_t i = 0; i < program.vectors; i++) {
        uint8_t *at = frame + program.size - RED_ZONE - 16 * (program.vectors - i);
        memcpy(at, run.xmm + 16 * program.vector_regs[i], 16);
    }
}

static uint8_t before[STACK_SIZE];

static void enter(ucontext_t *context) {
    greg_t *registers = context->uc_mcontext.gregs;
    home = *context;
    home_fp = *context->uc_mcontext.fpregs;
    for (int i = 0; i < 16; i++) registers[order[i]] = run.registers[i];
    entry_rsp = run.registers[RSP] - program.size;
    registers[REG_RSP] = entry_rsp;
    registers[REG_RAX] = 0xdeadbeefdeadbeef;
    registers[REG_RIP] = (greg_t)CODE;
    registers[REG_EFL] = run.rflags;
    memcpy(context->uc_mcontext.fpregs->_xmm, run.xmm, 256);
    context->uc_mcontext.fpregs->mxcsr = run.mxcsr;
}

static int is_saved(int reg) {
    if (reg == RAX) return program.uses_rax;
    for (uint32_t i = 0; i < program.saved; i++)
        if (program.saved_regs[i] == reg) return 1;
    return 0;
}

static int is_vector(int reg) {
    for (uint32_t i = 0; i < program.vectors; i++)
        if (program.vector_regs[i] == reg) return 1;
    return 0;
}

/* 0 when nothing was changed that may not be. */
static uint32_t broken(ucontext_t *context) {
    greg_t *registers = context->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++) {
        uint64_t want = i == RAX ? 0xdeadbeefdeadbeef : i == RSP ? entry_rsp : run.registers[i];
        if (!is_saved(i) && (uint64_t)registers[order[i]] != want) return 100 + i;
    }
    uint8_t *xmm = (uint8_t *)context->uc_mcontext.fpregs->_xmm;
    for (int i = 0; i < 16; i++)
        if (!is_vector(i) && memcmp(xmm + 16 * i, run.xmm + 16 * i, 16)) return 200 + i;
    if (!program.vectors && context->uc_mcontext.fpregs->mxcsr != run.mxcsr) return 300;
    if ((registers[REG_EFL] ^ run.rflags) & DIRECTION) return 301;
    if (memcmp(LOW, low_copy, DATA_SIZE)) return 302;
    if (memcmp(HIGH + CELLS_SIZE, high_copy + CELLS_SIZE, DATA_SIZE - CELLS_SIZE)) return 303;
    if (memcmp(HIGH, run.cells, CELLS_SIZE)) return 304;
    if (memcmp(tls, tls_copy, TLS_SIZE)) return 305;
    size_t frame = entry_rsp - (uint64_t)STACK, past = frame + program.scratch;
    if (memcmp(STACK, before, frame)) return 306;
    if (memcmp(STACK + past, before + past, STACK_SIZE - past)) return 307;
    for (uint32_t i = 0; i < 16; i++)
        if (8 * i != program.credit && memcmp(row + 8 * i, &run.row[i], 8)) return 400 + i;
    return 0;
}

static void leave(ucontext_t *context) {
    memcpy(context->uc_mcontext.gregs, home.uc_mcontext.gregs, sizeof home.uc_mcontext.gregs);
    *context->uc_mcontext.fpregs = home_fp;
}

static void on_signal(int signal, siginfo_t *info, void *raw) {
    (void)info;
    ucontext_t *context = raw;
    if (entering) {
        entering = 0;
        enter(context);
        return;
    }
    uint8_t *pc = (uint8_t *)context->uc_mcontext.gregs[REG_RIP];
    if (pc < CODE || pc > CODE + CODE_SIZE) die("a signal of our own");
    outcome.what = broken(context);
    if (outcome.what) outcome.how = BROKEN;
    else if (signal == SIGTRAP && pc == CODE + program.code_len + 1) outcome.how = QUIET;
    else if (signal == SIGTRAP && pc == CODE + CODE_SIZE) outcome.how = ASKED;
    else outcome.how = FAULT, outcome.what = signal;
    memcpy(&outcome.credit, row + (program.credit < 128 ? program.credit : 0), 8);
    leave(context);
}

static void load_memory(void) {
    take(low_copy, DATA_SIZE);
    take(high_copy, DATA_SIZE);
    take(stack_copy, STACK_SIZE);
    take(tls_copy, TLS_SIZE);
    memcpy(LOW, low_copy, DATA_SIZE);
    memcpy(HIGH, high_copy, DATA_SIZE);
    memcpy(tls, tls_copy, TLS_SIZE);
}

static void load_program(void) {
    take(&program, sizeof program);
    if (program.code_len > CODE_SIZE - 64 || program.asks > MAX_ASKS) die("too large");
    take(asks, 4 * program.asks);
    take(code, program.code_len);
    for (uint32_t i = 0; i < program.asks; i++) {
        int32_t distance = CODE_SIZE - 1 - (asks[i] + 4);
        memcpy(code + asks[i], &distance, 4);
    }
    memcpy(CODE, code, program.code_len);
    CODE[program.code_len] = 0xcc;
}

static void one_run(void) {
    take(&run, sizeof run);
    memcpy(row, run.row, sizeof run.row);
    memcpy(HIGH, run.cells, CELLS_SIZE);
    prepare_stack();
    memcpy(before, STACK, STACK_SIZE);
    memset(&outcome, 0, sizeof outcome);
    entering = 1;
    raise(SIGUSR1);
    if (fwrite(&outcome, sizeof outcome, 1, stdout) != 1) die("write");
}

static void map(uint8_t *where, size_t size, int protection) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap(where, size, protection, flags, -1, 0) != where) die("mmap");
}

static void catch_signals(void) {
    static uint8_t alternate[0x40000];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    if (sigaltstack(&stack, 0)) die("sigaltstack");
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    int all[] = {SIGUSR1, SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (sigaction(all[i], &action, 0)) die("sigaction");
}

static void say_where(void) {
    uint64_t where[2] = {0, (uint64_t)tls};
    __asm__("mov %%fs:0, %0" : "=r"(where[0]));
    if (fwrite(where, sizeof where, 1, stdout) != 1) die("write");
    fflush(stdout);
}

int main(void) {
    map(LOW, DATA_SIZE, PROT_READ | PROT_WRITE);
    map(HIGH, DATA_SIZE, PROT_READ | PROT_WRITE);
    map(STACK, STACK_SIZE, PROT_READ | PROT_WRITE);
    map(CODE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC);
    CODE[CODE_SIZE - 1] = 0xcc;
    row = aligned_alloc(64, 128);
    if (!row || syscall(SYS_arch_prctl, ARCH_SET_GS, row)) die("row");
    catch_signals();
    say_where();
    uint32_t command;
    while (fread(&command, sizeof command, 1, stdin) == 1) {
        alarm(60);
        if (command == 0) {
            load_memory();
            continue;
        }
        load_program();
        for (uint32_t i = 0; i < program.runs; i++) one_run();
        if (command == 2) fflush(stdout);
    }
    return 0;
}
