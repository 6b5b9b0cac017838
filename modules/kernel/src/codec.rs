//! The bytes of records and events: canonical proto3, read strictly.
//!
//! A record is one struct written with [`record!`](crate::record): fields in ascending tag order, defaults left out,
//! amounts as 16 bytes big-endian, addresses as 20. Reading accepts exactly what writing produces, so a value has one
//! encoding, and `underbid.<module>.store.v1` describes it for everyone else.

mod macros;
#[cfg(test)]
mod tests;

pub use prost::encoding::WireType;
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};

use crate::{
    address::Address,
    num::{Amount, Dec},
    time::At,
};

/// What is left of a message that is being read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads a message's bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all of it has been read.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A varint in its shortest form.
    pub fn varint(&mut self) -> Option<u64> {
        // Nearly all are short.
        if let [value @ ..0x80, rest @ ..] = self.0 {
            self.0 = rest;
            return Some(u64::from(*value));
        }
        let before = self.0.len();
        let value = decode_varint(&mut self.0).ok()?;
        (before.checked_sub(self.0.len())? == encoded_len_varint(value)).then_some(value)
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    /// Takes the next field's key if it is this one.
    pub fn take_key(&mut self, tag: u32, wire: WireType) -> bool {
        let mut ahead = *self;
        if ahead.varint() != Some(field_key(tag, wire)) {
            return false;
        }
        *self = ahead;
        true
    }

    /// The field `tag`, present or not. A default that is written out is refused.
    pub fn field<T: Field>(&mut self, tag: u32) -> Option<T> {
        if !self.take_key(tag, T::WIRE) {
            return T::absent();
        }
        let value = T::read(self, tag)?;
        (!value.is_default()).then_some(value)
    }
}

/// What stands before a field's value.
fn field_key(tag: u32, wire: WireType) -> u64 {
    let wire = match wire {
        WireType::Varint => 0,
        WireType::SixtyFourBit => 1,
        WireType::LengthDelimited => 2,
        WireType::StartGroup => 3,
        WireType::EndGroup => 4,
        WireType::ThirtyTwoBit => 5,
    };
    (u64::from(tag) << 3) | wire
}

fn write_varint(value: u64, out: &mut Vec<u8>) {
    match u8::try_from(value) {
        Ok(short @ ..0x80) => out.push(short),
        _ => encode_varint(value, out),
    }
}

/// The most bytes of a varint.
const LENGTH_BYTES_MAX: usize = 10;

/// A length that fits the wire.
pub fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Writes a length-delimited field.
pub fn write_bytes(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(field_key(tag, WireType::LengthDelimited), out);
    write_varint(length(bytes.len()), out);
    out.extend_from_slice(bytes);
}

/// Writes a length-delimited field whose bytes `write` appends.
pub fn write_nested(tag: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    write_varint(field_key(tag, WireType::LengthDelimited), out);
    // Most lengths fit the one byte that is left for them.
    let at = out.len();
    out.push(0);
    let start = out.len();
    write(out);
    let bytes = length(out.len().saturating_sub(start));
    match (u8::try_from(bytes), out.get_mut(at)) {
        (Ok(short @ ..0x80), Some(place)) => *place = short,
        _ => {
            let mut long = Vec::with_capacity(LENGTH_BYTES_MAX);
            encode_varint(bytes, &mut long);
            out.splice(at..start, long);
        }
    }
}

/// The type of a field.
pub trait Field: Sized {
    /// How proto3 writes it.
    const WIRE: WireType;
    /// Whether the field is left out.
    fn is_default(&self) -> bool;
    /// Writes key and value, default or not.
    fn write(&self, tag: u32, out: &mut Vec<u8>);
    /// Reads the value; its key has been taken.
    fn read(reader: &mut Reader<'_>, tag: u32) -> Option<Self>;
    /// What a field that is left out stands for; `None`: it must be there.
    fn absent() -> Option<Self>;
}

macro_rules! varint_field {
    ($($type:ty),*) => {$(
        impl Field for $type {
            const WIRE: WireType = WireType::Varint;
            fn is_default(&self) -> bool {
                *self == 0
            }
            fn write(&self, tag: u32, out: &mut Vec<u8>) {
                write_varint(field_key(tag, WireType::Varint), out);
                write_varint(u64::from(*self), out);
            }
            fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
                Self::try_from(reader.varint()?).ok()
            }
            fn absent() -> Option<Self> {
                Some(0)
            }
        }
    )*};
}
varint_field!(u8, u16, u32, u64);

impl Field for bool {
    const WIRE: WireType = WireType::Varint;
    fn is_default(&self) -> bool {
        !self
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        u32::from(*self).write(tag, out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        match reader.varint()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn absent() -> Option<Self> {
        Some(false)
    }
}

impl<C> Field for At<C> {
    const WIRE: WireType = WireType::Varint;
    fn is_default(&self) -> bool {
        self.value() == 0
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        self.value().write(tag, out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        reader.varint().map(Self::new)
    }
    fn absent() -> Option<Self> {
        Some(Self::ZERO)
    }
}

impl Field for String {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        write_bytes(tag, self.as_bytes(), out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        std::str::from_utf8(reader.bytes()?).ok().map(str::to_owned)
    }
    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl Field for Vec<u8> {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        write_bytes(tag, self, out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        reader.bytes().map(<[u8]>::to_vec)
    }
    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// A hash or a key: always there.
impl<const N: usize> Field for [u8; N] {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        false
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        write_bytes(tag, self, out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        reader.bytes()?.try_into().ok()
    }
    fn absent() -> Option<Self> {
        None
    }
}

impl Field for Address {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        false
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        write_bytes(tag, &self.0, out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        reader.bytes()?.try_into().ok().map(Self)
    }
    fn absent() -> Option<Self> {
        None
    }
}

impl Field for u128 {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        *self == 0
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        write_bytes(tag, &self.to_be_bytes(), out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        reader.bytes()?.try_into().ok().map(Self::from_be_bytes)
    }
    fn absent() -> Option<Self> {
        Some(0)
    }
}

impl Field for Amount {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        self.is_zero()
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        self.units().write(tag, out);
    }
    fn read(reader: &mut Reader<'_>, tag: u32) -> Option<Self> {
        Self::new(u128::read(reader, tag)?).ok()
    }
    fn absent() -> Option<Self> {
        Some(Self::ZERO)
    }
}

/// Its integer times 10^18.
impl Field for Dec {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        self.atomics() == 0
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        self.atomics().write(tag, out);
    }
    fn read(reader: &mut Reader<'_>, tag: u32) -> Option<Self> {
        u128::read(reader, tag).map(Self::from_atomics)
    }
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// Explicit presence: a value that is there is written even if it is a default.
impl<T: Field> Field for Option<T> {
    const WIRE: WireType = T::WIRE;
    fn is_default(&self) -> bool {
        self.is_none()
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.write(tag, out);
        }
    }
    fn read(reader: &mut Reader<'_>, tag: u32) -> Option<Self> {
        T::read(reader, tag).map(Some)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A type whose list proto3 writes one field an item; scalars, which it would pack, are not.
pub trait Repeated: Field {}
impl Repeated for String {}
impl Repeated for Address {}
impl Repeated for [u8; 32] {}

impl<T: Repeated> Field for Vec<T> {
    const WIRE: WireType = T::WIRE;
    fn is_default(&self) -> bool {
        self.is_empty()
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        for item in self {
            item.write(tag, out);
        }
    }
    fn read(reader: &mut Reader<'_>, tag: u32) -> Option<Self> {
        let mut items = vec![T::read(reader, tag)?];
        while reader.take_key(tag, T::WIRE) {
            items.push(T::read(reader, tag)?);
        }
        Some(items)
    }
    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

macro_rules! packed_field {
    ($($type:ty),*) => {$(
        /// A fixed number of integers: a packed list, always there.
        impl<const N: usize> Field for [$type; N] {
            const WIRE: WireType = WireType::LengthDelimited;
            fn is_default(&self) -> bool {
                false
            }
            fn write(&self, tag: u32, out: &mut Vec<u8>) {
                write_nested(tag, out, |out| self.iter().for_each(|item| write_varint(u64::from(*item), out)));
            }
            fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
                let mut packed = Reader::new(reader.bytes()?);
                let mut items = [0; N];
                for item in &mut items {
                    *item = packed.varint()?.try_into().ok()?;
                }
                packed.is_empty().then_some(items)
            }
            fn absent() -> Option<Self> {
                None
            }
        }
    )*};
}
packed_field!(u32, u64);

/// A fixed number of amounts: one field each, none left out.
impl<const N: usize> Field for [Amount; N] {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        false
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        self.iter().for_each(|item| item.write(tag, out));
    }
    fn read(reader: &mut Reader<'_>, tag: u32) -> Option<Self> {
        let mut items = [Amount::ZERO; N];
        for (index, item) in items.iter_mut().enumerate() {
            if index > 0 && !reader.take_key(tag, Self::WIRE) {
                return None;
            }
            *item = Amount::read(reader, tag)?;
        }
        Some(items)
    }
    fn absent() -> Option<Self> {
        None
    }
}

/// A message: its fields in tag order. Written by [`record!`](crate::record), never by hand.
pub trait Fields: Sized {
    /// Appends the fields.
    fn write_fields(&self, out: &mut Vec<u8>);
    /// Reads the fields; the caller checks that nothing is left.
    fn read_fields(reader: &mut Reader<'_>) -> Option<Self>;
    /// The fields' names, tags and rendered values, for events.
    fn render_fields(&self, out: &mut Vec<(&'static str, String)>);

    /// The whole message.
    fn to_message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_fields(&mut out);
        out
    }

    /// A message from all of `bytes`.
    fn from_message(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let message = Self::read_fields(&mut reader)?;
        reader.is_empty().then_some(message)
    }
}

/// What a table holds: a version byte, then the canonical message.
pub trait Record: Sized {
    /// The version that is written.
    const VERSION: u8 = 1;
    /// Appends the message.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads a message of this or an older version.
    fn decode(version: u8, body: &[u8]) -> Option<Self>;
}

/// How an event shows a value in ABCI's string attributes.
pub trait Render {
    /// The text.
    fn render(&self) -> String;
}

macro_rules! render_display {
    ($($type:ty),*) => {$(
        impl Render for $type {
            fn render(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
render_display!(u8, u16, u32, u64, u128, bool, String, Address, Amount, Dec);

impl<C> Render for At<C> {
    fn render(&self) -> String {
        self.to_string()
    }
}
impl<const N: usize> Render for [u8; N] {
    fn render(&self) -> String {
        self.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
impl Render for Vec<u8> {
    fn render(&self) -> String {
        self.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
impl<T: Render> Render for Option<T> {
    fn render(&self) -> String {
        self.as_ref().map(Render::render).unwrap_or_default()
    }
}
impl<T: Render + Repeated> Render for Vec<T> {
    fn render(&self) -> String {
        self.iter().map(Render::render).collect::<Vec<_>>().join(",")
    }
}
impl<T: Render, const N: usize> Render for [T; N]
where
    Self: Field,
    T: Scalar,
{
    fn render(&self) -> String {
        self.iter().map(Render::render).collect::<Vec<_>>().join(",")
    }
}

/// A number of fixed lists.
pub trait Scalar {}
impl Scalar for u32 {}
impl Scalar for u64 {}
impl Scalar for Amount {}
