// Functions that return values of every class: in general and vector registers,
// in both, in memory, and objects that are never in registers.
// Usage: returns

#include <memory>
#include <string>

struct Small { int a; };
struct Pair { long a, b; };
struct Mixed { long a; double b; };
struct Swapped { double a; int b; };
struct Floats { float a, b, c; };
struct Shared { float a; int b; };
struct Big { long a, b, c; };
struct Bits { unsigned a : 3, b : 5; unsigned long c : 40; };
struct Chars { char a[12]; };
struct Nested { Small a; Floats b; };
struct Empty {};
struct __attribute__((packed)) Packed { char a; int b; };
struct Derived : Small { double d; };
union Either { double a; long b; };
enum Colour { RED, GREEN };
struct Owner { int a; Owner(int a) : a(a) {} Owner(const Owner &other) : a(other.a) {} };

// Called for what it does, not for what it returns.
#define OUTLINE __attribute__((noinline))
#define ACT asm volatile("" ::: "memory")

OUTLINE Small small_one() { ACT; return {1}; }
OUTLINE Pair pair() { ACT; return {2, 3}; }
OUTLINE Mixed mixed() { ACT; return {4, 5.5}; }
OUTLINE Swapped swapped() { ACT; return {6.5, 7}; }
OUTLINE Floats floats() { ACT; return {1.5f, 2.5f, 3.5f}; }
OUTLINE Shared shared() { ACT; return {4.5f, 8}; }
OUTLINE Big big() { ACT; return {9, 10, 11}; }
OUTLINE Bits bits() { ACT; return {5, 17, 1UL << 39}; }
OUTLINE Chars chars() { ACT; return {"some text"}; }
OUTLINE Nested nested() { ACT; return {{12}, {1.25f, 2.25f, 3.25f}}; }
OUTLINE Packed packed() { ACT; return {'p', 17}; }
OUTLINE Empty empty() { ACT; return {}; }
OUTLINE Derived derived() { ACT; Derived it; it.a = 13; it.d = 0.5; return it; }
OUTLINE Either either() { ACT; Either it; it.b = 1L << 62; return it; }
OUTLINE Colour colour() { ACT; return GREEN; }
OUTLINE Owner owner() { ACT; return Owner(15); }
OUTLINE std::string text() { ACT; return "returned"; }
OUTLINE std::unique_ptr<int> handle() { ACT; return nullptr; }
OUTLINE bool truth() { ACT; return true; }
OUTLINE double real() { ACT; return 16.5; }
OUTLINE const char *literal() { ACT; return "literal"; }

int main() {
    small_one();
    pair();
    mixed();
    swapped();
    floats();
    shared();
    big();
    bits();
    chars();
    nested();
    packed();
    empty();
    derived();
    either();
    colour();
    owner();
    text();
    handle();
    truth();
    real();
    literal();
    return 0;
}
