//! Tail calls: functions that ended in a jump to another, and so left no trace
//! on the stack. Between a caller and whom its call led to they are found again
//! from what debug information says of calls and of such jumps, as far as every
//! way has them in common; gdb's rules. What they were passed is left to
//! `entry_values`.

use std::collections::HashMap;
use std::rc::Rc;

use trapline_core::VirtAddr;
use trapline_core::memory::ReadMemory;
use trapline_core::x64::Reg;
use trapline_symbols::{Callee, PcKind};

use super::activations::{Activation, Fate, function_start};
use crate::space::{Module, Modules};

/// Jumps that are followed in search of the ways from one call. So many ways
/// have nothing in common that anybody could show.
const MOST_JUMPS: usize = 1000;

/// A jump in place of a call, as the function that it ends has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Jump {
    /// What stands for it as the function's pc.
    pc: VirtAddr,
    kind: PcKind,
    /// The start of the function that it leads to.
    to: VirtAddr,
}

/// Nobody can say which ways there are, or they have nothing in common.
#[derive(Debug)]
struct Unclear;

/// What the ways from a call to a function have in common, outermost first.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Ways {
    /// None was found yet.
    None,
    /// There is but one.
    One(Vec<Jump>),
    /// They begin and end alike.
    Several { head: Vec<Jump>, tail: Vec<Jump> },
}

impl Ways {
    fn add(&mut self, way: &[Jump]) -> Result<(), Unclear> {
        let (head, tail) = match self {
            Self::None => {
                *self = Self::One(way.to_vec());
                return Ok(());
            }
            Self::One(known) => (&known[..], &known[..]),
            Self::Several { head, tail } => (&head[..], &tail[..]),
        };
        let same = |(one, other): &(&Jump, &Jump)| one == other;
        let first = head.iter().zip(way).take_while(same).count();
        let last = tail.iter().rev().zip(way.iter().rev()).take_while(same).count();
        if first + last == 0 {
            return Err(Unclear);
        }
        let (head, tail) = (head[..first].to_vec(), tail[tail.len() - last..].to_vec());
        *self = Self::Several { head, tail };
        Ok(())
    }

    /// Innermost first.
    fn jumps(self) -> Vec<Jump> {
        let (head, tail) = match self {
            Self::None => (Vec::new(), Vec::new()),
            Self::One(way) => (Vec::new(), way),
            Self::Several { head, tail } => (head, tail),
        };
        tail.into_iter().rev().chain(head.into_iter().rev()).collect()
    }
}

/// The ways from calls to a function.
struct Search<'a> {
    modules: &'a Modules,
    /// The start of the function.
    goal: VirtAddr,
    /// The way that is followed.
    way: Vec<Jump>,
    found: Ways,
    /// How many jumps may still be followed.
    left: usize,
    /// The jumps that end each function looked at.
    known: HashMap<VirtAddr, Rc<[Jump]>>,
}

impl Search<'_> {
    fn follow(&mut self, to: VirtAddr) -> Result<(), Unclear> {
        if to == self.goal {
            return self.found.add(&self.way);
        }
        for &jump in self.jumps_of(to)?.iter() {
            if self.way.contains(&jump) {
                continue;
            }
            self.left = self.left.checked_sub(1).ok_or(Unclear)?;
            self.way.push(jump);
            self.follow(jump.to)?;
            self.way.pop();
        }
        Ok(())
    }

    /// The jumps that end the function that starts at an address. Of what has no
    /// debug information nobody knows where it leads.
    fn jumps_of(&mut self, start: VirtAddr) -> Result<Rc<[Jump]>, Unclear> {
        if let Some(known) = self.known.get(&start) {
            return Ok(known.clone());
        }
        let module = self.modules.at(start).ok_or(Unclear)?;
        let at = module.to_image(start);
        let function = module.image.function_at(at).filter(|it| it.has_debug && it.entry == at);
        function.ok_or(Unclear)?;
        let jumps = module.image.tail_calls_at(at).into_iter().map(|call| {
            let to = target(self.modules, module, &call.callee).ok_or(Unclear)?;
            Ok(Jump { pc: module.bias.to_virt(call.pc), kind: call.kind, to })
        });
        let jumps: Rc<[Jump]> = jumps.collect::<Result<_, Unclear>>()?;
        self.known.insert(start, jumps.clone());
        Ok(jumps)
    }
}

/// The start of the function that a call of an image names; `None` where it
/// names none, or several.
pub(super) fn target(modules: &Modules, module: &Module, callee: &Callee) -> Option<VirtAddr> {
    let name = match callee {
        Callee::At(start) => return Some(module.bias.to_virt(*start)),
        Callee::Named(name) => name,
        Callee::Computed(_) | Callee::Unknown => return None,
    };
    let images = std::iter::once(module).chain(modules.in_load_order());
    let mut named = images.map(|module| (module, module.image.functions_named(name, true)));
    let (module, functions) = named.find(|(_, found)| found.iter().any(|it| !it.inlined))?;
    let mut starts = functions.iter().filter(|it| !it.inlined).map(|it| it.entry);
    let start = starts.next()?;
    starts.all(|other| other == start).then(|| module.bias.to_virt(start))
}

/// The jumps between calls and functions, by where a call returns to and the
/// function's start: a recursion has the same again and again.
#[derive(Default)]
pub(super) struct KnownWays(HashMap<(VirtAddr, VirtAddr), Rc<[Jump]>>);

impl KnownWays {
    /// The functions that ended in jumps between a call of `caller` and the
    /// function of `activation`, innermost first; none where that is not clear.
    pub(super) fn jumped(
        &mut self,
        modules: &Modules,
        activation: &Activation,
        caller: &Activation,
    ) -> Vec<Activation> {
        if activation.signal_frame || caller.kind != PcKind::ReturnAddress {
            return Vec::new();
        }
        let Some(goal) = function_start(modules, activation.lookup()) else { return Vec::new() };
        let ways = self.0.entry((caller.pc, goal));
        let jumps =
            ways.or_insert_with(|| jumps_between(modules, caller, goal).unwrap_or_default().into());
        jumps.iter().map(|&jump| ended_in(jump, activation, caller)).collect()
    }
}

/// The run of a function that a jump has ended, for whose function `activation`
/// stands now.
fn ended_in(jump: Jump, activation: &Activation, caller: &Activation) -> Activation {
    let mut registers = caller.registers.known_alone();
    registers.set(Reg::Rip, Some(jump.pc.get()));
    Activation {
        registers,
        pc: jump.pc,
        kind: jump.kind,
        signal_frame: false,
        fate: Fate::Jumped { returns_to: caller.pc },
        ..*activation
    }
}

fn jumps_between(modules: &Modules, caller: &Activation, goal: VirtAddr) -> Option<Vec<Jump>> {
    let module = modules.at(caller.lookup())?;
    let site = module.image.call_site_at(module.to_image(caller.pc), caller.kind)?;
    let first = target(modules, module, &site.callee)?;
    let (way, found, known) = (Vec::new(), Ways::None, HashMap::new());
    let mut search = Search { modules, goal, way, found, left: MOST_JUMPS, known };
    search.follow(first).ok()?;
    Some(search.found.jumps())
}

/// Who called or jumped to the function of an activation.
pub(super) fn nearest_caller(
    modules: &Modules,
    memory: &dyn ReadMemory,
    activation: &Activation,
) -> Result<Option<Activation>, String> {
    let Some(caller) = activation.caller(modules, memory)? else { return Ok(None) };
    let jumped = KnownWays::default().jumped(modules, activation, &caller);
    Ok(Some(jumped.into_iter().next().unwrap_or(caller)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(jumps: &[u64]) -> Vec<Jump> {
        let jump = |&pc: &u64| Jump {
            pc: VirtAddr::new(pc),
            kind: PcKind::ReturnAddress,
            to: VirtAddr::new(0),
        };
        jumps.iter().map(jump).collect()
    }

    #[test]
    fn what_all_ways_have_in_common_is_shown() {
        let check = |ways: &[&[u64]], expected: Option<&[u64]>| {
            let mut found = Ways::None;
            let clear = ways.iter().try_for_each(|it| found.add(&way(it)));
            let got = clear.ok().map(|()| found.jumps());
            assert_eq!(got, expected.map(way), "{ways:?}");
        };
        check(&[], Some(&[]));
        check(&[&[]], Some(&[]));
        check(&[&[1, 2, 3]], Some(&[3, 2, 1]));
        check(&[&[1, 2, 9], &[1, 3, 9]], Some(&[9, 1]));
        check(&[&[1, 2, 9], &[1, 3, 9], &[4, 9]], Some(&[9]));
        check(&[&[1, 2], &[1, 3]], Some(&[1]));
        check(&[&[2], &[1, 2]], Some(&[2]));
        check(&[&[1, 2], &[2]], Some(&[2]));
        check(&[&[1, 2], &[3, 4]], None);
        check(&[&[1, 9], &[2, 9], &[3]], None);
    }
}
