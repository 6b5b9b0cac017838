//! How many transactions a net commits, end to end: submitted over RPC to every node, counted when a block holds them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;
use underbid::client::rpc::{self, Rpc};

use super::{Cores, CpuTimes, Distribution, round};
use crate::net::{Error, Net};

/// How often mempools and heights are looked at.
const POLL: Duration = Duration::from_millis(20);
/// How long a block's results may lag behind the block.
const RESULTS_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the transactions of one sender come from.
pub trait TxSource: Send + 'static {
    /// The next transaction, signed and encoded; `None` when there are no more.
    fn next_tx(&mut self) -> Option<Vec<u8>>;
}

impl TxSource for Box<dyn TxSource> {
    fn next_tx(&mut self) -> Option<Vec<u8>> {
        (**self).next_tx()
    }
}

/// Distinct transactions for CometBFT's key-value store.
pub struct KvSource {
    sender: usize,
    count: u64,
    tx_bytes: usize,
}

impl KvSource {
    /// Transactions of `tx_bytes`, which no other `sender` sends.
    pub fn new(sender: usize, tx_bytes: usize) -> Self {
        Self { sender, count: 0, tx_bytes }
    }
}

impl TxSource for KvSource {
    fn next_tx(&mut self) -> Option<Vec<u8>> {
        self.count += 1;
        let mut tx = format!("{}-{}=", self.sender, self.count).into_bytes();
        tx.resize(self.tx_bytes.max(tx.len() + 1), b'x');
        Some(tx)
    }
}

/// How hard to push.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// How long to send.
    pub duration: Duration,
    /// Transactions a request, at most the nodes' `max_request_batch_size`.
    pub batch: usize,
    /// A sender waits while its node's mempool holds more than this.
    pub pending_max: u64,
    /// How long to wait for what was sent to be committed.
    pub drain: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(20),
            batch: 100,
            pending_max: 4000,
            drain: Duration::from_secs(30),
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct LoadReport {
    /// Transactions that the nodes took in.
    pub sent: u64,
    /// Transactions that a mempool refused before CheckTx, being full or knowing them already.
    pub refused: u64,
    /// Transactions in blocks that succeeded.
    pub committed: u64,
    /// Transactions in blocks that failed, by codespace and code.
    pub failed: BTreeMap<String, u64>,
    /// From the first submission to the last commit.
    pub seconds: f64,
    /// Committed and successful, a second.
    pub per_second: f64,
    /// Blocks with transactions.
    pub blocks: u64,
    /// The intervals between the headers meanwhile.
    pub intervals: Distribution,
    /// What it cost.
    pub cores: Cores,
}

/// Sends the transactions of each source to a node, sources in turn to nodes in turn, and waits for their commits.
///
/// Sources run in tasks of their own, so signing in [`TxSource::next_tx`] takes CPU time from the net: prepare what is costly
/// before.
pub async fn measure_load<S: TxSource>(
    net: &Net,
    sources: Vec<S>,
    options: &LoadOptions,
) -> Result<LoadReport, Error> {
    let follower_rpc = net.node(0)?.rpc().clone();
    let first = follower_rpc.height().await?;
    let (cpu_before, start) = (CpuTimes::of(net), Instant::now());

    let is_over = Arc::new(AtomicBool::new(false));
    let pending: Vec<Arc<AtomicU64>> = net.validators().iter().map(|_| Arc::default()).collect();
    let mut gauges = JoinSet::new();
    for (node, pending) in net.validators().iter().zip(&pending) {
        gauges.spawn(watch_mempool(node.rpc().clone(), Arc::clone(pending)));
    }
    let follower = tokio::spawn(follow(follower_rpc.clone(), first + 1, Arc::clone(&is_over)));

    let mut senders = JoinSet::new();
    for (source, index) in sources.into_iter().zip((0..net.validators().len()).cycle()) {
        let rpc = net.node(index)?.rpc().clone();
        senders.spawn(send(rpc, source, Arc::clone(&pending[index]), options.clone(), start));
    }
    let (mut sent, mut refused) = (0, 0);
    for result in senders.join_all().await {
        let counts = result?;
        sent += counts.taken;
        refused += counts.refused;
    }
    drain(&pending, options.drain).await;
    is_over.store(true, Ordering::Relaxed);
    let committed = follower.await.map_err(std::io::Error::other).map_err(follower_failed)??;
    gauges.shutdown().await;
    net.check()?;

    let elapsed = committed.last_commit.saturating_duration_since(start);
    let cores = CpuTimes::of(net).cores_since(&cpu_before, start.elapsed());
    let last_height = committed.blocks.last().copied().unwrap_or(first);
    let headers = follower_rpc.headers(first, last_height).await?;
    let failed = failures(&follower_rpc, &committed.blocks).await?;
    let succeeded = committed.transactions.saturating_sub(failed.values().sum());
    let total = u32::try_from(succeeded).unwrap_or(u32::MAX);
    Ok(LoadReport {
        sent,
        refused,
        committed: succeeded,
        failed,
        seconds: round(elapsed.as_secs_f64()),
        per_second: round(f64::from(total) / elapsed.as_secs_f64().max(0.001)),
        blocks: u64::try_from(committed.blocks.len()).unwrap_or_default(),
        intervals: Distribution::of(&headers),
        cores,
    })
}

fn follower_failed(source: std::io::Error) -> Error {
    Error::File { path: "the block follower".into(), source }
}

struct Counts {
    taken: u64,
    refused: u64,
}

async fn send<S: TxSource>(
    rpc: Rpc,
    mut source: S,
    pending: Arc<AtomicU64>,
    options: LoadOptions,
    start: Instant,
) -> Result<Counts, rpc::Error> {
    let mut counts = Counts { taken: 0, refused: 0 };
    while start.elapsed() < options.duration {
        if pending.load(Ordering::Relaxed) > options.pending_max {
            tokio::time::sleep(POLL / 4).await;
            continue;
        }
        let batch: Vec<Vec<u8>> = std::iter::from_fn(|| source.next_tx()).take(options.batch).collect();
        if batch.is_empty() {
            break;
        }
        let taken = rpc.broadcast_txs_async(&batch).await?;
        counts.taken += u64::try_from(taken).unwrap_or_default();
        counts.refused += u64::try_from(batch.len().saturating_sub(taken)).unwrap_or_default();
        // Two reads of the gauge may be far apart for a fast sender, so it counts what it has just added.
        pending.fetch_add(u64::try_from(taken).unwrap_or_default(), Ordering::Relaxed);
    }
    Ok(counts)
}

/// Keeps `pending` at the number of transactions in a node's mempool.
async fn watch_mempool(rpc: Rpc, pending: Arc<AtomicU64>) {
    loop {
        if let Ok(unconfirmed) = rpc.num_unconfirmed_txs().await {
            pending.store(unconfirmed.count, Ordering::Relaxed);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until every mempool is empty, and then for the block that emptied it.
async fn drain(pending: &[Arc<AtomicU64>], patience: Duration) {
    let deadline = Instant::now() + patience;
    loop {
        tokio::time::sleep(POLL * 10).await;
        let is_empty = pending.iter().all(|pending| pending.load(Ordering::Relaxed) == 0);
        if is_empty || Instant::now() >= deadline {
            return;
        }
    }
}

struct Committed {
    transactions: u64,
    blocks: Vec<u64>,
    last_commit: Instant,
}

/// Counts the transactions of every block from `height` on, until all blocks that are there at the end are counted. It asks
/// for the number alone: the results of a full block are megabytes of JSON, which would cost the node more than the block.
async fn follow(rpc: Rpc, mut height: u64, is_over: Arc<AtomicBool>) -> Result<Committed, rpc::Error> {
    let mut committed = Committed { transactions: 0, blocks: Vec::new(), last_commit: Instant::now() };
    loop {
        let was_over = is_over.load(Ordering::Relaxed);
        let last = rpc.height().await?;
        let seen = Instant::now();
        for count in rpc.transaction_counts(height, last).await? {
            if count > 0 {
                committed.transactions += count;
                committed.blocks.push(height);
                committed.last_commit = seen;
            }
            height += 1;
        }
        if was_over {
            return Ok(committed);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The transactions that failed in these blocks, by codespace and code.
async fn failures(rpc: &Rpc, blocks: &[u64]) -> Result<BTreeMap<String, u64>, rpc::Error> {
    let mut failed = BTreeMap::new();
    for height in blocks {
        let results = rpc.wait_for_results(*height, RESULTS_TIMEOUT).await?;
        for result in results.txs_results.iter().filter(|result| result.code != 0) {
            *failed.entry(format!("{}/{}", result.codespace, result.code)).or_default() += 1;
        }
    }
    Ok(failed)
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, refused, committed, failed, seconds, per_second, blocks, intervals, cores } = self;
        let Distribution { median_ms, max_ms, .. } = intervals;
        writeln!(f, "{committed} transactions committed in {seconds} s: {per_second} a second")?;
        writeln!(
            f,
            "{sent} taken by the nodes, {refused} refused by a mempool, {blocks} blocks with transactions"
        )?;
        for (code, count) in failed {
            writeln!(f, "{count} failed in a block with {code}")?;
        }
        writeln!(f, "block interval: median {median_ms} ms, max {max_ms} ms")?;
        let Cores { comet, app, own } = cores;
        write!(f, "cores in use: CometBFT {comet}, application {app}, this load generator {own}")
    }
}
