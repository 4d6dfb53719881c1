// Memory in which no byte foretells the next, so that nothing shortens it on
// its way.

#include <stdint.h>

uint64_t noise[8 << 20];

int main(void) {
    uint64_t state = 88172645463325252u;
    for (unsigned i = 0; i < sizeof noise / sizeof *noise; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise[i] = state;
    }
    return (int)(state & 1); // @mark filled
}
