// The heap grown by brk(2), which must find the room that it finds with nobody
// watching: what lies in its way makes it fail, and no allocator that rests on
// it can go on.
// Usage: grows_heap [MEBIBYTES]   (default: 64)

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Far from the start of the program, so that the room above it is the nearest.
__asm__(".text\n.skip 1 << 20, 0xcc");

__attribute__((noinline)) static int grow(void) {
    return sbrk(1 << 20) != (void *)-1; // @mark grow
}

int main(int argc, char **argv) {
    int wanted = argc > 1 ? atoi(argv[1]) : 64;
    char *start = sbrk(0);
    int grown = 0;
    while (grown < wanted && grow())
        grown++;
    printf("grown=%d bytes=%td\n", grown, (char *)sbrk(0) - start);
    return 0;
}
