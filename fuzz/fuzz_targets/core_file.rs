//! Damaged core files through whole sessions: whatever is wrong with headers,
//! notes, stacks and heaps, opening one is refused or every question is answered,
//! and nothing panics, hangs or reads out of bounds.

#![no_main]

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::OnceLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use trapline::breakpoint::{BreakpointSpec, Subject};
use trapline::command::ValueFormat;
use trapline::{Command, Event, LaunchSpec};

/// Something that is wrong.
#[derive(Arbitrary, Debug)]
enum Damage {
    /// In what says where everything is.
    Header { at: u16, byte: u8 },
    /// A number there.
    Word { at: u16, word: u64 },
    /// In memory.
    Memory { at: u32, word: u64 },
    /// The end is missing.
    Cut { len: u32 },
}

/// A sound core file, the copy of it that is damaged, and where that is.
struct Base {
    sound: Vec<u8>,
    copy: File,
    path: PathBuf,
}

fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let folder = root.join("target").join("fuzz-core");
        fs::create_dir_all(&folder).expect("a folder");
        let (program, core) = (folder.join("containers"), folder.join("sound.core"));
        let source = root.join("debuggees").join("containers.cpp");
        let mut compiler = Process::new("g++");
        compiler.args(["-std=c++20", "-g", "-w", "-o"]).arg(&program).arg(source);
        assert!(compiler.status().expect("g++ starts").success());
        write_core(&program, &core);
        let sound = fs::read(&core).expect("a core file");
        let path = Path::new("/dev/shm").join(format!("trapline-fuzz-{}", std::process::id()));
        fs::write(&path, &sound).expect("room for a copy");
        let copy = OpenOptions::new().write(true).open(&path).expect("the copy");
        Base { sound, copy, path }
    })
}

/// Runs the program to where its objects are, and writes a core file of it.
fn write_core(program: &Path, core: &Path) {
    trapline::prepare_process();
    let (session, events) = trapline::local_session().expect("a session");
    let ask = |command| session.request(command).expect("an answer");
    ask(Command::Program(LaunchSpec { program: program.to_owned(), ..LaunchSpec::default() }));
    let place = Subject::Code { location: "share".to_owned(), mechanism: None };
    ask(Command::Break(BreakpointSpec::at(place)));
    ask(Command::Run);
    ask(Command::Continue);
    let stopped = |event: &Event| matches!(event, Event::Stopped(_));
    assert!(events.into_iter().any(|event| stopped(&event)), "no stop");
    ask(Command::WriteCore(Some(core.to_owned())));
    ask(Command::Quit);
}

fuzz_target!(|damages: Vec<Damage>| {
    let base = base();
    damages.iter().for_each(|damage| base.do_to_copy(damage));
    ask_everything(&base.path);
    damages.iter().for_each(|damage| base.undo(damage));
});

impl Base {
    /// Where bytes are damaged: their place, and what is written.
    fn place(&self, damage: &Damage) -> Option<(usize, Vec<u8>)> {
        // Headers and notes end about here.
        const HEADERS: usize = 0x8000;
        let (at, bytes) = match damage {
            Damage::Header { at, byte } => (usize::from(*at) % HEADERS, vec![*byte]),
            Damage::Word { at, word } => {
                (usize::from(*at) % HEADERS & !7, word.to_le_bytes().to_vec())
            }
            Damage::Memory { at, word } => {
                (*at as usize % self.sound.len() & !7, word.to_le_bytes().to_vec())
            }
            Damage::Cut { .. } => return None,
        };
        let fits = at + bytes.len() <= self.sound.len();
        fits.then_some((at, bytes))
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let mut copy = &self.copy;
        let sought = copy.seek(SeekFrom::Start(at as u64));
        sought.and_then(|_| copy.write_all(bytes)).expect("room for the copy");
    }

    fn do_to_copy(&self, damage: &Damage) {
        if let Some((at, bytes)) = self.place(damage) {
            self.write(at, &bytes);
        } else if let Damage::Cut { len } = damage {
            self.copy.set_len(u64::from(*len) % self.sound.len() as u64).expect("room");
        }
    }

    fn undo(&self, damage: &Damage) {
        match self.place(damage) {
            Some((at, bytes)) => {
                self.write(at, &self.sound[at..at + bytes.len()]);
            }
            None => self.write(0, &self.sound),
        }
    }
}

fn ask_everything(core: &Path) {
    let Ok((session, _events, pid)) = trapline::core_session(core, None) else { return };
    if session.request(Command::Attach(pid)).is_err() {
        return;
    }
    let evaluate = |expression: &str| Command::Evaluate {
        expression: expression.to_owned(),
        format: ValueFormat::default(),
    };
    for command in [
        Command::Threads,
        Command::Backtrace { limit: 100, full: true },
        Command::SelectFrame(1),
        evaluate("people"),
        evaluate("people.size() + people[0].id"),
        evaluate("*person"),
        evaluate("name == \"alice\""),
        Command::Registers(Vec::new()),
        Command::Libraries,
        Command::Process,
        Command::Quit,
    ] {
        let _answered = session.request(command);
    }
}
