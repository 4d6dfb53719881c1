//! The blocks of a function: which lexical block and which inlined copy an
//! address is in.

use gimli::UnitOffset;
use gimli::constants as dw;

use crate::dies;
use crate::image::Image;
use crate::ranges::RangeMap;
use crate::units::{DieRef, Entry};

/// A function, an inlined copy within it, or a lexical block of either.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Block {
    /// The function or the innermost inlined copy.
    pub(crate) code_of: DieRef,
    /// Whether that is an inlined copy.
    pub(crate) inlined: bool,
    /// The block itself; the same entry when it is no lexical block.
    pub(crate) scope: DieRef,
}

impl Block {
    fn of_function(function: DieRef) -> Self {
        Self { code_of: function, inlined: false, scope: function }
    }
}

/// Finds the innermost block around addresses. Remembers the last function:
/// the rows of a line come function by function.
pub(crate) struct Blocks<'a> {
    image: &'a Image,
    current: Option<(DieRef, RangeMap<Block>)>,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(image: &'a Image) -> Self {
        Self { image, current: None }
    }

    /// The function around an address and the innermost block in it.
    pub(crate) fn innermost(&mut self, address: u64) -> Option<(DieRef, Block)> {
        let function = self.image.function_die_at(address)?;
        if self.current.as_ref().is_none_or(|(known, _)| *known != function) {
            self.current = Some((function, self.image.blocks_of(function)));
        }
        let (_, ranges) = self.current.as_ref()?;
        let block = ranges.find(address).copied();
        Some((function, block.unwrap_or_else(|| Block::of_function(function))))
    }
}

/// A block being read, and how deep its entry is.
struct Open {
    depth: isize,
    block: Block,
    ranges: Vec<(u64, u64)>,
    /// Whether it counts: an inlined copy, or a block that declares something.
    /// A block of nothing but blocks is no place of its own to anyone.
    counts: bool,
}

impl Image {
    /// The blocks within a function that declare anything, and its inlined
    /// copies.
    fn blocks_of(&self, function: DieRef) -> RangeMap<Block> {
        let mut found = Vec::new();
        let mut open: Vec<Open> = Vec::new();
        self.visit_within(function, |depth, offset, entry| {
            while open.last().is_some_and(|last| last.depth >= depth) {
                found.extend(open.pop());
            }
            if let Some(around) = open.last_mut() {
                around.counts |= declares(entry);
            }
            let around = open.last().map_or_else(|| Block::of_function(function), |it| it.block);
            if let Some((block, ranges)) = self.block_at(function, offset, entry, around) {
                let counts = block.scope == block.code_of;
                open.push(Open { depth, block, ranges, counts });
            }
        });
        found.append(&mut open);
        // Of equal ranges the one listed last is found, which is the inner one.
        found.sort_by_key(|block| block.depth);
        let counting = found.iter().filter(|block| block.counts);
        let ranges = counting.flat_map(|it| it.ranges.iter().map(|&(a, b)| (a, b, it.block)));
        RangeMap::new(ranges.collect())
    }

    /// The block that an entry opens within another, and its ranges.
    fn block_at(
        &self,
        function: DieRef,
        offset: UnitOffset,
        entry: &Entry,
        around: Block,
    ) -> Option<(Block, Vec<(u64, u64)>)> {
        let inlined = entry.tag() == dw::DW_TAG_inlined_subroutine;
        if !inlined && entry.tag() != dw::DW_TAG_lexical_block {
            return None;
        }
        let scope = DieRef { unit: function.unit, offset };
        let block = match inlined {
            true => Block { code_of: scope, inlined, scope },
            false => Block { scope, ..around },
        };
        Some((block, dies::ranges(self.units().unit(function.unit)?, entry)))
    }
}

/// Whether an entry puts a name into the block around it.
fn declares(entry: &Entry) -> bool {
    !matches!(
        entry.tag(),
        dw::DW_TAG_lexical_block
            | dw::DW_TAG_inlined_subroutine
            | dw::DW_TAG_call_site
            | dw::DW_TAG_GNU_call_site
    )
}
