// Virtual calls through a second base class, which go by a thunk.
// Usage: thunks
// Prints: result=N

#include <cstdio>

struct First {
    virtual int one(int value) {
        return value + 1;
    }
    int first = 1;
};

struct Second {
    virtual int two(int value) {
        return value + 2;
    }
    int second = 2;
};

struct Both : First, Second {
    int two(int value) override {
        return value * 3 + second; // @mark body
    }
};

int main() {
    Both both;
    Second *second = &both;
    int result = second->two(3); // @mark call
    std::printf("result=%d\n", result);
}
