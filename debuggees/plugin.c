// A shared library to be loaded, unloaded and loaded again. See dlopen_plugin.

static int calls;
int plugin_state = 40;

__attribute__((noinline)) static int helper(int value) {
    return value * 2; // @mark helper
}

int plugin_entry(int value) { // @mark entry
    calls++;
    plugin_state += value; // @mark state
    return helper(value) + calls;
}
