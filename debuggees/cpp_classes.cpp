// Classes with several bases, in and under one another, and references, for
// what a debugger prints of them: all of them are locals of `main` when it
// calls `look`.
// Usage: cpp_classes

namespace shapes {
struct Named { int name = 1; };
struct Placed { int place = 2; };
struct Sized : Named, Placed { int size = 3; };
struct Weighed { int weight = 4; };
struct Crate : Weighed, Sized { int load = 5; };
struct Left : Named { int left = 6; };
struct Right : Named { int right = 7; };
struct Both : Left, Right { int both = 8; };
struct Shared { int shared = 9; };
struct Sharing : virtual Shared { int sharing = 10; };
struct Apart { int apart = 11; };
}

using namespace shapes;
enum Colour { RED, GREEN };
int total = 42;

__attribute__((noinline)) static void look() { __asm__ volatile(""); }

int main() {
    Crate crate;
    Both both;
    Sharing sharing;
    Apart apart;
    Crate *to_crate = &crate;
    const Sized *to_sized = &crate;
    Placed *to_placed = &crate;
    Placed *to_none = nullptr;
    Named *to_named = static_cast<Left *>(&both);
    Sized &sized = crate;
    Placed &placed = crate;
    int number = 300;
    int &same_number = number;
    char letter = 'x';
    char &same_letter = letter;
    double real = 1.5;
    double &same_real = real;
    Colour colour = GREEN;
    Colour &same_colour = colour;
    int numbers[3] = {1, 2, 255};
    int (&same_numbers)[3] = numbers;
    look();
    return total + to_crate->load + to_sized->size + to_placed->place + (to_none != nullptr)
        + to_named->name + sized.name + placed.place + same_number + same_letter
        + static_cast<int>(same_real) + same_colour + same_numbers[0] + sharing.sharing + apart.apart > 0 ? 0 : 1;
}
