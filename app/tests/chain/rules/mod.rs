//! What ABCI 2.0 requires of an application, line by line: a test's name starts with the numbers of the lines that it is
//! for. docs/reliability.md lists them all.

mod blocks;
mod checks;
mod grammar;
mod handshake;
mod proposals;
mod votes;

use bytes::Bytes;
use kernel::{KeyRange, Space};
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::abci::{CommitInfo, Misbehavior, Validator, VoteInfo},
};
use underbid::modules::STORES;

use crate::node::Node;
use sim::*;

/// A transaction of one person as bytes, so many sequences ahead.
fn tx(chain: &TestChain, by: &str, ahead: u64) -> Bytes {
    chain.sign_ahead(&draft([&send(by, "bob", 5)]), &[by], ahead).into()
}

/// A node with a state: in memory, after the genesis.
fn started() -> Node {
    let node = Node::new(Home::memory());
    node.init();
    node
}

/// Everything that is in the committed state of a node, indexes and queues too.
fn everything(node: &Node) -> Vec<(Space, Bytes, Bytes)> {
    let view = node.app.committed().base.state();
    let spaces = STORES.iter().flat_map(|(id, _)| [Space::State(*id), Space::Derived(*id)]);
    let rows = spaces.flat_map(|space| {
        let rows = view.scan(space, KeyRange { start: &[], end: None }, u32::MAX).unwrap();
        rows.into_iter().map(move |(key, value)| (space, key, value))
    });
    rows.collect()
}

fn validator(byte: u8, power: i64) -> Validator {
    Validator { address: Bytes::from(vec![byte; 20]), power }
}

/// Votes of a last commit, as a proposer may have seen them.
fn votes(round: i32, flags: &[i32]) -> CommitInfo {
    let vote = |(byte, flag): (u8, &i32)| VoteInfo {
        validator: Some(validator(byte, i64::from(*flag) * 1_000)),
        block_id_flag: *flag,
    };
    CommitInfo { round, votes: (1..).zip(flags).map(vote).collect() }
}

/// Evidence as it may arrive: of nobody we know, of the future, of before time began, of all power there is.
fn evidence() -> Vec<Misbehavior> {
    let mut all = Vec::new();
    for r#type in [0, 1, 2, 99, -1] {
        for height in [i64::MIN, -1, 0, 1, i64::MAX] {
            let time = Some(Timestamp { seconds: height, nanos: -1 });
            let total_voting_power = height.wrapping_mul(3);
            let known = Some(validator(1, i64::MAX));
            all.push(Misbehavior { r#type, validator: known, height, time, total_voting_power });
            all.push(Misbehavior { r#type, validator: None, height, time: None, total_voting_power });
        }
    }
    all.extend(all.clone());
    all
}
