// Structures that end in an array of no known length.
// Usage: flexible_arrays
// Prints: sum=N

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    int n;
    char name[];
};

struct numbers {
    int n;
    int v[];
};

struct old {
    int n;
    short v[0];
};

__attribute__((noinline)) int look(struct text *p, struct numbers *q, struct old *o) {
    return p->name[1] + q->v[2] + o->v[1]; // @mark look
}

int main(void) {
    struct text *p = malloc(sizeof *p + 4);
    struct numbers *q = malloc(sizeof *q + 3 * sizeof q->v[0]);
    struct old *o = malloc(sizeof *o + 3 * sizeof o->v[0]);
    p->n = q->n = o->n = 3;
    strcpy(p->name, "abc");
    for (int i = 0; i < 3; i++)
        q->v[i] = o->v[i] = (short)(10 * i);
    printf("sum=%d\n", look(p, q, o));
}
