// Functions whose names can be written in more than one way, or hold what a
// place can hold too: operators with a plus, tags of a library's version,
// parameters and template arguments with qualifiers, places of one name of
// which only some have a variable.
// Usage: cpp_names

struct M {
    int at;
    M &operator++() {
        at += 1; // @mark before
        return *this;
    }
    M operator++(int) {
        at += 2; // @mark behind
        return *this;
    }
    __attribute__((abi_tag("zz"))) int name() const {
        return at; // @mark name
    }
    int ov(const char *text) const {
        return at + *text; // @mark ov_const
    }
    int ov(char *text) const {
        return at - *text; // @mark ov
    }
};

template <typename T> int tf(T value) {
    return value != nullptr; // @mark tf
}

struct __attribute__((abi_tag("zz"))) Tag {
    int get() const {
        return 3; // @mark get
    }
};

int many(int wanted) {
    return wanted; // @mark wanted
}

int many(char other) {
    return other;
}

int many(long other) {
    return static_cast<int>(other);
}

char letters[] = "abc";

int main() {
    M m{1};
    ++m;
    m++;
    int sum = m.name() + m.ov(static_cast<const char *>(letters)) + m.ov(letters);
    sum += tf(static_cast<const char *>(letters)) + tf(letters) + Tag().get();
    sum += many(1) + many('a') + many(2L);
    return sum == 0; // @mark end
}
