//! Functions: found by name, by pattern and by address, with every copy the
//! compiler made, and where a breakpoint on each belongs.

use std::collections::HashSet;
use std::sync::Arc;

use gimli::UnitOffset;
use gimli::constants as dw;
use regex::Regex;
use trapline_core::ImageAddr;

use crate::dies;
use crate::image::Image;
use crate::index::{NameKind, Named};
use crate::line_table;
use crate::names::{self, Pattern};
use crate::near::{Distance, Near};
use crate::symbols::{SymbolHit, SymbolKind, SymbolRef};
use crate::units::{DieRef, Entry};

/// One copy of a function in the code.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// Its qualified name, demangled.
    pub name: String,
    /// Its name as the linker knows it, where that differs or is known.
    pub linkage_name: Option<String>,
    /// Its first instruction to be executed.
    pub entry: ImageAddr,
    /// Its code: half-open ranges, the one entered first.
    pub ranges: Vec<(ImageAddr, ImageAddr)>,
    /// Whether it was inlined into another.
    pub inlined: bool,
    /// Where its source is: file and line.
    pub decl: Option<(Arc<str>, u32)>,
    /// Where a breakpoint on it belongs: past the instructions that set up
    /// its frame. The entry itself when nothing is known about lines, and in
    /// an inlined copy.
    pub prologue_end: ImageAddr,
    /// Whether debug information describes it; else only a symbol does.
    pub has_debug: bool,
    /// Whether calling it only chooses the function to use (`STT_GNU_IFUNC`).
    pub indirect: bool,
    /// Whether other files can refer to it.
    pub external: bool,
    pub(crate) die: Option<DieRef>,
}

impl Function {
    /// Whether an address is in its code.
    pub fn contains(&self, address: ImageAddr) -> bool {
        self.ranges.iter().any(|&(start, end)| start <= address && address < end)
    }
}

/// An inlined call around an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InlinedCall {
    /// The qualified name of the inlined function.
    pub name: String,
    /// The file of the call.
    pub call_file: Option<Arc<str>>,
    /// The line of the call; 0 when unknown.
    pub call_line: u32,
    /// The column of the call; 0 when unknown.
    pub call_column: u32,
    /// Where this copy is entered.
    pub entry: ImageAddr,
    /// The copy's code: half-open ranges.
    pub ranges: Vec<(ImageAddr, ImageAddr)>,
    pub(crate) die: DieRef,
}

impl InlinedCall {
    /// Whether an address within it is one where it begins: where it is
    /// entered, or where its code goes on behind other code.
    pub fn begins_at(&self, address: ImageAddr) -> bool {
        let before = address.wrapping_sub(1);
        let holds = |&(start, end): &(ImageAddr, ImageAddr)| start <= before && before < end;
        self.entry == address || !self.ranges.iter().any(holds)
    }
}

/// Copies of one function that are followed at most.
const MAX_COPIES: usize = 100_000;

impl Image {
    /// Every copy of the functions of a name, as gdb understands names: at any
    /// scope unless `qualified`, every template instance unless arguments are
    /// given, every overload unless parameters are given; also linkage names.
    pub fn functions_named(&self, name: &str, qualified: bool) -> Vec<Function> {
        let Some(pattern) = Pattern::new(name, qualified) else { return Vec::new() };
        let mut found = Vec::new();
        let candidates = self.named(pattern.key(), NameKind::Function);
        let meant = candidates.filter(|candidate| self.candidate_matches(&pattern, *candidate));
        self.add_copies(meant.map(Named::die).collect(), &mut found);
        let mut symbols = self.function_symbols(&pattern);
        if symbols.is_empty() {
            symbols = self.symbols_meant(name, Some(&pattern));
            symbols.retain(|symbol| {
                self.symbol_hit(*symbol).is_some_and(|hit| {
                    is_function(hit.kind) && (!qualified || hit.linkage_name == name)
                })
            });
        }
        self.add_symbols(symbols, &mut found);
        in_order(found)
    }

    /// Those of them that the name means at a place: of the innermost scope that has
    /// any, and no statics of other files. What only a symbol names is in no scope.
    pub fn functions_near(&self, name: &str, near: &Near) -> Option<(Distance, Vec<Function>)> {
        let pattern = Pattern::new(name, false)?;
        let named = self.named_near(pattern.key(), NameKind::Function, Some(near));
        let meant = named.filter(|candidate| self.candidate_matches(&pattern, *candidate));
        let meant: Vec<_> = meant
            .filter_map(|it| {
                Some((near.distance(&pattern, it.outward(), it.die().unit)?, it.die()))
            })
            .filter(|(distance, die)| !distance.is_elsewhere() || self.is_seen_outside(*die))
            .collect();
        let mut distances: Vec<Distance> = meant.iter().map(|(distance, _)| *distance).collect();
        distances.sort_unstable();
        distances.dedup();
        distances.into_iter().find_map(|nearest| {
            let dies = meant.iter().filter(|(distance, _)| *distance == nearest);
            let mut found = Vec::new();
            self.add_copies(dies.map(|(_, die)| *die).collect(), &mut found);
            (!found.is_empty()).then(|| (nearest, in_order(found)))
        })
    }

    /// A function's name with the parameters that tell it from others, in
    /// languages that overload functions.
    pub fn signature(&self, function: &Function) -> String {
        // Compilers leave the linkage names of what no other file sees to the
        // symbol table.
        let symbol = || Some(self.symbol_at(function.entry)?.linkage_name);
        let linkage = function.linkage_name.clone().or_else(symbol);
        let demangled = linkage.as_deref().and_then(crate::demangle::demangled);
        let behind = demangled.as_deref().map_or("", names::behind_path);
        // Of what only a symbol names, the name is whole.
        let name = function.name.clone();
        if name.ends_with(behind) { name } else { name + behind }
    }

    /// Every copy of the functions whose qualified name the pattern finds.
    pub fn functions_matching(&self, pattern: &Regex) -> Vec<Function> {
        let mut found = Vec::new();
        let candidates = self.all_named(NameKind::Function);
        let meant = candidates.filter(|name| pattern.is_match(&name.qualified()));
        self.add_copies(meant.map(Named::die).collect(), &mut found);
        let symbols = self.all_function_symbols().filter(|symbol| {
            self.symbol_hit(*symbol).is_some_and(|hit| {
                pattern.is_match(&hit.name) && !names::split_clone(&hit.linkage_name).1
            })
        });
        self.add_symbols(symbols.collect(), &mut found);
        in_order(found)
    }

    fn candidate_matches(&self, pattern: &Pattern, candidate: Named<'_>) -> bool {
        let path = || candidate.outward();
        let by_path = pattern.matches(path());
        let rust_impl = || path().any(|component| component.starts_with("{impl#"));
        if by_path && pattern.parameters().is_none() {
            return true;
        }
        if !by_path && !rust_impl() {
            return false;
        }
        match self.any_linkage_name(candidate.die()) {
            Some(linkage) => pattern.matches_demangled(&crate::demangle::demangle(&linkage)),
            None => by_path,
        }
    }

    /// The linkage name of an entry or of what defines it.
    fn any_linkage_name(&self, die: DieRef) -> Option<String> {
        let units = self.units();
        dies::linkage_name(units, &dies::origins(units, die)).or_else(|| {
            let copies = self.instances(&[die]);
            copies
                .into_iter()
                .find_map(|copy| dies::linkage_name(units, &dies::origins(units, copy)))
        })
    }

    /// Adds the copies of functions: themselves where they have code, and
    /// whatever defines or inlines them.
    fn add_copies(&self, mut pending: Vec<DieRef>, found: &mut Vec<Function>) {
        let mut seen = HashSet::new();
        while !pending.is_empty() && found.len() < MAX_COPIES {
            pending.retain(|die| seen.insert(*die));
            found.extend(pending.iter().filter_map(|die| self.function_of(*die)));
            pending = self.instances(&pending);
        }
    }

    /// Adds functions that only a symbol names.
    fn add_symbols(&self, symbols: Vec<SymbolRef>, found: &mut Vec<Function>) {
        let described = found.iter().any(|function| function.has_debug);
        let mut known: HashSet<ImageAddr> =
            found.iter().filter(|it| !it.inlined).map(|it| it.entry).collect();
        for symbol in symbols.into_iter().filter(|symbol| known.insert(symbol.address())) {
            let Some(hit) = self.symbol_hit(symbol) else { continue };
            // A Rust program's own `main` is called by a `main` without debug
            // information that nobody means.
            if described && hit.linkage_name == "main" {
                continue;
            }
            let described = self.function_die_at(hit.start.get()).and_then(|die| {
                self.function_of(die).filter(|function| function.entry == hit.start)
            });
            let indirect = hit.kind == SymbolKind::IndirectFunction;
            let function = described.unwrap_or_else(|| symbol_function(hit));
            found.push(Function { indirect, ..function });
        }
    }

    /// The function whose code an address is in; inlined copies are not looked
    /// at (see [`Self::inline_chain_at`]).
    pub fn function_at(&self, address: ImageAddr) -> Option<Function> {
        let described = self.function_die_at(address.get()).and_then(|die| self.function_of(die));
        described.or_else(|| {
            let hit = self.symbol_at(address)?;
            (is_function(hit.kind) || self.is_code(address)).then(|| symbol_function(hit))
        })
    }

    /// The inlined calls around an address, innermost first.
    pub fn inline_chain_at(&self, address: ImageAddr) -> Vec<InlinedCall> {
        let Some(function) = self.function_die_at(address.get()) else { return Vec::new() };
        let inlined = self.inlined_calls(function);
        let around = inlined.around(address).into_iter().rev();
        around.filter_map(|call| self.inlined_call(inlined.calls[call].die)).collect()
    }

    /// Shows every entry within a function with its depth, outer ones first.
    pub(crate) fn visit_within(
        &self,
        function: DieRef,
        mut visit: impl FnMut(isize, UnitOffset, &Entry),
    ) {
        let Some(unit) = self.units().unit(function.unit) else { return };
        let Ok(mut raw) = unit.entries_raw(Some(function.offset)) else { return };
        let mut entry = Entry::null();
        let mut first = true;
        while !raw.is_empty() && (first || raw.next_depth() > 0) {
            let (offset, depth) = (raw.next_offset(), raw.next_depth());
            if raw.read_entry(&mut entry).is_err() {
                break;
            }
            if !first && !entry.is_null() {
                visit(depth, offset, &entry);
            }
            first = false;
        }
    }

    fn inlined_call(&self, die: DieRef) -> Option<InlinedCall> {
        let unit = self.units().unit(die.unit)?;
        let entry = unit.entry(die.offset).ok()?;
        let ranges = dies::ranges(unit, &entry);
        let number = |attribute| dies::number(&entry, attribute);
        let small = |attribute| number(attribute).and_then(|it| u32::try_from(it).ok());
        let file = number(dw::DW_AT_call_file);
        Some(InlinedCall {
            name: self.entry_name(die)?,
            call_file: file.and_then(|index| line_table::file(unit, index)),
            call_line: small(dw::DW_AT_call_line).unwrap_or(0),
            call_column: small(dw::DW_AT_call_column).unwrap_or(0),
            entry: ImageAddr::new(dies::entry_pc(unit, &entry, &ranges)?),
            ranges: image_ranges(ranges),
            die,
        })
    }

    /// The qualified name of an entry or of what it is a copy of.
    pub(crate) fn entry_name(&self, die: DieRef) -> Option<String> {
        self.chain_name(&dies::origins(self.units(), die))
    }

    /// The qualified name of the first entry of a chain of origins.
    fn chain_name(&self, chain: &[(DieRef, Entry)]) -> Option<String> {
        let units = self.units();
        let (named, text) = dies::chain_string(units, chain, &[dw::DW_AT_name]).or_else(|| {
            let attributes = [dw::DW_AT_linkage_name];
            dies::chain_string(units, chain, &attributes)
        })?;
        let text_name = || crate::demangle::demangle(&String::from_utf8_lossy(text)).into_owned();
        // The declaration within a class knows more scopes than a definition
        // outside that repeats the name.
        let outermost = chain.iter().rev().find_map(|(die, _)| self.indexed_name(*die, text));
        let name = outermost.or_else(|| self.indexed_name(named, text)).unwrap_or_else(text_name);
        if !name.contains("{impl#") {
            return Some(name);
        }
        // The linkage name says which trait of which type a numbered impl is.
        let linkage = dies::linkage_name(units, chain);
        Some(linkage.and_then(|linkage| crate::demangle::demangled(&linkage)).unwrap_or(name))
    }

    fn indexed_name(&self, die: DieRef, text: &[u8]) -> Option<String> {
        Some(self.names_of(die.unit)?.name_of(die, text)?.qualified())
    }

    /// Reads a function or an inlined copy; `None` when it has no code.
    pub(crate) fn function_of(&self, die: DieRef) -> Option<Function> {
        let units = self.units();
        let unit = units.unit(die.unit)?;
        let chain = dies::origins(units, die);
        let (_, entry) = chain.first()?;
        let ranges = dies::ranges(unit, entry);
        let entry_pc = dies::entry_pc(unit, entry, &ranges)?;
        let inlined = entry.tag() == dw::DW_TAG_inlined_subroutine;
        let prologue_end = match inlined {
            true => entry_pc,
            false => self.prologue_end(die, entry_pc, &ranges),
        };
        Some(Function {
            name: self.chain_name(&chain)?,
            linkage_name: dies::linkage_name(units, &chain),
            entry: ImageAddr::new(entry_pc),
            ranges: image_ranges(ranges),
            inlined,
            decl: chain.iter().find_map(|(die, entry)| self.declared(*die, entry)),
            prologue_end: ImageAddr::new(prologue_end),
            has_debug: true,
            indirect: false,
            external: chain.iter().any(|(_, entry)| dies::flag(entry, dw::DW_AT_external)),
            die: Some(die),
        })
    }

    /// Where an entry says that it is declared.
    fn declared(&self, die: DieRef, entry: &Entry) -> Option<(Arc<str>, u32)> {
        let small = |attribute| u32::try_from(dies::number(entry, attribute)?).ok();
        let line = small(dw::DW_AT_decl_line)?;
        let file = small(dw::DW_AT_decl_file)?;
        Some((self.line_table(die.unit)?.file(file)?.clone(), line))
    }

    /// Where a breakpoint on a function goes: at the place the compiler marks
    /// as the end of the prologue, else at the second address of its lines.
    fn prologue_end(&self, die: DieRef, entry: u64, ranges: &[(u64, u64)]) -> u64 {
        if self.entries_are_exact(die.unit) {
            return entry;
        }
        let within = ranges.iter().find(|&&(start, end)| start <= entry && entry < end);
        let (Some(&(_, end)), Some(table)) = (within, self.line_table(die.unit)) else {
            return entry;
        };
        let rows = table.between(entry, end);
        let marked = rows.iter().find(|row| row.is_prologue_end() && row.is_stmt());
        let second = rows.iter().find(|row| row.address > entry && row.is_place());
        marked.or(second).map_or(entry, |row| row.address)
    }

    /// Statement rows of a function's own ranges: line and address.
    pub fn lines_of_function(&self, function: &Function) -> Vec<(u32, ImageAddr)> {
        let Some(table) = function.die.and_then(|die| self.line_table(die.unit)) else {
            return Vec::new();
        };
        let rows =
            function.ranges.iter().flat_map(|(start, end)| table.between(start.get(), end.get()));
        rows.filter(|row| row.is_place())
            .map(|row| (row.line, ImageAddr::new(row.address)))
            .collect()
    }

    /// Up to `limit` qualified function names that start with `prefix`, or one
    /// of whose trailing components does; sorted.
    pub fn function_names(&self, prefix: &str, limit: usize) -> Vec<String> {
        let names = self.all_named(NameKind::Function);
        let mut found: Vec<String> =
            names.filter_map(|name| completion(prefix, &name.path())).collect();
        let symbols = self.all_function_symbols().filter_map(|symbol| self.symbol_hit(symbol));
        let paths = symbols.map(|hit| names::demangled_path(&hit.name).to_owned());
        found.extend(paths.filter(|name| name.starts_with(prefix)));
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        found
    }
}

/// The completed name when `prefix` starts any of its trailing paths.
fn completion(prefix: &str, path: &[&str]) -> Option<String> {
    let scopes = prefix.matches("::").count() + 1;
    let tails = (0..path.len()).rev().take(path.len().min(scopes + 1));
    tails.map(|from| path[from..].join("::")).find(|tail| tail.starts_with(prefix))
}

fn image_ranges(ranges: Vec<(u64, u64)>) -> Vec<(ImageAddr, ImageAddr)> {
    ranges.into_iter().map(|(start, end)| (ImageAddr::new(start), ImageAddr::new(end))).collect()
}

fn is_function(kind: SymbolKind) -> bool {
    matches!(kind, SymbolKind::Function | SymbolKind::IndirectFunction)
}

fn symbol_function(hit: SymbolHit) -> Function {
    let end = hit.start.checked_add(hit.size.max(1)).unwrap_or(hit.start);
    Function {
        name: hit.name,
        linkage_name: Some(hit.linkage_name),
        entry: hit.start,
        ranges: vec![(hit.start, end)],
        inlined: false,
        decl: None,
        prologue_end: hit.start,
        has_debug: false,
        indirect: hit.kind == SymbolKind::IndirectFunction,
        external: hit.external,
        die: None,
    }
}

fn in_order(mut functions: Vec<Function>) -> Vec<Function> {
    functions.sort_by(|a, b| (a.entry, a.inlined, &a.name).cmp(&(b.entry, b.inlined, &b.name)));
    functions.dedup_by(|a, b| a.entry == b.entry && a.inlined == b.inlined && a.name == b.name);
    functions
}
