//! The trie against its definition, and its places against leaks.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    bits,
    hash::{self, Hash},
    stage::{Replaced, Update},
    trie::{Finding, Path, Root, Sibling, Trie},
};

type Records = BTreeMap<Hash, (Bytes, Hash)>;

fn updates(changes: &BTreeMap<u16, Option<u8>>) -> Vec<Update> {
    let update = |(key, value): (&u16, &Option<u8>)| {
        let key = Bytes::copy_from_slice(&key.to_be_bytes());
        let hash = hash::sha256(&key);
        Update { store: 0, hash, key, leaf: value.map(|value| hash::leaf(&hash, &[value])) }
    };
    let mut updates: Vec<Update> = changes.iter().map(update).collect();
    updates.sort_by_key(|update| update.hash);
    updates
}

fn by_definition(records: &[(Hash, Hash)], bit: u8) -> Hash {
    match records {
        [] => hash::empty_root(),
        [(_, leaf)] => *leaf,
        _ => {
            let (low, high) = records.split_at(records.partition_point(|(key, _)| !bits::is_set(key, bit)));
            if low.is_empty() || high.is_empty() {
                return by_definition(records, bit + 1);
            }
            let (left, right) = (by_definition(low, bit + 1), by_definition(high, bit + 1));
            hash::sha256([left, right].as_flattened())
        }
    }
}

fn root_of(records: &Records) -> Hash {
    let leaves: Vec<(Hash, Hash)> = records.iter().map(|(key, (_, leaf))| (*key, *leaf)).collect();
    by_definition(&leaves, 0)
}

fn leads_to(path: &Path, records: &Records, root: &Root) -> bool {
    let leaf = records[&hash::sha256(&path.key)].1;
    let top = path.siblings.iter().fold(leaf, |hash, sibling| match sibling {
        Sibling::Left(left) => hash::sha256([*left, hash].as_flattened()),
        Sibling::Right(right) => hash::sha256([hash, *right].as_flattened()),
    });
    top == root.hash()
}

fn assert_finds(trie: &Trie, root: &Root, records: &Records, key: &[u8]) {
    let hash = hash::sha256(key);
    let neighbour = |path: &Option<Path>, expected: Option<(&Hash, &(Bytes, Hash))>| {
        assert_eq!(path.as_ref().map(|path| path.key.as_slice()), expected.map(|(_, (key, _))| &**key));
        assert!(path.as_ref().is_none_or(|path| leads_to(path, records, root)));
    };
    match trie.find(root, key).unwrap() {
        Finding::Present(path) => assert!(*path.key == *key && leads_to(&path, records, root)),
        Finding::Absent { left, right } => {
            assert!(!records.contains_key(&hash));
            neighbour(&left, records.range(..hash).next_back());
            neighbour(&right, records.range(hash..).next());
        }
    }
}

proptest! {
    #[test]
    fn any_history_gives_the_tree_of_its_records(
        blocks in proptest::collection::vec(
            proptest::collection::btree_map(0_u16..900, proptest::option::weighted(0.7, any::<u8>()), 0..300), 1..12),
        window in 0_usize..4,
    ) {
        let (mut trie, mut root, mut records) = (Trie::new(), Root::default(), Records::new());
        let mut past: VecDeque<(Root, Records, Replaced)> = VecDeque::new();
        for block in blocks {
            let updates = updates(&block);
            // A candidate that is dropped leaves nothing behind.
            trie.stage(&root, &updates[updates.len() / 2..]).unwrap();
            let before = (root, records.clone());
            for update in &updates {
                match update.leaf {
                    Some(leaf) => records.insert(update.hash, (update.key.clone(), leaf)),
                    None => records.remove(&update.hash),
                };
            }
            let staged = trie.stage(&root, &updates).unwrap();
            prop_assert_eq!(staged.root.hash(), root_of(&records));
            let (new, replaced) = trie.adopt(staged).unwrap();
            root = new;
            prop_assert_eq!(root.keys, records.len() as u64);
            past.push_back((before.0, before.1, replaced));
            while past.len() > window {
                trie.release(&past.pop_front().unwrap().2);
            }
            for key in (0..900_u16).step_by(7) {
                assert_finds(&trie, &root, &records, &key.to_be_bytes());
                if let Some((old, records, _)) = past.front() {
                    assert_finds(&trie, old, records, &key.to_be_bytes());
                }
            }
        }
        for (_, _, replaced) in past {
            trie.release(&replaced);
        }
        prop_assert_eq!(trie.leaves.used(), records.len() as u64);
        prop_assert_eq!(trie.inners.used(), (records.len() as u64).saturating_sub(1));
    }
}

/// Blocks so large that they are staged in parts.
#[test]
fn parts_give_the_same_tree() {
    let (mut trie, mut root, mut records) = (Trie::new(), Root::default(), Records::new());
    for (step, keep) in [(1_usize, 3_u16), (2, 1), (1, 2), (3, 5), (1, 0)] {
        let block: BTreeMap<u16, Option<u8>> = (0..20_000_u16)
            .step_by(step)
            .map(|key| (key, (keep > 0 && key % (keep + 1) != 0).then_some(key as u8 ^ keep as u8)))
            .collect();
        let updates = updates(&block);
        for update in &updates {
            match update.leaf {
                Some(leaf) => records.insert(update.hash, (update.key.clone(), leaf)),
                None => records.remove(&update.hash),
            };
        }
        let staged = trie.stage(&root, &updates).unwrap();
        let (new, replaced) = trie.adopt(staged).unwrap();
        root = new;
        trie.release(&replaced);
        assert_eq!((root.hash(), root.keys), (root_of(&records), records.len() as u64));
        assert_eq!(trie.leaves.used(), root.keys);
        assert_eq!(trie.inners.used(), root.keys.saturating_sub(1));
        for key in (0..20_000_u16).step_by(501) {
            assert_finds(&trie, &root, &records, &key.to_be_bytes());
        }
        // Writing what is there changes nothing, and so makes no node.
        let again: Vec<Update> = updates.into_iter().filter(|update| update.leaf.is_some()).collect();
        assert_eq!(trie.stage(&root, &again).unwrap().inners_hashed(), 0);
    }
    assert_eq!(root, Root::default());
}
