//! Proposals: what an honest proposer makes of any mempool is accepted, and fits.

use proptest::prelude::*;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    RequestPrepareProposal, RequestProcessProposal, response_process_proposal::ProposalStatus,
};
use underbid::abci::Abci;

use sim::*;

/// The gas of a block.
const BLOCK_GAS: u64 = 300_000_000;

/// One entry of a mempool.
#[derive(Clone, Debug)]
enum Entry {
    Garbage(Vec<u8>),
    /// A transaction with this gas limit and a memo of this length.
    Tx {
        gas: u64,
        memo: usize,
        ahead: u64,
    },
    /// The entry at this place, modulo the number before it, once more.
    Again(usize),
    /// That entry without its last byte.
    Cut(usize),
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let gas = prop_oneof![Just(0), 1..BLOCK_GAS, Just(BLOCK_GAS), Just(BLOCK_GAS + 1), Just(u64::MAX)];
    let memo = prop_oneof![0..300_usize, 1_000..20_000_usize, Just(140_000)];
    let entry = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200).prop_map(Entry::Garbage),
        (gas, memo, 0..3_u64).prop_map(|(gas, memo, ahead)| Entry::Tx { gas, memo, ahead }),
        (0..20_usize).prop_map(Entry::Again),
        (0..20_usize).prop_map(Entry::Cut),
    ];
    proptest::collection::vec(entry, 0..30)
}

fn mempool(chain: &TestChain, entries: Vec<Entry>) -> Vec<bytes::Bytes> {
    let mut txs: Vec<bytes::Bytes> = Vec::new();
    for entry in entries {
        let earlier = |at: usize| txs.get(at % txs.len().max(1)).cloned().unwrap_or_default();
        let tx = match entry {
            Entry::Garbage(bytes) => bytes.into(),
            Entry::Tx { gas, memo, ahead } => {
                let mut draft = draft([&send("alice", "bob", 1)]);
                (draft.gas_limit, draft.memo) = (gas, "m".repeat(memo));
                chain.sign_ahead(&draft, &["alice"], ahead).into()
            }
            Entry::Again(at) => earlier(at),
            Entry::Cut(at) => {
                let tx = earlier(at);
                tx.slice(..tx.len().saturating_sub(1))
            }
        };
        txs.push(tx);
    }
    txs
}

fn accepts(abci: &Abci, txs: &[bytes::Bytes]) -> bool {
    let request = RequestProcessProposal { txs: txs.to_vec(), ..Default::default() };
    abci.process_proposal(request).status == ProposalStatus::Accept as i32
}

/// The bytes that CometBFT counts for transactions in a block: each an element of `repeated bytes`.
fn counted(txs: &[bytes::Bytes]) -> usize {
    txs.iter().map(|tx| 1 + prost::length_delimiter_len(tx.len()) + tx.len()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a1_02_03_what_is_proposed_is_accepted_fits_and_runs(entries in entries(), max_tx_bytes in 0..400_000_i64) {
        let chain = TestChain::new();
        let abci = chain.abci();
        let txs = mempool(&chain, entries);
        let before = (chain.app_hash(), chain.app().committed().height);
        let propose = || {
            abci.prepare_proposal(RequestPrepareProposal { txs: txs.clone(), max_tx_bytes, ..Default::default() }).txs
        };
        let proposed = propose();
        prop_assert!(counted(&proposed) <= usize::try_from(max_tx_bytes).unwrap());
        prop_assert!(accepts(&abci, &proposed));
        prop_assert_eq!(&propose(), &proposed, "the same mempool gives the same proposal");
        prop_assert!(accepts(&abci, &proposed));
        // In the mempool's order.
        let mut rest = txs.iter();
        prop_assert!(proposed.iter().all(|tx| rest.any(|other| other == tx)));
        prop_assert_eq!((chain.app_hash(), chain.app().committed().height), before);
        // Also what nobody proposed is executed by all replicas alike, with one result each.
        let mut chain = chain;
        let all: Vec<_> = txs.iter().map(|tx| tx.to_vec()).collect();
        prop_assert_eq!(chain.forced(&all).results.len(), all.len());
    }
}

#[test]
fn a_proposal_over_the_gas_or_with_garbage_is_rejected() {
    let chain = TestChain::new();
    let abci = chain.abci();
    let with_gas = |gas| {
        let mut draft = draft([&send("alice", "bob", 1)]);
        draft.gas_limit = gas;
        bytes::Bytes::from(chain.sign(&draft, &["alice"]))
    };
    assert!(accepts(&abci, &[]));
    assert!(accepts(&abci, &[with_gas(BLOCK_GAS / 2), with_gas(BLOCK_GAS / 2)]));
    assert!(!accepts(&abci, &[with_gas(BLOCK_GAS / 2), with_gas(BLOCK_GAS / 2), with_gas(1)]));
    assert!(!accepts(&abci, &[with_gas(1), bytes::Bytes::from_static(b"garbage")]));
    // A bad signature or sequence is no reason: only what the bytes alone prove wrong is.
    let mut unsigned = with_gas(1).to_vec();
    *unsigned.last_mut().unwrap() ^= 1;
    assert!(accepts(&abci, &[unsigned.into()]));
}

#[test]
fn a_proposer_goes_on_after_what_does_not_fit() {
    let chain = TestChain::new();
    let abci = chain.abci();
    let with_memo = |by: &str, memo: usize| {
        let mut draft = draft([&send(by, "bob", 1)]);
        draft.memo = "m".repeat(memo);
        bytes::Bytes::from(chain.sign(&draft, &[by]))
    };
    let (large, small) = (with_memo("alice", 5_000), with_memo("carol", 10));
    let max_tx_bytes = i64::try_from(counted(&[small.clone(), small.clone()])).unwrap();
    let request = |max_tx_bytes| RequestPrepareProposal {
        txs: vec![small.clone(), large.clone(), small.clone(), small.clone()],
        max_tx_bytes,
        ..Default::default()
    };
    assert_eq!(abci.prepare_proposal(request(max_tx_bytes)).txs, [small.clone(), small.clone()]);
    assert_eq!(abci.prepare_proposal(request(max_tx_bytes - 1)).txs, std::slice::from_ref(&small));
}
