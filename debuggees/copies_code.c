// Copies its own code, whoever's traps are in it, and runs the copies.
// Usage: copies_code [ROUNDS]   Prints: rounds=R sum=S

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, ROOM = 64 };

__attribute__((noinline)) static long work(long x) { // @mark work
    long y = x * 3;
    return y + 1; // @mark body
}

// So that there is code to copy behind the end of the other.
__attribute__((used, noinline)) static long behind(long x) {
    return x * 5 - (x << 9) + (x ^ 0x123456789abcdef) * 7;
}

int main(int argc, char **argv) { // @mark main
    int rounds = argc > 1 ? atoi(argv[1]) : 3;
    long sum = 0;
    for (int round = 0; round < rounds; round++) {
        char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            return 3;
        sum += work(round);
        memcpy(page, (const void *)work, ROOM);
        long (*copy)(long) = (long (*)(long))page;
        sum += copy(round); // @mark copy
        sum += copy(round);
    }
    printf("rounds=%d sum=%ld\n", rounds, sum); // @mark end
    return 0;
}
