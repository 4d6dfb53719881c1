// N threads run M times each through one function: exact counts under
// contention.
// Usage: many_threads_one_function [THREADS [PASSES]]
// Prints one `thread=I passes=M even=E` per thread, then
// `total=N*M even=... multiples_of_7=...` as the program itself counted them.

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_THREADS = 256 };

static int passes = 20000;
static atomic_long total;
static atomic_long even;
static atomic_long multiples_of_7;
static long even_of[MAX_THREADS];

__attribute__((noinline)) static void visit(int thread, int pass) { // @mark visit
    int mine = thread * passes + pass;
    atomic_fetch_add(&total, 1); // @mark body
    if (pass % 2 == 0) {
        atomic_fetch_add(&even, 1); // @mark even
        even_of[thread]++;
    }
    if (mine % 7 == 0)
        atomic_fetch_add(&multiples_of_7, 1); // @mark seventh
}

static void *run(void *argument) {
    int thread = (int)(long)argument;
    for (int pass = 0; pass < passes; pass++)
        visit(thread, pass);
    return NULL;
}

int main(int argc, char **argv) { // @mark main
    int threads = argc > 1 ? atoi(argv[1]) : 8;
    if (argc > 2)
        passes = atoi(argv[2]);
    if (threads < 1 || threads > MAX_THREADS)
        return 2;
    pthread_t handles[MAX_THREADS];
    for (long i = 0; i < threads; i++)
        if (pthread_create(&handles[i], NULL, run, (void *)i))
            return 3;
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    for (int i = 0; i < threads; i++)
        printf("thread=%d passes=%d even=%ld\n", i, passes, even_of[i]);
    printf("total=%ld even=%ld multiples_of_7=%ld\n", total, even, multiples_of_7); // @mark end
    return 0;
}
