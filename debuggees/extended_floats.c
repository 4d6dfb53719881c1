// Floats of ten bytes, and those of two and of sixteen: passed, compared and
// returned.
// Usage: extended_floats
// Prints: hits=N

#include <stdio.h>

static volatile int hits;

struct pair {
    long double first;
    double second;
};

__attribute__((noinline)) long double halved(long double of) {
    return of / 2; // @mark halved
}

__attribute__((noinline)) void look(long double big, long double tiny, long double pi) {
    long double several[] = {1.0L, -0.1L, 1e20L, 1e21L, 0.0001L, 0.00001L, 1.0L / 3};
    long double endless = __builtin_infl(), none = __builtin_nanl(""), zero = -0.0L;
    long double most = __LDBL_MAX__, least = __LDBL_DENORM_MIN__, normal = __LDBL_MIN__;
    long double *to_pi = &pi;
    struct pair both = {pi, 3.5};
#ifdef __FLT16_MAX__
    _Float16 half = 1.5f16, tenth = 0.1f16;
    hits += half > tenth;
#endif
#ifdef __SIZEOF_FLOAT128__
    __float128 quad = 0.5, third = (__float128)1 / 3;
    hits += quad > third;
#endif
    hits += *to_pi > several[0]; // @mark look
    hits += big > endless || tiny == zero || none == none || both.second > most;
    hits += least < normal;
}

int main(void) {
    long double big = 1e4000L, tiny = 1e-4940L, pi = 3.14159265358979323846L;
    long double half = halved(pi);
    for (int i = 0; i < 3; i++)
        look(big, tiny, half * 2);
    printf("hits=%d\n", hits);
}
