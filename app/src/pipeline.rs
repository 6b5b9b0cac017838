//! Work on many items that has to go in order in its middle only.
//!
//! A block's transactions run one after another. What comes before, decoding and checking signatures, and what comes after,
//! rendering events, depends on nothing but the transaction: other threads do the one ahead of the run and the other behind
//! it, and the running thread helps where it would wait. Results are in the items' order, whatever the number of threads.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
};

/// Items that are handed over at once: few enough that nobody waits long, and enough that handing over costs nothing.
const CHUNK: usize = 16;
/// Fewer items than this are done before a thread has started.
const PARALLEL_MIN: usize = 2 * CHUNK;
/// More threads than this gain nothing: the middle is one thread's work.
const HELPERS_MAX: usize = 15;

/// What all threads share.
struct Line<'a, I, P, R, S, B, A> {
    chunks: Vec<&'a [I]>,
    /// The chunk that the next free thread prepares.
    next: AtomicUsize,
    prepared: Vec<OnceLock<Mutex<Vec<P>>>>,
    ran: Mutex<Receiver<(usize, Vec<R>)>>,
    finished: Mutex<BTreeMap<usize, Vec<S>>>,
    before: B,
    after: A,
}

/// Applies `before` to every item, gives the outcomes in order to `body`, and applies `after` to all that `body` gives away.
/// Returns what `body` returned, and the outcomes of `after` in the order in which it gave.
pub fn run<I: Sync, P: Send, R: Send, S: Send, T>(
    items: &[I],
    before: impl Fn(&I) -> P + Sync,
    body: impl FnOnce(&mut dyn Iterator<Item = P>, &mut dyn FnMut(R)) -> T,
    after: impl Fn(R) -> S + Sync,
) -> (T, Vec<S>) {
    run_with(helpers(items.len()), items, before, body, after)
}

fn run_with<I: Sync, P: Send, R: Send, S: Send, T>(
    helpers: usize,
    items: &[I],
    before: impl Fn(&I) -> P + Sync,
    body: impl FnOnce(&mut dyn Iterator<Item = P>, &mut dyn FnMut(R)) -> T,
    after: impl Fn(R) -> S + Sync,
) -> (T, Vec<S>) {
    let (sender, ran) = mpsc::channel();
    let chunks: Vec<&[I]> = items.chunks(CHUNK).collect();
    let line = Line {
        next: AtomicUsize::new(0),
        prepared: chunks.iter().map(|_| OnceLock::new()).collect(),
        chunks,
        ran: Mutex::new(ran),
        finished: Mutex::default(),
        before,
        after,
    };
    let help = || {
        while line.prepare_next() {}
        line.finish();
    };
    let returned = thread::scope(|scope| {
        for _ in 0..helpers {
            // A machine that is out of threads does it all on this one.
            let builder = thread::Builder::new().name("pipeline".into());
            if builder.spawn_scoped(scope, help).is_err() {
                break;
            }
        }
        let (mut place, mut chunk) = (0_usize, Vec::with_capacity(CHUNK));
        let mut hand_over = |chunk: &mut Vec<R>| {
            // The receiver lives as long as the line.
            let sent = sender.send((place, std::mem::replace(chunk, Vec::with_capacity(CHUNK))));
            debug_assert!(sent.is_ok(), "the line is still there");
            place = place.saturating_add(1);
        };
        let mut give = |one| {
            chunk.push(one);
            if chunk.len() == CHUNK {
                hand_over(&mut chunk);
            }
        };
        let returned = body(&mut (0..line.chunks.len()).flat_map(|index| line.take(index)), &mut give);
        hand_over(&mut chunk);
        drop(sender);
        line.finish();
        returned
    });
    let finished = line.finished.into_inner().unwrap_or_else(PoisonError::into_inner);
    (returned, finished.into_values().flatten().collect())
}

fn helpers(items: usize) -> usize {
    if items < PARALLEL_MIN {
        return 0;
    }
    thread::available_parallelism()
        .map_or(0, |cores| NonZeroUsize::get(cores).saturating_sub(1))
        .min(HELPERS_MAX)
}

impl<I, P, R, S, B: Fn(&I) -> P, A: Fn(R) -> S> Line<'_, I, P, R, S, B, A> {
    /// Prepares a chunk that nobody has begun; `false`: there is none.
    fn prepare_next(&self) -> bool {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        self.prepare(index).is_some()
    }

    /// The chunk, prepared by whoever comes first; others wait.
    fn prepare(&self, index: usize) -> Option<&Mutex<Vec<P>>> {
        let (chunk, prepared) = (self.chunks.get(index)?, self.prepared.get(index)?);
        Some(prepared.get_or_init(|| Mutex::new(chunk.iter().map(&self.before).collect())))
    }

    /// Takes a prepared chunk. While another thread is at it, chunks behind it are prepared here.
    fn take(&self, index: usize) -> Vec<P> {
        while self.prepared.get(index).is_some_and(|chunk| chunk.get().is_none()) && self.prepare_next() {}
        self.prepare(index).map(|chunk| std::mem::take(&mut *lock(chunk))).unwrap_or_default()
    }

    /// Finishes chunks until none is left and none will come.
    fn finish(&self) {
        loop {
            let received = lock(&self.ran).recv();
            let Ok((place, chunk)) = received else { return };
            let finished = chunk.into_iter().map(&self.after).collect();
            lock(&self.finished).insert(place, finished);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_sees_all_in_order_and_the_results_keep_it() {
        for (count, helpers) in
            [0, 1, CHUNK, CHUNK + 1, 5_000].into_iter().flat_map(|n| [(n, 0), (n, 1), (n, 5)])
        {
            let items: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            let body = |source: &mut dyn Iterator<Item = usize>, give: &mut dyn FnMut(usize)| {
                for item in source {
                    seen.push(item);
                    give(item);
                }
                "done"
            };
            let (returned, results) = run_with(helpers, &items, |item| item * 3, body, |item| item + 1);
            assert_eq!(returned, "done");
            assert_eq!(seen, items.iter().map(|item| item * 3).collect::<Vec<_>>());
            assert_eq!(results, items.iter().map(|item| item * 3 + 1).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_body_may_stop_early() {
        let items: Vec<u32> = (0..1_000).collect();
        for helpers in [0, 3] {
            let body = |source: &mut dyn Iterator<Item = u32>, give: &mut dyn FnMut(u32)| {
                source.take(100).for_each(give);
                Err::<(), _>("enough")
            };
            let (returned, results) = run_with(helpers, &items, |item| *item, body, |item| item);
            assert_eq!(returned, Err("enough"));
            assert_eq!(results, (0..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_of_any_part_comes_out_and_nobody_waits_for_ever() {
        let items: Vec<u32> = (0..1_000).collect();
        let check = |number: u32, bad: u32| assert_ne!(number, bad, "planted");
        for (first, second, third) in [(500, 9_999, 9_999), (9_999, 500, 9_999), (9_999, 9_999, 500)] {
            let played = std::panic::catch_unwind(|| {
                let prepare = |item: &u32| {
                    check(*item, first);
                    *item
                };
                let body = |source: &mut dyn Iterator<Item = u32>, give: &mut dyn FnMut(u32)| {
                    for number in source {
                        check(number, second);
                        give(number);
                    }
                };
                run_with(3, &items, prepare, body, |item| check(item, third))
            });
            assert!(played.is_err());
        }
    }
}
