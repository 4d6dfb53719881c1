//! Any request and any stop reply, for tests that write and read them again.
//! Text fields hold what their places in packets can.

pub(crate) mod requests;

use proptest::collection::vec;
use proptest::prelude::*;
use trapline_rsp::stop::{Stop, StopNote};
use trapline_rsp::{StopReply, ThreadId, Which};

pub(crate) fn bytes() -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), 0..20).boxed()
}

pub(crate) fn which() -> impl Strategy<Value = Which> {
    prop_oneof![Just(Which::All), Just(Which::Any), (1..=u64::MAX).prop_map(Which::One)]
}

/// One thread of all processes is no thread id.
pub(crate) fn thread() -> impl Strategy<Value = ThreadId> {
    (prop::option::of(which()), which())
        .prop_map(|(process, thread)| ThreadId { process, thread })
        .prop_filter("one thread of all processes", |id| {
            !(id.process == Some(Which::All) && matches!(id.thread, Which::One(_)))
        })
}

fn note() -> impl Strategy<Value = StopNote> {
    let number = any::<u64>();
    prop_oneof![
        number.prop_map(StopNote::Watch),
        number.prop_map(StopNote::ReadWatch),
        number.prop_map(StopNote::AccessWatch),
        Just(StopNote::Library),
        Just(StopNote::SoftwareBreak),
        Just(StopNote::HardwareBreak),
        thread().prop_map(StopNote::Fork),
        thread().prop_map(StopNote::Vfork),
        Just(StopNote::VforkDone),
        bytes().prop_map(StopNote::Exec),
        number.prop_map(StopNote::SyscallEntry),
        number.prop_map(StopNote::SyscallReturn),
        Just(StopNote::Create),
    ]
}

fn stop() -> impl Strategy<Value = Stop> {
    let extra = vec(("x[a-z-]{0,8}", "[ -:<-~]{0,8}"), 0..3);
    let registers = vec((any::<u32>(), bytes()), 0..3);
    let core = prop::option::of(any::<u32>());
    let thread = prop::option::of(thread());
    (any::<u8>(), thread, core, registers, vec(note(), 0..3), extra).prop_map(
        |(signal, thread, core, registers, notes, extra)| Stop {
            signal,
            thread,
            core,
            registers,
            notes,
            extra,
        },
    )
}

pub(crate) fn stop_reply() -> impl Strategy<Value = StopReply> {
    let process = || prop::option::of(any::<u64>());
    prop_oneof![
        5 => stop().prop_map(StopReply::Stopped),
        1 => (any::<u32>(), process())
            .prop_map(|(code, process)| StopReply::Exited { code, process }),
        1 => (any::<u8>(), process())
            .prop_map(|(signal, process)| StopReply::Signalled { signal, process }),
        1 => (any::<u32>(), thread())
            .prop_map(|(code, thread)| StopReply::ThreadExited { code, thread }),
        1 => Just(StopReply::NoneResumed),
        1 => bytes().prop_map(StopReply::Output),
    ]
}
