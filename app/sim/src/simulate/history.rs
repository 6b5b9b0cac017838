//! A history as data: what happens, without who thought of it. It can be played again, cut down, and kept as a file.

use prost::Name;
use prost_types::Any;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A whole history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// What it came from, for a person.
    pub origin: String,
    /// Whether the first replica keeps its state on disk.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_disk: bool,
    /// The application's state at the start.
    pub genesis: Value,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// The next block.
    Block(Block),
    /// The nodes stop and start.
    Restart,
    /// The operators take the last block back, and it is executed again.
    Rollback,
    /// A new chain begins with the state of this one, so many seconds later.
    Import { gap_s: u64 },
    /// A new node executes every block since the genesis.
    Replay,
}

/// A block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The seconds since the last block's time.
    pub after_s: u64,
    /// The nanoseconds of its time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub nanos: u32,
    /// What its hash is made of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hash: u64,
    /// Its transactions, in the order in which they are signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub txs: Vec<Tx>,
    /// In which order they come; 0: as they are signed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shuffle: u64,
    /// What one of the nodes does besides before the block is decided; 0: nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rounds: u64,
}

/// A transaction before it is signed: the sequences are those of the moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tx {
    /// What it does.
    pub messages: Vec<Message>,
    /// Who signs.
    pub signers: Vec<String>,
    /// The most gas that it may use.
    pub gas_limit: u64,
    /// What it pays, in uflop.
    pub fee: u64,
    /// Until when it is good, if it is unordered: nanoseconds after the last block's time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unordered_ns: Option<u64>,
    /// How often it is in the block besides.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repeats: u32,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flaw: Option<Flaw>,
}

/// What is wrong with a transaction, whatever its messages say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Flaw {
    /// A bit of the signature is another one.
    Signature,
    /// It is signed for a sequence so many later.
    Later(u64),
    /// It is signed for a sequence that was used.
    Earlier,
    /// It is signed for another chain.
    Chain,
    /// It names the key of somebody else.
    ForeignKey(String),
    /// It names no key.
    NoKey,
    /// It names a key of no kind that there is.
    OddKey,
    /// The last signature is missing.
    MissingSignature,
    /// It is signed in a mode that wallets used before.
    SignMode,
    /// It names a fee payer who does not sign.
    Payer(String),
    /// It wants somebody else to have granted the fee.
    Granter,
    /// It pays in a denom that is not taken.
    FeeDenom,
    /// It pays in two denoms.
    TwoFees,
    /// It has a memo of so many bytes.
    Memo(u32),
    /// It is good up to a height so many after the last one; 0 is too late.
    TimeoutHeight(u64),
    /// It was good up to the last block's time.
    TimedOut,
    /// It is unordered and names no time.
    NoTimeout,
    /// It has an extension option.
    Extension,
    /// Its last byte is missing.
    Cut,
    /// It has an unknown field after its end.
    Padded,
    /// It is no transaction but so many bytes.
    Garbage(u32),
}

/// A message, encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Its type URL.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its bytes in hexadecimal.
    #[serde(with = "hexadecimal")]
    pub value: Vec<u8>,
}

impl Message {
    /// A message.
    pub fn new<M: prost::Message + Name>(message: &M) -> Self {
        Self { kind: M::type_url(), value: message.encode_to_vec() }
    }

    /// As a transaction carries it.
    pub fn any(&self) -> Any {
        Any { type_url: self.kind.clone(), value: self.value.clone() }
    }

    /// The full name of its type.
    pub fn name(&self) -> &str {
        self.kind.trim_start_matches('/')
    }

    /// The message, if it is an `M`.
    pub fn read<M: prost::Message + Name + Default>(&self) -> Option<M> {
        (self.kind == M::type_url()).then(|| M::decode(self.value.as_slice()).ok())?
    }
}

impl History {
    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Block(_))).count()
    }

    /// How many transactions it has.
    pub fn txs(&self) -> usize {
        self.steps.iter().map(|step| if let Step::Block(block) = step { block.txs.len() } else { 0 }).sum()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |at| text.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
        bytes.ok_or_else(|| D::Error::custom("expected hexadecimal bytes"))
    }
}
