//! Changed proofs: none may prove what is not so. The input is the module, the key, the claimed value (empty: none) and the
//! two steps; the truth is the state itself.
#![no_main]

use std::sync::LazyLock;

use fuzz::{mutate, proofs, rng::Rng, world::World};
use ics23::{CommitmentProof, ExistenceProof, InnerOp, commitment_proof::Proof};
use kernel::{AppHash, Backend as _, Space, View};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use prost::Message as _;
use std::sync::Arc;
use underbid::modules::STORES;

/// The state, its hash, and real proofs of all of it and of keys beside it.
struct Truth {
    view: Arc<dyn View>,
    root: AppHash,
    proofs: Vec<Vec<Vec<u8>>>,
}

static TRUTH: LazyLock<Truth> = LazyLock::new(|| {
    let world = World::new();
    let mut proofs = Vec::new();
    for (store, key) in world.keys() {
        for key in [key.clone(), [key.as_slice(), b"x"].concat()] {
            let proof = world.stores[0].prove(None, store, &key).unwrap();
            let value = proof.value.unwrap_or_default().to_vec();
            let mut parts = vec![store.as_bytes().to_vec(), key, value];
            parts.extend(proof.ops.into_iter().map(|op| op.data));
            proofs.push(parts);
        }
    }
    let committed = world.app().committed();
    Truth { view: committed.base.state(), root: committed.app_hash, proofs }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(seed);
    let mut parts = mutate::split(&data[..size]);
    if parts.len() != 5 {
        return mutate::replace(data, size, max_size, &mutate::join(rng.pick::<Vec<Vec<u8>>>(&TRUTH.proofs)));
    }
    let part = rng.below(5);
    match rng.below(5) {
        // Of another proof: the key, the value or a whole step.
        0 => parts[part] = rng.pick(&TRUTH.proofs)[part].clone(),
        1 => {
            let length = parts[part].len();
            parts[part].resize(length + 64, 0);
            let length = fuzzer_mutate(&mut parts[part], length, length + 64);
            parts[part].truncate(length);
        }
        _ => {
            let step = 3 + usize::from(rng.one_in(3));
            let other = rng.pick(&TRUTH.proofs)[step].clone();
            if let Some(changed) = change_step(&parts[step], &other, &mut rng) {
                parts[step] = changed;
            }
        }
    }
    mutate::replace(data, size, max_size, &mutate::join(&parts))
});

fuzz_target!(init: LazyLock::force(&TRUTH), |bytes: &[u8]| {
    let parts = mutate::split(bytes);
    let [store, key, value, in_trie, in_roots] = parts.as_slice() else { return };
    let Ok(store) = std::str::from_utf8(store) else { return };
    let claimed = (!value.is_empty()).then_some(value.as_slice());
    let ops = [in_trie.clone(), in_roots.clone()];
    if !proofs::verifies(&ops, store, key, claimed, &TRUTH.root) {
        return;
    }
    let (id, _) =
        STORES.iter().find(|(_, name)| *name == store).expect("a store that is not there was proven");
    let stored = TRUTH.view.get(Space::State(*id), key).unwrap();
    assert_eq!(stored.as_deref(), claimed, "proven of {store}: {key:02x?}");
});

/// Changes the structure of a step, with pieces of another one.
fn change_step(step: &[u8], other: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let mut step = CommitmentProof::decode(step).ok()?;
    let mut pieces = existence(&mut CommitmentProof::decode(other).ok()?);
    match &mut step.proof {
        Some(Proof::Nonexist(absent)) if rng.one_in(2) => match rng.below(5) {
            0 => std::mem::swap(&mut absent.left, &mut absent.right),
            1 => absent.left = pieces.pop(),
            2 => absent.right = pieces.pop(),
            3 => absent.key = pieces.pop()?.key,
            _ => absent.left = absent.right.clone(),
        },
        Some(Proof::Exist(present)) if rng.one_in(12) => {
            let absent = ics23::NonExistenceProof {
                key: pieces.first()?.key.clone(),
                left: Some(present.clone()),
                right: pieces.pop(),
            };
            step.proof = Some(Proof::Nonexist(absent));
        }
        _ => {
            let mut proofs = existence(&mut step);
            let at = if proofs.is_empty() { return None } else { rng.below(proofs.len()) };
            change_existence(&mut proofs[at], pieces.first()?, rng);
            put_back(&mut step, proofs);
        }
    }
    Some(step.encode_to_vec())
}

fn existence(step: &mut CommitmentProof) -> Vec<ExistenceProof> {
    match &mut step.proof {
        Some(Proof::Exist(proof)) => vec![proof.clone()],
        Some(Proof::Nonexist(proof)) => proof.left.clone().into_iter().chain(proof.right.clone()).collect(),
        _ => Vec::new(),
    }
}

fn put_back(step: &mut CommitmentProof, proofs: Vec<ExistenceProof>) {
    let mut proofs = proofs.into_iter();
    match &mut step.proof {
        Some(Proof::Exist(proof)) => *proof = proofs.next().unwrap_or_default(),
        Some(Proof::Nonexist(absent)) => {
            for side in [&mut absent.left, &mut absent.right] {
                if side.is_some() {
                    *side = proofs.next();
                }
            }
        }
        _ => {}
    }
}

fn change_existence(proof: &mut ExistenceProof, other: &ExistenceProof, rng: &mut Rng) {
    let at = if proof.path.is_empty() { 0 } else { rng.below(proof.path.len()) };
    match rng.below(9) {
        0 => proof.key = other.key.clone(),
        1 => proof.value = other.value.clone(),
        2 => proof.path = other.path.clone(),
        3 if !proof.path.is_empty() => drop(proof.path.remove(at)),
        4 => proof.path.insert(at, other.path.first().cloned().unwrap_or_default()),
        5 if !proof.path.is_empty() => proof.path.swap(at, 0),
        6 => {
            if let Some(leaf) = &mut proof.leaf {
                match rng.below(4) {
                    0 => leaf.prehash_key = rng.below(5) as i32,
                    1 => leaf.prehash_value = rng.below(5) as i32,
                    2 => leaf.length = rng.below(9) as i32,
                    _ => leaf.prefix.extend_from_slice(&other.key),
                }
            }
        }
        7 => std::mem::swap(&mut proof.key, &mut proof.value),
        _ if !proof.path.is_empty() => change_inner(&mut proof.path[at], rng),
        _ => {}
    }
}

/// Moves bytes between the sides of an inner step, or changes them.
fn change_inner(step: &mut InnerOp, rng: &mut Rng) {
    match rng.below(5) {
        0 => std::mem::swap(&mut step.prefix, &mut step.suffix),
        1 => step.hash = rng.below(5) as i32,
        2 => step.suffix.extend_from_within(..),
        3 => step.prefix.extend_from_within(..),
        _ => {
            let side = if rng.one_in(2) { &mut step.prefix } else { &mut step.suffix };
            if !side.is_empty() {
                let at = rng.below(side.len());
                side[at] ^= 1 << rng.below(8);
            }
        }
    }
}
