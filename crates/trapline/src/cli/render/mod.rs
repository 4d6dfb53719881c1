//! Replies and events as text for people, in gdb's words where gdb has them.
//! Pure: data in, text out; colours are styles that a plain stream drops.

pub(crate) mod breakpoints;
pub(crate) mod code;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod stop;

use comfy_table::{Table, presets};
use trapline_engine::CommandError;
use trapline_engine::event::FrameInfo;

use super::screen::{paint, styled};

/// A table without lines, its columns two blanks apart.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The table as lines without blanks at their ends.
fn finish(table: &Table) -> String {
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// An address as gdb pads it in columns.
fn padded(address: trapline_core::VirtAddr) -> String {
    format!("{:#018x}", address.get())
}

/// `main (argc=1) at demo.c:7`, with the address in front when the frame does
/// not stand at the beginning of a line (or `always`).
pub(crate) fn frame_text(frame: &FrameInfo, always_address: bool) -> String {
    let mut text = String::new();
    if always_address || frame.mid_line || frame.line.is_none() {
        text = format!("{} in ", styled(paint::ADDRESS, padded(frame.pc)));
    }
    let arguments: Vec<String> = frame
        .arguments
        .iter()
        .map(|(name, value)| format!("{}={value}", styled(paint::NAME, name)))
        .collect();
    let function = frame.function.as_deref().unwrap_or("??");
    text += &format!("{} ({})", styled(paint::FUNCTION, function), arguments.join(", "));
    text + &place(frame)
}

fn place(frame: &FrameInfo) -> String {
    match (&frame.file, frame.line, &frame.module) {
        (Some(file), Some(line), _) => {
            format!(" at {}:{line}", styled(paint::FILE, file.display()))
        }
        (_, _, Some(module)) => format!(" from {}", styled(paint::FILE, module.display())),
        _ => String::new(),
    }
}

/// An error: the sentence, the expression with what is wrong underlined, what
/// may have been meant.
pub(crate) fn error(error: &CommandError) -> String {
    let mut text = styled(paint::ERROR, &error.message);
    if let Some((expression, span)) = &error.span {
        text += &format!("\n  {expression}\n  {}", styled(paint::ERROR, carets(expression, span)));
    }
    if !error.candidates.is_empty() {
        text += &format!("\nDid you mean {}?", error.candidates.join(", "));
    }
    text
}

fn carets(expression: &str, span: &std::ops::Range<usize>) -> String {
    let columns = |end: usize| expression.char_indices().take_while(|(at, _)| *at < end).count();
    let (start, end) = (columns(span.start), columns(span.end));
    format!("{}{}", " ".repeat(start), "^".repeat(end.saturating_sub(start).max(1)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use trapline_core::VirtAddr;

    use super::*;

    /// Text as a stream without colours shows it.
    pub(crate) fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    /// A frame in a function of a file.
    pub(crate) fn frame(level: usize, pc: u64, function: &str, line: u32) -> FrameInfo {
        FrameInfo {
            level,
            pc: VirtAddr::new(pc),
            cfa: Some(0x7fff_ffff_e000),
            function: Some(function.to_owned()),
            offset: Some(4),
            arguments: vec![("amount".to_owned(), "12".to_owned())],
            file: Some(PathBuf::from("bank.c")),
            line: Some(line),
            module: Some(PathBuf::from("/tmp/bank")),
            guess: false,
            signal_frame: false,
            locals: None,
            inlined: false,
            tail_call: false,
            // It stands behind a call.
            mid_line: level > 0,
        }
    }

    #[test]
    fn frames_read_as_gdb_writes_them() {
        let check = |frame: &FrameInfo, expected: &str| {
            assert_eq!(plain(&frame_text(frame, false)), expected);
        };
        let mut at = frame(0, 0x40_1136, "deposit", 12);
        check(&at, "deposit (amount=12) at bank.c:12");
        at.mid_line = true;
        check(&at, "0x0000000000401136 in deposit (amount=12) at bank.c:12");
        at.line = None;
        check(&at, "0x0000000000401136 in deposit (amount=12) from /tmp/bank");
        (at.function, at.module) = (None, None);
        at.arguments.clear();
        check(&at, "0x0000000000401136 in ?? ()");
    }

    #[test]
    fn errors_underline_what_is_wrong() {
        let failed = CommandError {
            message: "no symbol `cuonter`".to_owned(),
            span: Some(("é + cuonter".to_owned(), 5..12)),
            candidates: vec!["counter".to_owned()],
        };
        let expected = "no symbol `cuonter`\n  é + cuonter\n      ^^^^^^^\nDid you mean counter?";
        assert_eq!(plain(&error(&failed)), expected);
        let beyond = CommandError { span: Some(("x".to_owned(), 7..9)), ..failed };
        assert!(plain(&error(&beyond)).contains("\n  x\n   ^\n"));
    }
}
