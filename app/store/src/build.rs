//! Builds the tries from records that are there, as a store does when it is opened.

use bytes::Bytes;
use kernel::StoreId;

use crate::{Broken, forest::Forest, hash, stage::Update};

/// Tries that are being built, one store after another.
pub(crate) struct Build<'a> {
    forest: &'a mut Forest,
    /// The index of the store whose leaves these are.
    store: Option<usize>,
    leaves: Vec<Update>,
}

impl Forest {
    /// Starts on tries that are empty.
    pub(crate) const fn build(&mut self) -> Build<'_> {
        Build { forest: self, store: None, leaves: Vec::new() }
    }
}

impl Build<'_> {
    /// Whether there is a store of this id.
    pub(crate) fn knows(&self, id: StoreId) -> bool {
        self.forest.index(id).is_some()
    }

    /// Adds records of a store; all those of one store come before those of another.
    pub(crate) fn add(&mut self, id: Option<StoreId>, records: &[(Bytes, Bytes)]) -> Result<(), Broken> {
        let index = id.and_then(|id| self.forest.index(id));
        if index != self.store {
            self.finish_store()?;
            self.store = index;
        }
        let Some(store) = index else { return Ok(()) };
        self.leaves.extend(hash::parallel(records, |(key, value)| {
            let hash = hash::sha256(key);
            Update { store, hash, key: key.clone(), leaf: Some(hash::leaf(&hash, value)) }
        }));
        Ok(())
    }

    /// Builds the last store's trie.
    pub(crate) fn finish(mut self) -> Result<(), Broken> {
        self.finish_store()
    }

    fn finish_store(&mut self) -> Result<(), Broken> {
        let mut leaves = std::mem::take(&mut self.leaves);
        leaves.sort_unstable_by_key(|update| update.hash);
        self.store.map_or(Ok(()), |index| self.forest.fill(index, &leaves))
    }
}
