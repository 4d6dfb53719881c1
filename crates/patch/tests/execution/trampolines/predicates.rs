//! Random predicates written by hand, each with a rule that says what it
//! decides: code that changes all it may, around one decision.

use trapline_core::predicate::{Credit, Frame, Predicate};
use trapline_core::x64::{Reg, Registers};

use super::super::cases::Random;
use super::runs::Row;

/// What a predicate says, in words that need no processor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Always quiet.
    Quiet,
    /// Always asks.
    Ask,
    /// Asks unless this word of the row is 0.
    Word(u32),
    /// Asks when the register is negative.
    Negative(Reg),
    /// Quiet at once unless the word `gate` is 0; else pays from `word`.
    Pay { gate: u32, word: u32 },
    /// Reads where nothing is.
    Fault,
}

/// What comes of a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Quiet,
    Asks,
    Faults,
}

impl Rule {
    /// What a pass with these registers comes to, and what it pays.
    pub(crate) fn judge(self, before: &Registers, row: &mut Row) -> Verdict {
        let asks = match self {
            Self::Quiet => false,
            Self::Ask => true,
            Self::Word(at) => row.word(at) != 0,
            Self::Negative(reg) => before.get(reg).is_some_and(|value| value >> 63 == 1),
            Self::Pay { gate, .. } if row.word(gate) != 0 => false,
            Self::Pay { word, .. } => row.add(word, -1).cast_signed() < 0,
            Self::Fault => return Verdict::Faults,
        };
        if asks { Verdict::Asks } else { Verdict::Quiet }
    }

    pub(crate) fn pays_from(self) -> Option<u32> {
        match self {
            Self::Pay { word, .. } => Some(word),
            _ => None,
        }
    }
}

/// A predicate, its rule and where it counts.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) predicate: Predicate,
    pub(crate) rule: Rule,
    pub(crate) passes: u32,
}

/// Makes one that uses the row's words from `words` on: one for passes, two
/// for itself.
pub(crate) fn random(random: &mut Random, words: u32) -> Made {
    let frame = frame(random);
    let rule = rule(random, &frame, words + 8);
    let mut maker = Maker { frame, predicate: Predicate::default(), leave: Vec::new() };
    let changes = random.below(8);
    let decides_after = random.below(changes + 1);
    for number in 0..=changes {
        if number == decides_after {
            maker.decide(rule);
        }
        if number < changes {
            maker.change(random);
        }
    }
    Made { predicate: maker.finish(), rule, passes: words }
}

fn frame(random: &mut Random) -> Frame {
    let mut saved = vec![Reg::Rax];
    let mut vectors = Vec::new();
    let (few, fewer) = (random.below(5) + 1, random.below(8) + 1);
    for reg in Reg::general().filter(|reg| !matches!(reg, Reg::Rax | Reg::Rsp)) {
        if random.one_in(few) {
            saved.push(reg);
        }
    }
    if random.one_in(2) {
        vectors.extend((0..16).filter(|_| random.one_in(fewer)));
    }
    let scratch = 8 * random.below(6) as u32;
    Frame { scratch, saved, uses_rax: random.one_in(2), vectors }
}

fn rule(random: &mut Random, frame: &Frame, words: u32) -> Rule {
    match random.below(12) {
        0..3 => Rule::Quiet,
        3 => Rule::Ask,
        4 | 5 => Rule::Word(words),
        6 | 7 => {
            let any = Reg::general().nth(random.below(16) as usize).unwrap_or(Reg::Rax);
            let known = any != Reg::Rsp && (any != Reg::Rax || frame.saved.contains(&any));
            if known { Rule::Negative(any) } else { Rule::Quiet }
        }
        8..11 => Rule::Pay { gate: words, word: words + 8 },
        _ => Rule::Fault,
    }
}

struct Maker {
    frame: Frame,
    predicate: Predicate,
    /// Fields of branches to the end.
    leave: Vec<usize>,
}

impl Maker {
    fn raw(&mut self, bytes: &[u8]) {
        self.predicate.code.extend_from_slice(bytes);
    }

    fn here(&self) -> u32 {
        self.predicate.code.len() as u32
    }

    fn ask(&mut self, branch: &[u8]) {
        self.raw(branch);
        self.predicate.asks.push(self.here());
        self.raw(&[0; 4]);
    }

    /// An instruction on a word of the row.
    fn on_row(&mut self, opcode: &[u8], word: u32, immediate: &[u8]) {
        self.raw(&[0x65, 0x48]);
        self.raw(opcode);
        self.raw(&[0x25]);
        self.raw(&word.to_le_bytes());
        self.raw(immediate);
    }

    fn decide(&mut self, rule: Rule) {
        const JUMP: &[u8] = &[0xe9];
        const IF_NOT_EQUAL: &[u8] = &[0x0f, 0x85];
        const IF_NEGATIVE: &[u8] = &[0x0f, 0x88];
        match rule {
            Rule::Quiet => {}
            Rule::Ask => self.ask(JUMP),
            Rule::Word(at) => {
                self.on_row(&[0x83, 0x3c], at, &[0]);
                self.ask(IF_NOT_EQUAL);
            }
            Rule::Negative(reg) => {
                self.compare_with_zero(reg);
                self.ask(IF_NEGATIVE);
            }
            Rule::Pay { gate, word } => {
                self.on_row(&[0x83, 0x3c], gate, &[0]);
                self.raw(IF_NOT_EQUAL);
                self.leave.push(self.predicate.code.len());
                self.raw(&[0; 4]);
                self.on_row(&[0xff, 0x0c], word, &[]);
                self.predicate.credit = Some(Credit { word, paid_at: self.here() });
                self.ask(IF_NEGATIVE);
            }
            Rule::Fault => self.raw(&[0x80, 0x3c, 0x25, 0x10, 0, 0, 0, 0]),
        }
    }

    /// `cmp` of the program's value, which is on the stack if it is kept.
    fn compare_with_zero(&mut self, reg: Reg) {
        let number = reg.general_index().unwrap_or_default() as u8;
        match self.frame.saved_at(reg) {
            Some(at) => {
                self.raw(&[0x48, 0x83, 0xbc, 0x24]);
                self.raw(&at.to_le_bytes());
                self.raw(&[0]);
            }
            None => self.raw(&[0x48 | number >> 3, 0x83, 0xf8 | number & 7, 0]),
        }
    }

    /// Changes something that is kept.
    fn change(&mut self, random: &mut Random) {
        match random.below(5) {
            0 => self.raw(random.pick(&[&[0xf9], &[0xf8], &[0xf5], &[0x38, 0xe4], &[0xa8, 0x93]])),
            1 => self.change_vector(random),
            2 => self.change_scratch(random),
            3 => {
                let (a, b) = (random.below(16) as u8, random.below(16) as u8);
                let rex = 0x48 | (a >> 3) << 2 | b >> 3;
                self.raw(&[rex, 0x39, 0xc0 | (a & 7) << 3 | b & 7]);
            }
            _ => self.change_register(random),
        }
    }

    fn change_register(&mut self, random: &mut Random) {
        let reg = self.frame.saved[random.below(self.frame.saved.len() as u64) as usize];
        if reg == Reg::Rax && !self.frame.uses_rax {
            return;
        }
        let number = reg.general_index().unwrap_or_default() as u8;
        self.raw(&[0x48 | number >> 3, 0xb8 | number & 7]);
        self.raw(&random.next().to_le_bytes());
    }

    /// All ones in the low 16 bytes.
    fn change_vector(&mut self, random: &mut Random) {
        if self.frame.vectors.is_empty() {
            return;
        }
        let number = self.frame.vectors[random.below(self.frame.vectors.len() as u64) as usize];
        let (high, low) = (number >> 3, number & 7);
        self.raw(&[0x66, 0x40 | high << 2 | high, 0x0f, 0x76, 0xc0 | low << 3 | low]);
    }

    /// Writes scratch memory, and loads `mxcsr` from there.
    fn change_scratch(&mut self, random: &mut Random) {
        let Some(words) = (self.frame.scratch / 8).checked_sub(1) else { return };
        let at = (8 * random.below(u64::from(words) + 1) as u32).to_le_bytes();
        let value = (random.next() as u16).to_le_bytes();
        self.raw(&[0x48, 0xc7, 0x84, 0x24]);
        self.raw(&at);
        self.raw(&[value[0], value[1], 0, 0]);
        if !self.frame.vectors.is_empty() {
            self.raw(&[0x0f, 0xae, 0x94, 0x24]);
            self.raw(&at);
        }
    }

    fn finish(mut self) -> Predicate {
        let end = self.here();
        for field in self.leave {
            let distance = end - (field as u32 + 4);
            self.predicate.code[field..field + 4].copy_from_slice(&distance.to_le_bytes());
        }
        self.predicate.frame = self.frame;
        self.predicate
    }
}
