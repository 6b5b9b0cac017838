//! The hashes of the format: what a leaf is, and SHA-256 over many pairs at once.

use std::{
    num::NonZeroUsize,
    panic::resume_unwind,
    sync::OnceLock,
    thread::{self, ScopedJoinHandle},
};

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub(crate) type Hash = [u8; 32];

/// What a leaf's preimage begins with. Several bytes, because ICS-23 refuses an inner step whose left child's hash
/// happens to begin with the leaf's tag: one byte would fail one proof step in 256.
pub(crate) const LEAF_TAG: &[u8] = b"underbid/leaf/1";

/// Fewer entries than this are hashed faster than a thread starts.
const PARALLEL_MIN: usize = 512;

/// More threads than this gain nothing on the hashing of one block.
const THREADS_MAX: usize = 8;

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The hash of a record's leaf: SHA-256 of the tag, the hashed key and the hashed value.
pub(crate) fn leaf(key_hash: &Hash, value: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(LEAF_TAG);
    hasher.update(key_hash);
    hasher.update(sha256(value));
    hasher.finalize().into()
}

/// The root of a trie without records. No leaf and no inner node has a preimage of this length.
pub(crate) fn empty_root() -> Hash {
    sha256(LEAF_TAG)
}

/// SHA-256 of each 64 bytes of `pairs`, appended to `out`. The multi-lane code is about ten times faster than one
/// hash after another; it trusts the lengths it is told, so this is the only place that calls it.
pub(crate) fn pairs(pairs: &[u8], out: &mut Vec<u8>) {
    static READY: OnceLock<i32> = OnceLock::new();
    READY.get_or_init(hashtree_rs::init);
    let (chunks, _) = pairs.as_chunks::<64>();
    let start = out.len();
    out.resize(start.saturating_add(chunks.len().saturating_mul(32)), 0);
    if let Some(digests) = out.get_mut(start..) {
        hashtree_rs::hash(digests, chunks.as_flattened(), chunks.len());
    }
}

/// `work` over all of `items`, on as many threads as there are cores; the results are in the order of the items, so
/// the outcome doesn't depend on the number of threads.
pub(crate) fn parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS_MAX);
    if threads == 1 || items.len() < PARALLEL_MIN {
        return items.iter().map(work).collect();
    }
    let work = &work;
    let run = |part: &[T]| part.iter().map(work).collect::<Vec<R>>();
    thread::scope(|scope| {
        let start = |part| {
            let builder = thread::Builder::new().name("store-hash".into());
            // A machine that is out of threads hashes on this one.
            (part, builder.spawn_scoped(scope, move || run(part)).ok())
        };
        let handles: Vec<_> = items.chunks(items.len().div_ceil(threads)).map(start).collect();
        let mut out = Vec::with_capacity(items.len());
        for (part, handle) in handles {
            match handle.map(joined) {
                Some(results) => out.extend(results),
                None => out.extend(run(part)),
            }
        }
        out
    })
}

/// Two pieces of work, at the same time if there are enough items to make a thread worth it.
pub(crate) fn both<L, R: Send>(
    items: usize,
    left: impl FnOnce() -> L,
    right: impl Fn() -> R + Sync,
) -> (L, R) {
    if items < PARALLEL_MIN {
        return (left(), right());
    }
    thread::scope(|scope| {
        let handle = thread::Builder::new().name("store-second".into()).spawn_scoped(scope, &right).ok();
        let left = left();
        (left, handle.map_or_else(&right, joined))
    })
}

/// What a thread made. Its panic goes on in this one: the same work again might pass over what broke it.
fn joined<T>(handle: ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        sync::atomic::{AtomicBool, Ordering::SeqCst},
    };

    use super::*;

    #[test]
    fn many_pairs_hash_as_one_by_one() {
        for count in 0..70_u8 {
            let input: Vec<u8> = (0..count).flat_map(|i| [i.wrapping_mul(37); 64]).collect();
            let mut out = vec![9; 3];
            pairs(&input, &mut out);
            let expected: Vec<u8> = input.as_chunks::<64>().0.iter().flat_map(|pair| sha256(pair)).collect();
            assert_eq!(out[3..], expected, "{count} pairs");
        }
    }

    #[test]
    fn parallel_keeps_the_order() {
        let items: Vec<u32> = (0..5_000).collect();
        assert_eq!(parallel(&items, |i| i.wrapping_mul(3)), items.iter().map(|i| i * 3).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_on_a_thread_comes_out_though_the_work_would_succeed_if_it_were_done_again() {
        let items = [0; PARALLEL_MIN];
        let failed = AtomicBool::new(false);
        let work = || assert!(failed.swap(true, SeqCst), "planted");
        assert!(catch_unwind(AssertUnwindSafe(|| parallel(&items, |_| work()))).is_err());
        failed.store(false, SeqCst);
        assert!(catch_unwind(AssertUnwindSafe(|| both(items.len(), || (), work))).is_err());
    }
}
