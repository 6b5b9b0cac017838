//! Line 13: CheckTx. `mempool.rs` and `ante.rs` beside this folder have line 22.

use prost_types::Timestamp as Timeout;
use underbid::{
    app::APP_VERSION,
    client::tx::Draft,
    mempool::Mempool,
    tx::{Purpose, Tx},
};

use super::*;

/// After this height nothing changes any more for the transactions below.
const SETTLED: i64 = 12;

fn alices(chain: &TestChain, ahead: u64, change: impl FnOnce(&mut Draft)) -> Bytes {
    let mut draft = draft([&send("alice", "bob", 5)]);
    change(&mut draft);
    chain.sign_ahead(&draft, &["alice"], ahead).into()
}

/// What a node says of a transaction whose mempool holds no other: what is pending beside it is each node's own affair.
fn verdict(node: &Node, bytes: &[u8], recheck: bool) -> u32 {
    match Tx::decode(bytes, APP_VERSION, Purpose::Execute) {
        Ok(tx) => {
            let mut mempool = Mempool::new(&node.app.committed());
            mempool.check(&tx, recheck, node.app.signatures()).unwrap().code
        }
        Err(reject) => reject.code,
    }
}

/// For every transaction there is a height from which on every node gives the same verdict for ever.
#[test]
fn a1_13_a_verdict_stops_changing_and_is_the_same_everywhere() {
    let chain = TestChain::new();
    let unordered = |seconds: u64| {
        let at = Timeout { seconds: i64::try_from(START_S + seconds).unwrap(), nanos: 0 };
        alices(&chain, 0, |draft| draft.unordered_until = Some(at))
    };
    let asked = [
        ("the next", alices(&chain, 0, |_| {})),
        ("the one after the next", alices(&chain, 1, |_| {})),
        ("one whose turn never comes", alices(&chain, 50, |_| {})),
        ("one with a last height", alices(&chain, 2, |draft| draft.timeout_height = 6)),
        ("an unordered one that is used", unordered(9)),
        ("an unordered one that is not used", unordered(8)),
        ("one with a bad fee", alices(&chain, 2, |draft| draft.fee = vec![coin("uflop", 1)])),
        ("one of a poor man", tx(&chain, "poor", 0)),
        ("one that becomes good and stays so", tx(&chain, "carol", 1)),
        ("garbage", Bytes::from_static(b"garbage")),
    ];
    let executed = [
        (2, vec![asked[0].1.clone()]),
        (4, vec![asked[1].1.clone(), asked[4].1.clone()]),
        (5, vec![tx(&chain, "carol", 0)]),
    ];
    let (a, b) = (started(), Node::new(Home::disk()));
    b.init();
    let mut nodes = [a, b];
    let mut verdicts: Vec<Vec<u32>> = vec![Vec::new(); asked.len()];
    for height in 1..=SETTLED + 20 {
        let txs = executed.iter().find(|(at, _)| *at == height).map(|(_, txs)| txs.clone());
        let block = (height, txs.unwrap_or_default());
        nodes.iter().for_each(|node| drop(node.deliver(&block)));
        if height % 5 == 0 {
            nodes = nodes.map(Node::killed);
        }
        for ((what, tx), verdicts) in asked.iter().zip(&mut verdicts) {
            let [a, b] = nodes.each_ref().map(|node| [verdict(node, tx, false), verdict(node, tx, true)]);
            assert_eq!(a, b, "{what} at {height}");
            assert_eq!(a[0], a[1], "{what} at {height}: a recheck says the same");
            verdicts.push(a[0]);
        }
    }
    let settled = usize::try_from(SETTLED).unwrap();
    for ((what, _), verdicts) in asked.iter().zip(&verdicts) {
        let last = verdicts.last().unwrap();
        assert!(verdicts[settled..].iter().all(|code| code == last), "{what}: {verdicts:?}");
        // No transaction is good, then bad, then good again.
        let changes = verdicts.windows(2).filter(|pair| (pair[0] == 0) != (pair[1] == 0)).count();
        assert!(changes <= 2, "{what}: {verdicts:?}");
    }
    let last = |at: usize| *verdicts[at].last().unwrap();
    assert_eq!([0, 1, 2, 3, 4, 5].map(last), [32, 32, 32, 30, 30, 30]);
    assert_eq!([6, 7, 8, 9].map(last), [13, 5, 0, 2]);
}
