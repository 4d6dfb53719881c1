// A child that writes a global, becomes the same program anew and writes it
// again, beside its parent, which does so too. The global lies behind the pages
// that are mapped from the file.
// Usage: executes_itself STEPS

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long steps[8192];

static void take(long count) {
    for (long step = 0; step < count; step++)
        steps[5000]++; // @mark step
}

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 3;
    if (argc > 2) {
        take(count);
        return 0;
    }
    pid_t child = fork();
    if (child == 0) {
        take(count);
        execl(argv[0], argv[0], argv[1], "again", (char *)0);
        _exit(1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    take(count);
    printf("steps=%ld status=%d\n", steps[5000], status);
    return 0;
}
