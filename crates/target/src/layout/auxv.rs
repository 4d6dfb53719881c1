//! The auxiliary vector as /proc/PID/auxv holds it. getauxval(3).

/// Type of the entry that ends the vector.
const AT_NULL: u64 = 0;

/// The (type, value) pairs up to the end mark or the end of the bytes.
pub fn parse(bytes: &[u8]) -> Vec<(u64, u64)> {
    let word = |half: &[u8]| half.try_into().map(u64::from_le_bytes).unwrap_or_default();
    bytes
        .chunks_exact(16)
        .map(|pair| (word(&pair[..8]), word(&pair[8..])))
        .take_while(|(kind, _)| *kind != AT_NULL)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_mark_ends_it() {
        let words: [u64; 6] = [6, 4096, 0, 0, 9, 9];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(parse(&bytes), [(6, 4096)]);
        assert_eq!(parse(&bytes[..20]), [(6, 4096)]);
        assert_eq!(parse(&bytes[..7]), []);
    }
}
