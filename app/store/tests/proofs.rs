//! What a light client may believe, and what it must not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod support;

use bytes::Bytes;
use ics23::{CommitmentProof, commitment_proof::Proof as Kind};
use kernel::{Backend, HeightError, Proof, Space};
use prost::Message;
use store::MemoryBackend;
use support::*;

fn key(number: u32) -> Bytes {
    [[1].as_slice(), &number.to_be_bytes()].concat().into()
}

/// The schema records and `keys` records of bank.
fn backend(keys: u32) -> (MemoryBackend, Rows) {
    let records =
        (0..keys).map(|n| (Space::State(BANK), key(n), Some(Bytes::from(n.to_be_bytes().to_vec()))));
    let changes = changes(&Rows::new(), genesis().into_iter().chain(records));
    let rows = apply(&Rows::new(), &changes);
    let backend = MemoryBackend::new(&STORES);
    let staged = backend.stage(&*backend.view(None).unwrap(), changes).unwrap();
    backend.commit(staged, 1).unwrap();
    (backend, rows)
}

#[test]
fn presence_and_absence_verify_at_every_size() {
    for size in [0, 1, 2, 3, 7, 40, 300] {
        let (backend, rows) = backend(size);
        let hash = app_hash(&rows);
        for number in 0..size + 20 {
            let proof = backend.prove(None, "bank", &key(number)).unwrap();
            let value = number.to_be_bytes();
            let value = (number < size).then_some(value.as_slice());
            assert_eq!((proof.height, proof.value.as_deref()), (1, value));
            assert!(verifies(&proof, "bank", &key(number), value, &hash), "{number} of {size}");
        }
        // A trie of a single record proves that it has no other.
        let proof = backend.prove(None, "auth", b"x").unwrap();
        assert!(verifies(&proof, "auth", b"x", None, &hash));
    }
}

fn change_trie_step(proof: &Proof, change: impl FnOnce(&mut Kind)) -> Proof {
    let mut step = CommitmentProof::decode(&*proof.ops[0].data).unwrap();
    change(step.proof.as_mut().unwrap());
    let mut proof = proof.clone();
    proof.ops[0].data = step.encode_to_vec();
    proof
}

#[test]
fn what_is_tampered_with_does_not_verify() {
    let (backend, rows) = backend(100);
    let hash = app_hash(&rows);
    let there = backend.prove(None, "bank", &key(5)).unwrap();
    let value = 5_u32.to_be_bytes();
    assert!(verifies(&there, "bank", &key(5), Some(&value), &hash));
    assert!(!verifies(&there, "bank", &key(5), Some(b"more"), &hash), "another value");
    let forged = change_trie_step(&there, |kind| {
        let Kind::Exist(proof) = kind else { return };
        proof.value = b"more".to_vec();
    });
    assert!(!verifies(&forged, "bank", &key(5), Some(b"more"), &hash), "another value in the proof as well");
    let mut moved = there.clone();
    moved.ops[0].key = key(6).to_vec();
    assert!(!verifies(&moved, "bank", &key(6), Some(&value), &hash), "another key");
    assert!(!verifies(&there, "bank", &key(5), Some(&value), &[1; 32]), "another app hash");
    assert!(!verifies(&there, "bank", &key(5), None, &hash), "presence is not absence");
    let mut other_module = there.clone();
    other_module.ops[1] = backend.prove(None, "auth", SCHEMA).unwrap().ops[1].clone();
    assert!(!verifies(&other_module, "auth", &key(5), Some(&value), &hash), "another module's root");
}

#[test]
fn absence_can_not_be_forged() {
    let (backend, rows) = backend(100);
    let hash = app_hash(&rows);
    let gone = backend.prove(None, "bank", &key(1_000)).unwrap();
    assert!(verifies(&gone, "bank", &key(1_000), None, &hash));
    assert!(!verifies(&gone, "bank", &key(1_000), Some(b"x"), &hash), "absence is not presence");
    // The neighbours of an absent key say nothing about a key that is there, or that lies elsewhere.
    for number in (0..100).chain(2_000..2_050) {
        let mut about = gone.clone();
        about.ops[0].key = key(number).to_vec();
        let between = backend.prove(None, "bank", &key(number)).unwrap();
        assert!(
            between.ops[0].data == gone.ops[0].data || !verifies(&about, "bank", &key(number), None, &hash)
        );
    }
    // One neighbour alone claims to be the outermost leaf.
    for side in [true, false] {
        let half = change_trie_step(&gone, |kind| {
            let Kind::Nonexist(proof) = kind else { return };
            if side { proof.left = None } else { proof.right = None }
        });
        assert!(!verifies(&half, "bank", &key(1_000), None, &hash));
    }
}

#[test]
fn what_can_not_be_proven_says_why() {
    let (backend, _) = backend(3);
    assert_eq!(backend.prove(None, "nobank", b"x"), Err(HeightError::UnknownStore("nobank".into())));
    let outside = |asked| HeightError::OutOfWindow { asked, oldest: 1, latest: 1 };
    assert_eq!(backend.prove(Some(2), "bank", b"x"), Err(outside(2)));
    assert_eq!(backend.prove(Some(0), "bank", b"x"), Err(outside(0)));
    let empty = MemoryBackend::new(&STORES);
    assert!(
        matches!(empty.prove(None, "bank", b"x"), Err(HeightError::Fatal(_))),
        "no record is next to an absent one"
    );
}

#[test]
fn empty_tries_have_a_root() {
    let backend = MemoryBackend::new(&STORES);
    let view = backend.view(None).unwrap();
    assert_eq!((view.height(), backend.last()), (0, None));
    let staged = backend.stage(&*view, kernel::Changes::new()).unwrap();
    assert_eq!(staged.app_hash, app_hash(&Rows::new()));
}

/// The work of a block is that of its changes, not that of the state.
#[test]
fn hashing_is_proportional_to_the_changes() {
    let keys = 4_096_u32;
    let (backend, rows) = backend(keys);
    for count in [1_u32, 16, 256] {
        let writes = (0..count).map(|n| (Space::State(BANK), key(n * 7), Some(Bytes::from_static(b"new"))));
        let staged = backend.stage(&*backend.view(None).unwrap(), changes(&rows, writes)).unwrap();
        let hashed = store::nodes_hashed(&staged).unwrap();
        // A random tree of n leaves is about log2(n) deep on average, and at most some levels more.
        let paths = u64::from(count) * u64::from(keys.ilog2() + 12 - count.ilog2()) + 2 * u64::from(count);
        assert!(
            hashed > u64::from(count) && hashed <= paths,
            "{count} changes hash {hashed} nodes, bound {paths}"
        );
    }
}
