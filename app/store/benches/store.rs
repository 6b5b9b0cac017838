//! What a block costs at a million keys: `cargo bench -p store -- [keys] [changes a block]`.
//!
//! It prints medians over its blocks: the time to the app hash, the time to disk, reads, proofs, start-up, and
//! memory.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_types,
    clippy::float_arithmetic
)]

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use kernel::{Backend, Change, Changes, KeyRange, Space, StoreId};
use store::{Options, RocksBackend};

const STORES: [(StoreId, &str); 2] = [(StoreId(1), "bank"), (StoreId(2), "market")];
const RECORDS: Space = Space::State(StoreId(1));
const QUEUE: Space = Space::Derived(StoreId(2));
const BLOCKS: u64 = 40;
const START: &str = "start-up";

/// A small generator, so that every run does the same.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A table tag and a 20-byte address.
fn key(number: u64) -> Bytes {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    [[1].as_slice(), &spread, &number.to_be_bytes(), &[0; 4]].concat().into()
}

fn value(number: u64, version: u64) -> Bytes {
    [number.to_be_bytes(), version.to_be_bytes()].concat().repeat(6).into()
}

fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The best and the middle one.
fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    format!("{:.1} ms (best {:.1})", values[values.len() / 2], values[0])
}

fn commit(store: &RocksBackend, height: u64, changes: Changes) -> (f64, f64) {
    let view = store.view(None).unwrap();
    let start = Instant::now();
    let staged = store.stage(&*view, changes).unwrap();
    let stage = milliseconds(start);
    let start = Instant::now();
    store.commit(staged, height).unwrap();
    (stage, milliseconds(start))
}

fn load(store: &RocksBackend, keys: u64) -> u64 {
    let numbers: Vec<u64> = (0..keys).collect();
    let mut height = 0;
    for part in numbers.chunks(50_000) {
        height += 1;
        let put =
            |number: &u64| ((RECORDS, key(*number)), Change { old: None, new: Some(value(*number, 0)) });
        commit(store, height, part.iter().map(put).collect());
    }
    height
}

fn updates(store: &RocksBackend, random: &mut Random, keys: u64, changes: u64, version: u64) -> Changes {
    let view = store.view(None).unwrap();
    let update = |_| {
        let number = random.below(keys);
        let old = view.get(RECORDS, &key(number)).unwrap();
        ((RECORDS, key(number)), Change { old, new: Some(value(number, version)) })
    };
    (0..changes).map(update).collect()
}

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != START);
    if let Some(path) = arguments.nth(1) {
        return start_up(&path);
    }
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let (keys, changes) = (numbers.next().unwrap_or(1_000_000), numbers.next().unwrap_or(10_000));
    let directory = tempfile::tempdir().unwrap();
    let options = || Options::new(&STORES);
    let store = RocksBackend::open(directory.path(), options()).unwrap();
    let start = Instant::now();
    let mut height = load(&store, keys);
    println!("{keys} keys loaded in {height} blocks: {:.0} ms", milliseconds(start));

    let mut random = Random(42);
    for (name, grow) in [("updates", false), ("inserts", true)] {
        let (mut stages, mut commits) = (Vec::new(), Vec::new());
        for block in 0..BLOCKS {
            height += 1;
            let of_block = if grow {
                let new = (0..changes).map(|i| keys + block * changes + i);
                new.map(|n| ((RECORDS, key(n)), Change { old: None, new: Some(value(n, 0)) })).collect()
            } else {
                updates(&store, &mut random, keys, changes, height)
            };
            let (stage, commit) = commit(&store, height, of_block);
            stages.push(stage);
            commits.push(commit);
        }
        println!("{changes} {name}: root {}, commit {}", spread(stages), spread(commits));
    }
    reads(&store, &mut random, keys);
    queue(&store, &mut height);
    println!("{:?}", store.sizes().unwrap());
    drop(store);
    // In a process of its own, so that its memory is that of a node that has just started.
    let this = std::env::current_exe().unwrap();
    std::process::Command::new(this).arg(START).arg(directory.path()).status().unwrap();
}

fn reads(store: &RocksBackend, random: &mut Random, keys: u64) {
    let view = store.view(None).unwrap();
    let sample: Vec<Bytes> = (0..100_000).map(|_| key(random.below(keys))).collect();
    let start = Instant::now();
    sample.iter().for_each(|key| drop(black_box(view.get(RECORDS, key).unwrap())));
    println!("a read anywhere: {:.2} us", milliseconds(start) * 1e3 / sample.len() as f64);
    let hot: Vec<&Bytes> = sample.iter().take(20_000).collect();
    hot.iter().for_each(|key| drop(view.get(RECORDS, key).unwrap()));
    let start = Instant::now();
    hot.iter().for_each(|key| drop(black_box(view.get(RECORDS, key).unwrap())));
    println!("a read of a hot row: {:.2} us", milliseconds(start) / 20.0);
    let start = Instant::now();
    sample.iter().take(1_000).for_each(|key| drop(black_box(store.prove(None, "bank", key).unwrap())));
    println!("a proof: {:.1} us", milliseconds(start));
    let past = store.view(Some(view.height() - 60)).unwrap();
    let start = Instant::now();
    sample.iter().take(10_000).for_each(|key| drop(black_box(past.get(RECORDS, key).unwrap())));
    println!("a read 60 heights back: {:.2} us", milliseconds(start) / 10.0);
}

/// Fills a queue, drains most of it at the head, and looks at the head again.
fn queue(store: &RocksBackend, height: &mut u64) {
    let entry = |due: u64| Bytes::from([[7].as_slice(), &due.to_be_bytes()].concat());
    let one = || Some(Bytes::from_static(b"x"));
    *height += 1;
    let fill = (0..200_000).map(|due| ((QUEUE, entry(due)), Change { old: None, new: one() }));
    commit(store, *height, fill.collect());
    *height += 1;
    let drain = (0..199_990).map(|due| ((QUEUE, entry(due)), Change { old: one(), new: None }));
    commit(store, *height, drain.collect());
    let view = store.view(None).unwrap();
    let look = || view.scan(QUEUE, KeyRange { start: &[7], end: None }, 1).unwrap().len();
    let start = Instant::now();
    assert_eq!(look(), 1);
    let first = milliseconds(start) * 1e3;
    let start = Instant::now();
    (0..1_000).for_each(|_| assert_eq!(black_box(look()), 1));
    println!("the head of a drained queue: first {first:.0} us, then {:.1} us", milliseconds(start));
}

/// The first start replays RocksDB's log, as after a crash; the second finds it short.
fn start_up(path: &str) {
    for log in ["a long", "a short"] {
        let start = Instant::now();
        let store = RocksBackend::open(path, Options::new(&STORES)).unwrap();
        let (time, sizes) = (milliseconds(start), store.sizes().unwrap());
        let keys: u64 = sizes.keys.iter().map(|(_, keys)| keys).sum();
        println!(
            "start with {keys} keys and {log} log: {time:.0} ms, {} bytes of trie a key",
            sizes.trie_bytes / keys
        );
    }
    println!("resident memory: {} MiB", memory() >> 20);
}
