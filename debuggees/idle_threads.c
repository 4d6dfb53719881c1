// Many threads that sleep, or that are busy: attach, detach, stop and resume at
// size.
// Usage: idle_threads THREADS [busy [SECONDS [leave]]]   (`leave`: the leader
// ends once the others run)
// Prints `ready` once all run, and when it ends: threads=N

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int running;
static volatile int busy;
static volatile long work[4096];

static void *live(void *argument) {
    long mine = (long)argument;
    atomic_fetch_add(&running, 1);
    while (busy)
        work[mine]++; // @mark busy
    for (;;)
        pause(); // @mark idle
}

int main(int argc, char **argv) { // @mark main
    int threads = argc > 1 ? atoi(argv[1]) : 10;
    busy = argc > 2 && !strcmp(argv[2], "busy");
    int seconds = argc > 3 ? atoi(argv[3]) : 60;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    if (threads < 0 || threads > 4096)
        return 2;
    for (long i = 0; i < threads; i++) {
        pthread_t handle;
        if (pthread_create(&handle, &attributes, live, (void *)i))
            return 3;
    }
    while (running < threads)
        usleep(1000);
    puts("ready");
    fflush(stdout);
    if (argc > 4 && !strcmp(argv[4], "leave"))
        pthread_exit(NULL);
    sleep((unsigned)seconds);
    printf("threads=%d\n", threads); // @mark end
    return 0;
}
