//! Every packet of the protocol by itself, and the table of them in
//! `docs/packets.md`.
//!
//! Each row of the table has a server of its own, which is sent what the row
//! says and has to answer as the row says.

mod gdb;
mod lldb;
mod rows;
mod wire;

use std::fmt::Write as _;
use std::process::{Child, Command};

use regex::Regex;
use rows::{Row, Support};
use trapline_rsp::request::examples;
use trapline_testkit::{Debuggee, golden};
use wire::Wire;

/// What the table is made of, in its order.
const PARTS: [(&str, &[Row]); 4] = [
    ("gdb: packets", gdb::PLAIN),
    ("gdb: queries, and objects that travel in parts", gdb::QUERIES),
    ("gdb: files of the server's machine", gdb::FILES),
    ("lldb: what it sends beside", lldb::EXTENSIONS),
];

/// Sources of the tests that rows name.
const TESTS: [(&str, &str); 4] = [
    ("remote_gdb", include_str!("../remote_gdb.rs")),
    ("remote_lldb", include_str!("../remote_lldb.rs")),
    ("remote_lifetime", include_str!("../remote_lifetime.rs")),
    ("remote_non_stop", include_str!("../remote_non_stop.rs")),
];

fn check(rows: &[Row]) {
    let debuggee = Debuggee::build("walks");
    let wrong: Vec<String> = rows.iter().filter_map(|row| wrong(row, &debuggee)).collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// What is wrong with a row, if anything is.
fn wrong(row: &Row, debuggee: &Debuggee) -> Option<String> {
    let (first, send, expected): (&[&str], _, _) = match row.support {
        Support::Yes { first, send, answer, .. } => (first, send, answer),
        Support::No { send, .. } => (&[], send, ""),
        Support::Elsewhere { .. } => return None,
    };
    // It outlives the server, which may trace it.
    let sleeper = Sleeper::start();
    let mut wire = Wire::open(debuggee);
    wire.name("sleeper", format!("{:x}", sleeper.0.id()));
    for packet in first {
        if packet.starts_with('R') {
            // Nothing comes back.
            wire.send(packet);
            continue;
        }
        let reply = wire.ask(packet);
        let fine = reply.as_ref().is_some_and(|it| !it.is_empty() && !it.starts_with('E'));
        if !fine {
            return Some(format!("{}: before it, {packet} was answered {reply:?}", row.packet));
        }
    }
    let reply = wire.ask(send).unwrap_or_else(|| "END".to_owned());
    let pattern = format!("(?s)^(?:{})$", wire.spell(expected));
    let fits = Regex::new(&pattern).expect("a pattern").is_match(&reply);
    (!fits).then(|| format!("{}: {} was answered {reply:.200}", row.packet, wire.spell(send)))
}

/// A process that nobody traces.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("600").spawn().expect("a process"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("the process");
    }
}

#[test]
fn packets_of_gdb() {
    check(gdb::PLAIN);
}

#[test]
fn queries_of_gdb() {
    check(gdb::QUERIES);
}

#[test]
fn files() {
    check(gdb::FILES);
}

#[test]
fn packets_of_lldb() {
    check(lldb::EXTENSIONS);
}

#[test]
fn every_packet_that_a_client_is_known_to_send_has_a_row() {
    let rows: Vec<&Row> = PARTS.iter().flat_map(|(_, rows)| rows.iter()).collect();
    for example in examples::GDB.iter().chain(examples::LLDB) {
        let is_it = |row: &&&Row| {
            let rest = example.strip_prefix(row.packet);
            let letter = row.packet.len() == 1;
            rest.is_some_and(|rest| {
                letter || !rest.starts_with(|it: char| it.is_ascii_alphabetic())
            })
        };
        assert!(rows.iter().any(|row| is_it(&row)), "no row for {example}");
    }
}

#[test]
fn the_table_in_the_documentation() {
    let mut page = String::from(INTRODUCTION);
    for (title, rows) in PARTS {
        // Writing to a string does not fail.
        let _ = writeln!(page, "\n## {title}\n\n| Packet | What it is for | Supported | Tests |");
        page.push_str("| --- | --- | --- | --- |\n");
        rows.iter().for_each(|row| page.push_str(&line(row)));
    }
    golden::check("../../docs/packets.md", &page);
}

const INTRODUCTION: &str = "\
# Packets

What `trapline gdbserver` makes of each packet of the remote protocol (gdb manual,
\"Remote Protocol\"; lldb, \"GDB Remote Protocol Extensions\"). Made from the rows of
the tests `remote_packets`; `BLESS=1 cargo xtask test` rewrites it.

By `remote_packets` every row is tested by itself: a server is sent the packet and
has to answer as the row says, with an empty packet where it is not supported. The
other tests named are those in which gdb or lldb send it, beside themselves without us.
";

fn line(row: &Row) -> String {
    let Row { packet, wants, support } = row;
    let (supported, tests) = match support {
        Support::Yes { tests, .. } | Support::Elsewhere { tests } => ("yes".to_owned(), *tests),
        Support::No { why, .. } => (format!("no: {why}"), &[][..]),
    };
    let own = "`remote_packets`".to_owned();
    let shown = !matches!(support, Support::Elsewhere { .. });
    let named = shown.then_some(own).into_iter().chain(tests.iter().map(|test| named(test)));
    let named: Vec<String> = named.collect();
    format!("| `{packet}` | {wants} | {supported} | {} |\n", named.join(", "))
}

/// A test's name, when there is such a test.
fn named(test: &str) -> String {
    let (file, function) = test.split_once("::").expect("a file and a name");
    let (_, source) = TESTS.iter().find(|(name, _)| *name == file).expect("a known file");
    assert!(source.contains(&format!("#[test]\nfn {function}(")), "there is no test {test}");
    format!("`{test}`")
}
