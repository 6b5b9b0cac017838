//! What only a store with a disk needs: its tries built from its records, and how large they are.

use bytes::Bytes;
use kernel::StoreId;

use super::Forest;
use crate::{
    Broken, hash,
    stage::{INNER_BYTES, LEAF_BYTES, Update},
};

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

    /// Says which height the only state has, after a rebuild.
    pub(crate) fn set_height(&mut self, height: u64) {
        if let Some(state) = self.states.back_mut() {
            state.height = height;
        }
    }

    /// The number of records of each store, and the nodes and bytes of all tries.
    pub(crate) fn sizes(&self) -> (Vec<(&'static str, u64)>, u64, u64) {
        let keys = self.states.back().map(|state| state.roots.as_slice()).unwrap_or_default();
        let keys = self.stores.iter().zip(keys).map(|(store, root)| (store.name, root.keys)).collect();
        let (mut nodes, mut bytes) = (0_u64, 0_u64);
        for store in &self.stores {
            let (inners, leaves) = (&store.trie.inners, &store.trie.leaves);
            nodes = nodes.saturating_add(inners.used()).saturating_add(leaves.used());
            let of = |places: u32, bytes: u64| u64::from(places).saturating_mul(bytes);
            bytes = bytes.saturating_add(of(inners.places(), INNER_BYTES));
            bytes = bytes.saturating_add(of(leaves.places(), LEAF_BYTES));
        }
        (keys, nodes, bytes)
    }

    /// Sets the records of a store that has none, in the only state there is.
    fn fill(&mut self, index: usize, leaves: &[Update]) -> Result<(), Broken> {
        let store = self.stores.get_mut(index).ok_or(Broken)?;
        let root = self.states.back_mut().and_then(|state| state.roots.get_mut(index)).ok_or(Broken)?;
        let staged = store.trie.stage(root, leaves)?;
        *root = store.trie.adopt(staged)?.0;
        Ok(())
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
