// Complex numbers of every format, alone and in arrays and records.
// Usage: complex_numbers

#include <complex.h>
#include <stdio.h>

struct wave {
    double _Complex phase;
    int order;
};

double _Complex doubled = 1.5 - 2.25 * I;
float _Complex single = -0.5f + 3.0f * I;
long double _Complex extended = 10.0L + 0.125L * I;
int _Complex whole = 3 - 4 * 1i;
double _Complex none;
double _Complex several[2] = {1 + 2 * I, 3 + 4 * I};
struct wave wave = {7 + 8 * I, 9};
double _Complex *to_doubled = &doubled;
static volatile int looked;

static double _Complex turned(double _Complex by) {
    looked++; // @mark look
    return by * I;
}

static float _Complex twice(float _Complex number) {
    looked++; // @mark single
    return number + number;
}

static int _Complex next(int _Complex number) {
    looked++; // @mark whole
    return number + 1 + 1i;
}

int main(void) {
    double _Complex result = turned(doubled);
    float _Complex both = twice(single);
    whole = next(whole);
    wave.order += (int)creal(*to_doubled) + (int)crealf(both) + (int)creall(extended);
    printf("%f %d %f\n", creal(result), __real__ whole, creal(none) + cimag(several[1]));
    return wave.order == 0;
}
