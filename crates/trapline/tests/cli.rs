//! The program as a user meets it: exit codes, the program's own output left
//! alone, one clear line for bad input, and the demonstration.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::process::{Command, Output};

fn trapline(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_trapline");
    Command::new(program).args(arguments).output().expect("cargo has built the program")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("we write UTF-8")
}

#[test]
fn a_batch_run_exits_as_the_program_does_and_leaves_its_output_alone() {
    let check = |script: &str, code: i32, output: &str| {
        let ran = trapline(&["run", "--batch", "--", "/bin/sh", "-c", script]);
        assert_eq!(ran.status.code(), Some(code), "{script}: {}", text(&ran.stderr));
        assert_eq!(text(&ran.stdout), output, "{script}");
    };
    check("exit 0", 0, "");
    check("echo out; exit 7", 7, "out\n");
    check("kill -9 $$", 137, "");
    check("echo out; kill -SEGV $$; exit 7", 139, "out\n");
    check("echo \"$0\" err >&2", 0, "");
}

/// What a program may ask about how it was started. Signals 32 and 33 belong to
/// the C library, which takes them in whoever has threads.
const SURROUNDINGS: &str = "cat /proc/self/timerslack_ns /proc/self/oom_score_adj; nice; umask; \
    ulimit -a; grep -E '^(SigBlk|SigCgt|Cap|NoNew|Seccomp)' /proc/self/status; \
    sed -n 's/^SigIgn.*\\(.......\\)$/ignored \\1/p' /proc/self/status; \
    cut -d' ' -f18,19,40,41 /proc/self/stat; ls /proc/self/fd; pwd; env | cksum";

#[test]
fn a_launched_program_finds_what_it_would_have_found() {
    let alone = Command::new("/bin/sh").args(["-c", SURROUNDINGS]).output().unwrap();
    let debugged = trapline(&["run", "--batch", "--", "/bin/sh", "-c", SURROUNDINGS]);
    assert_eq!(text(&debugged.stdout), text(&alone.stdout));
}

/// Signals 1 to 31 of a line in /proc/self/status.
fn signals(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    u64::from_str_radix(line.unwrap().trim(), 16).unwrap() & 0x7fff_ffff
}

#[test]
fn blocked_and_ignored_signals_stay_so_for_a_launched_program() {
    let started_by = |command: &[&str]| {
        let sets = ["--block-signal=USR1", "--ignore-signal=USR2,CHLD,TERM"];
        let mut started = Command::new("/usr/bin/env");
        started.args(sets).args(command).args(["/bin/cat", "/proc/self/status"]);
        let started = started.output().unwrap();
        ["SigBlk:", "SigIgn:", "SigCgt:"].map(|name| signals(text(&started.stdout), name))
    };
    let bits = |signals: &[u64]| signals.iter().map(|signal| 1 << (signal - 1)).sum::<u64>();
    let alone = started_by(&[]);
    assert_eq!(alone[0], bits(&[10]));
    assert_eq!(alone[1] & bits(&[12, 13, 15, 17]), bits(&[12, 15, 17]));
    let trapline = env!("CARGO_BIN_EXE_trapline");
    assert_eq!(started_by(&[trapline, "run", "--batch", "--"]), alone);
}

#[test]
fn a_debugger_that_is_debugged_launches_programs() {
    let check = |options: &[&str]| {
        let outer = ["run", "--batch", "--auto-continue", "-b", "trapline::main"];
        let debugger = ["--", env!("CARGO_BIN_EXE_trapline")];
        let inner = ["run", "--batch", "--", "/bin/sh", "-c", "exit 7"];
        let ran = trapline(&[&outer[..], options, &debugger, &inner].concat());
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(7), "{options:?}: {said}");
        assert_eq!(said.matches("Breakpoint 1, trapline::main").count(), 1, "{said}");
    };
    check(&[]);
    check(&["--follow-children"]);
}

#[test]
fn bad_input_gets_one_line_and_its_exit_code() {
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let ran = trapline(arguments);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        if code == 1 {
            assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        }
        assert!(ran.stdout.is_empty());
    };
    check(&["run", "--batch", "/no/such"], 1, "/no/such");
    check(&["run", "--batch", "/etc/passwd"], 1, "/etc/passwd");
    check(&["attach", "--batch", "2147483647"], 1, "2147483647");
    check(&["run", "--batch", "-b", "-fast f", "/bin/true"], 1, "`-fast` is not a breakpoint flag");
    check(&["run", "--batch", "-x", "/no/script", "/bin/true"], 1, "/no/script");
    check(&["run", "--batch", "--json=/no/dir/x", "/bin/true"], 1, "/no/dir/x");
    check(&["run", "--batch", "-e", "frobnicate", "/bin/true"], 1, "`frobnicate`");
    check(&["run"], 2, "Usage");
    check(&["run", "--bogus", "/bin/true"], 2, "--bogus");
    check(&["walk"], 2, "walk");
}

/// Passes, hits and stops of each breakpoint, from the JSON lines.
fn tallies(said: &str) -> Vec<[u64; 3]> {
    said.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["event"] == "breakpoint")
        .map(|line| [&line["passes"], &line["hits"], &line["stops"]].map(|n| n.as_u64().unwrap()))
        .collect()
}

#[test]
fn json_lines_end_with_the_breakpoints() {
    let program = trapline_testkit::Debuggee::build("demo_bank");
    let path = program.path.to_str().unwrap();
    let wishes = ["run", "--batch", "--auto-continue", "--json=-", "--stdout", "/dev/null"];
    let specs = ["-b", "-hits '== 7' deposit", "-b", "-log 'w {amount}' -hits '% 1000' withdraw"];
    let ran = trapline(&[&wishes[..], &specs[..], &[path]].concat());
    let said = text(&ran.stdout);
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert_eq!([count("stopped"), count("log"), count("exited")], [1, 2, 1], "{said}");
    assert_eq!(tallies(said), [[2000, 2000, 1], [2000, 2000, 0]], "{said}");
}

/// Runs `forks`, which makes twenty children of ten passes each, and checks
/// what the breakpoints saw.
#[track_caller]
fn check_forks(options: &[&str], expected: [[u64; 3]; 2]) {
    let program = trapline_testkit::Debuggee::build("forks");
    let path = program.path.to_str().unwrap();
    let wishes = ["run", "--batch", "--auto-continue", "--json=-", "--stdout", "/dev/null"];
    let in_child = program.mark("child").spec();
    let specs = ["-b", "-hits '== 1000000' visit", "-b", &in_child, "--", path, "20", "10"];
    let ran = trapline(&[&wishes[..], options, &specs[..]].concat());
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert_eq!(tallies(text(&ran.stdout)), expected);
}

#[test]
fn children_have_the_breakpoints_when_they_are_followed() {
    check_forks(&["--follow-children"], [[220, 220, 0], [20, 20, 20]]);
    check_forks(&[], [[20, 20, 0], [0, 0, 0]]);
}

#[test]
fn the_demonstration_shows_both_views_of_memory() {
    let ran = trapline(&["demo"]);
    let said = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(0), "{said}{}", text(&ran.stderr));
    let view = |who: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(who));
        line.unwrap_or_else(|| panic!("{who} is missing in {said}")).trim().to_owned()
    };
    let (ours, theirs) = (view("seen by the debugger"), view("seen by the program"));
    assert!(theirs.starts_with("cc "), "{theirs}");
    assert!(!ours.starts_with("cc ") && ours[2..] == theirs[2..], "{ours} / {theirs}");
    assert!(said.contains("deposits=2000"), "{said}");
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = trapline(&["completions", shell]);
        assert!(ran.status.success() && text(&ran.stdout).contains("auto-continue"), "{shell}");
    }
}

#[test]
fn a_breakpoint_that_never_bound_is_told_at_the_end() {
    let script = ["/bin/sh", "-c", "exit 7"];
    let check = |flags: &[&str], expected: &str| {
        let ran = trapline(&[&["run", "--batch"][..], flags, &["--"], &script].concat());
        assert_eq!(ran.status.code(), Some(7), "{flags:?}");
        let said = text(&ran.stderr);
        assert!(said.contains(expected), "{flags:?}: {said}");
        said.lines().filter(|line| line.contains("never bound")).count()
    };
    let nosuch = "breakpoint 1 (nosuch) never bound: Function \"nosuch\" not defined";
    assert_eq!(check(&["-b", "nosuch"], nosuch), 1);
    assert_eq!(check(&["--json=-", "-b", "nosuch"], nosuch), 1);
    let event = "{\"event\":\"error\",\"message\":\"breakpoint 1 (nosuch) never bound";
    assert_eq!(check(&["--json", "-b", "nosuch"], event), 1);
    let number = "breakpoint 2 (nofile.c:3) never bound: ";
    assert_eq!(check(&["-b", "write", "-b", "nofile.c:3"], number), 1);
    assert_eq!(check(&["-b", "*$rip"], "registers mean something in a frame only"), 1);
    assert_eq!(check(&["-b", "-hits '== 1000000' write"], ""), 0);
}

/// What a debugger prints of each command at a stop in a function, and what
/// `list` shows after it. gdb names files as the compiler was told them.
fn shown_at_fill(debugger: &mut Command, flag: &str, commands: &[&str], file: &str) -> Vec<String> {
    for line in ["break fill", "run"] {
        debugger.args([flag, line]);
    }
    for command in commands {
        // Makes `list` start from where the program stands.
        for line in ["frame 0", &format!("echo == {command}\\n"), command, "echo --\\n", "list"] {
            debugger.args([flag, line]);
        }
    }
    let program = &trapline_testkit::Debuggee::build("restarted").path;
    let ran = debugger.arg(program).output().expect("the debugger is installed");
    let said = format!("{}{}", text(&ran.stdout), text(&ran.stderr));
    let plain = |line: &str| line.trim_start_matches("=>").trim_start().replace(file, "FILE");
    // gdb also says `ADDRESS is in FUNCTION` before it lists around an address.
    let is_source = |line: &String| {
        let number = line.starts_with(|c: char| c.is_ascii_digit()) && !line.starts_with("0x");
        number || ["==", "--", "Line "].iter().any(|start| line.starts_with(start))
    };
    let lines = said.lines().map(plain).skip_while(|line| !line.starts_with("=="));
    lines.filter(is_source).collect()
}

#[test]
fn source_is_listed_as_gdb_lists_it() {
    let file = trapline_testkit::Debuggee::build("restarted").mark("fill").file;
    let file = file.to_str().unwrap();
    let listed =
        ["list 9", "list main", "list 3,6", "list ,12", "list ,3", "list 9,", "list work,"];
    let places =
        ["list restarted.c:3", "list fill,work", "list *$pc", "list +", "list -", "list +2"];
    let more = ["list -3", "list fill,+2", "list 1,+2", "list restarted.c:30,33", "list 40"];
    let lines = ["info line", "info line +1", "info line fill", "info line *$pc"];
    let commands = [&listed[..], &places, &more, &lines].concat();
    let ours = &mut Command::new(env!("CARGO_BIN_EXE_trapline"));
    let ours = shown_at_fill(ours.args(["run", "--batch"]), "-e", &commands, file);
    let gdb = &mut Command::new("gdb");
    let theirs = shown_at_fill(gdb.args(["-nx", "-q", "-batch"]), "-ex", &commands, file);
    assert!(theirs.len() > 20 * commands.len() / 2, "{theirs:#?}");
    let split =
        |lines: &[String]| lines.join("\n").split("==").map(str::to_owned).collect::<Vec<_>>();
    for (ours, theirs) in split(&ours).iter().zip(&split(&theirs)) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn saved_breakpoints_read_back_as_they_were() {
    let program = trapline_testkit::Debuggee::build("restarted");
    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let [first, again] = ["first", "again"].map(|name| {
        folder.join(format!("saved-{name}-{}", std::process::id())).to_str().unwrap().to_owned()
    });
    let set = [
        "break fill if rounds > 1",
        "tbreak main",
        "hbreak restarted.c:23",
        "ignore 3 4",
        "break -log 'sum {local} \"quoted\"' restarted.c:24",
        "break -hits '% 2' -name group -name other restarted.c:25",
        "disable 5",
        "break -filter '$_pid > 0' work thread 2",
        "break -changed local restarted.c:22",
        "break *&fill",
        "break fill+4",
        "rbreak ^wo",
        "watch fixed",
        "watch -written fixed if fixed > 3",
        "rwatch fixed",
    ];
    let (save, source, save_again) =
        (format!("save b {first}"), format!("source {first}"), format!("save b {again}"));
    let mut run = vec!["run", "--batch"];
    for line in set.iter().chain(&[save.as_str(), "delete", &source, &save_again]) {
        run.extend(["-e", line]);
    }
    run.extend(["-e", "quit", program.path.to_str().unwrap()]);
    let ran = trapline(&run);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let [saved, read] = [&first, &again].map(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::remove_file(file).unwrap();
        text
    });
    assert_eq!(saved, read);
    let lines = |word: &str| saved.lines().filter(|line| line.starts_with(word)).count();
    let all = ["break", "rbreak", "watch", "rwatch", "ignore", "disable"].map(lines);
    assert_eq!(all, [9, 1, 2, 1, 1, 1], "{saved}");
}

#[test]
fn output_is_the_bare_value_and_is_not_remembered() {
    let commands = ["output 5 + 1", "echo ;", "output/x 17", "echo ;", "print 3"];
    let mut arguments = vec!["run", "--batch"];
    commands.iter().for_each(|command| arguments.extend(["-e", command]));
    arguments.extend(["-b", "write", "/bin/echo"]);
    let ran = trapline(&arguments);
    let said = text(&ran.stderr);
    assert!(said.contains("6;0x11;$1 = 3\n"), "{said}");
}

#[test]
fn functions_are_of_their_own_types() {
    let program = trapline_testkit::Debuggee::build("many_threads_one_function");
    let asked = ["whatis visit", "ptype main", "whatis &visit"];
    let mut run = vec!["run", "--batch"];
    asked.iter().for_each(|line| run.extend(["-e", line]));
    run.extend(["-e", "quit", program.path.to_str().unwrap()]);
    let ran = trapline(&run);
    let said: Vec<&str> =
        text(&ran.stderr).lines().filter(|line| line.contains("type =")).collect();
    let expected =
        ["type = void (int, int)", "type = int (int, char **)", "type = void (*)(int, int)"];
    assert_eq!(said, expected);
}

#[test]
fn a_replaced_executable_is_read_as_it_was_when_it_started() {
    let built = trapline_testkit::Debuggee::build("idle_threads");
    let name = format!("replaced-{}", std::process::id());
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::copy(&built.path, &file).unwrap();
    let quiet = std::process::Stdio::null;
    let mut program = Command::new(&file)
        .arg("2")
        .stdin(std::process::Stdio::piped())
        .stdout(quiet())
        .spawn()
        .unwrap();
    std::fs::remove_file(&file).unwrap();
    std::fs::copy("/bin/true", &file).unwrap();
    let pid = program.id().to_string();
    let ran = trapline(&["attach", "--batch", "-e", "info symbol main", "-e", "detach", &pid]);
    program.kill().unwrap();
    program.wait().unwrap();
    std::fs::remove_file(&file).unwrap();
    let said = text(&ran.stderr);
    assert!(said.contains(&format!("main in {}", file.display())), "{said}");
}

#[test]
fn a_refused_program_changes_nothing() {
    let mut prompt = Command::new(env!("CARGO_BIN_EXE_trapline"))
        .args(["run", "/bin/echo", "started"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = b"file /no/such\nfile /etc/passwd\nrun\n";
    std::io::Write::write_all(&mut prompt.stdin.take().unwrap(), lines).unwrap();
    let ran = prompt.wait_with_output().unwrap();
    let said = text(&ran.stdout);
    assert!(
        ["/no/such", "/etc/passwd", "\nstarted\n"].iter().all(|it| said.contains(it)),
        "{said}"
    );
}

#[test]
fn an_error_in_a_script_names_its_file_and_line() {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("wrong.commands");
    let name = file.to_str().unwrap();
    let check = |script: &str, options: &[&str], expected: &str| {
        std::fs::write(&file, script).unwrap();
        let ran = trapline(&[&["run", "--batch"], options, &["--", "/bin/true"]].concat());
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{script:?}: {said}");
        assert!(said.lines().any(|line| line.starts_with(expected)), "{script:?}: {said}");
    };
    let at = |line: u32, rest: &str| format!("{name}:{line}: {rest}");
    check("info signals\nfoo bar\n", &["-x", name], &at(2, "`foo` is not a command"));
    check("break a\nbreak b\nbreak -hits\nbreak c\n", &["-x", name], &at(3, ""));
    check("break a\nbreak b\nwatch (\n", &["-e", "info signals", "-x", name], &at(3, ""));
    check("", &["-x", name, "-e", "foo bar"], "`foo` is not a command");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn steps_and_displays_read_as_in_gdb() {
    let program = trapline_testkit::Debuggee::build("recursion");
    let script = [
        "break add_down if level == 1",
        "run",
        "display/x level",
        "display level * 10",
        "next",
        "step",
        "finish",
        "undisplay 1",
        "next",
        "info display",
    ];
    let mut arguments = vec!["run", "--batch"];
    arguments.extend(script.iter().flat_map(|line| ["-e", line]));
    let path = program.path.to_str().unwrap();
    let ran = trapline(&[&arguments[..], &["--", path, "2"]].concat());
    let said = text(&ran.stderr);
    let shown: Vec<&str> = said
        .lines()
        .filter(|line| line.contains(": ") || line.contains('\t') || line.contains("Value"))
        .filter(|line| !line.contains("Breakpoint"))
        .map(|line| line.split(" at /").next().unwrap())
        .collect();
    trapline_testkit::golden::check("cli/steps.txt", &(shown.join("\n") + "\n"));
}
