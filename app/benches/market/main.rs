//! What the whole application costs: `cargo bench -p underbid`, through `App::finalize` and `App::commit` on RocksDB with
//! its sync. It prints the least, the middle and the most of several runs beside counters that no machine changes.
//!
//! `BENCH_LARGE=1` adds a million live leases. `BENCH_ONLY=bids` or `BENCH_ONLY=leases` runs one half, `BENCH_ONLY=seen` the
//! largest blocks of bids that have passed CheckTx.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_types,
    clippy::float_arithmetic,
    clippy::panic
)]

mod world;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use kernel::Backend as _;
use underbid::{app::App, execute::execute, metrics::Metrics, modules::STORES, signatures::SignatureCache};
use world::{Size, World};

/// The one of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const OPEN_ORDERS: u64 = 10_000;
const EMPTY_BLOCKS: usize = 100;
const SETTLE_S_MAX: u32 = 120;
const START: &str = "start-up";
/// The block cache of the process whose memory is measured: what a cache holds is no cost of a lease.
const SMALL_CACHE: usize = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == START) {
        return start_up(Path::new(&arguments[at + 1]), arguments[at + 2].parse().unwrap());
    }
    underbid::allocator::keep_freed_memory();
    machine();
    println!("\n{:<58}{:>12}{:>12}{:>12}", "", "least", "middle", "most");
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    if only == "seen" {
        return bids(OPEN_ORDERS, true);
    }
    if only != "leases" {
        for seen in [false, true] {
            bids(1_000, seen);
            bids(10_000, seen);
        }
    }
    if only != "bids" {
        let large = std::env::var("BENCH_LARGE").is_ok_and(|value| value == "1");
        let sizes: &[u64] = if large { &[0, 100_000, 1_000_000] } else { &[0, 10_000, 100_000] };
        leases(sizes);
    }
}

fn machine() {
    let line = |path: &str, prefix: &str| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let found = text.lines().find(|line| line.starts_with(prefix)).unwrap_or_default();
        found.rsplit(':').next().unwrap_or_default().trim().to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (model, kernel) = (line("/proc/cpuinfo", "model name"), line("/proc/sys/kernel/osrelease", ""));
    let load = line("/proc/loadavg", "");
    println!("{cores} cores, {model}, Linux {kernel}, load before {load}");
}

/// One line of the table.
fn row(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let digits = if values[values.len() / 2] < 100.0 { 2 } else { 0 };
    let (least, middle, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{name:<58}{least:>12.digits$}{middle:>12.digits$}{most:>12.digits$}");
}

/// The time that all threads of this process have run: unlike a clock on the wall, it does not count the neighbours.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Waits until the store has sorted what genesis wrote: a running chain never writes so much at once.
fn settle() {
    let quiet = Duration::from_millis(50);
    for _ in 0..SETTLE_S_MAX {
        let before = cpu();
        std::thread::sleep(Duration::from_secs(1));
        if cpu() - before < quiet {
            return;
        }
    }
}

fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

fn milliseconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}

/// Blocks of bids on 10,000 open orders: each order's first bid, then further ones. With `seen`, every transaction has
/// passed CheckTx, and a recheck, before it is in a block.
fn bids(block_size: u64, seen: bool) {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::new(directory.path(), Size { open_orders: OPEN_ORDERS, leases: 0 });
    let (mut checks, mut rechecks) = (Vec::new(), Vec::new());
    let blocks_a_round = OPEN_ORDERS / block_size;
    let signatures = if seen { "seen" } else { "unseen" };
    let rounds = if block_size == OPEN_ORDERS { 6 } else { 2 };
    let (mut first, mut further, mut used) = (Vec::new(), Vec::new(), Duration::ZERO);
    for round in 0..rounds {
        for part in 0..blocks_a_round {
            let txs = world.bids(round, part * block_size, block_size);
            if seen {
                checks.push(per_second(block_size, check(&world.app, &txs, false)));
                let empty = world.next_block(Vec::new());
                world.run(&empty);
                rechecks.push(per_second(block_size, check(&world.app, &txs, true)));
            }
            let block = world.next_block(txs);
            let last = round + 1 == rounds && part + 1 == blocks_a_round;
            if last && seen {
                counters(&world, &block, block_size);
            }
            let (started, cpu_before) = (Instant::now(), cpu());
            world.run(&block);
            let rate = per_second(block_size, started.elapsed());
            used += cpu() - cpu_before;
            if round == 0 { first.push(rate) } else { further.push(rate) }
        }
    }
    row(&format!("first bids/s, {block_size} a block, {signatures}"), first);
    row(&format!("further bids/s, {block_size} a block, {signatures}"), further);
    let a_bid = used.as_secs_f64() * 1e6 / (rounds * OPEN_ORDERS) as f64;
    println!("  {a_bid:.1} us of processor time a bid, over all threads");
    if seen {
        row(&format!("CheckTx/s, new, {block_size} pending"), checks);
        row(&format!("CheckTx/s, recheck, {block_size} pending"), rechecks);
    }
}

fn check(app: &App, txs: &[Vec<u8>], recheck: bool) -> Duration {
    let started = Instant::now();
    for tx in txs {
        let result = app.check_tx(tx, recheck).unwrap();
        assert_eq!(result.code, 0, "{}", result.log);
    }
    started.elapsed()
}

/// What a block of bids reads, writes and hashes, by executing it once beside the application.
fn counters(world: &World, block: &underbid::execute::RawBlock, count: u64) {
    let signatures = SignatureCache::default();
    let committed = world.app.committed();
    let candidate = execute(&committed.base, world.store.as_ref(), block, &signatures).unwrap();
    let a_bid = |value: u64| value as f64 / count as f64;
    let c = candidate.counters;
    println!(
        "  a bid: {:.2} keys read ({:.2} of them from the view), {:.0} bytes read, {:.2} keys written, {:.0} bytes written,",
        a_bid(c.reads),
        a_bid(c.view_reads),
        a_bid(c.bytes_read),
        a_bid(c.writes),
        a_bid(c.bytes_written)
    );
    println!(
        "  {:.2} derived entries, {:.2} scans, {:.2} changed keys, {:.2} trie nodes hashed, {:.2} signature checks, {:.0} gas",
        a_bid(c.derived),
        a_bid(c.scans),
        a_bid(candidate.staged.changes.len() as u64),
        a_bid(store::nodes_hashed(&candidate.staged).unwrap_or_default()),
        a_bid(signatures.checks()),
        a_bid(candidate.gas_used)
    );
}

/// Empty blocks, start-up, memory and disk by the number of live leases.
fn leases(sizes: &[u64]) {
    let mut base: Option<Started> = None;
    for leases in sizes {
        let directory = tempfile::tempdir().unwrap();
        let began = Instant::now();
        let mut world = World::new(directory.path(), Size { open_orders: 0, leases: *leases });
        let genesis = began.elapsed();
        settle();
        let (mut finalized, mut committed, mut both) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..EMPTY_BLOCKS {
            let block = world.next_block(Vec::new());
            let started = Instant::now();
            world.app.finalize(&block).unwrap();
            let middle = Instant::now();
            world.height = world.app.commit().unwrap();
            finalized.push(milliseconds(middle - started));
            committed.push(milliseconds(middle.elapsed()));
            both.push(milliseconds(started.elapsed()));
        }
        row(&format!("empty block, ms, {leases} live leases"), both);
        row("  of it FinalizeBlock", finalized);
        row("  of it Commit", committed);
        let keys: u64 = world.store.sizes().unwrap().keys.iter().map(|(_, keys)| keys).sum();
        drop(world);
        let starts: Vec<Started> = (0..3).map(|_| started(directory.path(), 256 << 20)).collect();
        row("  start-up, ms", starts.iter().map(|start| start.milliseconds).collect());
        let mut now = started(directory.path(), SMALL_CACHE);
        now.keys = keys;
        println!("  genesis to first commit {:.1} s; {}", genesis.as_secs_f64(), now.describe());
        match &base {
            None => base = Some(now),
            Some(base) => println!("  a live lease: {}", now.less(base, *leases)),
        }
    }
}

/// What a process that has just started reports.
struct Started {
    milliseconds: f64,
    memory: u64,
    disk: u64,
    trie: u64,
    keys: u64,
}

impl Started {
    fn describe(&self) -> String {
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        format!(
            "memory {:.1} MiB (tries {:.1}), disk {:.1} MiB, {} hashed keys",
            mib(self.memory),
            mib(self.trie),
            mib(self.disk),
            self.keys
        )
    }

    fn less(&self, base: &Self, leases: u64) -> String {
        let each = |now: u64, before: u64| now.saturating_sub(before) as f64 / leases as f64;
        format!(
            "{:.2} hashed keys, {:.0} bytes of memory (tries {:.0}), {:.0} bytes of disk",
            each(self.keys, base.keys),
            each(self.memory, base.memory),
            each(self.trie, base.trie),
            each(self.disk, base.disk)
        )
    }
}

/// Starts this program on a home, so that its memory is that of a node that has just started.
fn started(directory: &Path, cache_bytes: usize) -> Started {
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).arg(START).arg(directory).arg(cache_bytes.to_string()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [milliseconds, memory, disk, trie] = numbers[..] else { panic!("start-up printed {text:?}") };
    Started { milliseconds, memory: memory as u64, disk: disk as u64, trie: trie as u64, keys: 0 }
}

/// Opens the store, compares the derived entries with their digest as a node does, and opens the application.
fn start_up(directory: &Path, cache_bytes: usize) {
    let began = Instant::now();
    let store = world::open(directory, cache_bytes);
    let view = store.view(None).unwrap();
    kernel::chain::derived_sum(view.as_ref(), STORES.iter().map(|(id, _)| *id)).unwrap();
    let app = App::open(store.clone(), Metrics::default()).unwrap();
    let milliseconds = milliseconds(began.elapsed());
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').nth(1).unwrap().parse().unwrap();
    let sizes = store.sizes().unwrap();
    println!("{milliseconds} {} {} {}", pages * 4_096, sizes.disk_bytes, sizes.trie_bytes);
    drop(app);
}
