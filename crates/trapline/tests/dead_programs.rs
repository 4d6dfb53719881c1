//! Core files read back: stacks and values of a program are the same from the
//! system's core file, from gdb's, from ours, and from the living program.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use support::Driver;
use support::gdb::Gdb;
use trapline::command::Reply;
use trapline::{Command, ExitStatus, LaunchSpec, Signal};
use trapline_testkit::{Build, Debuggee};

/// A program, how it is run, and where it is looked at.
struct Subject {
    debuggee: Debuggee,
    args: Vec<&'static str>,
    place: String,
    /// How many frames there are at least, and how many variables.
    least: (usize, usize),
}

/// Text in which no address of a mapping is told: libraries lie lower under us.
fn unplaced(text: &str) -> String {
    let text = text.replace("0x00007ff", "0x7ff");
    let mut parts = text.split("0x7ff");
    let first = parts.next().unwrap_or_default().to_owned();
    let digits = |part: &str| part.trim_start_matches(|it: char| it.is_ascii_hexdigit()).to_owned();
    parts.fold(first, |told, part| told + "0x7ff" + &digits(part))
}

/// Text without what differs from run to run: addresses as numbers, the secret
/// that the C library mixes into saved ones, and what a function that was just
/// entered has not set yet.
fn between_runs(text: &str) -> String {
    let mut told = String::new();
    let mut frames = 0;
    for line in text.lines() {
        match line {
            _ if line.starts_with("thread") => frames = 0,
            _ if line.starts_with("  ") && !line.starts_with("  [") && frames < 2 => continue,
            _ if !line.starts_with(' ') => frames += 1,
            _ => {}
        }
        let digits = |part: &str| part.len() < 9 || !part.bytes().all(|it| it.is_ascii_digit());
        let parts = line.split_inclusive(|it: char| !it.is_ascii_digit()).map(|part| {
            let number = part.trim_end_matches(|it: char| !it.is_ascii_digit());
            if digits(number) { part.to_owned() } else { part.replace(number, "#") }
        });
        let line: String = parts.collect();
        let _ = writeln!(told, "{}", line.replace("-#", "#"));
    }
    told
}

/// Everything of every thread of the process at hand: frames, their arguments
/// and their locals. How many frames and variables that are comes with it.
fn everything(driver: &Driver) -> (String, (usize, usize)) {
    let mut text = String::new();
    let mut counts = (0, 0);
    let mut threads = driver.threads();
    threads.sort_by_key(|thread| thread.tid);
    for thread in threads {
        driver.ask(Command::SelectThread(thread.number));
        let asked = Command::Backtrace { limit: 1000, full: true };
        let Reply::Backtrace { frames, ended } = driver.ask(asked) else { panic!("no frames") };
        let _ = writeln!(text, "thread: {ended:?}");
        for frame in frames {
            counts.0 += 1;
            let _ = writeln!(text, "{:?} at {:?}", frame.function, frame.line);
            let _ = writeln!(text, "  {:?}", frame.arguments);
            for local in frame.locals.into_iter().flatten() {
                counts.1 += 1;
                let _ = writeln!(text, "  {} = {}", local.name, local.value);
            }
        }
    }
    (unplaced(&text), counts)
}

/// The same of a core file.
fn dead(core: &Path) -> String {
    let driver = Driver::of_core(core, None);
    let (text, _) = everything(&driver);
    driver.quit();
    text
}

fn launched(subject: &Subject, folder: &Path) -> Driver {
    let mut driver = Driver::new();
    driver.ask(Command::Program(LaunchSpec {
        args: subject.args.iter().map(Into::into).collect(),
        directory: Some(folder.to_owned()),
        ..driver.launch_spec(&subject.debuggee)
    }));
    driver.break_at(&subject.place);
    driver.run();
    driver.go_to_stop();
    driver
}

#[track_caller]
fn assert_same(what: &str, ours: &str, other: &str) {
    let differs = ours.lines().zip(other.lines()).find(|(ours, other)| ours != other);
    assert!(ours == other, "{what}: {differs:#?}");
}

#[track_caller]
fn check(subject: &Subject) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "dead-{}-{}",
        std::process::id(),
        subject.args.len()
    ));
    fs::create_dir_all(&folder).unwrap();
    let (ours, gdbs) = (folder.join("ours.core"), folder.join("gdbs.core"));
    let mut driver = launched(subject, &folder);
    let (living, counts) = everything(&driver);
    assert!(counts.0 >= subject.least.0 && counts.1 >= subject.least.1, "{counts:?}");
    let first = driver.threads().iter().map(|thread| thread.number).min().unwrap();
    driver.ask(Command::SelectThread(first));
    driver.ask(Command::WriteCore(Some(ours.clone())));
    assert_same("ours", &living, &dead(&ours));

    // However little the tests themselves may write.
    let pid = driver.pid.unwrap().to_string();
    let limit = Process::new("prlimit").args(["--pid", &pid, "--core=unlimited"]).status();
    assert!(limit.unwrap().success());
    driver.let_pass(&[Signal::QUIT]);
    driver.ask(Command::NextSignal(Some(Signal::QUIT)));
    let status = driver.go_to_end_through(|_, stop| panic!("{:?}", stop.reasons));
    assert_eq!(status, ExitStatus::Signalled { signal: Signal::QUIT, core_dumped: true });
    driver.quit();
    assert_same("the system's", &living, &dead(&folder.join("core")));

    let mut gdb = Gdb::new();
    gdb.say(&format!("break {}", subject.place)).say("run");
    gdb.say(&format!("generate-core-file {}", gdbs.display())).say("kill");
    gdb.told(&subject.debuggee, &subject.args);
    assert_same("gdb's", &between_runs(&living), &between_runs(&dead(&gdbs)));

    // gdb reads the same in ours as in its own.
    let read = |core: &Path| {
        let mut gdb = Gdb::new();
        gdb.say(&format!("core-file {}", core.display()));
        gdb.say("echo ==\\n").say("thread apply all backtrace").say("echo ==end\\n");
        let told = gdb.told(&subject.debuggee, &[]);
        let told = told.split("==\n").nth(1).unwrap().split("==end").next().unwrap().to_owned();
        let frames = told.lines().filter(|line| line.starts_with('#'));
        unplaced(&frames.collect::<Vec<_>>().join("\n"))
    };
    let (of_ours, of_its_own) = (read(&ours), read(&gdbs));
    // gdb's end with `main`.
    assert!(of_ours.lines().count() >= subject.least.0.min(2), "{of_ours}");
    assert_same("gdb of ours", &of_ours, &of_its_own);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_dead_python_is_as_it_was() {
    let path = fs::canonicalize("/usr/bin/python3.11-dbg").unwrap();
    check(&Subject {
        debuggee: Debuggee { image: path.clone(), source: path.clone(), path },
        args: vec!["-Sc", "repr(eval('[' * 41 + ']' * 41))"],
        place: "list_repr if v->ob_base.ob_size == 0".to_owned(),
        least: (90, 200),
    });
}

#[test]
fn a_dead_program_of_cpp_is_as_it_was() {
    let debuggee = Build::new("containers").flag("-std=c++20").flag("-Wno-unused").build();
    let place = debuggee.mark("lookups").spec();
    check(&Subject { debuggee, args: vec![], place, least: (2, 15) });
}

#[test]
fn a_dead_program_of_rust_is_as_it_was() {
    let debuggee = Build::new("containers_of_rust").build();
    let place = debuggee.mark("wrappers").spec();
    check(&Subject { debuggee, args: vec!["-"], place, least: (5, 25) });
}

#[test]
fn threads_of_a_dead_program_are_where_they_were() {
    let debuggee = Debuggee::build("idle_threads");
    let place = debuggee.mark("end").spec();
    check(&Subject { debuggee, args: vec!["4", "idle", "1"], place, least: (15, 10) });
}

/// A core file of the C++ program and the folder with a copy of the program.
fn core_of_a_copy(name: &str) -> (PathBuf, PathBuf, PathBuf) {
    let built = Build::new("containers").flag("-std=c++20").flag("-Wno-unused").build();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("dead-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (program, core) = (folder.join("program"), folder.join("core"));
    fs::copy(&built.path, &program).unwrap();
    let place = built.mark("lookups").spec();
    let debuggee = Debuggee { path: program.clone(), image: program.clone(), ..built };
    let subject = Subject { debuggee, args: vec![], place, least: (1, 1) };
    let driver = launched(&subject, &folder);
    driver.ask(Command::WriteCore(Some(core.clone())));
    driver.quit();
    (folder, program, core)
}

#[test]
fn a_program_that_moved_can_be_named_and_another_is_refused() {
    let (folder, program, core) = core_of_a_copy("moved");
    let (before, _) = everything(&Driver::of_core(&core, None));
    let moved = folder.join("elsewhere");
    fs::rename(&program, &moved).unwrap();
    // Without its program there are no names for its code.
    let mut driver = Driver::of_core(&core, None);
    assert!(!everything(&driver).0.contains("lookups"));
    let what = format!("no symbols for {}", program.display());
    driver.wait_for(|event| match event {
        trapline::Event::Warning(text) => text.contains(&what).then_some(()),
        _ => None,
    });
    driver.quit();
    let (named, _) = everything(&Driver::of_core(&core, Some(&moved)));
    assert_same("moved", &before, &named);
    let refused = trapline::core_session(&core, Some(Path::new("/bin/true")));
    let why = refused.map(drop).unwrap_err().message;
    assert!(
        why.starts_with("cannot take /bin/true for the program that died: its build-id is "),
        "{why}"
    );
    fs::copy("/bin/true", &program).unwrap();
    assert!(!everything(&Driver::of_core(&core, None)).0.contains("lookups"));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_is_no_core_file_is_refused_with_a_reason() {
    let check = |path: &str, why: &str| {
        let refused = trapline::core_session(Path::new(path), None);
        let expected = format!("cannot read the core file {path}: {why}");
        assert_eq!(refused.map(drop).unwrap_err().message, expected);
    };
    check("/nonexistent", "No such file or directory (os error 2)");
    check("/tmp", "it is no regular file");
    check("/dev/null", "it is no regular file");
    check("/etc/passwd", "it is no core file: it does not begin as ELF files of 64 bits do");
    check("/bin/true", "it is a program or a library, not a core file");
}

/// Damage anywhere ends in a refusal or in answers, and never in anything else.
#[test]
fn damaged_core_files_are_read_as_far_as_they_go() {
    let (folder, _, core) = core_of_a_copy("damaged");
    let whole = fs::read(&core).unwrap();
    let damaged = folder.join("damaged");
    // Where headers and notes end: what is damaged is mostly before that.
    let headers = 0x8000.min(whole.len());
    let mut state = 1_u64;
    let mut random = |below: usize| {
        // Knuth's MMIX generator: its high bits are as good as any.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut read = 0;
    for round in 0..24 {
        let mut bytes = whole.clone();
        if round % 4 == 0 {
            bytes.truncate(random(whole.len()));
        }
        for _ in 0..random(40) {
            let at = random(if round % 2 == 0 { headers } else { whole.len() });
            if let Some(byte) = bytes.get_mut(at) {
                *byte = [0, 1, 0x7f, 0xff, random(256) as u8][random(5)];
            }
        }
        fs::write(&damaged, &bytes).unwrap();
        let Ok((session, _events, pid)) = trapline::core_session(&damaged, None) else { continue };
        if session.request(Command::Attach(pid)).is_err() {
            continue;
        }
        read += 1;
        let _ended = session.request(Command::Backtrace { limit: 1000, full: true });
        let _read = session.request(Command::Threads);
        let _listed = session.request(Command::Process);
    }
    assert!(read > 4, "{read}");
    fs::remove_dir_all(&folder).unwrap();
}

/// Of memory that was cut off nothing is known: not what the program's file has
/// for it either.
#[test]
fn what_was_cut_off_is_not_made_up() {
    let (folder, _, core) = core_of_a_copy("cut");
    let print = |core: &Path| {
        let driver = Driver::of_core(core, None);
        let expression = "*(int *)&sink".to_owned();
        let asked = Command::Evaluate { expression, format: Default::default() };
        let told = driver.try_ask(asked);
        driver.quit();
        told
    };
    assert!(matches!(print(&core), Ok(Reply::Text(text)) if text != "0"));
    let file = fs::OpenOptions::new().write(true).open(&core).unwrap();
    // Notes and the program's headers are whole.
    file.set_len(0xa000).unwrap();
    assert!(print(&core).unwrap_err().contains("Cannot access memory"));
    fs::remove_dir_all(&folder).unwrap();
}

/// Nothing that would have the program do something is tried.
#[test]
fn dead_programs_do_nothing() {
    let (folder, _, core) = core_of_a_copy("still");
    let driver = Driver::of_core(&core, None);
    let dead = "The program is not being run: this is the core file that it left.";
    for command in [Command::Run, Command::Continue, Command::Kill, Command::Finish] {
        assert_eq!(driver.try_ask(command).unwrap_err(), dead);
    }
    let (expression, format) =
        ("map.size() == 2".to_owned(), trapline::command::ValueFormat::default());
    let asked = Command::Evaluate { expression, format };
    assert!(matches!(driver.ask(asked), Reply::Text(text) if text == "true"));
    let (expression, format) =
        ("at._M_node = 0".to_owned(), trapline::command::ValueFormat::default());
    let refused = driver.try_ask(Command::Print { expression, format }).unwrap_err();
    assert_eq!(refused, "this target cannot change anything: it is a core file");
    driver.ask(Command::Quit);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_dead_program_is_not_run_by_its_core_file() {
    let (folder, program, core) = core_of_a_copy("run");
    for with in [vec![&core], vec![&core, &program]] {
        let mut ours = Process::new(env!("CARGO_BIN_EXE_trapline"));
        let ran = ours.args(["core", "--batch", "-e", "run"]).args(with).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        let last = said.lines().last().unwrap();
        assert!(last.contains("this is the core file that it left"), "{said}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
