//! Slots as listings: what is emitted for each kind of instruction. That they
//! do the right thing is judged by running them, in `tests/execution`.

use trapline_core::VirtAddr;
use trapline_core::memory::Bytes;
use trapline_core::x64::{Reg, Registers};

use super::{Boundary, Refusal, Slot, Undo, relocate, relocate_flowing_on};
use crate::disassembly::{Syntax, print};
use crate::insn::decode;

const AT: VirtAddr = VirtAddr::new(0x5000_0000);
const NEAR: VirtAddr = VirtAddr::new(0x5010_0000);
const FAR: VirtAddr = VirtAddr::new(0x6000_0000_0000);
/// Out of reach of [`FAR`] and of absolute addresses.
const HIGH: VirtAddr = VirtAddr::new(0x5000_0000_0000);

/// The slot's instructions up to the first pointer.
fn listing(original: &[u8], at: VirtAddr, to: VirtAddr) -> Vec<String> {
    lines(&relocate(original, at, to).unwrap())
}

fn lines(slot: &Slot) -> Vec<String> {
    print(&slot.bytes, slot.to, Syntax::Intel, &|_| None)
        .into_iter()
        .filter(|line| slot.boundary(line.addr).is_some())
        .map(|line| line.text)
        .collect()
}

fn check(original: &[u8], at: VirtAddr, to: VirtAddr, expected: &[&str]) {
    assert_eq!(listing(original, at, to), expected, "{original:02x?}");
}

#[test]
fn what_needs_no_change_is_copied() {
    check(&[0x48, 0x89, 0xe5], AT, NEAR, &["mov rbp,rsp", "jmp 0x50000003"]);
    check(&[0x55], AT, FAR, &["push rbp", "jmp qword ptr [rip]        # 0x600000000007"]);
    check(&[0xc3], AT, NEAR, &["ret"]);
    check(&[0x3e, 0xff, 0xe0], AT, NEAR, &["notrack jmp rax"]);
    check(&[0xcc], AT, NEAR, &["int3", "jmp 0x50000001"]);
    check(&[0xcd, 0x80], AT, NEAR, &["int 0x80", "jmp 0x50000002"]);
}

#[test]
fn memory_relative_to_the_instruction_stays_the_same() {
    let load = [0x8b, 0x05, 0x00, 0x10, 0, 0];
    check(&load, AT, NEAR, &["mov eax,[rip-0xff000]        # 0x50001006", "jmp 0x50000006"]);
    check(&load, AT, FAR, &["mov eax,[0x50001006]", "jmp qword ptr [rip]        # 0x60000000000d"]);
    check(
        &load,
        HIGH,
        FAR,
        &[
            "lea rsp,[rsp-0x80]",
            "push rsi",
            "mov rsi,0x500000001006",
            "mov eax,[rsi]",
            "pop rsi",
            "lea rsp,[rsp+0x80]",
            "jmp qword ptr [rip]        # 0x600000000021",
        ],
    );
    let lea = [0x48, 0x8d, 0x05, 0x00, 0x10, 0, 0];
    let constant = "mov rax,0x500000001007";
    check(&lea, HIGH, FAR, &[constant, "jmp qword ptr [rip]        # 0x600000000010"]);
}

#[test]
fn branches_go_where_they_went() {
    check(&[0xeb, 0x10], AT, NEAR, &["jmp 0x50000012"]);
    let taken = ["je 0x50100007", "jmp 0x50000002", "jmp 0x50000012"];
    check(&[0x74, 0x10], AT, NEAR, &taken);
    let near = ["je 0x50100007", "jmp 0x50000006", "jmp 0x50001006"];
    check(&[0x0f, 0x84, 0, 0x10, 0, 0], AT, NEAR, &near);
    let counted = ["jrcxz 0x50100007", "jmp 0x50000002", "jmp 0x50000012"];
    check(&[0xe3, 0x10], AT, NEAR, &counted);
    let narrow = ["addr32 loop 0x50100008", "jmp 0x50000003", "jmp 0x50000013"];
    check(&[0x67, 0xe2, 0x10], AT, NEAR, &narrow);
}

#[test]
fn what_flows_on_jumps_nowhere() {
    let check = |original: &[u8], expected: &[&str]| {
        let insn = decode(original, AT).unwrap();
        let slot = relocate_flowing_on(&insn, original, NEAR).unwrap();
        assert_eq!(lines(&slot), expected, "{original:02x?}");
        assert!(slot.boundaries.iter().all(|it| usize::from(it.offset) < slot.bytes.len()));
    };
    check(&[0x48, 0x89, 0xe5], &["mov rbp,rsp"]);
    check(&[0x74, 0x10], &["jne 0x50100007", "jmp 0x50000012"]);
    let counted = ["jrcxz 0x50100004", "jmp 0x50100009", "jmp 0x50000012"];
    check(&[0xe3, 0x10], &counted);
    check(&[0x0f, 0x05], &["syscall", "mov rcx,0x50000002"]);
    check(&[0xc3], &["ret"]);
}

#[test]
fn calls_push_the_address_they_would_have_pushed() {
    let pushes =
        ["lea rsp,[rsp-0x8]", "mov dword ptr [rsp],0x50000005", "mov dword ptr [rsp+0x4],0x0"];
    let slot = relocate(&[0xe8, 0, 0x10, 0, 0], AT, NEAR).unwrap();
    let lines = listing(&[0xe8, 0, 0x10, 0, 0], AT, NEAR);
    assert_eq!(lines[3], "jmp 0x50001005");
    assert_eq!(lines[..3], pushes);
    let padded = listing(&[0x66, 0x66, 0x48, 0xe8, 0, 0x10, 0, 0], AT, NEAR);
    assert_eq!(padded[3], "jmp 0x50001008");
    let pushed = Undo { rsp: 8, ..Undo::EXACT };
    let target = VirtAddr::new(0x5000_1005);
    let expected =
        [(0, AT, Undo::EXACT), (5, AT, pushed), (12, AT, pushed), (20, target, Undo::EXACT)]
            .map(|(offset, original, undo)| Boundary { offset, original, undo });
    assert_eq!(slot.boundaries, expected);
}

#[test]
fn a_system_call_leaves_no_trace_of_the_slot() {
    let slot = relocate(&[0x0f, 0x05], AT, NEAR).unwrap();
    check(&[0x0f, 0x05], AT, NEAR, &["syscall", "mov rcx,0x50000002", "jmp 0x50000002"]);
    let mut registers = Registers { rip: NEAR.get() + 2, ..Registers::default() };
    registers.set(Reg::Rcx, NEAR.get() + 2);
    let after = slot.boundary(VirtAddr::new(registers.rip)).unwrap();
    after.restore(&mut registers, &Bytes::default()).unwrap();
    assert_eq!((registers.rip, registers.get(Reg::Rcx)), (0x5000_0002, Some(0x5000_0002)));
}

#[test]
fn addresses_map_both_ways() {
    let slot = relocate(&[0x74, 0x10], AT, NEAR).unwrap();
    let (next, target) = (AT.wrapping_add(2), AT.wrapping_add(0x12));
    for (original, offset) in [(AT, 0), (next, 2), (target, 7)] {
        let pc = NEAR.wrapping_add(offset);
        assert_eq!(slot.original_pc(pc), Some(original));
        assert_eq!(slot.slot_pc(original), Some(pc));
    }
    assert_eq!(slot.original_pc(NEAR.wrapping_add(1)), None);
    assert_eq!(slot.original_pc(AT), None);
    assert_eq!(slot.next(), next);
}

#[test]
fn what_cannot_be_moved_is_refused() {
    let check = |bytes: &[u8], why| assert_eq!(relocate(bytes, HIGH, FAR).unwrap_err(), why);
    check(&[], Refusal::Undecodable);
    check(&[0x06], Refusal::Undecodable);
    check(&[0xe8, 0, 0], Refusal::Undecodable);
    check(&[0xc7, 0xf8, 0, 0, 0, 0], Refusal::Transaction);
    check(&[0xff, 0x1b], Refusal::Far);
    check(&[0x0f, 0x34], Refusal::SysEnter);
    check(&[0x66, 0xe9, 0, 0, 0, 0], Refusal::NarrowBranch);
    check(&[0x66, 0xff, 0xe0], Refusal::NarrowBranch);
    check(&[0xff, 0xd4], Refusal::CallsStack);
    check(&[0x48, 0x8b, 0x25, 0, 0, 0, 0], Refusal::StackOutOfReach);
}
