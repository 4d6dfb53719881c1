// Exceptions on their way through functions that are stepped over: caught in
// the function itself, in its caller, rethrown, and with objects to destroy in
// between.
// Usage: throws
// Prints: caught=N destroyed=N

#include <cstdio>
#include <stdexcept>

#define OUTLINE __attribute__((noinline))

static int caught, destroyed;

struct Guard {
    ~Guard() {
        destroyed++;
    }
};

OUTLINE static void throws(int number) {
    if (number > 0)
        throw std::runtime_error("no"); // @mark throw
}

OUTLINE static void with_guard(int number) {
    Guard guard;
    throws(number); // @mark guarded
}

OUTLINE static int catches(int number) {
    int result = 1;
    try {
        throws(number); // @mark here
        result = 2; // @mark not_reached
    } catch (const std::exception &) {
        caught++; // @mark handler
    }
    return result; // @mark behind
}

OUTLINE static void passes(int number) {
    with_guard(number); // @mark passes
    caught += 100;
}

OUTLINE static void outer() {
    try {
        passes(1);
    } catch (...) {
        caught += 10; // @mark outer_handler
    }
}

int main() {
    catches(0);
    catches(1); // @mark first
    outer(); // @mark second
    std::printf("caught=%d destroyed=%d\n", caught, destroyed); // @mark end
}
