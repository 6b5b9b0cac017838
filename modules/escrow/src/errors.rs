//! Why escrow refuses. Codes are consensus data: they are pinned by test and never reused.

use kernel::{Address, Reject};

use crate::NAME;

/// A guard's refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Only the authority of the parameters may change them.
    #[error("expected the authority {authority}, got {actor}")]
    NotAuthority {
        /// Who may.
        authority: Address,
        /// Who tried.
        actor: Address,
    },
    /// An account has as many depositors as it may have; the owner and those who are there may still add.
    #[error("the account of order {order} has no place for another depositor: at most {depositors_max}")]
    TooManyDepositors {
        /// The order.
        order: u64,
        /// The parameter.
        depositors_max: u32,
    },
}

impl Error {
    /// The code in this module's codespace.
    pub const fn code(&self) -> u32 {
        match self {
            Self::NotAuthority { .. } => 2,
            Self::TooManyDepositors { .. } => 3,
        }
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        Reject::new(NAME, error.code(), error.to_string()).into()
    }
}
