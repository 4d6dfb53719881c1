//! What jumps leave behind in a program that lives on: its own text, byte for
//! byte, and no memory of ours, be its threads idle, busy or inside.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, eventually, hit, loops, running};
use trapline::breakpoint::Mechanism;
use trapline::command::{CodeRange, Reply};
use trapline::{BreakpointId, Command};
use trapline_testkit::{Build, Debuggee, Linkage, leaks};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

#[test]
fn detach_from_busy_threads_inside() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("idle_threads").linkage(linkage).build();
        let program = running(&debuggee, &["4", "busy", "3600"]);
        let before = leaks::mappings(program.pid());
        let mut driver = Driver::new();
        for turn in 0..loops(100) {
            driver.attach(program.pid());
            let condition = ["if mine == -1", "if work[mine] % 65536 == 1", ""][turn as usize % 3];
            let busy = debuggee.mark("busy").spec();
            let id = driver.break_at(&format!("-jump {NEVER} {busy} {condition}"));
            driver.go();
            eventually("passes", || (driver.tally(id).passes > 1000).then_some(()));
            assert_eq!(driver.mechanism(id), Some(Mechanism::Jump), "{linkage:?}");
            // The driver compares its text and looks for code of ours.
            assert_eq!(driver.detach(), 1);
            assert_eq!(leaks::mappings(program.pid()), before, "{linkage:?} {condition}");
            driver.delete(id);
        }
        driver.quit();
    }
}

/// Waits until nothing of ours is in a running program any more.
#[track_caller]
fn is_clean(driver: &mut Driver, before: &[leaks::Mapping]) {
    let pid = driver.pid.unwrap();
    driver.ask(Command::Interrupt);
    driver.next_stop();
    let now = leaks::mappings(pid);
    assert_eq!(now, before, "memory of ours");
    let text = now.iter().filter(|it| it.is_text() && it.path.ends_with("idle_threads"));
    let library = now.iter().filter(|it| it.is_text() && it.path.ends_with("libidle_threads.so"));
    for mapping in text.chain(library) {
        let address = format!("{:#x}", mapping.range.start.get());
        let request = Command::ReadMemory { address, len: mapping.range.len(), raw: true };
        let Reply::Memory { bytes, .. } = driver.ask(request) else { panic!("not memory") };
        mapping.holds(&bytes, "in the process");
    }
    driver.go();
}

#[test]
fn a_breakpoint_that_is_removed_leaves_no_memory_of_ours() {
    for linkage in Linkage::RUNNABLE {
        for kind in ["idle", "busy"] {
            let debuggee = Build::new("idle_threads").linkage(linkage).build();
            let program = running(&debuggee, &["100", kind, "3600"]);
            let mut driver = Driver::attached(program.pid());
            // What the session itself needs, while it is attached, is there now.
            let before = leaks::mappings(program.pid());
            let busy = debuggee.mark("busy").spec();
            driver.go();
            for turn in 0..loops(100).div_ceil(10) {
                let condition = ["if mine == -1", "if work[mine] % 65536 == 1"][turn as usize % 2];
                let id = driver.break_at(&format!("-jump {NEVER} {busy} {condition}"));
                if kind == "busy" {
                    eventually("passes", || (driver.tally(id).passes > 1000).then_some(()));
                }
                driver.delete(id);
                is_clean(&mut driver, &before);
            }
            driver.detach();
            driver.quit();
        }
    }
}

#[test]
fn a_program_that_reads_its_code_sees_our_bytes_and_the_user_its_own() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("self_reading").linkage(linkage).build();
        let alone = trapline_testkit::run(&mut debuggee.command(), support::PATIENCE).stdout;
        let mut driver = Driver::launching(&debuggee, &["print"]);
        driver.break_at("-jump visit if passes == 77");
        let end = driver.break_at(&debuggee.mark("end").spec());
        driver.run();
        // At each stop the driver compares what the user sees with the files.
        assert_eq!(hit(&driver.go_to_stop()), [end]);
        let Reply::Memory { bytes, .. } =
            driver.ask(Command::ReadMemory { address: "visit".into(), len: 16, raw: false })
        else {
            panic!("not memory")
        };
        let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(format!("bytes={shown}\n"), alone);
        driver.go_to_end();
        assert_ne!(driver.output(), alone, "the program did not see the jump");
        driver.quit();
    }
}

/// The addresses of a function's instructions.
#[track_caller]
fn code_of(driver: &Driver, function: &str) -> Vec<u64> {
    let code = driver.code(CodeRange::FunctionAt(function.to_owned()));
    code.iter().map(|instruction| instruction.address.get()).collect()
}

#[test]
fn steps_go_over_into_and_out_of_a_jump() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("neighbours").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["40", "1"]);
        let round = driver.break_at(&format!("-once {}", debuggee.mark("round").spec()));
        driver.run();
        assert_eq!(hit(&driver.go_to_stop()), [round]);
        let code = code_of(&driver, "mix");
        let set = |at: usize| driver.break_at(&format!("-jump {NEVER} *{:#x}", code[at]));
        let sites: Vec<(usize, BreakpointId)> = [0, 1, 3, 5].map(|at| (at, set(at))).to_vec();
        let mut rounds = 0;
        for _ in 0..20 {
            rounds += 1;
            let enter = driver.break_at("-once -trap mix");
            driver.go_to_stop();
            let _ = enter;
            for &expected in &code[1..] {
                driver.ask(Command::StepInstruction { count: 1, over_calls: false });
                assert_eq!(driver.next_stop().frame.pc.get(), expected, "{linkage:?}");
            }
            for &(at, id) in &sites {
                assert_eq!(driver.tally(id).passes, rounds, "{linkage:?} {at}");
            }
        }
        driver.go_to_end();
        for &(at, id) in &sites {
            assert_eq!((driver.tally(id).passes, driver.tally(id).hits), (40, 40), "{at}");
        }
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn a_debug_register_and_a_jump_share_a_place() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("neighbours").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["30", "10"]);
        let jump = driver.break_at("-jump mix+5 if $rsi == 7");
        let hardware = driver.break_at("-hw mix+5 if $rsi % 5 == 2");
        driver.run();
        let mut stops = Vec::new();
        driver.go_to_end_through(|_, stop| stops.push(hit(stop)));
        let [both, one] = [2, 7]
            .map(|rsi| stops.iter().filter(|it| it.len() == if rsi == 7 { 2 } else { 1 }).count());
        assert_eq!((both, one), (30, 30), "{linkage:?} {stops:?}");
        assert_eq!(driver.tally(jump).passes, 300);
        assert_eq!(driver.tally(hardware).passes, 300);
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn a_busy_session_of_many_breakpoints_leaves_nothing() {
    let debuggee = Debuggee::build("idle_threads");
    let program = running(&debuggee, &["8", "busy", "3600"]);
    let mut driver = Driver::attached(program.pid());
    let before = leaks::mappings(program.pid());
    let code = code_of(&driver, "live");
    driver.go();
    for _ in 0..loops(100).div_ceil(20) {
        let all: Vec<BreakpointId> = code
            .iter()
            .map(|at| driver.break_at(&format!("-jump *{at:#x} if mine == -1")))
            .collect();
        all.into_iter().for_each(|id| driver.delete(id));
        is_clean(&mut driver, &before);
    }
    driver.detach();
    driver.quit();
}
