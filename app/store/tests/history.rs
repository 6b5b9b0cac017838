//! Random histories: both stores, a plain model and a naive tree must agree on every hash, row and proof.
#![cfg(feature = "rocksdb")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod support;

use std::{cell::Cell, collections::BTreeMap, path::Path, sync::Arc};

use bytes::Bytes;
use kernel::{Backend, Error, HeightError, KeyRange, Space, View};
use proptest::prelude::*;
use store::{Archive, MemoryBackend, Options, RocksBackend};
use support::*;

const WINDOW: u64 = 3;

type Write = (Space, Bytes, Option<Bytes>);

#[derive(Clone, Debug)]
enum Step {
    /// The writes of a block, and those of a candidate that is not committed.
    Block {
        writes: Vec<Write>,
        other: Vec<Write>,
    },
    Rollback,
    Reopen,
}

#[derive(Clone, Debug)]
struct Probe {
    back: u64,
    space: Space,
    start: Bytes,
    end: Option<Bytes>,
    limit: u32,
}

fn key() -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![Just(0_u8), Just(1), Just(2), Just(255)];
    proptest::collection::vec(byte, 1..5).prop_map(Bytes::from)
}

fn space() -> impl Strategy<Value = Space> {
    proptest::sample::select(spaces().collect::<Vec<_>>())
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let value =
        proptest::option::weighted(0.6, proptest::collection::vec(0_u8..4, 1..4).prop_map(Bytes::from));
    proptest::collection::vec((space(), key(), value), 0..25)
}

fn step() -> impl Strategy<Value = (Step, Vec<Probe>)> {
    let step = prop_oneof![
        12 => (writes(), writes()).prop_map(|(writes, other)| Step::Block { writes, other }),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reopen),
    ];
    let probe = (0..WINDOW + 1, space(), key(), proptest::option::of(key()), 0_u32..5)
        .prop_map(|(back, space, start, end, limit)| Probe { back, space, start, end, limit });
    (step, proptest::collection::vec(probe, 0..8))
}

fn open(path: &Path) -> RocksBackend {
    RocksBackend::open(
        path,
        Options { history: WINDOW, sync: false, cache_bytes: 1 << 20, ..Options::new(&STORES) },
    )
    .unwrap()
}

/// Both stores and what they should hold.
struct World {
    directory: tempfile::TempDir,
    rocks: Option<RocksBackend>,
    memory: MemoryBackend,
    heights: BTreeMap<u64, Rows>,
    /// The durable store's views below this height have ended.
    readable_from: u64,
    /// It can't prove heights below this one.
    provable_from: u64,
    /// Nor can the one in memory below this one.
    memory_provable_from: u64,
}

impl World {
    fn new(first: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut world = Self {
            rocks: Some(open(directory.path())),
            directory,
            memory: MemoryBackend::new(&STORES),
            heights: BTreeMap::new(),
            readable_from: first,
            provable_from: first,
            memory_provable_from: first,
        };
        world.commit(first, genesis(), Vec::new());
        world
    }

    fn rocks(&self) -> &RocksBackend {
        self.rocks.as_ref().unwrap()
    }

    fn backends(&self) -> [&dyn Backend; 2] {
        [self.rocks(), &self.memory]
    }

    fn last(&self) -> (u64, Rows) {
        self.heights.last_key_value().map(|(height, rows)| (*height, rows.clone())).unwrap_or_default()
    }

    fn commit(&mut self, height: u64, writes: Vec<Write>, other: Vec<Write>) {
        let rows = self.last().1;
        let (changes, other) = (changes(&rows, writes), changes(&rows, other));
        let after = apply(&rows, &changes);
        let mut hashes = Vec::new();
        for backend in self.backends() {
            let base = backend.view(None).unwrap();
            let before = backend.stage(&*base, other.clone()).unwrap();
            let staged = backend.stage(&*base, changes.clone()).unwrap();
            let after_it = backend.stage(&*base, other.clone()).unwrap();
            assert_eq!(before.app_hash, app_hash(&apply(&rows, &other)), "a candidate's hash");
            assert_eq!(before.app_hash, after_it.app_hash, "staging touches nothing");
            assert_eq!(staged.app_hash, app_hash(&after));
            hashes.push((store::nodes_hashed(&staged), staged.app_hash));
            let view = backend.commit(staged, height).unwrap();
            assert_eq!(view.height(), height);
            // The view of before stays what it was.
            assert_shows(&*base, &rows, &[]);
            assert!(backend.commit(before, height + 1).is_err(), "a candidate of an older state is refused");
        }
        assert_eq!(hashes[0], hashes[1]);
        self.heights.insert(height, after);
        self.readable_from = self.readable_from.max(height.saturating_sub(WINDOW));
        self.provable_from = self.provable_from.max(self.readable_from);
    }

    fn rollback(&mut self) {
        let (last, _) = self.last();
        if last <= self.readable_from {
            assert!(self.rocks().rollback().is_err());
            return;
        }
        let held = self.rocks().view(None).unwrap();
        for backend in self.backends() {
            assert_eq!(backend.rollback().unwrap(), last - 1);
        }
        assert!(held.get(Space::State(BANK), SCHEMA).is_err(), "a view of what was rolled back ends");
        self.heights.remove(&last);
        self.provable_from = last - 1;
        self.memory_provable_from = last - 1;
    }

    fn reopen(&mut self) {
        drop(self.rocks.take());
        self.check_archive();
        self.rocks = Some(open(self.directory.path()));
        self.provable_from = self.last().0;
    }

    /// What the closed store left behind shows every height that it kept.
    fn check_archive(&self) {
        let archive = Archive::open(self.directory.path()).unwrap();
        let last = self.last().0;
        assert_eq!(archive.heights(), (self.readable_from, last));
        for height in self.readable_from..=last {
            let rows = &self.heights[&height];
            assert_eq!(archive.app_hash(height).unwrap(), Some(app_hash(rows)));
            for space in spaces() {
                for start in [&[][..], &[1, 0], &[2]] {
                    let range = KeyRange { start, end: None };
                    let found = archive.rows(space, height, start, 3).unwrap();
                    assert_eq!(found, plain_scan(rows, space, range, 3), "{space:?} at {height}");
                }
            }
        }
        assert!(archive.rows(Space::State(BANK), last + 1, &[], 1).is_err());
        assert!(archive.rows(Space::State(BANK), self.readable_from - 1, &[], 1).is_err());
    }

    fn check(&self, probes: &[Probe]) {
        let (last, rows) = self.last();
        for backend in self.backends() {
            assert_eq!(backend.last(), Some((last, app_hash(&rows))));
            assert_shows(&*backend.view(None).unwrap(), &rows, &[Bytes::from_static(b"\x01none")]);
        }
        for height in self.readable_from..=last {
            let rows = &self.heights[&height];
            for backend in self.backends() {
                assert_shows(&*backend.view(Some(height)).unwrap(), rows, &[]);
            }
        }
        for probe in probes {
            self.probe(probe);
        }
    }

    fn probe(&self, probe: &Probe) {
        let (last, _) = self.last();
        let height = last.saturating_sub(probe.back);
        let Some(rows) = self.heights.get(&height) else {
            let error = self.memory.view(Some(height)).err().unwrap();
            let oldest = *self.heights.first_key_value().unwrap().0;
            assert_eq!(error, HeightError::OutOfWindow { asked: height, oldest, latest: last });
            return;
        };
        let range = KeyRange { start: &probe.start, end: probe.end.as_deref() };
        for backend in self.backends() {
            let Ok(view) = backend.view(Some(height)) else {
                assert!(height < self.readable_from);
                continue;
            };
            let expected = plain_scan(rows, probe.space, range, probe.limit);
            assert_eq!(view.scan(probe.space, range, probe.limit).unwrap(), expected);
            // What a first scan learned must not change a second one.
            assert_eq!(view.scan(probe.space, range, probe.limit).unwrap(), expected);
        }
        self.probe_proof(height, rows, probe);
    }

    fn probe_proof(&self, height: u64, rows: &Rows, probe: &Probe) {
        let (Space::State(id) | Space::Derived(id)) = probe.space;
        let name = STORES.iter().find(|(other, _)| *other == id).unwrap().1;
        let value = rows.get(&(Space::State(id), probe.start.clone()));
        let in_memory: &dyn Backend = &self.memory;
        for (backend, from) in [(in_memory, self.memory_provable_from), (self.rocks(), self.provable_from)] {
            match backend.prove(Some(height), name, &probe.start) {
                Ok(proof) => {
                    assert!(height >= from);
                    assert_eq!((proof.height, proof.value.as_ref()), (height, value));
                    assert!(verifies(
                        &proof,
                        name,
                        &probe.start,
                        value.map(|value| &**value),
                        &app_hash(rows)
                    ));
                }
                Err(error) => {
                    assert!(height < from, "{error}");
                    assert!(matches!(error, HeightError::OutOfWindow { asked, .. } if asked == height));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_stores_and_the_model_agree(first in 1_u64..3, steps in proptest::collection::vec(step(), 1..20)) {
        let mut world = World::new(first);
        for (step, probes) in steps {
            match step {
                Step::Block { writes, other } => world.commit(world.last().0 + 1, writes, other),
                Step::Rollback => world.rollback(),
                Step::Reopen => world.reopen(),
            }
            world.check(&probes);
        }
    }

    /// A queue that fills at random places and is drained at its head, by scans whose ends move as well.
    #[test]
    fn a_queue_head_is_only_a_hint(rounds in proptest::collection::vec(
        (proptest::collection::vec(0_u8..40, 0..6), 0_u8..41, 0_u32..4, 0_u8..41), 1..25))
    {
        let directory = tempfile::tempdir().unwrap();
        let rocks = open(directory.path());
        let queue = Space::Derived(MARKET);
        let entry = |due: u8| Bytes::from(vec![9, due, 0]);
        let (mut rows, mut height) = (Rows::new(), 1);
        let mut held: Option<(Arc<dyn View>, Rows)> = None;
        for (put, now, limit, from) in rounds {
            let view = rocks.view(None).unwrap();
            let (start, end) = (Bytes::from_static(&[9]), Bytes::from(vec![9, now]));
            let range = KeyRange { start: &start, end: Some(&end) };
            let due = view.scan(queue, range, limit).unwrap();
            prop_assert_eq!(&due, &plain_scan(&rows, queue, range, limit));
            let (from, all) = (Bytes::from(vec![9, from]), KeyRange { start: &[], end: None });
            for range in [KeyRange { start: &from, end: None }, all] {
                prop_assert_eq!(view.scan(queue, range, 3).unwrap(), plain_scan(&rows, queue, range, 3));
            }
            if let Some((view, rows)) = &held {
                prop_assert_eq!(view.scan(queue, range, limit).unwrap(), plain_scan(rows, queue, range, limit));
            }
            let drained = due.into_iter().map(|(key, _)| (queue, key, None));
            let added = put.into_iter().map(|due| (queue, entry(due), Some(Bytes::from_static(b"x"))));
            let changes = changes(&rows, drained.chain(added));
            held = Some((view, rows.clone()));
            rows = apply(&rows, &changes);
            let staged = rocks.stage(&*rocks.view(None).unwrap(), changes).unwrap();
            rocks.commit(staged, height).unwrap();
            height += 1;
        }
    }
}

/// In each of 256 blocks a row comes and the one before it goes, beside a row that each of them writes.
#[test]
fn a_scan_of_the_past_takes_a_step_a_key_and_can_be_stopped() {
    const BLOCKS: u64 = 256;
    let directory = tempfile::tempdir().unwrap();
    let options = Options { history: BLOCKS, sync: false, cache_bytes: 1 << 20, ..Options::new(&STORES) };
    let rocks = RocksBackend::open(directory.path(), options).unwrap();
    let (memory, queue) = (MemoryBackend::new(&STORES), Space::Derived(MARKET));
    let backends: [&dyn Backend; 2] = [&rocks, &memory];
    let row = |height: u64| Bytes::from([[8].as_slice(), &height.to_be_bytes()].concat());
    let value = |height: u64| Bytes::from(height.to_be_bytes().to_vec());
    let mut rows = Rows::new();
    for height in 1..=BLOCKS {
        let written = [
            (queue, Bytes::from_static(&[7]), Some(value(height))),
            (queue, row(height), (height > 1).then(|| value(height))),
            (queue, row(height - 1), None),
        ];
        let changes = changes(&rows, written);
        rows = apply(&rows, &changes);
        for backend in backends {
            let staged = backend.stage(&*backend.view(None).unwrap(), changes.clone()).unwrap();
            backend.commit(staged, height).unwrap();
        }
    }
    for backend in backends {
        let scan = |height, tag: u8, limit, steps_max| {
            let steps = Cell::new(0);
            let step = || {
                steps.set(steps.get() + 1);
                if steps.get() > steps_max { Err(Error::OutOfGas) } else { Ok(()) }
            };
            let range = KeyRange { start: &[tag], end: Some(&[tag + 1]) };
            let found = backend.view(Some(height)).unwrap().scan_in_steps(queue, range, limit, &step);
            (found, steps.get())
        };
        let hot = |height| Ok(vec![(Bytes::from_static(&[7]), value(height))]);
        assert_eq!(scan(1, 7, 1, u64::MAX), (hot(1), 2), "a row that 255 blocks have written since");
        assert_eq!(scan(200, 7, 1, u64::MAX), (hot(200), 2), "and 199 before");
        assert_eq!(
            scan(1, 8, 1, u64::MAX),
            (Ok(Vec::new()), BLOCKS),
            "255 rows that came since, and the end"
        );
        assert_eq!(scan(1, 8, 1, 10), (Err(Error::OutOfGas), 11));
        let then = Ok(vec![(row(200), value(200))]);
        assert_eq!(scan(200, 8, 1, u64::MAX), (then.clone(), 200), "no step behind what was asked for");
        assert_eq!(scan(200, 8, 9, u64::MAX), (then, BLOCKS + 1));
        assert_eq!(scan(BLOCKS, 8, 9, 0), (Ok(vec![(row(BLOCKS), value(BLOCKS))]), 0), "the present");
    }
}
