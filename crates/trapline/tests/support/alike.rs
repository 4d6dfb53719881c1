//! Values as two debuggers write them, each brought to one form.

/// The digits of addresses of what is mapped are not compared: the libraries and
/// stacks lie lower under us.
pub fn without_addresses(value: &str) -> String {
    let mut parts = value.split("0x7ff");
    let first = parts.next().unwrap_or_default().to_owned();
    let digits = |part: &str| part.trim_start_matches(|it: char| it.is_ascii_hexdigit()).to_owned();
    parts.fold(first, |told, part| told + "0x7ff" + &digits(part))
}

/// A value of C++: floating point numbers by what they are, atomics by what
/// they hold.
pub fn cpp(value: &str) -> String {
    floats(&atomics(value))
}

/// `std::atomic<int> = { 5 }` as `5`.
fn atomics(value: &str) -> String {
    let (mut told, mut rest) = (String::new(), value);
    while let Some(at) = rest.find("std::atomic<")
        && let Some((_, held)) = rest[at..].split_once(" = { ")
        && let Some((held, after)) = held.split_once(" }")
    {
        told += &rest[..at];
        told += held;
        rest = after;
    }
    told + rest
}

fn floats(value: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
    let mut told = String::new();
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (token, after) = rest.split_at(len);
        match token.parse::<f64>() {
            Ok(number) if token.contains('.') || token.contains('e') => {
                told += &format!("{number:e}");
            }
            _ => told += token,
        }
        rest = after;
    }
    told
}

/// A value of Rust: types by their last names without arguments, paths by their
/// text.
pub fn rust(value: &str) -> String {
    let short = short_names(value).replace(" {", "{").replace(" (", "(");
    // What ours says of a `RefCell` before its value.
    let short = short.replace(", borrow = 0", "");
    let mut told = String::new();
    let mut rest = &*short;
    while let Some((before, inner)) = rest.split_once("PathBuf{inner: ")
        && let Some((text, after)) = inner.split_once('}')
    {
        told += before;
        told += text;
        rest = after;
    }
    floats(&(told + rest))
}

/// Names of types and variants without paths and arguments; texts as they are.
fn short_names(value: &str) -> String {
    let mut told = String::new();
    // Where the name began that is being read.
    let mut name = None;
    let mut rest = value;
    while let Some(first) = rest.chars().next() {
        let (len, kept) = match first {
            '"' => (text_len(rest), true),
            '<' if name.is_some() => (arguments_len(rest), false),
            '{' if rest.starts_with("{impl#") || rest.starts_with("{closure") => {
                name.get_or_insert(told.len());
                (rest.find('}').map_or(rest.len(), |end| end + 1), true)
            }
            ':' if rest.starts_with("::") => {
                told.truncate(name.take().unwrap_or(told.len()));
                (2, false)
            }
            _ => {
                if first.is_alphanumeric() || first == '_' {
                    name.get_or_insert(told.len());
                } else {
                    name = None;
                }
                (first.len_utf8(), true)
            }
        };
        let (token, after) = rest.split_at(len);
        if kept {
            told += token;
        }
        rest = after;
    }
    told
}

/// How long a text with its quotes is.
fn text_len(text: &str) -> usize {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

/// How long `<...>` is.
fn arguments_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
        before = c;
    }
    text.len()
}
