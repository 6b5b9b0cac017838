//! Nodes and chains that are replaced on purpose: U1, U2.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::bed::{Bed, HEAL_TIMEOUT, Made, Options, run};
use super::checks::{APP_LOGS, Check, exported_height, seconds, validate};
use super::{Error, Played, conclude, failed};

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
    let [log, log_before] = APP_LOGS.map(|name| node.home().join(name));
    std::fs::rename(log, log_before).map_err(failed)?;
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

/// U2. The state of one chain becomes the genesis of another, with its orders, leases and money.
pub async fn export_and_import(options: &Options) -> Result<Played, Error> {
    let mut bed = Bed::open(options).await?;
    bed.stage
        .shared()
        .wait("a lease", Duration::from_secs(60), |board| {
            let started = board.orders.values().filter_map(|order| order.round()?.active_since);
            started.min()
        })
        .await?;
    bed.stage.pause().await;
    bed.net.stop().await;
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
    let check = Check::new("U2", first_height == height + 1, detail);
    conclude(second, 1, vec![check], Vec::new()).await
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
