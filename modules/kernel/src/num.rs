//! Money and fractions: integers with a bound, and no operation that can wrap.

use std::fmt;

use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Overflow, Reject, excerpt};

/// Parts per million that make one.
pub const ONE_PPM: u32 = 1_000_000;
/// The scale of rates and decimals: 10^18.
pub const E18: u128 = 1_000_000_000_000_000_000;

/// A quantity of one denom in its smallest unit, at most 2^96 - 1. The bound leaves room for every product that the
/// chain's formulas form in 256 bits, and for the sum of 2^32 such amounts in 128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that exists.
    pub const MAX: Self = Self((1 << 96) - 1);

    /// An amount inside the bound.
    pub const fn new(units: u128) -> Result<Self, Overflow> {
        if units > Self::MAX.0 { Err(Overflow) } else { Ok(Self(units)) }
    }

    /// An amount from a value that is small by its type.
    pub const fn from_u64(units: u64) -> Self {
        Self(widen(units))
    }

    /// The number of units.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, if it is inside the bound.
    pub fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).ok_or(Overflow).and_then(Self::new)
    }

    /// The difference, if it is not negative.
    pub fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
    }

    /// The difference, zero where it would be negative: for closing paths, which never fail.
    pub const fn saturating_minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The smaller one.
    pub fn min(self, other: Self) -> Self {
        Ord::min(self, other)
    }

    /// `floor(self * numerator / denominator)` with a 256-bit product.
    pub fn mul_floor(self, numerator: u128, denominator: u128) -> Result<Self, Overflow> {
        mul_floor(self.0, numerator, denominator).and_then(Self::new)
    }

    /// `ceil(self * numerator / denominator)` with a 256-bit product.
    pub fn mul_ceil(self, numerator: u128, denominator: u128) -> Result<Self, Overflow> {
        mul_ceil(self.0, numerator, denominator).and_then(Self::new)
    }

    /// Reads a canonical decimal: digits only, no leading zero.
    pub fn parse(text: &str) -> Result<Self, Reject> {
        let units = parse_u128(text).ok_or_else(|| {
            Reject::invalid_request(format!("expected a decimal amount, got {:?}", excerpt(text)))
        })?;
        Self::new(units).map_err(|_| {
            Reject::invalid_request(format!("an amount is at most {}, got {}", Self::MAX, excerpt(text)))
        })
    }
}

const fn widen(value: u64) -> u128 {
    // `u128::from` is not const; the shift-free conversion below is lossless by its types.
    #[allow(clippy::as_conversions, reason = "u64 to u128 never loses a bit, and From is not const")]
    {
        value as u128
    }
}

impl From<u64> for Amount {
    fn from(units: u64) -> Self {
        Self::from_u64(units)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A canonical decimal of at most 39 digits: no sign, no leading zero.
pub fn parse_u128(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    let canonical = match bytes {
        [] => false,
        [b'0'] => true,
        [b'0', ..] => false,
        digits => digits.len() <= 39 && digits.iter().all(u8::is_ascii_digit),
    };
    if canonical { text.parse().ok() } else { None }
}

/// `floor(a * b / c)` with a 256-bit product.
pub fn mul_floor(a: u128, b: u128, c: u128) -> Result<u128, Overflow> {
    match a.checked_mul(b) {
        Some(product) => product.checked_div(c).ok_or(Overflow),
        None => narrow(wide_product(a, b)?.checked_div(U256::from(c)).ok_or(Overflow)?),
    }
}

/// `ceil(a * b / c)` with a 256-bit product.
pub fn mul_ceil(a: u128, b: u128, c: u128) -> Result<u128, Overflow> {
    if c == 0 {
        return Err(Overflow);
    }
    match a.checked_mul(b) {
        Some(product) => Ok(product.div_ceil(c)),
        None => narrow(wide_product(a, b)?.div_ceil(U256::from(c))),
    }
}

/// `ceil(a / b)`.
pub fn div_ceil(a: u128, b: u128) -> Result<u128, Overflow> {
    if b == 0 { Err(Overflow) } else { Ok(a.div_ceil(b)) }
}

/// Whether `a * b <= c * d`, with 256-bit products.
pub fn product_le(a: u128, b: u128, c: u128, d: u128) -> bool {
    match (wide_product(a, b), wide_product(c, d)) {
        (Ok(left), Ok(right)) => left <= right,
        _ => false,
    }
}

/// A number of 256 bits, big-endian, modulo a non-zero `modulus`: how a hash becomes a draw.
pub fn modulo(hash: &[u8; 32], modulus: u128) -> Result<u128, Overflow> {
    narrow(U256::from_be_bytes(*hash).checked_rem(U256::from(modulus)).ok_or(Overflow)?)
}

/// `floor(sqrt(floor(a * b / c)))`, where the quotient counts as 2^128 - 1 if it is larger.
pub fn sqrt_mul_floor(a: u128, b: u128, c: u128) -> Result<u128, Overflow> {
    let quotient = wide_product(a, b)?.checked_div(U256::from(c)).ok_or(Overflow)?;
    Ok(narrow(quotient).unwrap_or(u128::MAX).isqrt())
}

fn wide_product(a: u128, b: u128) -> Result<U256, Overflow> {
    U256::from(a).checked_mul(U256::from(b)).ok_or(Overflow)
}

fn narrow(value: U256) -> Result<u128, Overflow> {
    u128::try_from(value).map_err(|_| Overflow)
}

/// A decimal with 18 places, as Cosmos messages write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dec(u128);

impl Dec {
    /// One.
    pub const ONE: Self = Self(E18);

    /// A decimal from its integer times 10^18.
    pub const fn from_atomics(atomics: u128) -> Self {
        Self(atomics)
    }

    /// Its integer times 10^18.
    pub const fn atomics(self) -> u128 {
        self.0
    }

    /// `floor(amount * self)`.
    pub fn mul_floor(self, amount: Amount) -> Result<Amount, Overflow> {
        amount.mul_floor(self.0, E18)
    }

    /// `ceil(amount * self)`.
    pub fn mul_ceil(self, amount: Amount) -> Result<Amount, Overflow> {
        amount.mul_ceil(self.0, E18)
    }

    /// Reads `12`, `0.5` or `.5`, with at most 18 places.
    pub fn parse(text: &str) -> Result<Self, Reject> {
        let bad =
            || Reject::invalid_request(format!("expected a decimal with at most 18 places, got {text:?}"));
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        if places.len() > 18 || !places.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        let whole =
            if whole.is_empty() && !places.is_empty() { 0 } else { parse_u128(whole).ok_or_else(bad)? };
        let fraction: u128 = format!("{places:0<18}").parse().map_err(|_| bad())?;
        whole.checked_mul(E18).and_then(|w| w.checked_add(fraction)).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Dec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(E18).unwrap_or_default();
        let places = self.0.checked_rem(E18).unwrap_or_default();
        write!(f, "{whole}.{places:018}")
    }
}

impl Serialize for Dec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_a_canonical_decimal_within_its_bound() {
        assert_eq!(Amount::parse("0"), Ok(Amount::ZERO));
        assert_eq!(Amount::parse("79228162514264337593543950335"), Ok(Amount::MAX));
        for bad in ["", "-1", "+1", "01", "1.0", " 1", "1 ", "0x1", "79228162514264337593543950336", "٣"] {
            assert!(Amount::parse(bad).is_err(), "{bad:?}");
        }
        let too_long = "1".repeat(1 << 20);
        assert!(Amount::parse(&too_long).is_err());
    }

    #[test]
    fn products_pass_through_256_bits() {
        let max = Amount::MAX.units();
        assert_eq!(mul_floor(max, max, max), Ok(max));
        assert_eq!(mul_ceil(max, max, max), Ok(max));
        assert_eq!(mul_floor(u128::MAX, u128::MAX, 1), Err(Overflow));
        assert_eq!(mul_floor(7, 3, 2), Ok(10));
        assert_eq!(mul_ceil(7, 3, 2), Ok(11));
        assert_eq!(mul_ceil(u128::MAX, 3, 4), Ok(u128::MAX / 4 * 3 + 3));
        assert_eq!(mul_floor(1, 1, 0), Err(Overflow));
        assert_eq!(mul_ceil(1, 1, 0), Err(Overflow));
        assert_eq!(sqrt_mul_floor(4, 1_000_000_000_000, 1), Ok(2_000_000));
        assert!(product_le(u128::MAX, u128::MAX, u128::MAX, u128::MAX));
        assert!(!product_le(u128::MAX, u128::MAX, u128::MAX, u128::MAX - 1));
    }

    #[test]
    fn a_decimal_reads_what_it_prints() {
        for (text, atomics) in
            [("1", E18), ("0.5", E18 / 2), (".5", E18 / 2), ("12.000000000000000001", 12 * E18 + 1)]
        {
            let dec = Dec::parse(text).unwrap();
            assert_eq!(dec.atomics(), atomics);
            assert_eq!(Dec::parse(&dec.to_string()), Ok(dec));
        }
        for bad in ["", ".", "1.0000000000000000001", "-1", "1e5", "1.x"] {
            assert!(Dec::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Dec::from_atomics(E18 / 3).mul_ceil(Amount::from(3)), Ok(Amount::from(1)));
        assert_eq!(Dec::from_atomics(E18 / 3).mul_floor(Amount::from(3)), Ok(Amount::from(0)));
    }
}
