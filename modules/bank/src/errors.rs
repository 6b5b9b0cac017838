//! What the module refuses in its own codespace. Codes and texts are those by which Cosmos clients know them.

use kernel::{Module, Reject};

use crate::{Bank, Denom};

/// A refusal; the codes are consensus data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody sends (2).
    #[error("no inputs to send transaction")]
    NoInputs,
    /// Nobody receives (3).
    #[error("no outputs to send transaction")]
    NoOutputs,
    /// What is given is not what is received (4).
    #[error("sum inputs != sum outputs")]
    InputOutputMismatch,
    /// Accounts may not send this denom (5).
    #[error("{denom} transfers are currently disabled: send transactions are disabled")]
    SendDisabled {
        /// The denom.
        denom: Denom,
    },
    /// More than one account sends (9).
    #[error("multiple senders not allowed")]
    MultipleSenders,
    /// More receivers than a message may have (10).
    #[error("expected at most {max} outputs, got {got}")]
    TooManyOutputs {
        /// The most there may be.
        max: usize,
        /// How many there are.
        got: usize,
    },
}

impl Error {
    /// The code in the codespace `bank`.
    pub const fn code(&self) -> u32 {
        match self {
            Self::NoInputs => 2,
            Self::NoOutputs => 3,
            Self::InputOutputMismatch => 4,
            Self::SendDisabled { .. } => 5,
            Self::MultipleSenders => 9,
            Self::TooManyOutputs { .. } => 10,
        }
    }
}

impl From<Error> for Reject {
    fn from(error: Error) -> Self {
        Self::new(Bank::NAME, error.code(), error.to_string())
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        Reject::from(error).into()
    }
}
