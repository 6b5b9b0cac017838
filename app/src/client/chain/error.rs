//! Why a chain did not do what a client asked.

use std::time::Duration;

use kernel::Address;

use crate::client::{
    rpc,
    tx::{Outcome, ResponseError},
};

/// ABCI codes of the codespace `sdk` that a client acts on.
pub(super) mod code {
    pub(super) const INSUFFICIENT_FEE: u32 = 13;
    pub(in super::super) const NOT_FOUND: u32 = 22;
    pub(super) const WRONG_SEQUENCE: u32 = 32;
}

/// Why the chain did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node did not answer, or not in a form that is known.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
    /// A query was refused.
    #[error("{}", plain(log))]
    Query {
        /// What was asked.
        path: String,
        /// Whose code it is.
        codespace: String,
        /// The code, as `22` of `sdk` for what does not exist.
        code: u32,
        /// The reason in words, as ABCI gives it.
        log: String,
    },
    /// A transaction that was tried out is one that a block would refuse.
    #[error("a block would refuse it: {codespace} {code}: {log}")]
    Simulation {
        /// Whose code it is.
        codespace: String,
        /// The code.
        code: u32,
        /// What was expected.
        log: String,
    },
    /// The account has never received anything.
    #[error("the account {0} does not exist: it begins with the first money that it receives")]
    UnknownAccount(Address),
    /// A transaction was refused: before any block, or by the block that holds it.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The node's mempool took it and dropped it later, because what came before it made it invalid. It is in no block so
    /// far; unless its sequence is used up, a node that still holds it may propose it.
    #[error("the node took the transaction {} and dropped it later, as a new one would be {_0}", _0.hash)]
    Dropped(Box<Refusal>),
    /// The node holds this very transaction, to the byte, as an equal one of the same sequence was submitted before.
    #[error(
        "the node holds this very transaction already, {hash}: nothing new was sent; for a second one wait until it is in a block"
    )]
    Known {
        /// The hash in upper-case hexadecimal.
        hash: String,
    },
    /// The node may have taken the transaction, and then did not say what became of it.
    #[error("what became of the transaction {hash} is not known: {source}; it may still get into a block")]
    OutcomeUnknown {
        /// The hash in upper-case hexadecimal.
        hash: String,
        /// What the node answered instead.
        source: Box<rpc::Error>,
    },
    /// The transaction was not in a block in time. It may still get there.
    #[error("the transaction {hash} was not in a block within {waited:?}; it may still get there")]
    NotIncluded {
        /// The hash in upper-case hexadecimal.
        hash: String,
        /// How long was waited.
        waited: Duration,
    },
    /// An answer of the application has another form than expected.
    #[error("unexpected answer to {path}: {why}")]
    Answer {
        /// What was asked.
        path: String,
        /// What was expected.
        why: String,
    },
    /// A response has another form than its message's.
    #[error(transparent)]
    Response(#[from] ResponseError),
    /// The fee does not fit a number.
    #[error("the fee for {gas} gas at {atto_per_gas} times 10^-18 a unit is too large to be paid")]
    FeeOverflow {
        /// The gas limit.
        gas: u64,
        /// The base fee.
        atto_per_gas: u128,
    },
}

/// Why a transaction was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("refused by {codespace} with code {code}: {log}")]
pub struct Refusal {
    /// The hash in upper-case hexadecimal.
    pub hash: String,
    /// Whose code it is.
    pub codespace: String,
    /// The code.
    pub code: u32,
    /// What was expected.
    pub log: String,
    /// What the block made of it; none where it never got into one.
    pub outcome: Option<Outcome>,
}

impl Refusal {
    /// Another transaction used the sequence, or has it in the mempool.
    pub fn is_sequence_taken(&self) -> bool {
        self.outcome.is_none() && is_sdk(&self.codespace, self.code, code::WRONG_SEQUENCE)
    }
}

impl Error {
    /// Another transaction of the signer came first: the sequence was used, or is by one that waits in the mempool.
    pub fn is_sequence_taken(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_sequence_taken(),
            Self::Simulation { codespace, code, .. } => is_sdk(codespace, *code, code::WRONG_SEQUENCE),
            _ => false,
        }
    }

    /// The base fee rose above the fee before the mempool had it.
    pub(super) fn is_fee_overtaken(&self) -> bool {
        matches!(self, Self::Refused(refusal)
            if refusal.outcome.is_none() && is_sdk(&refusal.codespace, refusal.code, code::INSUFFICIENT_FEE))
    }
}

fn is_sdk(codespace: &str, code: u32, expected: u32) -> bool {
    codespace == "sdk" && code == expected
}

/// A query that fails with another code than queries have is a simulation that a module refused; gRPC calls it unknown.
pub(super) fn refused_simulation(error: Error) -> Error {
    match error {
        Error::Query { codespace, code, log, .. } if log.contains("code = Unknown desc = ") => {
            let reason = plain(&log);
            let reason = reason.rsplit_once(" with gas used: '").map_or(reason, |(reason, _)| reason);
            Error::Simulation { codespace, code, log: reason.to_owned() }
        }
        other => other,
    }
}

/// A query's reason without the words that gRPC puts around it.
fn plain(log: &str) -> &str {
    let inner = log.split_once(" desc = ").map_or(log, |(_, reason)| reason);
    inner.strip_suffix(": key not found").unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_error_is_shown_without_the_words_around_it() {
        let log = "rpc error: code = NotFound desc = order 5 not found: key not found";
        assert_eq!(plain(log), "order 5 not found");
        assert_eq!(plain("something else"), "something else");
    }
}
