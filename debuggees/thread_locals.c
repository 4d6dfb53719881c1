// Thread-local variables that two threads look at, the second with values of
// its own. As a library it is loaded by itself as a program, after the start:
// its variables are then in no thread until that uses them.
// Usage: thread_locals [LIBRARY]
// Prints: first=F second=S

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

__thread int plain = 45;
static __thread long kept = 46;
static __thread char wide[400] = "wide";

__attribute__((noinline)) long looked_at(long more) {
    long sum = more; // @mark untouched
    plain += more;
    sum += plain + kept + wide[0];
    return sum; // @mark touched
}

static long (*look)(long) = looked_at;

static void *second(void *sum) {
    *(long *)sum = look(100);
    return NULL;
}

int main(int argc, char **argv) {
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW) : NULL;
    if (library)
        look = (long (*)(long))dlsym(library, "looked_at");
    long first = look(0), other = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, second, &other);
    pthread_join(thread, NULL);
    printf("first=%ld second=%ld\n", first, other); // @mark end
    return 0;
}
