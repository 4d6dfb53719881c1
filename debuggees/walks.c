// Control flow for whoever goes through it line by line: loops on one line and
// on several, recursion, a switch, calls through pointers and from a library,
// several calls on one line, a jump out of nested calls, a tail call.
// Usage: walks
// Prints: total=N

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#define OUTLINE __attribute__((noinline))

static volatile int sink;
static jmp_buf back;

OUTLINE static int twice(int number) {
    sink = number;
    return number * 2;
}

OUTLINE static int factorial(int number) {
    if (number <= 1)
        return 1;
    return number * factorial(number - 1);
}

OUTLINE static int loops(int count) {
    int sum = 0;
    for (int turn = 0; turn < count; turn++) sum += turn;
    for (int turn = 0; turn < count; turn++) {
        sum += turn;
        sink = sum;
    }
    while (sum > 10)
        sum -= twice(3);
    do
        sum++;
    while (sum < 8);
    return sum;
}

OUTLINE static int choose(int which) {
    switch (which) {
    case 0:
        sink = 5;
        break;
    case 1:
        return twice(1);
    case 2:
        sink = 7;
        // fall through
    case 3:
        sink += 1;
        break;
    case 4:
        return 11;
    default:
        sink = 9;
    }
    return sink;
}

OUTLINE static int compare(const void *left, const void *right) {
    int difference = *(const int *)left - *(const int *)right;
    return difference;
}

OUTLINE static int sorted(void) {
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof *numbers, compare);
    return numbers[0] + numbers[2];
}

OUTLINE static void jump_back(int value) {
    sink = value;
    longjmp(back, value);
}

OUTLINE static int jumps(void) {
    int value = setjmp(back);
    if (value == 0) // @mark jumped_back
        jump_back(4); // @mark jump_back
    return value;
}

OUTLINE static int ends_in_call(int number) {
    sink = number;
    return twice(number + 1);
}

int main(void) {
    int (*function)(int) = twice;
    int total = twice(twice(2)) + twice(1);
    total += factorial(4);
    total += loops(5);
    for (int which = 0; which < 6; which++)
        total += choose(which);
    total += function(total);
    total += sorted(); total += twice(0);
    total += ends_in_call(3);
    total += jumps();
    printf("total=%d\n", total);
    return 0;
}
