//! Linkage names to the names people write. Bounded: a hostile name yields
//! nothing rather than much text.

use std::borrow::Cow;
use std::fmt;

use crate::names::ANONYMOUS;

/// Longer mangled names are shown as they are.
const MAX_MANGLED: usize = 16 * 1024;
/// Demangled text is cut off here: substitutions can make it grow without end.
const MAX_DEMANGLED: usize = 64 * 1024;
/// Nesting of a mangled C++ name.
const MAX_DEPTH: u32 = 96;

/// The readable form of a linkage name, or the name itself when it is not a
/// mangled one. Rust's hash (`::h0123456789abcdef`) is left out; a clone's
/// suffix (`.part.0`) is kept in brackets for C++ and dropped for Rust.
pub(crate) fn demangle(linkage: &str) -> Cow<'_, str> {
    match demangled(linkage) {
        Some(name) => Cow::Owned(name),
        None => Cow::Borrowed(linkage),
    }
}

/// As [`demangle`], but `None` for a name that is not mangled.
pub(crate) fn demangled(linkage: &str) -> Option<String> {
    if linkage.len() > MAX_MANGLED {
        return None;
    }
    match linkage.as_bytes() {
        [b'_', b'R', ..] => rust(linkage),
        // Rust's older names are C++'s with a hash for a last component.
        [b'_', b'Z', ..] if linkage.contains("17h") => rust(linkage).or_else(|| cpp(linkage)),
        [b'_', b'Z', ..] => cpp(linkage),
        [b'_', b'_', b'Z', ..] => cpp(linkage),
        _ => None,
    }
}

/// Whether a linkage name was mangled by a Rust or C++ compiler.
pub(crate) fn is_mangled(linkage: &[u8]) -> bool {
    linkage.starts_with(b"_Z") || linkage.starts_with(b"_R") || linkage.starts_with(b"__Z")
}

fn rust(linkage: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(linkage).ok()?;
    let mut text = Limited::default();
    fmt::write(&mut text, format_args!("{name:#}")).ok()?;
    let mut text = text.0;
    // The legacy scheme keeps `.llvm.123` and clone suffixes after the name.
    if let Some(at) = text.find(" (.").or_else(|| text.find(".llvm.")) {
        text.truncate(at);
    }
    Some(text)
}

fn cpp(linkage: &str) -> Option<String> {
    let limits = cpp_demangle::ParseOptions::default().recursion_limit(MAX_DEPTH);
    let symbol = cpp_demangle::BorrowedSymbol::with_tail_and_options(linkage.as_bytes(), &limits);
    let (symbol, tail) = symbol.ok()?;
    let options = cpp_demangle::DemangleOptions::new().recursion_limit(MAX_DEPTH);
    let mut text = Limited::default();
    symbol.structured_demangle(&mut text, &options).ok()?;
    let mut text = in_gdbs_words(text.0);
    if tail.starts_with(b".") {
        text.push_str(&format!(" [clone {}]", String::from_utf8_lossy(tail)));
    } else if !tail.is_empty() && !tail.starts_with(b"@") {
        return None;
    }
    Some(text)
}

/// What compilers make for classes, called as gdb and c++filt call it.
fn in_gdbs_words(text: String) -> String {
    // Compilers mangle a namespace without a name as one of this name.
    let text = text.replace("_GLOBAL__N_1", ANONYMOUS);
    let words = [("{vtable(", "vtable for "), ("{vtt(", "VTT for ")];
    for (theirs, gdbs) in words {
        let inside = text.strip_prefix(theirs).and_then(|rest| rest.strip_suffix(")}"));
        if let Some(inside) = inside {
            return format!("{gdbs}{inside}");
        }
    }
    text
}

/// A string that refuses to grow past [`MAX_DEMANGLED`].
#[derive(Default)]
struct Limited(String);

impl fmt::Write for Limited {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_DEMANGLED {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_readable() {
        for (linkage, expected) in [
            ("main", "main"),
            ("_ZN2ns1fEi", "ns::f(int)"),
            ("_ZN4demo3addIiEET_S1_S1_", "int demo::add<int>(int, int)"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvCskwGfYPst2Cb_3foo3bar", "foo::bar"),
            ("_ZN12_GLOBAL__N_12An1qE", "(anonymous namespace)::An::q"),
            ("_ZN2ns1fEi.part.0", "ns::f(int) [clone .part.0]"),
            ("_Z", "_Z"),
            ("_ZN", "_ZN"),
        ] {
            assert_eq!(demangle(linkage), expected);
        }
    }
}
