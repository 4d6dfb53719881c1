// Calls a function through a pointer that leads nowhere.
// Usage: wild_call ADDRESS (in hexadecimal; 0 is the null pointer)
// Ends by SIGSEGV.

#include <stdlib.h>

typedef int function(int);

__attribute__((noinline)) static int call(function *wild, int number) {
    int kept = number * 3;
    return wild(number) + kept; // @mark call
}

int main(int argc, char **argv) {
    unsigned long address = argc > 1 ? strtoul(argv[1], NULL, 16) : 0;
    return call((function *)address, 5);
}
