//! The handshake and the crash points: wherever a node stops, it goes on with the same results and the same hashes.

use proto::cosmos::bank::v1beta1::MsgSendResponse;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{RequestCheckTx, RequestPrepareProposal, RequestProcessProposal};

use sim::*;

use crate::node::{Node, blocks, uninterrupted};

#[test]
fn a1_16_28_info_tells_the_last_block_and_nothing_before_it() {
    let node = Node::new(Home::disk());
    let info = node.info();
    assert_eq!((info.last_block_height, info.last_block_app_hash.len(), info.app_version), (0, 0, 1));
    node.init();
    let info = node.info();
    assert_eq!(
        (info.last_block_height, info.last_block_app_hash.len()),
        (0, 0),
        "the genesis state is no block"
    );
    let response = node.finalize(&blocks()[0]);
    assert_eq!(node.info().last_block_height, 0, "nothing is committed");
    assert_eq!(node.abci.commit().retain_height, 0);
    let expected = (1, response.app_hash);
    assert_eq!((node.info().last_block_height, node.info().last_block_app_hash), expected);
    let node = node.killed();
    assert_eq!((node.info().last_block_height, node.info().last_block_app_hash), expected);
}

#[test]
fn a1_15_a_node_that_stops_anywhere_goes_on_with_the_same_results() {
    let (genesis, expected) = uninterrupted();
    let mut node = Node::new(Home::disk());
    // After InitChain, twice: it is called again.
    for _ in 0..2 {
        assert_eq!(node.init(), genesis);
        node = node.killed();
    }
    assert_eq!(node.init(), genesis);
    assert_eq!(node.init(), genesis, "also without a stop in between");
    for (block, expected) in blocks().iter().zip(expected) {
        let before = node.info();
        // Between FinalizeBlock and Commit: the block is executed again.
        assert_eq!(node.finalize(block), expected);
        node = node.killed();
        if before.last_block_height == 0 {
            assert_eq!(node.init(), genesis);
        }
        assert_eq!(node.info(), before);
        assert_eq!(node.finalize(block), expected);
        node.abci.commit();
        // After Commit: it is the last block.
        node = node.killed();
        assert_eq!(
            (node.info().last_block_height, node.info().last_block_app_hash),
            (block.0, expected.app_hash)
        );
    }
}

#[test]
fn a1_09_18_what_comes_before_a_block_changes_nothing_of_it() {
    let (_, expected) = uninterrupted();
    let node = Node::new(Home::memory());
    node.init();
    let all = blocks();
    for (block, expected) in all.iter().zip(expected) {
        for other in all.iter().take(3).chain([block]) {
            let proposal =
                RequestPrepareProposal { txs: other.1.clone(), max_tx_bytes: 1 << 20, ..Default::default() };
            node.abci.prepare_proposal(proposal);
            node.abci.process_proposal(RequestProcessProposal { txs: other.1.clone(), ..Default::default() });
            for tx in &other.1 {
                node.abci.check_tx(RequestCheckTx { tx: tx.clone(), r#type: 0 });
            }
        }
        // Another round's block of the same height, and the decided one twice.
        node.finalize(&(block.0, all[0].1.clone()));
        node.finalize(block);
        assert_eq!(node.finalize(block), expected);
        node.abci.commit();
    }
}

#[test]
fn a1_17_a_genesis_is_refused_only_after_a_block() {
    let chain = TestChain::new();
    let error = chain.app().init_chain(CHAIN_ID, 1, START_S, parsed(&genesis_state())).unwrap_err();
    assert!(error.to_string().contains("height 1"), "{error}");
}

#[test]
fn a_chain_goes_on_after_a_restart_and_after_going_back() {
    let mut chain = TestChain::on_disk();
    chain.ok::<_, MsgSendResponse>("alice", &send("alice", "bob", 5));
    chain.restart();
    chain.ok::<_, MsgSendResponse>("alice", &send("alice", "bob", 5));
    let before = (chain.app_hash(), chain.holdings());
    let block = chain.raw_block(&[chain.sign(&draft([&send("alice", "bob", 7)]), &["alice"])]);
    let first = chain.deliver(&block);
    chain.rollback();
    assert_eq!((chain.app_hash(), chain.holdings()), before);
    let again = chain.deliver(&block);
    assert_eq!((again.results, again.app_hash), (first.results, first.app_hash));
}

#[test]
fn a_chain_may_begin_at_a_later_height() {
    let mut chain =
        TestChain::from_genesis(vec![Home::memory(), Home::disk()], &genesis_state(), 1_000, START_S);
    assert_eq!(chain.app().committed().height, 1_000);
    chain.ok::<_, MsgSendResponse>("alice", &send("alice", "bob", 5));
    chain.restart();
    assert_eq!(chain.app().committed().height, 1_001);
}
