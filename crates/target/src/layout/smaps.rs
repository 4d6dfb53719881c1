//! /proc/PID/smaps: mappings with how they are used. proc_pid_smaps(5).

use trapline_core::target::Region;

use super::maps;

/// A mapping, and what decides whether it belongs into a core file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsedRegion {
    /// The mapping.
    pub region: Region,
    /// Whether some of it is the process's own, in no file.
    pub changed: bool,
    /// Whether the program asked to leave it out. madvise(2), `MADV_DONTDUMP`.
    pub left_out: bool,
    /// Whether it leads to a device.
    pub device: bool,
}

/// Reads all mappings; lines that are not understood are left out.
pub fn parse(text: &[u8]) -> Vec<UsedRegion> {
    let mut all: Vec<UsedRegion> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(region) = maps::line(line) {
            all.push(UsedRegion { region, changed: false, left_out: false, device: false });
        } else if let (Some(last), Ok(line)) = (all.last_mut(), std::str::from_utf8(line)) {
            describe(last, line);
        }
    }
    all
}

fn describe(last: &mut UsedRegion, line: &str) {
    let Some((key, value)) = line.split_once(':') else { return };
    match key {
        "Anonymous" | "Swap" => last.changed |= !value.trim_start().starts_with("0 "),
        "VmFlags" => {
            last.left_out = value.split_whitespace().any(|flag| flag == "dd");
            last.device = value.split_whitespace().any(|flag| matches!(flag, "io" | "pf"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_described_by_the_lines_below_it() {
        let all = parse(
            b"1000-2000 r-xp 00000000 fe:01 12    /a\nSize:   4 kB\nAnonymous:    0 kB\n\
VmFlags: rd ex mr\n2000-3000 rw-p 00001000 fe:01 12    /a\nAnonymous:    4 kB\nSwap:   0 kB\n\
VmFlags: rd wr dd\n",
        );
        let told: Vec<_> = all.iter().map(|it| (it.changed, it.left_out, it.device)).collect();
        assert_eq!(told, [(false, false, false), (true, true, false)]);
        assert_eq!(all[1].region.range.start.get(), 0x2000);
        assert_eq!(parse(b"\xff\nSize: x"), []);
    }
}
