//! Where queues begin.
//!
//! A queue is drained at its head, and what was drained stays in the way: as tombstones in the database until it compacts
//! them away, as dead entries in a block's overlay until the block ends. A scan from the start of the queue would step over
//! all of them, time after time. So for each table of derived entries, which is a store and the first byte of a key, this
//! keeps a key below which there is none. It is only a hint: without it the same scan gives the same rows.

use std::collections::BTreeMap;

use crate::{
    backend::{KeyRange, Space, StoreId},
    key::KeyBuf,
};

/// The lower bounds of tables of derived entries.
#[derive(Debug, Default)]
pub struct Heads(BTreeMap<(StoreId, u8), KeyBuf>);

impl Heads {
    /// A later key at which a scan of `space` from `start` may begin.
    pub fn start(&self, space: Space, start: &[u8]) -> Option<&KeyBuf> {
        self.0.get(&table(space, start)?).filter(|head| head.as_slice() > start)
    }

    /// Learns from a finished scan, whose first row was `first`.
    pub fn learn(&mut self, space: Space, range: KeyRange<'_>, first: Option<&[u8]>) {
        let Some((store, tag)) = table(space, range.start) else { return };
        let table_start = [tag];
        let known = self.0.get(&(store, tag)).map_or(table_start.as_slice(), KeyBuf::as_slice);
        // Between the head and a scan that starts behind it there may be keys.
        if range.start > known {
            return;
        }
        let behind = tag.checked_add(1).map(|next| [next]);
        let behind = behind.as_ref().map(<[u8; 1]>::as_slice);
        let Some(next) = [first.or(range.end), behind].into_iter().flatten().min() else { return };
        if next > known {
            self.0.insert((store, tag), KeyBuf::from_slice(next));
        }
    }

    /// An entry is there: one below a head lowers it.
    pub fn lower(&mut self, space: Space, key: &[u8]) {
        if let Some(head) = table(space, key).and_then(|table| self.0.get_mut(&table))
            && key < head.as_slice()
        {
            *head = KeyBuf::from_slice(key);
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
