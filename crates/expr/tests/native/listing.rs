//! The code of common conditions, and the reasons where there is none.

use std::sync::Arc;

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter};
use trapline_core::ids::ModuleId;
use trapline_core::location::{Op, Place};
use trapline_core::predicate::{Predicate, row};
use trapline_core::types::{BaseKind, Type};
use trapline_core::x64::Reg;
use trapline_expr::native::{self, Clause, Environment, InputPlace, Unsupported};
use trapline_expr::{Input, Purpose, compile};

use super::support::{World, base, int, pointer};

/// A place in a program, and what is known there.
struct Here;

impl Environment for Here {
    fn input(&self, input: Input) -> InputPlace {
        match input {
            Input::Tid => InputPlace::Row(row::TID_AT),
            Input::Thread => InputPlace::Row(row::THREAD_AT),
            Input::Pid => InputPlace::Number(1234),
            Input::ProcessName => InputPlace::Text("server".into()),
            _ => InputPlace::Unknown("it changes from pass to pass".to_owned()),
        }
    }

    fn tls(&self, _: ModuleId, offset: u64) -> Result<i64, String> {
        Ok(-0x100 + offset.cast_signed())
    }

    fn pc(&self) -> u64 {
        0x401000
    }
}

/// Variables in registers, on the stack and far away.
fn world() -> World {
    let mut world = World::new();
    let long = base("long", BaseKind::Signed, 8);
    let node: Arc<Type> = world.types["node"].clone();
    let text = pointer(&base("char", BaseKind::SignedChar, 1));
    for (name, ty, place) in [
        ("x", int(), Place::Register(Reg::Rdi)),
        ("n", long.clone(), Place::Register(Reg::Rsi)),
        ("a", int(), Place::Register(Reg::Rax)),
        ("np", pointer(&node), Place::Register(Reg::Rdi)),
        ("str", text.clone(), Place::Register(Reg::Rdi)),
        ("on_stack", int(), Place::Memory(vec![Op::RegOffset(Reg::Rsp, 0x18)])),
        ("in_frame", int(), Place::Memory(vec![Op::RegOffset(Reg::Rbp, -0x14)])),
        ("far", long.clone(), Place::Memory(vec![Op::Const(0x7fff_1234_5678)])),
        ("v", base("double", BaseKind::Float, 8), Place::Register(Reg::Xmm(0))),
        ("w", base("float", BaseKind::Float, 4), Place::Register(Reg::Xmm(1))),
        ("q", base("unsigned char", BaseKind::UnsignedChar, 1), Place::Register(Reg::Rdi)),
        ("tls", int(), Place::Memory(vec![Op::Tls { module: ModuleId::new(1), offset: 16 }])),
    ] {
        world.bind(name, &ty, place);
    }
    world
}

pub(crate) fn listing(predicate: &Predicate) -> String {
    let mut decoder = Decoder::with_ip(64, &predicate.code, 0, DecoderOptions::NONE);
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_space_after_operand_separator(true);
    formatter.options_mut().set_branch_leading_zeros(false);
    let mut lines = Vec::new();
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        if predicate.asks.iter().any(|at| u64::from(*at) + 4 == instruction.next_ip()) {
            let name = text.split(' ').next().unwrap_or_default();
            text = format!("{name} ask");
        }
        lines.push(text);
    }
    lines.join("; ")
}

fn compiled(text: &str) -> Result<Predicate, Unsupported> {
    let world = world();
    let program = compile(text, &world, Purpose::Condition).expect("it checks");
    let slots = vec![0x7fff_0000_1000; program.changed_slots];
    let clause = Clause { condition: Some(&program), slots: &slots, ..Clause::default() };
    native::predicate(&[clause], &Here)
}

/// What a condition becomes, and the registers it changes.
#[track_caller]
fn check(text: &str, expected: &[&str], changed: &[Reg]) {
    let predicate = compiled(text).expect("there is code for it");
    assert_eq!(listing(&predicate).split("; ").collect::<Vec<_>>(), expected, "{text}");
    let frame = &predicate.frame;
    let rax = frame.uses_rax.then_some(Reg::Rax);
    let all: Vec<Reg> = rax.into_iter().chain(frame.saved[1..].iter().copied()).collect();
    assert_eq!(all, changed, "{text}");
}

#[test]
fn a_comparison_with_a_known_number_changes_no_register() {
    check("x == 5", &["cmp edi, 5", "je ask"], &[]);
    check("a == 5", &["cmp dword ptr [rsp], 5", "je ask"], &[]);
    check("on_stack == 5", &["cmp dword ptr [rsp+0A8h], 5", "je ask"], &[]);
    check("in_frame > 5", &["cmp dword ptr [rbp-14h], 5", "jg ask"], &[]);
    check("q == 'a'", &["cmp dil, 61h", "je ask"], &[]);
    check("tls == 3", &["cmp dword ptr fs:[0FFFFFFFFFFFFFF10h], 3", "je ask"], &[]);
    check("$_tid == 77", &["cmp dword ptr gs:[4], 4Dh", "je ask"], &[]);
    check("x", &["test edi, edi", "jne ask"], &[]);
    check("!(x & 4)", &["test edi, 4", "je ask"], &[]);
    check("np->low", &["test dword ptr [rdi+18h], 7", "jne ask"], &[]);
}
