//! Which images a process has loaded, read from its mappings, and the trap in
//! the dynamic linker that says when to look again.
//!
//! The mappings rather than the linker's list are the source: they hold every
//! namespace, every libc, and what was mapped by hand, and they are true even
//! while the linker's list is not.

use std::ffi::OsStr;
use std::path::PathBuf;

use trapline_core::memory::ReadMemory;
use trapline_core::target::Region;
use trapline_core::{AddrRange, LoadBias, ModuleId, Pid, VirtAddr};
use trapline_symbols::{DebugInfo, Image};

use super::Session;
use super::search::Among;
use crate::command::{LibraryInfo, Reply};
use crate::event::Event;
use crate::space::{Module, Modules, Purpose};

/// The function that the dynamic linker calls around each change of its list.
/// `<link.h>`, `r_brk`; glibc and musl agree on a symbol for it or hold it in
/// `_r_debug`.
const LINKER_HOOKS: [&str; 2] = ["_dl_debug_state", "_dl_debug_addr"];

/// A file mapped into a process, all its mappings together.
struct MappedFile {
    name: PathBuf,
    range: AddrRange,
    first_offset: u64,
    executable: bool,
    /// Whether the name is no longer this file's.
    gone: bool,
}

impl Session {
    /// Brings the books in line with what is mapped: new images are read and
    /// breakpoints bound in them, those gone take their locations with them.
    pub(super) fn update_libraries(&mut self, pid: Pid) {
        let Ok(map) = self.target.memory_map(pid) else { return };
        let files = mapped_files(&map);
        self.forget_unmapped(pid, &files);
        let mut found = Vec::new();
        for file in &files {
            let known =
                self.space_of(pid).is_none_or(|space| space.modules.at(file.range.start).is_some());
            if !known && file.executable {
                found.extend(self.load_module(pid, file));
            }
        }
        self.load_vdso(pid, &map);
        self.arm_linker(pid);
        if !found.is_empty() {
            self.bind_in_process(pid, &Among::These(found));
        }
    }

    fn forget_unmapped(&mut self, pid: Pid, files: &[MappedFile]) {
        let Some(id) = self.processes.get(&pid).map(|process| process.space) else { return };
        self.count_in(id);
        let Some(space) = self.spaces.get_mut(&id) else { return };
        let gone = space.modules.remove_unless(|module| {
            module.path.as_os_str() == "[vdso]"
                || files
                    .iter()
                    .any(|file| file.name == module.path && file.range.start == module.range.start)
        });
        for module in gone {
            space.overlay.forget(module.range);
            space.forget_patches_in(module.range);
            space.code_sites.retain(|addr, _| !module.range.contains(*addr));
            space.sites.retain(|site| match site.what {
                trapline_core::plan::SiteWhat::Trap { addr }
                | trapline_core::plan::SiteWhat::Jump { addr } => !module.range.contains(addr),
                trapline_core::plan::SiteWhat::Slot { .. } => true,
            });
            space.stale = true;
            if space.linker_trap.is_some_and(|addr| module.range.contains(addr)) {
                space.linker_trap = None;
            }
            space.internal.retain(|internal| !module.range.contains(internal.addr));
            self.events.send(Event::LibraryUnloaded { pid, path: module.path.clone() });
            let changed = self.breakpoints.unbind_range(id, module.range);
            for breakpoint in changed {
                self.events.send(Event::BreakpointChanged {
                    id: breakpoint,
                    what: format!("{} was unloaded", module.path.display()),
                    deleted: false,
                });
            }
        }
    }

    fn load_module(&mut self, pid: Pid, file: &MappedFile) -> Option<ModuleId> {
        let Some(path) = self.openable(pid, file) else {
            let why = "the file was deleted or replaced since it was loaded";
            self.tell_no_symbols(pid, file, why);
            return None;
        };
        let image = match self.images.open(&path) {
            Ok(image) => image,
            Err(error) => {
                // Data files are mapped executable by nobody; what is mapped
                // so and is no image is worth a word.
                self.tell_no_symbols(pid, file, &error.to_string());
                return None;
            }
        };
        let bias = bias_of(&image, file)?;
        let id = image.module();
        // What starts as zero lies behind the mappings of the file.
        let end = bias.to_virt(image.image_range().1).max(file.range.end);
        let range = AddrRange::between(file.range.start, end);
        self.add_module(pid, image, bias, range, file.name.clone());
        self.emit(Event::LibraryLoaded { pid, path: file.name.clone(), address: file.range.start });
        Some(id)
    }

    /// Says once per mapping that it has no names.
    fn tell_no_symbols(&mut self, pid: Pid, file: &MappedFile, why: &str) {
        let start = file.range.start;
        if self.space_of_mut(pid).is_some_and(|space| space.nameless.insert(start)) {
            self.warn(format!("no symbols for {}: {why}", file.name.display()));
        }
    }

    fn add_module(
        &mut self,
        pid: Pid,
        image: std::sync::Arc<Image>,
        bias: LoadBias,
        range: AddrRange,
        path: PathBuf,
    ) {
        let loaded = self.next_load_order;
        self.next_load_order += 1;
        if let Some(space) = self.space_of_mut(pid) {
            space.modules.insert(Module { image, bias, range, path, loaded });
        }
    }

    /// The name under which a mapped file can be opened: its own, or, for the
    /// executable itself, the one that works even after it was deleted or
    /// replaced. `None` where another file, or none, has the name by now.
    fn openable(&self, pid: Pid, file: &MappedFile) -> Option<PathBuf> {
        if !file.gone && file.name.exists() {
            return Some(file.name.clone());
        }
        let info = self.target.process_info(pid).ok();
        let own = info.filter(|it| clean_name(it.executable_name.as_os_str()) == file.name);
        match own {
            Some(info) => Some(info.executable),
            None if file.gone => None,
            None => Some(file.name.clone()),
        }
    }

    fn load_vdso(&mut self, pid: Pid, map: &[Region]) {
        let Some(region) = map.iter().find(|region| region.name == "[vdso]") else { return };
        let range = region.range;
        if self.space_of(pid).is_none_or(|space| space.modules.at(range.start).is_some()) {
            return;
        }
        let mut bytes = vec![0; usize::try_from(range.len()).unwrap_or(0)];
        let Some(memory) = self.memory(pid) else { return };
        if memory.read_exact(range.start, &mut bytes).is_err() {
            return;
        }
        if let Ok(image) = self.images.in_memory("[vdso]", bytes) {
            let bias = LoadBias::between(image.image_range().0, range.start);
            self.add_module(pid, image, bias, range, PathBuf::from("[vdso]"));
        }
    }

    /// Traps the dynamic linker's hook, wherever the linker is.
    fn arm_linker(&mut self, pid: Pid) {
        let Some(process) = self.processes.get(&pid) else { return };
        let id = process.space;
        let Some(space) = self.spaces.get(&id) else { return };
        let unasked = self.client.is_some() || !self.target.capabilities().can_run;
        if space.linker_trap.is_some() || unasked {
            return;
        }
        let Some(hook) = linker_hook(&space.modules) else { return };
        if let Some(space) = self.spaces.get_mut(&id) {
            space.linker_trap = Some(hook);
        }
        self.add_internal(id, hook, Purpose::Libraries);
    }

    /// Answers `info sharedlibrary`.
    pub(super) fn libraries(&self) -> Reply {
        let mut list = Vec::new();
        for process in self.processes.values().filter(|process| process.is_debuggee()) {
            let Some(space) = self.spaces.get(&process.space) else { continue };
            list.extend(space.modules.in_load_order().map(|module| LibraryInfo {
                pid: process.pid,
                path: module.path.clone(),
                range: module.range,
                symbols: symbols_of(module.image.debug_info()),
                problems: module.image.problems(),
            }));
        }
        Reply::Libraries(list)
    }
}

fn symbols_of(info: &DebugInfo) -> String {
    match info {
        DebugInfo::None => "nothing".to_owned(),
        DebugInfo::SymbolsOnly => "symbol table only".to_owned(),
        DebugInfo::Own => "debug information".to_owned(),
        DebugInfo::Separate(path) => format!("debug information in {}", path.display()),
    }
}

fn linker_hook(modules: &Modules) -> Option<VirtAddr> {
    modules.iter().find_map(|module| {
        let is_linker = module
            .path
            .file_name()
            .and_then(OsStr::to_str)
            .is_some_and(|name| name.starts_with("ld-") || name.starts_with("ld."));
        if !is_linker {
            return None;
        }
        let symbol = LINKER_HOOKS
            .iter()
            .find_map(|name| module.image.symbols_named(name).into_iter().next())?;
        Some(module.bias.to_virt(symbol.start))
    })
}

/// Joins the mappings of each file. Two loads of one file (in two namespaces)
/// are told apart by their first mapping starting over at offset 0.
fn mapped_files(map: &[Region]) -> Vec<MappedFile> {
    let mut files: Vec<MappedFile> = Vec::new();
    for region in map {
        if region.inode.1 == 0 {
            continue;
        }
        let name = clean_name(&region.name);
        let continues = files
            .last()
            .is_some_and(|file| file.name == name && region.file_offset > file.first_offset);
        match files.last_mut() {
            Some(file) if continues => {
                file.range.end = region.range.end;
                file.executable |= region.execute;
            }
            _ => files.push(MappedFile {
                range: region.range,
                first_offset: region.file_offset,
                executable: region.execute,
                gone: name.as_os_str() != region.name,
                name,
            }),
        }
    }
    files
}

fn clean_name(name: &OsStr) -> PathBuf {
    match name.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(bare) => PathBuf::from(bare),
        None => PathBuf::from(name),
    }
}

/// The bias that puts the segment at the file's first mapping where it is.
fn bias_of(image: &Image, file: &MappedFile) -> Option<LoadBias> {
    const PAGE_MASK: u64 = !0xfff;
    let segment = image
        .segments()
        .iter()
        .find(|segment| segment.file.get() & PAGE_MASK == file.first_offset)?;
    let page = trapline_core::ImageAddr::new(segment.image.get() & PAGE_MASK);
    Some(LoadBias::between(page, file.range.start))
}
