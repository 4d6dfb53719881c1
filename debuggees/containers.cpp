// Objects of the C++ standard library: empty, with one element, with many, in
// one another, moved away from, not yet there, and overwritten. Functions are
// called with them in numbers that are counted.
// Usage: containers
// Prints: alices=N longs=N fives=N shared=N empty=N

#include <any>
#include <atomic>
#include <array>
#include <bitset>
#include <cstdio>
#include <cstring>
#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#if __cplusplus >= 202002L
#include <span>
#endif
#include <stack>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>

struct Person {
    int id;
    std::string name;
};

struct alignas(32) Wide {
    long value;
};

static volatile int sink;

static int twice(int value) {
    return 2 * value;
}

static void sequences() {
    std::string empty_text, text = "hello", quoted = "a \"b\"\n", zeros("a\0b", 3);
    std::string many_characters(300, 'x');
    std::string_view view = std::string_view(text).substr(1, 3);
    std::wstring wide_text = L"wide";
    std::u16string two_bytes = u"sixteen";
    std::u32string four_bytes = U"thirty-two";
    std::vector<int> none, one = {1}, three = {1, 2, 3}, many(1000, 7);
    three.reserve(10);
    std::vector<Person> people = {{1, "one"}, {2, "two"}};
    std::vector<std::vector<int>> nested = {{}, {1}, {2, 3}};
    std::vector<std::string> texts = {"a", "bc"};
    std::vector<bool> no_bits, bits = {true, false, true}, many_bits(130, true);
    std::vector<Wide> aligned = {{1}, {2}};
    std::vector<int *> pointers = {nullptr};
    std::deque<int> no_ends, ends = {1, 2};
    std::deque<int> long_ends;
    for (int i = 0; i < 300; i++) {
        long_ends.push_back(i);
        long_ends.push_front(-i);
    }
    std::deque<Person> deque_of_people = {{3, "three"}};
    std::list<int> no_list, list = {4, 5, 6};
    std::list<std::string> list_of_texts = {"x"};
    std::list<Wide> aligned_list = {{3}};
    std::forward_list<int> no_forward, forward = {7, 8};
    std::array<int, 3> array = {1, 2, 3};
#if __cplusplus >= 202002L
    std::span<int> span = three;
    std::span<int, 3> fixed_span = array;
#endif
    std::stack<int> stack;
    stack.push(1);
    std::queue<int> queue;
    std::priority_queue<int> heap;
    heap.push(4);
    heap.push(9);
    std::vector<int> &reference = three;
    std::vector<int> *pointer = &three;
    std::vector<int>::iterator at = three.begin() + 1;
    sink = sink + text.size(); // @mark sequences
}

static void lookups() {
    std::map<std::string, int> no_map, map = {{"a", 1}, {"b", 2}};
    std::map<int, int> large;
    for (int i = 0; i < 1000; i++) {
        large[i * 7 % 1000] = i;
    }
    std::map<int, std::vector<std::string>> map_of_vectors = {{1, {"p", "q"}}, {2, {}}};
    std::multimap<int, int> multimap = {{1, 1}, {1, 2}};
    std::set<int> no_set, set = {3, 1, 2};
    std::set<Person *> set_of_pointers = {nullptr};
    std::multiset<char> multiset = {'a', 'a'};
    std::unordered_map<int, std::string> no_table, table = {{1, "x"}};
    std::unordered_map<std::string, int> table_by_text = {{"key", 5}};
    std::unordered_set<int> table_of_keys = {5};
    std::unordered_multimap<int, int> multi_table = {{1, 1}, {1, 1}};
    std::map<int, int>::iterator at = large.begin();
    sink = sink + map.size(); // @mark lookups
}

static void wrappers() {
    std::pair<int, double> pair = {1, 2.5};
    std::pair<std::string, std::pair<int, int>> pair_of_pairs = {"a", {1, 2}};
    std::tuple<> empty_tuple;
    std::tuple<int, char, std::string> tuple = {1, 'c', "t"};
    std::optional<int> some = 5, nothing;
    std::optional<std::string> some_text = "opt";
    std::variant<int, std::string> second = "var", first = 3;
    std::unique_ptr<int> owned(new int(7)), unowned;
    std::unique_ptr<Person, void (*)(Person *)> with_deleter(new Person{4, "d"}, [](Person *it) { delete it; });
    std::shared_ptr<Person> shared = std::make_shared<Person>(Person{3, "sh"}), unshared;
    std::weak_ptr<Person> weak = shared, expired = std::make_shared<Person>();
    std::function<int(int)> function = twice, no_function;
    std::bitset<10> bits(5);
    std::bitset<100> more_bits;
    more_bits.set(99);
    std::vector<std::unique_ptr<int>> owners;
    owners.push_back(std::make_unique<int>(1));
    std::optional<std::vector<int>> some_vector = std::vector<int>{1};
    sink = sink + function(0); // @mark wrappers
}

static void moved() {
    std::string text = "a text that is too long to be kept inside";
    std::string text_to = std::move(text);
    std::vector<int> vector = {1, 2}, vector_to = std::move(vector);
    std::map<int, int> map = {{1, 2}}, map_to = std::move(map);
    std::list<int> list = {1}, list_to = std::move(list);
    std::deque<int> deque = {1}, deque_to = std::move(deque);
    std::unordered_map<int, int> table = {{1, 2}}, table_to = std::move(table);
    std::unique_ptr<int> owned(new int(1)), owned_to = std::move(owned);
    sink = sink + text_to.size(); // @mark moved
}

// What a handle is in place of a pointer.
struct Handle {
    int number;
    Handle(int number = -1) : number(number) {}
    Handle(std::nullptr_t) : number(-1) {}
    explicit operator bool() const {
        return number >= 0;
    }
    bool operator==(Handle other) const {
        return number == other.number;
    }
    bool operator!=(Handle other) const {
        return number != other.number;
    }
};

struct Close {
    using pointer = Handle;
    void operator()(Handle) {}
};

struct Crowd : std::vector<Person> {
    int limit = 9;
};

struct Title : std::string {
    using std::string::string;
};

static void special(std::optional<int> &maybe, std::unique_ptr<Person> &owner, std::vector<int>::iterator &at) {
    std::unique_ptr<int, Close> handle(Handle(7));
    std::unique_ptr<int[]> numbers(new int[3]{4, 5, 6});
    std::shared_ptr<int[]> shared_numbers(new int[2]{7, 8});
    std::map<std::string, std::unique_ptr<int[]>> map_of_arrays;
    map_of_arrays["a"].reset(new int[1]{9});
    Crowd crowd;
    crowd.push_back({1, "one"});
    Title title = "sir";
    std::atomic<double> real = 1.5;
    std::bitset<0> no_bits;
    std::vector<int> short_one = {1, 2, 3};
    short_one.pop_back();
    std::optional<int> emptied = 7;
    emptied.reset();
    sink = sink + *maybe + owner->id + *at; // @mark special
}

// Two types of one name, to compilers that name them by their names alone.
static void local_long() {
    struct Local {
        long pad[3];
        int id;
    };
    std::unique_ptr<Local> owner(new Local{{}, 1});
    std::list<Local> list = {{{}, 3}};
    auto at = list.begin();
    sink = sink + owner->id + at->id; // @mark local_long
}

static void local_short() {
    struct Local {
        int id;
    };
    std::unique_ptr<Local> owner(new Local{2});
    std::list<Local> list = {{4}};
    auto at = list.begin();
    sink = sink + owner->id + at->id; // @mark local_short
}

// Room for objects whose bytes are never those of sound ones.
template <typename T> union Room {
    char bytes[sizeof(T)];
    T object;
    Room() {}
    ~Room() {}
};

static void overwritten(unsigned pattern) {
    Room<std::string> text;
    Room<std::string_view> view;
    Room<std::vector<int>> vector;
    Room<std::vector<bool>> bits;
    Room<std::vector<std::string>> texts;
    Room<std::deque<int>> deque;
    Room<std::list<int>> list;
    Room<std::forward_list<int>> forward;
    Room<std::map<int, int>> map;
    Room<std::set<std::string>> set;
    Room<std::unordered_map<int, std::string>> table;
    Room<std::optional<std::string>> some;
    Room<std::variant<int, std::string>> variant;
    Room<std::shared_ptr<Person>> shared;
    Room<std::unique_ptr<Person>> owned;
    Room<std::function<int(int)>> function;
    Room<std::stack<int>> stack;
    Room<std::tuple<int, std::string>> tuple;
    auto overwrite = [&](auto &room) {
        for (size_t i = 0; i < sizeof(room.bytes); i++) {
            // Beyond 256: pointers back to the object itself.
            unsigned long self = (unsigned long)&room.bytes[0] + pattern % 64;
            room.bytes[i] = pattern < 256 ? (char)pattern : (char)(self >> i % 8 * 8);
        }
    };
    overwrite(text);
    overwrite(view);
    overwrite(vector);
    overwrite(bits);
    overwrite(texts);
    overwrite(deque);
    overwrite(list);
    overwrite(forward);
    overwrite(map);
    overwrite(set);
    overwrite(table);
    overwrite(some);
    overwrite(variant);
    overwrite(shared);
    overwrite(owned);
    overwrite(function);
    overwrite(stack);
    overwrite(tuple);
    sink = sink + text.bytes[0] * 0; // @mark overwritten
}

__attribute__((noinline)) static void greet(const std::string &name, int) {
    sink = sink + name.size(); // @mark greet
}

__attribute__((noinline)) static void count(const std::vector<Person> &people) {
    sink = sink + people.size(); // @mark count
}

__attribute__((noinline)) static void share(std::shared_ptr<Person> person, std::string_view view) {
    sink = sink + person->id + view.size(); // @mark share
}

int main() {
    sequences();
    lookups();
    wrappers();
    moved();
    std::optional<int> maybe = 3;
    auto owner = std::make_unique<Person>(Person{5, "five"});
    std::vector<int> vector = {6};
    auto at = vector.begin();
    special(maybe, owner, at);
    local_long();
    local_short();
    for (unsigned pattern : {0u, 1u, 0x41u, 0x7fu, 0x80u, 0xffu, 256u, 256u + 8, 256u + 16}) {
        overwritten(pattern);
    }
    const char *names[] = {"alice", "alic", "alices", "", "bob"};
    int alices = 0, longs = 0, fives = 0, shared = 0, empty = 0;
    for (int i = 0; i < 2000; i++) {
        std::string name = names[i % 5];
        alices += name == "alice";
        greet(name, i);
        std::vector<Person> people(i % 7, Person{i % 6, name});
        longs += people.size() > 3;
        fives += people.size() > 1 && people[1].id == 5;
        empty += people.size() - 1 > 100;
        count(people);
        auto person = std::make_shared<Person>(Person{i % 3, name});
        shared += person->id == 2 && person->name == "bob";
        share(person, person->name);
    }
    std::printf("alices=%d longs=%d fives=%d shared=%d empty=%d\n", alices, longs, fives, shared, empty);
    return sink == -1;
}
