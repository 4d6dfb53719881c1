//! Expressions, byte by byte, and what they become.

use gimli::constants as dw;
use gimli::{EndianSlice, Expression, Format, LittleEndian};
use trapline_core::location::{self, BinaryOp, Frame, Op, Piece, Place};
use trapline_core::memory::ReadMemory;
use trapline_core::x64::Reg;
use trapline_core::{ImageAddr, ModuleId, VirtAddr};

use super::{Doing, Holds, Scene, lower};

const MODULE: ModuleId = ModuleId::new(3);

/// The operation codes of an expression and their operands, written as bytes.
macro_rules! bytes {
    ($($part:expr),* $(,)?) => { vec![$($part.to_byte()),*] };
}

trait ToByte {
    fn to_byte(self) -> u8;
}

impl ToByte for gimli::DwOp {
    fn to_byte(self) -> u8 {
        self.0
    }
}

impl ToByte for u8 {
    fn to_byte(self) -> u8 {
        self
    }
}

fn lowered(expression: &[u8]) -> Place {
    lowered_to_hold(expression, Holds::Here)
}

fn lowered_to_hold(expression: &[u8], holds: Holds) -> Place {
    // The frame address is `rsp + 16`, the frame base `rbp - 8`.
    let (cfa, base) = (vec![Op::RegOffset(Reg::Rsp, 16)], vec![Op::RegOffset(Reg::Rbp, -8)]);
    let scene = Scene {
        doing: Doing::Running,
        unit: None,
        encoding: gimli::Encoding { format: Format::Dwarf32, version: 5, address_size: 8 },
        module: MODULE,
        cfa: Some(&cfa),
        frame_base: Some(&base),
        behind: 0,
    };
    let kept: &'static [u8] = Box::leak(expression.to_vec().into_boxed_slice());
    lower::lower(Expression(EndianSlice::new(kept, LittleEndian)), scene, holds, None)
}

fn check(expression: Vec<u8>, expected: Place) {
    assert_eq!(lowered(&expression), expected, "{expression:x?}");
}

fn check_unavailable(expression: Vec<u8>, why: &str) {
    match lowered(&expression) {
        Place::Unavailable(said) => assert!(said.contains(why), "{expression:x?}: {said}"),
        other => panic!("{expression:x?}: {other:?}"),
    }
}

fn memory(reg: Reg, offset: i64) -> Place {
    Place::Memory(vec![Op::RegOffset(reg, offset)])
}

#[test]
fn what_a_call_may_change_is_believed_when_the_compiler_says_that_it_does_not() {
    let check = |expression: Vec<u8>, over: Place, until: Result<Place, &str>| {
        assert_eq!(lowered_to_hold(&expression, Holds::OverCall), over);
        let until = until.unwrap_or_else(|why| Place::Unavailable(why.to_owned()));
        assert_eq!(lowered_to_hold(&expression, Holds::UntilCall), until);
    };
    // DWARF numbers: rcx is 2, rbx 3.
    let kept = Place::Value(vec![Op::KeptRegister(Reg::Rcx)]);
    check(bytes![dw::DW_OP_reg2], kept, Err("optimized out"));
    let there = Place::Register(Reg::Rbx);
    check(bytes![dw::DW_OP_reg3], there.clone(), Ok(there));
    let added = [Op::KeptRegister(Reg::Rcx), Op::Const(4), Op::Binary(BinaryOp::Add)];
    check(bytes![dw::DW_OP_breg2, 4u8], Place::Memory(added.to_vec()), Err("optimized out"));
    check(bytes![dw::DW_OP_breg3, 4u8], memory(Reg::Rbx, 4), Ok(memory(Reg::Rbx, 4)));
}

#[test]
fn registers_at_entry_are_asked_of_the_caller() {
    let entry = Place::Value(vec![Op::EntryRegister(Reg::Rdi)]);
    check(bytes![dw::DW_OP_entry_value, 1u8, dw::DW_OP_reg5, dw::DW_OP_stack_value], entry);
}

#[test]
fn addresses_fold_the_frame_in() {
    let address = bytes![dw::DW_OP_addr, 0x10_u8, 0x20_u8, 0_u8, 0_u8, 0_u8, 0_u8, 0_u8, 0_u8];
    check(address, Place::Memory(vec![Op::Address(ImageAddr::new(0x2010))]));
    check(bytes![dw::DW_OP_fbreg, 0x6c_u8], memory(Reg::Rbp, -28));
    check(bytes![dw::DW_OP_breg3, 0x7f_u8], memory(Reg::Rbx, -1));
    check(bytes![dw::DW_OP_call_frame_cfa], memory(Reg::Rsp, 16));
    check(bytes![dw::DW_OP_call_frame_cfa, dw::DW_OP_plus_uconst, 8_u8], memory(Reg::Rsp, 24));
    check(
        bytes![dw::DW_OP_fbreg, 0_u8, dw::DW_OP_deref, dw::DW_OP_plus_uconst, 4_u8],
        Place::Memory(vec![
            Op::RegOffset(Reg::Rbp, -8),
            Op::Deref { size: 8 },
            Op::Const(4),
            Op::Binary(BinaryOp::Add),
        ]),
    );
}

#[test]
fn values_need_no_memory() {
    check(bytes![dw::DW_OP_reg5], Place::Register(Reg::Rdi));
    check(bytes![dw::DW_OP_regx, 18_u8], Place::Register(Reg::Xmm(1)));
    check(bytes![dw::DW_OP_lit7, dw::DW_OP_stack_value], Place::Value(vec![Op::Const(7)]));
    check(
        bytes![dw::DW_OP_const1s, 0xff_u8, dw::DW_OP_stack_value],
        Place::Value(vec![Op::Const(u64::MAX)]),
    );
    check(bytes![dw::DW_OP_implicit_value, 2_u8, 9_u8, 8_u8], Place::Bytes(vec![9, 8]));
    check(
        bytes![dw::DW_OP_breg0, 0_u8, dw::DW_OP_lit2, dw::DW_OP_shl, dw::DW_OP_stack_value],
        Place::Value(vec![Op::RegOffset(Reg::Rax, 0), Op::Const(2), Op::Binary(BinaryOp::Shl)]),
    );
}

#[test]
fn thread_locals_keep_their_offset() {
    let tls = Place::Memory(vec![Op::Tls { module: MODULE, offset: 0x30 }]);
    for op in [dw::DW_OP_form_tls_address, dw::DW_OP_GNU_push_tls_address] {
        check(bytes![dw::DW_OP_const1u, 0x30_u8, op], tls.clone());
    }
    check_unavailable(bytes![dw::DW_OP_breg0, 0_u8, dw::DW_OP_form_tls_address], "thread-local");
}

/// Programs of numbers alone.
struct NoFrame;

impl ReadMemory for NoFrame {
    fn read_some(&self, _: VirtAddr, _: &mut [u8]) -> usize {
        0
    }
}

impl Frame for NoFrame {
    fn register(&self, reg: Reg) -> Result<u64, String> {
        Err(format!("no {reg}"))
    }

    fn tls_address(&self, _: ModuleId, _: u64) -> Result<VirtAddr, String> {
        Err("no thread".to_owned())
    }
}

#[test]
fn pieces_of_bits_make_bytes_together() {
    let bits = |value: gimli::DwOp, size: u8, skip: u8| {
        bytes![value, dw::DW_OP_stack_value, dw::DW_OP_bit_piece, size, skip]
    };
    let both = [bits(dw::DW_OP_lit7, 3, 0), bits(dw::DW_OP_lit18, 5, 1)].concat();
    let Place::Pieces(pieces) = lowered(&both) else { panic!("{both:x?}") };
    let [Piece { place: Place::Value(program), len: 1 }] = &pieces[..] else {
        panic!("{pieces:?}")
    };
    assert_eq!(location::run(program, &NoFrame), Ok(7 | 9 << 3));
    let lost = [bits(dw::DW_OP_lit7, 3, 0), bytes![dw::DW_OP_bit_piece, 5u8, 0u8]].concat();
    let nowhere = Place::Unavailable("optimized out".to_owned());
    check(lost, Place::Pieces(vec![Piece { place: nowhere, len: 1 }]));
    check_unavailable(bits(dw::DW_OP_lit7, 3, 0), "split within a byte");
}

#[test]
fn pieces_stand_side_by_side() {
    let piece = |place, len| Piece { place, len };
    check(
        bytes![
            dw::DW_OP_reg1,
            dw::DW_OP_piece,
            4_u8,
            dw::DW_OP_piece,
            4_u8,
            dw::DW_OP_fbreg,
            0_u8,
            dw::DW_OP_piece,
            8_u8,
        ],
        Place::Pieces(vec![
            piece(Place::Register(Reg::Rdx), 4),
            piece(Place::Unavailable("optimized out".to_owned()), 4),
            piece(memory(Reg::Rbp, -8), 8),
        ]),
    );
    // The upper half of a register.
    check(
        bytes![dw::DW_OP_reg0, dw::DW_OP_bit_piece, 32_u8, 32_u8],
        Place::Pieces(vec![piece(
            Place::Value(vec![
                Op::RegOffset(Reg::Rax, 0),
                Op::Const(32),
                Op::Binary(BinaryOp::Shr),
            ]),
            4,
        )]),
    );
    // One piece that cannot be said does not spoil the others.
    let entry = bytes![
        dw::DW_OP_entry_value,
        2_u8,
        dw::DW_OP_breg5,
        0_u8,
        dw::DW_OP_stack_value,
        dw::DW_OP_piece,
        8_u8,
        dw::DW_OP_reg1,
        dw::DW_OP_piece,
        8_u8,
    ];
    check(
        entry,
        Place::Pieces(vec![
            piece(Place::Unavailable("the value at function entry is not known".to_owned()), 8),
            piece(Place::Register(Reg::Rdx), 8),
        ]),
    );
    check_unavailable(bytes![dw::DW_OP_reg0, dw::DW_OP_bit_piece, 3_u8, 0_u8], "within a byte");
}

#[test]
fn what_cannot_be_said_has_a_reason() {
    check_unavailable(vec![], "optimized out");
    check_unavailable(
        bytes![dw::DW_OP_entry_value, 2_u8, dw::DW_OP_breg5, 0_u8, dw::DW_OP_stack_value],
        "function entry",
    );
    check_unavailable(
        bytes![dw::DW_OP_implicit_pointer, 0_u8, 0_u8, 0_u8, 0_u8, 0_u8],
        "no address",
    );
    check_unavailable(bytes![dw::DW_OP_lit1, dw::DW_OP_skip, 0xfc_u8, 0xff_u8], "branches");
    check_unavailable(bytes![dw::DW_OP_push_object_address], "object");
    check_unavailable(bytes![dw::DW_OP_regx, 40_u8], "cannot be read");
    check_unavailable(bytes![dw::DW_OP_bregx, 18_u8, 0_u8], "not a general one");
}

#[test]
fn malformed_expressions_are_refused() {
    for expression in [
        bytes![dw::DW_OP_plus],
        bytes![dw::DW_OP_lit1, dw::DW_OP_plus],
        bytes![dw::DW_OP_stack_value],
        bytes![dw::DW_OP_deref],
        bytes![dw::DW_OP_lit1, dw::DW_OP_pick, 1_u8],
        bytes![dw::DW_OP_reg0, dw::DW_OP_reg1],
        bytes![dw::DW_OP_reg0, dw::DW_OP_piece, 4_u8, dw::DW_OP_reg1],
        bytes![dw::DW_OP_addr, 1_u8],
        bytes![dw::DW_OP_call2, 1_u8, 0_u8],
        vec![0xff],
    ] {
        check_unavailable(expression, "malformed");
    }
}
