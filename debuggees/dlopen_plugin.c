// Loads a shared library, calls it, unloads it, and does so again, each time at
// another address: pending breakpoints bind, vanish and bind again.
// Usage: dlopen_plugin LIBRARY [ROUNDS [CALLS_EACH]]
// Prints: rounds=R calls=C sum=S

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

// The library has a static of this name.
struct calls {
    long each[3];
};
struct calls no_calls;

// Keeps the library from being loaded there again.
static void occupy(uintptr_t place) {
    mmap((void *)(place & -4096), 4096, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

__attribute__((noinline)) static void loaded(void) {} // @mark loaded
__attribute__((noinline)) static void unloaded(void) {} // @mark unloaded

int main(int argc, char **argv) { // @mark main
    int rounds = argc > 2 ? atoi(argv[2]) : 2;
    int calls_each = argc > 3 ? atoi(argv[3]) : 3;
    long calls = 0, sum = 0;
    for (int round = 0; argc > 1 && round < rounds; round++) {
        void *library = dlopen(argv[1], RTLD_NOW);
        if (!library) {
            fprintf(stderr, "%s\n", dlerror());
            return 3;
        }
        int (*entry)(int) = (int (*)(int))dlsym(library, "plugin_entry");
        loaded();
        for (int i = 1; i <= calls_each; i++, calls++)
            sum += entry(i); // @mark call
        dlclose(library);
        occupy((uintptr_t)entry);
        unloaded();
    }
    printf("rounds=%d calls=%ld sum=%ld\n", rounds, calls, sum); // @mark end
    return 0;
}
