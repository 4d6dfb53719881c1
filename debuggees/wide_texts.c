// Texts of wide characters, and types that are written in more than one word.
// Usage: wide_texts
// Prints: sum=N

#include <stdarg.h>
#include <stdio.h>
#include <uchar.h>
#include <wchar.h>

typedef int (*printer)(int, ...);

static int prints(int number, ...) {
    return number;
}

__attribute__((noinline)) int look(const wchar_t *to_wide, char16_t *to_short, const char32_t *to_long) {
    wchar_t wide[] = L"grün\n", cut[3] = L"abc", filled[8] = L"ab";
    char16_t sixteen[] = u"sch\u00f6n \U0001f600";
    char32_t thirty_two[] = U"\U0001f600 \"x\"";
    wchar_t letter = L'x', same[20] = L"aaaaaaaaaaaaaaa";
    wchar_t *no_text = NULL;
    int (*functions[3])(int, ...) = {prints, prints, prints};
    const volatile char *const restrict texts[2] = {"a", "b"};
    const volatile char *const restrict *to_texts = texts;
    const int dims[2][3] = {{1, 2, 3}, {4, 5, 6}};
    char *volatile const last = NULL;
    volatile const long number = 1;
    printer typed = prints;
    int sum = (int)(wide[0] + cut[1] + filled[1] + sixteen[0] + thirty_two[0] + letter + same[3]);
    sum += functions[0](1, 2) + dims[1][2] + (int)number + typed(2) + (no_text == (void *)last);
    return sum + **to_texts + *to_wide + *to_short + (int)*to_long; // @mark look
}

int main(void) {
    char16_t text[] = u"sixteen";
    printf("sum=%d\n", look(L"wide", text, U"thirty-two"));
}
