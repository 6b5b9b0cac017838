//! The handshake and the crash points: wherever a node stops, it goes on with the same results and the same hashes.

use bytes::Bytes;
use proto::cosmos::bank::v1beta1::MsgSendResponse;
use tendermint_abci::Application as _;
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::abci::{
        RequestApplySnapshotChunk, RequestCheckTx, RequestExtendVote, RequestFinalizeBlock, RequestInfo,
        RequestInitChain, RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal,
        RequestProcessProposal, RequestVerifyVoteExtension, ResponseFinalizeBlock, ResponseInfo, Snapshot,
        response_apply_snapshot_chunk, response_offer_snapshot, response_verify_vote_extension::VerifyStatus,
    },
};
use underbid::abci::Abci;

use crate::support::*;

/// A node without a chain around it.
struct Node {
    home: Home,
    abci: Abci,
}

impl Node {
    fn new(home: Home) -> Self {
        let abci = Abci::new(home.app());
        Self { home, abci }
    }

    /// The process ends and starts again; what was not written is lost.
    fn killed(self) -> Self {
        let Self { home, abci } = self;
        drop(abci);
        Self::new(home)
    }

    fn info(&self) -> ResponseInfo {
        self.abci.info(RequestInfo::default())
    }

    fn init(&self) -> Bytes {
        let request = RequestInitChain {
            time: Some(Timestamp { seconds: i64::try_from(START_S).unwrap(), nanos: 0 }),
            chain_id: CHAIN_ID.into(),
            app_state_bytes: genesis_state().to_string().into_bytes().into(),
            initial_height: 1,
            ..Default::default()
        };
        self.abci.init_chain(request).app_hash
    }

    fn finalize(&self, block: &(i64, Vec<Bytes>)) -> ResponseFinalizeBlock {
        let (height, txs) = block;
        let seconds = i64::try_from(START_S).unwrap() + height;
        self.abci.finalize_block(RequestFinalizeBlock {
            txs: txs.clone(),
            hash: Bytes::copy_from_slice(&[u8::try_from(*height).unwrap(); 32]),
            height: *height,
            time: Some(Timestamp { seconds, nanos: 500 }),
            ..Default::default()
        })
    }
}

/// Six blocks with good and bad transactions.
fn blocks() -> Vec<(i64, Vec<Bytes>)> {
    let chain = TestChain::new();
    let tx = |by: &str, ahead| Bytes::from(chain.sign_ahead(&draft([&send(by, "bob", 5)]), &[by], ahead));
    vec![
        (1, vec![tx("alice", 0), tx("carol", 0)]),
        (2, vec![]),
        (3, vec![tx("alice", 1), tx("alice", 1), Bytes::from_static(b"garbage")]),
        (4, vec![tx("poor", 0), tx("dave", 0)]),
        (5, vec![]),
        (6, vec![tx("alice", 2)]),
    ]
}

/// The same blocks on a node that never stopped.
fn uninterrupted() -> (Bytes, Vec<ResponseFinalizeBlock>) {
    let node = Node::new(Home::memory());
    let genesis = node.init();
    let run = |block| {
        let response = node.finalize(&block);
        node.abci.commit();
        response
    };
    (genesis, blocks().into_iter().map(run).collect())
}

#[test]
fn info_tells_the_last_block_and_nothing_before_it() {
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
fn a_node_that_stops_anywhere_goes_on_with_the_same_results() {
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
fn what_comes_before_a_block_changes_nothing_of_it() {
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
fn a_store_without_a_chain_refuses_a_second_genesis_only_after_a_block() {
    let chain = TestChain::new();
    let error = chain.app().init_chain(CHAIN_ID, 1, START_S, parsed(&genesis_state())).unwrap_err();
    assert!(error.to_string().contains("height 1"), "{error}");
}

#[test]
fn snapshots_are_not_promised() {
    let node = Node::new(Home::memory());
    node.init();
    assert!(node.abci.list_snapshots().snapshots.is_empty());
    let offer = RequestOfferSnapshot { snapshot: Some(Snapshot::default()), ..Default::default() };
    assert_eq!(node.abci.offer_snapshot(offer).result, response_offer_snapshot::Result::Reject as i32);
    assert!(node.abci.load_snapshot_chunk(RequestLoadSnapshotChunk::default()).chunk.is_empty());
    let applied = node.abci.apply_snapshot_chunk(RequestApplySnapshotChunk::default()).result;
    assert_eq!(applied, response_apply_snapshot_chunk::Result::Abort as i32);
}

#[test]
fn vote_extensions_are_empty() {
    let node = Node::new(Home::memory());
    node.init();
    let extension = node.abci.extend_vote(RequestExtendVote::default()).vote_extension;
    let verify = |vote_extension: Bytes| {
        node.abci
            .verify_vote_extension(RequestVerifyVoteExtension { vote_extension, ..Default::default() })
            .status
    };
    assert_eq!(verify(extension), VerifyStatus::Accept as i32);
    for bad in [vec![0], vec![0xff; 1 << 20]] {
        assert_eq!(verify(bad.into()), VerifyStatus::Reject as i32);
    }
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
