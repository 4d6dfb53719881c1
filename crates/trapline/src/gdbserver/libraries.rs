//! What a process has loaded, as the dynamic linker's own list: an object of
//! the protocol (GDB manual, "Library List Format for SVR4 Targets").

use std::fmt::Write;

use trapline_core::{Pid, VirtAddr};
use trapline_engine::ClientSession;

/// Types of entries. getauxval(3).
const AT_PHDR: u64 = 3;
const AT_PHENT: u64 = 4;
const AT_PHNUM: u64 = 5;
/// Types of segments and of entries of the dynamic section. elf(5).
const PT_DYNAMIC: u32 = 2;
const PT_PHDR: u32 = 6;
const DT_NULL: u64 = 0;
const DT_DEBUG: u64 = 21;
/// The most that is believed of a program's own lists.
const MOST: usize = 10_000;
/// The longest path that is believed.
const PATH_MAX: usize = 4096;

/// A process's memory, in words.
struct Memory<'a> {
    session: &'a ClientSession,
    pid: Pid,
}

/// One object of the list. `<link.h>`, `struct link_map`.
struct Link {
    at: u64,
    base: u64,
    name: Vec<u8>,
    dynamic: u64,
    next: u64,
    previous: u64,
}

impl Memory<'_> {
    fn read(&self, at: u64, buf: &mut [u8]) -> Option<()> {
        let read = self.session.read(self.pid, VirtAddr::new(at), buf, false);
        (read == buf.len()).then_some(())
    }

    fn word(&self, at: u64) -> Option<u64> {
        let mut word = [0; 8];
        self.read(at, &mut word)?;
        Some(u64::from_le_bytes(word))
    }

    fn half(&self, at: u64) -> Option<u32> {
        let mut half = [0; 4];
        self.read(at, &mut half)?;
        Some(u32::from_le_bytes(half))
    }

    fn text(&self, at: u64) -> Vec<u8> {
        let mut text = vec![0; PATH_MAX];
        let read = self.session.read(self.pid, VirtAddr::new(at), &mut text, false);
        text.truncate(read);
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(0);
        text.truncate(end);
        text
    }

    /// Where the program's dynamic section keeps the address of `struct r_debug`,
    /// which is 0 until the linker has filled it in. `None` where there is no
    /// place for it.
    fn debug_place(&self, auxv: &[(u64, u64)]) -> Option<u64> {
        let find = |kind| auxv.iter().find(|(it, _)| *it == kind).map(|(_, value)| *value);
        let (headers, size, count) = (find(AT_PHDR)?, find(AT_PHENT)?, find(AT_PHNUM)?);
        let header = |index: u64| headers.wrapping_add(index.wrapping_mul(size));
        let all = || (0..count.min(MOST as u64)).map(header);
        let is = |kind: u32| move |at: &u64| self.half(*at) == Some(kind);
        let address = |at: u64| self.word(at.wrapping_add(16));
        let bias = match all().find(is(PT_PHDR)) {
            Some(own) => headers.wrapping_sub(address(own)?),
            None => 0,
        };
        let dynamic = bias.wrapping_add(address(all().find(is(PT_DYNAMIC))?)?);
        let entry = |index: usize| dynamic.wrapping_add(16 * index as u64);
        let entries = (0..MOST).map(entry).map_while(|at| Some((at, self.word(at)?)));
        let mut entries = entries.take_while(|(_, tag)| *tag != DT_NULL);
        let (at, _) = entries.find(|(_, tag)| *tag == DT_DEBUG)?;
        Some(at.wrapping_add(8))
    }

    fn link(&self, at: u64) -> Option<Link> {
        let word = |index: u64| self.word(at.wrapping_add(8 * index));
        let name = word(1)?;
        Some(Link {
            at,
            base: word(0)?,
            name: if name == 0 { Vec::new() } else { self.text(name) },
            dynamic: word(2)?,
            next: word(3)?,
            previous: word(4)?,
        })
    }
}

/// Where a list begins that the client knows already: `start`, `prev` and
/// `lmid` of the annex.
#[derive(Default)]
struct Beginning {
    start: Option<u64>,
    previous: Option<u64>,
    namespace: Option<u64>,
}

impl Beginning {
    fn parse(annex: &str) -> Self {
        let mut beginning = Self::default();
        for pair in annex.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let value = u64::from_str_radix(value, 16).ok();
            match name {
                "start" => beginning.start = value,
                "prev" => beginning.previous = value,
                "lmid" => beginning.namespace = value,
                _ => {}
            }
        }
        beginning
    }
}

/// Where the address of the linker's own list is, for clients that read that
/// themselves.
pub(super) fn place(session: &ClientSession, pid: Pid, auxv: &[(u64, u64)]) -> Option<u64> {
    Memory { session, pid }.debug_place(auxv)
}

/// The list of a process, from where the annex says. `None` when its program
/// names none: the client may find one elsewhere.
pub(super) fn list(
    session: &ClientSession,
    pid: Pid,
    auxv: &[(u64, u64)],
    annex: &str,
) -> Option<String> {
    let memory = Memory { session, pid };
    let beginning = Beginning::parse(annex);
    let mut xml = String::from("<library-list-svr4 version=\"1.0\"");
    let mut body = String::new();
    if let Some(start) = beginning.start {
        let previous = beginning.previous.unwrap_or(0);
        add_links(&memory, start, previous, beginning.namespace.unwrap_or(0), None, &mut body);
    } else {
        let mut main = None;
        for debug in namespaces(&memory, memory.word(memory.debug_place(auxv)?)?) {
            let first = memory.word(debug.wrapping_add(8)).unwrap_or(0);
            let skip = main.is_none().then_some(first);
            main.get_or_insert(first);
            add_links(&memory, first, 0, debug, skip, &mut body);
        }
        if let Some(main) = main.filter(|main| *main != 0) {
            // Writing to a string does not fail.
            let _ = write!(xml, " main-lm=\"0x{main:x}\"");
        }
    }
    Some(xml + ">" + &body + "</library-list-svr4>")
}

/// Each namespace's `r_debug`. From version 2 on they are a list: `<link.h>`,
/// `struct r_debug_extended`.
fn namespaces(memory: &Memory<'_>, first: u64) -> Vec<u64> {
    const NEXT: u64 = 40;
    let mut all = Vec::new();
    let mut at = Some(first);
    while let Some(debug) = at.filter(|debug| *debug != 0 && all.len() < MOST) {
        let Some(version) = memory.half(debug) else { break };
        all.push(debug);
        at = (version >= 2).then(|| memory.word(debug.wrapping_add(NEXT))).flatten();
    }
    all
}

/// The objects from one on. The first of the first namespace is the program
/// itself, which is not listed.
fn add_links(
    memory: &Memory<'_>,
    first: u64,
    mut previous: u64,
    namespace: u64,
    skip: Option<u64>,
    xml: &mut String,
) {
    let mut at = first;
    for _ in 0..MOST {
        let Some(link) = (at != 0).then(|| memory.link(at)).flatten() else { return };
        if link.previous != previous {
            // The list is being changed.
            return;
        }
        if skip != Some(link.at) && !link.name.is_empty() {
            let name = escaped(&String::from_utf8_lossy(&link.name));
            let Link { at, base, dynamic, .. } = link;
            let _ = write!(
                xml,
                "<library name=\"{name}\" lm=\"0x{at:x}\" l_addr=\"0x{base:x}\" \
                 l_ld=\"0x{dynamic:x}\" lmid=\"0x{namespace:x}\"/>"
            );
        }
        (previous, at) = (at, link.next);
    }
}

/// Text within an attribute or an element.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // Not allowed in XML at all.
            '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' => out.push('?'),
            other => out.push(other),
        }
    }
    out
}
