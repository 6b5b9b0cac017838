//! Signature checks: they decide one by one, and one that was checked is remembered.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use auth::PublicKey;
use sha2::{Digest as _, Sha256};

use crate::tx::{Signer, Tx};

/// How many transactions are remembered, in each of two generations.
const REMEMBERED_MAX: usize = 100_000;

/// Checks one signature over some bytes. secp256k1: ECDSA over SHA-256, 64 bytes, low s only; ed25519: the strict rule.
pub fn verify(key: &PublicKey, bytes: &[u8], signature: &[u8]) -> bool {
    match key {
        PublicKey::Secp256k1(key) => verify_secp256k1(key, bytes, signature),
        PublicKey::Ed25519(key) => verify_ed25519(key, bytes, signature),
    }
}

fn verify_secp256k1(key: &[u8; 33], bytes: &[u8], signature: &[u8]) -> bool {
    let Ok(compact) = <[u8; 64]>::try_from(signature) else { return false };
    let Ok(signature) = secp256k1::ecdsa::Signature::from_compact(&compact) else { return false };
    let Ok(key) = secp256k1::PublicKey::from_slice(key) else { return false };
    let message = secp256k1::Message::from_digest(Sha256::digest(bytes).into());
    secp256k1::ecdsa::verify(&signature, message, &key).is_ok()
}

fn verify_ed25519(key: &[u8; 32], bytes: &[u8], signature: &[u8]) -> bool {
    let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
    let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(key) else { return false };
    key.verify_strict(bytes, &signature).is_ok()
}

/// What a signer's signature was checked against: an account number and a key. If the state says the same when the
/// transaction is executed, the check stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The account's number in the sign doc.
    pub account_number: u64,
    /// The key.
    pub key: PublicKey,
}

/// A transaction whose signatures were checked before its block is executed.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What they were checked against.
    pub facts: Vec<Facts>,
    /// Whether all of them are good.
    pub good: bool,
}

/// What was checked: the younger half, and the older one that is forgotten next.
#[derive(Default)]
struct Generations {
    young: BTreeSet<[u8; 32]>,
    old: BTreeSet<[u8; 32]>,
}

/// Remembers the transactions whose signatures were found good, with the facts they were checked against.
#[derive(Default)]
pub struct SignatureCache {
    generations: Mutex<Generations>,
    checks: AtomicU64,
}

impl SignatureCache {
    /// How many signatures were checked since the start.
    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }

    /// Whether all signatures of a transaction are good for these facts; asks what is known of it first.
    pub fn check(&self, tx: &Tx, facts: &[Facts], chain_id: &str) -> bool {
        match &tx.checked {
            Some(checked) if checked.facts == facts => checked.good,
            _ => self.remembers(&identity(tx, facts)) || self.check_all(tx, facts, chain_id),
        }
    }

    /// The same, and a yes is remembered: the transaction will come again, in a block.
    pub fn check_and_remember(&self, tx: &Tx, facts: &[Facts], chain_id: &str) -> bool {
        let id = identity(tx, facts);
        if self.remembers(&id) {
            return true;
        }
        let good = self.check_all(tx, facts, chain_id);
        if good {
            self.remember(id);
        }
        good
    }

    fn check_all(&self, tx: &Tx, facts: &[Facts], chain_id: &str) -> bool {
        tx.signers.len() == facts.len()
            && tx.signers.iter().zip(facts).all(|(signer, facts)| self.check_one(tx, signer, facts, chain_id))
    }

    fn check_one(&self, tx: &Tx, signer: &Signer, facts: &Facts, chain_id: &str) -> bool {
        self.checks.fetch_add(1, Ordering::Relaxed);
        verify(&facts.key, &tx.sign_bytes(chain_id, facts.account_number), &signer.signature)
    }

    fn remembers(&self, id: &[u8; 32]) -> bool {
        let generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.contains(id) || generations.old.contains(id)
    }

    fn remember(&self, id: [u8; 32]) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if generations.young.len() >= REMEMBERED_MAX {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(id);
    }
}

/// A transaction's bytes and the facts its signatures were checked against, as one hash.
fn identity(tx: &Tx, facts: &[Facts]) -> [u8; 32] {
    let mut hasher = Sha256::new().chain_update(tx.hash);
    for fact in facts {
        hasher.update(fact.account_number.to_be_bytes());
        let (kind, key): (u8, &[u8]) = match &fact.key {
            PublicKey::Secp256k1(key) => (0, key),
            PublicKey::Ed25519(key) => (1, key),
        };
        hasher.update([kind]);
        hasher.update(key);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> [u8; 32] {
        Sha256::digest(number.to_be_bytes()).into()
    }

    #[test]
    fn what_was_checked_is_forgotten_by_generations() {
        let cache = SignatureCache::default();
        let remember =
            |numbers: std::ops::Range<usize>| numbers.for_each(|number| cache.remember(id(number)));
        let held = || {
            let generations = cache.generations.lock().unwrap();
            generations.young.len() + generations.old.len()
        };
        remember(0..REMEMBERED_MAX);
        assert!(cache.remembers(&id(0)) && cache.remembers(&id(REMEMBERED_MAX - 1)));
        // The next one begins a generation; the one before is still remembered.
        remember(REMEMBERED_MAX..2 * REMEMBERED_MAX);
        assert!(cache.remembers(&id(0)) && cache.remembers(&id(2 * REMEMBERED_MAX - 1)));
        assert_eq!(held(), 2 * REMEMBERED_MAX, "memory has a bound");
        remember(2 * REMEMBERED_MAX..2 * REMEMBERED_MAX + 1);
        assert!(!cache.remembers(&id(0)) && !cache.remembers(&id(REMEMBERED_MAX - 1)));
        assert!(cache.remembers(&id(REMEMBERED_MAX)) && cache.remembers(&id(2 * REMEMBERED_MAX)));
        assert_eq!(held(), REMEMBERED_MAX + 1);
    }
}
