//! A map from address ranges, possibly nested or overlapping, to values.

/// Ranges sorted by start, each with the furthest end of all before it, so that
/// a search backwards knows when to give up.
#[derive(Clone, Debug)]
pub(crate) struct RangeMap<T> {
    entries: Vec<RangeEntry<T>>,
}

#[derive(Clone, Debug)]
struct RangeEntry<T> {
    start: u64,
    end: u64,
    furthest: u64,
    value: T,
}

impl<T: Send> RangeMap<T> {
    /// Takes half-open ranges in any order; empty ones are dropped.
    pub(crate) fn new(mut ranges: Vec<(u64, u64, T)>) -> Self {
        ranges.retain(|(start, end, _)| start < end);
        ranges.sort_by_key(|&(start, end, _)| (start, std::cmp::Reverse(end)));
        let mut furthest = 0;
        let entries = ranges
            .into_iter()
            .map(|(start, end, value)| {
                furthest = furthest.max(end);
                RangeEntry { start, end, furthest, value }
            })
            .collect();
        Self { entries }
    }

    /// The value of the range around `address` that starts last (the innermost
    /// one when ranges nest).
    pub(crate) fn find(&self, address: u64) -> Option<&T> {
        self.find_range(address).map(|(_, _, value)| value)
    }

    /// As [`Self::find`], with the range itself.
    pub(crate) fn find_range(&self, address: u64) -> Option<(u64, u64, &T)> {
        let after = self.entries.partition_point(|entry| entry.start <= address);
        let before = self.entries[..after].iter().rev();
        before
            .take_while(|entry| entry.furthest > address)
            .find(|entry| address < entry.end)
            .map(|entry| (entry.start, entry.end, &entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_range_wins_and_gaps_have_none() {
        let map = RangeMap::new(vec![
            (10, 50, "outer"),
            (20, 30, "inner"),
            (22, 22, "empty"),
            (60, 70, "far"),
        ]);
        for (address, expected) in [
            (9, None),
            (10, Some("outer")),
            (22, Some("inner")),
            (30, Some("outer")),
            (50, None),
            (69, Some("far")),
            (70, None),
        ] {
            assert_eq!(map.find(address).copied(), expected, "{address}");
        }
    }
}
