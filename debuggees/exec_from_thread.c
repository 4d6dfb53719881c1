// A thread that is not the leader calls execve while others run: the kernel
// ends them all and the new program bears the leader's id.
// Usage: exec_from_thread [GENERATIONS]   (executes itself that many times)
// Prints: `generation=G tid_is_leader=0` before each exec, and at the end
// `generation=0 done pid=PID`.

#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char **arguments;
static int generation;

__attribute__((noinline)) static void visit(int value) { // @mark visit
    (void)value;
}

static void *run_for_ever(void *unused) {
    (void)unused;
    for (;;)
        usleep(100);
}

static void *execute(void *unused) {
    (void)unused;
    printf("generation=%d tid_is_leader=%d\n", generation, gettid() == getpid());
    fflush(stdout);
    char next[16];
    snprintf(next, sizeof next, "%d", generation - 1);
    char *again[] = {arguments[0], next, NULL};
    execv("/proc/self/exe", again); // @mark exec
    perror("execv");
    _exit(3);
}

int main(int argc, char **argv) { // @mark main
    arguments = argv;
    generation = argc > 1 ? atoi(argv[1]) : 1;
    visit(generation);
    if (generation <= 0) {
        printf("generation=0 done pid=%d\n", getpid()); // @mark end
        return 0;
    }
    pthread_t handle;
    for (int i = 0; i < 3; i++)
        if (pthread_create(&handle, NULL, run_for_ever, NULL))
            return 3;
    if (pthread_create(&handle, NULL, execute, NULL))
        return 3;
    pthread_join(handle, NULL);
    return 4;
}
