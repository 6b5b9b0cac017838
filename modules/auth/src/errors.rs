//! What the module refuses in its own codespace.

use kernel::{Address, Module, Reject};

use crate::Auth;

/// A refusal; the codes are consensus data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// All of the account's unordered transactions that have not timed out yet are too many for another one (2).
    #[error("{address} has {live} unordered transactions that have not timed out, the most there may be")]
    TooManyUnordered {
        /// The account.
        address: Address,
        /// How many it has.
        live: u32,
    },
}

impl Error {
    /// The code in the codespace `auth`.
    pub const fn code(&self) -> u32 {
        match self {
            Self::TooManyUnordered { .. } => 2,
        }
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        Reject::new(Auth::NAME, error.code(), error.to_string()).into()
    }
}
