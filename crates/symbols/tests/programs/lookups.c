/* Functions, inlined copies and lines to find. */
#include <stdio.h>

int counter = 7;

static inline __attribute__((always_inline)) int twice(int x)
{
    int y = x * 2; // @mark inlined
    return y + 1;
}

/* Lines of a comment have no code:
   @mark comment */
__attribute__((noinline)) int helper(int a, int b) // @mark helper
{
    int c = a + b; // @mark first
    for (int i = 0; i < b; i++) // @mark loop
        c += twice(i);
    counter += c;
    return c; // @mark last
}

int main(int argc, char **argv)
{
    (void)argv;
    int r = helper(argc, 3);
    r += twice(argc);
    printf("%d\n", r);
    return 0; // @mark end
}
// @mark nothing
