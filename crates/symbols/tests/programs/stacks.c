// A stack through a signal handler and the C library's own frames, with the
// preserved registers full of numbers that an unwinder must find again.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

volatile int sink;

__attribute__((noinline)) void innermost(int signal) { sink = signal; }

static void handler(int signal) {
    innermost(signal);
    sink++;
}

__attribute__((noinline)) static int compare(const void *one, const void *other) {
    static int calls;
    int a = *(const int *)one, b = *(const int *)other;
    if (++calls == 3)
        raise(SIGUSR1);
    return (a > b) - (a < b);
}

__attribute__((noinline)) static long deep(long seed, const char *text) {
    long a = seed * 3, b = seed * 5, c = seed * 7, d = seed * 11, e = seed * 13;
    int numbers[] = {5, 3, 4, 1, 2};
    for (int i = 0; i < 2; i++) {
        qsort(numbers, 5, sizeof *numbers, compare);
        a += b, b += c, c += d, d += e, e += a + strlen(text);
    }
    return a + b + c + d + e + numbers[0];
}

int main(int argc, char **argv) {
    signal(SIGUSR1, handler);
    long sum = 0;
    for (int i = 0; i < argc; i++)
        sum += deep(i + 0x1000, argv[i]);
    printf("%ld\n", sum);
    return 0;
}
