// Arrays whose lengths are known when the program runs only, in one dimension
// and in two, as locals and as parameters.
// Usage: variable_lengths

#include <stdio.h>

static volatile int looked;

static long sum(int count, const long numbers[count]) {
    long total = 0;
    for (int index = 0; index < count; index++)
        total += numbers[index]; // @mark adding
    return total;
}

static int trace(int rows, int columns, int table[rows][columns]) {
    int total = 0;
    for (int index = 0; index < rows && index < columns; index++)
        total += table[index][index];
    looked = total; // @mark traced
    return total;
}

static int fill(int count, unsigned width) {
    long numbers[count];
    int table[count][width];
    char text[count + 1];
    int mixed[2][count];
    struct {
        short a, b;
    } records[width];
    int(*to_numbers)[count] = 0;
    typedef int row[count];
    row named;
    row *to_named = &named;
    for (int index = 0; index < count; index++) {
        numbers[index] = index * 10L;
        text[index] = (char)('a' + index);
        mixed[0][index] = index;
        mixed[1][index] = -index;
        named[index] = index + 100;
        for (unsigned column = 0; column < width; column++)
            table[index][column] = index * 100 + (int)column;
    }
    text[count] = 0;
    for (unsigned index = 0; index < width; index++) {
        records[index].a = (short)index;
        records[index].b = (short)-index;
    }
    looked = (int)numbers[count - 1]; // @mark filled
    long total = sum(count, numbers) + trace(count, (int)width, table);
    return (int)total + text[0] + mixed[1][1] + records[0].a + (*to_named)[0] + (to_numbers != 0);
}

int main(void) {
    int total = 0;
    for (int count = 2; count < 6; count++)
        total += fill(count, 3);
    printf("%d\n", total);
    return 0;
}
