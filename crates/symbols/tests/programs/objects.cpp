// Variables of C++: `this`, references, lambdas, handlers, templates.
#include <cstdio>
#include <stdexcept>
#include <string>

long counter = 3;
volatile long sink;

extern "C" __attribute__((noinline)) void stop_here() { sink = sink + 1; }

namespace shop {
class Item {
public:
    int price, count;
    static int made;
    Item(int price, int count) : price(price), count(count) { made++; }
    template <class T> __attribute__((noinline)) long total(T factor, const int &extra);
};
int Item::made = 40;

template <class T> long Item::total(T factor, const int &extra) {
    long product = (long)price * count * factor;
    auto add = [&](int more) {
        long summed = product + more + extra;
        return summed;
    };
    try {
        if (product > 0)
            throw std::runtime_error("positive");
    } catch (const std::runtime_error &error) {
        int caught = 77;
        stop_here();
        sink = sink + caught + (long)error.what()[0];
    }
    return add(5) + product;
}
}

int main(int argc, char **) {
    shop::Item item(argc + 10, 3);
    int extra = 6;
    std::printf("%ld %ld %d\n", item.total<short>(4, extra), counter, shop::Item::made);
}
