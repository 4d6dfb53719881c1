//! Writing deciding code: what is kept, the predicate between, what is given
//! back, and what each place means.

use trapline_core::predicate::{Frame, row};
use trapline_core::x64::{INT3, Reg};
use trapline_core::{AddrRange, VirtAddr};

use super::standing::{Decided, FlagsKept, Kept, Standing};
use super::{Decides, Decision, Detail};

/// A trampoline being written.
pub(super) struct Writer {
    to: VirtAddr,
    bytes: Vec<u8>,
    detail: Detail,
}

/// Deciding code of which the way to the debugger is still to be written.
pub(super) struct Half {
    standings: Vec<(VirtAddr, Standing)>,
    comments: Vec<(VirtAddr, Box<str>)>,
    /// Where the fields of branches that ask are, in the trampoline's bytes.
    asks: Vec<usize>,
}

impl Half {
    /// What became of it, with the way to the debugger at `asking`.
    pub(super) fn finish(self, site: VirtAddr, front: AddrRange, asking: AddrRange) -> Decision {
        Decision { site, front, asking, standings: self.standings, comments: self.comments }
    }
}

impl Writer {
    pub(super) fn new(to: VirtAddr, detail: Detail) -> Self {
        Self { to, bytes: Vec::with_capacity(192), detail }
    }

    pub(super) fn here(&self) -> VirtAddr {
        self.to.wrapping_add(self.bytes.len() as u64)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Everything before the displaced instruction.
    pub(super) fn front(&mut self, decides: &Decides<'_>) -> Half {
        let frame = &decides.predicate.frame;
        let mut half = Half { standings: Vec::new(), comments: Vec::new(), asks: Vec::new() };
        self.keep(frame, &mut half);
        self.check_row(frame, &mut half);
        self.predicate(decides, &mut half);
        self.mark(&mut half, Decided::Uncounted(decides.passes), || whole(frame));
        self.comment(&mut half, "a quiet pass more");
        self.raw(&[0x65, 0x48, 0xff, 0x04, 0x25]);
        self.raw(&decides.passes.to_le_bytes());
        self.mark(&mut half, Decided::Quiet, || whole(frame));
        self.comment(&mut half, "the program's registers again");
        self.give_back(frame, Decided::Quiet, &mut half);
        half
    }

    /// The way to the debugger: to it go the branches that ask.
    pub(super) fn asking(&mut self, decides: &Decides<'_>, half: &mut Half) -> AddrRange {
        let start = self.here();
        for field in std::mem::take(&mut half.asks) {
            let after = self.to.wrapping_add(field as u64 + 4);
            let distance = start.get().wrapping_sub(after.get()) as u32;
            if let Some(place) = self.bytes.get_mut(field..field + 4) {
                place.copy_from_slice(&distance.to_le_bytes());
            }
        }
        let frame = &decides.predicate.frame;
        self.mark(half, Decided::Nothing, || whole(frame));
        self.comment(half, "the program's registers again, to ask the debugger");
        self.give_back(frame, Decided::Nothing, half);
        self.mark(half, Decided::Nothing, Kept::default);
        self.comment(half, "ask");
        self.raw(&[INT3]);
        AddrRange::between(start, self.here())
    }

    fn keep(&mut self, frame: &Frame, half: &mut Half) {
        let size = frame.size();
        self.mark(half, Decided::Nothing, Kept::default);
        self.comment(half, "past the red zone, and keep what is changed");
        self.move_rsp(size.wrapping_neg());
        let mut kept = Kept { below: size, ..Kept::default() };
        self.mark(half, Decided::Nothing, || kept.clone());
        for (index, &reg) in frame.saved.iter().enumerate() {
            let at = frame.saved_at(reg).unwrap_or_default();
            self.store(reg, at);
            if self.detail == Detail::Meaning {
                kept.registers.push((reg, at));
            }
            self.mark(half, Decided::Nothing, || kept.clone());
            if index == 0 {
                // lahf; seto al
                self.raw(&[0x9f, 0x0f, 0x90, 0xc0]);
            }
            if index == 0 && frame.uses_rax {
                self.store(Reg::Rax, frame.flags_at());
            }
        }
        if !frame.vectors.is_empty() {
            self.on_stack(&[0x0f, 0xae], 3, frame.mxcsr_at());
        }
        for (index, &number) in frame.vectors.iter().enumerate() {
            self.move_vector(0x11, number, frame.vector_at(index));
        }
    }

    /// Asks when `gs` does not lead to a row of ours.
    fn check_row(&mut self, frame: &Frame, half: &mut Half) {
        self.comment(half, "does gs lead to this thread's row?");
        self.raw(&[0x65, 0x81, 0x3c, 0x25]);
        self.raw(&row::MAGIC_AT.to_le_bytes());
        self.raw(&row::MAGIC.to_le_bytes());
        self.mark(half, Decided::Nothing, || whole(frame));
        self.raw(&[0x0f, 0x85]);
        half.asks.push(self.bytes.len());
        self.raw(&[0; 4]);
    }

    fn predicate(&mut self, decides: &Decides<'_>, half: &mut Half) {
        let predicate = decides.predicate;
        let start = self.here();
        let at = |offset: u32| start.wrapping_add(u64::from(offset));
        let offset = self.bytes.len();
        half.asks.extend(predicate.asks.iter().map(|&ask| offset + ask as usize));
        self.raw(&predicate.code);
        if self.detail == Detail::Code {
            return;
        }
        half.comments.extend(predicate.comments.iter().map(|(to, text)| (at(*to), text.clone())));
        if let Some(credit) = predicate.credit {
            let kept = whole(&predicate.frame);
            let standing = Standing { decided: Decided::Paid(credit.word), kept };
            half.standings.push((at(credit.paid_at), standing));
        }
    }

    /// Gives everything back. `sahf` leaves the overflow flag alone, which the
    /// addition before sets: Intel SDM volume 2, SAHF.
    fn give_back(&mut self, frame: &Frame, decided: Decided, half: &mut Half) {
        let mut kept = match self.detail {
            Detail::Meaning => whole(frame),
            Detail::Code => Kept::default(),
        };
        for (index, &number) in frame.vectors.iter().enumerate() {
            self.move_vector(0x10, number, frame.vector_at(index));
        }
        if !frame.vectors.is_empty() {
            self.on_stack(&[0x0f, 0xae], 2, frame.mxcsr_at());
        }
        for &reg in frame.saved.iter().skip(1) {
            self.load(reg, frame.saved_at(reg).unwrap_or_default());
        }
        if frame.uses_rax {
            self.load(Reg::Rax, frame.flags_at());
        }
        // add al, 127
        self.raw(&[0x04, 0x7f]);
        if kept.flags == FlagsKept::InRax {
            kept.flags = FlagsKept::InRaxAdded;
            self.mark(half, decided, || kept.clone());
        }
        // sahf
        self.raw(&[0x9e]);
        kept.flags = FlagsKept::InPlace;
        self.mark(half, decided, || kept);
        self.load(Reg::Rax, frame.saved_at(Reg::Rax).unwrap_or_default());
        self.move_rsp(frame.size());
    }

    /// Says what the next instruction finds.
    fn mark(&self, half: &mut Half, decided: Decided, kept: impl FnOnce() -> Kept) {
        if self.detail == Detail::Meaning {
            half.standings.push((self.here(), Standing { decided, kept: kept() }));
        }
    }

    fn comment(&self, half: &mut Half, text: &str) {
        if self.detail == Detail::Meaning {
            half.comments.push((self.here(), text.into()));
        }
    }

    /// `lea rsp, [rsp + by]`.
    fn move_rsp(&mut self, by: u32) {
        self.raw(&[0x48, 0x8d, 0xa4, 0x24]);
        self.raw(&by.to_le_bytes());
    }

    /// `mov [rsp + at], reg`.
    fn store(&mut self, reg: Reg, at: u32) {
        self.move_general(0x89, reg, at);
    }

    /// `mov reg, [rsp + at]`.
    fn load(&mut self, reg: Reg, at: u32) {
        self.move_general(0x8b, reg, at);
    }

    fn move_general(&mut self, opcode: u8, reg: Reg, at: u32) {
        let number = reg.general_index().unwrap_or_default() as u8;
        let rex = 0x48 | (number >> 3) << 2;
        self.on_stack(&[rex, opcode], number & 7, at);
    }

    /// `movups` between the low 16 bytes of a vector register and the stack,
    /// which leaves the bytes above alone.
    fn move_vector(&mut self, opcode: u8, number: u8, at: u32) {
        match number {
            0..8 => self.on_stack(&[0x0f, opcode], number, at),
            _ => self.on_stack(&[0x44, 0x0f, opcode], number & 7, at),
        }
    }

    /// An instruction with the operand `[rsp + at]`.
    fn on_stack(&mut self, opcode: &[u8], field: u8, at: u32) {
        const SIB_RSP: u8 = 0x24;
        self.raw(opcode);
        let modrm = field << 3 | 0b100;
        match i8::try_from(at) {
            Ok(0) => self.raw(&[modrm, SIB_RSP]),
            Ok(short) => self.raw(&[0x40 | modrm, SIB_RSP, short.to_le_bytes()[0]]),
            Err(_) => {
                self.raw(&[0x80 | modrm, SIB_RSP]);
                self.raw(&at.to_le_bytes());
            }
        }
    }
}

/// What is kept while the predicate runs, and where.
fn whole(frame: &Frame) -> Kept {
    let flags =
        if frame.uses_rax { FlagsKept::OnStack(frame.flags_at()) } else { FlagsKept::InRax };
    Kept::whole(frame, flags)
}
