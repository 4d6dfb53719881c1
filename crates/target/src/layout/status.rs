//! /proc/PID/status: the few fields a debugger asks. proc_pid_status(5).

/// What a process or thread says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The process that the thread belongs to.
    pub tgid: i32,
    /// The process that it is a child of.
    pub parent: i32,
    /// Who traces it; 0 for nobody.
    pub tracer: i32,
    /// Its state's letter: `R`, `S`, `D`, `T` (stopped), `t` (traced), `Z`, `X`.
    pub state: u8,
    /// Mode of its system call filter: 0 none, 1 strict, 2 filter.
    pub seccomp: u8,
    /// The signals that it has handlers for, the first in the lowest bit.
    pub caught: u64,
    /// Those that it ignores.
    pub ignored: u64,
    /// Those that it blocks.
    pub blocked: u64,
    /// Whether its process is the first of a PID namespace.
    pub is_first: bool,
    /// Whether it has memory of its own; kernel threads and the dead have not.
    pub has_memory: bool,
}

/// Reads the text; a missing field is zero.
pub fn parse(text: &[u8]) -> Status {
    let mut status = Status::default();
    for line in text.split(|byte| *byte == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((key, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match key {
            "Tgid" => status.tgid = value.parse().unwrap_or_default(),
            "PPid" => status.parent = value.parse().unwrap_or_default(),
            "TracerPid" => status.tracer = value.parse().unwrap_or_default(),
            "State" => status.state = value.bytes().next().unwrap_or_default(),
            "Seccomp" => status.seccomp = value.parse().unwrap_or_default(),
            "SigCgt" => status.caught = signal_set(value),
            "SigIgn" => status.ignored = signal_set(value),
            "SigBlk" => status.blocked = signal_set(value),
            "NStgid" => status.is_first = value.split_whitespace().next_back() == Some("1"),
            "VmSize" => status.has_memory = true,
            _ => {}
        }
    }
    status
}

fn signal_set(value: &str) -> u64 {
    u64::from_str_radix(value, 16).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = b"Name:\tTgid: 9\nState:\tT (stopped)\nTgid:\t12\nPPid:\t5\nTracerPid:\t34\nVmSize:\t 10 kB\nSeccomp:\t2\nSigBlk:\t01\nSigIgn:\t8000000000000004\nSigCgt:\t0a\nNStgid:\t12\t1\n";
        let expected = Status {
            tgid: 12,
            parent: 5,
            tracer: 34,
            state: b'T',
            seccomp: 2,
            caught: 0b1010,
            ignored: 1 << 63 | 0b100,
            blocked: 1,
            is_first: true,
            has_memory: true,
        };
        assert_eq!(parse(text), expected);
        assert_eq!(parse(b"\xff: \n::\n"), Status::default());
    }
}
