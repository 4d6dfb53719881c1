//! The truth about memory, on live programs: the user sees and changes the
//! program's own bytes wherever sites are, the program sees ours, and nothing
//! is left behind. Traps of the program's own are told apart from ours.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use support::{Driver, PATIENCE, hit, number_in};
use trapline::command::{Reply, Selection, Setting};
use trapline::event::StopReason;
use trapline::{BreakpointId, Command, ExitStatus, Pid, Signal, VirtAddr};
use trapline_testkit::{Background, Build, Debuggee, Linkage};

/// A program that nobody debugs yet and that has said `ready`. Its parent is
/// not this process: a parent that waits for its child's end would take the
/// stops that the tracer in the same process waits for.
fn beside(debuggee: &Debuggee, args: &[&str]) -> (Background, Pid) {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "\"$0\" \"$@\" & echo pid=$!; wait"]).arg(&debuggee.path).args(args);
    let background = Background::spawn(&mut shell);
    background.wait_for("ready", PATIENCE);
    background.wait_for("pid=", PATIENCE);
    let pid = number_in(&background.stdout(), "pid");
    (background, Pid::new(i32::try_from(pid).unwrap()))
}

/// Bytes as the user sees them; `raw` shows ours too.
fn memory(driver: &Driver, address: &str, len: u64, raw: bool) -> Vec<u8> {
    let request = Command::ReadMemory { address: address.to_owned(), len, raw };
    let Reply::Memory { bytes, missing, .. } = driver.ask(request) else { panic!("not memory") };
    assert_eq!(missing, 0, "{address}");
    bytes
}

/// Bytes of a process, whoever's they are.
fn peek(pid: Pid, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    memory.seek(SeekFrom::Start(at)).unwrap();
    memory.read_exact(&mut bytes).unwrap();
    bytes
}

fn number(driver: &Driver, expression: &str) -> u64 {
    driver.print(&format!("(unsigned long){expression}")).parse().unwrap()
}

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn bytes(&mut self, limit: u64) -> Vec<u8> {
        (0..=self.below(limit)).map(|_| self.below(256) as u8).collect()
    }
}

/// A program under the debugger beside a picture of what an untouched one, to
/// which only the user's writes were made, would hold.
struct Twins {
    driver: Driver,
    base: u64,
    twin: Vec<u8>,
    sites: Vec<(BreakpointId, u64)>,
}

impl Twins {
    /// Sets, removes, reads or writes something, or lets the program run on.
    fn act(&mut self, dice: &mut Dice) {
        let len = self.twin.len() as u64;
        let offset = dice.below(len);
        match dice.below(8) {
            0..=2 => {
                let id = self.driver.break_at(&format!("*{:#x}", self.base + offset));
                self.sites.push((id, offset));
            }
            3 if !self.sites.is_empty() => {
                let nth = dice.below(self.sites.len() as u64) as usize;
                self.driver.delete(self.sites.swap_remove(nth).0);
            }
            4 | 5 => {
                let mut bytes = dice.bytes(24);
                bytes.truncate((len - offset) as usize);
                let address = VirtAddr::new(self.base + offset);
                self.driver.ask(Command::WriteMemory { address, bytes: bytes.clone() });
                self.twin[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
            6 => {
                self.driver.go();
                self.driver.ask(Command::Interrupt);
                self.driver.next_stop();
                self.is_armed();
            }
            _ => self.agree(offset, 1 + dice.below(len - offset)),
        }
    }

    /// The user's view is the twin's.
    fn agree(&self, offset: u64, len: u64) {
        let at = format!("{:#x}", self.base + offset);
        let twin = &self.twin[offset as usize..][..len as usize];
        assert_eq!(memory(&self.driver, &at, len, false), twin, "{at} {len}");
    }

    /// The program's view is the twin's with our traps in it.
    fn is_armed(&self) {
        let at = format!("{:#x}", self.base);
        let mut armed = self.twin.clone();
        for (_, site) in &self.sites {
            armed[*site as usize] = 0xcc;
        }
        assert_eq!(memory(&self.driver, &at, armed.len() as u64, true), armed);
    }
}

#[test]
fn random_sites_reads_and_writes_show_what_an_untouched_twin_would() {
    let debuggee = Debuggee::build("self_reading");
    for seed in [1, 0x5eed, 0xfeed_f00d] {
        let (_background, pid) = beside(&debuggee, &["wait"]);
        let mut driver = Driver::attached(pid);
        driver.rewrites_text = true;
        // What the program sees is told from where traps are.
        driver.as_written();
        let base = number(&driver, "&never_called");
        let twin = peek(pid, base, 192);
        let mut twins = Twins { driver, base, twin, sites: Vec::new() };
        let mut dice = Dice(seed);
        for _ in 0..250 {
            twins.act(&mut dice);
        }
        twins.agree(0, twins.twin.len() as u64);
        twins.driver.detach();
        assert_eq!(peek(pid, base, twins.twin.len()), twins.twin, "seed {seed}");
    }
}

#[test]
fn the_program_sees_our_bytes_and_we_see_its_own() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("self_reading").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["print"]);
        driver.as_written();
        driver.break_at(&debuggee.mark("main").spec());
        driver.run();
        driver.go_to_stop();
        let entry = number(&driver, "&visit");
        let own = memory(&driver, "&visit", 16, false);
        driver.break_at(&format!("-trap -hits '== 100' *{entry:#x}"));
        driver.break_at(&format!("-trap -hits '== 100' {}", debuggee.mark("body").spec()));
        driver.break_at(&debuggee.mark("end").spec());
        driver.go_to_stop();
        let (shown, raw) =
            (memory(&driver, "&visit", 16, false), memory(&driver, "&visit", 16, true));
        driver.go_to_end();
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(driver.output(), format!("bytes={hex}\n"), "{linkage:?}");
        assert_eq!(shown, own);
        assert_eq!(raw.iter().zip(&own).filter(|(raw, own)| raw != own).count(), 2, "{raw:x?}");
        assert!(raw.iter().zip(&own).all(|(raw, own)| raw == own || *raw == 0xcc));
        driver.quit();
    }
}

/// The address of the instruction of `visit` that adds 1 to the count.
fn addition(driver: &Driver) -> u64 {
    let code = memory(driver, "&visit", 32, false);
    let at = code.windows(4).position(|window| window == [0x48, 0x83, 0xc0, 0x01]).unwrap();
    number(driver, "&visit") + at as u64
}

#[test]
fn a_write_under_a_trap_changes_the_programs_instruction_and_keeps_the_trap() {
    let debuggee = Debuggee::build("self_reading");
    // `add rax,1` becomes: the same with 2; `add ax,3`; three writes of a byte.
    let changes: [(u64, &[u8], u64); 3] =
        [(3, &[2], 2), (0, &[0x66, 0x83, 0xc0, 3], 3), (0, &[0x48, 0x83, 0xc0, 5, 0x48], 5)];
    for (offset, bytes, each) in changes {
        let mut driver = Driver::launching(&debuggee, &["watch", "10"]);
        driver.rewrites_text = true;
        driver.break_at("main");
        driver.run();
        driver.go_to_stop();
        let at = addition(&driver);
        let id = driver.break_at(&format!("*{at:#x}"));
        driver.go_to_stop();
        let address = VirtAddr::new(at + offset);
        driver.ask(Command::WriteMemory { address, bytes: bytes.to_vec() });
        assert_eq!(
            memory(&driver, &format!("{:#x}", address.get()), bytes.len() as u64, false),
            bytes
        );
        let status = driver.go_to_end_through(|_, stop| assert_eq!(hit(stop), [id]));
        assert_eq!(status, trapline::ExitStatus::Exited(0));
        assert_eq!(driver.tally(id).stops, 10, "{bytes:x?}");
        assert_eq!(driver.said("passes"), 10 * each, "{bytes:x?}");
        driver.quit();
    }
}

/// What a stop says of itself: our breakpoint, or a word for what else.
fn why(stop: &trapline::event::StopReport) -> Vec<String> {
    let word = |reason: &StopReason| match reason {
        StopReason::Breakpoint { id, .. } => format!("breakpoint {id}"),
        StopReason::OwnTrap { instruction, explanation } => {
            assert!(explanation.contains("`continue`"), "{explanation}");
            instruction.clone()
        }
        StopReason::Signal(info) => format!("{} code {}", info.signal, info.code),
        other => format!("{other:?}"),
    };
    stop.reasons.iter().map(word).collect()
}

#[test]
fn traps_of_the_program_are_told_apart_with_and_without_one_of_ours_on_top() {
    let debuggee = Debuggee::build("own_traps");
    let check = |kind: &str, ours: Option<&str>, expected: &[&str]| {
        let mut driver = Driver::launching(&debuggee, &[kind, "2"]);
        driver.break_at("-once main");
        driver.run();
        driver.go_to_stop();
        let id = ours.map(|place| driver.break_at(place));
        let mut told = Vec::new();
        driver.go_to_end_through(|_, stop| told.extend(why(stop)));
        assert_eq!(told, expected.repeat(2), "{kind} {ours:?}");
        if let Some(id) = id {
            assert_eq!(driver.tally(id).passes, 2, "{kind} {ours:?}");
        }
        assert_eq!((driver.said("handled"), driver.said("after")), (0, 2), "{kind}");
        driver.quit();
    };
    let (cc, cd03, f1) = ("int3 (CC)", "int 3 (CD 03)", "int1 (F1)");
    check("cc", None, &[cc]);
    check("cd03", None, &[cd03]);
    check("f1", None, &[f1]);
    check("raise", None, &["SIGTRAP code -6"]);
    check("code_filled", None, &[cc; 4]);
    check("flag", None, &["trap flag (TF)"; 5]);
    check("cc", Some("*&own_cc"), &["breakpoint 2", cc]);
    check("cd03", Some("*&own_cd03"), &["breakpoint 2", cd03]);
    check("f1", Some("*&own_f1"), &["breakpoint 2", f1]);
    check("cc", Some("-hw *&own_cc"), &["breakpoint 2", cc]);
    check("cd03", Some("-hw *&own_cd03"), &["breakpoint 2", cd03]);
    check("f1", Some("-hw *&own_f1"), &["breakpoint 2", f1]);
    // A trap in the second byte of `int 3` is an instruction of ours, not its.
    check("raise", Some(&debuggee.mark("raise").spec()), &["breakpoint 2", "SIGTRAP code -6"]);
}

#[test]
fn the_programs_own_trap_bytes_are_shown_as_they_are() {
    let debuggee = Debuggee::build("own_traps");
    let mut driver = Driver::launching(&debuggee, &["cc"]);
    driver.break_at("main");
    driver.run();
    driver.go_to_stop();
    for place in ["*&own_cc", "*&own_cd03", "*&own_f1"] {
        driver.break_at(place);
    }
    for raw in [false, true] {
        assert_eq!(memory(&driver, "&own_cc", 1, raw), [0xcc]);
    }
    assert_eq!(memory(&driver, "&own_cd03", 2, false), [0xcd, 0x03]);
    assert_eq!(memory(&driver, "&own_f1", 1, false), [0xf1]);
    driver.quit();
}

/// Has the program get its own traps, without a stop or with one.
fn pass_traps(driver: &Driver, stop: bool) {
    let signals = vec![Signal::TRAP];
    let (stop, print, pass) = (Some(stop), Some(stop), Some(true));
    driver.ask(Command::Handle { signals, stop, print, pass });
}

#[test]
fn traps_of_the_program_reach_its_handler_when_they_are_passed() {
    let debuggee = Debuggee::build("own_traps");
    let check = |kind: &str, ours: Option<&str>| {
        let mut driver = Driver::launching(&debuggee, &[kind, "3"]);
        pass_traps(&driver, false);
        driver.break_at("-once main");
        driver.run();
        driver.go_to_stop();
        let never = |place: &str| driver.break_at(&format!("-hits '== 100' {place}"));
        let id = ours.map(never);
        driver.go_to_end();
        driver.output_is_as_undebugged();
        if let Some(id) = id {
            assert_eq!(driver.tally(id).passes, 3, "{kind} {ours:?}");
        }
        driver.quit();
    };
    for kind in ["cc", "cd03", "f1", "raise", "code_filled", "flag"] {
        check(kind, None);
    }
    for (kind, place) in [
        ("cc", "*&own_cc"),
        ("cd03", "*&own_cd03"),
        ("f1", "*&own_f1"),
        ("raise", &debuggee.mark("raise").spec()),
        ("flag", "*&own_flag"),
        ("flag", "*&own_flag_ends"),
    ] {
        check(kind, Some(place));
        check(kind, Some(&format!("-hw {place}")));
    }
}

#[test]
fn a_trap_that_is_passed_kills_who_does_not_handle_it() {
    let debuggee = Debuggee::build("own_traps");
    for kind in ["cc", "cd03", "f1", "raise", "code_filled", "flag"] {
        let mut driver = Driver::started(&debuggee, &[kind, "1", "fatal"]);
        pass_traps(&driver, true);
        let mut stops = 0;
        let status = driver.go_to_end_through(|_, _| stops += 1);
        assert!(
            matches!(status, ExitStatus::Signalled { signal: Signal::TRAP, .. }),
            "{kind}: {status}"
        );
        assert_eq!(stops, 1, "{kind}");
        driver.quit();
    }
}

#[test]
fn a_trap_is_passed_when_the_user_says_so_for_this_once() {
    let debuggee = Debuggee::build("own_traps");
    for kind in ["cc", "cd03", "f1", "raise", "code_filled", "flag"] {
        let mut driver = Driver::started(&debuggee, &[kind, "2"]);
        driver.go_to_end_through(|driver, _| {
            driver.ask(Command::NextSignal(Some(Signal::TRAP)));
        });
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn a_step_that_passes_a_signal_ends_where_its_handler_begins() {
    let debuggee = Debuggee::build("own_traps");
    for kind in ["cc", "cd03", "f1", "raise", "code_filled", "flag"] {
        let mut driver = Driver::started(&debuggee, &[kind, "1"]);
        pass_traps(&driver, true);
        driver.go_to_stop();
        driver.ask(Command::StepInstruction { count: 1, over_calls: false });
        let stop = driver.next_stop();
        assert_eq!(why(&stop), ["Stepped"], "{kind}");
        assert_eq!(stop.frame.pc.get(), number(&driver, "&on_trap"), "{kind}");
        driver.go_to_end_through(|_, _| {});
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn a_walk_through_what_steps_itself_sees_each_instruction_once() {
    let debuggee = Debuggee::build("own_traps");
    let mut driver = Driver::started(&debuggee, &["flag", "1"]);
    let place = number(&driver, "&own_flag");
    driver.break_at("*&own_flag");
    driver.go_to_stop();
    for pc in [1, 2, 3] {
        driver.ask(Command::StepInstruction { count: 1, over_calls: false });
        let stop = driver.next_stop();
        assert_eq!((why(&stop), stop.frame.pc.get() - place), (vec!["Stepped".to_owned()], pc));
    }
    driver.quit();
}

#[test]
fn traps_are_refused_where_no_code_can_run() {
    let debuggee = Debuggee::build("self_reading");
    let mut driver = Driver::launching(&debuggee, &["watch", "5"]);
    driver.break_at("main");
    driver.run();
    driver.go_to_stop();
    let refused = |place: &str, expected: &str| {
        let spec = trapline::spec::code(place).unwrap();
        let error = driver.try_ask(Command::Break(spec)).unwrap_err();
        assert!(error.contains(expected), "{place}: {error}");
    };
    refused("*&passes", "not executable memory");
    refused("*$rsp", "not executable memory");
    refused("*0x10", "Cannot access memory at address 0x10");
    refused("*0xffffffff00000000", "Cannot access memory at address");
    let left = driver.breakpoints();
    assert_eq!(left.len(), 1);
    driver.go_to_end();
    driver.quit();
}

#[test]
fn restartable_sequences_are_left_to_run() {
    for linkage in [Linkage::Pie, Linkage::Fixed] {
        let debuggee = Build::new("restartable_sequence").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["4", "2000"]);
        let refused = |driver: &Driver| {
            let within = "within a restartable sequence (rseq)";
            let begins = "begins a restartable sequence (rseq)";
            for (how, place, expected) in [
                ("-trap", "within", within),
                ("-hw", "within", within),
                ("-trap", "last", within),
                ("-trap", "told", begins),
            ] {
                let asked = trapline::spec::code(&format!("{how} *&{place}")).unwrap();
                let why = driver.try_ask(Command::Break(asked)).unwrap_err();
                assert!(why.contains(expected), "{why}");
            }
        };
        refused(&driver);
        let [entered, before, committed] = ["*&add", "*&before", "*&committed"]
            .map(|at| driver.break_at(&format!("-hits '== 1000000000' {at}")));
        driver.run();
        driver.break_at("-once main");
        driver.go_to_stop();
        refused(&driver);
        driver.go_to_end();
        assert!(driver.tally(entered).passes >= 8000, "{:?}", driver.tally(entered));
        assert!(driver.tally(before).passes >= 8000, "{:?}", driver.tally(before));
        assert_eq!(driver.tally(committed).passes, 8000);
        assert_eq!(driver.output(), "counted=8000\n");
        driver.quit();
    }
}

#[test]
fn a_place_without_code_that_was_asked_for_before_the_run_is_told_about() {
    let debuggee = Debuggee::build("self_reading");
    let mut driver = Driver::launching(&debuggee, &["print"]);
    let id = driver.break_at("*0x10");
    driver.break_at("main");
    driver.run();
    driver.go_to_stop();
    driver.ask(Command::Threads);
    let warned = driver.warnings.iter().any(|text| text.contains("memory at address 0x10"));
    assert!(warned, "{:?} {:?}", driver.warnings, driver.breakpoint(id));
    driver.quit();
}

#[test]
fn the_heap_grows_as_if_we_had_no_memory_there() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("grows_heap").linkage(linkage).build();
        let mut driver = Driver::launching(&debuggee, &["200"]);
        // Slots are wanted before the program has any heap.
        for place in ["-hits '== 1000' main", "-hits '== 1000' grow"] {
            driver.break_at(place);
        }
        driver.run();
        driver.go_to_end_through(|_, _| {});
        assert_eq!(driver.said("grown"), 200, "{linkage:?}");
        driver.output_is_as_undebugged();
        driver.quit();
    }
}

#[test]
fn sites_of_every_kind_leave_nothing_behind() {
    for linkage in Linkage::RUNNABLE {
        let debuggee = Build::new("self_reading").linkage(linkage).build();
        let (_background, pid) = beside(&debuggee, &["wait"]);
        let mut driver = Driver::attached(pid);
        driver.set(Setting::OverCover(true));
        for place in ["visit", "main", "-hw print_bytes", "*&never_called", "sleep", "puts"] {
            driver.break_at(place);
        }
        driver.watch("passes", trapline::Access::ReadWrite);
        driver.go();
        driver.ask(Command::Enable { what: Selection::All, enabled: false });
        driver.ask(Command::Enable { what: Selection::All, enabled: true });
        driver.ask(Command::Interrupt);
        driver.next_stop();
        assert_eq!(driver.detach(), 1);
        driver.quit();
    }
}
