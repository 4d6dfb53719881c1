//! Trampolines judged by the processor: random instructions run in their place
//! and through a trampoline that decides about some of them, and everything a
//! program can see must be equal.
//!
//! Each case is also stepped. At every place in code that decides, the standing
//! must give back exactly the registers from before the instruction, and say
//! truly what is counted and paid; and a thread that is interrupted there, put
//! where the standing says and let go must end as one that was not.
//!
//! `TRAPLINE_CASES` sets how many cases are run for each placement,
//! `TRAPLINE_SEED` where they begin.

mod cases;
mod predicates;
mod runs;

use std::collections::BTreeMap;

use trapline_core::VirtAddr;
use trapline_core::x64::Registers;
use trapline_patch::trampoline::{Decided, Decision, Standing};

use super::cases::Random;
use super::harness::Placement;
use super::{FAR, NEAR, SIGTRAP, STEPPED};
use cases::{Case, Seat};
use predicates::Verdict;
use runs::{Outcome, Row, Runs};

/// Where a thread's row is.
const ROW: u64 = 0x5200_0000_0000;
/// `SIGSEGV`, with which code that decides ends where nothing can be read.
const SIGSEGV: u64 = 11;
/// Cases that one process runs.
const BATCH: usize = 2000;

#[test]
fn a_trampoline_near_its_code_does_what_the_instructions_do() {
    check_random(NEAR);
}

#[test]
fn a_trampoline_out_of_reach_does_what_the_instructions_do() {
    check_random(FAR);
}

fn check_random(placement: Placement) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let mut left = number("TRAPLINE_CASES").unwrap_or(800);
    let mut seed = number("TRAPLINE_SEED").unwrap_or(1);
    let mut seen = Seen::default();
    while left > 0 {
        let batch = left.min(BATCH);
        check_batch(&placement, seed as u64, batch, &mut seen);
        left -= batch;
        seed += 1;
    }
    seen.check();
}

fn check_batch(placement: &Placement, seed: u64, count: usize, seen: &mut Seen) {
    let mut random = Random::new(seed);
    let cases: Vec<Case> = (0..count).map(|_| Case::random(&mut random, placement, ROW)).collect();
    let runs = runs::run(placement, ROW, seed, &cases);
    for (case, runs) in cases.iter().zip(&runs) {
        let context = format!("{} seed {seed}: {case}", placement.name);
        Judge { case, runs, placement, context }.check(seen);
    }
}

/// What the cases came to, so that none of it is missed for lack of cases.
#[derive(Default, Debug)]
struct Seen {
    cases: usize,
    quiet: usize,
    asks: usize,
    faults: usize,
    paid: usize,
    boundaries: usize,
    trials: usize,
    several_decide: usize,
}

impl Seen {
    fn check(&self) {
        let few = self.cases / 50;
        let all = [self.quiet, self.asks, self.faults, self.paid, self.several_decide];
        assert!(all.into_iter().all(|count| count > few), "{self:?}");
        assert!(self.boundaries.min(self.trials) > 10 * self.cases, "{self:?}");
    }
}

/// What a decision starts from.
struct Before<'a> {
    state: &'a Outcome,
    row: Row,
}

/// How the run through the trampoline is to end.
enum End {
    /// As the one in place.
    AsInPlace,
    /// In the code that decides at an instruction.
    Deciding(usize, Verdict),
}

struct Judge<'a> {
    case: &'a Case,
    runs: &'a Runs,
    placement: &'a Placement,
    context: String,
}

impl Judge<'_> {
    fn check(&self, seen: &mut Seen) {
        let mut row = self.case.row;
        let (befores, end) = self.expected(&mut row, seen);
        match end {
            End::AsInPlace => self.check_as_in_place(&row),
            End::Deciding(index, verdict) => {
                self.check_asking(&befores[&index], index, verdict, &row);
            }
        }
        for step in self.runs.through_steps.iter().filter(|step| is_step(step)) {
            if let Some((index, decision)) = self.case.decision(pc(step)) {
                self.check_step(step, &befores[&index], index, decision);
                seen.boundaries += 1;
            } else {
                self.check_copy_step(step);
            }
        }
        for (offset, ended) in &self.runs.trials {
            self.check_trial(*offset, ended.as_ref());
            seen.trials += 1;
        }
        seen.cases += 1;
        seen.several_decide += usize::from(befores.len() > 1);
    }
}

impl Judge<'_> {
    /// The states in which code that decides is entered, and what comes of the
    /// last such pass.
    fn expected(&self, row: &mut Row, seen: &mut Seen) -> (BTreeMap<usize, Before<'_>>, End) {
        let mut befores = BTreeMap::new();
        for (index, insn) in self.case.insns.iter().enumerate() {
            let (Some(state), Some(made)) = (self.arrival(insn.at), &insn.decides) else {
                continue;
            };
            befores.insert(index, Before { state, row: *row });
            let credit = made.rule.pays_from().map(|word| (word, row.word(word)));
            let verdict = match self.case.seat {
                Seat::Row => made.rule.judge(&state.registers, row),
                Seat::Other => Verdict::Asks,
                Seat::Nowhere => Verdict::Faults,
            };
            seen.paid += usize::from(credit.is_some_and(|(at, word)| row.word(at) != word));
            match verdict {
                Verdict::Quiet => seen.quiet += 1,
                Verdict::Asks => seen.asks += 1,
                Verdict::Faults => seen.faults += 1,
            }
            if verdict != Verdict::Quiet {
                return (befores, End::Deciding(index, verdict));
            }
            row.add(made.passes, 1);
        }
        (befores, End::AsInPlace)
    }

    /// The state in which the run in place came to an instruction.
    fn arrival(&self, at: VirtAddr) -> Option<&Outcome> {
        let steps = self.runs.in_place_steps.iter();
        steps.filter(|step| step.signal == 0 || is_step(step)).find(|step| pc(step) == at)
    }

    fn check_as_in_place(&self, row: &Row) {
        let (through, in_place, context) = (&self.runs.through, &self.runs.in_place, &self.context);
        assert_eq!(through.signal, in_place.signal, "signal, {context}");
        assert_eq!(self.as_program(through), in_place.registers, "registers, {context}");
        self.check_same(through, in_place, "at the end");
        assert_eq!(through.vectors, in_place.vectors, "vectors, {context}");
        assert_eq!(&through.row, row, "row, {context}");
        if self.placement.holds_no_code(in_place.address) {
            assert_eq!(through.address, in_place.address, "fault address, {context}");
        }
    }

    fn check_asking(&self, before: &Before<'_>, index: usize, verdict: Verdict, row: &Row) {
        let (through, context) = (&self.runs.through, &self.context);
        let mut place = pc(through);
        let is_trap = verdict == Verdict::Asks;
        if is_trap {
            place = place.wrapping_sub(1);
        }
        let (at, decision) = self.case.decision(place).expect("it ends where it decides");
        assert_eq!(at, index, "{context}");
        assert_eq!(place == decision.trap(), is_trap, "{context}");
        assert_eq!(through.signal, if is_trap { SIGTRAP } else { SIGSEGV }, "{context}");
        let standing = decision.standing(place).expect("it is in the decision's code");
        assert!(!is_trap || standing.kept.is_exact(), "{context}");
        self.check_given_back(through, standing, before);
        assert_eq!(&through.row, row, "row, {context}");
    }

    fn check_step(&self, step: &Outcome, before: &Before<'_>, index: usize, decision: &Decision) {
        let context = format!("at {}, {}", pc(step), self.context);
        let standing = decision.standing(pc(step)).expect("it is in the decision's code");
        self.check_given_back(step, standing, before);
        let made = self.case.insns[index].decides.as_ref().expect("a decision is made from one");
        let changed = |word| step.row.word(word) != before.row.word(word);
        let counted = changed(made.passes);
        let paid = made.rule.pays_from().filter(|&word| changed(word));
        let mut row = before.row;
        row.add(made.passes, i64::from(counted));
        if let Some(word) = paid {
            row.add(word, -1);
        }
        assert_eq!(step.row, row, "row, {context}");
        let spent = paid.is_some_and(|word| row.word(word).cast_signed() < 0);
        let asks = spent && decision.asking.contains(pc(step));
        let counts = decision.comment(pc(step)) == Some("a quiet pass more");
        let expected = match paid {
            _ if counted => Decided::Quiet,
            _ if counts => Decided::Uncounted(made.passes),
            Some(word) if !asks => Decided::Paid(word),
            _ => Decided::Nothing,
        };
        assert_eq!(standing.decided, expected, "{context}");
    }

    /// In the copies, and behind them, a thread stands at some instruction as
    /// in place.
    fn check_copy_step(&self, step: &Outcome) {
        let registers = self.as_program(step);
        let arrival = self.arrival(VirtAddr::new(registers.rip));
        let context = format!("at {}, {}", pc(step), self.context);
        let arrival = arrival.unwrap_or_else(|| panic!("not in place, {context}"));
        assert_eq!(registers, arrival.registers, "{context}");
        assert_eq!(step.vectors, arrival.vectors, "{context}");
    }

    /// Every register is as before the instruction once it is given back.
    fn check_given_back(&self, now: &Outcome, standing: &Standing, before: &Before<'_>) {
        let context = format!("at {}, {standing:?}, {}", pc(now), self.context);
        let (mut registers, mut vectors) = (now.registers, now.vectors.clone());
        let stack = now.stack();
        standing.kept.restore(&mut registers, &stack).expect("its frame is shown");
        registers.rip = before.state.registers.rip;
        assert_eq!(registers, before.state.registers, "registers, {context}");
        let rsp = VirtAddr::new(now.registers.rsp());
        standing.kept.restore_vectors(rsp, &mut vectors, &stack).expect("its frame is shown");
        assert_eq!(vectors, before.state.vectors, "vectors, {context}");
        self.check_same(now, before.state, &context);
    }

    /// What no code of ours ever changes.
    fn check_same(&self, now: &Outcome, then: &Outcome, when: &str) {
        let context = &self.context;
        assert_eq!(now.memory, then.memory, "memory, {when}, {context}");
        assert_eq!(now.rest, then.rest, "upper halves and floats, {when}, {context}");
    }

    /// A run that was interrupted ends as one that was not; what is left of a
    /// spent credit tells nothing.
    fn check_trial(&self, offset: u16, ended: Option<&Outcome>) {
        let Some(ended) = ended else { return };
        let context = format!("interrupted at {offset:#x}, {}", self.context);
        let mut expected = Outcome { frame: ended.frame.clone(), ..self.runs.through.clone() };
        for word in self.case.credits() {
            let left = [&ended.row, &expected.row].map(|row| row.word(word).cast_signed().max(0));
            assert_eq!(left[0], left[1], "credit, {context}");
            expected.row.add(
                word,
                ended.row.word(word).wrapping_sub(expected.row.word(word)).cast_signed(),
            );
        }
        assert_eq!(ended, &expected, "{context}");
    }

    /// The registers as the program is to see them: those of a thread inside a
    /// copy are given back.
    fn as_program(&self, outcome: &Outcome) -> Registers {
        let mut registers = outcome.registers;
        let slots = &self.case.trampoline.slots;
        if let Some(slot) = slots.iter().find(|slot| slot.contains(pc(outcome))) {
            let boundary = slot.boundary(pc(outcome));
            let boundary = boundary.unwrap_or_else(|| panic!("no boundary, {}", self.context));
            boundary.restore(&mut registers, &outcome.stack()).expect("the stack is shown");
        }
        registers
    }
}

fn pc(outcome: &Outcome) -> VirtAddr {
    VirtAddr::new(outcome.registers.rip)
}

fn is_step(outcome: &Outcome) -> bool {
    (outcome.signal, outcome.code) == (SIGTRAP, STEPPED)
}
