// Threads fork at the same time, their children fork again, and all of them run
// through one function: its passes are counted in memory that they share.
// Usage: fork_storm [THREADS [FORKS_EACH]]
// Prints: own=PASSES_OF_THE_FIRST_PROCESS all=PASSES_OF_ALL bad_exits=0

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct counts {
    atomic_long own;
    atomic_long all;
    atomic_long bad_exits;
};

static struct counts *counts;
static int forks_each = 10;
static pid_t first;

__attribute__((noinline)) static void visit(void) { // @mark visit
    atomic_fetch_add(&counts->all, 1); // @mark body
    if (getpid() == first)
        atomic_fetch_add(&counts->own, 1);
}

static void beget(int generations) {
    pid_t child = fork(); // @mark fork
    if (child == 0) {
        visit();
        if (generations > 1)
            beget(generations - 1);
        visit();
        _exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        atomic_fetch_add(&counts->bad_exits, 1);
}

static void *fork_often(void *unused) {
    for (int i = 0; i < forks_each; i++) {
        visit();
        beget(2);
    }
    return unused;
}

int main(int argc, char **argv) { // @mark main
    int threads = argc > 1 ? atoi(argv[1]) : 4;
    forks_each = argc > 2 ? atoi(argv[2]) : forks_each;
    pthread_t handles[64];
    if (threads < 1 || threads > 64)
        return 2;
    first = getpid();
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED)
        return 3;
    for (int i = 0; i < threads; i++)
        if (pthread_create(&handles[i], NULL, fork_often, NULL))
            return 3;
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    printf("own=%ld all=%ld bad_exits=%ld\n", counts->own, counts->all, counts->bad_exits); // @mark end
    return 0;
}
