//! Conditions that are decided in a program whose threads come and go, which
//! forks or becomes another program: every pass counts once, for the process
//! whose it is, and nobody sees code of ours who is not debugged.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use support::{Driver, loops};
use trapline::Event;
use trapline::command::Setting;
use trapline_testkit::{Build, Debuggee, Linkage};

fn rounds() -> String {
    loops(100).to_string()
}

/// The ways to decide: no pass is a hit, every pass is one and counts, some are.
fn decided(sometimes: &str) -> [String; 3] {
    [
        "-jump visit if $rsp == 1".to_owned(),
        "-jump -hits '== 1000000000' visit".to_owned(),
        format!("-jump -hits '== 1000000000' visit if {sometimes}"),
    ]
}

struct Program {
    name: &'static str,
    /// A condition that holds at some passes.
    sometimes: &'static str,
    /// The passes it made by what it says, with its followed children's.
    passes: fn(&Driver, bool) -> u64,
}

const FORKS: Program =
    Program { name: "forks", sometimes: "passes % 2 == 0", passes: passes_of_forks };

const VFORKS: Program = Program {
    name: "vfork_through_site",
    sometimes: "parent_passes % 2 == 0",
    passes: passes_of_vforks,
};

const BIRTHS: Program = Program {
    name: "threads_born_and_die",
    sometimes: "pass % 2 == 0",
    passes: |driver, _| driver.said("passes"),
};

/// Runs a program whose children run through a breakpoint too; what it says
/// its own passes are is what was counted, with its children's when they are
/// followed.
#[track_caller]
fn check(program: &Program, args: &[&str], follow: bool) {
    let &Program { name, sometimes, passes } = program;
    for linkage in [Linkage::Pie, Linkage::Fixed] {
        for decided in decided(sometimes) {
            let debuggee = Build::new(name).linkage(linkage).build();
            let mut driver = Driver::launching(&debuggee, args);
            driver.set(Setting::FollowChildren(follow));
            // A program that looks at its own text does so before main.
            driver.break_at("-once main");
            driver.run();
            driver.go_to_stop();
            let id = driver.break_at(&decided);
            driver.is_jump(id);
            driver.go_to_end();
            let what = format!("{linkage:?} {decided}: {}", driver.output());
            assert_eq!(driver.tally(id).passes, passes(&driver, follow), "{what}");
            if !follow {
                driver.output_is_as_undebugged();
            }
            driver.quit();
        }
    }
}

fn passes_of_forks(driver: &Driver, follow: bool) -> u64 {
    let clean = if follow { 0 } else { driver.said("children") };
    assert_eq!(driver.said("clean_children"), clean, "{}", driver.output());
    let of_children = if follow { 10 * driver.said("children") } else { 0 };
    driver.said("parent_passes") + of_children
}

fn passes_of_vforks(driver: &Driver, follow: bool) -> u64 {
    assert_eq!(driver.said("bad_exits"), 0);
    let of_children = if follow { driver.said("child_passes") } else { 0 };
    driver.said("parent_passes") + of_children
}

#[test]
fn threads_are_born_and_end_inside() {
    check(&BIRTHS, &[&(20 * loops(100)).to_string(), "8"], false);
}

#[test]
fn children_that_are_not_followed_have_clean_text() {
    check(&FORKS, &[&rounds(), "10"], false);
}

#[test]
fn children_that_are_followed_decide_for_themselves() {
    check(&FORKS, &[&rounds(), "10"], true);
}

#[test]
fn a_vfork_child_decides_in_its_parents_memory() {
    for how in ["stay", "exec", "linger"] {
        check(&VFORKS, &[&rounds(), how], false);
    }
}

#[test]
fn a_followed_vfork_child_decides_in_its_parents_memory() {
    for how in ["stay", "exec", "linger"] {
        check(&VFORKS, &[&rounds(), how], true);
    }
}

#[test]
fn a_new_program_decides_anew() {
    for decided in ["-jump visit if $rdi == -1", "-jump -hits '== 1000000000' visit"] {
        let debuggee = Debuggee::build("exec_from_thread");
        let generations = loops(100);
        let mut driver = Driver::launching(&debuggee, &[&generations.to_string()]);
        let id = driver.break_at(decided);
        driver.run();
        driver.go_to_end();
        let is_exec = |event: &&Event| matches!(event, Event::Executed { .. });
        assert_eq!(driver.seen.iter().filter(is_exec).count(), generations as usize);
        assert_eq!(driver.tally(id).passes, u64::from(generations) + 1, "{decided}");
        driver.quit();
    }
}
