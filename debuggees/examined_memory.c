// Data to be looked at as memory: texts of each width, numbers of each size,
// and more than anybody reads as a whole.
// Usage: examined_memory

#include <string.h>
#include <uchar.h>

char letters[] = "abc";
char spoken[] = "h\u00e9llo\a\n\033[0m\"";
char16_t wide[] = u"h\u00e9llo\n\"q";
char32_t wider[] = U"w\u00eft A";
double tiny[] = {1e-300, 2.5, -4e22};
float small[] = {1e-30f, 3.25f};
long longs[] = {1, 2, 3, 4};
char big[100000000];

int main(void) {
    strcpy(big, "big one");
    return wide[0] + wider[0] + letters[0] == 0; // @mark look
}
