//! Lines 6 to 8 and 26: vote extensions. The chain has none: it extends with nothing and accepts nothing else.

use proptest::prelude::*;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    RequestExtendVote, RequestVerifyVoteExtension, response_verify_vote_extension::VerifyStatus,
};

use super::*;
use crate::node::blocks;

fn accepts(node: &Node, request: RequestVerifyVoteExtension) -> bool {
    node.abci.verify_vote_extension(request).status == VerifyStatus::Accept as i32
}

/// Nodes of the same chain whose last heights and lives differ.
fn nodes() -> Vec<Node> {
    let (fresh, later, restarted) = (started(), started(), Node::new(Home::disk()));
    restarted.init();
    for block in &blocks() {
        later.deliver(block);
        restarted.deliver(block);
    }
    later.finalize(&(7, vec![]));
    vec![fresh, later, restarted.killed()]
}

#[test]
fn a1_06_what_one_node_extends_every_other_accepts() {
    let nodes = nodes();
    for node in &nodes {
        for height in [1, 7, 1_000_000] {
            let request = RequestExtendVote { height, hash: vec![3; 32].into(), ..Default::default() };
            let vote_extension = node.abci.extend_vote(request).vote_extension;
            assert!(vote_extension.is_empty());
            for other in &nodes {
                let request = RequestVerifyVoteExtension {
                    vote_extension: vote_extension.clone(),
                    height,
                    hash: vec![3; 32].into(),
                    validator_address: vec![1; 20].into(),
                };
                assert!(accepts(other, request));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a1_07_08_a_verdict_depends_on_the_extension_alone_and_only_what_is_malformed_is_refused(
        extension in prop_oneof![Just(vec![]), proptest::collection::vec(any::<u8>(), 0..64), Just(vec![0; 1 << 20])],
        hash in proptest::collection::vec(any::<u8>(), 0..40),
        address in proptest::collection::vec(any::<u8>(), 0..40),
        height in any::<i64>(),
    ) {
        thread_local!(static NODES: Vec<Node> = nodes());
        NODES.with(|nodes| {
            for node in nodes {
                let request = RequestVerifyVoteExtension {
                    hash: hash.clone().into(),
                    validator_address: address.clone().into(),
                    height,
                    vote_extension: extension.clone().into(),
                };
                // The canonical extension has no bytes; any byte is a field that nobody knows, or padding.
                assert_eq!(accepts(node, request), extension.is_empty());
            }
        });
    }
}

/// The genesis documents leave extensions off, nothing in the application turns them on, and if a network does, votes
/// without one are what is due from the next height on.
#[test]
fn a1_26_extensions_are_off_and_would_be_empty() {
    for document in [LOCALNET, include_str!("../../../../genesis/reference.json")] {
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        let height = &document["consensus_params"]["abci"]["vote_extensions_enable_height"];
        assert_eq!(height, "0");
    }
    let node = started();
    assert_eq!(node.deliver(&(1, vec![])).consensus_param_updates, None);
    assert!(node.abci.extend_vote(RequestExtendVote::default()).vote_extension.is_empty());
}
