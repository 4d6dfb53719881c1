// Ordinary forks, in a row or nested: a child that is not followed goes on with
// clean text; one that is followed has the same breakpoints.
// Usage: forks [CHILDREN [PASSES_EACH]]
// Each child checks its own copy of `visit` against the bytes that the program
// saw at its start, and exits with 1 when they differ.
// Prints: children=C parent_passes=P clean_children=C

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long passes;

__attribute__((noinline, section("visited_text"))) static void visit(void) { // @mark visit
    passes++; // @mark body
}

extern const unsigned char __start_visited_text[], __stop_visited_text[];
static unsigned char at_start[256];

// Runs before main, so before any breakpoint that a debugger sets at main.
__attribute__((constructor)) static void remember(void) {
    size_t length = (size_t)(__stop_visited_text - __start_visited_text);
    memcpy(at_start, __start_visited_text, length < sizeof at_start ? length : sizeof at_start);
}

static int text_is_clean(void) {
    size_t length = (size_t)(__stop_visited_text - __start_visited_text);
    return !memcmp(at_start, __start_visited_text, length < sizeof at_start ? length : sizeof at_start);
}

static int run_child(int passes_each) {
    int clean = text_is_clean(); // @mark child
    for (int pass = 0; pass < passes_each; pass++)
        visit();
    return !clean;
}

int main(int argc, char **argv) { // @mark main
    int children = argc > 1 ? atoi(argv[1]) : 4;
    int passes_each = argc > 2 ? atoi(argv[2]) : 10;
    int clean = 0;
    for (int i = 0; i < children; i++) {
        visit();
        pid_t child = fork(); // @mark fork
        if (child == 0)
            _exit(run_child(passes_each));
        int status = -1;
        if (child > 0 && waitpid(child, &status, 0) == child && status == 0)
            clean++;
    }
    printf("children=%d parent_passes=%ld clean_children=%d\n", children, passes, clean); // @mark end
    return 0;
}
