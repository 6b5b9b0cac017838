//! Lines 16, 17, 20, 28, 29 and 30: the start, snapshots, peers, and several connections at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use prost::Message as _;
use proto::{
    cosmos::bank::v1beta1::{QueryBalanceRequest, QueryBalanceResponse},
    underbid::kernel::v1::{QueryClockRequest, QueryClockResponse},
};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestCheckTx, RequestInitChain, RequestLoadSnapshotChunk,
    RequestOfferSnapshot, RequestQuery, ResponseQuery, Snapshot, response_apply_snapshot_chunk,
    response_offer_snapshot,
};

use super::*;
use crate::node::{blocks, uninterrupted};

fn ask(node: &Node, path: &str, data: Vec<u8>) -> ResponseQuery {
    let request = RequestQuery { path: path.to_owned(), data: data.into(), ..Default::default() };
    node.abci.query(request)
}

/// A node that stops before its first commit is asked for the genesis again, and again gives the same hash; what it was
/// told before is forgotten.
#[test]
fn a1_17_the_genesis_can_be_asked_for_again() {
    let (genesis, expected) = uninterrupted();
    for home in [Home::memory(), Home::disk()] {
        let mut node = Node::new(home);
        for _ in 0..3 {
            assert_eq!(node.init(), genesis);
            assert_eq!(node.info().last_block_height, 0);
            node.finalize(&(1, vec![]));
            node = node.killed();
            assert_eq!((node.info().last_block_height, node.info().last_block_app_hash.len()), (0, 0));
        }
        // Another document in between leaves nothing behind.
        let mut other = genesis_state();
        other["market"]["params"]["bids_max"] = serde_json::json!(7);
        let request = RequestInitChain {
            chain_id: "other-1".into(),
            app_state_bytes: other.to_string().into_bytes().into(),
            initial_height: 5,
            ..Default::default()
        };
        assert_ne!(node.abci.init_chain(request).app_hash, genesis);
        assert_eq!(node.init(), genesis);
        for (block, expected) in blocks().iter().zip(&expected) {
            assert_eq!(&node.deliver(block), expected);
        }
    }
}

/// CometBFT's validators and parameters are those of its own document.
#[test]
fn a1_17_24_25_the_genesis_changes_neither_validators_nor_parameters() {
    let node = Node::new(Home::memory());
    let request = RequestInitChain {
        chain_id: CHAIN_ID.into(),
        app_state_bytes: genesis_state().to_string().into_bytes().into(),
        initial_height: 1,
        ..Default::default()
    };
    let response = node.abci.init_chain(request);
    assert!(response.validators.is_empty() && response.consensus_params.is_none());
}

/// The hash that FinalizeBlock gives is the one that Info tells after Commit and that proofs lead to; Commit itself has none.
#[test]
fn a1_28_the_app_hash_of_a_block_is_told_by_its_execution() {
    let node = Node::new(Home::disk());
    node.init();
    for block in &blocks() {
        let told = node.finalize(block).app_hash;
        node.abci.commit();
        let info = node.info();
        assert_eq!((info.last_block_height, &info.last_block_app_hash), (block.0, &told));
        let stored = node.app.store().last().unwrap();
        assert_eq!((stored.0, stored.1.as_slice()), (u64::try_from(block.0).unwrap(), told.as_ref()));
    }
}

/// While a block is executed, queries and checks are answered from the committed state, each from one height.
#[test]
fn a1_20_queries_and_checks_are_answered_while_a_block_is_executed() {
    let chain = TestChain::new();
    let node = started();
    let balance = QueryBalanceRequest { address: text("bob"), denom: "uflop".into() }.encode_to_vec();
    // The number of the block that is executed; 0: none is.
    let (executed, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let answered = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut answered, mut last) = (0, 0);
            while !done.load(SeqCst) {
                let before = executed.load(SeqCst);
                let clock =
                    ask(&node, "/underbid.kernel.v1.Query/Clock", QueryClockRequest {}.encode_to_vec());
                let height = QueryClockResponse::decode(clock.value.as_ref()).unwrap().height;
                let held = ask(&node, "/cosmos.bank.v1beta1.Query/Balance", balance.clone());
                let coin = QueryBalanceResponse::decode(held.value.as_ref()).unwrap().balance.unwrap();
                let paid = coin.amount.parse::<u64>().unwrap() - PURSE;
                // Every block pays bob 300 times 5, so height and money must be of one state.
                assert_eq!(paid, 1_500 * u64::try_from(held.height).unwrap());
                assert!(height >= last, "time does not go back");
                last = height;
                let garbage = RequestCheckTx { tx: Bytes::from_static(b"garbage"), r#type: 0 };
                assert_eq!(node.abci.check_tx(garbage).code, 2);
                answered += u64::from(before > 0 && executed.load(SeqCst) == before);
            }
            answered
        });
        // One round of questions inside one execution proves it; a machine that is busy elsewhere has five blocks for it.
        for height in 0..5 {
            let txs = (0..300).map(|ahead| tx(&chain, "alice", height * 300 + ahead)).collect();
            executed.store(height + 1, SeqCst);
            let response = node.finalize(&(i64::try_from(height).unwrap() + 1, txs));
            executed.store(0, SeqCst);
            assert!(response.tx_results.iter().all(|result| result.code == 0));
            node.abci.commit();
        }
        done.store(true, SeqCst);
        asking.join().unwrap()
    });
    assert!(answered > 0, "no query was answered during a block");
}

#[test]
fn a1_29_snapshots_are_not_promised() {
    let node = started();
    node.deliver(&(1, vec![]));
    assert!(node.abci.list_snapshots().snapshots.is_empty());
    let hostile = Snapshot { height: u64::MAX, chunks: u32::MAX, ..Default::default() };
    for snapshot in [None, Some(Snapshot::default()), Some(hostile)] {
        let offer = RequestOfferSnapshot { snapshot, app_hash: vec![1; 32].into() };
        assert_eq!(node.abci.offer_snapshot(offer).result, response_offer_snapshot::Result::Reject as i32);
    }
    assert!(node.abci.load_snapshot_chunk(RequestLoadSnapshotChunk::default()).chunk.is_empty());
    let before = everything(&node);
    let chunk = RequestApplySnapshotChunk { index: 7, chunk: vec![9; 1_000].into(), sender: "x".into() };
    let applied = node.abci.apply_snapshot_chunk(chunk).result;
    assert_eq!(applied, response_apply_snapshot_chunk::Result::Abort as i32);
    assert_eq!(everything(&node), before);
}

#[test]
fn a1_30_no_peer_is_refused() {
    let nodes = [Node::new(Home::memory()), started()];
    for node in &nodes {
        for path in [
            "/p2p/filter/addr/10.0.0.1:26656",
            "/p2p/filter/addr/[::1]:26656",
            "/p2p/filter/id/0123456789abcdef0123456789abcdef01234567",
            "/p2p/filter/",
            "p2p/filter/id/x",
        ] {
            assert_eq!(ask(node, path, vec![]).code, 0, "{path}");
        }
    }
}
