//! The tables of the stores: what a key and a value of the state are, as the comments of `underbid.<module>.store.v1` say
//! ("Under tag 5, the order and the provider: a binding offer."). Every record is a version byte and such a message.

use kernel::Address;
use prost_reflect::MessageDescriptor;

use super::{Error, Reflection};

/// The parts that a key may have behind its tag, by the words for them, and their lengths; 0: all that is left.
const PARTS: [(&str, usize); 13] = [
    ("address", 20),
    ("class", 4),
    ("denom", 0),
    ("height", 8),
    ("id", 4),
    ("name", 0),
    ("number", 4),
    ("order", 8),
    ("owner", 20),
    ("provider", 20),
    ("round", 4),
    ("timeout", 8),
    ("zone", 0),
];

/// One table of a store.
#[derive(Clone, Debug)]
pub struct Table {
    /// The message of its records.
    pub message: MessageDescriptor,
    /// What its records are.
    pub about: String,
    parts: Vec<(&'static str, usize)>,
}

impl Reflection {
    /// The table under a tag of a module's store.
    pub fn table(&self, module: &str, tag: u8) -> Option<Table> {
        // The kernel's layout record is in every store.
        let package = format!("underbid.{}.store.v1", if tag == 0 { "kernel" } else { module });
        self.pool.all_messages().filter(|message| message.package_name() == package).find_map(|message| {
            let comment = self.about_message(&message);
            let text = comment.strip_prefix("Under tag ").or_else(|| comment.strip_prefix("Tag "))?;
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = text.split_at_checked(digits)?;
            if number.parse() != Ok(tag) {
                return None;
            }
            let (key, about) = rest.split_once(": ").unwrap_or((rest, ""));
            let words = key.split(|character: char| !character.is_ascii_alphabetic());
            let parts = words.filter_map(|word| PARTS.into_iter().find(|(name, _)| *name == word));
            Some(Table { parts: parts.collect(), about: about.to_owned(), message })
        })
    }
}

impl Table {
    /// The parts of a key in words, as `order 5, provider underbid1...`; none where it is no key of this table.
    pub fn key(&self, key: &[u8]) -> Option<String> {
        let mut rest = key.get(1..)?;
        let mut words = Vec::with_capacity(self.parts.len());
        for (name, length) in &self.parts {
            let (part, tail) = match length {
                0 => (rest, [].as_slice()),
                length => rest.split_at_checked(*length)?,
            };
            let shown = match length {
                0 => std::str::from_utf8(part).ok()?.to_owned(),
                20 => Address(part.try_into().ok()?).to_string(),
                _ => number(part),
            };
            words.push(format!("{name} {shown}"));
            rest = tail;
        }
        rest.is_empty().then(|| words.join(", "))
    }

    /// A record as JSON.
    pub fn value(&self, reflection: &Reflection, record: &[u8]) -> Result<serde_json::Value, Error> {
        let body = record.get(1..).unwrap_or_default();
        reflection.to_json(&reflection.decode(&self.message, body)?)
    }
}

fn number(bytes: &[u8]) -> String {
    bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte)).to_string()
}
