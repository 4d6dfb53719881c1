//! Integer arithmetic against a real C compiler: thousands of random
//! expressions, one compiled program that prints every result, its size and
//! its signedness.

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use support::{World, base};
use trapline_core::types::{BaseKind, TypeKind};
use trapline_expr::Purpose;

const EXPRESSIONS: usize = 4000;

/// Name, C type, kind, bytes, value.
const VARIABLES: [(&str, &str, BaseKind, usize, i64); 10] = [
    ("sc", "signed char", BaseKind::SignedChar, 1, -100),
    ("uc", "unsigned char", BaseKind::UnsignedChar, 1, 250),
    ("ss", "short", BaseKind::Signed, 2, -30000),
    ("us", "unsigned short", BaseKind::Unsigned, 2, 65000),
    ("si", "int", BaseKind::Signed, 4, -2_000_000_000),
    ("ui", "unsigned int", BaseKind::Unsigned, 4, 4_000_000_000),
    ("sl", "long", BaseKind::Signed, 8, i64::MIN + 5),
    ("ul", "unsigned long", BaseKind::Unsigned, 8, -3),
    ("mx", "int", BaseKind::Signed, 4, i32::MAX as i64),
    ("bo", "_Bool", BaseKind::Bool, 1, 1),
];

const LITERALS: [&str; 14] = [
    "0",
    "1",
    "7",
    "255",
    "2147483647",
    "2147483648",
    "0x80000000",
    "4294967295u",
    "0xffffffff",
    "1l",
    "9223372036854775807",
    "0xffffffffffffffff",
    "'a'",
    "0377",
];

const CASTS: [&str; 9] = [
    "signed char",
    "unsigned char",
    "short",
    "unsigned short",
    "int",
    "unsigned int",
    "long",
    "unsigned long",
    "_Bool",
];

/// A linear congruential generator: the same expressions every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// Divisors are made positive and shift counts small: C leaves the rest
    /// undefined, and overflow is defined by `-fwrapv`.
    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return match self.below(3) {
                0 => self.pick(&LITERALS).to_owned(),
                _ => VARIABLES[self.below(VARIABLES.len())].0.to_owned(),
            };
        }
        let a = self.expression(depth - 1);
        match self.below(10) {
            0 => format!("{}({a})", self.pick(&["-", "~", "!", "+"])),
            1 => format!("({})({a})", self.pick(&CASTS)),
            2 => {
                let (b, c) = (self.expression(depth - 1), self.expression(depth - 1));
                format!("({a} ? {b} : {c})")
            }
            3 => {
                let b = self.expression(depth - 1);
                format!("({a}) {} ((({b}) & 15) + 1)", self.pick(&["/", "%"]))
            }
            4 => {
                let b = self.expression(depth - 1);
                format!("({a}) {} (({b}) & 31)", self.pick(&["<<", ">>"]))
            }
            5 => {
                let b = self.expression(depth - 1);
                format!(
                    "(({a}) {} ({b}))",
                    self.pick(&["<", "<=", ">", ">=", "==", "!=", "&&", "||"])
                )
            }
            _ => {
                let b = self.expression(depth - 1);
                format!("(({a}) {} ({b}))", self.pick(&["+", "-", "*", "&", "|", "^"]))
            }
        }
    }
}

/// Compiles and runs a program that prints a line per expression.
fn ask_the_compiler(expressions: &[String]) -> Vec<String> {
    let mut source = String::from("#include <stdio.h>\n");
    for (name, ty, _, _, value) in VARIABLES {
        // The smallest `long` has no literal in C.
        let _ = writeln!(source, "volatile {ty} {name} = ({ty})({}ll - 1);", i128::from(value) + 1);
    }
    for (index, part) in expressions.chunks(200).enumerate() {
        let _ = writeln!(source, "static void part{index}(void) {{");
        for text in part {
            let _ = writeln!(
                source,
                "printf(\"%llx %d %d\\n\", (unsigned long long)({text}), (int)sizeof({text}), \
                 (__typeof__({text}))-1 < 0);"
            );
        }
        source.push_str("}\n");
    }
    source.push_str("int main(void) {\n");
    for index in 0..expressions.len().div_ceil(200) {
        let _ = writeln!(source, "part{index}();");
    }
    source.push_str("return 0; }\n");
    let folder =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("c-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the oracle can be built and run");
    let (file, program) = (folder.join("all.c"), folder.join("all"));
    std::fs::write(&file, source).expect("the oracle can be built and run");
    let compiled = Command::new("gcc")
        .args(["-std=gnu11", "-w", "-O0", "-fwrapv", "-o"])
        .arg(&program)
        .arg(&file)
        .status()
        .expect("gcc is needed as the oracle");
    assert!(compiled.success());
    let output = Command::new(&program).output().expect("the oracle can be built and run");
    std::fs::remove_dir_all(&folder).expect("the oracle can be built and run");
    String::from_utf8(output.stdout)
        .expect("the oracle can be built and run")
        .lines()
        .map(str::to_owned)
        .collect()
}

/// What we make of an expression, in the program's format.
fn ours(world: &mut World, text: &str) -> String {
    // C's `+` promotes as printing through the compiler did not: comparisons
    // and characters are `int` there, so small types are compared as such.
    let value = world.eval(&format!("+({text})"), Purpose::Value).unwrap_or_else(|error| {
        panic!("{text}: {error}");
    });
    let bytes = value.bytes.as_ref();
    let signed = matches!(value.ty.kind, TypeKind::Base(BaseKind::Signed));
    let word = value.to_u64().expect("integers have at most 8 bytes");
    let word =
        if signed && bytes.len() == 4 { i64::from(word as i32).cast_unsigned() } else { word };
    format!("{word:x} {} {}", bytes.len(), u8::from(signed))
}

#[test]
fn integers_compute_as_in_c() {
    let mut random = Random(2024);
    let expressions: Vec<String> =
        (0..EXPRESSIONS).map(|index| random.expression(1 + index % 4)).collect();
    let promoted: Vec<String> = expressions.iter().map(|text| format!("+({text})")).collect();
    let expected = ask_the_compiler(&promoted);
    assert_eq!(expected.len(), EXPRESSIONS);
    let mut world = World::new();
    for (index, (name, ty, kind, bytes, value)) in VARIABLES.into_iter().enumerate() {
        let address = 0x1800 + 8 * index as u64;
        world.global(name, &base(ty, kind, bytes as u64), address, &value.to_le_bytes()[..bytes]);
    }
    for (text, expected) in expressions.iter().zip(&expected) {
        assert_eq!(ours(&mut world, text), *expected, "{text}");
    }
}
