//! Tables of the system as gdb's `info os` shows them: read from /proc.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use trapline_core::Pid;

/// The tables there are, with their descriptions and titles.
const TABLES: [(&str, &str, &str); 3] = [
    ("processes", "Listing of all processes", "Processes"),
    ("process groups", "Listing of all process groups", "Process groups"),
    ("threads", "Listing of all threads", "Threads"),
];

/// A row of a table: columns with their values.
pub(crate) type Row = Vec<(&'static str, String)>;

/// The rows of a table; the tables that there are when `name` is empty. `None`
/// for one that is not known.
pub(crate) fn table(name: &str) -> Option<Vec<Row>> {
    Some(match name {
        "" => TABLES.iter().map(table_row).collect(),
        "processes" => processes().into_iter().map(process_row).collect(),
        "process groups" => processes().into_iter().filter_map(group_row).collect(),
        "threads" => processes().into_iter().flat_map(thread_rows).collect(),
        _ => return None,
    })
}

fn table_row((kind, description, title): &(&str, &str, &str)) -> Row {
    let text = |text: &str| text.to_owned();
    vec![("Type", text(kind)), ("Description", text(description)), ("Title", text(title))]
}

fn numbers_in(folder: &Path) -> Vec<i32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<i32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

fn processes() -> Vec<i32> {
    numbers_in(Path::new("/proc"))
}

fn process_row(pid: i32) -> Row {
    let cores: Vec<String> = threads(pid).filter_map(|tid| core(pid, tid)).collect();
    vec![
        ("pid", pid.to_string()),
        ("user", user(pid)),
        ("command", command(pid)),
        ("cores", cores.join(",")),
    ]
}

fn group_row(pid: i32) -> Option<Row> {
    let group = word_of_stat(&format!("/proc/{pid}/stat"), 2)?;
    let leader = command(group.parse().ok()?);
    Some(vec![
        ("pgid", group),
        ("leader command", leader),
        ("pid", pid.to_string()),
        ("command line", command(pid)),
    ])
}

fn thread_rows(pid: i32) -> Vec<Row> {
    let row = |tid| {
        vec![
            ("pid", pid.to_string()),
            ("command", command(pid)),
            ("tid", i32::to_string(&tid)),
            ("core", core(pid, tid).unwrap_or_default()),
        ]
    };
    threads(pid).map(row).collect()
}

fn threads(pid: i32) -> impl Iterator<Item = i32> {
    numbers_in(Path::new(&format!("/proc/{pid}/task"))).into_iter()
}

fn core(pid: i32, tid: i32) -> Option<String> {
    word_of_stat(&format!("/proc/{pid}/task/{tid}/stat"), 36)
}

/// A word behind the name in parentheses, the state being word 0.
/// proc_pid_stat(5).
fn word_of_stat(path: &str, index: usize) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (_, words) = text.rsplit_once(')')?;
    words.split_ascii_whitespace().nth(index).map(str::to_owned)
}

fn command(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    if line.is_empty() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        return format!("[{}]", name.trim_end());
    }
    String::from_utf8_lossy(line).replace('\0', " ")
}

fn user(pid: i32) -> String {
    let Ok(metadata) = fs::metadata(format!("/proc/{pid}")) else { return "?".to_owned() };
    name_of("/etc/passwd", metadata.uid()).unwrap_or_else(|| metadata.uid().to_string())
}

/// The name of a user or group, from the system's own list. passwd(5),
/// group(5).
pub(crate) fn name_of(list: &str, id: u32) -> Option<String> {
    let text = fs::read_to_string(list).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// Whether a process still runs, or waits to be asked how it ended.
pub(crate) fn is_running(pid: Pid) -> bool {
    word_of_stat(&format!("/proc/{pid}/stat"), 0).is_some_and(|state| state != "Z" && state != "X")
}

/// The processes that run a program of this name, the newest last.
pub(crate) fn processes_named(name: &str) -> Vec<Pid> {
    let runs = |pid: &i32| {
        let file = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let is_it = |file: &Path| file == Path::new(name) || file.ends_with(name);
        file.is_some_and(|file| is_it(&file))
    };
    processes().into_iter().filter(runs).map(Pid::new).collect()
}

/// The process that made another.
pub(crate) fn parent_of(pid: Pid) -> Option<i32> {
    word_of_stat(&format!("/proc/{pid}/stat"), 1)?.parse().ok()
}

/// The user and the group that a process runs as.
pub(crate) fn owner_of(pid: Pid) -> Option<(u32, u32)> {
    let metadata = fs::metadata(format!("/proc/{pid}")).ok()?;
    Some((metadata.uid(), metadata.gid()))
}

/// What this machine is called.
pub(crate) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim_end().to_owned()
}
