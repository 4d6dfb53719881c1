//! Division by a known number as a multiplication. Granlund and Montgomery,
//! "Division by Invariant Integers using Multiplication" (PLDI 1994).

/// Division by a number: the high half of a product with `factor`, shifted
/// right by `shift`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reciprocal {
    pub(super) factor: u64,
    pub(super) shift: u32,
}

/// For dividends of so many bits with a sign; the quotient of a negative one
/// comes out 1 too low. `None` for divisors below 2.
pub(super) fn signed(divisor: u64, bits: u32) -> Option<Reciprocal> {
    find(divisor, bits, bits - 1)
}

/// For dividends of so many bits without a sign; `None` as well where the
/// factor would need one bit more.
pub(super) fn unsigned(divisor: u64, bits: u32) -> Option<Reciprocal> {
    find(divisor, bits, bits)
}

/// The least shift for which the factor, rounded up, is near enough for
/// dividends below 2 to the power of `range`.
fn find(divisor: u64, bits: u32, range: u32) -> Option<Reciprocal> {
    if divisor < 2 {
        return None;
    }
    let wide = u128::from(divisor);
    (0..bits).find_map(|shift| {
        let power = 1u128.checked_shl(bits + shift)?;
        let factor = power / wide + 1;
        let too_much = factor * wide - power;
        let near = too_much << range <= power;
        let fits = factor >> bits == 0;
        (near && fits).then_some(Reciprocal { factor: factor as u64, shift })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [u64; 14] =
        [0, 1, 2, 3, 5, 7, 10, 641, 1000, 65_537, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, u64::MAX];

    #[test]
    fn a_product_is_the_quotient() {
        let dividends = NUMBERS.into_iter().flat_map(|n| [n, !n, n << 31, n.wrapping_mul(0x9e37)]);
        for x in dividends {
            for divisor in NUMBERS.into_iter().filter(|&divisor| divisor > 1) {
                if let Some(found) = unsigned(divisor, 64) {
                    let high = (u128::from(x) * u128::from(found.factor)) >> 64;
                    assert_eq!(high as u64 >> found.shift, x / divisor, "{x} / {divisor}");
                }
                let (x, by) = (x.cast_signed(), divisor.cast_signed());
                if by > 1 {
                    let found = signed(divisor, 64).expect("there is one for every divisor");
                    let high = (i128::from(x) * i128::from(found.factor)) >> 64;
                    let low = (high >> found.shift) as i64;
                    assert_eq!(low + i64::from(x < 0), x / by, "{x} / {by}");
                }
            }
        }
    }

    #[test]
    fn common_divisors_need_no_division() {
        let factor = |divisor| unsigned(divisor, 32).map(|found| (found.factor, found.shift));
        assert_eq!(factor(3), Some((0xaaaa_aaab, 1)));
        assert_eq!(factor(10), Some((0xcccc_cccd, 3)));
        assert_eq!(factor(7), None);
        assert_eq!(signed(7, 32), Some(Reciprocal { factor: 0x9249_2493, shift: 2 }));
    }
}
