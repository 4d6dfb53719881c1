// Takes its own code away under a breakpoint and brings it back: a copy of
// `visit` is mapped from a file, called, and discarded in one of three ways.
// Usage: discards_text KIND [ROUNDS]
//   dontneed   MADV_DONTNEED on the program's own text page: private changes vanish
//   unmap      the copy's page is unmapped, and mapped again at the same place
//   overwrite  the program writes the copy's bytes afresh itself
// Prints: kind=K rounds=R passes=2R

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

static volatile long passes;

// Alone on its page, so that discarding it discards nothing else.
__attribute__((noinline, aligned(4096), section("discarded_text"))) static void visit(volatile long *counter) { // @mark visit
    ++*counter; // @mark body
}
__attribute__((used, aligned(4096), section("discarded_text"))) static void page_after(void) {}

typedef void visitor(volatile long *);

__attribute__((noinline)) static void discarded(void *at) { // @mark discarded
    (void)at;
}

__attribute__((noinline)) static void mapped(void *at) { // @mark mapped
    (void)at;
}

static void *map_copy(void *at, int file) {
    int fixed = at ? MAP_FIXED : 0;
    void *page = mmap(at, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | fixed, file, 0);
    if (page == MAP_FAILED)
        exit(3);
    return page;
}

static void overwrite(void *page) {
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
        exit(3);
    memcpy(page, (const void *)visit, 64);
    mprotect(page, PAGE, PROT_READ | PROT_EXEC);
}

static void discard(const char *kind, void *page, int file) {
    if (!strcmp(kind, "dontneed"))
        madvise(page, PAGE, MADV_DONTNEED); // @mark dontneed
    else if (!strcmp(kind, "unmap"))
        munmap(page, PAGE), discarded(page), map_copy(page, file); // @mark unmap
    else
        overwrite(page); // @mark overwrite
}

int main(int argc, char **argv) { // @mark main
    const char *kind = argc > 1 ? argv[1] : "dontneed";
    int rounds = argc > 2 ? atoi(argv[2]) : 3;
    int own = !strcmp(kind, "dontneed");
    int file = memfd_create("code", 0);
    if (file < 0 || write(file, (const void *)visit, PAGE) != PAGE)
        return 3;
    visitor *code = own ? visit : (visitor *)map_copy(NULL, file);
    mapped((void *)code);
    for (int round = 0; round < rounds; round++) {
        code(&passes); // @mark before
        discard(kind, (void *)code, file);
        code(&passes); // @mark after
    }
    printf("kind=%s rounds=%d passes=%ld\n", kind, rounds, passes); // @mark end
    return 0;
}
