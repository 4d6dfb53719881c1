//! git, from the corpus, at work in repositories of the tests' own: what each
//! command prints and what it leaves in the repository is as with nobody
//! watching. Run by `cargo xtask scenarios`.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fs;

use support::beside::{self, Subject, check, code, log, scratch, watch};
use support::everywhere::{NEVER, Places};
use trapline_testkit::corpus;

const FILES: u32 = 40;
const COMMITS: u32 = 5;
/// Each commit has itself, its tree and its files, all of which it changes.
const OBJECTS: u64 = COMMITS as u64 * (2 + FILES as u64);

/// git in a repository that has a history and, of the next commit, the files.
fn repository(name: &str) -> Subject {
    let folder = scratch("git").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let path = corpus::program("git");
    let mut git = Subject::of(&path);
    git.folder = folder;
    let home = git.folder.join("no-home").display().to_string();
    let programs = path.parent().unwrap().display().to_string();
    git.environment = vec![("HOME", home), ("GIT_EXEC_PATH", programs)];
    let fixed = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TEMPLATE_DIR", ""),
        ("GIT_AUTHOR_NAME", "Author"),
        ("GIT_AUTHOR_EMAIL", "author@example.org"),
        ("GIT_AUTHOR_DATE", "1700000000 +0000"),
        ("GIT_COMMITTER_NAME", "Committer"),
        ("GIT_COMMITTER_EMAIL", "committer@example.org"),
        ("GIT_COMMITTER_DATE", "1700000001 +0000"),
    ];
    git.environment.extend(fixed.map(|(name, value)| (name, value.to_owned())));
    ask(&git, &["init", "--quiet", "--initial-branch=main"]);
    ask(&git, &["config", "gc.auto", "0"]);
    for commit in 1..=COMMITS {
        write_files(&git.folder, commit);
        ask(&git, &["add", "--all"]);
        ask(&git, &["commit", "--quiet", "-m", &format!("commit {commit}")]);
    }
    write_files(&git.folder, COMMITS + 1);
    git
}

fn write_files(folder: &std::path::Path, commit: u32) {
    for file in 0..FILES {
        let line =
            |line| format!("file {file} line {line} {}\n", if line == 3 { commit } else { 0 });
        let text: String = (0..file + 10).map(line).collect();
        fs::write(folder.join(format!("{file}.txt")), text).unwrap();
    }
}

#[track_caller]
fn ask(git: &Subject, args: &[&str]) -> String {
    git.with(args).alone().expect_success().stdout
}

/// Everything that a repository holds, and where its branch stands. Which
/// objects are kept as differences is left to the threads that search them.
#[track_caller]
fn contents(git: &Subject) -> String {
    assert_eq!(ask(git, &["fsck", "--full", "--strict"]), "");
    let all = ask(git, &["cat-file", "--batch-all-objects", "--batch-check"]);
    all + &ask(git, &["rev-parse", "HEAD"]) + &ask(git, &["status", "--porcelain"])
}

fn line_of(file: &str, text: &str) -> String {
    beside::line_of(&corpus::program("git"), file, text)
}

#[test]
#[ignore = "needs git from the corpus: cargo xtask scenarios"]
fn git_log_counts_as_gdb_does() {
    let git = repository("log");
    ask(&git, &["repack", "-a", "-d", "--quiet"]);
    let git = git.with(&["log", "--stat"]);
    let told = check(
        "git-log",
        &git,
        &[
            code("parse_commit_buffer if item->object.parsed == 0"),
            code("unpack_entry"),
            code(line_of("packfile.c", "ent = get_delta_base_cache_entry(p, curpos);")),
            log("-log '{*item} {size}'", "parse_commit_buffer"),
            log(
                "-log '{mf1->size} {mf2->size}' -hits '>= 1'",
                "xdl_diff if mf1->size == mf2->size",
            ),
            watch("diff_queued_diff.nr"),
        ],
    );
    assert_eq!(told.passes(0), u64::from(COMMITS));
    assert_eq!(told.hits(5), u64::from((COMMITS) * (FILES + 1)), "each file, then none");
}

#[test]
#[ignore = "needs git from the corpus: cargo xtask scenarios"]
fn a_watch_on_the_heap_of_git_counts_as_gdb_does() {
    let git = repository("heap").with(&["log", "--stat"]);
    let place = "the_repository->parsed_objects->nr_objs";
    let watch = format!("watch -hits '== 1000000' {place}");
    let told = git.scripted("git-heap", &["tbreak cmd_log", "run", &watch, "continue"]);
    told.is_as(&git.alone());
    let lines =
        ["tbreak cmd_log", "run", &format!("watch {place}"), "ignore 2 1000000", "continue"];
    let gdb = git.gdb(&lines.map(str::to_owned));
    assert_eq!(told.passes(1), gdb[&2]);
    assert!(told.passes(1) >= u64::from(COMMITS), "each commit is an object");
}

#[test]
#[ignore = "needs git from the corpus: cargo xtask scenarios"]
fn git_commit_leaves_what_it_leaves_undebugged() {
    let [watched, other] = ["watched", "other"].map(repository);
    let run = |words: &[&str], points: &[_]| {
        let alone = other.with(words).alone().expect_success();
        let told = watched.with(words).debugged("git-commit", points);
        told.is_as(&alone);
        told
    };
    let written =
        [code("write_loose_object if len > 500"), log("-log '{len} {*oid}'", "write_loose_object")];
    let told = run(&["add", "--all"], &written);
    assert_eq!(told.passes(1), u64::from(FILES));
    assert!(told.hits(0) > 0 && told.hits(0) < told.passes(0), "{}", told.hits(0));
    let words = ["commit", "-m", "one more"];
    let told =
        run(&words, &[code("commit_tree_extended"), log("-log '{len}'", "write_loose_object")]);
    assert_eq!((told.hits(0), told.messages().len()), (1, 2), "a tree and a commit");
    assert_eq!(contents(&watched), contents(&other));
}

#[test]
#[ignore = "needs git from the corpus: cargo xtask scenarios"]
fn git_repack_finds_its_differences_in_threads_and_children() {
    let [followed, left_alone, other] = ["followed", "left", "undebugged"].map(repository);
    let words = ["-c", "pack.threads=4", "repack", "-a", "-d", "-f", "--quiet"];
    let alone = other.with(&words).alone().expect_success();
    let points = [
        code("threaded_find_deltas"),
        code("write_object"),
        code(line_of("builtin/pack-objects.c", "written_list[nr_written++] = &e->idx;")),
        log("-log '$PID {*f}' -hits '% 10'", "write_one"),
        code("cmd_repack"),
        watch("nr_written"),
    ];
    let mut git = followed.with(&words);
    git.flags = vec!["--follow-children"];
    let told = git.debugged("git-repack", &points);
    told.is_as(&alone);
    let counts: Vec<u64> = (0..3).map(|index| told.hits(index)).collect();
    assert_eq!((counts, told.hits(4)), (vec![4, OBJECTS, OBJECTS], 1));
    assert_eq!(told.hits(5), OBJECTS, "each object written is counted");
    let told = left_alone.with(&words).debugged("git-repack-alone", &points);
    told.is_as(&alone);
    assert_eq!((told.passes(0), told.passes(1), told.hits(4)), (0, 0, 1));
    let expected = contents(&other);
    assert_eq!(contents(&followed), expected);
    assert_eq!(contents(&left_alone), expected);
}

#[test]
#[ignore = "needs git from the corpus: cargo xtask scenarios"]
fn git_works_with_a_jump_at_every_statement() {
    let [mut watched, other] = ["everywhere", "nowhere"].map(repository);
    watched.flags = vec!["--follow-children"];
    let places = Places::of(&watched.path);
    let commands: [&[&str]; 4] = [
        &["add", "--all"],
        &["commit", "-m", "one more"],
        &["log", "--stat", "-p"],
        &["-c", "pack.threads=4", "repack", "-a", "-d", "-f", "--quiet"],
    ];
    for (index, words) in commands.iter().enumerate() {
        let alone = other.with(words).alone().expect_success();
        let name = format!("git-everywhere-{index}");
        let ran = watched.with(words).with_each(&name, "-jump", &places.in_process, NEVER);
        ran.is_unharmed();
        assert_eq!(ran.finished().stdout, alone.stdout);
        ran.show(&format!("git {}", words.join(" ")), &places, &alone);
    }
    assert_eq!(contents(&watched), contents(&other));
}
