//! What the store's tests share: a plain model of the state, a naive tree, and a verifier that knows only ICS-23.

#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use bytes::Bytes;
use ics23::{CommitmentProof, HostFunctionsManager};
use kernel::{AppHash, Change, Changes, KeyRange, Proof, Space, StoreId, View};
use prost::Message;
use sha2::{Digest, Sha256};

pub const AUTH: StoreId = StoreId(3);
pub const BANK: StoreId = StoreId(1);
pub const MARKET: StoreId = StoreId(255);
pub const STORES: [(StoreId, &str); 3] = [(MARKET, "market"), (AUTH, "auth"), (BANK, "bank")];
pub const SCHEMA: &[u8] = b"\xfeschema";

pub type Rows = BTreeMap<(Space, Bytes), Bytes>;
pub type Hash = [u8; 32];

pub fn sha(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

/// The changes that write `writes` over `rows`.
pub fn changes(rows: &Rows, writes: impl IntoIterator<Item = (Space, Bytes, Option<Bytes>)>) -> Changes {
    let mut out = Changes::new();
    for (space, key, new) in writes {
        let old = rows.get(&(space, key.clone())).cloned();
        out.insert((space, key), Change { old, new });
    }
    out.retain(|_, change| change.old != change.new);
    out
}

pub fn apply(rows: &Rows, changes: &Changes) -> Rows {
    let mut rows = rows.clone();
    for (key, change) in changes {
        match &change.new {
            Some(value) => rows.insert(key.clone(), value.clone()),
            None => rows.remove(key),
        };
    }
    rows
}

/// The record that every store has, and one more.
pub fn genesis() -> Vec<(Space, Bytes, Option<Bytes>)> {
    let schema = |(id, name): &(StoreId, &'static str)| {
        (Space::State(*id), Bytes::from_static(SCHEMA), Some(Bytes::from_static(name.as_bytes())))
    };
    STORES.iter().map(schema).collect()
}

/// The app hash by definition: a recursive tree over all records, and the map of roots over that.
pub fn app_hash(rows: &Rows) -> AppHash {
    let mut names = STORES;
    names.sort_by_key(|(_, name)| *name);
    let entries: Vec<Vec<u8>> = names
        .iter()
        .map(|(id, name)| {
            let root = sha(&[&trie_root(rows, *id)]);
            [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), &[32], &root].concat()
        })
        .collect();
    tendermint::merkle::simple_hash_from_byte_vectors::<Sha256>(&entries)
}

fn trie_root(rows: &Rows, id: StoreId) -> Hash {
    let leaves: BTreeMap<Hash, Hash> = rows
        .iter()
        .filter(|((space, _), _)| *space == Space::State(id))
        .map(|((_, key), value)| {
            let key = sha(&[key]);
            (key, sha(&[b"underbid/leaf/1", &key, &sha(&[value])]))
        })
        .collect();
    let leaves: Vec<(Hash, Hash)> = leaves.into_iter().collect();
    if leaves.is_empty() { sha(&[b"underbid/leaf/1"]) } else { subtree(&leaves, 0) }
}

fn subtree(leaves: &[(Hash, Hash)], bit: usize) -> Hash {
    if let [(_, leaf)] = leaves {
        return *leaf;
    }
    let right = |key: &Hash| key[bit / 8] >> (7 - bit % 8) & 1 == 1;
    let (low, high): (Vec<_>, Vec<_>) = leaves.iter().partition(|(key, _)| !right(key));
    match (low.as_slice(), high.as_slice()) {
        ([], one) | (one, []) => subtree(one, bit + 1),
        (low, high) => sha(&[&subtree(low, bit + 1), &subtree(high, bit + 1)]),
    }
}

/// Whether both steps of a proof hold, from the key to the app hash.
pub fn verifies(proof: &Proof, store: &str, key: &[u8], value: Option<&[u8]>, app_hash: &AppHash) -> bool {
    let [trie, roots] = proof.ops.as_slice() else { return false };
    assert_eq!((trie.kind, roots.kind), ("ics23:underbid", "ics23:simple"));
    assert_eq!((trie.key.as_slice(), roots.key.as_slice()), (key, store.as_bytes()));
    let (trie, roots) =
        (CommitmentProof::decode(&*trie.data).unwrap(), CommitmentProof::decode(&*roots.data).unwrap());
    let Some(ics23::commitment_proof::Proof::Exist(in_roots)) = &roots.proof else { return false };
    let root = &in_roots.value;
    let in_trie = match value {
        Some(value) => {
            ics23::verify_membership::<HostFunctionsManager>(&trie, &store::proof_spec(), root, key, value)
        }
        None => ics23::verify_non_membership::<HostFunctionsManager>(&trie, &store::proof_spec(), root, key),
    };
    let in_map = ics23::verify_membership::<HostFunctionsManager>(
        &roots,
        &ics23::tendermint_spec(),
        &app_hash.to_vec(),
        store.as_bytes(),
        root,
    );
    in_trie && in_map
}

/// What a scan of plain rows gives.
pub fn plain_scan(rows: &Rows, space: Space, range: KeyRange<'_>, limit: u32) -> Vec<(Bytes, Bytes)> {
    rows.iter()
        .filter(|((other, key), _)| {
            *other == space && **key >= *range.start && range.end.is_none_or(|end| **key < *end)
        })
        .take(usize::try_from(limit).unwrap())
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect()
}

pub fn spaces() -> impl Iterator<Item = Space> {
    STORES.into_iter().flat_map(|(id, _)| [Space::State(id), Space::Derived(id)])
}

/// A view shows exactly `rows`, by scans and by reads.
pub fn assert_shows(view: &dyn View, rows: &Rows, absent: &[Bytes]) {
    for space in spaces() {
        let all = KeyRange { start: &[], end: None };
        assert_eq!(view.scan(space, all, 10_000).unwrap(), plain_scan(rows, space, all, 10_000), "{space:?}");
        for key in absent.iter().chain(rows.keys().map(|(_, key)| key)) {
            assert_eq!(
                view.get(space, key).unwrap(),
                rows.get(&(space, key.clone())).cloned(),
                "{space:?} {key:?}"
            );
        }
    }
}
