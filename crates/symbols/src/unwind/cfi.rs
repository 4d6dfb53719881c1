//! Call frame information: which rules hold at an address.
//!
//! Reads `.eh_frame` (by `.eh_frame_hdr`'s search table where there is one)
//! and `.debug_frame`. Applying the rules is `step`'s.

use std::sync::OnceLock;

use gimli::{
    BaseAddresses, CieOrFde, DebugFrame, EhFrame, EhFrameOffset, EndianSlice, Expression,
    FrameDescriptionEntry, LittleEndian, UnwindContext, UnwindSection,
};
use trapline_core::ImageAddr;
use trapline_core::x64::Reg;

use super::UnwindError;
use super::search::SearchTable;

/// The bytes debug information is read from.
pub(crate) type Slice<'d> = EndianSlice<'d, LittleEndian>;

/// One frame description entry.
type Fde<'d> = FrameDescriptionEntry<Slice<'d>>;

const ADDRESS_SIZE: u8 = 8;

/// A section and where the linker put it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionBytes<'d> {
    /// Its contents.
    pub(crate) bytes: &'d [u8],
    /// The image address of its first byte.
    pub(crate) address: u64,
}

/// What call frame information is read from.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CfiSections<'d> {
    pub(crate) eh_frame: Option<SectionBytes<'d>>,
    pub(crate) eh_frame_hdr: Option<SectionBytes<'d>>,
    pub(crate) debug_frame: Option<SectionBytes<'d>>,
    /// Address of `.text`, for pointers relative to it.
    pub(crate) text: Option<u64>,
    /// Address of `.got`, for pointers relative to it.
    pub(crate) got: Option<u64>,
}

/// The rules that hold at one place.
#[derive(Clone, Debug)]
pub(crate) struct Row<'d> {
    pub(crate) cfa: Cfa<'d>,
    /// Registers without an entry follow the ABI.
    pub(crate) registers: Vec<(Reg, Rule<'d>)>,
    /// The column that stands for the return address.
    pub(crate) return_address: Reg,
    pub(crate) signal_frame: bool,
    pub(crate) encoding: gimli::Encoding,
}

/// How to find the canonical frame address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cfa<'d> {
    Register(Reg, i64),
    Expression(Expression<Slice<'d>>),
}

/// How to find a register's value in the caller. DWARF 5 section 6.4.1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule<'d> {
    Undefined,
    SameValue,
    Offset(i64),
    ValOffset(i64),
    Register(Reg),
    Expression(Expression<Slice<'d>>),
    ValExpression(Expression<Slice<'d>>),
}

/// The call frame information of one image.
#[derive(Debug)]
pub(crate) struct Cfi<'d> {
    bases: BaseAddresses,
    search: Option<SearchTable<'d>>,
    eh_frame: Option<Indexed<EhFrame<Slice<'d>>>>,
    debug_frame: Option<Indexed<DebugFrame<Slice<'d>>>>,
}

/// A section with the table of its entries, built when first searched.
#[derive(Debug)]
struct Indexed<S> {
    section: S,
    entries: OnceLock<Vec<Entry>>,
}

/// Which addresses a frame description entry at `offset` covers.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    end: u64,
    offset: usize,
}

impl<'d> Cfi<'d> {
    /// Reads nothing yet but the header of the search table.
    pub(crate) fn new(sections: CfiSections<'d>) -> Self {
        let bases = base_addresses(&sections);
        let search = sections.eh_frame_hdr.and_then(SearchTable::parse);
        let eh_frame = sections.eh_frame.map(|frame| {
            let mut section = EhFrame::new(frame.bytes, LittleEndian);
            section.set_address_size(ADDRESS_SIZE);
            Indexed { section, entries: OnceLock::new() }
        });
        let debug_frame = sections.debug_frame.map(|frame| {
            let mut section = DebugFrame::new(frame.bytes, LittleEndian);
            section.set_address_size(ADDRESS_SIZE);
            Indexed { section, entries: OnceLock::new() }
        });
        Self { bases, search, eh_frame, debug_frame }
    }

    /// Lists what has no search table, before the first question.
    pub(crate) fn read_ahead(&self) {
        if let (None, Some(eh_frame)) = (&self.search, &self.eh_frame) {
            eh_frame.entries(&self.bases);
        }
    }

    /// The rules at an address; `None` where nothing covers it.
    pub(crate) fn row(&self, pc: ImageAddr) -> Result<Option<Row<'d>>, UnwindError> {
        if let Some(row) = self.row_by_search(pc.get())? {
            return Ok(Some(row));
        }
        if let Some(eh_frame) = &self.eh_frame
            && let Some(row) = eh_frame.row(&self.bases, pc.get())?
        {
            return Ok(Some(row));
        }
        match &self.debug_frame {
            Some(debug_frame) => debug_frame.row(&self.bases, pc.get()),
            None => Ok(None),
        }
    }

    /// The start of the function around an address and where its
    /// language-specific data is.
    pub(crate) fn language_data(&self, pc: ImageAddr) -> Option<(u64, u64)> {
        let by_search = self.entry_by_search(pc.get()).map(|(_, fde)| fde);
        let fde = by_search
            .or_else(|| self.eh_frame.as_ref()?.fde_at(&self.bases, pc.get()).ok().flatten())?;
        match fde.lsda()? {
            gimli::Pointer::Direct(address) => Some((fde.initial_address(), address)),
            gimli::Pointer::Indirect(_) => None,
        }
    }

    fn row_by_search(&self, pc: u64) -> Result<Option<Row<'d>>, UnwindError> {
        // A table that misleads is no reason to give up: the search through
        // the entries themselves follows.
        let Some((section, fde)) = self.entry_by_search(pc) else { return Ok(None) };
        row_of(&fde, section, &self.bases, pc).map(Some)
    }

    fn entry_by_search(&self, pc: u64) -> Option<(&EhFrame<Slice<'d>>, Fde<'d>)> {
        let section = &self.eh_frame.as_ref()?.section;
        let start = self.bases.eh_frame.section?;
        let offset = self.search?.find(pc)?.checked_sub(start)?;
        let offset = EhFrameOffset(usize::try_from(offset).ok()?);
        let fde = section.fde_from_offset(&self.bases, offset, EhFrame::cie_from_offset).ok()?;
        fde.contains(pc).then_some((section, fde))
    }
}

impl<'d, S: UnwindSection<Slice<'d>>> Indexed<S> {
    fn row(&self, bases: &BaseAddresses, pc: u64) -> Result<Option<Row<'d>>, UnwindError> {
        let Some(fde) = self.fde_at(bases, pc)? else { return Ok(None) };
        row_of(&fde, &self.section, bases, pc).map(Some)
    }

    fn entries(&self, bases: &BaseAddresses) -> &[Entry] {
        self.entries.get_or_init(|| list_entries(&self.section, bases))
    }

    fn fde_at(&self, bases: &BaseAddresses, pc: u64) -> Result<Option<Fde<'d>>, gimli::Error> {
        let entries = self.entries(bases);
        let after = entries.partition_point(|entry| entry.start <= pc);
        let Some(entry) = after.checked_sub(1).map(|index| entries[index]) else {
            return Ok(None);
        };
        if pc >= entry.end {
            return Ok(None);
        }
        self.section.fde_from_offset(bases, entry.offset.into(), S::cie_from_offset).map(Some)
    }
}

/// Every entry that can be read, by start address. A damaged entry ends the
/// list, as nothing after it can be found.
fn list_entries<'d, S: UnwindSection<Slice<'d>>>(section: &S, bases: &BaseAddresses) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut iter = section.entries(bases);
    // Entries of one object file follow each other and have one in common.
    let mut last = None;
    while let Ok(Some(entry)) = iter.next() {
        let CieOrFde::Fde(partial) = entry else { continue };
        let parsed = partial.parse(|section, bases, at| match &last {
            Some((known, common)) if *known == at => Ok(Clone::clone(common)),
            _ => {
                let common = section.cie_from_offset(bases, at)?;
                last = Some((at, common.clone()));
                Ok(common)
            }
        });
        let Ok(fde) = parsed else { continue };
        let (start, end) = (fde.initial_address(), fde.end_address());
        // Linkers leave the entries of discarded functions at address zero.
        if start != 0 && start < end {
            entries.push(Entry { start, end, offset: fde.offset() });
        }
    }
    entries.sort_unstable_by_key(|entry| (entry.start, entry.end));
    entries
}

fn row_of<'d, S: UnwindSection<Slice<'d>>>(
    fde: &Fde<'d>,
    section: &S,
    bases: &BaseAddresses,
    pc: u64,
) -> Result<Row<'d>, UnwindError> {
    let mut context = UnwindContext::new();
    let row = fde.unwind_info_for_address(section, bases, &mut context, pc)?;
    let mut registers = Vec::new();
    for (register, rule) in row.registers() {
        // Columns of vector and other registers do not bear on the walk.
        if let Some(reg) = walked(*register) {
            registers.push((reg, convert_rule(rule, section)?));
        }
    }
    Ok(Row {
        cfa: convert_cfa(row.cfa(), section)?,
        registers,
        return_address: walked(fde.cie().return_address_register())
            .ok_or_else(|| UnwindError::Malformed("odd return address column".to_owned()))?,
        signal_frame: fde.is_signal_trampoline(),
        encoding: fde.cie().encoding(),
    })
}

fn convert_cfa<'d, S: UnwindSection<Slice<'d>>>(
    rule: &gimli::CfaRule<usize>,
    section: &S,
) -> Result<Cfa<'d>, UnwindError> {
    Ok(match rule {
        gimli::CfaRule::RegisterAndOffset { register, offset } => {
            let reg = walked(*register)
                .ok_or_else(|| UnwindError::Malformed("odd frame register".to_owned()))?;
            Cfa::Register(reg, *offset)
        }
        gimli::CfaRule::Expression(expression) => Cfa::Expression(expression.get(section)?),
    })
}

fn convert_rule<'d, S: UnwindSection<Slice<'d>>>(
    rule: &gimli::RegisterRule<usize>,
    section: &S,
) -> Result<Rule<'d>, UnwindError> {
    use gimli::RegisterRule as Theirs;
    Ok(match rule {
        Theirs::Undefined => Rule::Undefined,
        Theirs::SameValue => Rule::SameValue,
        Theirs::Offset(offset) => Rule::Offset(*offset),
        Theirs::ValOffset(offset) => Rule::ValOffset(*offset),
        Theirs::Register(register) => match walked(*register) {
            Some(reg) => Rule::Register(reg),
            None => Rule::Undefined,
        },
        Theirs::Expression(expression) => Rule::Expression(expression.get(section)?),
        Theirs::ValExpression(expression) => Rule::ValExpression(expression.get(section)?),
        Theirs::Architectural | Theirs::Constant(_) => Rule::Undefined,
    })
}

/// The register of a column, when it is one that a walk keeps.
fn walked(register: gimli::Register) -> Option<Reg> {
    (register.0 <= gimli::X86_64::RA.0).then(|| Reg::from_dwarf(register.0)).flatten()
}

fn base_addresses(sections: &CfiSections<'_>) -> BaseAddresses {
    let mut bases = BaseAddresses::default();
    if let Some(section) = sections.eh_frame {
        bases = bases.set_eh_frame(section.address);
    }
    if let Some(section) = sections.eh_frame_hdr {
        bases = bases.set_eh_frame_hdr(section.address);
    }
    if let Some(text) = sections.text {
        bases = bases.set_text(text);
    }
    if let Some(got) = sections.got {
        bases = bases.set_got(got);
    }
    bases
}
