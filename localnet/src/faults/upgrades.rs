//! Nodes and chains that are replaced on purpose: D5, U1, U2.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bed::{Bed, HEAL_TIMEOUT, Made, Options, PATIENCE, run, told_at};
use super::checks::{APP_LOGS, Check, exported_height, seconds, validate, verify};
use super::{Error, Played, conclude, failed};
use crate::net::{self, Node};

/// U1, as far as there is one version of the rules: every node restarted in turn, and one that goes back a block.
pub async fn restarts(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let rounds = if options.is_long { 25 } else { 1 };
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds {
        for node in bed.net.validators() {
            let started = Instant::now();
            node.restart().await?;
            node.wait_height(bed.height().await, HEAL_TIMEOUT).await?;
            slowest = slowest.max(started.elapsed());
        }
    }
    let node = bed.net.node(2)?;
    node.stop().await;
    put_log_away(node, 1)?;
    let before = exported_height(&bed.export(node, None).await?);
    run(&bed.net.manifest().comet, node.home(), &["rollback"]).await?;
    bed.underbid(node.home(), &["rollback"]).await?;
    let after = exported_height(&bed.export(node, None).await?);
    node.start().await?;
    node.wait_height(bed.height().await.max(before + 1), HEAL_TIMEOUT).await?;
    let own = bed.net.app_hash_at(2, before).await?;
    let is_same = own == bed.net.app_hash_at(0, before).await?;
    let detail =
        format!("one node went back from height {before} to {after} and executed it again to the same hash");
    let check = Check::new("U1", after + 1 == before && is_same, detail);
    let findings =
        vec![format!("a restart until level with the others took {} at the most", seconds(slowest))];
    conclude(bed, rounds * 4 + 1, vec![check], findings).await
}

/// Lets the application of a node that is stopped begin another log.
fn put_log_away(node: &Node, place: usize) -> Result<(), Error> {
    let [log, other] = [APP_LOGS[0], APP_LOGS[place]].map(|name| node.home().join(name));
    std::fs::rename(log, other).map_err(failed)
}

/// D5. One application goes on with an older backup of its store. Then its CometBFT has gone back further than it has.
pub async fn older_backups(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let node = bed.net.node(2)?;
    let behind = restore(&bed, node, if options.is_long { 1_000 } else { 60 }).await?;
    let ahead = outrun(&bed, node).await?;
    conclude(bed, 2, vec![behind, ahead], Vec::new()).await
}

async fn restore(bed: &Bed, node: &Node, blocks: u64) -> Result<Check, Error> {
    let [store, backup] = ["data/application", "backup"].map(|name| node.home().join(name));
    node.stop().await;
    copy(&store, &backup).map_err(failed)?;
    node.start().await?;
    bed.wait_blocks(blocks, PATIENCE).await?;
    node.stop().await;
    let before = exported_height(&bed.export(node, None).await?);
    std::fs::remove_dir_all(&store).map_err(failed)?;
    std::fs::rename(&backup, &store).map_err(failed)?;
    let kept = exported_height(&bed.export(node, None).await?);
    put_log_away(node, 2)?;
    node.start().await?;
    node.wait_height(bed.height().await.max(before + 1), HEAL_TIMEOUT).await?;
    let is_same = told_at(node, before).await? == told_at(bed.net.node(0)?, before).await?
        && bed.net.app_hash_at(2, before).await? == bed.net.app_hash_at(0, before).await?;
    let detail = format!(
        "a store of height {kept} under a CometBFT of {before} was replayed to the same answers and hash"
    );
    Ok(Check::new("D5", kept + blocks <= before && is_same, detail))
}

async fn outrun(bed: &Bed, node: &Node) -> Result<Check, Error> {
    node.stop().await;
    put_log_away(node, 1)?;
    let mut app = exported_height(&bed.export(node, None).await?);
    // CometBFT may have one block more than it has executed, which goes first.
    let comet = &bed.net.manifest().comet;
    run(comet, node.home(), &["rollback", "--hard"]).await?;
    let told = run(comet, node.home(), &["rollback", "--hard"]).await?;
    let told = String::from_utf8_lossy(&told);
    let core = told.split_whitespace().find_map(|word| word.parse().ok());
    let core: u64 = core.ok_or_else(|| failed(format!("no height in {told}")))?;
    let refusal = match node.start().await {
        Ok(()) => "it started".to_owned(),
        Err(net::Error::Died(death)) => death.log_tail,
        Err(error) => return Err(error.into()),
    };
    node.take_death();
    let expected = format!("app block height ({app}) is higher than core ({core})");
    let detail = format!("with its application ahead CometBFT refuses to start: {expected}");
    let check = if refusal.contains(&expected) { (true, detail) } else { (false, refusal) };
    node.stop().await;
    put_log_away(node, 3)?;
    while app > core {
        bed.underbid(node.home(), &["rollback"]).await?;
        app = exported_height(&bed.export(node, None).await?);
    }
    node.start().await?;
    node.wait_height(bed.height().await, HEAL_TIMEOUT).await?;
    Ok(Check::new("D5", check.0, check.1))
}

/// Copies a directory.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() { copy(&from, &to)? } else { std::fs::copy(&from, &to).map(drop)? }
    }
    Ok(())
}

/// U2. The first chain is held to the laws before it ends. The state of one chain becomes the genesis of another, with its orders, leases and money.
pub async fn export_and_import(options: &Options) -> Result<Played, Error> {
    let mut bed = Bed::open(options).await?;
    bed.stage
        .shared()
        .wait("a lease", Duration::from_secs(60), |board| {
            let started = board.orders.values().filter_map(|order| order.round()?.active_since);
            started.min()
        })
        .await?;
    let before = verify(&mut bed).await;
    let node = bed.net.node(0)?;
    let exported = bed.export(node, None).await?;
    validate(&bed, &exported).await?;
    let height = exported_height(&exported);

    let document = successor(&options.genesis, &exported)?;
    let elsewhere = Options { dir: options.dir.join("successor"), ..options.clone() };
    let mut second = Made::new(&elsewhere, |spec| spec.genesis = document)?.open_quiet().await?;
    let kept = exported["app_state"]["bank"]["balances"].as_array().map_or(0, Vec::len);
    second.trade().await?;
    tokio::time::sleep(Duration::from_secs(if options.is_long { 60 } else { 5 })).await;
    let first_height = second.net.node(0)?.rpc().status().await?.earliest_height;
    let detail =
        format!("a chain with the {kept} accounts of height {height} begins at {first_height} and trades on");
    let mut checks = vec![Check::new("U2", first_height == height + 1, detail)];
    checks.extend(
        before.into_iter().map(|check| Check { detail: format!("before: {}", check.detail), ..check }),
    );
    conclude(second, 1, checks, Vec::new()).await
}

/// The genesis document of the next chain: CometBFT's part of the old one, and the state that was exported.
fn successor(genesis: &Value, exported: &Value) -> Result<Value, Error> {
    let mut document = genesis.clone();
    let fields = document.as_object_mut().ok_or_else(|| failed("the genesis document is no object"))?;
    for key in ["app_state", "initial_height"] {
        fields.insert(key.to_owned(), exported[key].clone());
    }
    fields.insert("chain_id".to_owned(), Value::from("underbid-successor-1"));
    Ok(document)
}
