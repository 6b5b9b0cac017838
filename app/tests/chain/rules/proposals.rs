//! Lines 1 to 5: proposals. `proposals.rs` beside this folder has more of lines 2 and 3.

use proptest::prelude::*;
use prost::Message as _;
use proto::{
    cosmos::tx::v1beta1::{AuthInfo, TxRaw},
    underbid::market::v1::MsgSettle,
};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    ExtendedCommitInfo, ExtendedVoteInfo, RequestCheckTx, RequestPrepareProposal, RequestProcessProposal,
    response_process_proposal::ProposalStatus,
};
use underbid::client::tx::Draft;

use super::*;
use crate::node::blocks;

/// What CometBFT allows transactions where the consensus parameters name no limit, less a generous header.
const UNLIMITED: i64 = 100 * 1024 * 1024;

fn prepare(node: &Node, txs: &[Bytes], max_tx_bytes: i64) -> Vec<Bytes> {
    let request = RequestPrepareProposal { txs: txs.to_vec(), max_tx_bytes, ..Default::default() };
    node.abci.prepare_proposal(request).txs
}

fn accepts(node: &Node, txs: &[Bytes]) -> bool {
    let request = RequestProcessProposal { txs: txs.to_vec(), ..Default::default() };
    node.abci.process_proposal(request).status == ProposalStatus::Accept as i32
}

/// The bytes that CometBFT counts for transactions in a block: each an element of `repeated bytes`.
fn counted(txs: &[Bytes]) -> i64 {
    let one = |tx: &Bytes| 1 + prost::length_delimiter_len(tx.len()) + tx.len();
    i64::try_from(txs.iter().map(one).sum::<usize>()).unwrap()
}

/// The time that a proposal takes is decoding: neither signatures nor accounts nor messages are looked at, so that it is
/// linear in the bytes of the mempool, whatever is in them.
#[test]
fn a1_01_a_proposal_checks_no_signature_and_runs_nothing() {
    let (node, chain) = (started(), TestChain::new());
    let mut txs: Vec<Bytes> = (0..50).map(|ahead| tx(&chain, "alice", ahead)).collect();
    // Nobody with these accounts, and messages that would be dear.
    txs.push(
        chain.sign(&draft([&MsgSettle { signer: text("carol"), order_id: u64::MAX }]), &["carol"]).into(),
    );
    let (checks, before) = (node.app.signatures().checks(), everything(&node));
    let proposed = prepare(&node, &txs, UNLIMITED);
    assert_eq!(proposed, txs);
    assert!(accepts(&node, &proposed));
    assert_eq!(node.app.signatures().checks(), checks);
    assert_eq!(everything(&node), before);
}

/// Without a limit in the consensus parameters CometBFT hands over its whole mempool, which may be larger than a block.
#[test]
fn a1_02_a_mempool_larger_than_any_block_is_cut() {
    let (node, chain) = (started(), TestChain::new());
    // They ask for next to no gas, so that bytes are what is short.
    let with_memo = |length| {
        let draft = Draft { memo: "m".repeat(length), gas_limit: 1, ..draft([&send("alice", "bob", 1)]) };
        Bytes::from(chain.sign(&draft, &["alice"]))
    };
    let mut mempool = vec![with_memo(250_000); 430];
    mempool.push(tx(&chain, "carol", 0));
    assert!(counted(&mempool) > UNLIMITED);
    for (limit, most) in [(-1, UNLIMITED), (UNLIMITED, UNLIMITED), (1_000_000, 1_000_000), (0, 0)] {
        let proposed = prepare(&node, &mempool, limit);
        assert!(counted(&proposed) <= most, "{limit}: {}", counted(&proposed));
        assert!(counted(&proposed) > most - 300_000, "{limit}: {}", counted(&proposed));
        assert!(accepts(&node, &proposed), "{limit}");
        // What comes after the one that no longer fits is still taken.
        assert_eq!(proposed.last(), mempool.last().filter(|_| most > 0), "{limit}");
    }
}

/// What is over at the block's time would be refused in it, and so would what follows in the same account's order.
#[test]
fn a_proposal_leaves_out_what_is_over_and_what_waits_for_it() {
    let (node, chain) = (started(), TestChain::new());
    let at = |seconds| tendermint_proto::google::protobuf::Timestamp { seconds, nanos: 5 };
    let until = |name: &str, ahead: u64, seconds: i64, nanos: i32| {
        let timeout = Some(prost_types::Timestamp { seconds, nanos });
        let draft = Draft { timeout, ..draft([&send(name, "bob", 1)]) };
        Bytes::from(chain.sign_ahead(&draft, &[name], ahead))
    };
    let mempool = [
        until("alice", 0, 100, 5),
        tx(&chain, "alice", 1),
        until("carol", 0, 100, 6),
        tx(&chain, "carol", 1),
        tx(&chain, "alice", 2),
    ];
    let request = RequestPrepareProposal {
        txs: mempool.to_vec(),
        max_tx_bytes: UNLIMITED,
        time: Some(at(100)),
        ..Default::default()
    };
    assert_eq!(node.abci.prepare_proposal(request.clone()).txs, mempool[2..4]);
    // An unordered one of the same account needs its key, but not its sequence.
    let unordered = |key: bool| {
        let until = Some(prost_types::Timestamp { seconds: 200, nanos: 0 });
        let draft = Draft { unordered_until: until, ..draft([&send("alice", "bob", 1)]) };
        let mut tx = TxRaw::decode(chain.sign(&draft, &["alice"]).as_slice()).unwrap();
        if !key {
            let mut auth = AuthInfo::decode(&*tx.auth_info_bytes).unwrap();
            auth.signer_infos[0].public_key = None;
            tx.auth_info_bytes = auth.encode_to_vec();
        }
        Bytes::from(tx.encode_to_vec())
    };
    let txs = vec![mempool[0].clone(), unordered(true), unordered(false)];
    let request = RequestPrepareProposal { txs: txs.clone(), ..request };
    assert_eq!(node.abci.prepare_proposal(request).txs, txs[1..2]);
    // The same of one that does not fit.
    let most = counted(&mempool[2..3]);
    assert_eq!(prepare(&node, &[mempool[0].clone(), mempool[3].clone()], most - 1), mempool[3..4]);
    let large = Draft { memo: "m".repeat(1_000), ..draft([&send("alice", "bob", 1)]) };
    let large = Bytes::from(chain.sign(&large, &["alice"]));
    let found = prepare(&node, &[large, mempool[1].clone(), mempool[3].clone()], 900);
    assert_eq!(found, mempool[3..4]);
}

/// Bytes of a mempool: of real transactions, of such that were changed, of nothing at all.
fn mempool() -> impl Strategy<Value = Vec<Bytes>> {
    let chain = TestChain::new();
    let settle = chain.sign(&draft([&MsgSettle { signer: text("carol"), order_id: 1 }]), &["carol"]);
    let real = [tx(&chain, "alice", 0).to_vec(), tx(&chain, "poor", 7).to_vec(), settle];
    let length = real.iter().map(Vec::len).min().unwrap();
    let real = proptest::sample::select(real.to_vec());
    let changed = (real.clone(), 0..length, any::<u8>(), 0..4_u8).prop_map(|(mut tx, at, byte, how)| {
        match how {
            0 => tx[at] = byte,
            1 => tx.truncate(at),
            2 => tx.insert(at, byte),
            _ => drop(tx.remove(at)),
        }
        tx
    });
    let entry = prop_oneof![proptest::collection::vec(any::<u8>(), 0..300), real, changed,];
    proptest::collection::vec(entry.prop_map(Bytes::from), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// The proposer and the others share the committed state, and nothing else.
    #[test]
    fn a1_03_whatever_one_node_proposes_every_other_accepts(
        proposers in mempool(),
        others in mempool(),
        max_tx_bytes in -1..20_000_i64,
    ) {
        let (proposer, busy, idle) = (started(), started(), started());
        for bytes in &others {
            busy.abci.check_tx(RequestCheckTx { tx: bytes.clone(), r#type: 0 });
        }
        prepare(&busy, &others, -1);
        busy.finalize(&(1, others));
        let proposed = prepare(&proposer, &proposers, max_tx_bytes);
        prop_assert!(max_tx_bytes < 0 || counted(&proposed) <= max_tx_bytes);
        for node in [&proposer, &busy, &idle] {
            prop_assert!(accepts(node, &proposed));
        }
        // So do all of them what nobody honest proposed, for or against.
        let verdict = accepts(&proposer, &proposers);
        prop_assert_eq!(accepts(&busy, &proposers), verdict);
        prop_assert_eq!(accepts(&idle, &proposers), verdict);
    }
}

/// Nodes with the same committed state, whose lives were otherwise different, decide alike; so they do whatever else a
/// proposal says of its round.
#[test]
fn a1_04_a_verdict_depends_on_the_block_and_the_committed_state_alone() {
    let chain = TestChain::new();
    let history = blocks();
    let calm = started();
    let restarted = {
        let node = Node::new(Home::disk());
        node.init();
        node
    };
    let busy = started();
    for block in &history {
        calm.deliver(block);
        restarted.deliver(block);
        for other in &history {
            for tx in &other.1 {
                busy.abci.check_tx(RequestCheckTx { tx: tx.clone(), r#type: 0 });
            }
            accepts(&busy, &other.1);
        }
        busy.finalize(&(block.0, vec![]));
        busy.deliver(block);
    }
    let restarted = restarted.killed();
    let pending = tx(&chain, "alice", 3);
    busy.abci.check_tx(RequestCheckTx { tx: pending.clone(), r#type: 0 });
    let garbage = Bytes::from_static(b"garbage");
    let proposals = [
        (vec![], true),
        (vec![pending.clone()], true),
        (vec![pending.clone(), pending.clone(), tx(&chain, "alice", 9)], true),
        (vec![garbage.clone()], false),
        (vec![pending, garbage], false),
    ];
    for (txs, expected) in proposals {
        for node in [&calm, &restarted, &busy] {
            for (height, round) in [(7, 0), (7, 5), (0, 0), (i64::MAX, i32::MAX)] {
                let request = RequestProcessProposal {
                    txs: txs.clone(),
                    height,
                    proposed_last_commit: Some(votes(round, &[2, 1, 3])),
                    misbehavior: evidence(),
                    hash: vec![9; 32].into(),
                    proposer_address: vec![1; 20].into(),
                    time: Some(Timestamp { seconds: height, nanos: 0 }),
                    ..Default::default()
                };
                let status = node.abci.process_proposal(request).status;
                assert_eq!(status == ProposalStatus::Accept as i32, expected, "{txs:?} at {height}");
            }
        }
    }
}

/// What a state could change is for execution to refuse: a block is rejected only for what its bytes prove.
#[test]
fn a1_05_only_what_is_provably_malformed_is_rejected() {
    let (node, chain) = (started(), TestChain::new());
    let good = tx(&chain, "alice", 0);
    let mut forged = good.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let with = |change: fn(&mut Draft)| {
        let mut draft = draft([&send("alice", "bob", 1)]);
        change(&mut draft);
        Bytes::from(chain.sign(&draft, &["alice"]))
    };
    let doubtful = [
        ("a bad signature", Bytes::from(forged)),
        ("a sequence that is not the next", tx(&chain, "alice", 1_000)),
        ("no money", tx(&chain, "poor", 0)),
        ("no fee", with(|draft| draft.fee.clear())),
        ("a fee in another denom", with(|draft| draft.fee = vec![coin("ucredit", 1)])),
        ("no gas", with(|draft| draft.gas_limit = 0)),
        ("a timeout that has passed", with(|draft| draft.timeout_height = 1)),
        ("a memo that the parameters forbid", with(|draft| draft.memo = "m".repeat(1_000))),
        ("an order that does not exist", {
            let settle = draft([&MsgSettle { signer: text("carol"), order_id: 77 }]);
            chain.sign(&settle, &["carol"]).into()
        }),
    ];
    node.deliver(&(1, vec![]));
    for (what, tx) in &doubtful {
        assert!(accepts(&node, std::slice::from_ref(tx)), "{what}");
        assert_ne!(node.finalize(&(2, vec![tx.clone()])).tx_results[0].code, 0, "{what}");
    }
    for (what, tx) in [
        ("garbage", Bytes::from_static(b"garbage")),
        ("nothing", Bytes::new()),
        ("a truncated transaction", good.slice(..good.len() - 1)),
        ("a field that nobody knows", [good.as_ref(), &[0x28, 1]].concat().into()),
        ("a field that is there although it is empty", vec![0x0a, 0].into()),
    ] {
        assert!(!accepts(&node, &[tx]), "{what}");
    }
}

/// Extensions of the height before reach a proposer; what it proposes does not depend on them.
#[test]
fn a1_10_extensions_do_not_reach_a_proposal() {
    let (node, chain) = (started(), TestChain::new());
    let txs = vec![tx(&chain, "alice", 0), tx(&chain, "carol", 0)];
    for extension in [vec![], vec![1, 2, 3], vec![0xff; 100_000]] {
        let vote = ExtendedVoteInfo {
            validator: Some(validator(1, 10)),
            vote_extension: extension.clone().into(),
            extension_signature: extension.into(),
            block_id_flag: 2,
        };
        let local_last_commit = Some(ExtendedCommitInfo { round: 1, votes: vec![vote; 3] });
        let request = RequestPrepareProposal {
            txs: txs.clone(),
            max_tx_bytes: 1 << 20,
            local_last_commit,
            misbehavior: evidence(),
            ..Default::default()
        };
        assert_eq!(node.abci.prepare_proposal(request).txs, txs);
    }
}
