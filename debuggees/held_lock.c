// One thread keeps a lock until another wants it, and does some work before it
// gives it back; or the other ends the program instead.
// Usage: held_lock [leave | crash]
// Prints: work=N

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;
static volatile int wanted, work;

static void *keep(void *crashes) {
    pthread_mutex_lock(&lock);
    pthread_barrier_wait(&both);
    if (crashes)
        *(volatile int *)8 = 1; // @mark crash
    while (!wanted)
        sched_yield();
    for (int i = 0; i < 1000; i++)
        work++; // @mark work
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void want(void) {
    wanted = 1;
    pthread_mutex_lock(&lock); // @mark lock
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    pthread_t keeper;
    pthread_barrier_init(&both, NULL, 2);
    if (pthread_create(&keeper, NULL, keep, strcmp(how, "crash") ? NULL : &lock))
        return 3;
    pthread_barrier_wait(&both);
    if (!strcmp(how, "leave")) // @mark leave
        exit(0);
    want();               // @mark want
    pthread_mutex_unlock(&lock); // @mark wanted
    pthread_join(keeper, NULL);
    printf("work=%d\n", work);
    return 0;
}
