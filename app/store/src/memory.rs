//! The store of tests and simulations: the same tries over ordered maps, with every height since the first.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;
use kernel::{
    AppHash, Backend, Change, Changes, Fatal, HeightError, KeyRange, Proof, Space, Staged, StoreId, View,
};

use crate::{
    candidate,
    forest::{Forest, Limits},
    history,
};

/// A store in memory. Every height since the first can be read and rolled back to; every height since the last
/// rollback can be proven.
#[derive(Clone)]
pub struct MemoryBackend {
    inner: Arc<RwLock<Inner>>,
}

struct Inner {
    forest: Forest,
    current: BTreeMap<(Space, Bytes), Bytes>,
    /// (space, key, height of the block that changed it) -> the value before.
    undo: BTreeMap<(Space, Bytes, u64), Option<Bytes>>,
    /// The changed keys and the app hash of each height.
    heights: BTreeMap<u64, Committed>,
    rollbacks: u64,
}

struct Committed {
    app_hash: AppHash,
    keys: Vec<(Space, Bytes)>,
}

/// The state at one height of a [`MemoryBackend`].
struct MemoryView {
    inner: Arc<RwLock<Inner>>,
    height: u64,
    rollbacks: u64,
}

impl MemoryBackend {
    /// An empty store for modules whose ids and names are all different.
    #[must_use]
    pub fn new(stores: &[(StoreId, &'static str)]) -> Self {
        let inner = Inner {
            forest: Forest::new(stores, Limits { heights: u64::MAX, bytes: u64::MAX }),
            current: BTreeMap::new(),
            undo: BTreeMap::new(),
            heights: BTreeMap::new(),
            rollbacks: 0,
        };
        Self { inner: Arc::new(RwLock::new(inner)) }
    }

    fn view_at(&self, inner: &Inner, height: u64) -> MemoryView {
        MemoryView { inner: Arc::clone(&self.inner), height, rollbacks: inner.rollbacks }
    }
}

impl Backend for MemoryBackend {
    fn view(&self, height: Option<u64>) -> Result<Arc<dyn View>, HeightError> {
        let inner = read(&self.inner);
        let height = inner.resolve(height)?;
        Ok(Arc::new(self.view_at(&inner, height)))
    }

    fn stage(&self, base: &dyn View, changes: Changes) -> Result<Staged, Fatal> {
        let nodes = read(&self.inner).forest.stage(base.height(), &changes)?;
        Ok(candidate::staged(nodes, changes))
    }

    fn commit(&self, staged: Staged, height: u64) -> Result<Arc<dyn View>, Fatal> {
        let mut inner = write(&self.inner);
        let (nodes, changes) = candidate::checked(staged, height, inner.last(), &inner.forest)?;
        let app_hash = nodes.app_hash;
        let mut keys = Vec::with_capacity(changes.len());
        for ((space, key), Change { old, new }) in changes {
            inner.undo.insert((space, key.clone(), height), old);
            inner.put(space, key.clone(), new);
            keys.push((space, key));
        }
        inner.heights.insert(height, Committed { app_hash, keys });
        inner.forest.commit(nodes, height)?;
        Ok(Arc::new(self.view_at(&inner, height)))
    }

    fn last(&self) -> Option<(u64, AppHash)> {
        read(&self.inner).last()
    }

    fn prove(&self, height: Option<u64>, store: &str, key: &[u8]) -> Result<Proof, HeightError> {
        let inner = read(&self.inner);
        let height = inner.resolve(height)?;
        let evidence = inner.forest.evidence(height, store, key)?;
        let space = Space::State(evidence.store());
        Ok(evidence.complete(height, key, |key| Ok(inner.get(height, space, key)))?)
    }

    fn rollback(&self) -> Result<u64, Fatal> {
        let mut inner = write(&self.inner);
        let (last, before) = candidate::rollback_target(inner.last(), inner.heights.keys().next().copied())?;
        let keys = inner.heights.get(&last).map(|committed| committed.keys.clone()).unwrap_or_default();
        let undone = |(space, key): (Space, Bytes)| {
            let old = inner.undo.get(&(space, key.clone(), last)).cloned().flatten();
            let new = inner.current.get(&(space, key.clone())).cloned();
            ((space, key), Change { old: new, new: old })
        };
        let changes: Changes = keys.into_iter().map(undone).collect();
        let nodes = inner.forest.stage(last, &changes)?;
        let expected = inner.heights.get(&before).map(|committed| committed.app_hash);
        candidate::same_hash(before, expected, nodes.app_hash)?;
        for ((space, key), change) in changes {
            inner.undo.remove(&(space, key.clone(), last));
            inner.put(space, key, change.new);
        }
        inner.heights.remove(&last);
        inner.forest.roll_back(nodes, before)?;
        inner.rollbacks = inner.rollbacks.saturating_add(1);
        Ok(before)
    }
}

impl Inner {
    fn last(&self) -> Option<(u64, AppHash)> {
        self.heights.last_key_value().map(|(height, committed)| (*height, committed.app_hash))
    }

    fn resolve(&self, asked: Option<u64>) -> Result<u64, HeightError> {
        let latest = self.last().map_or(0, |(height, _)| height);
        let oldest = self.heights.keys().next().copied().unwrap_or(0);
        candidate::in_window(asked, oldest, latest)
    }

    fn put(&mut self, space: Space, key: Bytes, value: Option<Bytes>) {
        match value {
            Some(value) => self.current.insert((space, key), value),
            None => self.current.remove(&(space, key)),
        };
    }

    fn get(&self, height: u64, space: Space, key: &[u8]) -> Option<Bytes> {
        let key = Bytes::copy_from_slice(key);
        let above = (space, key.clone(), height.saturating_add(1))..=(space, key.clone(), u64::MAX);
        match self.undo.range(above).next() {
            Some((_, old)) => old.clone(),
            None => self.current.get(&(space, key)).cloned(),
        }
    }

    fn scan<E: From<Fatal>>(
        &self,
        height: u64,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
        step: impl Fn() -> Result<(), E>,
    ) -> Result<Vec<history::Row>, E> {
        let start = Bytes::copy_from_slice(range.start);
        let end = range.end.map(Bytes::copy_from_slice);
        if end.as_ref().is_some_and(|end| *end <= start) {
            return Ok(Vec::new());
        }
        let inside = |other: Space, key: &Bytes| other == space && end.as_ref().is_none_or(|end| key < end);
        let current = self.current.range((space, start)..);
        let current = current
            .take_while(|((other, key), _)| inside(*other, key))
            .map(|((_, key), value)| Ok((key.clone(), value.clone())));
        let undo = |key: &[u8], height| {
            let found = self.undo.range((space, Bytes::copy_from_slice(key), height)..).next();
            let found = found.filter(|((other, key, _), _)| inside(*other, key));
            Ok(found.map(|((_, key, height), old)| (key.clone(), *height, old.clone())))
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if self.last().map_or(0, |(last, _)| last) == height {
            return Ok(current.take(limit).collect::<Result<_, Fatal>>()?);
        }
        history::rows_at(height, range.start, current, undo, limit, step)
    }
}

impl View for MemoryView {
    fn height(&self) -> u64 {
        self.height
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal> {
        let inner = read(&self.inner);
        candidate::still_valid(self.rollbacks == inner.rollbacks, self.height)?;
        Ok(inner.get(self.height, space, key))
    }

    fn scan(&self, space: Space, range: KeyRange<'_>, limit: u32) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        let inner = read(&self.inner);
        candidate::still_valid(self.rollbacks == inner.rollbacks, self.height)?;
        inner.scan(self.height, space, range, limit, || Ok(()))
    }

    fn scan_in_steps(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
        step: &dyn Fn() -> kernel::Result<()>,
    ) -> kernel::Result<Vec<(Bytes, Bytes)>> {
        let inner = read(&self.inner);
        candidate::still_valid(self.rollbacks == inner.rollbacks, self.height)?;
        inner.scan(self.height, space, range, limit, step)
    }
}

fn read(lock: &RwLock<Inner>) -> RwLockReadGuard<'_, Inner> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(lock: &RwLock<Inner>) -> RwLockWriteGuard<'_, Inner> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
