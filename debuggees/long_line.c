// A line that takes a hundred million instructions, alone and in a loop through
// calls.
// Usage: long_line
// Prints: sum=N

#include <stdio.h>

__attribute__((noinline)) static unsigned once(unsigned sum, unsigned turn) {
    return sum * 3 + turn;
}

int main(void) {
    unsigned sum = 0;
    for (unsigned turn = 0; turn < 30000000; turn++) sum = sum * 3 + turn; // @mark long
    for (unsigned turn = 0; turn < 10000000; turn++) sum = once(sum, turn); // @mark calls
    printf("sum=%u\n", sum); // @mark end
    return 0;
}
