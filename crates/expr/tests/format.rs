//! How values and types print.

mod support;

use std::sync::Arc;

use support::{World, array, base, char_type, enumeration, int, member, pointer, record};
use trapline_core::types::{
    AliasFlavour, BaseKind, PointerFlavour, RecordFlavour, Type, TypeKind, TypeLink,
};
use trapline_expr::format::{FormatOptions, Letter, describe_type, float_text, type_name};
use trapline_expr::{Purpose, Value};

#[test]
fn values_print_as_in_gdb() {
    let check = |text: &str, expected: &str| {
        assert_eq!(World::new().show(text), expected, "{text}");
    };
    check("c", "97 'a'");
    check("b", "200 '\\310'");
    check("flag", "true");
    check("paint", "GREEN");
    check("mask", "(A | C)");
    check("(color)3", "3");
    check("text", "0x1180 \"hello\"");
    check("wild", "(int *) 0x8");
    check("vp", "(void *) 0x1300");
    check("(char *)8", "0x8 <error: Cannot access memory at address 0x8>");
    check("(char *)0", "0x0");
    check("buf", "\"abc\\000\\000\\000\\000\"");
    check("full", "\"xyz\"");
    check("zeros", "\"start\", '\\000' <repeats 26 times>");
    check("p->pos", "{x = 1, y = 2}");
    check("&p->pos", "(struct point *) 0x1310");
    check("s", "\"hello\"");
    check("owned", "\"hello\"");
    check("split", "\"hell\"");
    check("pair", "(9, true)");
    check("opt", "Some(5)");
    check("nothing", "None");
    check("*ip@3", "{20, 30, 40}");
    check("&handler", "(int (*)(char)) 0x401000 <handler>");
}

#[test]
fn what_is_nowhere_is_said_part_by_part() {
    let check = |text: &str, missing: &[(usize, usize)], expected: &str| {
        let mut world = World::new();
        let mut value = world.eval(text, Purpose::Value).unwrap();
        value.missing = missing.iter().map(|&(start, end)| start..end).collect();
        assert_eq!(world.print(&value, FormatOptions::default()), expected, "{text} {missing:?}");
    };
    check("p->pos", &[(4, 8)], "{x = 1, y = <optimized out>}");
    check("p->pos", &[(2, 3)], "{x = <optimized out>, y = 2}");
    check("p->pos", &[(0, 4), (4, 8)], "<optimized out>");
    check("*ip@3", &[(4, 8)], "{20, <optimized out>, 40}");
    check("i", &[(3, 4)], "<optimized out>");
    check("opt", &[(0, 1)], "<optimized out>");
    check("s", &[(0, 1)], "{data_ptr = <optimized out>, length = 5}");
}

#[test]
fn letters_change_the_base() {
    let check = |text: &str, letter: char, expected: &str| {
        let mut world = World::new();
        let value = world.eval(text, Purpose::Value).unwrap();
        let options = FormatOptions { letter: Letter::parse(letter), ..FormatOptions::default() };
        assert!(options.letter.is_some());
        assert_eq!(world.print(&value, options), expected, "{text} /{letter}");
    };
    check("i", 'x', "0xfffffff9");
    check("b", 'z', "0xc8");
    check("p->value", 'z', "0x0000000b");
    check("u", 'd', "-1294967296");
    check("i", 'u', "4294967289");
    check("b", 'o', "0310");
    check("p->low", 't', "101");
    check("97", 'c', "97 'a'");
    check("300", 'c', "44 ','");
    check("300ul", 'c', "44 ','");
    check("200", 'c', "-56 '\\310'");
    check("-300", 'c', "-44 '\\324'");
    check("0xffffff80", 'c', "128 '\\200'");
    check("(char)200", 'c', "-56 '\\310'");
    check("b", 'c', "200 '\\310'");
    check("arr", 'c', "{10 '\\n', 20 '\\024', 30 '\\036', 40 '('}");
    check("ip", 'c', "52 '4'");
    check("flag", 'c', "1 '\\001'");
    check("paint", 'c', "5 '\\005'");
    check("65.5", 'c', "65 'A'");
    check("ld", 'c', "3 '\\003'");
    check("fp", 'a', "0x401000 <handler>");
    check("f", 'f', "1.5");
    check("text", 's', "0x1180 \"hello\"");
    check("text", 'x', "0x1180");
    check("arr", 'x', "{0xa, 0x14, 0x1e, 0x28}");
    check("buf", 'd', "{97, 98, 99, 0, 0, 0, 0, 0}");
    check("paint", 'd', "5");
    for (letter, value) in [
        ('x', "0xfffffff9"),
        ('d', "-7"),
        ('u', "4294967289"),
        ('o', "037777777771"),
        ('t', "11111111111111111111111111111001"),
        ('c', "-7 '\\371'"),
        ('a', "0xfffffff9"),
        ('z', "0xfffffff9"),
        ('s', "-7"),
    ] {
        check("ref", letter, &format!("(int &) @0x1000: {value}"));
    }
    check("holder", 'x', "{r = @0x1000, k = 0x3}");
    assert_eq!(Letter::parse('q'), None);
}

#[test]
fn long_arrays_are_counted_and_cut() {
    let check = |numbers: &[i32], max_elements: usize, expected: &str| {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let value = Value::new(array(&int(), numbers.len() as u64), &bytes);
        let options = FormatOptions { max_elements, ..FormatOptions::default() };
        assert_eq!(World::new().print(&value, options), expected);
    };
    check(&[1, 1, 1], 200, "{1, 1, 1}");
    check(&[0; 12], 200, "{0 <repeats 12 times>}");
    check(&[vec![7], vec![3; 10], vec![7]].concat(), 200, "{7, 3 <repeats 10 times>, 7}");
    check(&[1, 2, 3, 4], 2, "{1, 2...}");
    check(&[], 200, "{}");
}

#[test]
fn depth_and_pretty_shape_records() {
    let mut world = World::new();
    let value = world.eval("*p", Purpose::Value).unwrap();
    let flat = FormatOptions { depth: 1, ..FormatOptions::default() };
    let text = world.print(&value, flat);
    assert!(text.contains("pos = {...}"), "{text}");
    let point = world.eval("p->pos", Purpose::Value).unwrap();
    let pretty = FormatOptions { pretty: true, ..FormatOptions::default() };
    assert_eq!(world.print(&point, pretty), "{\n  x = 1,\n  y = 2\n}");
}

#[test]
fn floats_are_as_short_as_they_can_be() {
    let check = |value: f64, expected: &str| assert_eq!(float_text(value), expected);
    check(1.0, "1");
    check(0.1, "0.1");
    check(-2.5, "-2.5");
    check(100_000.0, "100000");
    check(1e17, "1e+17");
    check(1.25e-7, "1.25e-07");
    check(0.0001, "0.0001");
    check(f64::INFINITY, "inf");
    check(f64::NAN, "nan(0x8000000000000)");
    check(-0.0, "-0");
    check(5e-324, "5e-324");
}

#[test]
fn types_are_spelled_as_c_declares_them() {
    let types = World::new();
    let check = |ty: &Arc<Type>, expected: &str| assert_eq!(type_name(ty, &types), expected);
    let const_char = alias_of(AliasFlavour::Const, &char_type());
    check(&pointer(&const_char), "const char *");
    check(&alias_of(AliasFlavour::Const, &pointer(&char_type())), "char * const");
    check(&pointer(&array(&int(), 4)), "int (*)[4]");
    check(&array(&pointer(&int()), 4), "int *[4]");
    check(&array(&array(&int(), 3), 2), "int [2][3]");
    let function = Arc::new(Type {
        name: String::new(),
        size: None,
        kind: TypeKind::Function {
            result: Some(TypeLink::Known(pointer(&char_type()))),
            parameters: vec![
                TypeLink::Known(int()),
                TypeLink::Known(base("long", BaseKind::Signed, 8)),
            ],
        },
    });
    check(&function, "char *(int, long)");
    check(&pointer(&function), "char *(*)(int, long)");
    check(&array(&pointer(&function), 2), "char *(*[2])(int, long)");
    check(&record("std::pair<int, int>", RecordFlavour::Struct, 8, vec![]), "std::pair<int, int>");
    check(&pointer(&record("", RecordFlavour::Struct, 8, vec![])), "struct {...} *");
    check(&types.types["myint"], "myint");
    let reference = TypeKind::Pointer {
        target: Some(TypeLink::Known(const_char)),
        flavour: PointerFlavour::Reference,
    };
    check(&Arc::new(Type { name: String::new(), size: Some(8), kind: reference }), "const char &");
}

fn alias_of(flavour: AliasFlavour, ty: &Arc<Type>) -> Arc<Type> {
    support::alias("", flavour, ty)
}

#[test]
fn types_open_up() {
    let world = World::new();
    let check = |ty: &Arc<Type>, expected: &str| {
        assert_eq!(describe_type(ty, &world).unwrap(), expected);
    };
    check(&world.types["myint"], "int");
    check(&world.types["color"], "enum color {RED, GREEN = 5, BLUE}");
    check(&pointer(&world.types["point"]), "struct point {\n    int x;\n    int y;\n} *");
    check(
        &world.types["node"],
        "struct node {\n    int value;\n    struct node *next;\n    struct point pos;\n    \
         unsigned int low : 3;\n    int delta : 5;\n    union {\n        int tag;\n    };\n    char name[8];\n    \
         enum color color;\n}",
    );
    let mut parent = member("", &world.types["point"], 0);
    parent.base_class = true;
    let child = record("child", RecordFlavour::Class, 12, vec![parent, member("z", &int(), 8)]);
    check(&child, "class child : public point {\n    int z;\n}");
    let value = Value::new(child, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(world.print(&value, FormatOptions::default()), "{<point> = {x = 1, y = 2}, z = 3}");
    let flags = enumeration("f", &[("A", 1), ("B", 2)]);
    let odd = Value::new(flags, &[9, 0, 0, 0]);
    assert_eq!(world.print(&odd, FormatOptions::default()), "(A | unknown: 0x8)");
}
