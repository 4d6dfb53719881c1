//! The register file: names, DWARF numbers, parts of registers, values.

use std::fmt;

/// A register that a user can name and a debug format can mean.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names are the processor's own")]
#[repr(u8)]
pub enum Reg {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    Rip,
    Rflags,
    Cs,
    Ss,
    Ds,
    Es,
    Fs,
    Gs,
    FsBase,
    GsBase,
    /// The system call number while the kernel may still restart it; -1
    /// otherwise. The kernel's, not the processor's.
    OrigRax,
    Xmm(u8),
}

/// The kinds of registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegClass {
    /// `rax` to `r15`.
    General,
    /// `rip`, `rflags`, segments and their bases.
    Control,
    /// `xmm0` to `xmm15`, 16 bytes.
    Vector,
}

/// A register, or the part of one that has a name of its own (`eax`, `ah`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegView {
    /// The whole register.
    pub reg: Reg,
    /// First byte of the part.
    pub offset: u8,
    /// Bytes of the part.
    pub size: u8,
}

const GENERAL: [(Reg, &str, &str, &str, &str); 16] = [
    (Reg::Rax, "rax", "eax", "ax", "al"),
    (Reg::Rcx, "rcx", "ecx", "cx", "cl"),
    (Reg::Rdx, "rdx", "edx", "dx", "dl"),
    (Reg::Rbx, "rbx", "ebx", "bx", "bl"),
    (Reg::Rsp, "rsp", "esp", "sp", "spl"),
    (Reg::Rbp, "rbp", "ebp", "bp", "bpl"),
    (Reg::Rsi, "rsi", "esi", "si", "sil"),
    (Reg::Rdi, "rdi", "edi", "di", "dil"),
    (Reg::R8, "r8", "r8d", "r8w", "r8b"),
    (Reg::R9, "r9", "r9d", "r9w", "r9b"),
    (Reg::R10, "r10", "r10d", "r10w", "r10b"),
    (Reg::R11, "r11", "r11d", "r11w", "r11b"),
    (Reg::R12, "r12", "r12d", "r12w", "r12b"),
    (Reg::R13, "r13", "r13d", "r13w", "r13b"),
    (Reg::R14, "r14", "r14d", "r14w", "r14b"),
    (Reg::R15, "r15", "r15d", "r15w", "r15b"),
];

const CONTROL: [(Reg, &str); 11] = [
    (Reg::Rip, "rip"),
    (Reg::Rflags, "eflags"),
    (Reg::Cs, "cs"),
    (Reg::Ss, "ss"),
    (Reg::Ds, "ds"),
    (Reg::Es, "es"),
    (Reg::Fs, "fs"),
    (Reg::Gs, "gs"),
    (Reg::FsBase, "fs_base"),
    (Reg::GsBase, "gs_base"),
    (Reg::OrigRax, "orig_rax"),
];

const XMM_NAMES: [&str; 16] = [
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
    "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
];

impl Reg {
    /// The sixteen general registers in encoding order.
    pub fn general() -> impl Iterator<Item = Self> {
        GENERAL.iter().map(|row| row.0)
    }

    /// gdb's name, without `$`.
    pub fn name(self) -> &'static str {
        if let Self::Xmm(index) = self {
            return XMM_NAMES.get(usize::from(index)).copied().unwrap_or("xmm?");
        }
        GENERAL
            .iter()
            .map(|row| (row.0, row.1))
            .chain(CONTROL)
            .find_map(|(reg, name)| (reg == self).then_some(name))
            .unwrap_or("?")
    }

    /// What kind of register it is.
    pub fn class(self) -> RegClass {
        match self {
            Self::Xmm(_) => RegClass::Vector,
            _ if self.general_index().is_some() => RegClass::General,
            _ => RegClass::Control,
        }
    }

    /// Position among the general registers, in instruction encoding order.
    pub fn general_index(self) -> Option<usize> {
        GENERAL.iter().position(|row| row.0 == self)
    }

    /// The register with a DWARF number. System V ABI AMD64, figure 3.36.
    pub fn from_dwarf(number: u16) -> Option<Self> {
        const GENERAL_BY_DWARF: [Reg; 17] = [
            Reg::Rax,
            Reg::Rdx,
            Reg::Rcx,
            Reg::Rbx,
            Reg::Rsi,
            Reg::Rdi,
            Reg::Rbp,
            Reg::Rsp,
            Reg::R8,
            Reg::R9,
            Reg::R10,
            Reg::R11,
            Reg::R12,
            Reg::R13,
            Reg::R14,
            Reg::R15,
            Reg::Rip,
        ];
        match number {
            0..=16 => Some(GENERAL_BY_DWARF[usize::from(number)]),
            17..=32 => u8::try_from(number - 17).ok().map(Self::Xmm),
            49 => Some(Self::Rflags),
            50 => Some(Self::Es),
            51 => Some(Self::Cs),
            52 => Some(Self::Ss),
            53 => Some(Self::Ds),
            54 => Some(Self::Fs),
            55 => Some(Self::Gs),
            58 => Some(Self::FsBase),
            59 => Some(Self::GsBase),
            _ => None,
        }
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl RegView {
    /// The whole of a register.
    pub fn whole(reg: Reg) -> Self {
        let size = if reg.class() == RegClass::Vector { 16 } else { 8 };
        Self { reg, offset: 0, size }
    }

    /// Reads a name as a user writes it after `$`: `rax`, `eax`, `ah`, `pc`,
    /// `sp`, `fp`, `rflags`, `xmm3`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "pc" => return Some(Self::whole(Reg::Rip)),
            "sp" => return Some(Self::whole(Reg::Rsp)),
            "fp" => return Some(Self::whole(Reg::Rbp)),
            "rflags" => return Some(Self::whole(Reg::Rflags)),
            "ah" => return Some(Self { reg: Reg::Rax, offset: 1, size: 1 }),
            "ch" => return Some(Self { reg: Reg::Rcx, offset: 1, size: 1 }),
            "dh" => return Some(Self { reg: Reg::Rdx, offset: 1, size: 1 }),
            "bh" => return Some(Self { reg: Reg::Rbx, offset: 1, size: 1 }),
            _ => {}
        }
        for (reg, eight, four, two, one) in GENERAL {
            for (spelling, size) in [(eight, 8), (four, 4), (two, 2), (one, 1)] {
                if spelling == name {
                    return Some(Self { reg, offset: 0, size });
                }
            }
        }
        if let Some((reg, _)) = CONTROL.iter().find(|row| row.1 == name) {
            return Some(Self::whole(*reg));
        }
        let index = XMM_NAMES.iter().position(|xmm| *xmm == name)?;
        u8::try_from(index).ok().map(|index| Self::whole(Reg::Xmm(index)))
    }
}

/// The integer registers of a stopped thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(missing_docs, reason = "the names are the processor's own")]
pub struct Registers {
    /// `rax` to `r15` in encoding order: `rax rcx rdx rbx rsp rbp rsi rdi r8`...
    pub general: [u64; 16],
    pub rip: u64,
    pub rflags: u64,
    pub orig_rax: u64,
    pub cs: u64,
    pub ss: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
    pub fs_base: u64,
    pub gs_base: u64,
}

impl Registers {
    /// The value of a register of 64 bits; `None` for a vector register.
    pub fn get(&self, reg: Reg) -> Option<u64> {
        if let Some(index) = reg.general_index() {
            return Some(self.general[index]);
        }
        self.control(reg)
    }

    /// Changes a register of 64 bits; `false` (and no change) for a vector
    /// register.
    pub fn set(&mut self, reg: Reg, value: u64) -> bool {
        if let Some(index) = reg.general_index() {
            self.general[index] = value;
            return true;
        }
        match self.control_mut(reg) {
            Some(slot) => {
                *slot = value;
                true
            }
            None => false,
        }
    }

    /// The stack pointer.
    pub fn rsp(&self) -> u64 {
        self.general[4]
    }

    /// The frame pointer.
    pub fn rbp(&self) -> u64 {
        self.general[5]
    }

    /// `rax`: a function's or system call's result.
    pub fn rax(&self) -> u64 {
        self.general[0]
    }

    fn control(&self, reg: Reg) -> Option<u64> {
        let mut copy = *self;
        copy.control_mut(reg).map(|slot| *slot)
    }

    fn control_mut(&mut self, reg: Reg) -> Option<&mut u64> {
        Some(match reg {
            Reg::Rip => &mut self.rip,
            Reg::Rflags => &mut self.rflags,
            Reg::OrigRax => &mut self.orig_rax,
            Reg::Cs => &mut self.cs,
            Reg::Ss => &mut self.ss,
            Reg::Ds => &mut self.ds,
            Reg::Es => &mut self.es,
            Reg::Fs => &mut self.fs,
            Reg::Gs => &mut self.gs,
            Reg::FsBase => &mut self.fs_base,
            Reg::GsBase => &mut self.gs_base,
            _ => return None,
        })
    }
}

/// The SSE and x87 registers of a stopped thread.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VectorState {
    /// `xmm0` to `xmm15`, 16 bytes each.
    pub xmm: [[u8; 16]; 16],
    /// `st(0)` to `st(7)`, of which ten bytes each count. They are only read:
    /// changing the others leaves them alone.
    pub x87: [[u8; 16]; 8],
    /// Control and status of SSE.
    pub mxcsr: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for reg in Reg::general().chain(CONTROL.iter().map(|row| row.0)).chain([Reg::Xmm(9)]) {
            assert_eq!(RegView::parse(reg.name()), Some(RegView::whole(reg)), "{reg}");
        }
        assert_eq!(RegView::parse("eax"), Some(RegView { reg: Reg::Rax, offset: 0, size: 4 }));
        assert_eq!(RegView::parse("bh"), Some(RegView { reg: Reg::Rbx, offset: 1, size: 1 }));
        assert_eq!(RegView::parse("xmm16"), None);
    }

    #[test]
    fn values_live_where_the_names_say() {
        let mut registers = Registers::default();
        assert!(registers.set(Reg::Rsp, 7));
        assert!(registers.set(Reg::GsBase, 9));
        assert!(!registers.set(Reg::Xmm(0), 1));
        assert_eq!((registers.rsp(), registers.gs_base), (7, 9));
        assert_eq!(registers.get(Reg::Rsp), Some(7));
        assert_eq!(registers.get(Reg::Xmm(0)), None);
    }

    #[test]
    fn dwarf_numbers_follow_the_abi() {
        assert_eq!(Reg::from_dwarf(1), Some(Reg::Rdx));
        assert_eq!(Reg::from_dwarf(7), Some(Reg::Rsp));
        assert_eq!(Reg::from_dwarf(16), Some(Reg::Rip));
        assert_eq!(Reg::from_dwarf(32), Some(Reg::Xmm(15)));
        assert_eq!(Reg::from_dwarf(33), None);
    }
}
