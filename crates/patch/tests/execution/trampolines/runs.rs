//! What the judge of trampolines is told and what it says.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use trapline_core::VirtAddr;
use trapline_core::memory::Bytes;
use trapline_core::x64::{Reg, Registers, VectorState, flags};

use super::super::harness::{Placement, judge};
use super::cases::Case;

/// Words of a row that the judge looks at.
const ROW_WORDS: usize = 32;
/// Bytes from the stack pointer up that it shows.
const FRAME: usize = 512;

/// A thread's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Row(pub(crate) [u64; ROW_WORDS]);

impl Row {
    pub(crate) fn word(&self, at: u32) -> u64 {
        self.0[at as usize / 8]
    }

    /// The word after adding to it.
    pub(crate) fn add(&mut self, at: u32, more: i64) -> u64 {
        let word = &mut self.0[at as usize / 8];
        *word = word.wrapping_add_signed(more);
        *word
    }
}

/// How one run ended, or one step of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Outcome {
    pub(crate) signal: u64,
    pub(crate) code: u64,
    pub(crate) address: u64,
    /// Without the trap flag.
    pub(crate) registers: Registers,
    /// All memory but the row.
    pub(crate) memory: [u64; 2],
    pub(crate) vectors: VectorState,
    /// The rest of the state that vectors and floats have.
    pub(crate) rest: u64,
    pub(crate) row: Row,
    /// What `rsp` points to.
    pub(crate) frame: Vec<u8>,
}

impl Outcome {
    /// The stack as far as it was shown.
    pub(crate) fn stack(&self) -> Bytes {
        Bytes { start: VirtAddr::new(self.registers.rsp()), data: self.frame.clone() }
    }
}

/// All that the judge says about a case.
pub(crate) struct Runs {
    pub(crate) in_place: Outcome,
    pub(crate) in_place_steps: Vec<Outcome>,
    pub(crate) through: Outcome,
    pub(crate) through_steps: Vec<Outcome>,
    /// Where a run was interrupted, in bytes from the trampoline's start, and
    /// how it ended if not as the one that was not.
    pub(crate) trials: Vec<(u16, Option<Outcome>)>,
}

/// Runs all cases in one process.
pub(crate) fn run(placement: &Placement, row: u64, seed: u64, cases: &[Case]) -> Vec<Runs> {
    let mut child = Command::new(judge("trampolines/judge.c"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the judge was just built");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut input = Vec::new();
    let Placement { code, slot, data, stack, .. } = *placement;
    put(&mut input, [code, slot, data, stack, row, seed]);
    cases.iter().for_each(|case| encode(case, &mut input));
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let mut output = Vec::new();
    stdout.read_to_end(&mut output).expect("the judge's output is readable");
    let status = child.wait().expect("the judge is our child");
    let mut reader = Reader { bytes: &output };
    let mut all = Vec::new();
    for case in cases {
        let Some(runs) = reader.runs() else {
            panic!("the judge ended with {status} at seed {seed}: {case}")
        };
        all.push(runs);
    }
    assert!(status.success() && matches!(writer.join(), Ok(Ok(()))), "{status}");
    all
}

fn put(out: &mut Vec<u8>, words: impl IntoIterator<Item = u64>) {
    words.into_iter().for_each(|word| out.extend(word.to_le_bytes()));
}

fn encode(case: &Case, out: &mut Vec<u8>) {
    let original = case.original();
    let places = case.places();
    put(out, [case.insns[0].at.get(), case.trampoline.to.get()]);
    put(out, case.registers);
    put(out, [case.rflags, case.gs, case.stack_from(), case.unstepped().map_or(0, VirtAddr::get)]);
    put(out, case.row.0);
    for number in [case.mxcsr, original.len() as u32, case.len() as u32, places.len() as u32] {
        out.extend(number.to_le_bytes());
    }
    out.extend(original);
    out.extend(&case.trampoline.bytes);
    for place in places {
        let numbers = [
            place.offset,
            place.begins.into(),
            place.unstepped.into(),
            place.again.unwrap_or(u16::MAX),
            place.add.unwrap_or(u16::MAX),
            0,
            0,
            0,
        ];
        numbers.into_iter().for_each(|number| out.extend(number.to_le_bytes()));
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn runs(&mut self) -> Option<Runs> {
        Some(Runs {
            in_place: self.outcomes()?.pop()?,
            in_place_steps: self.outcomes()?,
            through: self.outcomes()?.pop()?,
            through_steps: self.outcomes()?,
            trials: (0..self.half()?).map(|_| self.trial()).collect::<Option<_>>()?,
        })
    }

    fn trial(&mut self) -> Option<(u16, Option<Outcome>)> {
        let offset = u16::try_from(self.half()?).ok()?;
        let differs = self.half()? != 0;
        Some((offset, if differs { Some(self.outcome()?) } else { None }))
    }

    fn outcomes(&mut self) -> Option<Vec<Outcome>> {
        (0..self.half()?).map(|_| self.outcome()).collect()
    }

    fn outcome(&mut self) -> Option<Outcome> {
        let (signal, code, address) = (self.word()?, self.word()?, self.word()?);
        let mut registers = Registers::default();
        for reg in Reg::general() {
            registers.set(reg, self.word()?);
        }
        registers.rip = self.word()?;
        registers.rflags = self.word()? & !(flags::TF | flags::RF);
        let memory = [self.word()?, self.word()?];
        let rest = self.word()?;
        let mxcsr = self.word()? as u32;
        let mut xmm = [[0; 16]; 16];
        for vector in &mut xmm {
            *vector = *self.take::<16>()?;
        }
        let mut row = Row([0; ROW_WORDS]);
        for word in &mut row.0 {
            *word = self.word()?;
        }
        let frame = self.take::<FRAME>()?.to_vec();
        let vectors = VectorState { xmm, x87: [[0; 16]; 8], mxcsr };
        Some(Outcome { signal, code, address, registers, memory, vectors, rest, row, frame })
    }

    fn half(&mut self) -> Option<u32> {
        self.take().copied().map(u32::from_le_bytes)
    }

    fn word(&mut self) -> Option<u64> {
        self.take().copied().map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<&[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>()?;
        self.bytes = rest;
        Some(taken)
    }
}
