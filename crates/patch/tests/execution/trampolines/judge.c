/* Runs instructions in their place and through a trampoline, and says what
 * happened: the independent judge of trampolines.
 *
 * Each case is run in its place and through the trampoline, at full speed and
 * one step at a time. Then, for every step that found the thread in code that
 * decides, it is run once more from there as a debugger that has interrupted it
 * would go on: with the registers from before, from the place that the case
 * names, and with everything below the red zone lost.
 */
#include "../judge.h"
#include <asm/prctl.h>
#include <stddef.h>
#include <sys/syscall.h>

#define ROW_SIZE 0x1000
#define ROW_WORDS 32
#define FRAME 512
#define MAX_STEPS 400
#define MAX_PLACES 512
#define MAX_IMAGE 16384
#define NONE 0xffff

struct setup {
    uint64_t code, trampoline, data, stack, row, seed;
};

struct test_case {
    uint64_t at, to, registers[16], rflags, gs, stack_from, unstepped;
    uint64_t row[ROW_WORDS];
    uint32_t mxcsr, original_len, len, places;
};

/* What an offset of the trampoline is: where code that decides begins, where
 * stepping ends, and for code that decides, from which offset to go on and the
 * word of the row to add 1 to first. */
struct place {
    uint16_t offset, begins, unstepped, again, add, unused[3];
};

struct outcome {
    uint64_t signal, code, address, registers[16], rip, rflags;
    uint64_t data, stack, rest;
    uint64_t mxcsr;
    uint8_t xmm[256];
    uint64_t row[ROW_WORDS];
    uint8_t frame[FRAME];
};

struct memory {
    uint8_t data[DATA_SIZE], stack[STACK_SIZE];
    uint64_t row[ROW_WORDS];
};

/* Registers from before some code that decides. */
struct before {
    gregset_t registers;
    uint8_t image[MAX_IMAGE];
};

struct trial {
    const struct place *place;
    unsigned before;
    struct memory memory;
};

static struct setup setup;
static struct test_case now;
static uint8_t original[64], trampoline[CODE_SIZE];
static struct place places[MAX_PLACES];
static uint8_t *code_view, *trampoline_view;
static struct memory fresh;
static struct before start;

static gregset_t home;
static uint8_t home_image[MAX_IMAGE];
static size_t image_size;
static int has_ymm;

static enum { IN_PLACE, THROUGH } way;
static const struct before *entered;
static int stepping;
static volatile int entering;
static struct outcome outcomes[MAX_STEPS];
static unsigned count;
static struct before befores[8];
static unsigned before_count;
static struct trial trials[MAX_STEPS];
static unsigned trial_count;

/* The layout of the image: Intel SDM volume 1, section 13.4. */
#define MXCSR_AT 24
#define X87_AT 32
#define XMM_AT 160
#define SAID_AT 464
#define HEADER_AT 512
#define YMM_AT 576
#define YMM 4

/* The kernel says in the image how long it is and what it has. */
static void look_at(const uint8_t *image) {
    const struct _fpx_sw_bytes *about = (const void *)(image + SAID_AT);
    int whole = about->magic1 == FP_XSTATE_MAGIC1 && about->xstate_size <= MAX_IMAGE;
    image_size = whole ? about->xstate_size : HEADER_AT;
    has_ymm = whole && (about->xstate_bv & YMM);
}

/* All but SSE's own state, and what the last x87 instruction was and where. */
static uint64_t hash_rest(const uint8_t *image) {
    uint64_t sum = 0;
    memcpy(&sum, image, 5);
    sum = sum * 31 + hash(image + X87_AT, XMM_AT - X87_AT);
    if (image_size > YMM_AT) sum = sum * 31 + hash(image + YMM_AT, image_size - YMM_AT);
    return sum;
}

static int readable(uint64_t address) {
    return address - setup.data <= DATA_SIZE - FRAME || address - setup.stack <= STACK_SIZE - FRAME;
}

static void record(int signal, siginfo_t *info, ucontext_t *context) {
    struct outcome *out = &outcomes[count++];
    greg_t *registers = context->uc_mcontext.gregs;
    const uint8_t *image = (uint8_t *)context->uc_mcontext.fpregs;
    memset(out, 0, sizeof *out);
    out->signal = signal;
    out->code = (uint32_t)info->si_code;
    out->address = (uint64_t)info->si_addr;
    for (int i = 0; i < 16; i++) out->registers[i] = registers[order[i]];
    out->rip = registers[REG_RIP];
    out->rflags = registers[REG_EFL];
    out->data = hash((void *)setup.data, DATA_SIZE);
    out->stack = hash((void *)now.stack_from, setup.stack + STACK_SIZE - now.stack_from);
    out->rest = hash_rest(image);
    memcpy(&out->mxcsr, image + MXCSR_AT, 4);
    memcpy(out->xmm, image + XMM_AT, sizeof out->xmm);
    memcpy(out->row, (void *)setup.row, sizeof out->row);
    if (readable(out->registers[4])) memcpy(out->frame, (void *)out->registers[4], FRAME);
}

static void enter(ucontext_t *context) {
    uint8_t *image = (uint8_t *)context->uc_mcontext.fpregs;
    memcpy(home, context->uc_mcontext.gregs, sizeof home);
    memcpy(home_image, image, image_size);
    memcpy(context->uc_mcontext.gregs, entered->registers, sizeof home);
    memcpy(image, entered->image, image_size);
    greg_t *flags = &context->uc_mcontext.gregs[REG_EFL];
    *flags = (*flags & ~TRAP_FLAG) | (stepping ? TRAP_FLAG : 0);
}

static void leave(ucontext_t *context) {
    memcpy(context->uc_mcontext.gregs, home, sizeof home);
    memcpy(context->uc_mcontext.fpregs, home_image, image_size);
}

static const struct place *place_at(uint64_t address) {
    uint64_t offset = address - now.to;
    if (offset >= now.len) return 0;
    for (unsigned i = 0; i < now.places; i++) {
        if (places[i].offset == offset) return &places[i];
    }
    return 0;
}

static void keep_memory(struct memory *memory) {
    memcpy(memory->data, (void *)setup.data, DATA_SIZE);
    memcpy(memory->stack, (void *)setup.stack, STACK_SIZE);
    memcpy(memory->row, (void *)setup.row, sizeof memory->row);
}

/* What a step means for the rest of the run and for later trials. */
static void stepped(ucontext_t *context) {
    greg_t *registers = context->uc_mcontext.gregs;
    uint64_t rip = registers[REG_RIP];
    int unstepped = way == IN_PLACE && rip == now.unstepped;
    const struct place *place = way == THROUGH ? place_at(rip) : 0;
    if (place && place->begins && before_count < 8) {
        struct before *before = &befores[before_count++];
        memcpy(before->registers, registers, sizeof before->registers);
        memcpy(before->image, context->uc_mcontext.fpregs, image_size);
    }
    if (place && place->again != NONE && before_count > 0) {
        struct trial *trial = &trials[trial_count++];
        trial->place = place;
        trial->before = before_count - 1;
        keep_memory(&trial->memory);
    }
    if (unstepped || (place && place->unstepped)) registers[REG_EFL] &= ~TRAP_FLAG;
}

static void on_signal(int signal, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    if (image_size == 0) {
        look_at((uint8_t *)context->uc_mcontext.fpregs);
        memcpy(start.image, context->uc_mcontext.fpregs, image_size);
        memcpy(start.registers, context->uc_mcontext.gregs, sizeof start.registers);
        return;
    }
    if (entering) {
        entering = 0;
        enter(context);
        if (stepping) record(0, info, context);
        if (stepping) stepped(context);
        return;
    }
    record(signal, info, context);
    int step = signal == SIGTRAP && info->si_code == TRAP_TRACE;
    if (step && count < MAX_STEPS) {
        stepped(context);
    } else {
        leave(context);
    }
}

static void put_memory(const struct memory *memory) {
    memcpy((void *)setup.data, memory->data, DATA_SIZE);
    memcpy((void *)setup.stack, memory->stack, STACK_SIZE);
    memcpy((void *)setup.row, memory->row, sizeof memory->row);
}

static void run(const struct before *from, int steps) {
    entered = from;
    stepping = steps;
    count = 0;
    entering = 1;
    raise(SIGUSR1);
}

static void write_all(const void *bytes, size_t len) {
    if (len && fwrite(bytes, len, 1, stdout) != 1) die("write");
}

static void execute(int through, int steps) {
    way = through ? THROUGH : IN_PLACE;
    put_memory(&fresh);
    start.registers[REG_RIP] = through ? now.to : now.at;
    run(&start, steps);
    write_all(&count, 4);
    write_all(outcomes, count * sizeof *outcomes);
}

/* Goes on from an interrupted run; says only what is not as in `expected`. */
static void try_again(const struct trial *trial, const struct outcome *expected) {
    static struct before from;
    from = befores[trial->before];
    put_memory(&trial->memory);
    uint64_t rsp = from.registers[REG_RSP] - RED_ZONE;
    memset((void *)(rsp - FRAME), 0xa5, FRAME);
    const struct place *place = trial->place;
    if (place->add != NONE) *(uint64_t *)(setup.row + place->add) += 1;
    from.registers[REG_RIP] = now.to + place->again;
    run(&from, 0);
    uint32_t differs = memcmp(outcomes, expected, offsetof(struct outcome, frame)) != 0;
    uint32_t head[2] = {place->offset, differs};
    write_all(head, sizeof head);
    if (differs) write_all(outcomes, sizeof *outcomes);
}

static void set_start(void) {
    for (int i = 0; i < 16; i++) start.registers[order[i]] = now.registers[i];
    start.registers[REG_EFL] = now.rflags;
    memcpy(start.image + MXCSR_AT, &now.mxcsr, 4);
    for (int i = 0; i < 256; i++) {
        start.image[XMM_AT + i] = (uint8_t)(i * 37 + setup.seed);
        if (has_ymm) start.image[YMM_AT + i] = (uint8_t)(i * 41 + setup.seed);
    }
    if (has_ymm) start.image[HEADER_AT] |= YMM | 3;
    memcpy(fresh.row, now.row, sizeof fresh.row);
}

static void run_case(void) {
    alarm(60);
    set_start();
    memset(code_view, 0xcc, CODE_SIZE);
    memset(trampoline_view, 0xcc, CODE_SIZE);
    memcpy(code_view + (now.at - setup.code), original, now.original_len);
    memcpy(trampoline_view + (now.to - setup.trampoline), trampoline, now.len);
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, now.gs)) die("arch_prctl");
    trial_count = before_count = 0;
    execute(IN_PLACE, 0);
    execute(IN_PLACE, 1);
    execute(THROUGH, 0);
    struct outcome expected = outcomes[0];
    execute(THROUGH, 1);
    write_all(&trial_count, 4);
    for (unsigned i = 0; i < trial_count; i++) try_again(&trials[i], &expected);
    fflush(stdout);
}

static int read_all(void *bytes, size_t len) {
    return len == 0 || fread(bytes, len, 1, stdin) == 1;
}

static int read_case(void) {
    if (!read_all(&now, sizeof now)) return 0;
    if (now.original_len > sizeof original || now.len > sizeof trampoline ||
        now.places > MAX_PLACES)
        die("case");
    return read_all(original, now.original_len) && read_all(trampoline, now.len) &&
           read_all(places, now.places * sizeof *places);
}

static void fill_memory(void) {
    uint64_t *data = (uint64_t *)fresh.data, *stack = (uint64_t *)fresh.stack;
    for (size_t i = 0; i < DATA_SIZE / 8; i++) {
        data[i] = i % 3 ? (i + setup.seed) * 0x9e3779b97f4a7c15 : setup.code + 0x1000 + i;
    }
    for (size_t i = 0; i < STACK_SIZE / 8; i++) {
        stack[i] = i % 3 ? (i + setup.seed) * 0xd1342543de82ef95 : setup.code + 0x1800 + i;
    }
}

int main(void) {
    if (!read_all(&setup, sizeof setup)) die("setup");
    code_view = map_code(setup.code);
    trampoline_view = map_code(setup.trampoline);
    map_data(setup.data, DATA_SIZE);
    map_data(setup.stack, STACK_SIZE);
    map_data(setup.row, ROW_SIZE);
    catch_signals(on_signal);
    fill_memory();
    raise(SIGUSR1);
    while (read_case()) run_case();
    return 0;
}
