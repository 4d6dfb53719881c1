// Methods, constructors, operators and lambdas that the compiler puts inline.
// Usage: inlined_methods
// Prints: total=N

#include <cstdio>

#define INLINE __attribute__((always_inline))
#define OUTLINE __attribute__((noinline))

static volatile int sink;

namespace money {

class Amount {
public:
    INLINE explicit Amount(int cents) : cents(cents) {
        sink = cents; // @mark constructor
    }
    INLINE Amount operator+(const Amount &other) const {
        sink += other.cents; // @mark operator
        return Amount(cents + other.cents);
    }
    INLINE int value() const {
        return cents; // @mark value
    }

private:
    int cents;
};

template <typename Function> INLINE inline int applied(Function function, int times) {
    int last = 0;
    for (int turn = 0; turn < times; turn++)
        last += function(turn); // @mark applied
    return last;
}

} // namespace money

OUTLINE static int total(int start) {
    money::Amount sum(start);
    int extra = money::applied(
        [start](int turn) INLINE {
            sink += turn; // @mark lambda
            return turn * start;
        },
        2);
    sum = sum + money::Amount(extra); // @mark added
    return sum.value();
}

int main() {
    std::printf("total=%d\n", total(5));
}
