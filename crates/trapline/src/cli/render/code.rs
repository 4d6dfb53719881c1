//! Call stacks, instructions and source lines.

use std::path::Path;

use trapline_engine::command::InstructionInfo;
use trapline_engine::event::{FrameInfo, VariableInfo};

use super::{frame_text, memory, padded};
use crate::cli::screen::{paint, styled};

/// One line of a call stack: `#1  0x... in main () at demo.c:7`.
pub(crate) fn numbered_frame(frame: &FrameInfo) -> String {
    let mut text = format!("#{:<2} ", frame.level);
    if frame.signal_frame {
        return text + "<signal handler called>";
    }
    text += &frame_text(frame, false);
    if frame.guess {
        text += " (a guess: no call-frame information)";
    }
    text
}

/// A call stack; `ended` says why it has no more frames.
pub(crate) fn backtrace(frames: &[FrameInfo], ended: Option<&str>) -> String {
    let mut lines: Vec<String> = frames.iter().map(numbered_frame).collect();
    if let Some(why) = ended {
        lines.push(format!("Backtrace stopped: {why}"));
    }
    lines.join("\n")
}

/// The same with the variables of each frame.
pub(crate) fn full_backtrace(frames: &[FrameInfo], ended: Option<&str>) -> String {
    let with_locals = |frame: &FrameInfo| {
        let locals = match &frame.locals {
            None => "No symbol table info available.".to_owned(),
            Some(all) if all.is_empty() => "No locals.".to_owned(),
            Some(all) => format!("        {}", variables(all).replace('\n', "\n        ")),
        };
        format!("{}\n{locals}", numbered_frame(frame))
    };
    let mut lines: Vec<String> = frames.iter().map(with_locals).collect();
    lines.extend(ended.map(|why| format!("Backtrace stopped: {why}")));
    lines.join("\n")
}

/// `info frame`.
pub(crate) fn frame_details(frame: &FrameInfo) -> String {
    let mut lines = vec![format!("Stack level {}:", frame.level)];
    lines.push(format!(" {}", frame_text(frame, true)));
    if frame.inlined {
        lines.push(format!(" inlined into frame {}", frame.level + 1));
    }
    if frame.tail_call {
        lines.push(" tail call frame".to_owned());
    }
    if let Some(cfa) = frame.cfa {
        lines.push(format!(" frame at {cfa:#x}"));
    }
    if let Some(module) = &frame.module {
        lines.push(format!(" in {}", module.display()));
    }
    lines.join("\n")
}

/// `info locals` and `info args`.
pub(crate) fn variables(all: &[VariableInfo]) -> String {
    let lines: Vec<String> =
        all.iter().map(|it| format!("{} = {}", styled(paint::NAME, &it.name), it.value)).collect();
    lines.join("\n")
}

/// Instructions, the current one marked; `raw` shows their bytes.
pub(crate) fn disassembly(instructions: &[InstructionInfo], raw: bool) -> String {
    let lines: Vec<String> = instructions.iter().map(|one| instruction(one, raw)).collect();
    lines.join("\n")
}

/// One instruction.
pub(crate) fn instruction(one: &InstructionInfo, raw: bool) -> String {
    let mark = match (one.current, one.breakpoints.is_empty()) {
        (true, true) => "=> ",
        (true, false) => "=>*",
        (false, false) => "  *",
        (false, true) => "   ",
    };
    let symbol = one.symbol.as_ref().map(|symbol| format!(" <{symbol}>")).unwrap_or_default();
    let bytes = if raw { format!("{:<24}\t", memory::hex(&one.bytes)) } else { String::new() };
    let address = styled(paint::ADDRESS, padded(one.address));
    format!("{mark}{address}{symbol}:\t{bytes}{}", one.text)
}

/// Source lines, the first of which has a number; `current` is marked with `=>`.
pub(crate) fn listing(lines: &[String], first: u32, current: Option<u32>) -> String {
    let rows: Vec<String> = lines
        .iter()
        .zip(first..)
        .map(|(line, number)| {
            if current == Some(number) {
                format!("=> {}\t{line}", styled(paint::CURRENT, number))
            } else {
                format!("   {number}\t{line}")
            }
        })
        .collect();
    rows.join("\n")
}

/// Warns that the source shown may not be what was compiled.
pub(crate) fn stale(file: &Path) -> String {
    let warning = styled(paint::WARNING, "warning:");
    format!("{warning} {} is newer than the program", file.display())
}

#[cfg(test)]
mod tests {
    use trapline_core::{BreakpointId, VirtAddr};

    use super::*;
    use crate::cli::render::tests::{frame, plain};

    #[test]
    fn code_reads_as_gdb_writes_it() {
        let mut handler = frame(1, 0x40_2000, "handler", 3);
        handler.signal_frame = true;
        let mut guess = frame(2, 0x40_3000, "main", 9);
        guess.guess = true;
        let mut jumped = frame(3, 0x40_4000, "inner", 5);
        jumped.tail_call = true;
        let frames = [frame(0, 0x40_1136, "deposit", 12), handler, guess];
        let at = |address: u64, current: bool, breakpoints: &[u32]| InstructionInfo {
            address: VirtAddr::new(address),
            bytes: vec![0x48, 0x89, 0xe5],
            text: "mov    %rsp,%rbp".to_owned(),
            symbol: Some("deposit+4".to_owned()),
            source: None,
            current,
            breakpoints: breakpoints.iter().copied().map(BreakpointId::new).collect(),
        };
        let code =
            [at(0x40_1136, true, &[]), at(0x40_1139, false, &[1]), at(0x40_113c, true, &[2])];
        let source: Vec<String> = ["int f() {", "  return 1;", "}"].map(str::to_owned).to_vec();
        let parts = [
            backtrace(&frames, Some("the frame did not get past its caller")),
            frame_details(&frames[0]),
            frame_details(&jumped),
            disassembly(&code, false),
            disassembly(&code, true),
            listing(&source, 1, Some(2)),
            listing(&source[2..], 3, None),
            listing(&[], 9, None),
        ];
        let text: Vec<String> = parts.iter().map(|part| plain(part)).collect();
        trapline_testkit::golden::check("cli/code.txt", &format!("{}\n", text.join("\n---\n")));
    }
}
