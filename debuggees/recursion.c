// Recursion with a value per frame: backtraces, `finish`, watches on locals
// that end with their frame.
// Usage: recursion [DEPTH]   Prints: depth=D sum=S

#include <stdio.h>
#include <stdlib.h>

static long add_down(int level) { // @mark enter
    long mine = level;
    if (level == 0)
        return mine; // @mark bottom
    long below = add_down(level - 1); // @mark call
    mine += below; // @mark unwind
    return mine;
}

int main(int argc, char **argv) { // @mark main
    int depth = argc > 1 ? atoi(argv[1]) : 10;
    long sum = add_down(depth);
    printf("depth=%d sum=%ld\n", depth, sum); // @mark end
    return 0;
}
