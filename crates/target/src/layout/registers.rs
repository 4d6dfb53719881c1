//! `user_regs_struct` and the FXSAVE area, as ptrace(2) copies them, to and
//! from the core's registers.

use trapline_core::x64::{Registers, VectorState};

/// 64-bit words of `user_regs_struct`.
pub const WORDS: usize = 27;

/// Bytes of the FXSAVE area. Intel SDM volume 1, section 10.5.1.
pub const FXSAVE_SIZE: usize = 512;

/// Position of each general register (in instruction encoding order) in
/// `user_regs_struct`. Linux, arch/x86/include/asm/user_64.h.
const GENERAL: [usize; 16] = [10, 11, 12, 5, 19, 4, 13, 14, 9, 8, 7, 6, 3, 2, 1, 0];

const ORIG_RAX: usize = 15;
const RIP: usize = 16;
const CS: usize = 17;
const RFLAGS: usize = 18;
const SS: usize = 20;
const FS_BASE: usize = 21;
const GS_BASE: usize = 22;
const DS: usize = 23;
const ES: usize = 24;
const FS: usize = 25;
const GS: usize = 26;

const MXCSR: usize = 24;
const X87: usize = 32;
const XMM: usize = 160;

/// Reads `user_regs_struct`.
pub fn from_words(words: &[u64; WORDS]) -> Registers {
    Registers {
        general: GENERAL.map(|index| words[index]),
        rip: words[RIP],
        rflags: words[RFLAGS],
        orig_rax: words[ORIG_RAX],
        cs: words[CS],
        ss: words[SS],
        ds: words[DS],
        es: words[ES],
        fs: words[FS],
        gs: words[GS],
        fs_base: words[FS_BASE],
        gs_base: words[GS_BASE],
    }
}

/// Writes `user_regs_struct`.
pub fn to_words(registers: &Registers) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (value, index) in registers.general.iter().zip(GENERAL) {
        words[index] = *value;
    }
    words[RIP] = registers.rip;
    words[RFLAGS] = registers.rflags;
    words[ORIG_RAX] = registers.orig_rax;
    words[CS] = registers.cs;
    words[SS] = registers.ss;
    words[DS] = registers.ds;
    words[ES] = registers.es;
    words[FS] = registers.fs;
    words[GS] = registers.gs;
    words[FS_BASE] = registers.fs_base;
    words[GS_BASE] = registers.gs_base;
    words
}

/// Reads the SSE and x87 registers out of an FXSAVE area (which also begins every
/// XSAVE area).
pub fn vector_from_fxsave(area: &[u8; FXSAVE_SIZE]) -> VectorState {
    let mut xmm = [[0; 16]; 16];
    for (register, bytes) in xmm.iter_mut().zip(area[XMM..].chunks_exact(16)) {
        register.copy_from_slice(bytes);
    }
    let mut x87 = [[0; 16]; 8];
    for (register, bytes) in x87.iter_mut().zip(area[X87..].chunks_exact(16)) {
        register.copy_from_slice(bytes);
    }
    let mut mxcsr = [0; 4];
    mxcsr.copy_from_slice(&area[MXCSR..MXCSR + 4]);
    VectorState { xmm, x87, mxcsr: u32::from_le_bytes(mxcsr) }
}

/// Puts the SSE registers into an FXSAVE area and leaves the rest of it alone.
pub fn vector_into_fxsave(state: &VectorState, area: &mut [u8; FXSAVE_SIZE]) {
    for (register, bytes) in state.xmm.iter().zip(area[XMM..].chunks_exact_mut(16)) {
        bytes.copy_from_slice(register);
    }
    area[MXCSR..MXCSR + 4].copy_from_slice(&state.mxcsr.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_one_register() {
        let words: [u64; WORDS] = std::array::from_fn(|index| index as u64 + 100);
        assert_eq!(to_words(&from_words(&words)), words);
    }

    #[test]
    fn the_kernel_order_is_kept() {
        let words: [u64; WORDS] = std::array::from_fn(|index| index as u64);
        let registers = from_words(&words);
        assert_eq!((registers.rax(), registers.rsp(), registers.rbp()), (10, 19, 4));
        assert_eq!((registers.rip, registers.orig_rax, registers.rflags), (16, 15, 18));
        assert_eq!(registers.general[15], 0, "r15 comes first");
    }

    #[test]
    fn vectors_change_nothing_else_in_the_area() {
        let mut area: [u8; FXSAVE_SIZE] = std::array::from_fn(|index| index as u8);
        let before = area;
        let state = vector_from_fxsave(&area);
        assert_eq!(state.xmm[1][0], 176);
        vector_into_fxsave(&state, &mut area);
        assert_eq!(area, before);
        vector_into_fxsave(
            &VectorState { xmm: [[0; 16]; 16], x87: [[0; 16]; 8], mxcsr: 0 },
            &mut area,
        );
        assert_eq!(area[..24], before[..24]);
        assert_eq!(area[28..160], before[28..160]);
        assert_eq!(area[416..], before[416..]);
    }
}
