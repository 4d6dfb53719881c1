// Names that mean something else in each scope: variables, enumerators, types,
// functions.
// Usage: scoped_names

#include <cstdio>

int depth = 1;
int count = 2;
enum Kind { Red = 1 };
struct Part {
    int a;
};

namespace outer {
int depth = 10;
enum Kind { Red = 11 };
struct Part {
    long a, b;
};
static int made() { return 11; }

namespace inner {
int depth = 100;
enum Kind { Red = 111 };
struct Part {
    long a, b, c;
};

struct Class {
    static int count;
    static int depth;
    enum Kind { Red = 1111 };
    struct Part {
        long a, b, c, d;
    };
    int method(int by);
    int hides(int by);
    static int still(int by);
    struct Nested {
        int method(int by);
    };
};
int Class::count = 20;
int Class::depth = 30;

int Class::method(int by) {
    Part part{};
    Kind kind = Red;
    return depth + count + int(part.a) + kind + by; // @mark method
}

int Class::hides(int by) {
    struct Part {
        char a[7];
    } part{};
    enum Kind { Red = 99 } kind = Red;
    auto add = [&](int more) {
        struct Part {
            char a[5];
        } own{};
        enum Kind { Red = 97 } tint = Red;
        return more + own.a[0] + tint; // @mark closure
    };
    return part.a[0] + kind + add(by); // @mark hides
}

int Class::still(int by) {
    return depth + count + by; // @mark still
}

int Class::Nested::method(int by) {
    auto add = [&](int more) {
        return more + depth + count; // @mark lambda
    };
    return by + add(1); // @mark nested
}

static int free_inside(int by) {
    Part part{};
    Kind kind = Red;
    return depth + int(part.a) + kind + by; // @mark inside
}
} // namespace inner

static int free_between(int by) {
    Part part{};
    return depth + int(part.a) + by + made(); // @mark between
}
} // namespace outer

struct Derived : outer::inner::Class {
    int method(int by) {
        Part part{};
        return depth + count + int(part.a) + by; // @mark derived
    }
};

static int local(int by) {
    static int depth = 7;
    struct Part {
        char a;
    } part{};
    enum Kind { Red = 77 } kind = Red;
    return depth + count + part.a + kind + by; // @mark local
}

// Its parameters hide what is outside.
struct Wide {
    long a, b;
} T;

template <class T, int N> struct Holder {
    T held[N];
    template <class U> int sum(U by) {
        T first = held[0];
        return int(first) + int(by) + N; // @mark template
    }
};

static Part whole{1};
static int twice(int by) { return 2 * by; }
static int made() { return twice(1); }

int main() {
    outer::inner::Class object;
    int sum = object.method(1) + object.hides(1) + outer::inner::Class::still(2);
    sum += outer::inner::Class::Nested().method(3) + outer::inner::free_inside(4);
    sum += Holder<char, 3>{{1, 2, 3}}.sum(2.5) + int(T.a);
    sum += outer::free_between(5) + Derived().method(6) + local(7);
    printf("%d %d\n", sum, made() + depth + whole.a); // @mark main
    return 0;
}
