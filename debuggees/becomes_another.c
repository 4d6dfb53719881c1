// Writes a global and becomes another build of itself, where the global lies
// elsewhere (`-DPADDING=BYTES`).
// Usage: becomes_another [PROGRAM]
// Prints: state=2

#include <stdio.h>
#include <unistd.h>

#ifndef PADDING
#define PADDING 1
#endif

char padding[PADDING] = {1};
int state = 1;

int main(int argc, char **argv) { // @mark main
    state++;
    if (argc > 1)
        execl(argv[1], argv[1], NULL);
    printf("state=%d\n", state); // @mark end
    return argc > 1;
}
