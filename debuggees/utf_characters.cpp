// Characters and texts of C++'s own types for encodings of Unicode. That of
// UTF-8 is one of its own with -fchar8_t or in C++20 only.
// Usage: utf_characters
// Prints: sum=N

#include <cstdio>

#ifndef __cpp_char8_t
typedef unsigned char char8_t;
#endif

static int look(const char8_t *to_eight, const char16_t *to_sixteen, const wchar_t *to_wide) {
    char8_t eight[] = u8"h\u00f6", letter = u8'x';
    char16_t texts[2][3] = {u"ab", u"cd"}, lone = 0xd800;
    wchar_t wide[] = L"hi", quote = L'\'';
    char32_t thirty_two = U'\u00f6', none = 0x110000;
    int sum = to_eight[0] + to_sixteen[0] + static_cast<int>(to_wide[0]) + eight[0] + letter;
    sum += texts[1][0] + lone + static_cast<int>(wide[0] + quote);
    return sum + static_cast<int>(thirty_two + none); // @mark look
}

int main() {
    auto green = reinterpret_cast<const char8_t *>(u8"gr\u00fcn");
    std::printf("sum=%d\n", look(green, u"sch\u00f6n", L"wide"));
}
