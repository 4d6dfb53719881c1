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
        lines.push(text.replace("short ", ""));
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
fn check(text: &str, expected: &str, changed: &[Reg]) {
    let predicate = compiled(text).expect("there is code for it");
    assert_eq!(listing(&predicate), expected, "{text}");
    let frame = &predicate.frame;
    let rax = frame.uses_rax.then_some(Reg::Rax);
    let all: Vec<Reg> = rax.into_iter().chain(frame.saved[1..].iter().copied()).collect();
    assert_eq!(all, changed, "{text}");
}

#[test]
fn a_comparison_with_a_known_number_changes_no_register() {
    check("x == 5", "cmp edi, 5; je ask", &[]);
    check("a == 5", "cmp dword ptr [rsp], 5; je ask", &[]);
    check("on_stack == 5", "cmp dword ptr [rsp+0A8h], 5; je ask", &[]);
    check("in_frame > 5", "cmp dword ptr [rbp-14h], 5; jg ask", &[]);
    check("q == 'a'", "cmp dil, 61h; je ask", &[]);
    check("tls == 3", "cmp dword ptr fs:[0FFFFFFFFFFFFFF10h], 3; je ask", &[]);
    check("$_tid == 77", "cmp dword ptr gs:[4], 4Dh; je ask", &[]);
    check("x", "test edi, edi; jne ask", &[]);
    check("!(x & 4)", "test edi, 4; je ask", &[]);
    check("np->low", "test dword ptr [rdi+18h], 7; jne ask", &[]);
    check("in_frame == 5 || x > 7", "cmp dword ptr [rbp-14h], 5; je ask; cmp edi, 7; jg ask", &[]);
    check("text == str", "cmp rdi, [1100h]; je ask", &[]);
}

#[test]
fn operands_are_folded() {
    const RAX: &[Reg] = &[Reg::Rax];
    check(
        "np->value == 3 && np->next->value > 7 && n != 0",
        "cmp dword ptr [rdi], 3; jne 17h; mov rax, [rdi+8]; cmp dword ptr [rax], 7; jle 17h; \
         test rsi, rsi; jne ask",
        RAX,
    );
    check("arr[x] == 4", "movsxd rax, edi; cmp dword ptr [rax*4+1030h], 4; je ask", RAX);
    check("x * 12 > 5", "imul eax, edi, 0Ch; cmp eax, 5; jg ask", RAX);
    check("i + u == 3", "mov eax, [1000h]; add eax, [1004h]; cmp eax, 3; je ask", RAX);
    check("np->low == 3", "mov eax, [rdi+18h]; and eax, 7; cmp eax, 3; je ask", RAX);
    check(
        "n + 8 == far",
        "lea rax, [rsi+8]; mov rcx, 7FFF12345678h; cmp rax, [rcx]; je ask",
        &[Reg::Rax, Reg::Rcx],
    );
}

#[test]
fn a_division_by_a_known_number_is_none() {
    check(
        "x % 3 == 0",
        "movsxd rax, edi; mov ecx, 55555556h; imul rcx, rax; sar rcx, 20h; mov rdx, rax; \
         shr rdx, 3Fh; add rcx, rdx; imul rcx, 3; sub rax, rcx; test eax, eax; je ask",
        &[Reg::Rax, Reg::Rcx, Reg::Rdx],
    );
    check(
        "u / 10 == 7",
        "mov eax, [1004h]; mov ecx, 0CCCCCCCDh; imul rcx, rax; shr rcx, 23h; cmp ecx, 7; \
         je ask",
        &[Reg::Rax, Reg::Rcx],
    );
    check(
        "n % 1000 == 0",
        "mov rax, 20C49BA5E353F7CFh; imul rsi; mov rcx, rdx; sar rcx, 7; mov rax, rsi; \
         shr rax, 3Fh; add rcx, rax; imul rcx, 3E8h; mov rax, rsi; sub rax, rcx; \
         test rax, rax; je ask",
        &[Reg::Rax, Reg::Rcx, Reg::Rdx],
    );
}

#[test]
fn floats_compare_with_known_ones_as_integers() {
    check(
        "v > 1.5",
        "movq rax, xmm0; mov rcx, 0C007FFFFFFFFFFFFh; add rax, rcx; \
         mov rcx, 3FF7FFFFFFFFFFFFh; cmp rax, rcx; jbe ask",
        &[Reg::Rax, Reg::Rcx],
    );
    check("w == 2.5", "movq rax, xmm1; cmp eax, 40200000h; je ask", &[Reg::Rax]);
    check("v != 0.0", "movq rax, xmm0; add rax, rax; test rax, rax; jne ask", &[Reg::Rax]);
    check(
        "v * 2.0 > d",
        "mov dword ptr [rsp], 1F80h; ldmxcsr [rsp]; movaps xmm1, xmm0; \
         mov rax, 4000000000000000h; movq xmm2, rax; mulsd xmm1, xmm2; \
         ucomisd xmm1, [1018h]; ja ask",
        &[Reg::Rax],
    );
    // Nothing is beyond infinity; what is compared is read even so.
    check("v > 1e300 * 1e300", "", &[]);
    check("d > 1e300 * 1e300", "mov rax, [1018h]", &[Reg::Rax]);
}

#[test]
fn texts_differ_at_their_first_byte() {
    check(
        "str == \"ab\"",
        "cmp byte ptr [rdi], 61h; jne 15h; cmp byte ptr [rdi+1], 62h; jne 15h; \
         cmp byte ptr [rdi+2], 0; je ask",
        &[],
    );
    check(
        "str == \"hello\"",
        "cmp byte ptr [rdi], 68h; jne 4Eh; lea rax, [rdi]; and eax, 0FFFh; cmp eax, 0FFAh; \
         ja 2Ch; cmp dword ptr [rdi], 6C6C6568h; jne 4Eh; cmp dword ptr [rdi+2], 6F6C6Ch; \
         jne 4Eh; jmp ask; cmp byte ptr [rdi+1], 65h; jne 4Eh; cmp byte ptr [rdi+2], 6Ch; \
         jne 4Eh; cmp byte ptr [rdi+3], 6Ch; jne 4Eh; cmp byte ptr [rdi+4], 6Fh; jne 4Eh; \
         cmp byte ptr [rdi+5], 0; je ask",
        &[Reg::Rax],
    );
}

#[test]
fn what_changed_is_asked_about() {
    check(
        "$_changed(x)",
        "mov rax, 7FFF00001000h; cmp qword ptr [rax], 5; jne ask; mov rax, 7FFF00001008h; \
         cmp edi, [rax]; jne ask",
        &[Reg::Rax],
    );
}

#[test]
fn what_there_is_no_code_for_says_why() {
    let check = |text: &str, why: &str| {
        assert_eq!(compiled(text).map_err(|error| error.to_string()), Err(why.to_owned()));
    };
    check("ld > 1.0", "`ld > 1.0`: numbers of 10 bytes are computed outside the program");
    check("$_hits == 3", "`$_hits`: it changes from pass to pass");
    check("x && $_thread_name == \"a\"", "`$_thread_name == \"a\"`: it changes from pass to pass");
    check("gone == 1", "`gone`: optimized out");
    check("$rflags == 1", "`$rflags`: eflags is not read inside the program");
    let long = "a".repeat(300);
    let text = format!("str == \"{long}\"");
    check(&text, &format!("`{text}`: a text of more than 256 bytes"));
    let credit = Clause { credit: Some(64), ..Clause::default() };
    let several = native::predicate(&[credit, Clause::default()], &Here);
    assert!(several.is_err());
}

#[test]
fn a_hit_is_paid_for_where_the_mark_is() {
    let credit = Clause { credit: Some(64), ..Clause::default() };
    let predicate = native::predicate(&[credit], &Here).expect("there is code for it");
    assert_eq!(listing(&predicate), "dec qword ptr gs:[40h]; js ask");
    let paid = predicate.credit.expect("it pays");
    assert_eq!((paid.word, paid.paid_at), (64, 9));
    let always = native::predicate(&[Clause::default()], &Here).expect("there is code for it");
    assert_eq!((listing(&always).as_str(), always.asks), ("jmp ask", vec![1]));
}

#[test]
fn comments_are_what_the_user_wrote() {
    let predicate = compiled("x == 5 && np->value > 2").expect("there is code for it");
    let comments: Vec<_> = predicate.comments.iter().map(|(at, text)| (*at, &**text)).collect();
    assert_eq!(comments, [(0, "x == 5"), (5, "np->value > 2")]);
}
