//! Deletes undo that has left the window: off the commit path, and after each block a bounded number of keys.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::Ordering::SeqCst,
        mpsc::{self, Receiver, SyncSender},
    },
    thread::{self, JoinHandle},
};

use kernel::{Changes, Fatal};
use rocksdb::WriteBatch;

use super::{Core, database::malformed, layout, lock};

/// Rows of the undo list that are worked off after a small block: 16,000 keys, so that what large ones leave behind, or a
/// longer window that was shortened, is worked off as well. After a large block it is twice what it wrote: undo can't
/// grow faster than it is deleted.
const ROWS_A_BLOCK_MIN: usize = 16;
/// Blocks that may wait for the thread, each with its changes in memory; the next commit waits as well. It holds no lock
/// while it does, and the thread that ends lets it go.
const WAITING_BLOCKS_MAX: usize = 32;

/// The thread that prunes. It ends when this is dropped, after the blocks that it was told of.
pub(super) struct Pruner {
    committed: Option<SyncSender<Changes>>,
    thread: Option<JoinHandle<()>>,
}

impl Pruner {
    pub(super) fn start(core: &Arc<Core>) -> Result<Self, Fatal> {
        let (committed, blocks) = mpsc::sync_channel(WAITING_BLOCKS_MAX);
        let core = Arc::clone(core);
        let thread = thread::Builder::new()
            .name("store-prune".into())
            .spawn(move || run(&core, &blocks, prune))
            .map_err(|error| Fatal::Storage(format!("the pruning thread does not start: {error}")))?;
        Ok(Self { committed: Some(committed), thread: Some(thread) })
    }

    /// Tells of a commit. Its changes end on the thread as well, since to free them takes a while.
    pub(super) fn block_committed(&self, changes: Changes) {
        // The thread ends early only after a failure, which the next commit reports.
        if self.committed.as_ref().is_some_and(|blocks| blocks.send(changes).is_err()) {
            tracing::debug!("the pruning thread has ended");
        }
    }
}

impl Drop for Pruner {
    fn drop(&mut self) {
        drop(self.committed.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the pruning thread panicked");
        }
    }
}

fn run(core: &Core, blocks: &Receiver<Changes>, prune: impl Fn(&Core, u64, usize) -> Result<u64, Fatal>) {
    let mut from = 0;
    while let Ok(keys) = blocks.recv().map(|changes| changes.len()) {
        let rows = keys.div_ceil(layout::LISTED_KEYS_MAX).saturating_mul(2).max(ROWS_A_BLOCK_MIN);
        // A panic is a failure as well: undo would grow for ever, and nobody would say so.
        let pruned = catch_unwind(AssertUnwindSafe(|| prune(core, from, rows)))
            .unwrap_or_else(|_| Err(Fatal::Storage("pruning panicked".into())));
        match pruned {
            Ok(next) => from = next,
            Err(fatal) => {
                tracing::error!(%fatal, "pruning failed");
                lock(&core.writer).failed.get_or_insert(fatal.to_string());
                return;
            }
        }
    }
}

/// Deletes what heights from `from` on that have left the window left behind, of as many rows of the list; returns the height
/// to go on from, so that the tombstones of what was deleted are not stepped over again. Where the list ends it is the end
/// of what has left the window: no commit and no rollback brings a row back there.
fn prune(core: &Core, from: u64, rows_max: usize) -> Result<u64, Fatal> {
    let to = core.pruned_to.load(SeqCst);
    let (start, end) = (layout::list_from(from), layout::list_from(to.saturating_add(1)));
    let mut rows = core.database.rows(layout::UNDO, start, Some(end))?;
    let mut next = from;
    for _ in 0..rows_max {
        let row = rows.next_with(|row, listed| {
            let decoded = layout::decode_list_height(row).zip(layout::decode_listed(listed));
            let (height, keys) = decoded.ok_or_else(|| malformed(layout::UNDO, row))?;
            Ok((height, row.to_vec(), keys))
        });
        let Some((height, row, keys)) = row.transpose()? else { return Ok(to.max(from)) };
        let undo = core.database.family(layout::UNDO)?;
        let mut batch = WriteBatch::default();
        for (space, key) in keys {
            batch.delete_cf(undo, layout::undo(space, &key, height));
        }
        batch.delete_cf(undo, row);
        // The app hash of the height itself stays: it may be the oldest that can be read and gone back to.
        if let Some(unreadable) = height.checked_sub(1) {
            batch.delete_cf(core.database.family(layout::META)?, layout::block(unreadable));
        }
        core.database.write_unsynced(batch)?;
        next = height;
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use kernel::{Backend, StoreId};

    use super::*;
    use crate::rocks::{Options, RocksBackend};

    #[test]
    fn a_panic_ends_the_writing() {
        let home = tempfile::tempdir().unwrap();
        let options = Options { sync: false, ..Options::new(&[(StoreId(1), "bank")]) };
        let store = RocksBackend::open(home.path(), options).unwrap();
        let commit = |height| {
            let staged = store.stage(&*store.view(None).unwrap(), Changes::new()).unwrap();
            store.commit(staged, height).map(drop)
        };
        commit(1).unwrap();
        let (committed, blocks) = mpsc::channel();
        committed.send(Changes::new()).unwrap();
        run(&store.core, &blocks, |_, _, _| panic!("planted"));
        assert!(commit(2).unwrap_err().to_string().contains("pruning panicked"));
        assert_eq!(store.last().unwrap().0, 1);
    }

    #[test]
    fn pruning_goes_on_from_where_nothing_is_left() {
        let home = tempfile::tempdir().unwrap();
        let options = Options { sync: false, history: 2, ..Options::new(&[(StoreId(1), "bank")]) };
        let store = RocksBackend::open(home.path(), options).unwrap();
        let commit = |height| {
            let staged = store.stage(&*store.view(None).unwrap(), Changes::new()).unwrap();
            store.commit(staged, height).unwrap();
        };
        (1..=2).for_each(commit);
        assert_eq!(prune(&store.core, 0, 100).unwrap(), 0, "nothing has left the window");
        (3..=9).for_each(commit);
        prune(&store.core, 0, 100).unwrap();
        for from in [0, 5, 7] {
            assert_eq!(prune(&store.core, from, 100).unwrap(), 7, "the rows of 1 to 7 are gone");
        }
        commit(10);
        assert_eq!(prune(&store.core, 7, 100).unwrap(), 8);
        assert!(store.view(Some(8)).is_ok() && store.view(Some(7)).is_err());
    }
}
