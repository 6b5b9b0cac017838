//! How values whose type says too little stand in a genesis document: `#[serde(with = "kernel::json::decimal")]`.

/// A `u128` as decimal text: JSON's numbers are too small for it.
pub mod decimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Writes the decimal.
    pub fn serialize<S: Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a canonical decimal.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        crate::num::parse_u128(&text)
            .ok_or_else(|| de::Error::custom("expected a decimal below 2^128, as text"))
    }
}

/// Bytes of a fixed length as lower-case hexadecimal text.
pub mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    /// Writes two digits a byte.
    pub fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    /// Reads exactly two digits a byte.
    pub fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        parse(&text)
            .ok_or_else(|| de::Error::custom(format!("expected {N} bytes as lower-case hexadecimal text")))
    }

    fn parse<const N: usize>(text: &str) -> Option<[u8; N]> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => byte.checked_sub(b'0'),
            b'a'..=b'f' => byte.checked_sub(b'a')?.checked_add(10),
            _ => None,
        };
        let mut bytes = [0; N];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != N || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)?.checked_mul(16)?.checked_add(digit(*low)?)?;
        }
        Some(bytes)
    }
}
