//! CheckTx: what pending transactions have used counts, until the next block.

use prost_types::Timestamp;
use proto::underbid::kernel::v1::{QueryClockRequest, QueryClockResponse};
use underbid::{
    mempool::Mempool,
    signatures::SignatureCache,
    tx::{Purpose, Tx},
};

use sim::*;

fn send_ahead(chain: &TestChain, by: &str, ahead: u64) -> Vec<u8> {
    chain.sign_ahead(&draft([&send(by, "bob", 5)]), &[by], ahead)
}

fn check(chain: &TestChain, tx: &[u8]) -> u32 {
    chain.app().check_tx(tx, false).unwrap().code
}

#[test]
fn a1_22_pending_sequences_follow_one_another_and_a_block_starts_anew() {
    let mut chain = TestChain::new();
    let txs: Vec<_> = (0..3).map(|ahead| send_ahead(&chain, "alice", ahead)).collect();
    assert_eq!(check(&chain, &txs[1]), 32, "the first is missing");
    assert!(txs.iter().all(|tx| check(&chain, tx) == 0));
    assert_eq!(check(&chain, &txs[0]), 32, "it is pending");
    assert_eq!(chain.account("alice").sequence, 0, "a check changes nothing");

    // A block with the first of them: the others are checked again in their order, and the next one follows.
    chain.block(&txs[..1]);
    let recheck = |tx: &[u8]| chain.app().check_tx(tx, true).unwrap().code;
    assert_eq!([recheck(&txs[0]), recheck(&txs[1]), recheck(&txs[2])], [32, 0, 0]);
    assert_eq!(check(&chain, &send_ahead(&chain, "alice", 2)), 0);
    // Without the rechecks the sequence is the committed one.
    chain.block(&[]);
    assert_eq!(check(&chain, &txs[1]), 0);
}

#[test]
fn before_the_first_block_a_check_is_for_the_height_that_the_chain_starts_at() {
    let mut chain = TestChain::at_genesis(vec![Home::memory()], &genesis_state(), 1_001, START_S).unwrap();
    let until = |height| {
        let mut draft = draft([&send("alice", "bob", 5)]);
        draft.timeout_height = height;
        chain.sign(&draft, &["alice"])
    };
    let [early, late, in_time] = [500, 1_000, 1_001].map(until);
    for tx in [&early, &late] {
        assert_eq!(check(&chain, tx), 30);
        assert_eq!(chain.app().simulate(tx).unwrap().code, 30);
    }
    assert_eq!(check(&chain, &in_time), 0);
    assert_eq!(chain.app().simulate(&in_time).unwrap().code, 0);
    let clock = "/underbid.kernel.v1.Query/Clock";
    let clock: QueryClockResponse = chain.query(clock, &QueryClockRequest::default()).unwrap();
    assert_eq!(clock.height, 1_000);
    let codes: Vec<_> = chain.forced(&[late, in_time]).results.iter().map(|result| result.code).collect();
    assert_eq!(codes, [30, 0]);
}

#[test]
fn pending_fees_are_money_that_is_gone() {
    let chain = TestChain::new();
    let half = |ahead| {
        let mut draft = draft([&send("alice", "bob", 5)]);
        draft.fee = vec![coin("uflop", PURSE / 2)];
        chain.sign_ahead(&draft, &["alice"], ahead)
    };
    assert_eq!([0, 1, 2].map(|ahead| check(&chain, &half(ahead))), [0, 0, 5]);
}

#[test]
fn an_account_has_at_most_64_pending_transactions() {
    let mut chain = TestChain::new();
    let unordered = |chain: &TestChain, seconds: u64| {
        let mut draft = draft([&send("alice", "bob", 5)]);
        let at = i64::try_from(chain.time_s + 20 + seconds).unwrap();
        draft.unordered_until = Some(Timestamp { seconds: at, nanos: 0 });
        chain.sign(&draft, &["alice"])
    };
    // Of both kinds.
    for ahead in 0..32 {
        assert_eq!(check(&chain, &send_ahead(&chain, "alice", ahead)), 0);
        assert_eq!(check(&chain, &unordered(&chain, ahead)), 0);
    }
    let refused = chain.app().check_tx(&send_ahead(&chain, "alice", 32), false).unwrap();
    assert_eq!((refused.codespace.as_str(), refused.code), ("sdk", 20), "{}", refused.log);
    assert_eq!(check(&chain, &unordered(&chain, 32)), 20);
    assert_eq!(check(&chain, &send_ahead(&chain, "carol", 0)), 0, "others are not concerned");
    chain.block(&[]);
    assert_eq!(check(&chain, &send_ahead(&chain, "alice", 0)), 0);
}

#[test]
fn a_flood_between_two_blocks_costs_bounded_memory() {
    let chain = TestChain::new();
    let signatures = SignatureCache::default();
    let tx = |by: &str, ahead| {
        Tx::decode(&send_ahead(&chain, by, ahead), underbid::app::APP_VERSION, Purpose::Execute).unwrap()
    };
    let codes = |reads_max| {
        let mut mempool = Mempool::with_reads_max(&chain.app().committed(), reads_max);
        let txs = [tx("alice", 0), tx("alice", 1), tx("carol", 0), tx("alice", 2)];
        txs.map(|tx| mempool.check(&tx, false, &signatures).unwrap().code)
    };
    assert_eq!(codes(u64::MAX), [0; 4]);
    // What is pending is forgotten with what was read for it: the next one is checked against the committed state, and
    // what depends on the forgotten ones waits for the block that holds them.
    assert_eq!(codes(0), [0, 32, 0, 32]);
}

#[test]
fn what_is_refused_is_not_pending() {
    let chain = TestChain::new();
    for _ in 0..70 {
        assert_eq!(check(&chain, &send_ahead(&chain, "alice", 1)), 32);
    }
    assert_eq!(check(&chain, &send_ahead(&chain, "alice", 0)), 0);
}

#[test]
fn a_signature_is_checked_once() {
    let mut chain = TestChain::new();
    let checks = |chain: &TestChain| chain.app().signatures().checks();
    let txs = [send_ahead(&chain, "alice", 0), send_ahead(&chain, "carol", 0)];
    let start = checks(&chain);
    assert!(txs.iter().all(|tx| check(&chain, tx) == 0));
    assert_eq!(checks(&chain) - start, 2);
    // Neither a recheck nor the block checks it again.
    chain.block(&[]);
    assert!(txs.iter().all(|tx| chain.app().check_tx(tx, true).unwrap().code == 0));
    assert!(chain.block(&txs).results.iter().all(|result| result.code == 0));
    assert_eq!(checks(&chain) - start, 2);
    // One that the mempool has not seen is checked in the block, once.
    let unseen = send_ahead(&chain, "dave", 0);
    assert_eq!(chain.run(unseen).code, 0);
    assert_eq!(checks(&chain) - start, 3);
}

#[test]
fn a_signature_is_neither_checked_nor_remembered_for_who_can_not_pay() {
    let mut chain = TestChain::new();
    let checks = |chain: &TestChain| chain.app().signatures().checks();
    let (start, tx) = (checks(&chain), send_ahead(&chain, "poor", 0));
    assert_eq!([check(&chain, &tx), check(&chain, &tx)], [5, 5]);
    assert_eq!(checks(&chain), start);
    // A block that holds it has to check it.
    assert_eq!(chain.run(tx).code, 5);
    assert_eq!(checks(&chain) - start, 1);
}

#[test]
fn a_bad_signature_uses_neither_money_nor_a_sequence() {
    let chain = TestChain::new();
    let mut draft = draft([&send("alice", "bob", 5)]);
    draft.fee = vec![coin("uflop", PURSE)];
    let good = chain.sign(&draft, &["alice"]);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    assert_eq!([&bad, &bad, &good].map(|tx| check(&chain, tx)), [4, 4, 0]);
}

#[test]
fn a_remembered_signature_stands_only_for_its_own_bytes() {
    let mut chain = TestChain::new();
    let tx = send_ahead(&chain, "alice", 0);
    assert_eq!(check(&chain, &tx), 0);
    let mut other = tx;
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(chain.run(other).code, 4);
}
