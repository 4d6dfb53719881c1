//! The processor against the interpreter: random expressions over random
//! registers and memory.
//!
//! `TRAPLINE_CASES` sets how many runs there are, `TRAPLINE_SEED` the first
//! seed. Where the interpreter says false, the code must be quiet; where it
//! says true or fails, it must ask or fault.

use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_core::ids::ModuleId;
use trapline_core::location::Frame;
use trapline_core::memory::ReadMemory;
use trapline_core::predicate::Predicate;
use trapline_core::x64::Reg;
use trapline_expr::ir::{Node, Object, Op, Text};
use trapline_expr::native::{self, Clause, cell};
use trapline_expr::{
    EvalError, Input, InputValue, Machine, Program, Purpose, compile, condition, evaluate,
};

use super::grammar::Grammar;
use super::judge::{How, Judge, Outcome};
use super::random::Random;
use super::world::{CREDIT, HIGH, Run, STACK, THREAD, TID, World};

/// Predicates for one memory, and runs of each.
const PREDICATES: usize = 40;
const RUNS: usize = 8;

/// How far from the thread-local variables the judge may have memory.
const NEAR_TLS: u64 = 1 << 20;

/// What the runs so far came to.
#[derive(Default, Debug)]
pub(crate) struct Totals {
    pub(crate) runs: usize,
    pub(crate) quiet: usize,
    asked: usize,
    fault: usize,
    unsupported: usize,
    unjudged: usize,
}

/// One owner's programs.
struct Owner {
    filter: Option<Program>,
    condition: Option<Program>,
    changed: Option<Program>,
    credit: bool,
}

/// A site, its code and how it is run.
struct Case {
    owners: Vec<Owner>,
    predicate: Predicate,
    runs: Vec<Run>,
}

/// Where the judge keeps the code, which it can read.
const CODE: std::ops::Range<u64> = 0x5200_0000_0000..0x5200_0004_0000;

impl Case {
    /// Whether two texts in memory are compared: what the interpreter could not
    /// read of one is to it where the text ends.
    fn compares_memory(&self) -> bool {
        let programs = self.owners.iter().flat_map(|owner| {
            [&owner.filter, &owner.condition, &owner.changed].into_iter().flatten()
        });
        programs.into_iter().any(|program| {
            let in_node = |node: &Node| match &node.op {
                Op::TextEqual(texts) => texts.iter().all(in_memory),
                Op::Changed { object, .. } => matches!(&**object, Object::Text(_)),
                _ => false,
            };
            matches!(program.object, Object::Text(_)) || program.nodes.iter().any(in_node)
        })
    }
}

fn in_memory(text: &Text) -> bool {
    matches!(text, Text::Terminated { .. } | Text::Counted { .. })
}

/// What the interpreter says about a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Quiet,
    Asks,
}

#[test]
fn code_is_of_the_interpreters_opinion() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let cases: usize = number("TRAPLINE_CASES").unwrap_or(4000);
    let first: usize = number("TRAPLINE_SEED").unwrap_or(1);
    let mut judge = Judge::start();
    let mut totals = Totals::default();
    let mut seed = first;
    while totals.runs < cases {
        let mut random = Random::new(seed as u64);
        let world = World::random(&mut random, judge.fs_base, judge.tls);
        batch(&mut judge, &world, &mut random, PREDICATES, &mut totals)
            .unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        seed += 1;
    }
    #[expect(clippy::print_stderr, reason = "which runs there were is worth knowing")]
    {
        eprintln!("seeds {first} to {}: {totals:?}", seed - 1);
    }
    assert!(totals.quiet * 5 > totals.runs, "too few are quiet: {totals:?}");
}

/// Runs so many predicates in one memory; an error describes what came out
/// wrong.
pub(crate) fn batch(
    judge: &mut Judge,
    world: &World,
    random: &mut Random,
    predicates: usize,
    totals: &mut Totals,
) -> Result<(), String> {
    let mut cases = Vec::new();
    for _ in 0..predicates {
        match case(world, random) {
            Some(case) => cases.push(case),
            None => totals.unsupported += 1,
        }
    }
    let input: Vec<_> = cases.iter().map(|case| (&case.predicate, &*case.runs)).collect();
    let mut outcomes = judge.run(world, &input).into_iter();
    for case in &cases {
        for run in &case.runs {
            let outcome = outcomes.next().expect("each run has its outcome");
            judge_run(world, case, run, outcome, totals)?;
        }
    }
    Ok(())
}

fn case(world: &World, random: &mut Random) -> Option<Case> {
    let count = random.pick(&[1, 1, 1, 1, 1, 2, 3]);
    let owners: Vec<Owner> = (0..count).map(|_| owner(world, random, count == 1)).collect();
    let slots: Vec<u64> = (0..3).map(|slot| HIGH + slot * cell::SIZE).collect();
    let clauses: Vec<Clause<'_>> = owners
        .iter()
        .map(|owner| Clause {
            filter: owner.filter.as_ref(),
            condition: owner.condition.as_ref(),
            changed: owner.changed.as_ref(),
            credit: owner.credit.then_some(CREDIT),
            slots: &slots,
            last: HIGH + 3 * cell::SIZE,
        })
        .collect();
    let predicate = native::predicate(&clauses, world).ok()?;
    let mut runs: Vec<Run> = (0..RUNS).map(|_| world.run(random)).collect();
    runs.iter_mut().for_each(|run| remember(world, &owners, run, random));
    Some(Case { owners, predicate, runs })
}

fn owner(world: &World, random: &mut Random, single: bool) -> Owner {
    let credit = single && random.one_in(4);
    let changed = random.one_in(12);
    let filtered = random.one_in(8);
    let mut grammar = Grammar { world, random, changed: 3 };
    let mut program = |text: String| compile(&text, world, Purpose::Condition).ok();
    let depth = 1 + grammar.random.below(4) as u32;
    let condition = program(grammar.condition(depth));
    grammar.changed = 0;
    let filter = filtered.then(|| grammar.condition(1)).and_then(&mut program);
    let changed = changed.then(|| grammar.remembered());
    let changed = changed.and_then(|text| compile(&text, world, Purpose::Value).ok());
    Owner { filter, condition, changed, credit }
}

/// Fills the cells: with what the expressions have now, with something else,
/// or with nothing.
fn remember(world: &World, owners: &[Owner], run: &mut Run, random: &mut Random) {
    let mut values = vec![None; 4];
    let mut thread = Thread::new(world, run);
    thread.seen = Some(&mut values);
    for owner in owners {
        let _ = thread.owner(owner);
    }
    for (index, value) in values.into_iter().enumerate() {
        let Some(mut value) = value else { continue };
        match random.below(6) {
            0 => continue,
            1 if !value.is_empty() => {
                let at = random.below(value.len() as u64) as usize;
                value[at] ^= 1 << random.below(8);
            }
            2 => value.push(0),
            _ => {}
        }
        if value.len() as u64 <= cell::MAX_VALUE {
            let at = index * cell::SIZE as usize;
            let start = at + cell::VALUE_AT as usize;
            run.cells[at..at + 8].copy_from_slice(&(value.len() as u64 + 1).to_le_bytes());
            run.cells[start..start + value.len()].copy_from_slice(&value);
        }
    }
}

fn judge_run(
    world: &World,
    case: &Case,
    run: &Run,
    outcome: Outcome,
    totals: &mut Totals,
) -> Result<(), String> {
    totals.runs += 1;
    let mut thread = Thread::new(world, run);
    let (verdict, paid) = thread.verdict(case);
    match outcome.how {
        How::Quiet => totals.quiet += 1,
        How::Asked => totals.asked += 1,
        How::Fault => totals.fault += 1,
        How::Broken(_) => {}
    }
    if thread.unfair.get() {
        totals.unjudged += 1;
        return Ok(());
    }
    let credit = run.row[CREDIT as usize / 8].cast_signed();
    let partly = thread.reads_partly.get();
    let pays =
        case.predicate.credit.is_none() || outcome.credit == credit.wrapping_sub(i64::from(paid));
    let right = match outcome.how {
        How::Quiet => verdict == Verdict::Quiet && pays,
        How::Asked => verdict == Verdict::Asks && pays,
        How::Fault => verdict == Verdict::Asks || (partly && case.compares_memory()),
        How::Broken(_) => false,
    };
    if right {
        return Ok(());
    }
    Err(format!("{outcome:?}, not {verdict:?}\n{}", describe(case, run)))
}

fn describe(case: &Case, run: &Run) -> String {
    let text =
        |program: &Option<Program>| program.as_ref().map(|program| program.source.to_string());
    let owners = case.owners.iter().map(|owner| {
        let (filter, condition) = (text(&owner.filter), text(&owner.condition));
        let changed = text(&owner.changed);
        format!("{filter:?} {condition:?} {changed:?} credit {}\n", owner.credit)
    });
    let owners: String = owners.collect();
    format!(
        "{owners}{}\n{:?}\nregisters {:x?}",
        super::listing::listing(&case.predicate),
        case.predicate.frame,
        run.registers
    )
}

/// A thread as the interpreter sees it.
struct Thread<'a> {
    world: &'a World,
    run: &'a Run,
    /// Whether `$_changed` was asked where the code has to ask.
    must_ask: bool,
    /// Whether it reads what a trampoline writes, or memory of the judge's own.
    unfair: std::cell::Cell<bool>,
    /// Whether something was read of which a part is not readable.
    reads_partly: std::cell::Cell<bool>,
    /// Gathers what `$_changed` is asked about, by cell.
    seen: Option<&'a mut Vec<Option<Vec<u8>>>>,
}

impl<'a> Thread<'a> {
    fn new(world: &'a World, run: &'a Run) -> Self {
        let no = || std::cell::Cell::new(false);
        Self { world, run, must_ask: false, unfair: no(), reads_partly: no(), seen: None }
    }

    /// What the code has to say, and whether the hit was paid for.
    fn verdict(&mut self, case: &Case) -> (Verdict, bool) {
        for owner in &case.owners {
            let hit = self.owner(owner);
            if self.must_ask || hit.is_err() {
                return (Verdict::Asks, false);
            }
            if hit == Ok(false) {
                continue;
            }
            if !owner.credit {
                return (Verdict::Asks, false);
            }
            let enough = self.run.row[CREDIT as usize / 8].cast_signed() > 0;
            return (if enough { Verdict::Quiet } else { Verdict::Asks }, true);
        }
        (Verdict::Quiet, false)
    }

    /// Whether a pass is a hit of an owner.
    fn owner(&mut self, owner: &Owner) -> Result<bool, EvalError> {
        if let Some(filter) = &owner.filter
            && !condition(filter, self)?
        {
            return Ok(false);
        }
        if let Some(program) = &owner.condition
            && !condition(program, self)?
        {
            return Ok(false);
        }
        let Some(program) = &owner.changed else { return Ok(true) };
        let value = evaluate(program, self)?;
        Ok(self.changed(3, value.bytes.as_ref()))
    }
}

impl ReadMemory for Thread<'_> {
    fn read_some(&self, address: VirtAddr, buffer: &mut [u8]) -> usize {
        let start = address.get();
        let end = start.saturating_add(buffer.len() as u64);
        if end > STACK && start < self.run.registers[4] - 128 && start < STACK + 0x4000 {
            self.unfair.set(true);
        }
        let cells = HIGH + self.run.cells.len() as u64;
        if end > HIGH && start < cells {
            self.unfair.set(true);
        }
        let read = self.world.read_some(address, buffer);
        if read < buffer.len() {
            self.reads_partly.set(true);
            let from_tls = start.wrapping_sub(self.world.memory[3].start.get());
            let near = from_tls.wrapping_add(NEAR_TLS) < 2 * NEAR_TLS;
            let of_judge = end > CODE.start && start < CODE.end;
            self.unfair.set(self.unfair.get() || near || of_judge);
        }
        read
    }
}

impl Frame for Thread<'_> {
    fn register(&self, reg: Reg) -> Result<u64, String> {
        match reg.general_index() {
            Some(index) => Ok(self.run.registers[index]),
            None if reg == Reg::Rip => Ok(0x40_1000),
            None => Err(format!("{reg} is not known")),
        }
    }

    fn tls_address(&self, _: ModuleId, offset: u64) -> Result<VirtAddr, String> {
        Ok(self.world.memory[3].start.wrapping_add(offset))
    }
}

impl Machine for Thread<'_> {
    fn vector_register(&self, index: u8) -> Result<[u8; 16], String> {
        Ok(self.run.xmm[usize::from(index)])
    }

    fn input(&mut self, input: Input) -> Result<InputValue, String> {
        let text = |text: &str| Ok(InputValue::Text(Arc::from(text)));
        match input {
            Input::Tid => Ok(InputValue::Number(self.run.row_number(TID))),
            Input::Thread => Ok(InputValue::Number(self.run.row_number(THREAD))),
            Input::Pid => Ok(InputValue::Number(1234)),
            Input::Hits => Ok(InputValue::Number(7)),
            Input::ProcessName => text("hello"),
            Input::Machine => text("a"),
            _ => Err("it is not known".to_owned()),
        }
    }

    fn changed(&mut self, slot: usize, bytes: &[u8]) -> bool {
        if let Some(seen) = &mut self.seen {
            seen[slot] = Some(bytes.to_vec());
            return false;
        }
        let at = slot * cell::SIZE as usize;
        let cell = &self.run.cells[at..at + cell::SIZE as usize];
        let length = cell[..8].try_into().map_or(0, u64::from_le_bytes);
        let same = length == bytes.len() as u64 + 1
            && cell[8..].get(..bytes.len()).is_some_and(|before| before == bytes);
        self.must_ask |= !same;
        false
    }
}
