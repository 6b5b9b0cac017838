//! Lines 9 to 12, 14, 18, 21, 24, 25, 27 and 31: what a block does and does not do.

use std::sync::Arc;

use store::RocksBackend;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    ExecTxResult, RequestCheckTx, RequestExtendVote, RequestFinalizeBlock, RequestPrepareProposal,
    RequestProcessProposal, RequestVerifyVoteExtension, ResponseFinalizeBlock,
};
use underbid::{app::App, execute::RawBlock, metrics::Metrics};

use super::*;
use crate::node::{blocks, decided, uninterrupted};

#[test]
fn a1_09_nothing_before_a_decision_touches_the_state() {
    let node = started();
    let history = blocks();
    node.deliver(&history[0]);
    let before = (everything(&node), node.info(), node.app.store().last());
    for block in &history {
        let txs = block.1.clone();
        let max_tx_bytes = 1 << 20;
        node.abci.prepare_proposal(RequestPrepareProposal {
            txs: txs.clone(),
            max_tx_bytes,
            ..Default::default()
        });
        node.abci.process_proposal(RequestProcessProposal { txs: txs.clone(), ..Default::default() });
        node.abci.extend_vote(RequestExtendVote { txs, height: block.0, ..Default::default() });
        let vote_extension = vec![1; 100].into();
        node.abci.verify_vote_extension(RequestVerifyVoteExtension { vote_extension, ..Default::default() });
        // Nor does the execution of a block that is not committed.
        node.finalize(&(2, block.1.clone()));
        assert_eq!((everything(&node), node.info(), node.app.store().last()), before);
    }
}

/// Results and hashes of the same blocks on nodes that differ in all else: store, window, caches, restarts, and what their
/// mempools had checked before.
fn on_different_nodes() -> Vec<Vec<ResponseFinalizeBlock>> {
    let history = blocks();
    let mut all = vec![uninterrupted().1];
    let warm = started();
    for other in &history {
        for tx in &other.1 {
            warm.abci.check_tx(RequestCheckTx { tx: tx.clone(), r#type: 0 });
        }
    }
    all.push(history.iter().map(|block| warm.deliver(block)).collect());
    let mut restarted = Node::new(Home::disk());
    restarted.init();
    let mut results = Vec::new();
    for block in &history {
        results.push(restarted.deliver(block));
        restarted = restarted.killed();
    }
    all.push(results);
    all
}

#[test]
fn a1_11_12_state_and_results_are_a_function_of_the_state_before_and_the_block() {
    let all = on_different_nodes();
    for other in &all[1..] {
        assert_eq!(other, &all[0]);
    }
    // And of all of the block: another time, hash or order is another state.
    let node = started();
    let [a, b] = [tx(&TestChain::new(), "alice", 0), tx(&TestChain::new(), "carol", 0)];
    let block = decided(&(1, vec![a.clone(), b.clone()]));
    let hash = |block: RequestFinalizeBlock| node.abci.finalize_block(block).app_hash;
    let first = hash(block.clone());
    assert_eq!(hash(block.clone()), first);
    let mut later = block.clone();
    later.time.as_mut().unwrap().seconds += 1;
    assert_ne!(hash(later), first);
    assert_ne!(hash(RequestFinalizeBlock { hash: vec![7; 32].into(), ..block.clone() }), first);
    assert_ne!(hash(RequestFinalizeBlock { txs: vec![b, a], ..block }), first);
}

/// Votes and evidence are no input yet; extensions never are: FinalizeBlock does not even get them.
#[test]
fn a1_10_27_votes_and_misbehavior_of_any_kind_are_tolerated_and_change_nothing() {
    let node = started();
    let (_, expected) = uninterrupted();
    for (block, expected) in blocks().iter().zip(expected) {
        for (round, flags) in [(0, [2, 2, 2, 2]), (9, [1, 3, 2, 0]), (-1, [99, -5, i32::MAX, i32::MIN])] {
            let request = RequestFinalizeBlock {
                decided_last_commit: Some(votes(round, &flags)),
                misbehavior: evidence(),
                proposer_address: vec![u8::try_from(block.0).unwrap(); 20].into(),
                next_validators_hash: vec![4; 32].into(),
                ..decided(block)
            };
            assert_eq!(node.abci.finalize_block(request), expected);
        }
        node.abci.commit();
    }
}

/// Code, data and gas of every transaction are under LastResultsHash: the same on every node, and free of words.
#[test]
fn a1_14_what_is_hashed_of_results_is_the_same_everywhere_and_holds_no_text() {
    let hashed = |response: &ResponseFinalizeBlock| -> Vec<(u32, Bytes, i64, i64)> {
        let hashed =
            |result: &ExecTxResult| (result.code, result.data.clone(), result.gas_wanted, result.gas_used);
        response.tx_results.iter().map(hashed).collect()
    };
    let all = on_different_nodes();
    let (mut failed, mut succeeded) = (0, 0);
    for responses in &all {
        for (response, first) in responses.iter().zip(&all[0]) {
            assert_eq!(hashed(response), hashed(first));
            for result in &response.tx_results {
                if result.code == 0 {
                    succeeded += 1;
                    assert!(result.log.is_empty() && !result.data.is_empty());
                } else {
                    failed += 1;
                    assert!(result.data.is_empty() && !result.log.is_empty(), "{result:?}");
                }
            }
        }
    }
    assert!(failed > 5 && succeeded > 10, "{failed} failed, {succeeded} succeeded");
}

/// A block that is executed again tells the same once more, and nothing but its answer comes of it.
#[test]
fn a1_18_a_block_that_is_executed_again_has_no_effect_but_its_answer() {
    let node = started();
    for block in &blocks() {
        let first = node.finalize(block);
        let before = (everything(&node), node.app.store().last());
        for _ in 0..3 {
            assert_eq!(node.finalize(block), first);
        }
        assert_eq!((everything(&node), node.app.store().last()), before);
        node.abci.commit();
    }
}

/// Other rounds' candidates are as many as a byzantine proposer likes: only the last one is kept.
#[test]
fn a1_21_candidates_take_no_room_however_many_there_are() {
    let home = tempfile::tempdir().unwrap();
    let store = Arc::new(RocksBackend::open(home.path(), small_store(8)).unwrap());
    let app = App::open(store.clone(), Metrics::default()).unwrap();
    app.init_chain(CHAIN_ID, 1, START_S, parsed(&genesis_state())).unwrap();
    let block = |height: u64, hash: u8| RawBlock {
        height,
        time_s: START_S + height,
        hash: vec![hash; 32],
        ..Default::default()
    };
    app.finalize(&block(1, 1)).unwrap();
    app.commit().unwrap();
    let before = store.sizes().unwrap();
    let expected = app.finalize(&block(2, 1)).unwrap().2;
    for hash in 2..=200 {
        assert_ne!(app.finalize(&block(2, hash)).unwrap().2, expected);
        let now = store.sizes().unwrap();
        assert_eq!((now.trie_nodes, now.trie_bytes), (before.trie_nodes, before.trie_bytes));
    }
    app.finalize(&block(2, 1)).unwrap();
    app.commit().unwrap();
    assert_eq!(app.committed().app_hash, expected, "the decided one is the state");
    assert_eq!(app.store().last(), Some((2, expected)));
}

/// There is no staking yet: the genesis' validators stay, and the consensus parameters too.
#[test]
fn a1_24_25_neither_validators_nor_consensus_parameters_are_updated() {
    let node = started();
    for block in &blocks() {
        let response = node.deliver(block);
        assert!(response.validator_updates.is_empty());
        assert_eq!(response.consensus_param_updates, None);
    }
}

/// Evidence and replays need blocks; CometBFT keeps them all until the operator says otherwise.
#[test]
fn a1_31_no_block_is_given_up() {
    let node = Node::new(Home::disk());
    node.init();
    // Beyond the window of the store, which is 8 here.
    for height in 1..=20 {
        node.finalize(&(height, vec![]));
        assert_eq!(node.abci.commit().retain_height, 0);
    }
}
