// Runs a program whose `main` was moved into a shared library, so that the
// same scenario can be had with its code outside the executable.

int debuggee_main(int argc, char **argv);

int main(int argc, char **argv) {
    return debuggee_main(argc, argv);
}
