//! Compiles the judge written in C, feeds it predicates and reads how they
//! came out.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use trapline_core::predicate::Predicate;

use super::world::{Run, World};

/// How a run came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    Quiet,
    Asked,
    Fault,
    /// It changed something that it may not; the judge's number says what.
    Broken(u32),
}

/// How a run came out, and the credit that is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) how: How,
    pub(crate) credit: i64,
}

/// The judge's process.
pub(crate) struct Judge {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    /// The thread pointer of the thread that runs everything.
    pub(crate) fs_base: u64,
    /// Where its thread-local variables are.
    pub(crate) tls: u64,
}

impl Judge {
    pub(crate) fn start() -> Self {
        let program = build();
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the judge was just built");
        std::fs::remove_file(&program).expect("nobody else removes it");
        let stdin = child.stdin.take();
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let mut word = || {
            let mut bytes = [0; 8];
            stdout.read_exact(&mut bytes).expect("the judge says where it is");
            u64::from_le_bytes(bytes)
        };
        let (fs_base, tls) = (word(), word());
        Self { child, stdin, stdout, fs_base, tls }
    }

    /// Runs each predicate as often as it has runs, in the memory of a world.
    pub(crate) fn run(&mut self, world: &World, cases: &[(&Predicate, &[Run])]) -> Vec<Outcome> {
        let mut input = 0u32.to_le_bytes().to_vec();
        world.memory.iter().for_each(|area| input.extend(&area.data));
        for (index, (predicate, runs)) in cases.iter().enumerate() {
            let last = index + 1 == cases.len();
            input.extend(if last { 2u32 } else { 1 }.to_le_bytes());
            encode(predicate, runs, &mut input);
        }
        let mut stdin = self.stdin.take().expect("nobody else writes");
        let writer = std::thread::spawn(move || (stdin.write_all(&input), stdin));
        let count: usize = cases.iter().map(|(_, runs)| runs.len()).sum();
        let outcomes = (0..count).map(|at| self.outcome(at)).collect();
        let (written, stdin) = writer.join().expect("writing does not panic");
        written.expect("the judge reads everything");
        self.stdin = Some(stdin);
        outcomes
    }

    fn outcome(&mut self, at: usize) -> Outcome {
        let mut bytes = [0; 16];
        if let Err(error) = self.stdout.read_exact(&mut bytes) {
            panic!("the judge ended at run {at} with {:?}: {error}", self.child.wait());
        }
        let half = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
        let credit = bytes[8..].try_into().map_or(0, i64::from_le_bytes);
        let how = match half(0) {
            0 => How::Quiet,
            1 => How::Asked,
            2 => How::Fault,
            _ => How::Broken(half(4)),
        };
        Outcome { how, credit }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}

fn encode(predicate: &Predicate, runs: &[Run], out: &mut Vec<u8>) {
    let frame = &predicate.frame;
    let header = [
        predicate.code.len() as u32,
        predicate.asks.len() as u32,
        frame.scratch,
        frame.saved.len() as u32,
        frame.vectors.len() as u32,
        u32::from(frame.uses_rax),
        frame.size(),
        predicate.credit.map_or(u32::MAX, |credit| credit.word),
        runs.len() as u32,
    ];
    header.iter().for_each(|word| out.extend(word.to_le_bytes()));
    let mut saved: Vec<u8> =
        frame.saved.iter().map(|reg| reg.general_index().expect("a general one") as u8).collect();
    saved.resize(16, 0);
    out.extend(saved);
    let mut vectors = frame.vectors.clone();
    vectors.resize(16, 0);
    out.extend(vectors);
    predicate.asks.iter().for_each(|at| out.extend(at.to_le_bytes()));
    out.extend(&predicate.code);
    runs.iter().for_each(|run| run.encode(out));
}

/// A name of a fresh program.
fn build() -> PathBuf {
    let program = std::env::temp_dir().join(format!("predicate-judge-{}", std::process::id()));
    let mut gcc = Command::new("gcc")
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-x", "c", "-o"])
        .arg(&program)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .expect("gcc is needed to build the judge");
    let mut source = gcc.stdin.take().expect("stdin is piped");
    source.write_all(include_bytes!("judge.c")).expect("gcc reads its source");
    drop(source);
    let status = gcc.wait().expect("gcc is our child");
    assert!(status.success(), "gcc: {status}");
    program
}
