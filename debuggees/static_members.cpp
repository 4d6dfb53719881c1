// Static members of every kind, and enumerations inside of classes and namespaces.
// Usage: static_members

#include <cstdio>
#include <string>

struct Plan {
    enum Step { Begin, Middle, Finish } step;
    enum class Mode { Fast, Safe } mode;
    static int made;
    static const int limit = 5;
    static constexpr double share = 0.5;
    int order;
    static Plan best;
    enum { Plain, Fancy } style;
};

int Plan::made = 7;
Plan Plan::best = {Plan::Middle, Plan::Mode::Safe, 2, Plan::Fancy};

namespace shop {
enum Size { Small, Large };
enum class Grade : char { Good, Poor };
enum Flag { Red = 1, Green = 2, Blue = 4 };

struct Counter {
    static int all;
};
int Counter::all = 9;

struct Till : Counter {
    int sum = 3;
};

template <typename T> struct Kept {
    static T last;
    T first;
};
template <typename T> T Kept<T>::last = 4;

struct Inline {
    inline static int number = 3;
    inline static std::string text = "kept";
    static thread_local int own;
    int after = 1;
};
thread_local int Inline::own = 8;
} // namespace shop

namespace {
struct Hidden {
    static int unseen;
    int seen;
};
#ifndef UNSEEN
#define UNSEEN 18
#endif
int Hidden::unseen = UNSEEN;
} // namespace

struct Listed {
    static int numbers[];
    int own;
};
int Listed::numbers[] = {5, 6, 7};

namespace first {
struct Same {
    static int value;
    int own;
};
int Same::value = 1;
} // namespace first

namespace second {
struct Same {
    static int value;
    int own;
};
int Same::value = 2;
} // namespace second

struct Same {
    static int value;
    int own;
};
int Same::value = 3;

struct Below {
    int value;
};

struct Above : Below {
    static int value;
    int own;
};
int Above::value = 77;

struct Month {
    int number;
    static const Month all[3];
};
const Month Month::all[3] = {{1}, {2}, {3}};

struct Made {
    int from;
    Made(int with) : from(with) {}
};

enum Plain { One, Two };
enum class Closed { Open, Shut };

static volatile int looked;

static int look(Plan plan, shop::Till till, shop::Kept<int> few, shop::Kept<long> many) {
    shop::Size size = shop::Large;
    shop::Grade grade = shop::Grade::Poor;
    shop::Flag flags = shop::Flag(shop::Red | shop::Blue);
    Plain plain = Two;
    Closed closed = Closed::Shut;
    shop::Counter counter;
    shop::Inline lines;
    Plan plans[2] = {plan, Plan::best};
    Hidden hidden{4};
    Listed listed{Listed::numbers[1]};
    first::Same one{1};
    second::Same two{2};
    Same three{3};
    Above above;
    above.Below::value = 8;
    above.own = listed.own + hidden.seen + hidden.unseen + one.value + two.value + three.value + above.value;
    Month month{7};
    Made made(one.own + two.own + three.own + month.number + Month::all[1].number);
    looked++; // @mark look
    return size + int(grade) + flags + plain + int(closed) + counter.all + lines.after + lines.own +
           plans[1].order + till.sum + few.first + int(many.first) + few.last + int(many.last) +
           above.own + made.from;
}

int main() {
    Plan plan{Plan::Begin, Plan::Mode::Fast, 1, Plan::Plain};
    printf("%d\n", look(plan, shop::Till(), {1}, {2}));
    printf("%s %d\n", shop::Inline::text.c_str(), shop::Inline::number + plan.made);
    return 0;
}
