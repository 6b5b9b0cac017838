//! Whole numbers: products of any size, quotients with a named rounding, and amounts as decimal text.

use num_bigint::BigUint;

use crate::Refusal;

/// Parts per million.
pub const ONE: u128 = 1_000_000;
/// Rates are in ucredit a second times this.
pub const E18: u128 = 1_000_000_000_000_000_000;

/// a * b / c, rounded down.
pub fn floor(a: impl Into<u128>, b: impl Into<u128>, c: impl Into<u128>) -> Result<u128, Refusal> {
    narrow(BigUint::from(a.into()) * b.into() / c.into())
}

/// a * b / c, rounded up.
pub fn ceil(a: impl Into<u128>, b: impl Into<u128>, c: impl Into<u128>) -> Result<u128, Refusal> {
    let c = c.into();
    narrow((BigUint::from(a.into()) * b.into() + (c - 1)) / c)
}

fn narrow(number: BigUint) -> Result<u128, Refusal> {
    u128::try_from(number).map_err(|_| Refusal::Overflow)
}

/// The number that these bytes stand for, modulo another one.
pub fn modulo(bytes: &[u8], by: u128) -> u128 {
    u128::try_from(BigUint::from_bytes_be(bytes) % by).unwrap()
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An amount in JSON is decimal text.
pub mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(number: &u128, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(text: D) -> Result<u128, D::Error> {
        String::deserialize(text)?.parse().map_err(D::Error::custom)
    }
}

/// So are those of a list.
pub mod texts {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(numbers: &[u128], out: S) -> Result<S::Ok, S::Error> {
        out.collect_seq(numbers.iter().map(u128::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(texts: D) -> Result<Vec<u128>, D::Error> {
        Vec::<String>::deserialize(texts)?.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}
