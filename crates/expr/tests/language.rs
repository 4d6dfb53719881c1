//! What expressions mean, as tables of text and printed value.

mod support;

use support::{World, int, member, pointer, record};
use trapline_core::types::{Language, RecordFlavour};
use trapline_expr::{Purpose, compile};

fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(World::new().show(text), *expected, "{text}");
    }
}

#[test]
fn literals() {
    check(&[
        ("42", "42"),
        ("0x2A", "42"),
        ("0b101", "5"),
        ("017", "15"),
        ("0o17", "15"),
        ("1_000_000", "1000000"),
        ("sizeof(1ul)", "8"),
        ("4294967295u", "4294967295"),
        ("0xffffffff", "4294967295"),
        ("4294967295", "4294967295"),
        ("200u8", "200"),
        ("300u8", "error: `u8` cannot hold 300"),
        ("'a'", "97 'a'"),
        ("'\\n'", "10 '\\n'"),
        ("'é' == 'é'", "true"),
        ("'\\xff'", "-1 '\\377'"),
        ("'\\200' + 0", "-128"),
        ("L'\\xff' + 0", "255"),
        ("b'\\xff'", "255"),
        ("b'a' + 0", "97"),
        ("b'é'", "error: a byte is one ASCII character or escape in quotes"),
        ("\"a\\x41\\n\"", "\"aA\\n\""),
        ("1.5", "1.5"),
        ("1.5f + 1", "2.5"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("true", "true"),
        ("NULL", "(void *) 0x0"),
        ("99999999999999999999", "error: an integer of more than 64 bits"),
        ("12abc", "error: unknown suffix `abc` of a number"),
    ]);
}

#[test]
fn arithmetic_follows_c() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("i / 2", "-3"),
        ("i % 4", "-3"),
        ("i >> 1", "-4"),
        ("u + 2000000000", "705032704"),
        ("u > i", "false"),
        ("l * 2", "2199023255552"),
        ("b + 100", "300"),
        ("~b", "-201"),
        ("-u", "1294967296"),
        ("!i", "false"),
        ("1 << 40", "0"),
        ("i >> 99", "-1"),
        ("c == 'a'", "true"),
        ("c + 1", "98"),
        ("flag + 1", "2"),
        ("f * 2", "3"),
        ("d < 0", "true"),
        ("ld", "3"),
        ("ld + 1", "4"),
        ("1 / 0", "error: division by zero in 1 / 0"),
        ("i / (arr[0] - 10)", "error: division by zero in i / (arr[0] - 10)"),
        ("1.0 / 0", "inf"),
        ("1 ? 2 : 3", "2"),
        ("0 ? 2 : 3.5", "3.5"),
        ("1 == 1.0", "true"),
        ("f % 2", "error: `%` has no meaning for `float`"),
        ("1 | 2 ^ 3 & 1", "3"),
        (
            "i < 0 && wild && *wild == 3",
            "error: cannot read *wild: Cannot access memory at address 0x8",
        ),
        ("i > 0 && *wild == 3", "false"),
        ("i < 0 || *wild == 3", "true"),
    ]);
}

#[test]
fn plus_plus_and_minus_minus_are_refused() {
    const PLUS: &str = "error: `++` is not supported (write `x += 1`, or for a double plus `+ +x`)";
    const MINUS: &str =
        "error: `--` is not supported (write `x -= 1`, or for a double minus `- -x`)";
    check(&[
        ("++i", PLUS),
        ("i++", PLUS),
        ("i+++u", PLUS),
        ("i++ + ++i", PLUS),
        ("--i", MINUS),
        ("i--", MINUS),
        ("i--b", MINUS),
        ("1--1", MINUS),
        ("ip[--i]", MINUS),
        ("- -i", "-7"),
        ("-(-i)", "-7"),
        ("+ +i", "-7"),
        ("-+i", "7"),
        ("i - -1", "-6"),
        ("i + +1", "-6"),
        ("i-(-1)", "-6"),
        ("i-=-1", "-6"),
        ("i+=+1", "-6"),
        ("p->value", "11"),
        ("1e-3", "0.001"),
        ("1e+3", "1000"),
        ("'-' - '+'", "2"),
        ("\"a--b++\"", "\"a--b++\""),
    ]);
}

#[test]
fn pointers_arrays_and_casts() {
    check(&[
        ("*ip", "20"),
        ("ip[1]", "30"),
        ("*(ip + 2)", "40"),
        ("ip - arr", "1"),
        ("ip == &arr[1]", "true"),
        ("ip == 0x1034", "true"),
        ("arr", "{10, 20, 30, 40}"),
        ("&arr", "(int (*)[4]) 0x1030"),
        ("arr[1]@2", "{20, 30}"),
        ("*ip@2", "{20, 30}"),
        ("*ip@(arr[0] / 5)", "{20, 30}"),
        ("*ip@(i)", "error: *ip@(i) has an invalid number of elements: -7"),
        ("(char)97", "97 'a'"),
        ("(unsigned char)i", "249 '\\371'"),
        ("i as u8", "249"),
        ("i as u8 * 2", "498"),
        ("i as u32 & 1 == 1", "1"),
        ("*(vp as *const i32)", "11"),
        ("*(vp as (int *))", "11"),
        ("i as u64 == 0xfffffffffffffff9", "true"),
        ("(long)f", "1"),
        ("d as i32", "0"),
        ("(myint)-1", "-1"),
        ("(myint)*ip", "20"),
        ("(i)-1", "-8"),
        ("(myint)(i)", "-7"),
        ("(bool)5", "true"),
        ("*(short *)&l", "0"),
        ("{int} 0x1034", "20"),
        (
            "*(struct node *)vp",
            "{value = 11, next = 0x1340, pos = {x = 1, y = 2}, low = 5, \
          delta = -3, {tag = 77}, name = \"head\\000\\000\\000\", color = BLUE}",
        ),
        ("((struct node *)vp)->value", "11"),
        ("(vp as *const node).value", "11"),
        ("*vp", "error: `void *` points to nothing that has a type (cast it first: `*(type *)p`)"),
        ("sizeof(int)", "4"),
        ("sizeof(struct node)", "48"),
        ("sizeof arr", "16"),
        ("sizeof \"abc\"", "4"),
        ("sizeof(\"\")", "1"),
        ("sizeof(myint)", "4"),
        ("ref", "(int &) @0x1000: -7"),
        ("ref + 1", "-6"),
        ("*wild", "error: cannot read *wild: Cannot access memory at address 0x8"),
        ("&i", "(int *) 0x1000"),
        ("*&i", "-7"),
        ("&5", "error: a computed value has no address"),
        ("i[0]", "error: `int` cannot be indexed"),
        ("(nosuch *)0", "error: no type is named `nosuch`"),
        ("handler", "{int (char)} 0x401000 <handler>"),
        ("fp == handler", "true"),
        ("fp", "(int (*)(char)) 0x401000 <handler>"),
    ]);
}

#[test]
fn what_only_a_symbol_table_knows_has_an_address_and_no_type() {
    const UNKNOWN: &str = "error: 'untyped' has unknown type; cast it to its declared type";
    check(&[
        ("&untyped", "(<data variable, no debug info> *) 0x1034"),
        ("*(int *)&untyped", "20"),
        ("&untyped == &arr[1]", "true"),
        ("(int)untyped", "20"),
        ("(char)untyped + 1", "21"),
        ("(int)untyped == 20 && i < 0", "true"),
        ("&(int &)untyped", "(int *) 0x1034"),
        ("{int} &untyped", "20"),
        ("untyped", UNKNOWN),
        ("untyped + 1", UNKNOWN),
        ("*untyped", UNKNOWN),
        ("sizeof untyped", UNKNOWN),
        ("untyped = 1", UNKNOWN),
        ("untyped.x", UNKNOWN),
        (
            "*&untyped",
            "error: `<data variable, no debug info> *` points to nothing that has a type \
             (cast it first: `*(type *)p`)",
        ),
    ]);
}

#[test]
fn a_cast_between_classes_goes_to_the_base_and_back() {
    check(&[
        ("*(B *)dp", "{b = 3}"),
        ("*(B *)&e", "{b = 3}"),
        ("*(B *)ep", "{b = 3}"),
        ("ep as (B *)", "(B *) 0x1508"),
        ("*(Base *)ep", "{b = 3}"),
        ("((B *)ep)->b", "3"),
        ("*(D *)bp", "{<A> = {a = 2}, <B> = {b = 3}, d = 4}"),
        ("*(D *)(Base *)bp", "{<A> = {a = 2}, <B> = {b = 3}, d = 4}"),
        ("*(E *)bp", "{<Z> = {z = 1}, <D> = {<A> = {a = 2}, <B> = {b = 3}, d = 4}, e = 5}"),
        ("(E *)(B *)ep == ep", "true"),
        ("(B &)e", "{b = 3}"),
        ("&(B &)*ep", "(B *) 0x1508"),
        ("((E &)*bp).e", "5"),
        ("(B)e", "{b = 3}"),
        ("(B)stored", "{b = 3}"),
        ("*(B *)opaque", "{b = 3}"),
        ("*(D *)opaque", "{<A> = {a = 2}, <B> = {b = 3}, d = 4}"),
        ("(B *)none", "(B *) 0x0"),
        ("(B *)(D *)0", "(B *) 0x0"),
        ("(E *)(B *)none", "(E *) 0x0"),
        ("(B *)(ep - 1)", "(B *) 0x14f4"),
    ]);
}

#[test]
fn pointers_to_base_and_derived_classes_meet() {
    check(&[
        ("bp == dp", "true"),
        ("dp == bp", "true"),
        ("ep != bp", "false"),
        ("(long)dp == (long)bp", "false"),
        ("(B *)0 == none", "true"),
        ("1 ? bp : ep", "(B *) 0x1508"),
        ("0 ? bp : ep", "(B *) 0x1508"),
        ("1 ? ep : bp", "(B *) 0x1508"),
        ("bp = ep", "(B *) 0x1508"),
        ("dp = bp", "(D *) 0x1504"),
        ("bp = none", "(B *) 0x0"),
        ("(B *)(ep += 1)", "(B *) 0x151c"),
    ]);
}

#[test]
fn classes_that_are_not_related_are_reinterpreted() {
    check(&[
        ("*(Z *)bp", "{z = 3}"),
        ("*(B *)(void *)ep", "{b = 1}"),
        ("*(B *)(long)ep", "{b = 1}"),
        ("(L &)e", "{<A> = {a = 1}, l = 2}"),
        ("{B} ep", "{b = 1}"),
        (
            "(E)*bp",
            "error: a value cannot be converted to `E` (cast a pointer instead: `*(type *)&x`)",
        ),
    ]);
}

#[test]
fn a_base_without_one_place_is_refused() {
    const TWICE: &str = "error: `A` is an ambiguous base of `M` \
                         (cast to the class between the two first)";
    const ELSEWHERE: &str = "error: `V` is a virtual base of `X`: \
                             its place is in the object's vtable";
    check(&[
        ("(A *)&m", TWICE),
        ("(A &)m", TWICE),
        ("(M *)(A *)&e", TWICE),
        ("(A *)&m == (A *)&e", TWICE),
        ("*(A *)(R *)&m", "{a = 3}"),
        ("m.l", "2"),
        ("(V *)&x", "(V *) 0x1558"),
        ("(V *)(X *)0", "(V *) 0x0"),
        ("(V &)x", "{v = 7}"),
        ("(X *)(V *)0", ELSEWHERE),
        ("*(W *)&x", "{<V> = {v = 7}, w = 5}"),
        ("((W *)&x)->w", "5"),
        ("x.v", "7"),
        ("x.v = 8", "8"),
        ("x.nosuch", "error: `X` has no member `nosuch`"),
        ("m.a", "error: `a` is in several bases of this object (cast to one first: `((L &)x).a`)"),
        ("((R &)m).a", "3"),
    ]);
}

#[test]
fn operators_mean_what_they_do_in_the_language_of_the_place() {
    let check = |text: &str, in_c: &str, in_rust: &str| {
        for (language, expected) in [(Language::C, in_c), (Language::Rust, in_rust)] {
            let mut world = World { language, ..World::new() };
            assert_eq!(world.show(text), expected, "{text} in {language:?}");
        }
    };
    check("6 & 4 == 4", "0", "true");
    check("4 == 6 & 4", "0", "true");
    check("1 | 2 == 3", "1", "true");
    check("3 ^ 2 < 3", "2", "true");
    check("1 | 6 ^ 2 & 3 == 5", "7", "true");
    check("1 < 2 && 6 & 4 != 0 || false", "false", "true");
    check("!6", "false", "-7");
    check("!b", "false", "55 '7'");
    check("!true", "false", "false");
    check("!p", "false", "false");
    check("b << 4", "3200", "128 '\\200'");
    check("b >> 4 << 4", "192", "192 '\\300'");
    check("b + b", "400", "400");
    check("0.1f == 0.1", "false", "true");
    check("-0.1 == -0.1f", "false", "true");
    check("0.1f + 0.2 == 0.3", "false", "true");
    check("0.1f < 0.1f + 0.0", "false", "false");
}

#[test]
fn cpp_has_other_spellings() {
    check(&[
        ("i == 3 or not (u < 8)", "true"),
        ("not i and true", "false"),
        ("6 bitand 3 xor 1 bitor 8", "11"),
        ("1 not_eq 2", "true"),
        ("compl 5", "-6"),
        ("static_cast<char>(97)", "97 'a'"),
        ("static_cast<unsigned int>(-1) + 0", "4294967295"),
        ("reinterpret_cast<int *>(4096) + 1", "(int *) 0x1004"),
        ("const_cast<struct node *>(p)->value", "11"),
        (
            "dynamic_cast<int>(1)",
            "error: `dynamic_cast` is not supported (`static_cast` goes to a derived class unasked)",
        ),
        ("static_cast<int> 1", "error: expected `(`, found `1`"),
    ]);
}

#[test]
fn rusts_casts_stay_within_the_type() {
    check(&[
        ("300.7 as u8", "255"),
        ("-1.5 as u8", "0"),
        ("-0.5 as u8", "0"),
        ("255.9 as u8", "255"),
        ("1e10 as i32", "2147483647"),
        ("-1e10 as i32", "-2147483648"),
        ("1e19 as i64", "9223372036854775807"),
        ("1e20 as u64", "18446744073709551615"),
        ("1.8e19 as u64", "18000000000000000000"),
        ("-128.9 as i8", "-128"),
        ("(0.0 / 0.0) as i32", "0"),
        ("3e10f as u32", "4294967295"),
        ("300 as u8", "44"),
        ("(unsigned char)44.7", "44 ','"),
    ]);
}

#[test]
fn members() {
    check(&[
        ("node.value", "11"),
        ("p->value", "11"),
        ("p.value", "11"),
        ("p->next->value", "22"),
        ("p.next.pos.y", "2"),
        (
            "p->next->next->value",
            "error: cannot read p->next->next->value: Cannot access memory at address 0x0",
        ),
        ("p->tag", "77"),
        ("p->low", "5"),
        // What has all its values in an `int` computes as one.
        ("p->low - 6", "-1"),
        ("p->low > -1", "true"),
        ("-p->low", "-5"),
        ("p->low", "5"),
        ("p->delta", "-3"),
        ("p->delta + 1", "-2"),
        ("&p->low", "error: a bit-field has no address"),
        ("p->color == BLUE", "true"),
        ("GREEN == paint", "true"),
        ("paint == PINK", "error: no symbol `PINK` in this context"),
        ("p->nxt", "error: `struct node` has no member `nxt` (did you mean `next`?)"),
        ("i.x", "error: `int` has no members"),
        ("pair.0", "9"),
        ("pair.1", "true"),
        ("opt.Some.0", "5"),
    ]);
}

#[test]
fn a_methods_members_hide_what_is_outside_its_class() {
    let names = ["i", "u", "local", "f"];
    let members = names.iter().zip((0..).step_by(4)).map(|(name, at)| member(name, &int(), at));
    let class = record("Hiding", RecordFlavour::Class, 16, members.collect());
    let check = |text: &str, expected: &str| {
        let mut world = World::new();
        world.global("this", &pointer(&class), 0x1600, &0x1030u64.to_le_bytes());
        assert_eq!(world.show(text), expected, "{text}");
    };
    check("i", "10");
    check("i == 10 && f == 40", "true");
    check("i + u", "30");
    check("::i", "-7");
    check("local", "99");
    check("this->local", "30");
    check("c", "97 'a'");
    check("sizeof f", "4");
}

#[test]
fn places() {
    check(&[
        ("reg", "-2"),
        ("local", "99"),
        ("computed", "42"),
        ("vec", "2.5"),
        ("gone", "error: gone is not available: optimized out"),
        ("gone + 1", "error: gone is not available: optimized out"),
        ("&reg", "error: it has no address: it is not in memory"),
        ("file.c::hidden", "5"),
        ("'file.c'::hidden", "5"),
        ("main::count", "6"),
        ("$eax", "1432782967"),
        ("$ax", "-30601"),
        ("$ah == (char)0x88", "true"),
        ("$rax", "1234605616436512887"),
        ("$pc", "(void (*)(void)) 0x401000 <handler>"),
        ("$rbp", "(void *) 0x2000"),
        ("$xmm1.v2_double[0]", "2.5"),
        ("$rcx", "error: cannot evaluate $rcx: rcx is not known in this frame"),
        ("$mine + 1", "43"),
        (
            "$nothing",
            "error: `$nothing` has no value (it is no register, no input, and was never set)",
        ),
        ("local_", "error: no symbol `local_` in this context (did you mean `local`?)"),
    ]);
}

#[test]
fn texts() {
    check(&[
        ("text == \"hello\"", "true"),
        ("text == \"hell\"", "false"),
        ("text == \"hello!\"", "false"),
        ("\"hello\" != text", "false"),
        ("buf == \"abc\"", "true"),
        ("full == \"xyz\"", "true"),
        ("full == \"xy\"", "false"),
        ("s == \"hello\"", "true"),
        ("s == \"hell\"", "false"),
        ("split == \"hell\"", "true"),
        ("owned == \"hello\"", "true"),
        ("$_streq(s, text)", "true"),
        ("$_streq(buf, text)", "false"),
        ("edge == \"e\"", "false"),
        (
            "edge == \"end\"",
            "error: cannot read edge == \"end\": Cannot access memory at address 0x2000",
        ),
        (
            "arr == \"x\"",
            "error: `int [4]` is no text (texts are `char *`, `char [N]`, `&str`, `String` and `std::string`)",
        ),
        ("text < \"x\"", "error: texts can only be compared with `==` and `!=`"),
        ("$_thread_name == \"worker\"", "true"),
        ("$_thread_name", "\"worker\""),
        ("$_caller == \"main\"", "error: cannot evaluate $_caller: there is no caller"),
    ]);
}

#[test]
fn assignments() {
    check(&[
        ("i = 5", "5"),
        ("(i = 5) + i", "10"),
        ("i += 1", "-6"),
        ("p->value = 300, 1", "error: unexpected `,` after the expression"),
        ("p->low = 9", "error: the value does not fit in 3 bits"),
        ("p->low = i + 16", "1"),
        ("(p->delta = 1) + p->low * 10", "51"),
        ("flag = 7", "true"),
        ("f = 2", "2"),
        ("reg = 3", "3"),
        ("5 = 3", "error: this cannot be assigned to"),
        ("node = node", "error: a value of type `struct node` cannot be computed with"),
    ]);
    let mut world = World::new();
    world.eval("$eax = 1", Purpose::Assignment).unwrap();
    assert_eq!(world.written, [("rax".to_owned(), vec![1, 0, 0, 0])]);
    let refused = world.eval("i = 1", Purpose::Value).unwrap_err();
    assert!(refused.contains("not allowed here"), "{refused}");
}

#[test]
fn a_condition_is_a_truth_value() {
    let check = |text: &str, expected: Result<bool, &str>| {
        let mut world = World::new();
        let program = compile(text, &world, Purpose::Condition);
        let held = match &program {
            Ok(program) => trapline_expr::condition(program, &mut world).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(held, expected.map_err(str::to_owned), "{text}");
        if let Ok(program) = &program {
            let value = trapline_expr::evaluate(program, &mut world).unwrap();
            assert_eq!(program.is_true(&value), held.unwrap(), "{text}");
        }
    };
    check("i", Ok(true));
    check("i + 7", Ok(false));
    check("p && p->value == 11", Ok(true));
    check("d", Ok(true));
    check("0.0 * -1", Ok(false));
    check("$_hits % 7 == 0", Ok(true));
    check(
        "node",
        Err(
            "this is neither true nor false: a value of type `struct node` cannot be computed with",
        ),
    );
}

#[test]
fn inputs_are_listed() {
    let world = World::new();
    let program =
        compile("$_hits > 3 && $_tid == 1 || $_hits", &world, Purpose::Condition).unwrap();
    let names: Vec<&str> = program.inputs.iter().map(|input| input.name()).collect();
    assert_eq!(names, ["_hits", "_tid"]);
    assert_eq!(program.changed_slots, 0);
}

#[test]
fn changed_compares_with_the_last_evaluation() {
    let mut world = World::new();
    let program = compile("$_changed(i) || $_changed(node)", &world, Purpose::Condition).unwrap();
    assert_eq!(program.changed_slots, 2);
    let pass = |world: &mut World| trapline_expr::condition(&program, world).unwrap();
    assert!(!pass(&mut world));
    assert!(!pass(&mut world));
    world.put(0x1000, &[1]);
    assert!(pass(&mut world));
    assert!(!pass(&mut world));
    world.put(0x1300, &[1]);
    assert!(pass(&mut world));
}

#[test]
fn a_filter_names_only_threads() {
    let check = |text: &str, expected: Option<bool>| {
        let mut world = World::new();
        let held = world.eval(text, Purpose::Filter).map(|value| value.bytes.as_ref() != [0]);
        match expected {
            Some(expected) => assert_eq!(held, Ok(expected), "{text}"),
            None => assert!(held.unwrap_err().contains("a filter may not look"), "{text}"),
        }
    };
    check("$_tid == 4321 && $_pid != 1", Some(true));
    check("$_thread_name == \"main\" || $_process_name == \"x\"", Some(false));
    check("!($_machine == \"host\")", Some(false));
    for refused in ["i == 3", "$rax", "$_hits > 3", "*(int *)0x1000", "$_changed($_tid)", "$mine"] {
        check(refused, None);
    }
}

#[test]
fn wrong_text_says_where() {
    let check = |text: &str, rendered: &str| {
        let error = trapline_expr::parse(text).unwrap_err();
        assert_eq!(error.render(text), rendered);
    };
    check("i + ", "i + \n    ^ expected an expression, found end");
    check("(i", "(i\n  ^ expected `)`, found end");
    check("a b", "a b\n  ^ unexpected `b` after the expression");
    check("\"abc", "\"abc\n^~~~ a string that is never closed");
    check(
        "f(3)",
        "f(3)\n^~ an expression cannot call functions of the program\n\
         help: it is evaluated while the program stands still",
    );
    check(
        "i + i--",
        "i + i--\n     ^~ `--` is not supported\n     \
         help: write `x -= 1`, or for a double minus `- -x`",
    );
    check("0..0", "0..0\n  ^ expected a member's name, found `.`");
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(trapline_expr::parse(&deep).unwrap_err().message.contains("nest at most"));
    let refused = (1..200).filter(|depth| {
        let text = format!("{}i{}", "-(".repeat(*depth), ")".repeat(*depth));
        World::new().show(&text).contains("nest at most")
    });
    assert_eq!(refused.min(), Some(50));
    let chain = format!("a{}", ".b".repeat(5000));
    assert!(trapline_expr::parse(&chain).unwrap_err().message.contains("nest at most"));
    let long = "1+".repeat(10_000);
    assert!(trapline_expr::parse(&long).unwrap_err().message.contains("bytes long"));
}

#[test]
fn odd_names_print_so_that_they_read_back() {
    for text in [
        "{'*5ux8['}40",
        "(struct '5x')1",
        "{'a*b['}0",
        "{unsigned int}8",
        "{'ns::T<int> x['}0",
        "(T&&&)a",
    ] {
        trapline_expr::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        trapline_expr::fuzz_parse(text);
    }
    let signs = format!("{}0", "+-*&!~".repeat(12));
    trapline_expr::parse(&signs).unwrap();
    trapline_expr::fuzz_parse(&signs);
}
