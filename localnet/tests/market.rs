//! The market on four real validators: the whole demo, one validator killed during an auction, and all of them at once.
//!
//! The nets run one after the other: a machine that is too busy makes blocks too slowly for the bots.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use kernel::E18;
use localnet::demo::Stage;
use localnet::demo::board::Board;
use localnet::demo::cast::Cast;
use localnet::demo::orders::RoundStage;
use localnet::demo::plot::{Fate, Plan, plans};
use localnet::demo::stage::{PATIENCE, money, wait_until_active};
use localnet::grammar::{self, RECORDING};
use localnet::net::{App, Net, Node, Spec, read_genesis};
use prost_types::Any;
use proto::cosmos::{bank::v1beta1::MsgSend, base::v1beta1::Coin};
use proto::underbid::escrow::v1::{QueryAccountRequest, QueryAccountResponse};
use proto::underbid::market::v1::{
    Lease, MsgCloseLease, MsgCloseLeaseResponse, QueryLeaseRequest, QueryLeaseResponse, TenantReason,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Mutex;
use underbid::client::chain::{Client, Error, Refusal, SendOptions};
use underbid::client::keys::Key;
use underbid::client::tx::{SignedTx, any};

/// How long a node may take to catch up.
const CATCH_UP: Duration = Duration::from_secs(90);

static TURN: LazyLock<Mutex<()>> = LazyLock::new(Mutex::default);

fn genesis_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../genesis/localnet.json")
}

/// The application's program, which cargo puts next to ours. It is another package's, so cargo has not built it for this test:
/// what is there may be missing or old.
fn underbid() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_localnet")).with_file_name("underbid");
        let profile_dir = program.parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "underbid", "--bin", "underbid", "--target-dir"]);
        build.arg(profile_dir.parent().unwrap());
        if profile_dir.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "expected the program underbid to be built");
        program
    })
}

/// Four validators on which nobody has done anything yet.
async fn open_quiet_market() -> (TempDir, Net, Stage) {
    let dir = tempfile::tempdir().unwrap();
    let app = App::Underbid { binary: underbid().to_owned(), arguments: RECORDING.map(str::to_owned).into() };
    let genesis = Cast::new().unwrap().complete(read_genesis(&genesis_path()).unwrap()).unwrap();
    let net = Net::up(Spec::new(dir.path().join("net"), app, genesis.clone())).await.unwrap();
    let stage = Stage::open(&net, &genesis).unwrap();
    (dir, net, stage)
}

/// The same with providers and their bots, but no order.
async fn open_market() -> (TempDir, Net, Stage) {
    let (dir, net, mut stage) = open_quiet_market().await;
    stage.prepare().await.unwrap();
    stage.start_bots().await.unwrap();
    (dir, net, stage)
}

/// A transfer of an account to itself.
fn gift(key: &Key, amount: u32) -> Vec<Any> {
    let coin = Coin { denom: "uflop".to_owned(), amount: amount.to_string() };
    let (from_address, to_address) = (key.address().to_string(), key.address().to_string());
    vec![any(&MsgSend { from_address, to_address, amount: vec![coin] })]
}

/// Fails unless the other transaction came first.
fn assert_overtaken(refusal: &Refusal) {
    assert_eq!((refusal.codespace.as_str(), refusal.code), ("sdk", 32), "{refusal}");
}

/// Whether a transaction was executed; if not, its sender was told that the other one was.
async fn is_executed(client: &Client, tx: &SignedTx) -> bool {
    match client.broadcast_and_wait(tx, CATCH_UP).await {
        Ok(_) => true,
        Err(Error::Refused(refusal) | Error::Dropped(refusal)) => {
            assert_overtaken(&refusal);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Waits until all nodes have committed what any of them has.
async fn level(net: &Net) {
    let height = net.heights().await.into_iter().flatten().max().unwrap();
    net.wait_height(height, CATCH_UP).await.unwrap();
}

/// Of two transactions of one account with one sequence, sent to two nodes, one is executed, and who sent the other is told
/// why. What is sent anew for that arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_sends_through_two_nodes_at_once_loses_and_doubles_nothing() {
    let _turn = TURN.lock().await;
    let (_dir, net, stage) = open_quiet_market().await;
    let (here, there) = (&stage.clients()[0], &stage.clients()[1]);
    let key = &stage.cast().member("alice").unwrap().key;
    let keys = [key];
    let options = SendOptions { wait: CATCH_UP, ..SendOptions::default() };

    for amount in 1..=5 {
        let one = here.prepare(&keys, gift(key, amount), &options).await.unwrap();
        let other = there.prepare(&keys, gift(key, 100 + amount), &options).await.unwrap();
        let (one, other) = tokio::join!(is_executed(here, &one), is_executed(there, &other));
        assert_ne!(one, other);
        level(&net).await;
    }
    assert_eq!(here.account(key.address()).await.unwrap().sequence, 5);

    for amount in 1..=3 {
        let (one, other) = tokio::join!(
            here.send(&keys, gift(key, 200 + amount), &options),
            there.send(&keys, gift(key, 300 + amount), &options)
        );
        assert_ne!(one.unwrap().hash, other.unwrap().hash);
    }
    level(&net).await;
    assert_eq!(here.account(key.address()).await.unwrap().sequence, 11);
    net.stop().await;
}

/// One node alone takes a transaction, and sleeps while the others execute another one with the same sequence: who waits for
/// the first learns that it was dropped, and why.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_transaction_that_was_overtaken_elsewhere_learns_it() {
    let _turn = TURN.lock().await;
    let (_dir, net, stage) = open_quiet_market().await;
    let (here, there) = (&stage.clients()[0], &stage.clients()[1]);
    let key = &stage.cast().member("alice").unwrap().key;
    let options = SendOptions { wait: CATCH_UP, ..SendOptions::default() };

    net.nodes()[1..].iter().for_each(|node| node.kill());
    let overtaken = here.prepare(&[key], gift(key, 1), &options).await.unwrap();
    here.broadcast(&overtaken).await.unwrap();
    let sleeper = net.node(0).unwrap();
    sleeper.pause();
    net.start_all().await.unwrap();
    there.send(&[key], gift(key, 2), &options).await.unwrap();
    sleeper.resume();
    match here.wait(&overtaken, CATCH_UP).await {
        Err(Error::Dropped(refusal)) => assert_overtaken(&refusal),
        other => panic!("{other:?}"),
    }
    level(&net).await;
    assert_eq!(here.account(key.address()).await.unwrap().sequence, 1);
    net.stop().await;
}

/// A large order that is served until it is closed.
fn long_order() -> Plan {
    Plan { deposit_s: 3_600, fate: Fate::Served, ..plans().remove(0) }
}

fn bids(id: u64) -> impl Fn(&Board) -> u32 {
    move |board| board.orders.get(&id).and_then(|order| order.round()).map_or(0, |round| round.bids)
}

/// Fails unless CometBFT called every application as ABCI's grammar says, and started it so often in all.
fn assert_grammar(net: &Net, starts: u64) {
    let tally = |node: &Arc<Node>| {
        let log = std::fs::read_to_string(node.home().join("app.log")).unwrap();
        grammar::check(&grammar::read(&log)).unwrap_or_else(|broken| panic!("node{}: {broken}", node.index()))
    };
    let tallies: Vec<grammar::Tally> = net.nodes().iter().map(tally).collect();
    assert!(tallies.iter().all(|tally| tally.inits == 1 && tally.commits > 0), "{tallies:?}");
    assert_eq!(tallies.iter().map(|tally| tally.starts).sum::<u64>(), starts, "{tallies:?}");
}

/// Fails unless all four computed the same hash after `height`.
async fn assert_agreement(net: &Net, height: u64) {
    let mut hashes = Vec::new();
    for index in 0..net.nodes().len() {
        hashes.push(net.app_hash_at(index, height).await.unwrap());
    }
    assert!(!hashes[0].is_empty());
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "the app hashes at {height} differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_plays_every_story_and_all_money_adds_up() {
    let _turn = TURN.lock().await;
    underbid();
    let dir = tempfile::tempdir().unwrap();
    let mut demo = tokio::process::Command::new(env!("CARGO_BIN_EXE_localnet"));
    demo.args(["demo", "--exit", "--json", "--dir", "net", "--genesis"]).arg(genesis_path());
    demo.current_dir(dir.path()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE * 2, demo.output()).await.unwrap().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");

    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number =
        |value: &Value| value.as_str().map_or(value.as_u64().map(u128::from), |text| text.parse().ok());
    let list = |key: &str| summary[key].as_array().unwrap();
    let ended: Vec<(&str, &str)> = list("orders")
        .iter()
        .flat_map(|order| order["rounds"].as_array().unwrap().iter().map(move |round| (order, round)))
        .map(|(order, round)| (order["closed"].as_str().unwrap(), round["ended"].as_str().unwrap()))
        .collect();
    let expected = [
        ("Underfunded", "OutOfFunds"),
        ("Completed", "EndReached"),
        ("Completed", "TenantDone"),
        ("Completed", "NoStart"),
        ("Completed", "EndReached"),
        ("Completed", "Reclaimed"),
        ("Completed", "EndReached"),
        ("Completed", "EndReached"),
        ("Expired", ""),
    ];
    assert_eq!(ended, expected, "{log}");
    for order in list("orders") {
        let rounds = order["rounds"].as_array().unwrap();
        for round in rounds.iter().filter(|round| !round["winner"].is_null()) {
            let (first, paid) = (number(&round["first_bid"]["unit_rate"]), number(&round["unit_rate"]));
            assert!(first <= number(&order["ceiling"]) && paid < first, "{round:#}");
        }
        let total = |key: &str| number(&order[key]).unwrap();
        let left = total("paid") + total("fined") + total("refunded");
        assert_eq!(total("deposit") + total("added"), left, "{order:#}");
    }
    for denom in ["ucredit", "uflop"] {
        let of_denom = |row: &&Value| row["denom"] == denom;
        let ends = list("accounts").iter().filter(of_denom).map(|row| number(&row["end"]).unwrap());
        let supply = list("supplies").iter().find(of_denom).unwrap();
        assert_eq!(Some(ends.sum()), number(&supply["end"]), "{denom}");
    }
    let hashes: Vec<&str> =
        list("validators").iter().map(|node| node["app_hash"].as_str().unwrap()).collect();
    assert_eq!(hashes.len(), 4);
    assert!(hashes.iter().all(|hash| hash.len() == 64 && *hash == hashes[0]));
    assert!(!dir.path().join("net").exists(), "expected the net of a demo that went well to be removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auction_goes_on_without_a_validator_which_catches_up() {
    let _turn = TURN.lock().await;
    let (_dir, net, mut stage) = open_market().await;
    let shared = stage.shared().clone();
    let id = stage.place(&Plan { window_blocks: 150, ..long_order() }).await.unwrap();
    let count = bids(id);
    shared.wait("a first bid", PATIENCE, |board| (count(board) > 0).then_some(())).await.unwrap();

    let victim = net.node(3).unwrap();
    victim.kill();
    let before = shared.read(&count);
    let more = |board: &Board| (count(board) >= before + 2).then_some(());
    shared.wait("bids on three validators", PATIENCE, more).await.unwrap();
    let stage_of = |board: &Board| board.orders[&id].round().map(|round| round.stage.clone());
    assert_eq!(shared.read(stage_of), Some(RoundStage::Auction));

    victim.restart().await.unwrap();
    let height = shared.read(|board| board.height);
    victim.wait_height(height, CATCH_UP).await.unwrap();
    assert_agreement(&net, height).await;
    wait_until_active(&shared, id).await.unwrap();
    let height = stage.finish().await.unwrap();
    assert_agreement(&net, height).await;
    net.check().unwrap();
    assert_grammar(&net, 5);
    net.stop().await;
}

async fn lease(stage: &Stage, id: u64) -> Lease {
    let request = QueryLeaseRequest { order_id: id, round: 1 };
    let path = "/underbid.market.v1.Query/Lease";
    let answer: QueryLeaseResponse = stage.clients()[1].query(path, &request, None).await.unwrap();
    answer.lease.unwrap()
}

/// Fails unless the account has paid for each second since the start, and holds the rest of the deposit.
async fn assert_exact(stage: &Stage, lease: &Lease, deposit: u128) -> u64 {
    let request = QueryAccountRequest { order_id: lease.order_id };
    let path = "/underbid.escrow.v1.Query/Account";
    let answer: QueryAccountResponse = stage.clients()[1].query(path, &request, None).await.unwrap();
    let rate: u128 = lease.rate.parse().unwrap();
    let paid = rate * u128::from(answer.as_of - lease.started_at) / E18;
    assert_eq!((money(&answer).paid, money(&answer).balance), (paid, deposit - paid));
    answer.as_of
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_and_its_money_survive_the_death_of_all_validators() {
    let _turn = TURN.lock().await;
    let (_dir, net, mut stage) = open_market().await;
    let plan = Plan { window_blocks: 30, ..long_order() };
    let id = stage.place(&plan).await.unwrap();
    let shared = stage.shared().clone();
    wait_until_active(&shared, id).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = lease(&stage, id).await;
    let as_of = assert_exact(&stage, &before, plan.deposit()).await;
    let height = shared.read(|board| board.height);
    let hash = net.app_hash_at(0, height).await.unwrap();

    net.kill_all();
    net.start_all().await.unwrap();
    net.wait_height(height + 5, CATCH_UP).await.unwrap();
    assert_eq!(net.app_hash_at(2, height).await.unwrap(), hash);
    assert_eq!(lease(&stage, id).await, before);
    assert!(assert_exact(&stage, &before, plan.deposit()).await >= as_of);

    let tenant = stage.sender(plan.tenant, 1).unwrap();
    let mut close = MsgCloseLease { tenant: tenant.member().address(), order_id: id, ..Default::default() };
    close.set_reason(TenantReason::Done);
    let closed: MsgCloseLeaseResponse = tenant.send(&close).await.unwrap().response(0).unwrap();
    let (gross, refunded): (u128, u128) = (closed.gross.parse().unwrap(), closed.refunded.parse().unwrap());
    assert_eq!(gross + refunded, plan.deposit());
    let height = stage.finish().await.unwrap();
    let ledger = shared.read(|board| board.ledger.clone());
    let accounts = ledger.accounts(&stage.clients()[0], stage.cast(), height).await.unwrap();
    assert!(accounts.iter().all(|row| row.matches), "{accounts:#?}");
    assert_agreement(&net, height).await;
    assert_grammar(&net, 8);
    net.stop().await;
}
