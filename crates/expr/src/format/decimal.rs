//! Binary numbers as decimal digits: the fewest that read back as the same
//! number, whatever its size. Steele and White, "How to print floating-point
//! numbers accurately", with whole numbers of any length.

use std::cmp::Ordering;

/// A number that is not zero, `mantissa * 2^exponent`, among those of its format.
#[derive(Clone, Copy)]
pub(super) struct Binary {
    pub(super) mantissa: u128,
    pub(super) exponent: i32,
    /// Whether the next lower number is half as far away as the next higher.
    pub(super) close_below: bool,
}

/// Its digits, and the power of ten of the first one.
pub(super) fn shortest(number: Binary) -> (String, i32) {
    let mut search = Search::new(number);
    let power = search.scale(number);
    (search.digits(), power)
}

/// What is left of the number, and how far it is to where other numbers are
/// nearer, all over `unit`.
struct Search {
    rest: Natural,
    above: Natural,
    below: Natural,
    unit: Natural,
    /// Whether a text half way between two numbers is read as this one.
    even: bool,
}

impl Search {
    fn new(number: Binary) -> Self {
        // One bit for the halves, and one more where those differ.
        let extra = 1 + u32::from(number.close_below);
        let up = number.exponent.max(0).unsigned_abs();
        let down = number.exponent.min(0).unsigned_abs();
        Self {
            rest: Natural::new(number.mantissa).shifted(up + extra),
            above: Natural::new(1).shifted(up + extra - 1),
            below: Natural::new(1).shifted(up),
            unit: Natural::new(1).shifted(down + extra),
            even: number.mantissa & 1 == 0,
        }
    }

    /// Brings the number to one digit before the point; the power of ten that
    /// it was divided by.
    fn scale(&mut self, number: Binary) -> i32 {
        let bits = number.exponent + (127 - number.mantissa.leading_zeros().cast_signed());
        // Never too large, and at most one too small.
        let power = (f64::from(bits) * std::f64::consts::LOG10_2 - 1e-9).floor() as i32;
        if power >= 0 {
            self.unit.times_power_of_ten(power.unsigned_abs());
        } else {
            for part in [&mut self.rest, &mut self.above, &mut self.below] {
                part.times_power_of_ten(power.unsigned_abs());
            }
        }
        let mut ten = self.unit.clone();
        ten.times(10);
        if self.reaches(&ten) {
            self.unit = ten;
            return power + 1;
        }
        power
    }

    /// Whether a text of this value, or of less, would be read as the number.
    fn reaches(&self, limit: &Natural) -> bool {
        match self.rest.plus(&self.above).compare(limit) {
            Ordering::Less => false,
            Ordering::Equal => self.even,
            Ordering::Greater => true,
        }
    }

    fn digits(&mut self) -> String {
        let mut digits = String::new();
        loop {
            let mut digit = 0;
            while self.rest.compare(&self.unit) != Ordering::Less {
                self.rest.minus(&self.unit);
                digit += 1;
            }
            let low = match self.rest.compare(&self.below) {
                Ordering::Less => true,
                Ordering::Equal => self.even,
                Ordering::Greater => false,
            };
            let high = self.reaches(&self.unit);
            if low || high {
                let doubled = self.rest.plus(&self.rest);
                let up = high && (!low || doubled.compare(&self.unit) != Ordering::Less);
                digits.push(char::from(b'0' + digit + u8::from(up)));
                return digits;
            }
            digits.push(char::from(b'0' + digit));
            for part in [&mut self.rest, &mut self.above, &mut self.below] {
                part.times(10);
            }
        }
    }
}

/// A whole number of any length: words, the lowest first, the highest not zero.
#[derive(Clone)]
struct Natural(Vec<u64>);

impl Natural {
    fn new(value: u128) -> Self {
        let mut number = Self(vec![value as u64, (value >> 64) as u64]);
        number.trim();
        number
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn shifted(&self, bits: u32) -> Self {
        let mut words = vec![0; bits as usize / 64];
        let mut carried = 0;
        for word in &self.0 {
            let wide = u128::from(*word) << (bits % 64);
            words.push(wide as u64 | carried);
            carried = (wide >> 64) as u64;
        }
        words.push(carried);
        let mut number = Self(words);
        number.trim();
        number
    }

    fn times(&mut self, by: u64) {
        let mut carried = 0;
        for word in &mut self.0 {
            let wide = u128::from(*word) * u128::from(by) + carried;
            *word = wide as u64;
            carried = wide >> 64;
        }
        self.0.push(carried as u64);
        self.trim();
    }

    fn times_power_of_ten(&mut self, power: u32) {
        const LARGEST: u32 = 19;
        for _ in 0..power / LARGEST {
            self.times(10_u64.pow(LARGEST));
        }
        self.times(10_u64.pow(power % LARGEST));
    }

    fn plus(&self, other: &Self) -> Self {
        let word = |number: &Self, at: usize| number.0.get(at).copied().unwrap_or(0);
        let mut carried = 0;
        let mut words: Vec<u64> = (0..self.0.len().max(other.0.len()))
            .map(|at| {
                let wide = u128::from(word(self, at)) + u128::from(word(other, at)) + carried;
                carried = wide >> 64;
                wide as u64
            })
            .collect();
        words.push(carried as u64);
        let mut sum = Self(words);
        sum.trim();
        sum
    }

    /// Takes away what is not larger.
    fn minus(&mut self, other: &Self) {
        let mut borrowed = false;
        for (at, word) in self.0.iter_mut().enumerate() {
            let taken = other.0.get(at).copied().unwrap_or(0);
            let (less, first) = word.overflowing_sub(taken);
            let (less, second) = less.overflowing_sub(u64::from(borrowed));
            *word = less;
            borrowed = first || second;
        }
        self.trim();
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the standard library writes doubles.
    fn check(value: f64) {
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
        let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
        let (digits, power) = shortest(Binary {
            mantissa: mantissa.into(),
            exponent: exponent.max(1) - 1075,
            close_below: fraction == 0 && exponent > 1,
        });
        let point = if digits.len() > 1 { "." } else { "" };
        let text = format!("{}{point}{}e{power}", &digits[..1], &digits[1..]);
        assert_eq!(text, format!("{value:e}"));
    }

    #[test]
    fn doubles_are_written_as_the_standard_library_writes_them() {
        let chosen = [1.0, 0.1, 1.0 / 3.0, 9.5, 1e22, 1e23, 5e-324, 2.0_f64.powi(60), 123_456.0];
        chosen.into_iter().chain([f64::MAX, f64::MIN_POSITIVE]).for_each(check);
        let mut state = 1_u64;
        for _ in 0..5000 {
            // Knuth's linear congruential generator.
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits((state ^ state >> 29) & !(1 << 63));
            if value.is_finite() && value != 0.0 {
                check(value);
            }
        }
    }
}
