//! The state at one height, read from a database that goes on.
//!
//! Every read takes the current value first and asks afterwards whether a later block has begun to be written. If
//! none has, the value is that of the height; if one has, what it changed is in `undo` with the value before,
//! because both are one batch. So a view needs no snapshot, and one of the last height costs a single read.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use bytes::Bytes;
use kernel::{Fatal, KeyRange, Space, View};

use super::{Core, lock};
use crate::{
    candidate,
    history::{self, Row},
};

/// The state at one height of a [`super::RocksBackend`].
pub(super) struct RocksView {
    pub(super) core: Arc<Core>,
    pub(super) height: u64,
    pub(super) rollbacks: u64,
}

impl View for RocksView {
    fn height(&self) -> u64 {
        self.height
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal> {
        // The cache follows the last version, so a view of the past has no use for it.
        let cached = self.core.rows.get(space, key);
        if let Some(value) = cached
            && self.is_latest()
        {
            self.check()?;
            return Ok(value);
        }
        let current = self.core.database.get(space, key)?;
        if self.is_latest() {
            self.core.rows.fill(space, key, current.clone(), || self.is_latest());
            self.check()?;
            return Ok(current);
        }
        let old = self.core.database.undo_above(space, key, self.height)?;
        self.check()?;
        Ok(old.unwrap_or(current))
    }

    fn scan(&self, space: Space, range: KeyRange<'_>, limit: u32) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        self.rows(space, range, limit, || Ok(()))
    }

    fn scan_in_steps(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
        step: &dyn Fn() -> kernel::Result<()>,
    ) -> kernel::Result<Vec<(Bytes, Bytes)>> {
        self.rows(space, range, limit, step)
    }
}

impl RocksView {
    fn rows<E: From<Fatal>>(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
        step: impl Fn() -> Result<(), E>,
    ) -> Result<Vec<Row>, E> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if limit == 0 || range.end.is_some_and(|end| end <= range.start) {
            return Ok(Vec::new());
        }
        let database = &self.core.database;
        let hint = lock(&self.core.hints).start(self.height, space, range.start);
        let start = hint.as_deref().unwrap_or(range.start);
        let current = database.records(space, start, range.end)?;
        if self.is_latest() {
            let rows = current.take(limit).collect::<Result<Vec<_>, Fatal>>()?;
            self.check()?;
            lock(&self.core.hints).learn(self.height, space, range, rows.first().map(|(key, _)| key));
            return Ok(rows);
        }
        let undo = database.undos(space, start, range.end)?;
        let rows = history::rows_at(self.height, start, current, undo, limit, step)?;
        self.check()?;
        Ok(rows)
    }

    /// No later block had begun to be written when this was called.
    fn is_latest(&self) -> bool {
        self.core.writing.load(SeqCst) == self.height && self.core.rollbacks.load(SeqCst) == self.rollbacks
    }

    fn check(&self) -> Result<(), Fatal> {
        let pruned = self.core.pruned_to.load(SeqCst) > self.height;
        let rolled_back = self.core.rollbacks.load(SeqCst) != self.rollbacks;
        candidate::still_valid(!pruned && !rolled_back, self.height)
    }
}
