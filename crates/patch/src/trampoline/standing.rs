//! What the registers of a thread inside deciding code mean, and how they
//! become the program's again.

use trapline_core::VirtAddr;
use trapline_core::memory::{ReadMemory, Unreadable};
use trapline_core::predicate::Frame;
use trapline_core::x64::{Reg, Registers, VectorState, flags};

/// How a thread stands at one place of deciding code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// What has been decided.
    pub decided: Decided,
    /// Where the program's registers are.
    pub kept: Kept,
}

/// How far a pass has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decided {
    /// Nothing: the thread may come to the site once more instead.
    Nothing,
    /// Nothing, but it has taken 1 from the word at this offset of its row,
    /// which is to be given back.
    Paid(u32),
    /// The pass is quiet, whether it was paid for or not, and 1 is still to be
    /// added to the word at this offset of the row. It must not begin again:
    /// nobody can tell any more what is to be given back.
    Uncounted(u32),
    /// The pass was quiet and has been counted.
    Quiet,
}

/// Where the program's registers are that are not in place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// What to add to `rsp` at the end.
    pub below: u32,
    /// General registers, with their offsets from `rsp`.
    pub registers: Vec<(Reg, u32)>,
    /// The flags.
    pub flags: FlagsKept,
    /// Numbers of vector registers, with the offsets of their low 16 bytes.
    pub vectors: Vec<(u8, u32)>,
    /// Offset of `mxcsr`.
    pub mxcsr: Option<u32>,
}

/// Where the program's flags are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FlagsKept {
    /// In place.
    #[default]
    InPlace,
    /// In `rax`: `ah` as `lahf` left it, `al` 1 for overflow.
    InRax,
    /// There, with 127 added to `al`: its highest bit is overflow.
    InRaxAdded,
    /// On the stack, as they were in `rax`.
    OnStack(u32),
}

/// The flags that `lahf` stores. Intel SDM volume 2, LAHF.
const LAHF: u64 = flags::CF | flags::PF | flags::AF | flags::ZF | flags::SF;

impl Kept {
    /// Everything kept that a frame has room for, with the flags there.
    pub(super) fn whole(frame: &Frame, flags: FlagsKept) -> Self {
        let place = |&reg: &Reg| frame.saved_at(reg).map(|at| (reg, at));
        let vectors = frame.vectors.iter().enumerate();
        Self {
            below: frame.size(),
            registers: frame.saved.iter().filter_map(place).collect(),
            flags,
            vectors: vectors.map(|(index, &number)| (number, frame.vector_at(index))).collect(),
            mxcsr: (!frame.vectors.is_empty()).then(|| frame.mxcsr_at()),
        }
    }

    /// Whether all registers are the program's own.
    pub fn is_exact(&self) -> bool {
        *self == Self::default()
    }

    /// Turns a thread's registers into the program's; `rip` is left as it is.
    ///
    /// # Errors
    /// When the stack cannot be read; nothing is changed then.
    pub fn restore(
        &self,
        registers: &mut Registers,
        memory: &impl ReadMemory,
    ) -> Result<(), Unreadable> {
        let rsp = VirtAddr::new(registers.rsp());
        let word = |offset: u32| memory.read_u64(rsp.wrapping_add(u64::from(offset)));
        let image = match self.flags {
            FlagsKept::InPlace => None,
            FlagsKept::InRax => Some(registers.rax()),
            FlagsKept::InRaxAdded => Some(registers.rax() & !0xff | (registers.rax() >> 7 & 1)),
            FlagsKept::OnStack(offset) => Some(word(offset)?),
        };
        let mut restored = *registers;
        for &(reg, offset) in &self.registers {
            restored.set(reg, word(offset)?);
        }
        if let Some(image) = image {
            let overflow = if image & 1 == 0 { 0 } else { flags::OF };
            let others = registers.rflags & !(LAHF | flags::OF);
            restored.rflags = others | (image >> 8 & LAHF) | overflow;
        }
        restored.set(Reg::Rsp, rsp.wrapping_add(u64::from(self.below)).get());
        *registers = restored;
        Ok(())
    }

    /// Whether vector registers are kept.
    pub fn has_vectors(&self) -> bool {
        !self.vectors.is_empty()
    }

    /// Turns the vector registers of a thread whose stack pointer is `rsp` into
    /// the program's.
    ///
    /// # Errors
    /// As for [`Self::restore`].
    pub fn restore_vectors(
        &self,
        rsp: VirtAddr,
        state: &mut VectorState,
        memory: &impl ReadMemory,
    ) -> Result<(), Unreadable> {
        let mut restored = state.clone();
        for &(number, offset) in &self.vectors {
            let at = rsp.wrapping_add(u64::from(offset));
            if let Some(vector) = restored.xmm.get_mut(usize::from(number)) {
                memory.read_exact(at, vector)?;
            }
        }
        if let Some(offset) = self.mxcsr {
            let mut bytes = [0; 4];
            memory.read_exact(rsp.wrapping_add(u64::from(offset)), &mut bytes)?;
            restored.mxcsr = u32::from_le_bytes(bytes);
        }
        *state = restored;
        Ok(())
    }
}
