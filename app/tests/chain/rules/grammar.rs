//! Line 23: the order of calls. Every history that the published grammar allows ends in the same state.

use proptest::prelude::*;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    RequestExtendVote, RequestPrepareProposal, RequestProcessProposal, RequestVerifyVoteExtension,
    ResponseFinalizeBlock, response_process_proposal::ProposalStatus,
    response_verify_vote_extension::VerifyStatus,
};

use super::*;
use crate::node::{blocks, uninterrupted};

/// What a round may consist of, in any number and order: a vote may come before the proposal that it is for.
#[derive(Clone, Copy, Debug)]
enum Call {
    Prepare,
    Process,
    ProcessAnother,
    Extend,
    GotVote,
}

/// One height: its rounds, and where the process ends.
#[derive(Clone, Debug)]
struct Height {
    rounds: Vec<Vec<Call>>,
    /// How often it ends after FinalizeBlock, before Commit.
    crashes: usize,
    /// Whether it ends after Commit.
    stops: bool,
}

fn height() -> impl Strategy<Value = Height> {
    let call = prop_oneof![
        Just(Call::Prepare),
        Just(Call::Process),
        Just(Call::ProcessAnother),
        Just(Call::Extend),
        Just(Call::GotVote),
    ];
    let rounds = proptest::collection::vec(proptest::collection::vec(call, 0..6), 0..4);
    (rounds, 0..3_usize, any::<bool>()).prop_map(|(rounds, crashes, stops)| Height { rounds, crashes, stops })
}

fn call(node: &Node, call: Call, block: &(i64, Vec<Bytes>)) {
    let accepted = |txs: &[Bytes]| {
        let request = RequestProcessProposal { txs: txs.to_vec(), height: block.0, ..Default::default() };
        node.abci.process_proposal(request).status == ProposalStatus::Accept as i32
    };
    match call {
        Call::Prepare => {
            let txs = block.1.clone();
            let request = RequestPrepareProposal { txs, max_tx_bytes: 1 << 20, ..Default::default() };
            assert!(accepted(&node.abci.prepare_proposal(request).txs));
        }
        Call::Process => assert_eq!(accepted(&block.1), !block.1.contains(&Bytes::from_static(b"garbage"))),
        Call::ProcessAnother => assert!(!accepted(&[Bytes::from_static(b"other")])),
        Call::Extend => {
            let request = RequestExtendVote { height: block.0, ..Default::default() };
            assert!(node.abci.extend_vote(request).vote_extension.is_empty());
        }
        Call::GotVote => {
            let request = RequestVerifyVoteExtension { height: block.0, ..Default::default() };
            let status = node.abci.verify_vote_extension(request).status;
            assert_eq!(status, VerifyStatus::Accept as i32);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a1_23_every_lawful_order_of_calls_ends_in_the_same_state(
        heights in proptest::collection::vec(height(), 6),
        starts in 0..3_usize,
    ) {
        let history = blocks();
        let (genesis, expected) = uninterrupted();
        let mut node = Node::new(Home::memory());
        for _ in 0..starts {
            assert_eq!(node.init(), genesis);
            node = node.killed();
        }
        assert_eq!(node.init(), genesis);
        for ((plan, block), expected) in heights.iter().zip(&history).zip(&expected) {
            plan.rounds.iter().flatten().for_each(|made| call(&node, *made, block));
            for _ in 0..plan.crashes {
                assert_eq!(&node.finalize(block), expected);
                node = node.killed();
                // The handshake: Info, the genesis where nothing was committed, and the block once more, without a round.
                let at = node.info().last_block_height;
                assert_eq!(at, block.0 - 1);
                if at == 0 {
                    assert_eq!(node.init(), genesis);
                }
            }
            let response: ResponseFinalizeBlock = node.deliver(block);
            assert_eq!(&response, expected);
            if plan.stops {
                node = node.killed();
            }
            let info = node.info();
            assert_eq!((info.last_block_height, info.last_block_app_hash), (block.0, response.app_hash));
        }
    }
}
