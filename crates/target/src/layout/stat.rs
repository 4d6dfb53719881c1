//! /proc/PID/stat: where the heap begins, and where a thread runs.
//! proc_pid_stat(5).

use trapline_core::VirtAddr;

/// Which word after the name in parentheses is `start_brk`, field 47: the
/// state, field 3, is word 0.
const START_BRK: usize = 44;
/// The same of `processor`, field 39.
const PROCESSOR: usize = 36;

/// The address above which `brk` places the heap, whether there is one yet or
/// not. `None` when the kernel keeps it from us (it then says 0) or the process
/// has no memory.
pub fn heap_start(text: &[u8]) -> Option<VirtAddr> {
    let word = word(text, START_BRK)?;
    (word != 0).then_some(VirtAddr::new(word))
}

/// The processor that the thread ran on last.
pub fn processor(text: &[u8]) -> Option<u32> {
    u32::try_from(word(text, PROCESSOR)?).ok()
}

fn word(text: &[u8], index: usize) -> Option<u64> {
    // The name may hold anything, parentheses and spaces too; after it come
    // letters and numbers.
    let name_end = text.iter().rposition(|byte| *byte == b')')?;
    let fields = std::str::from_utf8(text.get(name_end.checked_add(1)?..)?).ok()?;
    fields.split_ascii_whitespace().nth(index)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_no_field() {
        let line = |word: &str| format!("12 (a) R 1 b) S {}{word} 9 9\n", "1 ".repeat(43));
        assert_eq!(heap_start(line("4096").as_bytes()), Some(VirtAddr::new(4096)));
        assert_eq!(heap_start(line("0").as_bytes()), None);
        let placed = format!("12 (a) S {}3 9", "1 ".repeat(35));
        assert_eq!(processor(placed.as_bytes()), Some(3));
        assert_eq!(heap_start(b"12 (a) S 1 2 3"), None);
        assert_eq!(heap_start(b"\xff"), None);
    }
}
