// Pointers to data members and to member functions, virtual ones among them.
// Usage: member_pointers

#include <cstdio>

struct Gate {
    int width = 1;
    int height = 2;
    int sizes[3] = {3, 4, 5};
    const char *name = "gate";
    int open(int by) { return width += by; }
    int look() const { return height; }
    void shut() { width = 0; }
    static int made;
};

int Gate::made = 6;

struct Base {
    int base = 7;
    virtual ~Base() = default;
    virtual int call(long by) { return base + static_cast<int>(by); }
    virtual int other() { return 0; }
};

struct Derived : Gate, Base {
    int own = 8;
    int call(long by) override { return own + static_cast<int>(by); }
};

using Width = int Gate::*;
using Opens = int (Gate::*)(int);

static volatile int looked;

int main() {
    Gate gate;
    Derived derived;
    Gate *to_gate = &gate;
    const Gate &same_gate = gate;

    int Gate::*width = &Gate::width;
    int Gate::*height = &Gate::height;
    int(Gate::*sizes)[3] = &Gate::sizes;
    const char *Gate::*name = &Gate::name;
    int Gate::*no_member = nullptr;
    int Derived::*in_derived = &Derived::height;
    int Derived::*in_base = &Derived::base;
    Width alias = &Gate::height;
    int Gate::*each[2] = {&Gate::width, &Gate::height};

    int (Gate::*open)(int) = &Gate::open;
    int (Gate::*look)() const = &Gate::look;
    void (Gate::*shut)() = &Gate::shut;
    int (Gate::*no_function)(int) = nullptr;
    int (Base::*call)(long) = &Base::call;
    int (Base::*other)() = &Base::other;
    int (Derived::*derived_call)(long) = &Derived::call;
    int (Derived::*adjusted)(long) = static_cast<int (Derived::*)(long)>(&Base::call);
    Opens opens = &Gate::open;

    looked = gate.*width + (to_gate->*height) + (gate.*open)(1) + (to_gate->*look)();
    looked = looked + (derived.*call)(2); // @mark look
    std::printf("%d %d %d\n", looked, same_gate.*alias, Gate::made);
    (gate.*shut)();
    (void)sizes, (void)name, (void)no_member, (void)in_derived, (void)in_base, (void)each;
    (void)no_function, (void)other, (void)derived_call, (void)adjusted, (void)opens;
    return 0;
}
