//! What must hold after every fault, by the ids of `docs/faults.md`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use kernel::Reject;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::bed::{Bed, HEAL_TIMEOUT, PATIENCE};
use super::{Error, failed};
use crate::demo::board::Board;
use crate::demo::stage::transfer;
use crate::grammar;

/// How many blocks must come after healing.
const BLOCKS_AFTER_HEALING: u64 = 10;
/// The memory that CometBFT and the application of one node may ever hold, in bytes.
const PEAK_BYTES_MAX: (u64, u64) = (900 << 20, 700 << 20);
/// The disk that one node may use, in bytes: a scenario has some thousand small blocks.
const DISK_BYTES_MAX: u64 = 1 << 30;
/// The logs of an application. One that went back is called as by two runs, so it begins another log.
pub const APP_LOGS: [&str; 4] =
    ["app.log", "app-before-rollback.log", "app-before-backup.log", "app-ahead.log"];
/// What in a log tells of a failure that nobody injected.
const ALARMS: [&str; 7] = [
    "panicked at",
    "CONSENSUS FAILURE",
    "panic: ",
    "stopping: ",
    "fatal error: ",
    "overflowed its stack",
    "terminate called",
];
/// What CometBFT says of the death of its application, which is told by that one's own log if nobody injected it, and of a
/// peer's message that it refuses.
const NO_ALARMS: [&str; 3] = ["abci.sock", "EOF", "recovered from panic: rejected msg"];

/// Why something is refused: the codespace, and the code in it.
pub type Code = (&'static str, u32);
/// A signature is not its signer's.
pub const UNAUTHORIZED: Code = (Reject::SDK, 4);
/// The sequence is not the signer's next.
pub const WRONG_SEQUENCE: Code = (Reject::SDK, 32);

/// One law, and whether it held.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Its id, such as `G1`.
    pub id: &'static str,
    /// Whether it held.
    pub ok: bool,
    /// What was compared, or what was found instead.
    pub detail: String,
}

impl Check {
    /// A law that was looked at.
    pub fn new(id: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { id, ok, detail: detail.into() }
    }

    fn of(id: &'static str, result: Result<String, Error>) -> Self {
        match result {
            Ok(detail) => Self::new(id, true, detail),
            Err(error) => Self::new(id, false, error.to_string()),
        }
    }
}

/// Checks everything on a net that is healed, and stops it.
pub async fn verify(bed: &mut Bed) -> Vec<Check> {
    let mut checks = vec![Check::of("G7", healed(bed).await), Check::of("G7", trading(bed).await)];
    bed.stage.pause().await;
    let counted = bed.stage.finish().await;
    let last = *counted.as_ref().unwrap_or(&bed.first_height);
    match counted {
        Err(error) => checks.push(Check::new("G2", false, error.to_string())),
        Ok(height) => {
            checks.push(Check::of("G3", money(bed, height).await));
            checks.push(Check::of("G2", once(bed).await));
            checks.push(Check::of("G1", agreement(bed, height).await));
            checks.push(Check::of("G8", replay(bed, height).await));
        }
    }
    checks.push(Check::of("G9", budget(bed)));
    bed.net.stop().await;
    checks.push(Check::of("G6", alive(bed)));
    checks.push(Check::of("G4", books(bed).await));
    checks.push(Check::of("A1.23", grammar_of(bed, last)));
    checks.sort_by_key(|check| check.id);
    checks
}

async fn healed(bed: &Bed) -> Result<String, Error> {
    let time = bed.wait_blocks(BLOCKS_AFTER_HEALING, HEAL_TIMEOUT).await?;
    Ok(format!("{BLOCKS_AFTER_HEALING} blocks on every validator after {:.1} s", time.as_secs_f64()))
}

/// Each node takes a transaction, and whoever trades gets on: a market that stands still keeps every other law.
async fn trading(bed: &Bed) -> Result<String, Error> {
    let shared = bed.stage.shared();
    let newest = |board: &Board| board.orders.keys().max().copied();
    let (newest_before, receipts_before) = shared.read(|board| (newest(board), board.receipts.len()));
    // One that was placed before may be awarded though nobody can bid any more.
    let is_awarded = |board: &Board| {
        let placed = board.orders.iter().filter(|(id, _)| Some(**id) > newest_before);
        placed.flat_map(|(_, order)| &order.rounds).any(|round| round.winner.is_some())
    };
    let message = transfer(bed.stage.cast().member("authority")?, bed.stage.cast().member("alice")?);
    for node in bed.net.validators() {
        let sent = bed.stage.sender_through("authority", node.index())?.send(&message).await;
        sent.map_err(|error| failed(format!("a transfer through node{}: {error}", node.index())))?;
    }
    let own = bed.net.validators().len();
    let is_trading = |board: &Board| {
        let goes_on = !bed.has_market || is_awarded(board);
        (goes_on && board.receipts.len() > receipts_before + own).then_some(())
    };
    shared.wait("new business", PATIENCE, is_trading).await?;
    let business =
        if bed.has_market { "an order placed since was awarded" } else { "others paid on (no market here)" };
    Ok(format!("a transfer through each of {own} nodes is in a block, and {business}"))
}

/// Every account and the supply, by the events of all blocks and by the bank.
async fn money(bed: &Bed, height: u64) -> Result<String, Error> {
    let client = &bed.stage.clients()[0];
    let ledger = bed.stage.shared().read(|board| board.ledger.clone());
    let accounts = ledger.accounts(client, bed.stage.cast(), height).await?;
    let supplies = ledger.supplies(client, height).await?;
    let wrong: Vec<_> = accounts.iter().filter(|row| !row.matches).map(|row| &row.name).collect();
    if !wrong.is_empty() || supplies.iter().any(|row| !row.matches) {
        return Err(failed(format!("the events do not add up to the balances: {wrong:?}, {supplies:?}")));
    }
    Ok(format!("{} balances and {} supplies add up at height {height}", accounts.len(), supplies.len()))
}

/// Every transaction that a sender was told of is in the chain, and none succeeded twice.
async fn once(bed: &Bed) -> Result<String, Error> {
    let (codes, receipts) = bed.stage.shared().read(|board| (board.codes.clone(), board.receipts.clone()));
    let mut applied: BTreeMap<String, u64> = BTreeMap::new();
    for (height, codes) in &codes {
        let block = bed.net.node(0)?.rpc().block(Some(*height)).await?;
        if block.transactions.len() != codes.len() {
            return Err(failed(format!("height {height}: {} results", codes.len())));
        }
        for (tx, _) in block.transactions.iter().zip(codes).filter(|(_, code)| **code == 0) {
            let hash = hex::encode_upper(Sha256::digest(tx));
            if let Some(before) = applied.insert(hash.clone(), *height) {
                return Err(failed(format!("{hash} succeeded at {before} and at {height}")));
            }
        }
    }
    let lost = receipts.iter().find(|(hash, height)| applied.get(hash) != Some(height));
    match lost {
        Some((hash, height)) => {
            Err(failed(format!("{hash} is not at height {height}, as its sender was told")))
        }
        None if receipts.is_empty() => Err(failed("nobody was told of a transaction")),
        None => Ok(format!("{} transactions, {} with a receipt, each once", applied.len(), receipts.len())),
    }
}

/// All validators have the same hash in every header, and computed the same after the last block.
async fn agreement(bed: &Bed, height: u64) -> Result<String, Error> {
    let mut expected = None;
    for node in bed.net.validators() {
        // First what waits for the height: a node that has just been restarted may be behind.
        let last = bed.net.app_hash_at(node.index(), height).await?;
        let headers = node.rpc().headers(bed.first_height, height).await?;
        let hashes: Vec<(u64, String)> =
            headers.into_iter().map(|header| (header.height, header.app_hash)).collect();
        let found = (hashes, last);
        let expected = expected.get_or_insert_with(|| found.clone());
        if *expected != found {
            let pairs = expected.0.iter().zip(&found.0);
            let first = pairs.filter(|(a, b)| a != b).map(|(a, _)| a.0).next().unwrap_or(height);
            return Err(failed(format!("node{} differs from node0 at height {first}", node.index())));
        }
    }
    let count = height + 1 - bed.first_height;
    Ok(format!("{count} app hashes equal on {} validators", bed.net.validators().len()))
}

/// A fresh node replays everything from its peers and comes to the same hash.
async fn replay(bed: &Bed, height: u64) -> Result<String, Error> {
    let Some(observer) = bed.net.nodes().get(bed.net.validators().len()) else {
        return Ok("no observer in this net".to_owned());
    };
    observer.start().await?;
    observer.wait_height(height, PATIENCE).await?;
    let (found, expected) =
        (bed.net.app_hash_at(observer.index(), height).await?, bed.net.app_hash_at(0, height).await?);
    if found != expected {
        return Err(failed(format!("the replay comes to {}", hex::encode_upper(found))));
    }
    Ok(format!("a fresh node replayed {height} blocks to the same hash"))
}

/// By the ends and the logs of all processes, the last orderly end included: the net is stopped.
fn alive(bed: &Bed) -> Result<String, Error> {
    if let Some(end) = bed.net.unwanted_ends().first() {
        return Err(failed(end));
    }
    for node in bed.net.nodes() {
        for name in APP_LOGS.into_iter().chain(["comet.log"]) {
            let log = read_log(&node.home().join(name))?;
            let has = |line: &&str, words: &[&str]| words.iter().any(|word| line.contains(word));
            let alarm = log.lines().find(|line| has(line, &ALARMS) && !has(line, &NO_ALARMS));
            if let Some(line) = alarm {
                return Err(failed(format!("node{} {name}: {line:.400}", node.index())));
            }
        }
    }
    Ok("no exit and no panic but those injected".to_owned())
}

fn budget(bed: &Bed) -> Result<String, Error> {
    let (mut comet_max, mut app_max, mut disk_max) = (0, 0, 0);
    for node in bed.net.nodes() {
        let (comet, app) = node.peak_bytes();
        let disk = disk_bytes(&node.home().join("data"));
        (comet_max, app_max, disk_max) = (comet_max.max(comet), app_max.max(app), disk_max.max(disk));
    }
    let text = format!(
        "at most {} MiB of CometBFT, {} MiB of the application, {} MiB of disk a node",
        comet_max >> 20,
        app_max >> 20,
        disk_max >> 20
    );
    let is_within =
        comet_max <= PEAK_BYTES_MAX.0 && app_max <= PEAK_BYTES_MAX.1 && disk_max <= DISK_BYTES_MAX;
    if is_within { Ok(text) } else { Err(failed(text)) }
}

fn disk_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// The states of two stopped validators at the same height are equal as documents, and one passes every invariant: each
/// escrow's deposits are its balance and what was paid and refunded (G4), and leases, orders and bids fit (G5).
async fn books(bed: &Bed) -> Result<String, Error> {
    let nodes = [bed.net.node(0)?, bed.net.node(bed.net.validators().len() - 1)?];
    let exports = [bed.export(nodes[0], None).await?, bed.export(nodes[1], None).await?];
    let heights = exports.each_ref().map(exported_height);
    let least = heights[0].min(heights[1]);
    let mut documents = Vec::new();
    for ((node, document), height) in nodes.iter().zip(exports).zip(heights) {
        documents.push(if height == least { document } else { bed.export(node, Some(least)).await? });
    }
    if documents[0]["app_state"] != documents[1]["app_state"] {
        return Err(failed(format!("the exports at height {least} differ")));
    }
    validate(bed, &documents[0]).await?;
    let leases = documents[0].pointer("/app_state/market/leases").and_then(Value::as_array);
    let orders = documents[0].pointer("/app_state/market/orders").and_then(Value::as_array);
    let count = |rows: Option<&Vec<Value>>| rows.map_or(0, Vec::len);
    Ok(format!(
        "two exports at height {least} are equal and pass every invariant (G3, G4, G5): {} orders, {} leases",
        count(orders),
        count(leases)
    ))
}

/// The height of an export.
pub fn exported_height(document: &Value) -> u64 {
    let text = document.pointer("/exported/height").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Checks an exported state as a new chain's first block would.
pub async fn validate(bed: &Bed, document: &Value) -> Result<(), Error> {
    let file = bed.net.dir().join("exported.json");
    std::fs::write(&file, document.to_string()).map_err(failed)?;
    let file = file.display().to_string();
    bed.underbid(bed.net.node(0)?.home(), &["genesis", "validate", &file]).await?;
    Ok(())
}

/// Every node's recording keeps to the grammar, and holds each block up to the last one that was counted.
fn grammar_of(bed: &Bed, last: u64) -> Result<String, Error> {
    let mut all = grammar::Tally::default();
    let blocks = (last + 1).saturating_sub(bed.first_height);
    for node in bed.net.nodes() {
        let (mut starts, mut commits) = (0, 0);
        for name in APP_LOGS {
            let log = read_log(&node.home().join(name))?;
            let tally = grammar::check(&grammar::read(&log))
                .map_err(|broken| failed(format!("node{} {name}: {broken}", node.index())))?;
            (starts, commits) = (starts + tally.starts, commits + tally.commits);
            all.inits += tally.inits;
            all.proposals += tally.proposals;
        }
        if starts == 0 || commits < blocks {
            let found = format!("{starts} starts and {commits} commits are recorded of {blocks} blocks");
            return Err(failed(format!("node{}: {found}", node.index())));
        }
        (all.starts, all.commits) = (all.starts + starts, all.commits + commits);
    }
    let grammar::Tally { starts, inits, commits, proposals } = all;
    Ok(format!(
        "calls keep to the grammar: {starts} starts, {inits} InitChain, {proposals} proposals, {commits} commits"
    ))
}

fn read_log(path: &Path) -> Result<String, Error> {
    if !path.exists() {
        return Ok(String::new());
    }
    let bytes = std::fs::read(path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// How long something took, as it is shown.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
