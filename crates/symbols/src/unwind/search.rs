//! The search table of `.eh_frame_hdr`: rows of a function's start and its
//! entry in `.eh_frame`, sorted. LSB Core 5.0 section 10.6.2.

use super::cfi::SectionBytes;

/// Version, three encodings, the pointer to `.eh_frame`, the number of rows.
const HEADER: usize = 12;
const ROW: usize = 8;

/// Both halves of a row count from the start of the section, as 4 signed
/// bytes: the only form linkers write.
const DATAREL_SDATA4: u8 = 0x3b;
const UDATA4: u8 = 0x03;
/// The low half of an encoding: its size and signedness.
const FORMAT: u8 = 0x0f;
const SDATA4: u8 = 0x0b;

/// The table, when it is in the form that linkers write.
#[derive(Clone, Copy, Debug)]
pub(super) struct SearchTable<'d> {
    address: u64,
    rows: &'d [[u8; ROW]],
}

impl<'d> SearchTable<'d> {
    /// `None` for any other form, whose entries can be searched without it.
    pub(super) fn parse(section: SectionBytes<'d>) -> Option<Self> {
        let (header, table) = section.bytes.split_at_checked(HEADER)?;
        let &[version, frame, count, rows, .., a, b, c, d] = header else { return None };
        let known = version == 1
            && matches!(frame & FORMAT, UDATA4 | SDATA4)
            && count == UDATA4
            && rows == DATAREL_SDATA4;
        let count = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
        let rows = table.as_chunks().0.get(..count)?;
        known.then_some(Self { address: section.address, rows })
    }

    /// The address of the entry of the last function that starts at or below
    /// `pc`.
    pub(super) fn find(&self, pc: u64) -> Option<u64> {
        let after = self.rows.partition_point(|row| self.half(row, 0) <= pc);
        let row = self.rows.get(after.checked_sub(1)?)?;
        Some(self.half(row, 4))
    }

    fn half(&self, row: &[u8; ROW], at: usize) -> u64 {
        let bytes = [row[at], row[at + 1], row[at + 2], row[at + 3]];
        self.address.wrapping_add_signed(i64::from(i32::from_le_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Vec<u8>), pc: u64, expected: Option<Option<u64>>) {
        let mut bytes = vec![1, 0x1b, 3, 0x3b, 0, 0, 0, 0, 2, 0, 0, 0];
        for half in [-0x800_i32, 0x100, 0x40, 0x180] {
            bytes.extend(half.to_le_bytes());
        }
        change(&mut bytes);
        let table = SearchTable::parse(SectionBytes { bytes: &bytes, address: 0x1000 });
        assert_eq!(table.map(|table| table.find(pc)), expected, "{pc:#x} in {bytes:x?}");
    }

    #[test]
    fn the_row_at_or_below_is_found() {
        check(|_| {}, 0x7ff, Some(None));
        check(|_| {}, 0x800, Some(Some(0x1100)));
        check(|_| {}, 0x103f, Some(Some(0x1100)));
        check(|_| {}, 0x1040, Some(Some(0x1180)));
        check(|_| {}, u64::MAX, Some(Some(0x1180)));
    }

    #[test]
    fn other_forms_and_false_counts_are_passed_over() {
        check(|bytes| bytes[3] = 0x1b, 0x800, None);
        check(|bytes| bytes[8] = 3, 0x800, None);
        check(|bytes| bytes.truncate(11), 0x800, None);
        check(|bytes| bytes[8] = 0, 0x800, Some(None));
    }
}
