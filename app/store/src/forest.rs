//! The tries of all modules, at the heights that can still be proven.

#[cfg(feature = "rocksdb")]
mod build;

use std::collections::VecDeque;

use bytes::Bytes;
use kernel::{AppHash, Changes, Fatal, HeightError, Proof, Space, StoreId};

use crate::{
    Broken,
    hash::{self, Hash},
    proof, roots,
    stage::{Replaced, StagedTrie, Update},
    trie::{Finding, Path, Root, Trie},
};

/// All tries.
pub(crate) struct Forest {
    /// Sorted by name, as the map of roots is.
    stores: Vec<Store>,
    /// The states that have their nodes, oldest first; never empty.
    states: VecDeque<State>,
    limits: Limits,
    /// What the nodes of all states but the latest hold.
    replaced_bytes: u64,
    /// How often history was taken back: a candidate from before is worth nothing after.
    rollbacks: u64,
}

/// How much of the past stays provable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Heights before the last one.
    pub(crate) heights: u64,
    /// Bytes of nodes that the last height does not use.
    pub(crate) bytes: u64,
}

struct Store {
    id: StoreId,
    name: &'static str,
    trie: Trie,
}

struct State {
    height: u64,
    /// In the order of the stores.
    roots: Vec<Root>,
    /// By index of the store: what the state before uses and this one does not.
    replaced: Vec<(usize, Replaced)>,
}

/// A candidate state of all tries.
pub(crate) struct StagedForest {
    base: u64,
    rollbacks: u64,
    /// By index of the store; only those that change.
    tries: Vec<(usize, StagedTrie)>,
    pub(crate) app_hash: AppHash,
    pub(crate) nodes_hashed: u64,
}

/// What proves a key's presence or absence, still without the values.
pub(crate) struct Evidence {
    id: StoreId,
    name: &'static str,
    root: Hash,
    finding: Finding,
    siblings: Vec<crate::trie::Sibling>,
}

/// One changed record.
struct Entry<'a> {
    store: usize,
    key: &'a Bytes,
    value: Option<&'a [u8]>,
}

impl Forest {
    /// Empty tries at height 0.
    pub(crate) fn new(stores: &[(StoreId, &'static str)], limits: Limits) -> Self {
        let mut stores: Vec<Store> =
            stores.iter().map(|(id, name)| Store { id: *id, name, trie: Trie::new() }).collect();
        stores.sort_by_key(|store| store.name);
        let roots = vec![Root::default(); stores.len()];
        let states = VecDeque::from([State { height: 0, roots, replaced: Vec::new() }]);
        Self { stores, states, limits, replaced_bytes: 0, rollbacks: 0 }
    }

    /// Works out the state after `changes` on the one of height `base`.
    pub(crate) fn stage(&self, base: u64, changes: &Changes) -> Result<StagedForest, Fatal> {
        let state = self.state(base).ok_or_else(|| {
            Fatal::Storage(format!(
                "nothing can be staged on height {base}: its tries are no longer in memory"
            ))
        })?;
        let mut updates = hash::parallel(&self.entries(changes)?, update);
        updates.sort_unstable_by(|a, b| a.store.cmp(&b.store).then_with(|| a.hash.cmp(&b.hash)));
        let mut roots: Vec<(&str, Hash)> =
            self.stores.iter().zip(&state.roots).map(|(store, root)| (store.name, root.hash())).collect();
        let mut nodes_hashed =
            u64::try_from(updates.iter().filter(|update| update.leaf.is_some()).count()).unwrap_or(0);
        let mut tries = Vec::new();
        for group in updates.chunk_by(|a, b| a.store == b.store) {
            let index = group.first().ok_or(Broken)?.store;
            let store = self.stores.get(index).ok_or(Broken)?;
            let root = state.roots.get(index).ok_or(Broken)?;
            let staged = store.trie.stage(root, group)?;
            nodes_hashed = nodes_hashed.saturating_add(staged.inners_hashed());
            roots.get_mut(index).ok_or(Broken)?.1 = staged.root.hash();
            tries.push((index, staged));
        }
        let app_hash = roots::app_hash(&roots);
        Ok(StagedForest { base, rollbacks: self.rollbacks, tries, app_hash, nodes_hashed })
    }

    /// Whether a candidate was staged on the last state.
    pub(crate) fn fits(&self, staged: &StagedForest) -> bool {
        staged.base == self.last().0 && staged.rollbacks == self.rollbacks
    }

    /// Makes a candidate the last state, and gives up the oldest ones beyond the limits.
    pub(crate) fn commit(&mut self, staged: StagedForest, height: u64) -> Result<(), Broken> {
        let mut roots = self.states.back().ok_or(Broken)?.roots.clone();
        let mut replaced = Vec::with_capacity(staged.tries.len());
        for (index, staged) in staged.tries {
            let (root, old) = self.stores.get_mut(index).ok_or(Broken)?.trie.adopt(staged)?;
            *roots.get_mut(index).ok_or(Broken)? = root;
            self.replaced_bytes = self.replaced_bytes.saturating_add(old.bytes());
            replaced.push((index, old));
        }
        self.states.push_back(State { height, roots, replaced });
        let oldest_wanted = height.saturating_sub(self.limits.heights);
        while self.states.len() > 1
            && (self.oldest() < oldest_wanted || self.replaced_bytes > self.limits.bytes)
        {
            self.drop_oldest()?;
        }
        Ok(())
    }

    /// Puts a candidate, staged from the undo of the last state, in the place of all states: what was before it
    /// can't be proven any more.
    pub(crate) fn roll_back(&mut self, staged: StagedForest, height: u64) -> Result<(), Broken> {
        self.commit(staged, height)?;
        while self.states.len() > 1 {
            self.drop_oldest()?;
        }
        self.rollbacks = self.rollbacks.saturating_add(1);
        Ok(())
    }

    fn drop_oldest(&mut self) -> Result<(), Broken> {
        self.states.pop_front();
        for (index, replaced) in std::mem::take(&mut self.states.front_mut().ok_or(Broken)?.replaced) {
            self.replaced_bytes = self.replaced_bytes.saturating_sub(replaced.bytes());
            self.stores.get_mut(index).ok_or(Broken)?.trie.release(&replaced);
        }
        Ok(())
    }

    /// The oldest height that can be proven.
    pub(crate) fn oldest(&self) -> u64 {
        self.states.front().map_or(0, |state| state.height)
    }

    /// The last height and its app hash.
    pub(crate) fn last(&self) -> (u64, AppHash) {
        let Some(state) = self.states.back() else { return (0, roots::app_hash(&[])) };
        (state.height, roots::app_hash(&self.roots(state)))
    }

    /// Collects what proves a key of a named store at a height.
    pub(crate) fn evidence(&self, height: u64, name: &str, key: &[u8]) -> Result<Evidence, HeightError> {
        let index = self.stores.iter().position(|store| store.name == name);
        let index = index.ok_or_else(|| HeightError::UnknownStore(name.into()))?;
        let state = self.state(height).ok_or_else(|| HeightError::OutOfWindow {
            asked: height,
            oldest: self.oldest(),
            latest: self.last().0,
        })?;
        let store = self.stores.get(index).ok_or(Fatal::from(Broken))?;
        let root = state.roots.get(index).ok_or(Fatal::from(Broken))?;
        let finding = store.trie.find(root, key).map_err(Fatal::from)?;
        let siblings = roots::path(&self.roots(state), index);
        Ok(Evidence { id: store.id, name: store.name, root: root.hash(), finding, siblings })
    }

    /// The place of a store.
    pub(crate) fn index(&self, id: StoreId) -> Option<usize> {
        self.stores.iter().position(|store| store.id == id)
    }

    fn state(&self, height: u64) -> Option<&State> {
        self.states.iter().rev().find(|state| state.height == height)
    }

    fn roots(&self, state: &State) -> Vec<(&'static str, Hash)> {
        self.stores.iter().zip(&state.roots).map(|(store, root)| (store.name, root.hash())).collect()
    }

    /// The changed records with the index of their store. Derived entries are in no trie.
    fn entries<'a>(&self, changes: &'a Changes) -> Result<Vec<Entry<'a>>, Fatal> {
        let mut entries = Vec::with_capacity(changes.len());
        for ((space, key), change) in changes {
            let (Space::State(id) | Space::Derived(id)) = *space;
            let store = self.index(id);
            let store = store.ok_or_else(|| invariant(format!("store {} is not registered", id.0)))?;
            if matches!(space, Space::Derived(_)) {
                continue;
            }
            let value = change.new.as_deref();
            // ICS-23 can't prove either.
            if key.is_empty() || value.is_some_and(<[u8]>::is_empty) {
                return Err(invariant(format!("a key or a value of store {} is empty", id.0)));
            }
            entries.push(Entry { store, key, value });
        }
        Ok(entries)
    }
}

fn invariant(detail: String) -> Fatal {
    Fatal::Invariant { name: "store/changes", detail }
}

fn update(entry: &Entry<'_>) -> Update {
    let hash = hash::sha256(entry.key);
    let leaf = entry.value.map(|value| hash::leaf(&hash, value));
    Update { store: entry.store, hash, key: entry.key.clone(), leaf }
}

impl Evidence {
    pub(crate) const fn store(&self) -> StoreId {
        self.id
    }

    /// The proof, with values that `read` takes from the same height.
    pub(crate) fn complete(
        self,
        height: u64,
        key: &[u8],
        read: impl Fn(&[u8]) -> Result<Option<Bytes>, Fatal>,
    ) -> Result<Proof, Fatal> {
        let value = read(key)?;
        let existence = |path: Path| {
            let value = read(&path.key)?.ok_or_else(|| self.corrupt(&path.key))?;
            Ok::<_, Fatal>(proof::existence(path, value.to_vec()))
        };
        let in_trie = match &self.finding {
            Finding::Present(path) => proof::present(key, existence(path.clone())?),
            Finding::Absent { left: None, right: None } => {
                return Err(invariant(format!("store {} has no record: absence can't be proven", self.id.0)));
            }
            Finding::Absent { left, right } => {
                let left = left.clone().map(existence).transpose()?;
                proof::absent(key, left, right.clone().map(existence).transpose()?)
            }
        };
        if value.is_some() != matches!(self.finding, Finding::Present(_)) {
            return Err(self.corrupt(key));
        }
        let ops = vec![in_trie, proof::in_roots(self.name, &self.root, &self.siblings)];
        Ok(Proof { height, value, ops })
    }

    fn corrupt(&self, key: &[u8]) -> Fatal {
        Fatal::Corrupt { store: self.id, key: Bytes::copy_from_slice(key) }
    }
}
