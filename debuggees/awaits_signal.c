// A loop that ends only when a signal's handler has run.
// Prints: done

#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t done;

static void on_alarm(int number) {
    (void)number;
    done = 1; // @mark on_alarm
}

static int waits(void) {
    int rounds = 1; // @mark before
    while (!done)
        ; // @mark round
    return rounds; // @mark after
}

int main(void) {
    signal(SIGALRM, on_alarm);
    waits();
    puts("done");
    return 0;
}
