//! Who takes part in a history, with the keys made once.

use std::{collections::BTreeMap, sync::OnceLock};

use ed25519_dalek::Signer as _;
use kernel::Address;
use prost_types::Any;
use proto::cosmos::crypto::{ed25519, secp256k1};
use underbid::client::{keys::Key, tx::any};

use crate::people;

/// Who asks for machines.
pub const TENANTS: [&str; 5] = ["tom", "tim", "ada", "ivy", "bot"];
/// Who may be a provider.
pub const OWNERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "fay"];
/// Who may act for one.
pub const OPERATORS: [&str; 4] = ["oda", "ole", "oto", "oz"];
/// Who may change parameters.
pub const AUTHORITY: &str = "council";
/// Who is neither, and tries everything.
pub const STRANGER: &str = "eve";
/// Who can pay a fee or two and nothing else.
pub const POOR: &str = "poor";
/// Whose account comes to be in the history, if somebody sends them money.
pub const NEWCOMERS: [&str; 3] = ["new-1", "new-2", "new-3"];

/// A member of the cast.
pub struct Person {
    secret: Secret,
    /// The address.
    pub address: Address,
    /// The address as text.
    pub text: String,
    /// The public key, as a transaction carries it.
    pub key: Any,
}

enum Secret {
    Secp256k1(Key),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl Person {
    /// Signs.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Secp256k1(key) => key.sign(bytes).to_vec(),
            Secret::Ed25519(key) => key.sign(bytes).to_vec(),
        }
    }

    fn of(name: &str) -> Self {
        let address = people::address(name);
        let (secret, key) = if name == "bot" {
            let key = people::bot().verifying_key().as_bytes().to_vec();
            (Secret::Ed25519(Box::new(people::bot())), any(&ed25519::PubKey { key }))
        } else {
            let secret = people::key(name);
            let key = any(&secp256k1::PubKey { key: secret.public_key().to_vec() });
            (Secret::Secp256k1(secret), key)
        };
        Self { secret, address, text: address.to_string(), key }
    }
}

/// Those who have an account and money in the genesis document.
pub fn founders() -> impl Iterator<Item = &'static str> {
    TENANTS.into_iter().chain(OWNERS).chain(OPERATORS).chain([AUTHORITY, STRANGER, POOR])
}

/// Everybody.
pub fn everybody() -> impl Iterator<Item = &'static str> {
    founders().chain(NEWCOMERS)
}

/// A member of the cast.
pub fn person(name: &str) -> &'static Person {
    static CAST: OnceLock<BTreeMap<&'static str, Person>> = OnceLock::new();
    let cast = CAST.get_or_init(|| everybody().map(|name| (name, Person::of(name))).collect());
    cast.get(name).unwrap_or_else(|| panic!("nobody is called {name}"))
}

/// Who has this address; the stranger if nobody does.
pub fn name_of(address: &Address) -> &'static str {
    everybody().find(|name| person(name).address == *address).unwrap_or(STRANGER)
}
