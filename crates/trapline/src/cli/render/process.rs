//! Threads, registers, images, signals, mappings, settings.

use trapline_core::stop::Signal;
use trapline_core::target::Region;
use trapline_engine::command::{LibraryInfo, RegisterInfo, SignalPolicy, ThreadInfo};

use super::stop::meaning;
use super::{finish, frame_text, padded, table};
use crate::cli::screen::{paint, styled};

/// `info threads`: the selected one is marked.
pub(crate) fn threads(all: &[ThreadInfo]) -> String {
    if all.is_empty() {
        return "No threads.".to_owned();
    }
    let mut rows = table(&["", "Id", "Target Id", "Frame"]);
    for thread in all {
        let mark = if thread.selected { "*" } else { "" };
        let who = format!("LWP {} \"{}\"", thread.tid, thread.name);
        let place = thread.frame.as_ref().map_or_else(
            || format!("({})", thread.state),
            |frame| {
                let place = anstream::adapter::strip_str(&frame_text(frame, false)).to_string();
                format!("{place} ({})", thread.state)
            },
        );
        rows.add_row([mark.to_owned(), thread.number.to_string(), who, place]);
    }
    finish(&rows)
}

/// The line that names a thread: after `thread N`, before `thread apply`.
pub(crate) fn thread_line(thread: &ThreadInfo) -> String {
    format!("Thread {} (LWP {} \"{}\")", thread.number, thread.tid, thread.name)
}

/// `info registers`.
pub(crate) fn registers(all: &[RegisterInfo]) -> String {
    let lines: Vec<String> = all.iter().map(register).collect();
    lines.join("\n")
}

fn register(register: &RegisterInfo) -> String {
    let name = format!("{:<15}", register.name);
    let name = styled(paint::NAME, name);
    let Some(bytes) = &register.bytes else { return format!("{name}<not saved>") };
    let digits: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
    let digits = digits.trim_start_matches('0');
    let value = format!("0x{}", if digits.is_empty() { "0" } else { digits });
    format!("{name}{value:<19}{}", register.natural).trim_end().to_owned()
}

/// `info sharedlibrary`.
pub(crate) fn libraries(all: &[LibraryInfo]) -> String {
    if all.is_empty() {
        return "No images loaded.".to_owned();
    }
    let mut rows = table(&["From", "To", "Symbols", "Image"]);
    for library in all {
        rows.add_row([
            padded(library.range.start),
            padded(library.range.end),
            library.symbols.clone(),
            library.path.display().to_string(),
        ]);
        for problem in &library.problems {
            rows.add_row(["", "", "", &format!("  {problem}")]);
        }
    }
    finish(&rows)
}

/// `info signals`.
pub(crate) fn signals(all: &[(Signal, SignalPolicy)]) -> String {
    let yes = |value: bool| if value { "Yes" } else { "No" };
    let mut rows = table(&["Signal", "Stop", "Print", "Pass to program", "Description"]);
    for (signal, policy) in all {
        rows.add_row([
            &signal.to_string(),
            yes(policy.stop),
            yes(policy.print),
            yes(policy.pass),
            meaning(*signal),
        ]);
    }
    finish(&rows)
}

/// `info proc mappings`.
pub(crate) fn mappings(regions: &[Region]) -> String {
    let mut rows = table(&["Start Addr", "End Addr", "Size", "Offset", "Perms", "File"]);
    for region in regions {
        let letter = |has: bool, letter: char| if has { letter } else { '-' };
        let permissions: String = [
            letter(region.read, 'r'),
            letter(region.write, 'w'),
            letter(region.execute, 'x'),
            if region.shared { 's' } else { 'p' },
        ]
        .iter()
        .collect();
        rows.add_row([
            padded(region.range.start),
            padded(region.range.end),
            format!("{:#x}", region.range.len()),
            format!("{:#x}", region.file_offset),
            permissions,
            region.name.to_string_lossy().into_owned(),
        ]);
    }
    finish(&rows)
}

/// `show`: names and values.
pub(crate) fn settings(all: &[(String, String)]) -> String {
    let mut rows = table(&["Setting", "Value"]);
    for (name, value) in all {
        rows.add_row([name, value]);
    }
    finish(&rows)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use trapline_core::{AddrRange, Pid, Tid, VirtAddr};

    use super::*;
    use crate::cli::render::tests::{frame, plain};

    fn thread(number: u32, selected: bool, running: bool) -> ThreadInfo {
        ThreadInfo {
            number,
            pid: Pid::new(100),
            tid: Tid::new(100 + i32::try_from(number).unwrap()),
            name: format!("teller {number}"),
            selected,
            frame: (!running).then(|| frame(0, 0x40_1136, "deposit", 12)),
            state: if running { "running" } else { "stopped at breakpoint 1" }.to_owned(),
        }
    }

    #[test]
    fn a_process_reads_as_gdb_writes_it() {
        let register = |name: &str, bytes: Option<Vec<u8>>, natural: &str| RegisterInfo {
            name: name.to_owned(),
            bytes,
            natural: natural.to_owned(),
        };
        let range = AddrRange::sized(VirtAddr::new(0x40_0000), 0x2000);
        let library = LibraryInfo {
            pid: Pid::new(100),
            path: PathBuf::from("/lib/libbank.so"),
            range,
            symbols: "debug information".to_owned(),
            problems: vec!["unit 3: the line table is cut".to_owned()],
        };
        let region = Region {
            range,
            read: true,
            write: false,
            execute: true,
            shared: false,
            file_offset: 0x1000,
            inode: (0, 7),
            name: "/tmp/bank".into(),
        };
        let policy = SignalPolicy { stop: true, print: true, pass: false };
        let parts = [
            threads(&[thread(1, false, true), thread(2, true, false)]),
            thread_line(&thread(2, true, false)),
            registers(&[
                register("rax", Some(vec![0x10, 0x20, 0, 0, 0, 0, 0, 0]), "8208"),
                register("eflags", Some(vec![0; 4]), "[ ]"),
                register("rbx", None, ""),
            ]),
            libraries(&[library]),
            signals(&[(Signal::TRAP, policy)]),
            mappings(&[region]),
            settings(&[("confirm".to_owned(), "on".to_owned())]),
        ];
        let text: Vec<String> = parts.iter().map(|part| plain(part)).collect();
        trapline_testkit::golden::check("cli/process.txt", &format!("{}\n", text.join("\n---\n")));
    }
}
