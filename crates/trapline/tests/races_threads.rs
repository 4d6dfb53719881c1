//! Threads that race with the debugger: born while it attaches, blocked in a
//! displaced system call while it detaches, running through the neighbours of
//! sites that come and go, killed from outside at any moment.
//!
//! Each race is run `TRAPLINE_LOOPS` times, by default a hundred.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::bystander::Bystander;
use support::{Driver, eventually, hit, loops, number_in, running, send};
use trapline::breakpoint::Mechanism;
use trapline::command::{CodeRange, Setting};
use trapline::{Command, Event, ExitStatus, Pid, Signal};
use trapline_testkit::{Build, Debuggee, Linkage, leaks};

/// A count that no run reaches: hits are counted and nothing stops.
const NEVER: &str = "-hits '== 1000000000'";

#[test]
fn attach_while_threads_are_being_created() {
    let debuggee = Debuggee::build("threads_born_and_die");
    let program = running(&debuggee, &["0", "8"]);
    let mut driver = Driver::new();
    let trap = driver.break_at("-log '{pass}' visit");
    for _ in 0..loops(100) {
        driver.attach(program.pid());
        driver.go();
        // Every new thread runs into the trap, or it would kill the program.
        driver.logs.clear();
        while driver.logs.len() < 20 {
            driver.next_event();
        }
        assert_eq!(driver.detach(), 1);
    }
    assert!(driver.tally(trap).passes >= 20 * u64::from(loops(100)));
    driver.quit();
}

/// Whether a thread of a process is held by a tracer.
fn is_any_held(pid: Pid) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let states = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    states.into_iter().any(|stat| stat.rsplit_once(") ").is_some_and(|it| it.1.starts_with('t')))
}

#[test]
fn attach_that_is_refused_midway_lets_every_thread_go() {
    let mut program = running(&Debuggee::build("traced_already"), &["8"]);
    let driver = Driver::new();
    for _ in 0..loops(100) {
        let why = driver.try_ask(Command::Attach(program.pid())).unwrap_err();
        assert!(why.contains("traces it already"), "{why}");
        eventually("freedom", || (!is_any_held(program.pid())).then_some(()));
    }
    let (status, output) = program.finish();
    assert!(status.success(), "{status}: {output}");
    assert!(number_in(&output, "born") > 0, "{output}");
    assert_eq!(number_in(&output, "lost"), 0, "{output}");
    driver.quit();
}

#[test]
fn attach_to_a_stopped_process_and_leave_it_stopped() {
    let debuggee = Debuggee::build("idle_threads");
    let program = running(&debuggee, &["8", "busy"]);
    let pid = program.pid();
    let before = leaks::mappings(pid);
    let stopped = || eventually("stopped", || (leaks::state(pid) == Some('T')).then_some(()));
    send("-STOP", pid);
    stopped();
    let mut driver = Driver::new();
    for _ in 0..loops(100) {
        driver.attach(pid);
        assert_eq!(driver.threads().len(), 9);
        let work = work_done(&driver);
        driver.break_at(&format!("{NEVER} {}", debuggee.mark("busy").spec()));
        driver.go();
        driver.ask(Command::Interrupt);
        driver.next_stop();
        assert_eq!(work_done(&driver), work, "it ran");
        driver.ask(Command::Delete(trapline::command::Selection::All));
        assert_eq!(driver.detach(), 1);
        stopped();
        // It stands still, so nothing at all may be different.
        assert_eq!(leaks::mappings(pid), before);
    }
    driver.attach(pid);
    let work = work_done(&driver);
    driver.detach();
    send("-CONT", pid);
    eventually("running", || {
        driver.attach(pid);
        let more = work_done(&driver);
        driver.detach();
        (more != work).then_some(())
    });
    driver.quit();
}

fn work_done(driver: &Driver) -> String {
    driver.print("work[0]")
}

#[test]
fn detach_while_a_thread_blocks_in_a_displaced_system_call() {
    let debuggee = Debuggee::build("displaced_syscall");
    let mut reader = Bystander::start(&debuggee, &["0"]);
    let mut driver = Driver::new();
    for _ in 0..loops(100) {
        reader.is_blocked();
        driver.attach(reader.pid());
        // The call starts over, runs into the trap and blocks in the slot.
        let trap = driver.break_at("-log 'again' *&syscall_read");
        driver.go();
        driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
        reader.is_blocked();
        assert_eq!(driver.detach(), 1);
        assert_eq!(driver.tally(trap).passes, 1);
        driver.delete(trap);
        reader.feed();
    }
    driver.quit();
    let (status, output) = reader.finish();
    assert!(status.success(), "{status}: {output}");
    assert_eq!(number_in(&output, "reads"), u64::from(loops(100)));
}

/// A thread that blocks in a system call is stopped and goes on, again and
/// again: the call that the kernel starts over is the same pass.
#[track_caller]
fn check_one_pass(place: &str, args: &[&str]) {
    let debuggee = Debuggee::build("displaced_syscall");
    let mut reader = Bystander::start(&debuggee, args);
    reader.wait_for("ready");
    reader.is_blocked();
    let mut driver = Driver::attached(reader.pid());
    let trap = driver.break_at(&format!("{NEVER} {place}"));
    driver.go();
    // The call that was under way starts over, and is the first pass.
    for passes in 1..=4 {
        let arrived = || driver.tally(trap).passes == passes;
        eventually("the call", || arrived().then_some(()));
        for _ in 0..loops(100).div_ceil(4) {
            reader.is_blocked();
            driver.ask(Command::Interrupt);
            driver.next_stop();
            driver.go();
        }
        assert_eq!(driver.tally(trap).passes, passes);
        reader.feed();
    }
    driver.detach();
    driver.quit();
    let (status, output) = reader.finish();
    assert!(status.success(), "{status}: {output}");
    assert_eq!(number_in(&output, "reads"), 4);
}

#[test]
fn a_system_call_that_starts_over_is_one_pass_of_a_debug_register() {
    check_one_pass("-hw *&syscall_read", &["0"]);
    check_one_pass("-hw *&syscall_read", &["0", "thread"]);
}

#[test]
fn a_system_call_that_starts_over_is_one_pass_of_a_lifted_trap() {
    check_one_pass("-trap *&syscall_read", &["0", "sandbox"]);
    check_one_pass("-trap *&syscall_read", &["0", "thread", "sandbox"]);
}

#[test]
fn a_system_call_that_starts_over_is_one_pass_of_a_displaced_one() {
    check_one_pass("-trap *&syscall_read", &["0"]);
}

#[test]
fn a_system_call_that_starts_over_is_one_pass_of_a_jump() {
    check_one_pass("-jump *&syscall_read", &["0"]);
    check_one_pass("-jump *&syscall_read if $rdi == 7", &["0"]);
    check_one_pass("-jump *&syscall_read", &["0", "thread"]);
}

#[test]
fn attach_after_the_leader_has_ended() {
    let debuggee = Debuggee::build("idle_threads");
    let program = running(&debuggee, &["4", "busy", "0", "leave"]);
    eventually("the leader's end", || (leaks::state(program.pid()) == Some('Z')).then_some(()));
    let mut driver = Driver::new();
    for _ in 0..loops(100) {
        driver.attach(program.pid());
        assert_eq!(driver.threads().len(), 4);
        let once = driver.break_at(&format!("-once {}", debuggee.mark("busy").spec()));
        driver.break_at(&format!("-hw {NEVER} {}", debuggee.mark("busy").spec()));
        assert_eq!(hit(&driver.go_to_stop()), [once]);
        assert_eq!(driver.detach(), 1);
        driver.ask(Command::Delete(trapline::command::Selection::All));
    }
    driver.quit();
}

#[test]
fn detach_at_any_moment_of_displaced_system_calls() {
    let debuggee = Debuggee::build("displaced_syscall");
    let mut looked = 0;
    for turn in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["80"]);
        driver.break_at("-log 'read' *&syscall_read");
        driver.break_at("-log 'futex' *&syscall_futex");
        driver.run();
        driver.go();
        for _ in 0..=turn % 6 {
            driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
        }
        looked += driver.detach();
        driver.ends_by_itself("errors");
        assert_eq!(driver.output(), "reads=80 wakes=80 errors=0\n");
        driver.quit();
    }
    assert!(looked > 0, "it always ended too early to be looked at");
}

/// Addresses of the instructions of `visit`, as `break` takes them.
fn instructions_of_visit(driver: &Driver) -> Vec<String> {
    let code = driver.code(CodeRange::FunctionAt("visit".to_owned()));
    code.iter().map(|instruction| format!("*{}", instruction.address)).collect()
}

#[test]
fn breakpoints_come_and_go_while_eight_threads_run_through_their_neighbours() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("many_threads_one_function").linkage(linkage).build();
        // By jumps it is at its end in no time.
        let is_fast = support::forced_mechanism() == Some(Mechanism::Jump);
        let passes = if is_fast { "5000000" } else { "20000" };
        let mut driver = Driver::launching(&debuggee, &["8", passes]);
        let trap = driver.break_at(&format!("-trap {NEVER} visit"));
        driver.run();
        driver.break_at("-once main");
        driver.go_to_stop();
        let places = instructions_of_visit(&driver);
        driver.go();
        for turn in 0..loops(100) as usize {
            let set = |step: usize| {
                let place = &places[(turn * 7 + step * 5) % places.len()];
                driver.break_at(&format!("{NEVER} {place}"))
            };
            let neighbours: Vec<_> = (0..3).map(set).collect();
            neighbours.into_iter().for_each(|id| driver.delete(id));
        }
        let alive = driver.threads().len();
        assert_eq!(alive, 9, "the program ended before the breakpoints did");
        match driver.stop_or_end() {
            Ok(stop) => panic!("{:?}", stop.reasons),
            Err(status) => assert_eq!(status, ExitStatus::Exited(0)),
        }
        assert_eq!(driver.tally(trap).passes, driver.said("total"));
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn interrupts_at_any_moment_lose_no_pass() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let mut driver = Driver::launching(&debuggee, &["8", "5000"]);
    let trap = driver.break_at(&format!("-trap {NEVER} visit"));
    let hardware = driver.break_at(&format!("-hw {NEVER} {}", debuggee.mark("body").spec()));
    driver.run();
    driver.break_at("-once main");
    driver.go_to_stop();
    for _ in 0..loops(100) {
        driver.go();
        driver.ask(Command::Interrupt);
        driver.next_stop();
    }
    driver.go_to_end();
    assert_eq!(driver.tally(trap).passes, driver.said("total"));
    assert_eq!(driver.tally(hardware).passes, driver.said("total"));
    driver.output_is_as_undebugged();
    driver.quit();
}

#[test]
fn the_program_is_killed_at_any_moment() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let mut driver = Driver::launching(&debuggee, &["8", "20000"]);
    driver.break_at("-log '{pass}' visit");
    driver.break_at(&format!("-hw {NEVER} {}", debuggee.mark("body").spec()));
    for turn in 0..loops(100) {
        let pid = driver.run();
        driver.go();
        for _ in 0..turn {
            driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
        }
        send("-KILL", pid);
        if turn % 2 == 0 {
            // Whatever it says of a program that dies, it neither hangs nor
            // ends the session.
            let _late = driver.try_ask(Command::Interrupt);
        }
        let killed = loop {
            match driver.stop_or_end_while_dying() {
                // The interrupt came first: the dying threads are held too.
                Ok(_) => drop(driver.try_ask(Command::Continue)),
                Err(status) => break status,
            }
        };
        let by_kill = ExitStatus::Signalled { signal: Signal::KILL, core_dumped: false };
        assert_eq!(killed, by_kill);
    }
    assert!(driver.warnings.is_empty(), "{:?}", driver.warnings);
    driver.quit();
}

#[test]
fn the_program_is_killed_while_it_is_held() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let mut driver = Driver::launching(&debuggee, &["8", "20000"]);
    driver.break_at("-log '{pass}' visit");
    for turn in 0..loops(100) {
        let pid = driver.run();
        driver.go();
        for _ in 0..turn % 20 {
            driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
        }
        driver.ask(Command::Interrupt);
        driver.next_stop();
        send("-KILL", pid);
        let _too_late = driver.try_ask(Command::StepInstruction { count: 3, over_calls: false });
        driver.wait_for(|event| {
            matches!(event, Event::ProcessExited { last: true, .. }).then_some(())
        });
    }
    assert!(driver.warnings.is_empty(), "{:?}", driver.warnings);
    driver.quit();
}

#[test]
fn a_launched_program_that_is_let_go_by_setting_runs_on_clean() {
    let debuggee = Debuggee::build("threads_born_and_die");
    let mut looked = 0;
    for _ in 0..loops(100) {
        let mut driver = Driver::launching(&debuggee, &["400", "4"]);
        driver.set(Setting::LeaveRunning(true));
        driver.break_at("-log '{pass}' visit");
        driver.run();
        driver.go();
        driver.wait_for(|event| matches!(event, Event::Log(_)).then_some(()));
        driver.ask(Command::Quit);
        driver.wait_for(|event| matches!(event, Event::SessionEnded).then_some(()));
        looked += driver.is_over();
        eventually("its last line", || driver.output().contains("passes=").then_some(()));
        assert_eq!(driver.output(), "ready\nbirths=400 passes=4000\n");
    }
    assert!(looked > 0, "it always ended too early to be looked at");
}
