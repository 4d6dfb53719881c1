// Threads run through labelled instructions, each of which counts itself, while
// a timer of each thread's own sends it signals at random moments some
// microseconds apart. The handler looks at the place and the registers that it
// interrupted: they must be the program's.
// Labels: counted, counted_next, counted_long.
// Usage: alarmed_everywhere [THREADS [SIGNALS_EACH [return | jump | visit]]]
//   return  the handler returns (the default)
//   jump    every second handler leaves by siglongjmp
//   visit   every second handler runs through the instructions itself
// Prints: handled=H elsewhere=0 spoilt=0 uneven=U passes=P next=P long=P
// `jump` may leave between two of the instructions: only then are they uneven.

#define _GNU_SOURCE
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { MAX_THREADS = 16, MAX_PLACES = 64, MAGIC_A = 0x51a7, MAGIC_C = 0x3c0c };

struct counters {
    long passes, next, padding[20], after;
} __attribute__((aligned(256)));

struct worker {
    pthread_t handle;
    timer_t timer;
    unsigned seed;
    int is_jumping;
    sigjmp_buf again;
    struct counters main, handler;
    long handled, elsewhere, spoilt;
};

extern char counted[], counted_end[];
static struct worker workers[MAX_THREADS];
static _Thread_local struct worker *self;
static long signals_each = 2000;
static char mode = 'r';

static struct {
    char *start, *end;
} places[MAX_PLACES];
static int place_count;

// The instructions change no register.
__attribute__((noinline)) static void visit(struct counters *counters) { // @mark visit
    __asm__ volatile(".globl counted, counted_next, counted_long, counted_end\n"
                     "counted: incq (%0)\n"
                     "counted_next: incq 8(%0)\n"
                     "counted_long: addq $1, 176(%0)\n"
                     "counted_end:\n"
                     :
                     : "D"(counters), "a"(MAGIC_A), "c"(MAGIC_C)
                     : "memory", "cc");
}

static void arm(struct worker *worker) {
    long pause = 5000 + (long)((worker->seed = worker->seed * 1103515245u + 12345u) >> 8) % 45000;
    struct itimerspec once = {{0, 0}, {0, pause}};
    timer_settime(worker->timer, 0, &once, NULL);
}

static int is_ours(const char *pc) {
    for (int at = 0; at < place_count; at++)
        if (pc >= places[at].start && pc < places[at].end)
            return 1;
    return 0;
}

static void on_alarm(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    char *pc = (char *)registers[REG_RIP];
    (void)signal, (void)info;
    self->handled++;
    self->elsewhere += !is_ours(pc);
    if (pc >= counted && pc < counted_end)
        self->spoilt += registers[REG_RAX] != MAGIC_A || registers[REG_RCX] != MAGIC_C;
    if (self->handled < signals_each)
        arm(self);
    if (mode == 'v' && self->handled % 2)
        visit(&self->handler);
    if (mode == 'j' && self->handled % 2 && self->is_jumping)
        siglongjmp(self->again, 1);
}

static void note_place(const char *line) {
    unsigned long start, end;
    char permissions[8], file[256] = "";
    sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &start, &end, permissions, file);
    if (permissions[2] == 'x' && (file[0] == '/' || !strcmp(file, "[vdso]")) && place_count < MAX_PLACES) {
        places[place_count].start = (char *)start;
        places[place_count++].end = (char *)end;
    }
}

// The code of files is the program's, code without one is not.
static int note_places(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps && fgets(line, sizeof line, maps))
        note_place(line);
    return maps ? fclose(maps) : 1;
}

static void *run(void *argument) {
    self = argument;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (self == workers)
        event.sigev_signo = SIGALRM;
    if (timer_create(CLOCK_MONOTONIC, &event, &self->timer))
        abort();
    sigsetjmp(self->again, 1);
    self->is_jumping = 1;
    arm(self);
    while (*(volatile long *)&self->handled < signals_each)
        visit(&self->main);
    self->is_jumping = 0;
    timer_delete(self->timer);
    return NULL;
}

int main(int argc, char **argv) { // @mark main
    int threads = argc > 1 ? atoi(argv[1]) : 1;
    signals_each = argc > 2 ? atol(argv[2]) : signals_each;
    mode = argc > 3 ? argv[3][0] : mode;
    struct sigaction action = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (threads < 1 || threads > MAX_THREADS || sigaction(SIGALRM, &action, NULL) ||
        sigaction(SIGPROF, &action, NULL) || note_places())
        return 3;
    for (int at = 0; at < threads; at++) {
        workers[at].seed = 7919u * (unsigned)(at + 1);
        if (pthread_create(&workers[at].handle, NULL, run, &workers[at]))
            return 3;
    }
    long handled = 0, elsewhere = 0, spoilt = 0, uneven = 0;
    struct counters all = {0};
    for (int at = 0; at < threads; at++) {
        struct worker *one = &workers[at];
        pthread_join(one->handle, NULL);
        handled += one->handled, elsewhere += one->elsewhere, spoilt += one->spoilt;
        all.passes += one->main.passes + one->handler.passes;
        all.next += one->main.next + one->handler.next;
        all.after += one->main.after + one->handler.after;
    }
    uneven = all.passes - all.next + (all.passes - all.after);
    printf("handled=%ld elsewhere=%ld spoilt=%ld uneven=%ld passes=%ld next=%ld long=%ld\n", handled, elsewhere,
           spoilt, uneven, all.passes, all.next, all.after); // @mark end
    return 0;
}
