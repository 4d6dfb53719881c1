// Pointers whose targets were put into registers or folded away, so that they
// have no address.
// Usage: implicit_pointers

#include <stdio.h>

struct pair {
    int first;
    long second;
    int more[3];
};

static volatile int looked;

static __attribute__((noinline)) void touch(int number) {
    looked += number;
}

static inline __attribute__((always_inline)) int total(const struct pair *from, const int *to) {
    touch(from->first + *to); // @mark total
    touch((int)from->second);
    return from->first + *to;
}

static inline __attribute__((always_inline)) long inside(const long *second, struct pair **twice) {
    touch((int)*second); // @mark inside
    return *second + (*twice)->first;
}

__attribute__((noinline)) long work(int start, long more) {
    struct pair mine = {start, more, {1, 2, 3}};
    struct pair *to_mine = &mine;
    int limit = start * 3;
    int sum = total(&mine, &limit);
    touch(sum);
    long all = inside(&mine.second, &to_mine);
    touch((int)all);
    return all + sum;
}

int main(int argc, char **argv) {
    (void)argv;
    printf("%ld\n", work(argc + 3, argc + 4L));
    return 0;
}
