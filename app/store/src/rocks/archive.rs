//! A home that is only read: whatever a node left behind can be looked at without changing it.

use std::path::Path;

use bytes::Bytes;
use kernel::{AppHash, Fatal, Space};

use super::{
    database::Database,
    layout::{self, Last},
    open::{OpenError, stored_last, supported_format},
};
use crate::{candidate, history};

/// Bytes of the block cache: an archive is read once, from end to end.
const CACHE_BYTES: usize = 8 << 20;

/// The state of a home at every height that it keeps. No process may write to the home meanwhile.
pub struct Archive {
    database: Database,
    last: Last,
}

impl Archive {
    /// Opens the store in a directory without writing to it; RocksDB's own log aside.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        // RocksDB would make the folder, for its log.
        if !path.as_ref().join("CURRENT").is_file() {
            return Err(Fatal::Storage("there is no store".into()).into());
        }
        let database = Database::open_read_only(path.as_ref(), CACHE_BYTES)?;
        supported_format(&database)?;
        let last = stored_last(&database, u64::MAX)?;
        let last = last.ok_or_else(|| Fatal::Storage("the store holds no commit".into()))?;
        Ok(Self { database, last })
    }

    /// The oldest and the last height that can be read.
    pub fn heights(&self) -> (u64, u64) {
        (self.last.oldest(), self.last.height)
    }

    /// The app hash after a height.
    pub fn app_hash(&self, height: u64) -> Result<Option<AppHash>, Fatal> {
        let stored = self.database.meta(&layout::block(height))?;
        Ok(stored.and_then(|bytes| AppHash::try_from(bytes).ok()))
    }

    /// At most `limit` rows of a space at a height, in key order, from the key `start` on.
    pub fn rows(
        &self,
        space: Space,
        height: u64,
        start: &[u8],
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, OpenError> {
        let (oldest, latest) = self.heights();
        candidate::in_window(Some(height), oldest, latest)
            .map_err(|error| Fatal::Storage(error.to_string()))?;
        let current = self.database.records(space, start, None)?;
        let undo = self.database.undos(space, start, None)?;
        Ok(history::rows_at(height, start, current, undo, limit, || Ok::<_, Fatal>(()))?)
    }
}
