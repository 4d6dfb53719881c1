//! Compiles the judge written in C, feeds it cases and reads what happened.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use iced_x86::{Decoder, DecoderOptions};
use trapline_patch::relocate::{MAX_SLOT, Slot};

use super::cases::Case;

/// Where everything lies in the judge's process.
#[derive(Clone, Copy)]
pub(crate) struct Placement {
    pub(crate) name: &'static str,
    pub(crate) code: u64,
    pub(crate) slot: u64,
    pub(crate) data: u64,
    pub(crate) stack: u64,
}

/// Bytes of each of the four areas.
pub(crate) const AREA: u64 = 0x2000;

impl Placement {
    pub(crate) fn holds_no_code(&self, address: u64) -> bool {
        !(self.code..self.code + AREA).contains(&address)
            && !(self.slot..self.slot + AREA).contains(&address)
    }
}

/// How one run ended, or one step of it. The layout is the judge's.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) signal: u64,
    pub(crate) code: u64,
    pub(crate) address: u64,
    pub(crate) registers: [u64; 16],
    pub(crate) rip: u64,
    pub(crate) rflags: u64,
    pub(crate) data: u64,
    pub(crate) stack: u64,
    pub(crate) vectors: u64,
    pub(crate) top: [u64; 2],
}

/// The runs of one case.
pub(crate) struct Runs {
    pub(crate) original: Outcome,
    pub(crate) moved: Outcome,
    pub(crate) steps: Vec<Outcome>,
}

/// Runs all cases in one process.
pub(crate) fn run(placement: &Placement, seed: u64, cases: &[(Case, Slot)]) -> Vec<Runs> {
    let mut child = Command::new(judge("harness.c"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the judge was just built");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut input = Vec::new();
    for word in [placement.code, placement.slot, placement.data, placement.stack, seed] {
        input.extend(word.to_le_bytes());
    }
    for (case, slot) in cases {
        encode(case, slot, &mut input);
    }
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    stdout.read_to_end(&mut output).expect("the judge's output is readable");
    let status = child.wait().expect("the judge is our child");
    let mut reader = Reader { bytes: &output };
    let mut all = Vec::new();
    for (case, slot) in cases {
        let Some(runs) = reader.runs(steps(case, slot)) else {
            panic!("the judge ended with {status} at {:02x?}: {:02x?}", case.original, slot.bytes);
        };
        all.push(runs);
    }
    assert!(status.success() && matches!(writer.join(), Ok(Ok(()))), "{status}");
    all
}

/// Instructions that push or pop the flags would push or clear the step's own;
/// repeated ones are stepped by iteration, each state between before and after.
fn steps(case: &Case, slot: &Slot) -> bool {
    use trapline_patch::insn::InsnKind::{PopFlags, PushFlags};
    let raw = Decoder::with_ip(64, &case.original, case.at.get(), DecoderOptions::NONE).decode();
    let repeats = raw.is_string_instruction() && (raw.has_rep_prefix() || raw.has_repne_prefix());
    !repeats && !matches!(slot.kind, PushFlags | PopFlags)
}

fn encode(case: &Case, slot: &Slot, out: &mut Vec<u8>) {
    let words =
        [case.at.get(), case.to.get()].into_iter().chain(case.registers).chain([case.rflags]);
    for word in words {
        out.extend(word.to_le_bytes());
    }
    let lens =
        [case.original.len() as u32, slot.bytes.len() as u32, u32::from(steps(case, slot)), 0];
    for len in lens {
        out.extend(len.to_le_bytes());
    }
    let mut original = case.original.clone();
    original.resize(16, 0xcc);
    out.extend(original);
    let mut bytes = slot.bytes.clone();
    bytes.resize(MAX_SLOT, 0xcc);
    out.extend(bytes);
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn runs(&mut self, stepped: bool) -> Option<Runs> {
        let original = self.outcomes()?.pop()?;
        let moved = self.outcomes()?.pop()?;
        let steps = if stepped { self.outcomes()? } else { Vec::new() };
        Some(Runs { original, moved, steps })
    }

    fn outcomes(&mut self) -> Option<Vec<Outcome>> {
        let (count, rest) = self.bytes.split_first_chunk::<4>()?;
        self.bytes = rest;
        (0..u32::from_le_bytes(*count)).map(|_| self.outcome()).collect()
    }

    fn outcome(&mut self) -> Option<Outcome> {
        Some(Outcome {
            signal: self.word()?,
            code: self.word()?,
            address: self.word()?,
            registers: self.words()?,
            rip: self.word()?,
            rflags: self.word()?,
            data: self.word()?,
            stack: self.word()?,
            vectors: self.word()?,
            top: self.words()?,
        })
    }

    fn words<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.word()?;
        }
        Some(words)
    }

    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.bytes.split_first_chunk::<8>()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*word))
    }
}

/// The judge in a source file of this folder, compiled once in this process.
pub(crate) fn judge(source: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().expect("building a judge does not panic twice");
    built.entry(source.to_owned()).or_insert_with(|| build(source)).clone()
}

fn build(source: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/execution");
    let name = format!("judge-{}", source.replace(['/', '.'], "-"));
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Another test process may be running the one there is.
    let fresh = program.with_extension(std::process::id().to_string());
    let status = Command::new("gcc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&fresh)
        .arg(format!("{folder}/{source}"))
        .status()
        .expect("gcc is needed to build the judge");
    assert!(status.success(), "gcc: {status}");
    std::fs::rename(&fresh, &program).expect("both names are in one folder");
    program
}
