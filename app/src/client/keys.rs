//! Keys of accounts: secp256k1, derived from a BIP-39 mnemonic along the path that Cosmos wallets use.

use std::fmt;

use bip32::{DerivationPath, XPrv};
use bip39::{Language, Mnemonic};
use kernel::Address;
use rand::RngCore;
use secp256k1::{Message, PublicKey, SecretKey, ecdsa};
use sha2::{Digest, Sha256};

pub use super::keyring::{Keyring, Storage};

/// The path of the key at place `index` of a mnemonic. 118 is the coin type of Cosmos chains.
const PATH: &str = "m/44'/118'/0'/0/";
/// Bytes of randomness in a new mnemonic: 24 words.
const ENTROPY_BYTES: usize = 32;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The words are no mnemonic.
    #[error("not a BIP-39 mnemonic: {0}; expected 12, 15, 18, 21 or 24 English words")]
    Mnemonic(String),
    /// The place on the path can't be derived; the next one can.
    #[error("the key {PATH}{index} can't be derived: {why}")]
    Derivation {
        /// The last step of the path.
        index: u32,
        /// The reason.
        why: String,
    },
    /// The bytes are no private key.
    #[error("not a private key of secp256k1: expected 32 bytes in 64 hexadecimal digits, above 0 and below the order")]
    Secret,
}

/// A private key and its account.
#[derive(Clone)]
pub struct Key {
    secret: SecretKey,
    public: [u8; 33],
    address: Address,
}

impl Key {
    /// The first key of a mnemonic, at `m/44'/118'/0'/0/0`, with an empty BIP-39 passphrase.
    pub fn from_mnemonic(words: &str) -> Result<Self, Error> {
        Self::derive(words, 0)
    }

    /// The key of a mnemonic at `m/44'/118'/0'/0/<index>`.
    pub fn derive(words: &str, index: u32) -> Result<Self, Error> {
        let mnemonic =
            Mnemonic::parse_in(Language::English, words.trim()).map_err(|e| Error::Mnemonic(e.to_string()))?;
        let failed = |e: bip32::Error| Error::Derivation { index, why: e.to_string() };
        let path: DerivationPath = format!("{PATH}{index}").parse().map_err(failed)?;
        let extended = XPrv::derive_from_path(mnemonic.to_seed(""), &path).map_err(failed)?;
        Self::from_secret(extended.private_key().to_bytes().into())
    }

    /// A key from its 32 bytes.
    pub fn from_secret(secret: [u8; 32]) -> Result<Self, Error> {
        let secret = SecretKey::from_secret_bytes(secret).map_err(|_| Error::Secret)?;
        let public = PublicKey::from_secret_key(&secret).serialize();
        Ok(Self { secret, public, address: address_of(&public)? })
    }

    /// A key from 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Self, Error> {
        let mut secret = [0; 32];
        hex::decode_to_slice(text.trim(), &mut secret).map_err(|_| Error::Secret)?;
        Self::from_secret(secret)
    }

    /// The 32 bytes that own the account.
    pub fn secret(&self) -> [u8; 32] {
        self.secret.to_secret_bytes()
    }

    /// The compressed public key.
    pub fn public_key(&self) -> [u8; 33] {
        self.public
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The signature of `message`: ECDSA over its SHA-256, r and s in 64 bytes, s in the lower half, the nonce by RFC 6979.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let digest: [u8; 32] = Sha256::digest(message).into();
        ecdsa::sign(Message::from_digest(digest), &self.secret).serialize_compact()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.address)
    }
}

/// The account of a compressed public key: RIPEMD-160 of its SHA-256.
fn address_of(public_key: &[u8; 33]) -> Result<Address, Error> {
    let key = tendermint::PublicKey::from_raw_secp256k1(public_key).ok_or(Error::Secret)?;
    Address::from_bytes(tendermint::account::Id::from(key).as_bytes()).map_err(|_| Error::Secret)
}

/// 24 new English words.
pub fn new_mnemonic() -> Result<String, Error> {
    let mut entropy = [0; ENTROPY_BYTES];
    rand::rng().fill_bytes(&mut entropy);
    let mnemonic = Mnemonic::from_entropy(&entropy).map_err(|e| Error::Mnemonic(e.to_string()))?;
    Ok(mnemonic.to_string())
}
