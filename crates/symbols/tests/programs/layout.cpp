// C++ types whose layout the program prints.
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace shapes {
struct Base {
    virtual ~Base() {}
    int id = 1;
};
struct Other { double weight; };
class Derived : public Base, public Other {
public:
    static int count;
    static constexpr int limit = 77;
    char tag;
    unsigned low : 4, high : 20;
    int &reference;
    Derived(int &to) : reference(to) {}
};
int Derived::count = 5;
struct Shared : Other, virtual Base { int own; };
Shared shared;
template <class T> struct Box {
    T value;
    T *pointer;
};
struct Outer {
    struct Nested { int a, b; };
    Nested nested;
    union { int i; float f; };
};
enum class Mode : unsigned char { Slow = 1, Fast = 200 };
namespace {
namespace hidden { int secret = 9; }
}
struct Late;
}

shapes::Late *late_pointer;
namespace shapes { struct Late { int x, y, z; }; }
shapes::Late late_object;
shapes::Box<int> box_of_int;
shapes::Box<shapes::Base> box_of_base;
shapes::Outer outer;
shapes::Mode mode = shapes::Mode::Fast;
int shapes::Base::*member_pointer = &shapes::Base::id;
std::string text = "text";
std::vector<int> numbers = {1, 2, 3};
char32_t wide = U'x';
decltype(nullptr) nothing = nullptr;

#define SIZE(type) printf("size %zu %s\n", sizeof(type), #type)
#define OFFSET(type, member) printf("offset %zu %s %s\n", offsetof(type, member), #type, #member)

int main() {
    using namespace shapes;
    int target = 3;
    Derived derived(target);
    SIZE(Base); SIZE(Derived); SIZE(Box<int>); SIZE(Box<shapes::Base>); SIZE(Outer);
    SIZE(shapes::Outer::Nested); SIZE(Mode); SIZE(Late); SIZE(char32_t); SIZE(unsigned int);
    OFFSET(Derived, tag);
    OFFSET(Box<shapes::Base>, pointer); OFFSET(Outer, nested); OFFSET(Late, z);
    printf("%d %d %d\n", Derived::count + Derived::limit, hidden::secret, derived.reference);
    return text.size() + numbers.size() == 0;
}
