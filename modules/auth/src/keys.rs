//! Public keys: their wire form, their stored form, and the addresses that they stand for.

use kernel::{Address, Reject};
use prost::{Message as _, Name as _};
use prost_types::Any;
use proto::cosmos::crypto::{ed25519, secp256k1};
use ripemd::Ripemd160;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::pb::Base64;

kernel::one_of! {
    /// The key that speaks for an account.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(try_from = "GenesisKey", into = "GenesisKey")]
    pub enum PublicKey {
        /// A compressed point on secp256k1: the key of people's wallets.
        Secp256k1([u8; 33]) = 1,
        /// An Ed25519 key, for bots.
        Ed25519([u8; 32]) = 2,
    }
}

impl PublicKey {
    /// Reads the key of a signer: a type URL of `cosmos.crypto` and the encoded message, in its canonical form.
    pub fn from_any(type_url: &str, bytes: &[u8]) -> Result<Self, Reject> {
        let name = type_url.strip_prefix('/').unwrap_or_default();
        if name == secp256k1::PubKey::full_name() {
            let key = kernel::module::canonical::<secp256k1::PubKey>(bytes)?.key;
            return Self::secp256k1(&key);
        }
        if name == ed25519::PubKey::full_name() {
            let key = kernel::module::canonical::<ed25519::PubKey>(bytes)?.key;
            return Self::ed25519(&key);
        }
        let shown = kernel::excerpt(type_url);
        Err(invalid(format!(
            "expected a key of /cosmos.crypto.secp256k1.PubKey or ed25519.PubKey, got {shown:?}"
        )))
    }

    /// The key as clients see it.
    pub fn to_any(&self) -> Any {
        let (type_url, value) = match self {
            Self::Secp256k1(key) => {
                let message = secp256k1::PubKey { key: key.to_vec() };
                (secp256k1::PubKey::type_url(), message.encode_to_vec())
            }
            Self::Ed25519(key) => {
                let message = ed25519::PubKey { key: key.to_vec() };
                (ed25519::PubKey::type_url(), message.encode_to_vec())
            }
        };
        Any { type_url, value }
    }

    /// The address that the key speaks for: RIPEMD-160 of SHA-256 of a secp256k1 key, the first 20 bytes of SHA-256 of
    /// an Ed25519 key, as on every Cosmos chain.
    pub fn address(&self) -> Address {
        match self {
            Self::Secp256k1(key) => Address(Ripemd160::digest(Sha256::digest(key)).into()),
            Self::Ed25519(key) => {
                let hash: [u8; 32] = Sha256::digest(key).into();
                let mut bytes = [0; 20];
                for (to, from) in bytes.iter_mut().zip(hash) {
                    *to = from;
                }
                Address(bytes)
            }
        }
    }

    /// A compressed point from its 33 bytes. Whether it lies on the curve shows when a signature is checked.
    pub fn secp256k1(bytes: &[u8]) -> Result<Self, Reject> {
        match <[u8; 33]>::try_from(bytes) {
            Ok(key @ [2 | 3, ..]) => Ok(Self::Secp256k1(key)),
            _ => Err(invalid("expected a compressed secp256k1 key: 33 bytes that start with 02 or 03")),
        }
    }

    /// An Ed25519 key from its 32 bytes.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, Reject> {
        let key = bytes.try_into().map_err(|_| invalid("expected an Ed25519 key of 32 bytes"))?;
        Ok(Self::Ed25519(key))
    }
}

/// A malformed or unsupported key (sdk 8).
fn invalid(message: impl Into<String>) -> Reject {
    Reject::new(Reject::SDK, 8, format!("{}: invalid pubkey", message.into()))
}

/// A key in the genesis document, as Cosmos writes it: `{"@type": "/cosmos.crypto.secp256k1.PubKey", "key": "<base64>"}`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "@type", deny_unknown_fields)]
enum GenesisKey {
    #[serde(rename = "/cosmos.crypto.secp256k1.PubKey")]
    Secp256k1 { key: Base64 },
    #[serde(rename = "/cosmos.crypto.ed25519.PubKey")]
    Ed25519 { key: Base64 },
}

impl From<PublicKey> for GenesisKey {
    fn from(key: PublicKey) -> Self {
        match key {
            PublicKey::Secp256k1(key) => Self::Secp256k1 { key: Base64(key.to_vec()) },
            PublicKey::Ed25519(key) => Self::Ed25519 { key: Base64(key.to_vec()) },
        }
    }
}

impl TryFrom<GenesisKey> for PublicKey {
    type Error = Reject;
    fn try_from(key: GenesisKey) -> Result<Self, Reject> {
        match key {
            GenesisKey::Secp256k1 { key } => Self::secp256k1(&key.0),
            GenesisKey::Ed25519 { key } => Self::ed25519(&key.0),
        }
    }
}
