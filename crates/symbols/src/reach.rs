//! How execution comes to the code of a function: from its entry, or only
//! once an exception is on its way.
//!
//! Compilers ascribe the code that drops values during unwinding to the lines
//! of the values' scopes, often at lower addresses than what normally runs. A
//! breakpoint belongs where the line runs, and only an exception's code has
//! nothing better.

use std::collections::{BTreeSet, HashMap};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use trapline_core::ImageAddr;

use crate::functions::Function;
use crate::image::Image;
use crate::unwind::LandingPad;

/// How execution comes to an instruction; what is told first is preferred.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Reached {
    /// From the function's entry.
    Normally,
    /// Only once an exception was caught, or may have been.
    Catching,
    /// Only while an exception passes through.
    Unwinding,
}

/// Instructions that are followed at most in one function.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// Instructions of a callee that are followed to learn whether it returns.
/// Those that do not, the panics above all, are short.
const MAX_CALLEE: usize = 64;

/// The instructions of a function that only an exception leads to.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    exceptional: HashMap<u64, Reached>,
}

impl Reach {
    /// How execution comes to an instruction.
    pub(crate) fn of(&self, address: u64) -> Reached {
        self.exceptional.get(&address).copied().unwrap_or(Reached::Normally)
    }

    /// Follows the code of a function. Empty when nothing catches or cleans up
    /// in it, and when it is too long to follow.
    pub(crate) fn new(image: &Image, function: &Function) -> Self {
        let pads: Vec<LandingPad> = function
            .ranges
            .iter()
            .flat_map(|(start, _)| image.landing_pads(*start))
            .filter(|pad| function.contains(ImageAddr::new(pad.address)))
            .collect();
        if pads.is_empty() {
            return Self::default();
        }
        let mut walk = Walk::new(image, function, &pads);
        walk.follow(function.entry.get(), Reached::Normally);
        let catching = |pad: &&LandingPad| pad.catches;
        for pad in pads.iter().filter(catching) {
            walk.follow(pad.address, Reached::Catching);
        }
        for pad in pads.iter().filter(|pad| !pad.catches) {
            walk.follow(pad.address, Reached::Unwinding);
        }
        walk.follow_the_rest(image, function);
        if walk.reached.len() >= MAX_INSTRUCTIONS {
            return Self::default();
        }
        walk.reached.retain(|_, how| *how != Reached::Normally);
        Self { exceptional: walk.reached }
    }
}

/// The following of a function's code.
struct Walk<'a> {
    image: &'a Image,
    function: &'a Function,
    pads: BTreeSet<u64>,
    reached: HashMap<u64, Reached>,
    /// Callees, and whether they return.
    returning: HashMap<u64, bool>,
}

impl<'a> Walk<'a> {
    fn new(image: &'a Image, function: &'a Function, pads: &[LandingPad]) -> Self {
        let pads = pads.iter().map(|pad| pad.address).collect();
        Self { image, function, pads, reached: HashMap::new(), returning: HashMap::new() }
    }

    /// What nothing led to is reached by a jump through a table: normally.
    fn follow_the_rest(&mut self, image: &Image, function: &Function) {
        for (_, address) in image.lines_of_function(function) {
            if !self.reached.contains_key(&address.get()) {
                self.follow(address.get(), Reached::Normally);
            }
        }
    }

    fn follow(&mut self, from: u64, how: Reached) {
        let mut pending = vec![from];
        while let Some(start) = pending.pop() {
            self.follow_run(start, how, &mut pending);
        }
    }

    /// Follows instructions one after another as long as they are new, or were
    /// only known to be reached in a worse way.
    fn follow_run(&mut self, start: u64, how: Reached, pending: &mut Vec<u64>) {
        let bytes = self.image.elf.loaded_bytes(start).unwrap_or(&[]);
        let mut decoder = Decoder::with_ip(64, bytes, start, DecoderOptions::NONE);
        let mut instruction = Instruction::default();
        while decoder.can_decode() && self.reached.len() < MAX_INSTRUCTIONS {
            let address = decoder.ip();
            let known = self.reached.get(&address).is_some_and(|known| *known <= how);
            // A pad is entered by the unwinder alone: the call before it does
            // not return.
            let fell_into_pad = address != start && self.pads.contains(&address);
            if known || fell_into_pad || !self.is_inside(address) {
                return;
            }
            decoder.decode_out(&mut instruction);
            self.reached.insert(address, how);
            if let Some(target) = jump_target(&instruction) {
                pending.push(target);
            }
            if !falls_through(&instruction) || !self.comes_back(&instruction) {
                return;
            }
        }
    }

    /// Whether execution goes on behind an instruction that may be a call.
    /// What the compiler put behind one that does not return is anything.
    fn comes_back(&mut self, instruction: &Instruction) -> bool {
        let image = self.image;
        let callee = match instruction.flow_control() {
            FlowControl::Call => Some(instruction.near_branch_target()),
            FlowControl::IndirectCall if instruction.is_ip_rel_memory_operand() => {
                image.offset_table_entry(instruction.ip_rel_memory_address())
            }
            _ => None,
        };
        callee.is_none_or(|callee| {
            *self.returning.entry(callee).or_insert_with(|| may_return(image, callee))
        })
    }

    fn is_inside(&self, address: u64) -> bool {
        self.function.contains(ImageAddr::new(address))
    }
}

/// Whether a return can be among the code of a function, or a jump that leads
/// who knows where. Only a function of known size can be known not to return.
fn may_return(image: &Image, callee: u64) -> bool {
    let Some(symbol) = image.symbol_at(ImageAddr::new(callee)) else { return true };
    let (start, end) = (symbol.start.get(), symbol.start.get().saturating_add(symbol.size));
    let mut seen = BTreeSet::new();
    let mut pending = vec![callee];
    while let Some(at) = pending.pop() {
        if at == end || seen.contains(&at) {
            continue;
        }
        let instruction = decode(image, at);
        let leaves = !(start..end).contains(&at)
            || matches!(
                instruction.flow_control(),
                FlowControl::Return | FlowControl::IndirectBranch
            );
        if leaves || seen.len() >= MAX_CALLEE {
            return true;
        }
        seen.insert(at);
        pending.extend(jump_target(&instruction));
        pending.extend(falls_through(&instruction).then(|| instruction.next_ip()));
    }
    false
}

fn decode(image: &Image, address: u64) -> Instruction {
    let bytes = image.elf.loaded_bytes(address).unwrap_or(&[]);
    Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode()
}

fn jump_target(instruction: &Instruction) -> Option<u64> {
    let jumps = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch
            | FlowControl::ConditionalBranch
            | FlowControl::XbeginXabortXend
    );
    let target = instruction.near_branch_target();
    (jumps && target != 0).then_some(target)
}

fn falls_through(instruction: &Instruction) -> bool {
    !instruction.is_invalid()
        && !matches!(
            instruction.flow_control(),
            FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::Return
                | FlowControl::Exception
        )
}
