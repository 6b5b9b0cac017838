//! What can go wrong, in three kinds: a rejection is the caller's, running out of gas is the transaction's, and a
//! fatal error is this machine's.

use bytes::Bytes;

use crate::backend::StoreId;

/// The result of everything that runs inside the state machine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a piece of work did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A guard refused it: what it wrote is rolled back, the rest of the block goes on.
    #[error("{0}")]
    Rejected(#[from] Reject),
    /// It used more gas than it was given.
    #[error("out of gas")]
    OutOfGas,
    /// A fault of this machine, never of the input: the node stops.
    #[error("{0}")]
    Fatal(#[from] Fatal),
}

/// A guard's refusal. Codespace and code are consensus data; the message is for people and is not hashed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Reject {
    /// The module that refused, or `sdk` for the errors that every Cosmos client knows.
    pub codespace: &'static str,
    /// One code a guard; module codes count from 2.
    pub code: u32,
    /// What was expected, for a person.
    pub message: String,
}

impl Reject {
    /// A rejection with its text.
    pub fn new(codespace: &'static str, code: u32, message: impl Into<String>) -> Self {
        Self { codespace, code, message: message.into() }
    }

    /// The codespace of the errors that every Cosmos client knows by number.
    pub const SDK: &'static str = "sdk";

    /// Undecodable transaction (sdk 2).
    pub fn tx_decode(message: impl Into<String>) -> Self {
        Self::new(Self::SDK, 2, message)
    }
    /// Bad signature or the wrong signer (sdk 4).
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(Self::SDK, 4, message)
    }
    /// Not enough money (sdk 5).
    pub fn insufficient_funds(message: impl Into<String>) -> Self {
        Self::new(Self::SDK, 5, message)
    }
    /// An unknown message or route (sdk 6).
    pub fn unknown_request(message: impl Into<String>) -> Self {
        Self::new(Self::SDK, 6, message)
    }
    /// A malformed address (sdk 7).
    pub fn invalid_address(message: impl Into<String>) -> Self {
        Self::new(Self::SDK, 7, message)
    }
    /// A malformed amount of money (sdk 10).
    pub fn invalid_coins(message: impl Into<String>) -> Self {
        Self::new(Self::SDK, 10, message)
    }
    /// A field that is out of form or out of range (sdk 18).
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(Self::SDK, 18, message)
    }
}

/// As much of a sender's text as a refusal shows.
pub fn excerpt(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A fault of this machine: the node stops and says which.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// Reading or writing failed.
    #[error("storage failed: {0}")]
    Storage(String),
    /// A stored record is not what this binary can have written.
    #[error("corrupt record in store {}: key {}", store.0, hex(key))]
    Corrupt {
        /// The module's store.
        store: StoreId,
        /// The key of the record.
        key: Bytes,
    },
    /// Indexes and queues are not what the records say.
    #[error("the derived entries differ from the records they come from")]
    DerivedDigest,
    /// The state breaks a law that no input can break, such as the supply of a denom.
    #[error("broken invariant {name}: {detail}")]
    Invariant {
        /// The id of the invariant.
        name: &'static str,
        /// The two figures that differ.
        detail: String,
    },
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A counter that can't be represented. Arithmetic on bounded inputs never meets it; a guard that does becomes a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("arithmetic overflow")]
pub struct Overflow;

impl From<Overflow> for Error {
    fn from(_: Overflow) -> Self {
        Reject::invalid_request("arithmetic overflow").into()
    }
}

/// Why a query has no answer; the gRPC code and its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// The gRPC status code.
    pub code: StatusCode,
    /// The text that clients show.
    pub message: String,
    /// Codespace and code of the rejection that the answer tells of, as a block would give them; none where the query
    /// itself is at fault.
    pub rejection: Option<(String, u32)>,
}

/// The gRPC codes that queries use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    /// A simulated transaction was refused (2): its rejection says by whom.
    Unknown,
    /// A field of the request is out of form (3).
    InvalidArgument,
    /// No such object (5).
    NotFound,
    /// The query is too expensive, or too many run (8).
    ResourceExhausted,
    /// The state does not allow an answer (9).
    FailedPrecondition,
    /// The height is not in the window (11).
    OutOfRange,
    /// No such method (12).
    Unimplemented,
    /// This node is at fault (13).
    Internal,
}

impl StatusCode {
    /// The number of the code in gRPC.
    pub const fn number(self) -> u32 {
        match self {
            Self::Unknown => 2,
            Self::InvalidArgument => 3,
            Self::NotFound => 5,
            Self::ResourceExhausted => 8,
            Self::FailedPrecondition => 9,
            Self::OutOfRange => 11,
            Self::Unimplemented => 12,
            Self::Internal => 13,
        }
    }
}

impl Status {
    /// An answer of this code.
    pub fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), rejection: None }
    }
    /// No such object.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NotFound, message)
    }
    /// A field of the request is out of form.
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(StatusCode::InvalidArgument, message)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(reject) => Self::invalid_argument(reject.message),
            Error::OutOfGas => {
                Self::new(StatusCode::ResourceExhausted, "the query costs more than a query may")
            }
            Error::Fatal(fatal) => Self::new(StatusCode::Internal, fatal.to_string()),
        }
    }
}

impl From<Reject> for Status {
    fn from(reject: Reject) -> Self {
        Self::invalid_argument(reject.message)
    }
}
