// Jumps through a table and calls through pointers, in a loop that a timer
// interrupts all the time.
// Usage: alarmed_switch
// Prints: result=N

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

enum { TURNS = 400, IDLE = 15000 };

static volatile long alarms, idle;

static void on_alarm(int number) {
    (void)number;
    alarms++;
}

static int more(int value) {
    return value + 1; // @mark callee
}

static int less(int value) {
    return value - 1;
}

static int (*volatile functions[])(int) = {more, less};

__attribute__((noinline)) static int choose(int turns) {
    int value = 1;
    for (int turn = 0; turn < turns; turn++) {
        switch (turn % 6) { // @mark choose
        case 0: value += 3; break;
        case 1: value ^= 9; break;
        case 2: value *= 3; break;
        case 3: value -= turn; break;
        case 4: value &= 0xffff; break;
        case 5: value = functions[turn & 1](value); break; // @mark call
        }
        for (int wait = 0; wait < IDLE; wait++) idle += wait; // @mark idle
    }
    return value;
}

int main(void) {
    signal(SIGALRM, on_alarm);
    struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    int result = choose(TURNS);
    setitimer(ITIMER_REAL, &never, NULL);
    printf("result=%d\n", result);
    return 0;
}
