//! Opening a home: what it is, and its tries.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, RwLock, atomic::AtomicU64},
};

use bytes::Bytes;
use kernel::{Fatal, StoreId};
use rocksdb::WriteBatch;

use super::{
    Core, Options, RocksBackend, Writer,
    database::{Database, malformed},
    hints::Hints,
    layout::{self, Last},
    prune::Pruner,
    rows::RowCache,
};
use crate::{
    Broken,
    forest::{Forest, Limits},
};

/// Why a store can't be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Another version of this program wrote the directory.
    #[error("the store has format {found}, this binary reads and writes format {supported}")]
    Format {
        /// The format on disk.
        found: u32,
        /// The format of this binary.
        supported: u32,
    },
    /// The records are not those that were committed.
    #[error("the records of height {height} hash to {}, the store says {}", hex(recomputed), hex(stored))]
    AppHash {
        /// The last committed height.
        height: u64,
        /// What the last commit wrote.
        stored: [u8; 32],
        /// What the records give.
        recomputed: [u8; 32],
    },
    /// There are records of a store that this binary does not know.
    #[error("the store holds records of store {0}, which this binary does not know")]
    UnknownStore(u8),
    /// Two stores have the same id or the same name.
    #[error("the ids and names of the stores are not all different")]
    Stores,
    /// Reading or writing failed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

impl From<Broken> for OpenError {
    fn from(broken: Broken) -> Self {
        Self::Fatal(broken.into())
    }
}

/// Records that are read before they are hashed together.
const HASHED_AT_ONCE: usize = 16_384;

impl RocksBackend {
    /// Opens the store in a directory, or makes a new one there. The tries are built from the records, and must
    /// give the app hash of the last commit.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let ids: BTreeSet<StoreId> = options.stores.iter().map(|(id, _)| *id).collect();
        let names: BTreeSet<&str> = options.stores.iter().map(|(_, name)| *name).collect();
        if ids.len() != options.stores.len() || names.len() != options.stores.len() {
            return Err(OpenError::Stores);
        }
        let database = Database::open(path.as_ref(), options.cache_bytes, options.sync)?;
        check_format(&database)?;
        let last = stored_last(&database, options.history)?;
        let limits = Limits { heights: options.history, bytes: options.proof_bytes };
        let mut forest = Forest::new(&options.stores, limits);
        rebuild(&database, &mut forest)?;
        check_app_hash(&mut forest, last.as_ref())?;
        let height = last.map_or(0, |last| last.height);
        let core = Arc::new(Core {
            database,
            history: options.history,
            forest: RwLock::new(forest),
            hints: Mutex::new(Hints::new(height)),
            rows: RowCache::new(options.rows_cached),
            last: RwLock::new(last),
            writer: Mutex::new(Writer { failed: None }),
            writing: AtomicU64::new(height),
            pruned_to: AtomicU64::new(last.map_or(0, |last| last.pruned_to)),
            rollbacks: AtomicU64::new(0),
        });
        let pruner = Pruner::start(&core)?;
        Ok(Self { core, pruner })
    }
}

/// A new home gets this binary's format.
fn check_format(database: &Database) -> Result<(), OpenError> {
    if supported_format(database)? {
        return Ok(());
    }
    let mut batch = WriteBatch::default();
    batch.put_cf(database.family(layout::META)?, layout::META_FORMAT, layout::FORMAT.to_be_bytes());
    Ok(database.write(batch)?)
}

/// Whether the home has a format; another one than this binary's is an error.
pub(super) fn supported_format(database: &Database) -> Result<bool, OpenError> {
    let Some(stored) = database.meta(layout::META_FORMAT)? else { return Ok(false) };
    let found = <[u8; 4]>::try_from(stored).map_err(|_| malformed(layout::META, layout::META_FORMAT))?;
    let (found, supported) = (u32::from_be_bytes(found), layout::FORMAT);
    if found == supported { Ok(true) } else { Err(OpenError::Format { found, supported }) }
}

/// The last commit, with a window no longer than `history` and no longer than the undo that is there.
pub(super) fn stored_last(database: &Database, history: u64) -> Result<Option<Last>, OpenError> {
    let Some(stored) = database.meta(layout::META_LAST)? else { return Ok(None) };
    let mut last = Last::decode(&stored).ok_or_else(|| malformed(layout::META, layout::META_LAST))?;
    last.pruned_to = last.pruned_to.max(last.height.saturating_sub(history));
    shorten_to_whole(database, &mut last)?;
    Ok(Some(last))
}

/// Ends the readable past where the undo of a height is missing. No hash covers undo, and a disk that loses the end of a
/// manifest which it had synced takes a whole file of it: to read on across the gap would give values of another height.
fn shorten_to_whole(database: &Database, last: &mut Last) -> Result<(), OpenError> {
    for height in (last.oldest().saturating_add(1)..=last.height).rev() {
        let (from, end) = (layout::list_from(height), layout::list_from(height.saturating_add(1)));
        let mut rows = database.rows(layout::UNDO, from, Some(end))?;
        if rows.next_with(|_, _| Ok(())).transpose()?.is_none() {
            tracing::warn!(height, "the undo of a height is missing: no height before it can be read");
            last.first = height;
            return Ok(());
        }
    }
    Ok(())
}

/// Builds the tries, store by store: `state` is in the order of the stores.
fn rebuild(database: &Database, forest: &mut Forest) -> Result<(), OpenError> {
    let mut rows = database.rows(layout::STATE, Vec::new(), None)?;
    let read = |key: &[u8], value: &[u8]| {
        let (id, key) = key.split_first().ok_or_else(|| malformed(layout::STATE, key))?;
        Ok((StoreId(*id), Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)))
    };
    let mut build = forest.build();
    let mut records = Vec::with_capacity(HASHED_AT_ONCE);
    let mut store = None;
    while let Some(row) = rows.next_with(read) {
        let (id, key, value) = row?;
        if store != Some(id) || records.len() == HASHED_AT_ONCE {
            build.add(store, &records)?;
            records.clear();
            store = Some(id);
        }
        if !build.knows(id) {
            return Err(OpenError::UnknownStore(id.0));
        }
        records.push((key, value));
    }
    build.add(store, &records)?;
    Ok(build.finish()?)
}

/// Compares what was built with what was committed.
fn check_app_hash(forest: &mut Forest, last: Option<&Last>) -> Result<(), OpenError> {
    let recomputed = forest.last().1;
    let Some(last) = last else {
        let has_records = forest.sizes().0.iter().any(|(_, keys)| *keys > 0);
        let fault = Fatal::Storage("the store holds records, but no commit".into());
        return if has_records { Err(fault.into()) } else { Ok(()) };
    };
    forest.set_height(last.height);
    if recomputed != last.app_hash {
        return Err(OpenError::AppHash { height: last.height, stored: last.app_hash, recomputed });
    }
    tracing::info!(height = last.height, "the tries are built and give the committed app hash");
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
