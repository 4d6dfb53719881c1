// A vfork child runs through the same function as its parent, in its parent's
// memory: it must neither lose nor trip the parent's traps.
// Usage: vfork_through_site [ROUNDS [exec | linger]]   (`linger`: each child
// stays in that memory for two milliseconds, and runs through it again)
// Prints: rounds=R parent_passes=R child_passes=C bad_exits=0

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long child_passes;
static volatile long parent_passes;

__attribute__((noinline)) static void visit(volatile long *counter) { // @mark visit
    ++*counter; // @mark body
}

int main(int argc, char **argv) { // @mark main
    int rounds = argc > 1 ? atoi(argv[1]) : 10;
    int execute = argc > 2 && !strcmp(argv[2], "exec");
    int linger = argc > 2 && !strcmp(argv[2], "linger");
    int bad = 0;
    for (int round = 0; round < rounds; round++) {
        visit(&parent_passes);
        pid_t child = vfork(); // @mark vfork
        if (child == 0) {
            visit(&child_passes);
            if (linger) {
                usleep(2000);
                visit(&child_passes);
            }
            if (execute)
                execl("/bin/true", "true", (char *)NULL);
            _exit(0);
        }
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            bad++;
    }
    printf("rounds=%d parent_passes=%ld child_passes=%ld bad_exits=%d\n", rounds, parent_passes, child_passes,
           bad); // @mark end
    return bad != 0;
}
