//! Where a thread can go from where it stands: the ways out of the code that a
//! course crosses, whom a call leads to, and where a frame goes on when it
//! returns, or when an exception or a `longjmp` comes.

use trapline_core::memory::ReadMemory;
use trapline_core::x64::MAX_INSTRUCTION;
use trapline_core::{AddrRange, LoadBias, Pid, Tid, VirtAddr};
use trapline_patch::exits::{self, Call, Exits};
use trapline_patch::insn::{self, InsnKind};
use trapline_symbols::{Function, LineMap};

use super::activations::Activation;
use super::line_steps::{Goal, Lines};
use super::{Selected, Session};
use crate::process::{Course, ReturnPoint};
use crate::space::{Module, Modules};

/// Callers that an exception is expected to reach.
const CATCHERS: usize = 32;

/// Instructions of a thunk that are followed at most.
const THUNK: u32 = 6;

/// Functions to whose callers a `longjmp` comes back.
const RETURN_TWICE: [&str; 4] = ["setjmp", "_setjmp", "sigsetjmp", "__sigsetjmp"];

/// What a call leads to, for a thread that goes into functions with lines.
pub(super) enum Callee {
    /// A function with lines, whose body begins here.
    Body(VirtAddr),
    /// A function without: it is passed over.
    Opaque,
    /// A stub, or what only shows when it is called.
    Unknown,
}

impl Session {
    /// Where an activation returns to, and where its callers go on after an
    /// exception.
    pub(super) fn ways_up(
        &mut self,
        of: Selected,
        activation: &Activation,
    ) -> (Option<ReturnPoint>, Vec<VirtAddr>) {
        let first = activation.level + 1;
        let callers = self.stack(of.pid, of.tid, first + CATCHERS).map(|walk| walk.activations);
        let callers = callers.unwrap_or_default();
        let callers = callers.get(first..).unwrap_or_default();
        let point = callers.first().zip(activation.cfa);
        let point = point.map(|(caller, stack)| ReturnPoint { addr: caller.pc, stack });
        let Some(space) = self.space_of(of.pid) else { return (point, Vec::new()) };
        let mut catchers: Vec<VirtAddr> = callers
            .iter()
            .flat_map(|caller| after_exception(&space.modules, caller.lookup()))
            .collect();
        catchers.sort_unstable();
        catchers.dedup();
        (point, catchers)
    }

    /// The ways out of what a course crosses; `None` where no lines are known, or
    /// nothing but the frame's return matters.
    pub(super) fn ways_out(&mut self, pid: Pid, tid: Tid, at: VirtAddr) -> Option<Exits> {
        let course = self.thread(pid, tid)?.course.as_ref()?;
        let space = self.space_of(pid)?;
        let memory = self.memory(pid)?;
        match &course.goal {
            Goal::Places { places, .. } => {
                return Some(Exits { ends: places.iter().copied().collect(), ..Exits::default() });
            }
            Goal::Out if course.from.calls.is_empty() => return None,
            _ => {}
        }
        let (module, map) = line_map(&space.modules, at)?;
        let parts = map.ranges();
        let ends = map.lines(course).ends();
        let is_end = |place: VirtAddr| ends.contains(&module.to_image(place));
        let mut others = after_exception(&space.modules, at);
        if module.image.imports_any(&RETURN_TWICE) {
            let calls = exits::direct_calls(&memory, &parts);
            others.extend(calls.iter().filter(|it| returns_twice(module, it)).map(|it| it.next));
        }
        Some(exits::exits(&memory, at, &others, &parts, &is_end))
    }

    /// Whether a call leads into a function with lines.
    pub(super) fn callee(&self, pid: Pid, target: Option<VirtAddr>) -> Callee {
        let (Some(target), Some(space)) = (target, self.space_of(pid)) else {
            return Callee::Unknown;
        };
        let Some(module) = space.modules.at(target) else { return Callee::Unknown };
        let at = module.to_image(target);
        if let Some(name) = module.image.plt_target(at) {
            return imported(&space.modules, &name);
        }
        match module.image.function_at(at) {
            Some(function) => match callee(module, &function) {
                Callee::Body(body) if has_line(module, body) => Callee::Body(body),
                _ => self.behind_thunk(pid, &space.modules, target),
            },
            None => Callee::Unknown,
        }
    }

    /// The function to which one without lines only jumps, as compilers make
    /// them for virtual calls that have to move `this` first.
    fn behind_thunk(&self, pid: Pid, modules: &Modules, thunk: VirtAddr) -> Callee {
        let Some(memory) = self.memory(pid) else { return Callee::Opaque };
        let mut at = thunk;
        for _ in 0..THUNK {
            let mut bytes = [0; MAX_INSTRUCTION];
            let read = memory.read_some(at, &mut bytes);
            let Some(insn) = insn::decode(&bytes[..read], at) else { break };
            at = match (insn.kind(), insn.branch_target()) {
                (InsnKind::Plain, _) => insn.next(),
                (InsnKind::Jump, Some(target)) => {
                    let Some(module) = modules.at(target) else { break };
                    let function = module.image.function_at(module.to_image(target));
                    return function.map_or(Callee::Opaque, |it| callee(module, &it));
                }
                _ => break,
            };
        }
        Callee::Opaque
    }
}

/// Whether a place is of a line that somebody wrote.
fn has_line(module: &Module, at: VirtAddr) -> bool {
    module.image.source_at(module.to_image(at)).is_some_and(|row| row.line != 0)
}

fn callee(module: &Module, function: &Function) -> Callee {
    match function.has_debug {
        true => Callee::Body(module.bias.to_virt(function.prologue_end)),
        false => Callee::Opaque,
    }
}

/// The function that the dynamic linker has a name mean.
fn imported(modules: &Modules, name: &str) -> Callee {
    let found = modules.in_load_order().find_map(|module| {
        let functions = module.image.functions_named(name, true);
        let function = functions.into_iter().find(|function| !function.inlined)?;
        Some((module, function))
    });
    match found {
        // Which of several it is shows when it is called.
        Some((_, function)) if function.indirect => Callee::Opaque,
        Some((module, function)) => callee(module, &function),
        None => Callee::Opaque,
    }
}

fn returns_twice(module: &Module, call: &Call) -> bool {
    let target = call.target.and_then(|target| module.image.plt_target(module.to_image(target)));
    target.is_some_and(|name| RETURN_TWICE.contains(&name.as_str()))
}

/// Where the function around an address goes on after an exception.
fn after_exception(modules: &Modules, at: VirtAddr) -> Vec<VirtAddr> {
    let Some(module) = modules.at(at) else { return Vec::new() };
    let at = module.to_image(at);
    let parts = module.image.function_at(at).map_or(Vec::new(), |function| function.ranges);
    let starts = parts.iter().map(|(start, _)| *start).chain(parts.is_empty().then_some(at));
    let places = starts.flat_map(|start| module.image.continues_after_exception(start));
    places.map(|place| module.bias.to_virt(place)).collect()
}

/// The lines of the function around an address, in its image.
pub(super) fn line_map(modules: &Modules, at: VirtAddr) -> Option<(&Module, Mapped)> {
    let module = modules.at(at)?;
    let map = module.image.line_map_at(module.to_image(at))?;
    Some((module, Mapped { bias: module.bias, map }))
}

/// The lines of a function that is loaded somewhere.
pub(super) struct Mapped {
    bias: LoadBias,
    pub(super) map: LineMap,
}

impl Mapped {
    pub(super) fn lines<'a>(&'a self, course: &'a Course) -> Lines<'a> {
        let (goal, from) = (&course.goal, &course.from);
        Lines { map: &self.map, goal, from, same_activation: true }
    }

    fn ranges(&self) -> Vec<AddrRange> {
        let to_virt = |at| self.bias.to_virt(at);
        let ranges = self.map.function.ranges.iter();
        ranges.map(|&(start, end)| AddrRange::between(to_virt(start), to_virt(end))).collect()
    }
}
