//! Lines of source files of this machine, read once: where each file is, its
//! colours, and whether it may be another than was compiled.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use super::highlight::{self, Inside, Language};

/// Source files larger than this are not shown, in bytes.
const LARGEST: u64 = 64 << 20;

/// The lines of a source file.
pub(crate) struct Source {
    lines: Vec<String>,
    language: Option<Language>,
    /// What is open where each line begins, worked out when it is first shown.
    open: OnceCell<Vec<Inside>>,
    changed: Option<SystemTime>,
}

/// Source files that were shown.
pub(crate) struct Sources {
    files: HashMap<PathBuf, Rc<Result<Source, String>>>,
    /// Folders that are elsewhere than debug information says, with where they
    /// are, in the order in which they were named.
    substitutes: Vec<(PathBuf, PathBuf)>,
    /// Files of which it was said that they are newer than the program.
    warned: HashSet<PathBuf>,
    styled: bool,
}

impl Default for Sources {
    fn default() -> Self {
        let (files, substitutes, warned) = (HashMap::new(), Vec::new(), HashSet::new());
        Self { files, substitutes, warned, styled: true }
    }
}

impl Source {
    /// How many lines it has.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.lines.len()).unwrap_or(u32::MAX)
    }
}

impl Sources {
    /// A file.
    ///
    /// # Errors
    /// Why it cannot be shown, as a sentence.
    pub(crate) fn file(&mut self, file: &Path) -> Rc<Result<Source, String>> {
        if let Some(known) = self.files.get(file) {
            return Rc::clone(known);
        }
        let read = Rc::new(read(&self.place_of(file)));
        self.files.insert(file.to_path_buf(), Rc::clone(&read));
        read
    }

    /// Lines of a file from one on, counted from 1, as they are to be shown.
    pub(crate) fn lines(&self, file: &Source, first: u32, count: u32) -> Vec<String> {
        let last = first.saturating_add(count).min(file.len().saturating_add(1));
        (first.max(1)..last).filter_map(|number| self.shown(file, number)).collect()
    }

    /// One line, as it is to be shown, if the file is there and long enough.
    pub(crate) fn line(&mut self, file: &Path, number: u32) -> Option<String> {
        let file = self.file(file);
        self.shown(file.as_ref().as_ref().ok()?, number)
    }

    fn shown(&self, file: &Source, number: u32) -> Option<String> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        let line = file.lines.get(index)?;
        Some(match &file.language {
            Some(language) if self.styled => {
                let open = file.open.get_or_init(|| open_at(*language, &file.lines));
                highlight::coloured(*language, line, open.get(index)?)
            }
            _ => line.clone(),
        })
    }

    /// Where a file was found, when it was changed after the program that was
    /// built from it, and nobody was told so before.
    pub(crate) fn newly_newer(&mut self, file: &Path, program: &Path) -> Option<PathBuf> {
        let read = self.file(file);
        let source = read.as_ref().as_ref().ok().and_then(|source| source.changed);
        let program = fs::metadata(program).and_then(|facts| facts.modified()).ok();
        let newer = source.zip(program).is_some_and(|(source, program)| source > program);
        (newer && self.warned.insert(file.to_path_buf())).then(|| self.place_of(file))
    }

    /// Whether lines have colours, where the screen shows any.
    pub(crate) fn set_styled(&mut self, styled: bool) {
        self.styled = styled;
    }

    /// Whether they have.
    pub(crate) fn is_styled(&self) -> bool {
        self.styled
    }

    /// Has files below a folder be looked for below another; `None`: where they
    /// are said to be.
    pub(crate) fn substitute(&mut self, from: PathBuf, to: Option<PathBuf>) {
        self.files.clear();
        self.warned.clear();
        self.substitutes.retain(|(known, _)| *known != from);
        self.substitutes.extend(to.map(|to| (from, to)));
    }

    /// Has all files be where they are said to be.
    pub(crate) fn forget_substitutes(&mut self) {
        self.files.clear();
        self.warned.clear();
        self.substitutes.clear();
    }

    /// The folders that are elsewhere.
    pub(crate) fn substitutes(&self) -> &[(PathBuf, PathBuf)] {
        &self.substitutes
    }

    /// Where a file is: by the first rule for a folder that it is in, as gdb has
    /// it.
    fn place_of(&self, file: &Path) -> PathBuf {
        let elsewhere = self.substitutes.iter().find_map(|(from, to)| {
            let rest = file.strip_prefix(from).ok()?;
            Some(to.join(rest))
        });
        elsewhere.unwrap_or_else(|| file.to_owned())
    }
}

fn read(file: &Path) -> Result<Source, String> {
    let describe = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let facts = fs::metadata(file).map_err(|error| describe(&error))?;
    if !facts.is_file() {
        return Err(describe(&"not a file"));
    }
    if facts.len() > LARGEST {
        return Err(describe(&"too large to show"));
    }
    let bytes = fs::read(file).map_err(|error| describe(&error))?;
    let lines: Vec<String> = String::from_utf8_lossy(&bytes).lines().map(printable).collect();
    let (language, changed) = (Language::of(file), facts.modified().ok());
    Ok(Source { lines, language, open: OnceCell::new(), changed })
}

/// What is open where each line begins.
fn open_at(language: Language, lines: &[String]) -> Vec<Inside> {
    let mut inside = Inside::Code;
    let at = lines.iter().map(|line| {
        let next = highlight::after(language, line, inside.clone());
        std::mem::replace(&mut inside, next)
    });
    at.collect()
}

/// Control characters in a source file must not reach the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(name: &str, text: &[u8]) -> PathBuf {
        let file = std::env::temp_dir().join(format!("trapline-{}-{name}", std::process::id()));
        fs::write(&file, text).unwrap();
        file
    }

    #[test]
    fn lines_are_counted_from_one_and_hold_no_control_characters() {
        let file = file_with("lines", b"one\n\ttwo\x1b[31m\xff\n");
        let mut sources = Sources::default();
        assert_eq!(sources.line(&file, 1).as_deref(), Some("one"));
        assert_eq!(sources.line(&file, 2).as_deref(), Some("\ttwo\u{fffd}[31m\u{fffd}"));
        assert_eq!((sources.line(&file, 0), sources.line(&file, 3)), (None, None));
        let folder = file.parent().unwrap().to_owned();
        sources.substitute("/built/here".into(), Some(folder));
        let built = Path::new("/built/here").join(file.file_name().unwrap());
        fs::write(&file, b"two\n").unwrap();
        assert_eq!(sources.line(&built, 1).as_deref(), Some("two"));
        assert_eq!(sources.line(Path::new("/built/hereabouts/x"), 1), None);
        sources.substitute("/built/here".into(), None);
        assert_eq!(sources.line(&built, 1), None);
        fs::remove_file(&file).unwrap();
        let missing = sources.file(Path::new("/no/such/file"));
        let why = missing.as_ref().as_ref().err().unwrap();
        assert!(why.starts_with("/no/such/file: "), "{why}");
    }

    #[test]
    fn lines_have_colours_unless_they_are_turned_off() {
        let file = file_with("colours.c", b"/* a\nint b; */ int c;\n");
        let mut sources = Sources::default();
        let line = sources.line(&file, 2).unwrap();
        assert!(line.contains('\x1b'), "{line}");
        assert_eq!(anstream::adapter::strip_str(&line).to_string(), "int b; */ int c;");
        let inside = line.find("int b").unwrap();
        assert!(!line[inside..line.find("*/").unwrap()].contains('\x1b'), "{line}");
        sources.set_styled(false);
        assert_eq!(sources.line(&file, 2).as_deref(), Some("int b; */ int c;"));
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn of_a_file_newer_than_the_program_is_warned_once_wherever_it_was_found() {
        let program = file_with("program", b"");
        let source = file_with("newer.c", b"int x;\n");
        let age = |file: &Path, seconds| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
        };
        let built = Path::new("/built").join(source.file_name().unwrap());
        let mut sources = Sources::default();
        age(&program, 100);
        age(&source, 200);
        let once = [Some(source.clone()), None];
        assert_eq!([(); 2].map(|()| sources.newly_newer(&source, &program)), once);
        assert_eq!(sources.newly_newer(&built, &program), None);
        sources.substitute("/built".into(), source.parent().map(Path::to_owned));
        assert_eq!([(); 2].map(|()| sources.newly_newer(&built, &program)), once);
        age(&source, 50);
        let mut sources = Sources::default();
        assert_eq!(sources.newly_newer(&source, &program), None);
        fs::remove_file(&source).unwrap();
        fs::remove_file(&program).unwrap();
    }
}
