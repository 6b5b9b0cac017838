//! Processes that end or stop at the wrong moment: C1 to C6.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::bed::{Bed, CLOCK_PATH, HEAL_TIMEOUT, Made, Options, PATIENCE, told_at, wait_until};
use super::checks::{Check, seconds};
use super::{Error, Played, conclude, failed};
use crate::net::{App, Injection, Net, Node};

/// Where CometBFT ends itself when it is told to: twice at a vote of its own, nine times from a decision to the next height.
const FAIL_POINTS: u32 = 11;
/// How soon a block must come after a crash: what an idle machine should keep, and what a busy one must.
const FIRST_BLOCK_WISH: Duration = Duration::from_secs(5);
const FIRST_BLOCK_MAX: Duration = Duration::from_secs(20);
/// How many past heights the pruning nodes of C5 keep.
const SHORT_HISTORY: u64 = 8;

/// C1. The whole net is started anew each time, so that the victim has nothing to fetch and counts its crash points in
/// consensus, from the first vote on.
pub async fn fail_points(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let rounds = if options.is_long { 50 } else { 1 };
    let victim = bed.net.node(3)?;
    let mut times = Vec::new();
    for cycle in 0..rounds * FAIL_POINTS {
        let point = cycle % FAIL_POINTS;
        bed.net.stop().await;
        let variable = ("FAIL_TEST_INDEX".to_owned(), point.to_string());
        victim.inject(Injection { comet_environment: vec![variable], ..Injection::default() });
        let others = async {
            for node in &bed.net.validators()[..3] {
                node.start().await?;
            }
            Ok::<(), Error>(())
        };
        let falling = fall(victim, point);
        let ((), ()) = tokio::try_join!(others, falling)?;
        victim.inject(Injection::default());
        if cycle % 2 == 1 {
            victim.kill();
        }
        let before = bed.height().await;
        let started = Instant::now();
        recover(victim).await?;
        victim.wait_height(before + 1, PATIENCE).await?;
        times.push(started.elapsed());
    }
    let slowest = times.iter().max().copied().unwrap_or_default();
    let slow = times.iter().filter(|time| **time > FIRST_BLOCK_WISH).count();
    let detail = format!(
        "{} between the restart and the first new block at the most; {slow} of {} took more than {}",
        seconds(slowest),
        times.len(),
        seconds(FIRST_BLOCK_WISH)
    );
    let check = Check::new("C1", slowest <= FIRST_BLOCK_MAX, detail);
    conclude(bed, rounds * FAIL_POINTS, vec![check], Vec::new()).await
}

/// Starts a node whose CometBFT is to end by itself, and waits for that end.
async fn fall(victim: &Node, point: u32) -> Result<(), Error> {
    let log = victim.home().join("comet.log");
    let before = std::fs::metadata(&log).map_err(failed)?.len();
    victim.start_app().await?;
    victim.launch_comet()?;
    victim.expect_end();
    wait_until(&format!("CometBFT ends at point {point}"), PATIENCE, async || !victim.is_running()).await?;
    let log = std::fs::read(log).map_err(failed)?;
    let told = String::from_utf8_lossy(&log[usize::try_from(before).map_err(failed)?..]);
    if !told.contains(&format!("*** fail-test {point} ***")) {
        return Err(failed(format!("CometBFT ended, but not at point {point}")));
    }
    Ok(())
}

/// Starts what is down, and leaves what runs.
async fn recover(node: &Node) -> Result<(), Error> {
    if node.is_app_running() {
        return Ok(node.start_comet().await?);
    }
    Ok(node.start().await?)
}

/// C2. One of the two processes of a node dies, and the other has to notice or to wait.
pub async fn kill_one(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let cycles = if options.is_long { 1_000 } else { 12 };
    let checks = kill_in_turn(&bed, cycles).await?;
    conclude(bed, cycles, checks, Vec::new()).await
}

async fn kill_in_turn(bed: &Bed, cycles: u32) -> Result<Vec<Check>, Error> {
    let (mut ahead, mut behind) = (0, 0);
    for (cycle, node) in (0..cycles).zip(bed.net.validators().iter().cycle()) {
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..400))).await;
        let before = bed.height().await;
        match cycle / 4 % 2 {
            0 => node.kill_app(),
            _ => node.kill_comet(),
        }
        recover(node).await?;
        // Both answer now. Heights only grow, so the application's before and after that of CometBFT bound the one beside it.
        let least = node.rpc().height().await?;
        let stored = node.rpc().status().await?.height;
        let most = node.rpc().height().await?;
        ahead = ahead.max(least.saturating_sub(stored));
        behind = behind.max(stored.saturating_sub(most));
        node.wait_height(before.max(stored) + 1, PATIENCE).await?;
    }
    let detail = format!(
        "after a restart the application was at most {ahead} blocks ahead of its CometBFT and {behind} behind"
    );
    // The block that it is executing is stored already.
    Ok(vec![Check::new("C2", ahead == 0 && behind <= 1, detail)])
}

/// C3. Asked is for the last height that anybody had: some of the others execute it only afterwards.
pub async fn kill_all(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let cycles = if options.is_long { 100 } else { 3 };
    let mut differs = None;
    for _ in 0..cycles {
        tokio::time::sleep(Duration::from_millis(rand::random_range(500..1_500))).await;
        let heights = bed.net.heights().await.into_iter().flatten().zip(bed.net.validators());
        let (height, first) = heights.max_by_key(|(height, _)| *height).ok_or_else(|| failed("no node"))?;
        let told = told_at(first, height).await?;
        bed.net.kill_all();
        bed.net.start_all().await?;
        bed.wait_blocks(2, PATIENCE).await?;
        for node in bed.net.validators() {
            if told_at(node, height).await? != told {
                let index = node.index();
                differs = Some(format!("node{index} answers otherwise about height {height} than before"));
            }
        }
    }
    let is_same = differs.is_none();
    let alike = || {
        format!(
            "before and after each of {cycles} kills the applications answer alike about the last height before"
        )
    };
    conclude(bed, cycles, vec![Check::new("C3", is_same, differs.unwrap_or_else(alike))], Vec::new()).await
}

/// C4. Two validators of four can't make a block, so they run the genesis document and wait; they die at that, and later.
pub async fn before_the_first_commit(options: &Options) -> Result<Played, Error> {
    let made = Made::new(options, |_| {})?;
    let cycles = if options.is_long { 50 } else { 4 };
    for cycle in 0..cycles {
        let net = &made.net;
        for node in &net.validators()[..2] {
            node.start_app().await?;
            node.expect_end();
            node.launch_comet()?;
            node.expect_end();
        }
        let expected = usize::try_from(cycle + 1).unwrap_or_default();
        let are_there =
            async || genesis_hashes(net).is_ok_and(|counts| counts.iter().all(|node| node.len() >= expected));
        wait_until("InitChain was called", PATIENCE, are_there).await?;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        net.kill_all();
    }
    let bed = made.open().await?;
    let runs = genesis_hashes(&bed.net)?;
    let distinct: BTreeSet<&String> = runs.iter().flatten().collect();
    let detail = format!(
        "InitChain ran {} times on each of two nodes, with {} app hash",
        runs.iter().map(Vec::len).min().unwrap_or_default(),
        distinct.len()
    );
    let is_told = distinct.iter().all(|hash| !hash.is_empty());
    let check = Check::new("C4", distinct.len() == 1 && is_told, detail);
    conclude(bed, cycles, vec![check], Vec::new()).await
}

/// The hashes that InitChain came to, by the logs of the first two nodes.
fn genesis_hashes(net: &Net) -> Result<Vec<Vec<String>>, Error> {
    let hashes = |node: &std::sync::Arc<Node>| {
        let log = std::fs::read_to_string(node.home().join("app.log")).map_err(failed)?;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let genesis = lines.filter(|line| line["message"] == "genesis");
        Ok(genesis.map(|line| line["app_hash"].as_str().unwrap_or_default().to_owned()).collect())
    };
    net.validators()[..2].iter().map(hashes).collect()
}

/// C5, as far as there is something to prune: undo rows. (No snapshots are written, and no migration exists.)
pub async fn while_pruning(options: &Options) -> Result<Played, Error> {
    let made = Made::new(options, |spec| {
        if let App::Underbid { arguments, .. } = &mut spec.app {
            arguments.extend(["--history-heights".to_owned(), SHORT_HISTORY.to_string()]);
        }
    })?;
    let bed = made.open().await?;
    bed.wait_blocks(2 * SHORT_HISTORY, PATIENCE).await?;
    let cycles = if options.is_long { 200 } else { 8 };
    for (_, node) in (0..cycles).zip(bed.net.validators().iter().cycle()) {
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..200))).await;
        let before = bed.height().await;
        node.kill_app();
        node.start().await?;
        node.wait_height(before + 1, PATIENCE).await?;
    }
    bed.wait_blocks(2 * SHORT_HISTORY, PATIENCE).await?;
    let rpc = bed.net.node(1)?.rpc();
    let height = rpc.height().await?;
    let kept = rpc.abci_query(CLOCK_PATH, &[], height - SHORT_HISTORY / 2, false).await?;
    let pruned = rpc.abci_query(CLOCK_PATH, &[], height - 3 * SHORT_HISTORY / 2, false).await?;
    let detail = format!("a kept height answers with code {}, a pruned one with {}", kept.code, pruned.code);
    let check = Check::new("C5", kept.code == 0 && pruned.code != 0, detail);
    conclude(bed, cycles, vec![check], Vec::new()).await
}

/// C6.
pub async fn pauses(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let (one, two) = if options.is_long { (60, 20) } else { (10, 5) };
    let node = |index: usize| bed.net.node(index);

    node(3)?.pause();
    let grown = bed.growth(Duration::from_secs(one)).await;
    node(3)?.resume();
    let back = Instant::now();
    node(3)?.wait_height(bed.height().await, HEAL_TIMEOUT).await?;
    let caught_up = back.elapsed();
    let goes_on = Check::new("C6", grown > 0, format!("{grown} blocks in {one} s while one was paused"));

    node(2)?.pause();
    node(3)?.pause();
    // What was voted before the pause may still become a block.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = bed.growth(Duration::from_secs(two)).await;
    node(2)?.resume();
    node(3)?.resume();
    let resumed = bed.wait_blocks(1, HEAL_TIMEOUT).await?;
    let halts = Check::new("C6", grown == 0, format!("{grown} blocks in {two} s while two were paused"));
    let findings = vec![format!(
        "the paused one was level after {}; the halted chain went on after {}",
        seconds(caught_up),
        seconds(resumed)
    )];
    conclude(bed, 2, vec![goes_on, halts], findings).await
}
