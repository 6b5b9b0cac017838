//! Keys of records: fixed-width parts in an order that sorts as the values do, at most one variable part, placed last.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{address::Address, time::At};

/// A key being written. Keys are made and compared all the time, and nearly all of them are short: these need no allocation,
/// and a comparison finds their bytes where the key is.
pub type KeyBuf = SmallVec<[u8; 56]>;

/// A part of a key, or a whole one.
pub trait Key: Sized {
    /// Appends the part. Bytes sort as the values do.
    fn write(&self, out: &mut KeyBuf);
    /// Takes the part from the front of `input`; `None` if it is not there.
    fn read(input: &mut &[u8]) -> Option<Self>;

    /// The part alone.
    fn to_bytes(&self) -> KeyBuf {
        let mut out = KeyBuf::new();
        self.write(&mut out);
        out
    }

    /// A whole key from its bytes, all of them.
    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let key = Self::read(&mut bytes)?;
        bytes.is_empty().then_some(key)
    }
}

macro_rules! integer_key {
    ($($type:ty),*) => {$(
        impl Key for $type {
            fn write(&self, out: &mut KeyBuf) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn read(input: &mut &[u8]) -> Option<Self> {
                let (head, tail) = input.split_first_chunk()?;
                *input = tail;
                Some(Self::from_be_bytes(*head))
            }
        }
    )*};
}
integer_key!(u8, u16, u32, u64, u128);

impl Key for () {
    fn write(&self, _: &mut KeyBuf) {}
    fn read(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

impl<const N: usize> Key for [u8; N] {
    fn write(&self, out: &mut KeyBuf) {
        out.extend_from_slice(self);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        let (head, tail) = input.split_first_chunk()?;
        *input = tail;
        Some(*head)
    }
}

impl Key for Address {
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        Key::read(input).map(Self)
    }
}

impl<C> Key for At<C> {
    fn write(&self, out: &mut KeyBuf) {
        self.value().write(out);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        u64::read(input).map(Self::new)
    }
}

/// A text takes the rest of the key: only the last part can be one.
impl Key for String {
    fn write(&self, out: &mut KeyBuf) {
        out.extend_from_slice(self.as_bytes());
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(input).ok()?.to_owned();
        *input = &[];
        Some(text)
    }
}

/// Bytes take the rest of the key: only the last part can be them.
impl Key for Bytes {
    fn write(&self, out: &mut KeyBuf) {
        out.extend_from_slice(self);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        let bytes = Self::copy_from_slice(input);
        *input = &[];
        Some(bytes)
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
        self.1.write(out);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        Some((A::read(input)?, B::read(input)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn write(&self, out: &mut KeyBuf) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        Some((A::read(input)?, B::read(input)?, C::read(input)?))
    }
}

/// The first key after all that start with `prefix`; `None` if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<KeyBuf> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = KeyBuf::from_slice(prefix.get(..=last)?);
    if let Some(byte) = end.last_mut() {
        *byte = byte.saturating_add(1);
    }
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_values_and_read_back() {
        let mut keys = vec![
            (3u64, Address([1; 20])),
            (255, Address([0; 20])),
            (256, Address([9; 20])),
            (3, Address([2; 20])),
        ];
        let mut bytes: Vec<_> = keys.iter().map(Key::to_bytes).collect();
        keys.sort();
        bytes.sort();
        assert_eq!(bytes.iter().map(|b| Key::from_bytes(b).unwrap()).collect::<Vec<(u64, Address)>>(), keys);
        assert_eq!(<(u64, Address)>::from_bytes(&[0; 27]), None);
        assert_eq!(<(u64, Address)>::from_bytes(&[0; 29]), None);
    }

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        assert_eq!(prefix_end(&[1, 2]), Some(KeyBuf::from_slice(&[1, 3])));
        assert_eq!(prefix_end(&[1, 255]), Some(KeyBuf::from_slice(&[2])));
        assert_eq!(prefix_end(&[255, 255]), None);
        assert_eq!(prefix_end(&[]), None);
    }
}
