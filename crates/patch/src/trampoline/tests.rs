//! Trampolines as listings: what is emitted, what each place means and what is
//! refused. That they do the right thing is judged by running them, in
//! `tests/execution`.

use trapline_core::VirtAddr;
use trapline_core::predicate::{Credit, Frame, Predicate};
use trapline_core::x64::Reg;

use super::{
    Decided, Decides, Decision, Detail, Displaced, FlagsKept, Standing, Trampoline, build,
};
use crate::disassembly::{Syntax, print};
use crate::relocate::Refusal;

const AT: VirtAddr = VirtAddr::new(0x5000_0000);
const TO: VirtAddr = VirtAddr::new(0x5010_0000);
const PASSES: u32 = 64;

/// `cmp edi,3; je ask`.
fn edi_is_three() -> Predicate {
    Predicate {
        code: vec![0x83, 0xff, 0x03, 0x0f, 0x84, 0, 0, 0, 0],
        asks: vec![5],
        comments: vec![(0, "n == 3".into())],
        ..Predicate::default()
    }
}

/// `mov rcx,[rsp+8]; dec qword gs:[72]; js ask; pcmpeqd xmm9,xmm9`, which
/// changes all that a predicate may.
fn changes_all() -> Predicate {
    let mut code = vec![0x48, 0x8b, 0x4c, 0x24, 0x08];
    code.extend([0x65, 0x48, 0xff, 0x0c, 0x25, 72, 0, 0, 0]);
    code.extend([0x0f, 0x88, 0, 0, 0, 0]);
    code.extend([0x66, 0x45, 0x0f, 0x76, 0xc9]);
    Predicate {
        code,
        asks: vec![16],
        frame: Frame {
            scratch: 8,
            saved: vec![Reg::Rax, Reg::Rcx],
            uses_rax: true,
            vectors: vec![9],
        },
        credit: Some(Credit { word: 72, paid_at: 14 }),
        comments: Vec::new(),
    }
}

/// The trampoline of instructions in a row, of which some are decided about.
fn built(insns: &[(&[u8], Option<&Predicate>)]) -> Result<Trampoline, Refusal> {
    let code: Vec<u8> = insns.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
    let mut offset = 0;
    let displaced: Vec<Displaced<'_>> = (0..)
        .zip(insns)
        .map(|(index, (bytes, predicate))| {
            let (at, code) = (AT.wrapping_add(offset as u64), &code[offset..]);
            let passes = PASSES + 64 * index;
            offset += bytes.len();
            let decides = predicate.map(|predicate| Decides { predicate, passes });
            Displaced { at, code, decides }
        })
        .collect();
    build(&displaced, TO, Detail::Meaning)
}

/// Each instruction, with the comment on it.
fn listing(trampoline: &Trampoline) -> Vec<String> {
    let comment = |at| trampoline.decisions.iter().find_map(|decision| decision.comment(at));
    print(&trampoline.bytes, TO, Syntax::Intel, &|_| None)
        .into_iter()
        .map(|line| match comment(line.addr) {
            Some(comment) => format!("{}  ; {comment}", line.text),
            None => line.text,
        })
        .collect()
}

#[test]
fn a_pass_is_decided_before_the_instruction_runs() {
    let trampoline = built(&[(&[0x55], Some(&edi_is_three()))]).unwrap();
    let expected = [
        "lea rsp,[rsp-0x90]  ; past the red zone, and keep what is changed",
        "mov [rsp],rax",
        "lahf",
        "seto al",
        "cmp dword ptr gs:[0x0],0x54724c6e  ; does gs lead to this thread's row?",
        "jne 0x50100049",
        "cmp edi,0x3  ; n == 3",
        "je 0x50100049",
        "inc qword ptr gs:[0x40]  ; a quiet pass more",
        "add al,0x7f  ; the program's registers again",
        "sahf",
        "mov rax,[rsp]",
        "lea rsp,[rsp+0x90]",
        "push rbp",
        "jmp 0x50000001",
        "add al,0x7f  ; the program's registers again, to ask the debugger",
        "sahf",
        "mov rax,[rsp]",
        "lea rsp,[rsp+0x90]",
        "int3  ; ask",
    ];
    assert_eq!(listing(&trampoline), expected);
}

#[test]
fn the_copies_of_a_window_follow_each_other() {
    let predicate = edi_is_three();
    // push rbp; je +16; mov ebp,edi
    let insns: [(&[u8], _); 3] =
        [(&[0x55], Some(&predicate)), (&[0x74, 0x10], None), (&[0x89, 0xfd], Some(&predicate))];
    let trampoline = built(&insns).unwrap();
    let sites: Vec<VirtAddr> = trampoline.decisions.iter().map(|it| it.site).collect();
    let [first, second, third] = [AT, AT.wrapping_add(1), AT.wrapping_add(3)];
    assert_eq!(sites, [first, third]);
    let lines = listing(&trampoline);
    let from = lines.iter().position(|line| line == "push rbp").unwrap();
    let branch = ["push rbp", "jne 0x5010004b", "jmp 0x50000013"];
    assert_eq!(lines[from..from + 3], branch);
    assert!(lines[from + 3].starts_with("lea rsp,[rsp-0x90]"), "{lines:?}");
    let ways = [first, second, third].map(|at| trampoline.way_in(at).unwrap().get() - TO.get());
    assert_eq!(ways, [0, 0x44, 0x4b]);
    let slots = [first, second, third].map(|at| trampoline.slot_at(at).unwrap().get() - TO.get());
    assert_eq!(slots, [0x43, 0x44, 0x8e]);
    assert_eq!(trampoline.way_in(AT.wrapping_add(2)), None);
    let traps: Vec<u8> = trampoline
        .decisions
        .iter()
        .map(|it| trampoline.bytes[(it.trap().get() - TO.get()) as usize])
        .collect();
    assert_eq!(traps, [0xcc, 0xcc]);
}

/// What is decided at each instruction of the code that decides at the first
/// site, and where the flags are; an exact place has none of its own.
fn standings(trampoline: &Trampoline) -> Vec<(String, Standing)> {
    let decision: &Decision = &trampoline.decisions[0];
    print(&trampoline.bytes, TO, Syntax::Intel, &|_| None)
        .into_iter()
        .filter(|line| decision.contains(line.addr))
        .map(|line| (line.text, decision.standing(line.addr).unwrap().clone()))
        .collect()
}

#[test]
fn every_place_says_what_is_decided_and_where_the_flags_are() {
    use FlagsKept::{InPlace, InRax, InRaxAdded};
    let trampoline = built(&[(&[0x55], Some(&edi_is_three()))]).unwrap();
    let (nothing, quiet) = (Decided::Nothing, Decided::Quiet);
    let expected = [
        ("lea rsp,[rsp-0x90]", nothing, InPlace),
        ("mov [rsp],rax", nothing, InPlace),
        ("lahf", nothing, InPlace),
        ("seto al", nothing, InPlace),
        ("cmp dword ptr gs:[0x0],0x54724c6e", nothing, InPlace),
        ("jne 0x50100049", nothing, InRax),
        ("cmp edi,0x3", nothing, InRax),
        ("je 0x50100049", nothing, InRax),
        ("inc qword ptr gs:[0x40]", Decided::Uncounted(PASSES), InRax),
        ("add al,0x7f", quiet, InRax),
        ("sahf", quiet, InRaxAdded),
        ("mov rax,[rsp]", quiet, InPlace),
        ("lea rsp,[rsp+0x90]", quiet, InPlace),
        ("add al,0x7f", nothing, InRax),
        ("sahf", nothing, InRaxAdded),
        ("mov rax,[rsp]", nothing, InPlace),
        ("lea rsp,[rsp+0x90]", nothing, InPlace),
        ("int3", nothing, InPlace),
    ];
    let found = standings(&trampoline);
    let found: Vec<_> = found
        .iter()
        .map(|(text, standing)| (text.as_str(), standing.decided, standing.kept.flags))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn only_the_ends_are_exact() {
    for predicate in [edi_is_three(), changes_all()] {
        let trampoline = built(&[(&[0x55], Some(&predicate))]).unwrap();
        let decision = &trampoline.decisions[0];
        let exact: Vec<String> = standings(&trampoline)
            .into_iter()
            .filter(|(_, standing)| standing.kept.is_exact())
            .map(|(text, _)| text)
            .collect();
        assert_eq!(exact.len(), 2, "{exact:?}");
        assert!(exact[0].starts_with("lea rsp,[rsp-"), "{exact:?}");
        assert_eq!(exact[1], "int3");
        assert_eq!(decision.front.start, TO);
        assert_eq!(decision.standing(decision.front.end), None);
        assert_eq!(trampoline.slot_at(AT), Some(decision.front.end));
        assert_eq!(decision.standing(decision.asking.end), None);
    }
}

#[test]
fn what_is_paid_is_known_until_the_pass_is_sure_to_be_quiet() {
    let trampoline = built(&[(&[0x55], Some(&changes_all()))]).unwrap();
    let found = standings(&trampoline);
    let decided = |start: &str| {
        let (_, standing) = found.iter().find(|(text, _)| text.starts_with(start)).unwrap();
        standing.decided
    };
    assert_eq!(decided("dec qword ptr gs:[0x48]"), Decided::Nothing);
    assert_eq!(decided("js "), Decided::Paid(72));
    assert_eq!(decided("pcmpeqd xmm9"), Decided::Paid(72));
    assert_eq!(decided("inc qword ptr gs:[0x40]"), Decided::Uncounted(PASSES));
    assert_eq!(decided("movups xmm9,[rsp+"), Decided::Quiet);
}

#[test]
fn all_that_a_predicate_changes_is_kept() {
    let predicate = changes_all();
    let trampoline = built(&[(&[0x55], Some(&predicate))]).unwrap();
    let found = standings(&trampoline);
    let (_, inside) = found.iter().find(|(text, _)| text.starts_with("pcmpeqd")).unwrap();
    let frame = &predicate.frame;
    assert_eq!(inside.kept.below, frame.size());
    assert_eq!(inside.kept.registers, [(Reg::Rax, 8), (Reg::Rcx, 16)]);
    assert_eq!(inside.kept.flags, FlagsKept::OnStack(24));
    assert_eq!(inside.kept.mxcsr, Some(32));
    assert_eq!(inside.kept.vectors, [(9, 40)]);
}

#[test]
fn what_cannot_be_moved_is_refused() {
    let predicate = edi_is_three();
    let check = |bytes: &[u8], why| {
        assert_eq!(built(&[(bytes, Some(&predicate))]).unwrap_err(), why);
        assert_eq!(built(&[(&[0x55], Some(&predicate)), (bytes, None)]).unwrap_err(), why);
    };
    check(&[0x06], Refusal::Undecodable);
    check(&[0xe8, 0, 0], Refusal::Undecodable);
    check(&[0xc7, 0xf8, 0, 0, 0, 0], Refusal::Transaction);
    check(&[0xff, 0x1b], Refusal::Far);
    check(&[0x66, 0xff, 0xe0], Refusal::NarrowBranch);
}
