//! Names of kinds of money.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use kernel::{
    Field, Key, KeyBuf, Reject,
    codec::{Reader, Render, WireType, write_bytes},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The shortest name, in bytes.
const LENGTH_MIN: usize = 3;
/// The longest name, in bytes.
const LENGTH_MAX: usize = 128;

static UFLOP: LazyLock<Denom> = LazyLock::new(|| Denom(Arc::from("uflop")));
static UCREDIT: LazyLock<Denom> = LazyLock::new(|| Denom(Arc::from("ucredit")));

/// The denom of stake and gas fees: a millionth of a FLOP.
pub fn uflop() -> Denom {
    UFLOP.clone()
}

/// The denom of all market money: a millionth of a CREDIT.
pub fn ucredit() -> Denom {
    UCREDIT.clone()
}

/// A kind of money, by the name of its smallest unit: `[a-zA-Z][a-zA-Z0-9/:._-]{2,127}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Denom(Arc<str>);

impl Denom {
    /// Reads a name; any other form is refused (sdk 10).
    pub fn new(text: &str) -> Result<Self, Reject> {
        if is_denom(text) {
            return Ok(Self(Arc::from(text)));
        }
        let shown: String = text.chars().take(LENGTH_MAX).collect();
        Err(Reject::invalid_coins(format!("invalid denom: {shown}")))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_denom(text: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"/:._-".contains(byte);
    let length = LENGTH_MIN <= text.len() && text.len() <= LENGTH_MAX;
    length
        && text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
        && text.as_bytes().iter().all(inner)
}

impl fmt::Display for Denom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Denom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A denom takes the rest of the key: only the last part can be one.
impl Key for Denom {
    fn write(&self, out: &mut KeyBuf) {
        out.extend_from_slice(self.0.as_bytes());
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        let denom = Self::new(std::str::from_utf8(input).ok()?).ok()?;
        *input = &[];
        Some(denom)
    }
}

/// A denom inside a key. It ends with a zero byte, which no denom has, so that `uflop` is no prefix of `uflops`.
pub(crate) struct InnerDenom(pub Denom);

impl Key for InnerDenom {
    fn write(&self, out: &mut KeyBuf) {
        Key::write(&self.0, out);
        out.push(0);
    }
    fn read(input: &mut &[u8]) -> Option<Self> {
        let end = input.iter().position(|byte| *byte == 0)?;
        let (mut head, tail) = input.split_at_checked(end)?;
        *input = tail.get(1..)?;
        <Denom as Key>::read(&mut head).map(Self)
    }
}

impl Field for Denom {
    const WIRE: WireType = WireType::LengthDelimited;
    fn is_default(&self) -> bool {
        false
    }
    fn write(&self, tag: u32, out: &mut Vec<u8>) {
        write_bytes(tag, self.0.as_bytes(), out);
    }
    fn read(reader: &mut Reader<'_>, _: u32) -> Option<Self> {
        Self::new(std::str::from_utf8(reader.bytes()?).ok()?).ok()
    }
    fn absent() -> Option<Self> {
        None
    }
}

impl Render for Denom {
    fn render(&self) -> String {
        self.0.to_string()
    }
}

impl Serialize for Denom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Denom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}
