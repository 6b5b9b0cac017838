//! Where queues begin.
//!
//! A queue is drained at its head, and what was drained leaves tombstones there until RocksDB compacts them away: a
//! scan from the start of the queue would step over all of them, block after block. So for each table of derived
//! entries, which is a store and the first byte of a key, this keeps a key below which the latest version has none.
//! It is only a hint: without it the same scan gives the same rows.

use std::collections::BTreeMap;

use bytes::Bytes;
use kernel::{Changes, KeyRange, Space, StoreId};

/// The lower bounds of the latest version.
#[derive(Debug, Default)]
pub(super) struct Hints {
    height: u64,
    bounds: BTreeMap<(StoreId, u8), Bytes>,
}

impl Hints {
    /// No bounds yet, for the version of a height.
    pub(super) const fn new(height: u64) -> Self {
        Self { height, bounds: BTreeMap::new() }
    }

    /// A later key at which a scan of `space` from `start` may begin, if the scan is of the latest version.
    pub(super) fn start(&self, height: u64, space: Space, start: &[u8]) -> Option<Bytes> {
        let bound = self.bounds.get(&table(space, start)?)?;
        (height == self.height && **bound > *start).then(|| bound.clone())
    }

    /// Learns from a finished scan of the version of `height`, whose first row was `first`.
    pub(super) fn learn(&mut self, height: u64, space: Space, range: KeyRange<'_>, first: Option<&Bytes>) {
        let Some((store, tag)) = table(space, range.start) else { return };
        let table_start = [tag];
        let known = self.bounds.get(&(store, tag)).map_or(table_start.as_slice(), |bound| bound);
        // Between the bound and a scan that starts behind it there may be keys.
        if height != self.height || range.start > known {
            return;
        }
        let behind = tag.checked_add(1).map(|next| vec![next]);
        let found = first.map(|key| &**key).or(range.end);
        let Some(next) = [found, behind.as_deref()].into_iter().flatten().min() else { return };
        if next > known {
            self.bounds.insert((store, tag), Bytes::copy_from_slice(next));
        }
    }

    /// Follows a commit: an entry below a bound lowers it.
    pub(super) fn advance(&mut self, height: u64, changes: &Changes) {
        self.height = height;
        for ((space, key), change) in changes {
            if change.new.is_some()
                && let Some(bound) = table(*space, key).and_then(|table| self.bounds.get_mut(&table))
                && key < bound
            {
                *bound = key.clone();
            }
        }
    }
}

/// The table that a key of derived entries belongs to.
fn table(space: Space, key: &[u8]) -> Option<(StoreId, u8)> {
    match space {
        Space::Derived(store) => key.first().map(|tag| (store, *tag)),
        Space::State(_) => None,
    }
}
