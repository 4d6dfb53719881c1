// Exceptions caught, passed on, and passed by values to destroy.
#include <cstdio>
#include <stdexcept>
#include <string>

volatile int sink;

struct Guard {
    explicit Guard(const char *n) : name(n) {}
    ~Guard() { sink = static_cast<int>(name.size()); }
    std::string name;
};

__attribute__((noinline)) int risky(int n)
{
    Guard guard("risky");
    if (n > 0)
        throw std::runtime_error("n");
    return n;
}

__attribute__((noinline)) int careful(int n)
{
    Guard outer("careful");
    int result = 0;
    try {
        Guard inner("inner");
        result = risky(n);
    } catch (const std::runtime_error &error) {
        std::printf("%s\n", error.what()); // @mark caught
        Guard in_catch("catch"); // @mark guard in catch
        result = -1;
    }
    sink = result; // @mark after
    return result;
}

int main()
{
    for (int n = 0; n < 3; n++)
        careful(n);
    try {
        risky(1);
    } catch (...) {
        sink = 9; // @mark rethrown
    }
    return 0;
}
