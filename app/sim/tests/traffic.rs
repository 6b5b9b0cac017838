//! The recorded traffic is what it says it is: every message succeeds in it, and it is the same every time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::DescriptorPool;
use sim::Traffic;
use underbid::tx::{Purpose, Tx};

const BLOCKS: u64 = 130;

/// Every message that a transaction can carry.
fn all_messages() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = pool.services().filter(|service| service.name() == "Msg");
    let methods = services.flat_map(|service| service.methods().collect::<Vec<_>>());
    methods.map(|method| format!("/{}", method.input().full_name())).collect()
}

#[test]
fn every_message_succeeds_and_some_are_refused() {
    let recorded = Traffic::record(BLOCKS);
    let mut succeeded = BTreeSet::new();
    let mut refused = BTreeMap::new();
    for block in &recorded {
        for (bytes, result) in block.block.txs.iter().zip(&block.done.results) {
            match Tx::decode(bytes, 1, Purpose::Execute) {
                Ok(tx) if result.code == 0 => succeeded.extend(tx.actions),
                _ => *refused.entry((result.codespace.clone(), result.code)).or_insert(0) += 1,
            }
        }
    }
    assert_eq!(succeeded, all_messages(), "refused: {refused:?}");
    assert!(refused.len() >= 5, "{refused:?}");
    let again = Traffic::record(20);
    for (block, again) in recorded.iter().zip(&again) {
        assert_eq!((&block.block.txs, block.done.app_hash), (&again.block.txs, again.done.app_hash));
    }
}
