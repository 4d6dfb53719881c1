// Lines whose code is in several lexical blocks.
volatile int v;

int main(int argc, char **argv)
{
    (void)argv;
    { int a = argc; v = a; } { int b = v; v = b; { int c = b; v = c; } } v++; { int d = v; v = d; } // @mark siblings
    if (argc > 5) { int q = v; v = q; } // @mark condition
    for (int i = 0; i < 3; i++) { int z = i; v += z; } // @mark loop
    return 0;
}
