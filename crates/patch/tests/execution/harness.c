/* Runs instructions and what is claimed to stand in for them, and says what
 * happened: the independent judge of relocation.
 *
 * Each case is run in its place, from its slot, and from its slot one step at
 * a time.
 */
#include "judge.h"

#define MAX_STEPS 64

struct setup {
    uint64_t code, slot, data, stack, seed;
};

struct test_case {
    uint64_t at, to, registers[16], rflags;
    uint32_t original_len, slot_len, steps, unused;
    uint8_t original[16], slot[96];
};

struct outcome {
    uint64_t signal, code, address, registers[16], rip, rflags;
    uint64_t data, stack, vectors, top[2];
};

static struct setup setup;
static struct test_case now;
static uint8_t *code_view, *slot_view;
static ucontext_t home;
static struct _libc_fpstate home_fp;
static uint64_t entry;
static int stepping;
static struct outcome outcomes[MAX_STEPS];
static unsigned count;
static volatile int entering;

/* The differences wrap, so an address below an area is as far off as one above. */
static int readable(uint64_t address) {
    return address - setup.data <= DATA_SIZE - 16 || address - setup.stack <= STACK_SIZE - 16;
}

/* Only what a program may count on: from the red zone up. */
static uint64_t hash_stack(void) {
    uint64_t from = (now.registers[4] - RED_ZONE) & ~7ull;
    return hash((void *)from, setup.stack + STACK_SIZE - from);
}

static void record(int signal, siginfo_t *info, ucontext_t *context) {
    struct outcome *out = &outcomes[count++];
    greg_t *registers = context->uc_mcontext.gregs;
    memset(out, 0, sizeof *out);
    out->signal = signal;
    out->code = (uint32_t)info->si_code;
    out->address = (uint64_t)info->si_addr;
    for (int i = 0; i < 16; i++) out->registers[i] = registers[order[i]];
    out->rip = registers[REG_RIP];
    out->rflags = registers[REG_EFL];
    out->data = hash((void *)setup.data, DATA_SIZE);
    out->stack = hash_stack();
    out->vectors = hash(context->uc_mcontext.fpregs->_xmm, 256);
    if (readable(out->registers[4])) memcpy(out->top, (void *)out->registers[4], 16);
}

static void enter(ucontext_t *context) {
    greg_t *registers = context->uc_mcontext.gregs;
    home = *context;
    home_fp = *context->uc_mcontext.fpregs;
    for (int i = 0; i < 16; i++) registers[order[i]] = now.registers[i];
    registers[REG_RIP] = entry;
    registers[REG_EFL] = now.rflags | (stepping ? TRAP_FLAG : 0);
    uint8_t *xmm = (uint8_t *)context->uc_mcontext.fpregs->_xmm;
    for (int i = 0; i < 256; i++) xmm[i] = (uint8_t)(i * 37 + setup.seed);
}

static void leave(ucontext_t *context) {
    memcpy(context->uc_mcontext.gregs, home.uc_mcontext.gregs, sizeof home.uc_mcontext.gregs);
    *context->uc_mcontext.fpregs = home_fp;
}

static void on_signal(int signal, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    if (entering) {
        entering = 0;
        enter(context);
        return;
    }
    record(signal, info, context);
    int step = signal == SIGTRAP && info->si_code == TRAP_TRACE;
    if (!step || count == MAX_STEPS) leave(context);
}

static void reset_memory(void) {
    uint64_t *data = (uint64_t *)setup.data, *stack = (uint64_t *)setup.stack;
    for (size_t i = 0; i < DATA_SIZE / 8; i++) {
        data[i] = i % 3 ? (i + setup.seed) * 0x9e3779b97f4a7c15 : setup.code + 0x1000 + i;
    }
    for (size_t i = 0; i < STACK_SIZE / 8; i++) {
        stack[i] = i % 3 ? (i + setup.seed) * 0xd1342543de82ef95 : setup.code + 0x1800 + i;
    }
}

/* Whatever the C library left beyond the registers that `enter` sets: the upper
 * halves, which some instructions move into the lower ones, and the masks. */
static void clear_vectors(void) {
    if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroall" ::: "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                                                      "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    if (!__builtin_cpu_supports("avx512f")) return;
#define CLEAR(number) "vpxorq %%zmm" #number ", %%zmm" #number ", %%zmm" #number "\n\t"
    __asm__ volatile(CLEAR(16) CLEAR(17) CLEAR(18) CLEAR(19) CLEAR(20) CLEAR(21) CLEAR(22) CLEAR(23)
                     CLEAR(24) CLEAR(25) CLEAR(26) CLEAR(27) CLEAR(28) CLEAR(29) CLEAR(30) CLEAR(31)::);
    __asm__ volatile("kxorw %%k0, %%k0, %%k0\n\tkxorw %%k1, %%k1, %%k1\n\tkxorw %%k2, %%k2, %%k2\n\t"
                     "kxorw %%k3, %%k3, %%k3\n\tkxorw %%k4, %%k4, %%k4\n\tkxorw %%k5, %%k5, %%k5\n\t"
                     "kxorw %%k6, %%k6, %%k6\n\tkxorw %%k7, %%k7, %%k7"::);
}

static void execute(uint64_t from, int steps) {
    reset_memory();
    entry = from;
    stepping = steps;
    count = 0;
    entering = 1;
    clear_vectors();
    raise(SIGUSR1);
    if (fwrite(&count, 4, 1, stdout) != 1) die("write");
    if (fwrite(outcomes, sizeof *outcomes, count, stdout) != count) die("write");
}

static void run_case(void) {
    memset(code_view, 0xcc, CODE_SIZE);
    memset(slot_view, 0xcc, CODE_SIZE);
    memcpy(code_view + (now.at - setup.code), now.original, now.original_len);
    memcpy(slot_view + (now.to - setup.slot), now.slot, now.slot_len);
    execute(now.at, 0);
    execute(now.to, 0);
    if (now.steps) execute(now.to, 1);
    fflush(stdout);
}

int main(void) {
    alarm(20);
    if (fread(&setup, sizeof setup, 1, stdin) != 1) die("setup");
    code_view = map_code(setup.code);
    slot_view = map_code(setup.slot);
    map_data(setup.data, DATA_SIZE);
    map_data(setup.stack, STACK_SIZE);
    catch_signals(on_signal);
    while (fread(&now, sizeof now, 1, stdin) == 1) run_case();
    return 0;
}
