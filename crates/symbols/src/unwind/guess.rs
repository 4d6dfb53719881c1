//! Finding the caller where no debug information says how: by the frame
//! pointer, and by what the first instructions of a function do to the stack.

use trapline_core::VirtAddr;
use trapline_core::memory::ReadMemory;
use trapline_core::x64::Reg;

use super::{FrameRegisters, PcKind, UnwindError, Unwound, finish, word};

const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
const PUSH_RBP: u8 = 0x55;
/// Both encodings of `mov rbp, rsp`.
const MOV_RBP_RSP: [[u8; 3]; 2] = [[0x48, 0x89, 0xe5], [0x48, 0x8b, 0xec]];
const RET: u8 = 0xc3;

/// Frames above this much stack are not believed in.
const MAX_FRAME: u64 = 64 << 20;

/// The caller of a frame by convention; the result says that it is a guess.
///
/// `function` is the loaded start of the code that `rip` stands in, where a
/// symbol tells. `None` is the outermost frame, whose frame pointer or return
/// address is zero.
pub fn unwind_without_cfi(
    registers: &FrameRegisters,
    kind: PcKind,
    function: Option<VirtAddr>,
    memory: &dyn ReadMemory,
) -> Result<Option<Unwound>, UnwindError> {
    let frame = match kind {
        PcKind::Exact => stack_state(registers.known(Reg::Rip)?, function, memory),
        PcKind::ReturnAddress => StackState::Framed,
    };
    match frame {
        StackState::Entered => by_stack_pointer(registers, memory, None),
        StackState::Pushed => {
            let rsp = registers.known(Reg::Rsp)?;
            by_stack_pointer(registers, memory, Some(word(memory, rsp)?))
        }
        StackState::Framed => by_frame_pointer(registers, memory),
    }
}

/// What a function has done to the stack so far.
enum StackState {
    /// Nothing: the return address is on top.
    Entered,
    /// Pushed the caller's frame pointer.
    Pushed,
    /// Set up its own frame pointer, or so one hopes.
    Framed,
}

fn stack_state(pc: u64, function: Option<VirtAddr>, memory: &dyn ReadMemory) -> StackState {
    let mut next = [0; 1];
    if memory.read_some(VirtAddr::new(pc), &mut next) == 0 {
        // A call of an address without code: nothing of a callee ever ran.
        return StackState::Entered;
    }
    if next[0] == RET {
        return StackState::Entered;
    }
    match function.and_then(|start| VirtAddr::new(pc).checked_sub(start)) {
        Some(done) => after_prologue_bytes(done, function, memory),
        None => StackState::Framed,
    }
}

fn after_prologue_bytes(
    done: u64,
    function: Option<VirtAddr>,
    memory: &dyn ReadMemory,
) -> StackState {
    let mut code = [0; 8];
    let read = function.map_or(0, |start| memory.read_some(start, &mut code));
    let code = &code[..read];
    let push = if code.starts_with(&ENDBR64) { ENDBR64.len() } else { 0 };
    if done <= push as u64 {
        return StackState::Entered;
    }
    let pushes = code.get(push) == Some(&PUSH_RBP);
    let moves = code
        .get(push + 1..)
        .is_some_and(|rest| MOV_RBP_RSP.iter().any(|mov| rest.starts_with(mov)));
    if pushes && moves && done == push as u64 + 1 {
        return StackState::Pushed;
    }
    StackState::Framed
}

fn by_stack_pointer(
    registers: &FrameRegisters,
    memory: &dyn ReadMemory,
    saved_rbp: Option<u64>,
) -> Result<Option<Unwound>, UnwindError> {
    let rsp = registers.known(Reg::Rsp)?;
    let slot = rsp.wrapping_add(if saved_rbp.is_some() { 8 } else { 0 });
    let mut caller = *registers;
    forget_scratch(&mut caller);
    if saved_rbp.is_some() {
        caller.set(Reg::Rbp, saved_rbp);
    }
    leave(registers, caller, slot, memory)
}

fn by_frame_pointer(
    registers: &FrameRegisters,
    memory: &dyn ReadMemory,
) -> Result<Option<Unwound>, UnwindError> {
    let (rbp, rsp) = (registers.known(Reg::Rbp)?, registers.known(Reg::Rsp)?);
    if rbp == 0 {
        return Ok(None);
    }
    let believable = rbp.is_multiple_of(8) && rbp >= rsp && rbp - rsp < MAX_FRAME;
    if !believable {
        return Err(UnwindError::NoGuess);
    }
    // A function that keeps a frame pointer tells nothing of where it saved
    // the other registers.
    let mut caller = FrameRegisters::default();
    caller.set(Reg::Rbp, Some(word(memory, rbp)?));
    leave(registers, caller, rbp.wrapping_add(8), memory)
}

/// The caller, when the return address is at `slot`.
fn leave(
    from: &FrameRegisters,
    mut caller: FrameRegisters,
    slot: u64,
    memory: &dyn ReadMemory,
) -> Result<Option<Unwound>, UnwindError> {
    let cfa = slot.wrapping_add(8);
    caller.set(Reg::Rip, Some(word(memory, slot)?));
    caller.set(Reg::Rsp, Some(cfa));
    finish(from, Unwound { registers: caller, cfa, signal_frame: false, guess: true })
}

/// Drops what a callee may have changed. System V ABI AMD64, figure 3.4.
fn forget_scratch(registers: &mut FrameRegisters) {
    const SCRATCH: [Reg; 9] =
        [Reg::Rax, Reg::Rcx, Reg::Rdx, Reg::Rsi, Reg::Rdi, Reg::R8, Reg::R9, Reg::R10, Reg::R11];
    for reg in SCRATCH {
        registers.set(reg, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trapline_core::memory::Bytes;

    /// Code at 0x1000, stack at 0x1040.
    fn check(pc: u64, rbp: u64, expected: Result<Option<(u64, u64, u64)>, UnwindError>) {
        let mut data = vec![0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0x48, 0x89, 0xe5, 0x90, 0xc3];
        data.resize(0x40, 0x90);
        for word in [0x2222_u64, 0x1111, 0x4444, 0x3333] {
            data.extend(word.to_le_bytes());
        }
        let memory = Bytes { start: VirtAddr::new(0x1000), data };
        let mut registers = FrameRegisters::default();
        registers.set(Reg::Rip, Some(pc));
        registers.set(Reg::Rsp, Some(0x1040));
        registers.set(Reg::Rbp, Some(rbp));
        let function = Some(VirtAddr::new(0x1000));
        let got = unwind_without_cfi(&registers, PcKind::Exact, function, &memory);
        let summary = got.map(|unwound| {
            unwound.map(|caller| {
                assert!(caller.guess);
                let rip = caller.registers.get(Reg::Rip).unwrap();
                (rip, caller.registers.get(Reg::Rbp).unwrap(), caller.cfa)
            })
        });
        assert_eq!(summary, expected, "pc {pc:#x}");
    }

    #[test]
    fn the_prologue_tells_where_the_return_address_is() {
        check(0x1000, 0x9000, Ok(Some((0x2222, 0x9000, 0x1048))));
        check(0x1004, 0x9000, Ok(Some((0x2222, 0x9000, 0x1048))));
        check(0x1005, 0x9000, Ok(Some((0x1111, 0x2222, 0x1050))));
        check(0x1008, 0x1050, Ok(Some((0x3333, 0x4444, 0x1060))));
        check(0x1009, 0x9000, Ok(Some((0x2222, 0x9000, 0x1048))));
    }

    #[test]
    fn a_call_of_nowhere_returns_to_the_top_of_the_stack() {
        check(0, 0x9000, Ok(Some((0x2222, 0x9000, 0x1048))));
    }

    #[test]
    fn a_frame_pointer_that_points_nowhere_is_not_believed() {
        check(0x1008, 0x1051, Err(UnwindError::NoGuess));
        check(0x1008, 0x1000, Err(UnwindError::NoGuess));
        check(0x1008, 0, Ok(None));
    }
}
