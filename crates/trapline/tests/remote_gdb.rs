//! gdb through our server, beside gdb on its own: whatever the user asks for,
//! the answers are the same.
//!
//! Each scenario is a list of commands after the program has stopped in `main`.

mod support;

use std::path::Path;

use support::remote::{comparable, natively, through_us};
use trapline_testkit::{Build, Debuggee, Linkage};

#[track_caller]
fn check(name: &str, args: &[&str], commands: &[&str]) {
    check_with(name, args, &[], commands);
}

/// The same with settings that are made before the program is there.
#[track_caller]
fn check_with(name: &str, args: &[&str], before: &[&str], commands: &[&str]) {
    let debuggee = Debuggee::build(name);
    let alone = natively(&debuggee, args, before, commands);
    let ours = through_us(&debuggee, args, before, commands);
    let (expected, actual) = (comparable(&alone), comparable(&ours));
    assert!(expected.lines().count() > commands.len() / 2, "gdb said too little:\n{expected}");
    assert!(
        expected == actual,
        "{}\n--- errors of gdb\n{}\n--- errors through us\n{}",
        trapline_testkit::golden::diff(&expected, &actual),
        alone.stderr,
        ours.stderr
    );
}

#[test]
fn breakpoints_and_conditions() {
    check(
        "walks",
        &[],
        &[
            "break twice if number == 4",
            "continue",
            "bt",
            "info locals",
            "tbreak factorial if number < 3 && number != 1",
            "continue",
            "p number",
            "hbreak choose if which == 2 || which == 4",
            "continue",
            "ignore 4 0",
            "continue",
            "delete 2 4",
            "break loops",
            "break ends_in_call if number * 2 - 1 == 5 && (number & 1)",
            "continue",
            "p $_hit_bpnum",
            "delete",
            "continue",
        ],
    );
}

#[test]
fn steps_of_every_kind() {
    check(
        "walks",
        &[],
        &[
            "next",
            "step",
            "bt",
            "finish",
            "step",
            "advance loops",
            "next 3",
            "step 4",
            "until",
            "stepi",
            "nexti",
            "x/i $pc",
            "stepi 7",
            "x/i $pc",
            "tbreak jumps",
            "continue",
            "next",
            "next",
            "next",
            "info line",
            "finish",
            "next",
            "next",
            "next",
            "next",
        ],
    );
}

#[test]
fn watchpoints() {
    check(
        "walks",
        &[],
        &[
            "watch sink",
            "continue",
            "continue",
            "delete 2",
            "watch sink if sink == 3",
            "continue",
            "bt 1",
            "delete 3",
            "break loops",
            "continue",
            "watch sum",
            "continue",
            "continue",
            "delete",
            "awatch sink",
            "continue",
            "delete",
            "continue",
        ],
    );
}

#[test]
fn more_watchpoints_than_there_are_registers_are_refused_as_gdb_expects() {
    let debuggee = Debuggee::build("watched_globals");
    let commands = [
        "watch globals.one",
        "watch globals.two",
        "watch globals.four",
        "watch globals.eight",
        "watch from_kernel",
        "continue",
        "delete 6",
        "continue",
    ];
    let told = through_us(&debuggee, &[], &[], &commands);
    let all = format!("{}{}", told.stdout, told.stderr);
    assert!(all.contains("Could not insert hardware watchpoint"), "{all}");
    assert!(all.contains("Hardware watchpoint 2: globals.one"), "{all}");
}

#[test]
fn registers_and_memory() {
    check(
        "walks",
        &[],
        &[
            "break twice",
            "continue",
            "info registers rip cs ss",
            "p $eflags & 0x200",
            "p $rdi",
            "p $mxcsr",
            "p $fs_base != 0",
            "p $orig_rax",
            "set var number = 100",
            "p number",
            "x/8xb &sink",
            "set var *(int *)&sink = 0x01020304",
            "x/8xb &sink",
            "x/4i twice",
            "find &sink, +16, (char)4, (char)3, (char)2",
            "p $_siginfo.si_signo",
            "delete",
            "continue",
        ],
    );
}

/// gdb 13 on its own cannot write them where the processor has tiles: its buffer
/// is too small for what the kernel hands out.
#[test]
fn vector_registers_are_written_and_functions_called() {
    let debuggee = Debuggee::build("walks");
    let commands = [
        "p $xmm0.uint128 = 77",
        "p $xmm0.v2_int64",
        "p $ymm1.v8_float[3] = 2.5",
        "p $ymm1.v8_float[3]",
        "p $ymm1.v4_int64[3] = -3",
        "p $st0 = 1.5",
        "p $fctrl",
        "p $mxcsr",
        "stepi",
        "p $xmm0.uint128",
        "p $ymm1.v8_float[3]",
        "p $ymm1.v4_int64[3]",
        "p $st0",
        "p twice(4)",
        "p $ymm1.v4_int64[3]",
        "p $st0",
    ];
    let told = through_us(&debuggee, &[], &[], &commands);
    let shown = comparable(&told);
    let values: Vec<&str> = shown
        .lines()
        .filter_map(|line| Some(line.strip_prefix('$')?.split_once(" = ")?.1))
        .collect();
    let expected = [
        "77",
        "{77, 0}",
        "2.5",
        "2.5",
        "-3",
        "1.5",
        "895",
        "[ IM DM ZM OM UM PM ]",
        "77",
        "2.5",
        "-3",
        "1.5",
        "8",
        "-3",
        "1.5",
    ];
    assert_eq!(values, expected, "{}", told.stderr);
}

/// The signal is there before the step over a breakpoint begins.
#[test]
fn a_signal_that_waits_for_a_step() {
    let signal = "python import os; os.kill(gdb.selected_inferior().pid, 14)";
    check(
        "awaits_signal",
        &[],
        &[
            "handle SIGALRM nostop noprint pass",
            "advance waits",
            signal,
            "break on_alarm",
            "step",
            "bt",
            "step 2",
            "next",
            "p done",
        ],
    );
    check(
        "awaits_signal",
        &[],
        &[
            "handle SIGALRM nostop noprint pass",
            "break waits",
            "continue",
            "next",
            signal,
            "next",
            "p done",
            "next",
            "info breakpoints",
        ],
    );
}

#[test]
fn signals() {
    check(
        "signals",
        &["2"],
        &[
            "info signals SIGUSR1",
            "continue",
            "p $_siginfo.si_signo",
            "bt 3",
            "signal 0",
            "p usr1",
            "handle SIGUSR1 nostop noprint",
            "handle SIG37 stop print pass",
            "continue",
            "p $_siginfo._sifields._rt.si_sigval.sival_int",
            "break on_rt",
            "continue",
            "p info->si_value.sival_int",
            "delete",
            "handle all nostop noprint",
            "continue",
        ],
    );
}

#[test]
fn a_fork_is_caught_and_either_side_followed() {
    for settings in [
        ["set follow-fork-mode parent", "set detach-on-fork on"],
        ["set follow-fork-mode child", "set detach-on-fork on"],
    ] {
        let commands =
            ["break visit", "catch fork", "continue", "continue", "bt 1", "info breakpoints"];
        check_with("forks", &["1", "2"], &settings, &commands);
    }
}

#[test]
fn both_sides_of_a_fork_are_kept() {
    let settings = ["set detach-on-fork off", "set schedule-multiple off"];
    let commands = [
        "catch fork",
        "continue",
        "delete 2",
        "next",
        "info inferiors",
        "inferior 2",
        "break child",
        "tbreak run_child",
        "continue",
        "bt 2",
        "kill inferiors 2",
        "inferior 1",
        "continue",
    ];
    let debuggee = Debuggee::build("forks");
    let ours = through_us(&debuggee, &["1", "2"], &settings, &commands);
    let all = format!("{}{}", ours.stdout, ours.stderr);
    for said in ["Catchpoint 2 (forked process", "run_child (passes_each=2)", "clean_children=0"] {
        assert!(all.contains(said), "no {said:?} in:\n{all}");
    }
}

#[test]
fn system_calls_and_exec_are_caught() {
    check(
        "becomes_another",
        &["/bin/true"],
        &["catch exec", "p state", "continue", "delete", "continue"],
    );
    check(
        "forks",
        &["1", "1"],
        &["catch syscall wait4", "continue", "p $rax", "continue", "delete", "continue"],
    );
}

#[test]
fn libraries_that_come_and_go() {
    let library = Build::new("plugin").linkage(Linkage::Library).build();
    check(
        "dlopen_plugin",
        &[&library.path.display().to_string(), "2", "2"],
        &[
            "set breakpoint pending on",
            "break helper if value == 1",
            "continue",
            "bt 1",
            "info sharedlibrary plugin",
            "continue",
            "p plugin_state",
            "delete",
            "continue",
        ],
    );
}

#[test]
fn threads() {
    check(
        "idle_threads",
        &["3", "idle", "1"],
        &[
            "break sleep",
            "continue",
            "info threads",
            "thread 3",
            "bt",
            "up",
            "frame function live",
            "p mine",
            "thread apply all -ascending -q p $_thread",
            "thread apply 2-4 frame 0",
            "thread 1",
            "finish",
            "kill",
        ],
    );
    check(
        "many_threads_one_function",
        &["3", "4"],
        &[
            "set scheduler-locking step",
            "break visit thread 1 if pass == 2",
            "break visit if thread == 1 && pass == 2",
            "delete 2",
            "continue",
            "next",
            "next",
            "p mine",
            "info breakpoints",
            "delete",
            "set scheduler-locking replay",
            "continue",
        ],
    );
}

#[test]
fn thread_local_variables() {
    check(
        "thread_locals",
        &[],
        &[
            "tbreak looked_at",
            "continue",
            "p plain",
            "p &kept == &kept",
            "p wide",
            "tbreak looked_at",
            "continue",
            "p plain",
            "p $_thread",
            "set var kept = 50",
            "continue",
        ],
    );
}

#[test]
fn what_the_server_prints_at_hits() {
    let commands = |style: &'static str| {
        [
            style,
            "dprintf twice,\"twice %d\\n\", number",
            "dprintf factorial,\"factorial %ld of %d\\n\", (long)number * 1000, sink",
            "condition 2 number > 2 && number != 4",
            "condition 3 number < 3",
            "break choose",
            "continue",
            "delete 4",
            "continue",
            "info breakpoints",
        ]
    };
    let debuggee = Debuggee::build("walks");
    let alone = natively(&debuggee, &[], &[], &commands("set dprintf-style gdb"));
    let ours = through_us(&debuggee, &[], &[], &commands("set dprintf-style agent"));
    let printed = |text: &str| -> Vec<String> {
        let is_ours = |line: &&str| line.starts_with("twice ") || line.starts_with("factorial ");
        text.lines().filter(is_ours).map(str::to_owned).collect()
    };
    let (expected, actual) = (printed(&alone.stdout), printed(&ours.stderr));
    assert!(expected.len() >= 5, "{expected:?}");
    assert_eq!(expected, actual, "{}\n{}", ours.stdout, ours.stderr);
    assert!(printed(&ours.stdout).is_empty(), "gdb printed itself:\n{}", ours.stdout);
}

#[test]
fn a_core_file_that_is_written() {
    let debuggee = Debuggee::build("many_threads_one_function");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let seen = |by: &str| {
        let core = folder.join(format!("remote_gdb-{by}.core"));
        let gcore = format!("gcore {}", core.display());
        let commands = ["break visit if thread == 1 && pass == 2", "continue", &gcore, "kill"];
        let written = match by {
            "alone" => natively(&debuggee, &["2", "4"], &[], &commands),
            _ => through_us(&debuggee, &["2", "4"], &[], &commands),
        };
        let read = support::remote::with_core(
            &debuggee,
            &core,
            &[
                "bt",
                "info locals",
                "p thread",
                "p passes",
                "x/2i $pc",
                "info registers rax rip",
                "p $xmm0",
            ],
        );
        assert!(written.stdout.contains("Saved corefile"), "{}{}", written.stdout, written.stderr);
        std::fs::remove_file(&core).expect("the core file");
        comparable(&read)
    };
    assert_eq!(seen("alone"), seen("through_us"));
}
