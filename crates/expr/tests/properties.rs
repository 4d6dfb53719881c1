//! Laws: the parser never panics, printing and parsing are inverse, and the
//! verifier accepts whatever the checker makes.

mod support;

use proptest::prelude::*;
use support::World;
use trapline_expr::ast::{BinaryOp, Expr, ExprKind, Path, SpanOfName, TypeName, UnaryOp};
use trapline_expr::{Purpose, compile, fuzz_parse, ir, parse};

/// Text made of the language's own pieces, so that much of it parses.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "i",
        "p",
        "node",
        "arr",
        "text",
        "buf",
        "s",
        "opt",
        "pair",
        "f",
        "d",
        "ld",
        "b",
        "c",
        "reg",
        "gone",
        "ref",
        "paint",
        "RED",
        "vp",
        "1",
        "0x7f",
        "1.5",
        "'a'",
        "\"hello\"",
        "$rax",
        "$_tid",
        "$_thread_name",
        "$_hits",
        "$_changed(",
        "$_streq(",
        ",",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "+",
        "-",
        "*",
        "/",
        "%",
        "&",
        "|",
        "^",
        "<<",
        ">>",
        "<",
        ">",
        "==",
        "!=",
        "&&",
        "||",
        "!",
        "~",
        "?",
        ":",
        "::",
        ".",
        "->",
        "->*",
        ".*",
        "@",
        "=",
        "as",
        "int",
        "unsigned",
        "char",
        "struct node",
        "myint",
        "value",
        "next",
        "name",
        "low",
        "0",
        "sizeof",
        "++",
        "--",
        "ep",
        "bp",
        "m",
        "x",
        "stored",
        "(B *)",
        "(D &)",
        "(A)",
        " ",
    ]);
    prop::collection::vec(piece, 1..14).prop_map(|pieces| pieces.concat())
}

fn expr(kind: ExprKind) -> Expr {
    Expr::new(kind, 0..0)
}

fn type_name() -> impl Strategy<Value = TypeName> {
    let named = prop::sample::select(vec!["int", "unsigned long", "foo", "std::vector<int, 4>"])
        .prop_map(|name| TypeName::Named { tag: None, name: name.to_owned() });
    let tagged = Just(TypeName::Named { tag: Some("struct"), name: "node".to_owned() });
    prop_oneof![named, tagged].prop_recursive(3, 6, 1, |inner| {
        prop_oneof![
            inner.clone().prop_map(|ty| TypeName::Pointer(Box::new(ty))),
            inner.prop_map(|ty| TypeName::Pointer(Box::new(TypeName::Array(Box::new(ty), 4)))),
        ]
    })
}

fn leaf() -> impl Strategy<Value = Expr> {
    let literal = |text: &'static str| parse(text).expect("a literal parses").root;
    let path = |scopes: &[&str], name: &str, file: Option<&str>| {
        expr(ExprKind::Path(Path {
            file: file.map(Box::from),
            global: false,
            scopes: scopes.iter().map(|&each| each.into()).collect(),
            name: name.into(),
        }))
    };
    prop_oneof![
        any::<u64>().prop_map(|value| parse(&format!("{value}")).expect("a literal parses").root),
        any::<f64>()
            .prop_filter("literals have no sign", |value| value.is_finite()
                && !value.is_sign_negative())
            .prop_map(|value| parse(&format!("{value:?}")).expect("a literal parses").root),
        any::<char>().prop_map(|c| expr(ExprKind::Char(c))),
        (128..=u8::MAX).prop_map(|byte| expr(ExprKind::Byte(byte))),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| expr(ExprKind::Str(bytes))),
        prop::sample::select(vec![
            "0x10u",
            "017",
            "7usize",
            "1.5f",
            "true",
            "NULL",
            "$rax",
            "$_streq(a, b)"
        ])
        .prop_map(literal),
        Just(path(&[], "a", None)),
        Just(path(&["a", "b c"], "d", None)),
        Just(path(&[], "x", Some("dir/file.c"))),
    ]
}

fn tree() -> impl Strategy<Value = Expr> {
    let operators = [
        BinaryOp::Or,
        BinaryOp::And,
        BinaryOp::BitOr,
        BinaryOp::BitAnd,
        BinaryOp::Equal,
        BinaryOp::Less,
        BinaryOp::ShiftRight,
        BinaryOp::MemberThrough,
        BinaryOp::ArrowThrough,
        BinaryOp::Repeat,
        BinaryOp::Add,
        BinaryOp::Subtract,
        BinaryOp::Multiply,
    ];
    let prefixes = [
        UnaryOp::Plus,
        UnaryOp::Negate,
        UnaryOp::BitNot,
        UnaryOp::Not,
        UnaryOp::Dereference,
        UnaryOp::AddressOf,
    ];
    leaf().prop_recursive(5, 24, 3, move |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let pair = || [inner.clone(), inner.clone()].prop_map(Box::new);
        let three = [inner.clone(), inner.clone(), inner.clone()].prop_map(Box::new);
        prop_oneof![
            (prop::sample::select(operators.to_vec()), pair())
                .prop_map(|(op, operands)| expr(ExprKind::Binary(op, operands))),
            (prop::sample::select(prefixes.to_vec()), boxed())
                .prop_map(|(op, a)| expr(ExprKind::Unary(op, a))),
            three.prop_map(|operands| expr(ExprKind::Conditional(operands))),
            pair().prop_map(|operands| expr(ExprKind::Assign(Some(BinaryOp::Add), operands))),
            pair().prop_map(|operands| expr(ExprKind::Index(operands))),
            (boxed(), prop::sample::select(vec!["m", "0", "x y"]), any::<bool>()).prop_map(
                |(object, name, arrow)| {
                    let (name, name_span) = (name.to_owned(), SpanOfName(0..0));
                    expr(ExprKind::Member { object, name, arrow, name_span })
                }
            ),
            (boxed(), prop::sample::select(vec!["m", "x y"])).prop_map(|(object, name)| {
                let (name, name_span) = (name.to_owned(), SpanOfName(0..0));
                expr(ExprKind::MemberCall { object, name, name_span })
            }),
            (type_name(), boxed(), any::<bool>())
                .prop_map(|(ty, value, rust)| expr(ExprKind::Cast { ty, value, rust })),
            (type_name(), boxed()).prop_map(|(ty, address)| expr(ExprKind::At(ty, address))),
            boxed().prop_map(|only| expr(ExprKind::SizeOf(only))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_parsed_or_refused(text in any::<String>()) {
        fuzz_parse(&text);
    }

    #[test]
    fn any_soup_is_parsed_or_refused(text in soup()) {
        fuzz_parse(&text);
    }

    #[test]
    fn a_printed_tree_parses_to_itself(tree in tree()) {
        let printed = tree.to_string();
        let again = parse(&printed);
        prop_assert_eq!(again.map(|ast| ast.root), Ok(tree), "{}", printed);
    }

    #[test]
    fn what_checks_also_verifies_and_runs(text in soup()) {
        let mut world = World::new();
        for purpose in [Purpose::Condition, Purpose::Filter, Purpose::Assignment] {
            match compile(&text, &world, purpose) {
                Ok(program) => {
                    prop_assert_eq!(ir::verify(&program), Ok(()));
                    if let Ok(value) = trapline_expr::evaluate(&program, &mut world) {
                        let _ = world.print(&value, Default::default());
                    }
                }
                Err(error) => {
                    prop_assert!(!error.message.contains("wrong program"), "{}: {}", text, error);
                    let _ = error.render(&text);
                }
            }
        }
    }
}

#[test]
fn template_arguments_read_back() {
    for text in [
        "a<b>::c",
        "a<'b c'>::d",
        "a<'x.c'>::b",
        "a<b::'c d'>::e",
        "a<b, 3>::c::d<e>::f",
        "a<int (*)(char)>::c",
        "a < b >> ::c",
        "sizeof a<b>::c",
        "static_cast<a<b>>(c)",
        "not a<b>::c",
    ] {
        fuzz_parse(text);
    }
}
