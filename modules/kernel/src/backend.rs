//! The store's seam: what the state machine needs of a store, and nothing of how one works.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;

use crate::error::{Fatal, Result};

/// The number of a module's store. Its name stands in proofs; the pair is fixed for ever in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreId(pub u8);

/// Where a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Records: under the module's Merkle trie, and so under the app hash.
    State(StoreId),
    /// Indexes and queues: a function of the records, outside the tries, covered by the derived digest.
    Derived(StoreId),
}

/// Keys from `start` (included) to `end` (excluded; `None`: to the end of the space), in ascending order.
#[derive(Clone, Copy, Debug)]
pub struct KeyRange<'a> {
    /// The first key that may be returned.
    pub start: &'a [u8],
    /// The first key that may not.
    pub end: Option<&'a [u8]>,
}

/// The state at one height; it never changes.
pub trait View: Send + Sync {
    /// The height of the last block that is in it; 0 before the first.
    fn height(&self) -> u64;
    /// The value of a key.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal>;
    /// At most `limit` entries of a range, in key order.
    fn scan(&self, space: Space, range: KeyRange<'_>, limit: u32) -> Result<Vec<(Bytes, Bytes)>, Fatal>;
    /// The same for whoever pays by the work. At a past height neither `limit` nor what is found bounds it: `step` is asked
    /// before each look into the history, and its error ends the scan.
    fn scan_in_steps(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
        _step: &dyn Fn() -> Result<()>,
    ) -> Result<Vec<(Bytes, Bytes)>> {
        Ok(self.scan(space, range, limit)?)
    }
}

/// One key's change in a block. `old` is what the base view holds, so that a store can keep it without reading again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The value before; `None`: absent.
    pub old: Option<Bytes>,
    /// The value after; `None`: removed.
    pub new: Option<Bytes>,
}

/// All that a block changes, sorted. Nothing in it has `old == new`.
pub type Changes = BTreeMap<(Space, Bytes), Change>;

/// The Merkle root over all stores.
pub type AppHash = [u8; 32];

/// A height that can't be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeightError {
    /// Older than what is kept, or not yet there.
    #[error("height {asked} is not available: this node holds {oldest} to {latest}")]
    OutOfWindow {
        /// The height that was asked.
        asked: u64,
        /// The oldest height that is there.
        oldest: u64,
        /// The last committed height.
        latest: u64,
    },
    /// No store of that name.
    #[error("unknown store {0:?}")]
    UnknownStore(String),
    /// A fault of this machine.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// One step of a proof, as CometBFT's `ProofOp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofOp {
    /// `ics23:underbid` for the module's trie, `ics23:simple` for the map of roots.
    pub kind: &'static str,
    /// The key that the step proves.
    pub key: Vec<u8>,
    /// An encoded ICS-23 `CommitmentProof`.
    pub data: Vec<u8>,
}

/// A value, or its absence, with the two steps that prove it against an app hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The height whose app hash it proves against: the one in the header of `height + 1`.
    pub height: u64,
    /// The value; `None`: the proof is of absence.
    pub value: Option<Bytes>,
    /// The trie's step, then the map's.
    pub ops: Vec<ProofOp>,
}

/// What `stage` worked out: the app hash and whatever `commit` needs to finish. It belongs to the view it was staged on.
pub struct Staged {
    /// The app hash after the changes.
    pub app_hash: AppHash,
    /// The changes themselves.
    pub changes: Changes,
    /// The store's own nodes.
    pub nodes: Box<dyn std::any::Any + Send + Sync>,
}

/// A store. One process, one writer: `commit` and `rollback` are never called at the same time.
pub trait Backend: Send + Sync {
    /// The state at a height; `None`: at the last committed one.
    fn view(&self, height: Option<u64>) -> Result<Arc<dyn View>, HeightError>;
    /// Works out the app hash of `base` with `changes`. It touches nothing, so several candidates of one height may be staged.
    fn stage(&self, base: &dyn View, changes: Changes) -> Result<Staged, Fatal>;
    /// Makes a staged candidate the state at `height`, in one synced batch. `base` of the stage must be the last committed view.
    fn commit(&self, staged: Staged, height: u64) -> Result<Arc<dyn View>, Fatal>;
    /// The last committed height and its app hash, from the same write; `None` before the first commit.
    fn last(&self) -> Option<(u64, AppHash)>;
    /// A proof for a key of a named store.
    fn prove(&self, height: Option<u64>, store: &str, key: &[u8]) -> Result<Proof, HeightError>;
    /// Goes back by exactly one height, in all spaces; returns the height that is now the last.
    fn rollback(&self) -> Result<u64, Fatal>;
}
