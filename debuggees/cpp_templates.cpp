// C++ as its users write it: namespaces, overloads, templates, inlined copies,
// virtual functions, a lambda and exceptions.
// Usage: cpp_templates [ROUNDS]
// Prints: rounds=R int_pushes=R double_pushes=R scaled=S caught=C

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace geometry {
namespace detail {

// Inlined at every call: one source line, several addresses.
__attribute__((always_inline)) inline int clamp(int value, int limit) {
    int result = value > limit ? limit : value; // @mark inlined
    return result;
}

} // namespace detail

struct Shape {
    virtual ~Shape() = default;
    virtual int area() const = 0;
};

struct Square : Shape {
    explicit Square(int side) : side(side) {}
    int area() const override {
        return side * side; // @mark square_area
    }
    int side;
};

struct Circle : Shape {
    explicit Circle(int radius) : radius(radius) {}
    int area() const override {
        return 3 * radius * radius; // @mark circle_area
    }
    int radius;
};

int scale(int value) {
    return detail::clamp(value * 2, 1000); // @mark scale_int
}

double scale(double value) {
    return value * 2.5; // @mark scale_double
}

int scale(const Shape &shape) {
    return detail::clamp(shape.area(), 500); // @mark scale_shape
}

} // namespace geometry

template <typename T, int Limit = 8> class Ring {
  public:
    void push(const T &item) {
        items[next % Limit] = item; // @mark push
        next++;
    }
    long pushes() const { return next; }

  private:
    T items[Limit] = {};
    long next = 0;
};

namespace {

int checked(int value) {
    if (value % 5 == 0)
        throw std::runtime_error("multiple of five: " + std::to_string(value)); // @mark throw
    return value;
}

} // namespace

int main(int argc, char **argv) { // @mark main
    int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
    Ring<int> whole;
    Ring<double, 4> real;
    std::vector<std::string> messages;
    long scaled = 0;
    auto add = [&scaled](int value) { scaled += value; }; // @mark lambda
    for (int round = 0; round < rounds; round++) {
        whole.push(geometry::scale(round));
        real.push(geometry::scale(round * 0.5));
        add(geometry::scale(geometry::Square(round)));
        add(geometry::scale(geometry::Circle(round)));
        try {
            checked(round);
        } catch (const std::runtime_error &error) {
            messages.push_back(error.what()); // @mark catch
        }
    }
    std::printf("rounds=%d int_pushes=%ld double_pushes=%ld scaled=%ld caught=%zu\n", rounds, whole.pushes(),
                real.pushes(), scaled, messages.size()); // @mark end
    return 0;
}
