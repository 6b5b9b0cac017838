//! The durable store: RocksDB for state, derived entries and undo, the tries in memory.

mod archive;
mod database;
mod hints;
mod layout;
mod logs;
mod open;
mod prune;
mod rows;
mod view;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use kernel::{AppHash, Backend, Change, Changes, Fatal, HeightError, Proof, Space, Staged, StoreId, View};
use rocksdb::{ColumnFamily, WriteBatch};

use crate::{
    candidate,
    forest::{Forest, StagedForest},
    hash,
};
use database::{Database, malformed};
use hints::Hints;
use layout::Last;
use prune::Pruner;
use rows::RowCache;
use view::RocksView;

pub use archive::Archive;
pub use open::OpenError;

/// How a [`RocksBackend`] is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The modules' stores; ids and names are all different.
    pub stores: Vec<(StoreId, &'static str)>,
    /// How many heights before the last one can be read, and proven if they are not from before the last opening or
    /// rollback. 256.
    pub history: u64,
    /// Bytes of trie nodes that are kept for proofs at past heights; beyond it fewer heights can be proven, while
    /// all can be read. 256 MiB.
    pub proof_bytes: u64,
    /// Bytes of RocksDB's block cache. 256 MiB.
    pub cache_bytes: usize,
    /// How many rows of the last height are kept ready, at 56 bytes a place and up to 1 kB a row. 262,144.
    pub rows_cached: usize,
    /// Whether a commit is synced to disk. Only benchmarks and tests of other things set it to false.
    pub sync: bool,
}

impl Options {
    /// The usual options for these stores.
    #[must_use]
    pub fn new(stores: &[(StoreId, &'static str)]) -> Self {
        Self {
            stores: stores.to_vec(),
            history: 256,
            proof_bytes: 256 << 20,
            cache_bytes: 256 << 20,
            rows_cached: 1 << 18,
            sync: true,
        }
    }
}

/// What a store holds, for metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Records under each trie, by name of the store.
    pub keys: Vec<(&'static str, u64)>,
    /// Trie nodes in memory, those of past heights included.
    pub trie_nodes: u64,
    /// Bytes that they take, with keys at their usual size.
    pub trie_bytes: u64,
    /// Undo rows, as RocksDB estimates them.
    pub undo_rows: u64,
    /// Bytes of the database's files.
    pub disk_bytes: u64,
}

/// The durable store. It holds a lock on its directory: a second one can't be opened on it.
pub struct RocksBackend {
    core: Arc<Core>,
    pruner: Pruner,
}

struct Core {
    database: Database,
    history: u64,
    forest: RwLock<Forest>,
    hints: Mutex<Hints>,
    rows: RowCache,
    last: RwLock<Option<Last>>,
    writer: Mutex<Writer>,
    /// The height of the last batch that began to be written.
    writing: AtomicU64,
    /// Views below this height have ended.
    pruned_to: AtomicU64,
    /// Views from before a rollback have ended.
    rollbacks: AtomicU64,
}

/// The two families that hold the latest version.
struct Records<'a> {
    state: &'a ColumnFamily,
    derived: &'a ColumnFamily,
    /// The name of the row that is being written.
    name: Vec<u8>,
}

/// What only the writer needs.
struct Writer {
    /// Why nothing is written any more.
    failed: Option<String>,
}

impl Backend for RocksBackend {
    fn view(&self, height: Option<u64>) -> Result<Arc<dyn View>, HeightError> {
        let last = read(&self.core.last);
        let height = resolve(height, last.as_ref())?;
        Ok(self.view_at(height))
    }

    fn stage(&self, base: &dyn View, changes: Changes) -> Result<Staged, Fatal> {
        let nodes = read(&self.core.forest).stage(base.height(), &changes)?;
        Ok(candidate::staged(nodes, changes))
    }

    fn commit(&self, staged: Staged, height: u64) -> Result<Arc<dyn View>, Fatal> {
        let core = &self.core;
        let mut writer = lock(&core.writer);
        writer.refuse_after_failure()?;
        let before = *read(&core.last);
        let (nodes, changes) = candidate::checked(
            staged,
            height,
            before.map(|last| (last.height, last.app_hash)),
            &read(&core.forest),
        )?;
        let last = Last {
            height,
            app_hash: nodes.app_hash,
            first: before.map_or(height, |last| last.first),
            pruned_to: height.saturating_sub(core.history).max(before.map_or(0, |last| last.pruned_to)),
        };
        core.writing.store(height, SeqCst);
        // The cache follows while the batch is made and written, which takes as long: it serves no view until the commit is
        // complete, nor after a failure.
        let commit = || core.database.write(core.commit_batch(&last, &changes)?);
        let (written, ()) = hash::both(changes.len(), commit, || core.rows.advance(&changes));
        writer.or_fail(written)?;
        let adopted = write(&core.forest).commit(nodes, height);
        writer.or_fail(adopted.map_err(Fatal::from))?;
        lock(&core.hints).advance(height, &changes);
        core.pruned_to.store(last.pruned_to, SeqCst);
        *write(&core.last) = Some(last);
        drop(writer);
        self.pruner.block_committed(changes);
        Ok(self.view_at(height))
    }

    fn last(&self) -> Option<(u64, AppHash)> {
        read(&self.core.last).map(|last| (last.height, last.app_hash))
    }

    fn prove(&self, height: Option<u64>, store: &str, key: &[u8]) -> Result<Proof, HeightError> {
        let view = self.view(height)?;
        let evidence = read(&self.core.forest).evidence(view.height(), store, key)?;
        let space = Space::State(evidence.store());
        Ok(evidence.complete(view.height(), key, |key| view.get(space, key))?)
    }

    fn rollback(&self) -> Result<u64, Fatal> {
        let core = &self.core;
        let mut writer = lock(&core.writer);
        writer.refuse_after_failure()?;
        // Nobody gets a view while what it would read is changing.
        let mut last = write(&core.last);
        let current = last
            .ok_or_else(|| Fatal::Storage("nothing is committed: there is no height to go back to".into()))?;
        let (height, before) =
            candidate::rollback_target(Some((current.height, current.app_hash)), Some(current.oldest()))?;
        let (changes, rows) = core.undone(height)?;
        let nodes = read(&core.forest).stage(height, &changes)?;
        candidate::same_hash(before, core.stored_hash(before)?, nodes.app_hash)?;
        let target = Last { height: before, app_hash: nodes.app_hash, ..current };
        let batch = core.rollback_batch(height, &target, &changes, rows)?;
        core.rollbacks.fetch_add(1, SeqCst);
        core.writing.store(before, SeqCst);
        writer.or_fail(core.database.write(batch))?;
        let adopted = core.take_back(nodes, before);
        writer.or_fail(adopted)?;
        *last = Some(target);
        Ok(before)
    }
}

impl RocksBackend {
    /// What the store holds.
    pub fn sizes(&self) -> Result<Sizes, Fatal> {
        let (keys, trie_nodes, trie_bytes) = read(&self.core.forest).sizes();
        let undo_rows = self.core.database.keys_estimated(layout::UNDO)?;
        let disk_bytes = directory_bytes(self.core.database.path().to_path_buf())?;
        Ok(Sizes { keys, trie_nodes, trie_bytes, undo_rows, disk_bytes })
    }

    /// Replaces all derived entries of the last height, in one synced write, when they were found to differ from the records.
    pub fn replace_derived<'a>(
        &self,
        entries: impl Iterator<Item = (StoreId, &'a [u8])>,
    ) -> Result<(), Fatal> {
        let core = &self.core;
        let mut writer = lock(&core.writer);
        writer.refuse_after_failure()?;
        let height = self.last().map_or(0, |(height, _)| height);
        let mut batch = WriteBatch::default();
        let mut records = core.records()?;
        batch.delete_range_cf(records.derived, [].as_slice(), [u8::MAX; 2].as_slice());
        for (store, key) in entries {
            records.put(&mut batch, Space::Derived(store), key, Some(&[]));
        }
        writer.or_fail(core.database.write(batch))?;
        *lock(&core.hints) = Hints::new(height);
        core.rows.clear();
        Ok(())
    }

    fn view_at(&self, height: u64) -> Arc<dyn View> {
        let rollbacks = self.core.rollbacks.load(SeqCst);
        Arc::new(RocksView { core: Arc::clone(&self.core), height, rollbacks })
    }
}

impl Core {
    /// State, derived entries, undo, height and app hash of a block, each family in the order of its keys.
    fn commit_batch(&self, last: &Last, changes: &Changes) -> Result<WriteBatch, Fatal> {
        let mut batch = WriteBatch::with_capacity_bytes(batch_bytes(changes));
        let mut records = self.records()?;
        let undo = self.database.family(layout::UNDO)?;
        let (mut row, mut old, mut listed) = (Vec::new(), Vec::new(), Vec::new());
        let mut part = 0_u32;
        for (index, ((space, key), change)) in changes.iter().enumerate() {
            if index % layout::LISTED_KEYS_MAX == 0 && index > 0 {
                batch.put_cf(undo, layout::list(last.height, part), &listed);
                listed.clear();
                part = part.saturating_add(1);
            }
            records.put(&mut batch, *space, key, change.new.as_deref());
            row.clear();
            layout::write_undo(*space, key, last.height, &mut row);
            old.clear();
            layout::write_old(change.old.as_deref(), &mut old);
            batch.put_cf(undo, &row, &old);
            layout::encode_listed(*space, key, &mut listed);
        }
        // Also for a block that changes nothing: a height without a list has lost its undo.
        if !listed.is_empty() || part == 0 {
            batch.put_cf(undo, layout::list(last.height, part), &listed);
        }
        let meta = self.database.family(layout::META)?;
        batch.put_cf(meta, layout::META_LAST, last.encode());
        batch.put_cf(meta, layout::block(last.height), last.app_hash);
        Ok(batch)
    }

    fn rollback_batch(
        &self,
        height: u64,
        target: &Last,
        changes: &Changes,
        rows: Vec<Vec<u8>>,
    ) -> Result<WriteBatch, Fatal> {
        let mut batch = WriteBatch::default();
        let mut records = self.records()?;
        let undo = self.database.family(layout::UNDO)?;
        for ((space, key), change) in changes {
            records.put(&mut batch, *space, key, change.new.as_deref());
            batch.delete_cf(undo, layout::undo(*space, key, height));
        }
        for row in rows {
            batch.delete_cf(undo, row);
        }
        let meta = self.database.family(layout::META)?;
        batch.put_cf(meta, layout::META_LAST, target.encode());
        batch.delete_cf(meta, layout::block(height));
        Ok(batch)
    }

    fn records(&self) -> Result<Records<'_>, Fatal> {
        let (state, derived) = (self.database.family(layout::STATE)?, self.database.family(layout::DERIVED)?);
        Ok(Records { state, derived, name: Vec::new() })
    }

    /// What takes the block of `height` back, and the rows of its list.
    fn undone(&self, height: u64) -> Result<(Changes, Vec<Vec<u8>>), Fatal> {
        let (start, end) = (layout::list_from(height), layout::list_from(height.saturating_add(1)));
        let mut rows = self.database.rows(layout::UNDO, start, Some(end))?;
        let (mut changes, mut listed) = (Changes::new(), Vec::new());
        while let Some(row) = rows.next_with(|row, keys| {
            let keys = layout::decode_listed(keys).ok_or_else(|| malformed(layout::UNDO, row))?;
            Ok((row.to_vec(), keys))
        }) {
            let (row, keys) = row?;
            for (space, key) in keys {
                let old = self.database.get(space, &key)?;
                let new = self.database.undo(space, &key, height)?;
                changes.insert((space, key), Change { old, new });
            }
            listed.push(row);
        }
        Ok((changes, listed))
    }

    fn stored_hash(&self, height: u64) -> Result<Option<AppHash>, Fatal> {
        let stored = self.database.meta(&layout::block(height))?;
        Ok(stored.and_then(|bytes| AppHash::try_from(bytes).ok()))
    }

    fn take_back(&self, nodes: StagedForest, height: u64) -> Result<(), Fatal> {
        write(&self.forest).roll_back(nodes, height)?;
        *lock(&self.hints) = Hints::new(height);
        self.rows.clear();
        Ok(())
    }
}

/// About the bytes of a commit's batch, rather more than fewer: a batch that grows is copied each time that it doubles.
fn batch_bytes(changes: &Changes) -> usize {
    /// Tags, lengths, prefixes and heights of a record, its undo and its place in the list.
    const FRAMES_BYTES: usize = 64;
    let value = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
    let bytes = |((_, key), change): (&(Space, Bytes), &Change)| {
        let keys = key.len().saturating_mul(3);
        keys.saturating_add(value(&change.old))
            .saturating_add(value(&change.new))
            .saturating_add(FRAMES_BYTES)
    };
    changes.iter().map(bytes).fold(FRAMES_BYTES, usize::saturating_add)
}

impl Records<'_> {
    fn put(&mut self, batch: &mut WriteBatch, space: Space, key: &[u8], value: Option<&[u8]>) {
        let family = if matches!(space, Space::State(_)) { self.state } else { self.derived };
        self.name.clear();
        layout::write_record(space, key, &mut self.name);
        match value {
            Some(value) => batch.put_cf(family, &self.name, value),
            None => batch.delete_cf(family, &self.name),
        }
    }
}

impl Writer {
    fn refuse_after_failure(&self) -> Result<(), Fatal> {
        match &self.failed {
            Some(reason) => Err(Fatal::Storage(format!("nothing is written after a failure: {reason}"))),
            None => Ok(()),
        }
    }

    /// A write is never retried: what follows a failure could rest on a write that was lost, so nothing is written
    /// after one.
    fn or_fail<T>(&mut self, result: Result<T, Fatal>) -> Result<T, Fatal> {
        result.inspect_err(|fatal| {
            self.failed.get_or_insert(fatal.to_string());
        })
    }
}

fn resolve(asked: Option<u64>, last: Option<&Last>) -> Result<u64, HeightError> {
    let (oldest, latest) = last.map_or((0, 0), |last| (last.oldest(), last.height));
    candidate::in_window(asked, oldest, latest)
}

/// The bytes of the files in a directory. RocksDB may delete one meanwhile, which is not an error.
fn directory_bytes(path: PathBuf) -> Result<u64, Fatal> {
    let entries = std::fs::read_dir(path).map_err(|error| Fatal::Storage(error.to_string()))?;
    let sizes = entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len());
    Ok(sizes.fold(0, u64::saturating_add))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
