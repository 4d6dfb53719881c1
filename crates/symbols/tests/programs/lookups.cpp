// Overloads, templates, members and namespaces to find.
#include <cstdio>

namespace ns {
template <typename T> __attribute__((noinline)) T add(T a, T b)
{
    T c = a + b; // @mark generic
    return c;
}
struct Shape {
    virtual ~Shape() {}
    virtual int area(int scale) const { return scale; }
    static int count;
};
int Shape::count = 3;
struct Square : Shape {
    explicit Square(int n) : side(n) { count++; }
    int area(int scale) const override { return side * side + scale; } // @mark area
    bool operator<(const Square &other) const { return side < other.side; }
    int side;
};
namespace {
__attribute__((noinline)) int hidden(int x) { return x + 1; }
}
__attribute__((noinline)) int over(int a) { return a; }
__attribute__((noinline)) int over(double a) { return static_cast<int>(a); }
} // namespace ns

int main(int argc, char **)
{
    ns::Square square(argc);
    int total = ns::add<int>(1, 2) + static_cast<int>(ns::add(1.5, 2.5));
    total += square.area(3) + ns::hidden(argc) + ns::over(1) + ns::over(2.0);
    std::printf("%d %d\n", total, square < square);
    return 0;
}
