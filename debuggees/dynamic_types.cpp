// Objects seen through pointers and references to their base classes, among
// them pointers to what is no object.
// Usage: dynamic_types

#include <cstdint>
#include <cstdio>

namespace shapes {

struct Shape {
    int id = 1;
    virtual ~Shape() = default;
    virtual int area() const { return 0; }
};

struct Named {
    int letters = 2;
    virtual ~Named() = default;
    virtual int length() const { return letters; }
};

struct Square : Shape {
    int side = 3;
    int area() const override { return side * side; }
};

struct Label : Square, Named {
    int size = 4;
    int length() const override { return size; }
};

} // namespace shapes

struct Top {
    int top = 5;
    virtual ~Top() = default;
};

struct Left : virtual Top {
    int left = 6;
};

struct Right : virtual Top {
    int right = 7;
};

struct Bottom : Left, Right {
    int bottom = 8;
};

template <typename T> struct Holder : shapes::Shape {
    T held = 9;
};

struct Plain {
    int number = 10;
};

struct Wraps : Plain {
    shapes::Shape *inside = nullptr;
};

static volatile int looked;

static void look(const shapes::Shape *shape, Top &top) { looked += shape->id + top.top; }

int main() {
    shapes::Square square;
    shapes::Label label;
    Bottom bottom;
    Holder<short> holder;
    Plain plain;
    Wraps wraps;
    wraps.inside = &square;

    shapes::Shape *to_square = &square;
    const shapes::Shape *to_const = &label;
    shapes::Shape *to_label = &label;
    shapes::Named *to_named = &label;
    shapes::Square *to_middle = &label;
    shapes::Shape *to_shape = new shapes::Shape;
    shapes::Shape *to_holder = &holder;
    Top *to_top = &bottom;
    Right *to_right = &bottom;
    Plain *to_plain = &plain;
    shapes::Shape *to_none = nullptr;
    shapes::Shape *shapes[2] = {&square, &label};
    shapes::Shape **to_pointer = &to_label;
    shapes::Shape &same_label = label;
    shapes::Named &same_named = label;
    Top &same_top = bottom;
    void *untyped = &label;

    alignas(8) unsigned char garbage[32];
    for (unsigned index = 0; index < sizeof garbage; index++)
        garbage[index] = static_cast<unsigned char>(index);
    shapes::Shape *to_garbage = reinterpret_cast<shapes::Shape *>(garbage);
    std::uintptr_t readable = reinterpret_cast<std::uintptr_t>(garbage) + 16;
    alignas(8) unsigned char misled[32] = {};
    __builtin_memcpy(misled, &readable, sizeof readable);
    shapes::Shape *to_misled = reinterpret_cast<shapes::Shape *>(misled);

    look(to_square, same_top); // @mark look
    std::printf("%d %d %p %p %p\n", looked, to_plain->number, (void *)to_shape, untyped,
                (void *)to_pointer);
    (void)to_const, (void)to_named, (void)to_middle, (void)to_holder, (void)to_top;
    (void)to_right, (void)to_none, (void)shapes, (void)same_label, (void)same_named;
    (void)to_garbage, (void)to_misled;
    delete to_shape;
    return 0;
}
