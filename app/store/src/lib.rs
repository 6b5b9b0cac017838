//! The store: flat state, one Merkle trie a module over it, proofs, and the recent past. No domain words.
//!
//! ```text
//!   changes of a block ----> stage: new trie nodes, app hash      touches nothing; several candidates a height
//!                              |
//!                            commit: state + derived + undo + height and app hash, one batch, synced once
//!                              |
//!     view(h): current values, and above h the old ones from undo      prove(h): two ICS-23 steps
//! ```
//!
//! - [`MemoryBackend`] keeps everything in ordered maps, for tests. [`RocksBackend`] is the durable one. Both stand on
//!   the same tries, so they give the same hashes and the same proofs. [`Archive`] reads a home that no node runs on.
//! - The app hash is CometBFT's simple map over module name -> trie root ([`ROOTS_PROOF`], `ics23::tendermint_spec`); a
//!   trie is binary, ordered by key hash ([`TRIE_PROOF`], [`proof_spec`]).
//! - What holds: a view never changes; staging touches nothing; after a crash the state is that of the last synced
//!   commit; a failed write is never retried, and after one nothing is committed any more.

#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

mod bits;
mod candidate;
mod forest;
mod hash;
mod history;
mod memory;
mod proof;
#[cfg(feature = "rocksdb")]
mod rocks;
mod roots;
mod slab;
mod stage;
#[cfg(test)]
mod tests;
mod trie;

pub use candidate::nodes_hashed;
pub use memory::MemoryBackend;
pub use proof::{ROOTS_PROOF, TRIE_PROOF, proof_spec};
#[cfg(feature = "rocksdb")]
pub use rocks::{Archive, OpenError, Options, RocksBackend, Sizes};

use kernel::Fatal;

/// A trie node that must be there is not, or there can be no more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl From<Broken> for Fatal {
    fn from(_: Broken) -> Self {
        Self::Invariant { name: "store/trie", detail: "a node is missing or out of place".into() }
    }
}
