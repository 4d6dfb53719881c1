//! Which registers the code may change, which it changes, and where the
//! program's values of those are.

use trapline_core::predicate::Frame;
use trapline_core::x64::Reg;

use super::Result;
use super::asm::{Mem, Rm};
use super::tree::{Op, Tree};

/// General registers that hold what is computed, best ones first. Those that
/// need no prefix make shorter code.
const POOL: [Reg; 15] = [
    Reg::Rax,
    Reg::Rcx,
    Reg::Rdx,
    Reg::Rsi,
    Reg::Rdi,
    Reg::Rbx,
    Reg::Rbp,
    Reg::R8,
    Reg::R9,
    Reg::R10,
    Reg::R11,
    Reg::R14,
    Reg::R15,
    Reg::R12,
    Reg::R13,
];

/// Registers in use, and all that ever were.
pub(super) struct Registers {
    /// In the order in which they are taken.
    pool: [Reg; 15],
    used: Vec<Reg>,
    touched: Vec<Reg>,
    vector_pool: [u8; 16],
    used_vectors: Vec<u8>,
    touched_vectors: Vec<u8>,
    scratch: u32,
    most_scratch: u32,
    /// What is kept where, as far as it is known before.
    pub(super) frame: Frame,
}

impl Registers {
    /// Prefers registers that the tree does not read.
    pub(super) fn new(tree: &Tree, frame: Frame) -> Self {
        let reads = |reg: Reg| {
            tree.words().iter().any(|word| match word.op {
                Op::Register(read) => read == reg,
                Op::Lane(index, _) | Op::Vector(index) => Reg::Xmm(index) == reg,
                _ => false,
            })
        };
        let mut pool = POOL;
        pool.sort_by_key(|&reg| reg != Reg::Rax && reads(reg));
        let mut vector_pool: [u8; 16] = std::array::from_fn(|index| index as u8);
        vector_pool.sort_by_key(|&index| reads(Reg::Xmm(index)));
        Self {
            pool,
            used: Vec::new(),
            touched: Vec::new(),
            vector_pool,
            used_vectors: Vec::new(),
            touched_vectors: Vec::new(),
            scratch: 0,
            most_scratch: 0,
            frame,
        }
    }

    /// A register that nobody uses.
    pub(super) fn take(&mut self) -> Result<Reg> {
        self.take_except(&[])
    }

    pub(super) fn take_except(&mut self, not: &[Reg]) -> Result<Reg> {
        let free = self.pool.iter().find(|reg| !self.used.contains(reg) && !not.contains(reg));
        let reg = *free.ok_or("it takes too many registers")?;
        self.claim(reg);
        Ok(reg)
    }

    /// Takes one register of all, which must be free.
    pub(super) fn claim(&mut self, reg: Reg) {
        self.used.push(reg);
        if !self.touched.contains(&reg) {
            self.touched.push(reg);
        }
    }

    pub(super) fn is_used(&self, reg: Reg) -> bool {
        self.used.contains(&reg)
    }

    pub(super) fn release(&mut self, reg: Reg) {
        self.used.retain(|&used| used != reg);
    }

    pub(super) fn take_vector(&mut self) -> Result<u8> {
        let free = self.vector_pool.iter().find(|index| !self.used_vectors.contains(index));
        let index = *free.ok_or("it takes too many vector registers")?;
        self.used_vectors.push(index);
        if !self.touched_vectors.contains(&index) {
            self.touched_vectors.push(index);
        }
        Ok(index)
    }

    pub(super) fn release_vector(&mut self, index: u8) {
        self.used_vectors.retain(|&used| used != index);
    }

    /// Sees to it that the environment of floats is saved.
    pub(super) fn touch_vectors(&mut self) -> Result<()> {
        if self.touched_vectors.is_empty() {
            let index = self.take_vector()?;
            self.release_vector(index);
        }
        Ok(())
    }

    /// 8 bytes of scratch memory.
    pub(super) fn take_scratch(&mut self) -> Mem {
        let at = self.scratch;
        self.scratch += 8;
        self.most_scratch = self.most_scratch.max(self.scratch);
        Mem::stack(at)
    }

    /// Gives back what was taken last.
    pub(super) fn release_scratch(&mut self) {
        self.scratch = self.scratch.saturating_sub(8);
    }

    /// Where the program's value of a general register is; not for `rsp`.
    pub(super) fn program(&self, reg: Reg) -> Rm {
        match self.frame.saved_at(reg) {
            Some(at) => Rm::Mem(Mem::stack(at)),
            None => Rm::Reg(reg),
        }
    }

    /// Where the low 16 bytes of the program's vector register are, when they
    /// are not in it.
    pub(super) fn program_vector(&self, index: u8) -> Option<Mem> {
        let at = self.frame.vectors.iter().position(|&saved| saved == index)?;
        Some(Mem::stack(self.frame.vector_at(at)))
    }

    /// The frame that holds what was changed besides what it holds already;
    /// `None` when it held everything.
    pub(super) fn larger_frame(&self) -> Option<Frame> {
        let mut frame = self.frame.clone();
        frame.scratch = frame.scratch.max(self.most_scratch);
        frame.uses_rax |= self.touched.contains(&Reg::Rax);
        for reg in &self.touched {
            if !frame.saved.contains(reg) {
                frame.saved.push(*reg);
            }
        }
        for index in &self.touched_vectors {
            if !frame.vectors.contains(index) {
                frame.vectors.push(*index);
            }
        }
        (frame != self.frame).then_some(frame)
    }
}
