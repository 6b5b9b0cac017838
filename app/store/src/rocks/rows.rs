//! The rows of the latest version that were read or written of late.
//!
//! Execution reads the same accounts and balances block after block, and a read of RocksDB costs more than the rest
//! of a simple message. The cache holds only rows of the last committed version. A row gets in while the version is
//! known to be the last one: see [`RowCache::fill`]. Every row has one slot, and the last one in stays.

use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use kernel::{Changes, Space};

use super::{layout, lock};

/// Slots, each under its own lock: readers and the writer seldom meet.
pub(super) struct RowCache {
    slots: Vec<Mutex<Option<Row>>>,
}

struct Row {
    name: Box<[u8]>,
    /// `None`: the row is known to be absent.
    value: Option<Bytes>,
}

/// A longer value is not kept, so that the memory has a bound.
const VALUE_BYTES_MAX: usize = 1_024;

impl RowCache {
    pub(super) fn new(rows: usize) -> Self {
        Self { slots: (0..rows).map(|_| Mutex::new(None)).collect() }
    }

    /// A row of the last version, if it is here: `Some(None)` is a row that is known to be absent.
    pub(super) fn get(&self, space: Space, key: &[u8]) -> Option<Option<Bytes>> {
        let name = layout::cached(space, key);
        let slot = self.slot(&name)?;
        slot.as_ref().filter(|row| *row.name == *name).map(|row| row.value.clone())
    }

    /// Takes a row in that was read from the database, unless a later version has begun to be written. The question
    /// is asked under the lock that [`RowCache::advance`] has to take for the same row, so an old value can't
    /// replace a new one.
    pub(super) fn fill(&self, space: Space, key: &[u8], value: Option<Bytes>, is_latest: impl Fn() -> bool) {
        let name = layout::cached(space, key);
        if let Some(mut slot) = self.slot(&name)
            && is_latest()
        {
            put(&mut slot, &name, value);
        }
    }

    /// Follows a commit, beside its writing: the views of before no longer read here, and there is one of after only when the
    /// commit is complete.
    pub(super) fn advance(&self, changes: &Changes) {
        for ((space, key), change) in changes {
            let name = layout::cached(*space, key);
            if let Some(mut slot) = self.slot(&name) {
                put(&mut slot, &name, change.new.clone());
            }
        }
    }

    pub(super) fn clear(&self) {
        self.slots.iter().for_each(|slot| *lock(slot) = None);
    }

    /// The slot of a row. Names made to collide cost only reads.
    fn slot(&self, name: &[u8]) -> Option<MutexGuard<'_, Option<Row>>> {
        let slots = u64::try_from(self.slots.len()).ok()?;
        let index = usize::try_from(spread(name).checked_rem(slots)?).ok()?;
        self.slots.get(index).map(lock)
    }
}

fn put(slot: &mut Option<Row>, name: &[u8], value: Option<Bytes>) {
    if value.as_ref().is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
        *slot = None;
        return;
    }
    match slot {
        Some(row) if *row.name == *name => row.value = value,
        _ => *slot = Some(Row { name: name.into(), value }),
    }
}

/// A number that depends on all bytes of a name, eight at a time: multiplied by 2^64 over the golden ratio, an odd number,
/// and the upper half, where a product is mixed best, folded into the lower.
fn spread(name: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| {
        let product = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ (product >> 32)
    };
    let (words, rest) = name.as_chunks::<8>();
    let sum = words.iter().map(|word| u64::from_le_bytes(*word)).fold(0, mix);
    let last = rest.iter().fold(0, |last: u64, byte| (last << 8) | u64::from(*byte));
    mix(sum, last ^ u64::try_from(name.len()).unwrap_or_default().rotate_right(8))
}
