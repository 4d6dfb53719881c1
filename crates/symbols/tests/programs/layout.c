// Prints what the compiler knows of its own layouts, for the reader of the
// debug information to be held to.
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct inner { char tag; long value; };
union number { int i; double d; char bytes[12]; };
struct outer {
    uint8_t first;
    struct inner in;
    struct inner pair[2];
    union number num;
    struct { int hidden; short also; };
    int matrix[3][4];
    void (*callback)(int, const char *);
    const volatile unsigned long *pointer;
    char tail[];
};
struct flags {
    unsigned a : 3;
    unsigned b : 7;
    int c : 5;
    unsigned long d : 33;
    unsigned char e : 1;
};
struct __attribute__((packed)) tight {
    char c;
    unsigned x : 13;
    unsigned y : 21;
    short z;
};
enum color { RED, GREEN = 5, BLUE = -2 };
enum big { LARGE = 0xffffffff };
typedef struct outer outer_t;
struct opaque;

struct outer global_outer;
struct flags global_flags = {5, 100, -3, 0x123456789, 1};
struct tight global_tight;
enum color global_color = GREEN;
enum big global_big;
union number global_number;
outer_t *global_pointer = &global_outer;
struct opaque *global_opaque;
static long file_static = 42;
__thread int thread_local_value = 7;
__thread char second_thread_local = 1;
long double global_long_double;
_Bool global_bool;
signed char global_schar;
unsigned char global_uchar;
__int128 global_int128;

#define SIZE(type) printf("size %zu %s\n", sizeof(type), #type)
#define OFFSET(type, member) printf("offset %zu %s %s\n", offsetof(type, member), #type, #member)
#define BITS(type, member)                                  \
    do {                                                    \
        type value;                                         \
        memset(&value, 0, sizeof value);                    \
        value.member = -1;                                  \
        printf("bits ");                                    \
        for (size_t i = 0; i < sizeof value; i++)           \
            printf("%02x", ((unsigned char *)&value)[i]);   \
        printf(" %s %s\n", #type, #member);                 \
    } while (0)

int main(void) {
    SIZE(struct inner); SIZE(union number); SIZE(struct outer); SIZE(struct flags);
    SIZE(struct tight); SIZE(enum color); SIZE(outer_t); SIZE(unsigned long); SIZE(long double);
    SIZE(int); SIZE(char); SIZE(_Bool); SIZE(unsigned char);
    OFFSET(struct inner, value);
    OFFSET(struct outer, in); OFFSET(struct outer, pair); OFFSET(struct outer, num);
    OFFSET(struct outer, matrix); OFFSET(struct outer, callback);
    OFFSET(struct outer, pointer); OFFSET(struct outer, tail); OFFSET(struct tight, z);
    BITS(struct flags, a); BITS(struct flags, b); BITS(struct flags, c); BITS(struct flags, d);
    BITS(struct flags, e); BITS(struct tight, x); BITS(struct tight, y);
    printf("%ld %d %d\n", file_static, thread_local_value, second_thread_local);
    return (int)(global_outer.first + global_flags.a + global_tight.c + global_color) == 10;
}
