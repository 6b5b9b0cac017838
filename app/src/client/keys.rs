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
    #[error(
        "not a private key of secp256k1: expected 32 bytes in 64 hexadecimal digits, above 0 and below the order"
    )]
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
        let mnemonic = Mnemonic::parse_in(Language::English, words.trim())
            .map_err(|e| Error::Mnemonic(e.to_string()))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Mnemonics of the BIP-39 test vectors, the private key at m/44'/118'/0'/0/0 and the 20 bytes of the address, computed
    /// apart from this program. The first is `cosmos19rl4cm2hmr8afy4kldpxz3fka4jguq0auqdal4` in every Cosmos wallet.
    const VECTORS: [(&str, &str, &str); 3] = [
        (
            "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
            "c4a48e2fce1481cd3294b4490f6678090ea98d3d0e5cd984558ab0968741b104",
            "28ff5c6d57d8cfd492b6fb42614536ed648e01fd",
        ),
        (
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
            "e0aff28c65d3d0dc3836e890414b99758a0a166291bdacd880cb1ca8a1a0e6bc",
            "eb104bfbc4c4ca5f4bb5a02803c20721763aaab2",
        ),
        (
            "zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo zoo vote",
            "a7bb0633b951bbbb2ae43f15ac3e57fa0c83e2b6a45fccb5aa6dc5642d9d031a",
            "b7ded9bc6b75abab9458df44420c7c5f5457e077",
        ),
    ];

    #[test]
    fn a_mnemonic_gives_the_account_of_every_cosmos_wallet() {
        for (words, secret, address) in VECTORS {
            let key = Key::from_mnemonic(words).unwrap();
            assert_eq!(hex::encode(key.secret()), secret, "{words}");
            assert_eq!(hex::encode(key.address().0), address, "{words}");
        }
        let key = Key::from_mnemonic(&format!(" {}\n", VECTORS[0].0)).unwrap();
        assert_eq!(key.address().to_string(), "underbid19rl4cm2hmr8afy4kldpxz3fka4jguq0aa2nt8c");
    }

    #[test]
    fn keys_and_signatures_are_those_of_the_library_that_wallets_use() {
        let path: cosmrs::bip32::DerivationPath = "m/44'/118'/0'/0/7".parse().unwrap();
        for (words, ..) in VECTORS {
            let ours = Key::derive(words, 7).unwrap();
            let seed = Mnemonic::parse(words).unwrap().to_seed("");
            let theirs = cosmrs::crypto::secp256k1::SigningKey::derive_from_path(seed, &path).unwrap();
            assert_eq!(theirs.public_key().to_bytes(), ours.public_key());
            for message in [&b""[..], b"a message", &[0xff; 300]] {
                assert_eq!(theirs.sign(message).unwrap().to_vec(), ours.sign(message));
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let no_checksum = VECTORS[0].0.replace("about", "abandon");
        for words in ["", "abandon", "hello world", &no_checksum, &"abandon ".repeat(1000)] {
            assert!(matches!(Key::from_mnemonic(words), Err(Error::Mnemonic(_))), "{words}");
        }
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for secret in ["", "00", &"0".repeat(64), order, &"g".repeat(64), &"1".repeat(66)] {
            assert!(matches!(Key::from_hex(secret), Err(Error::Secret)), "{secret}");
        }
    }

    #[test]
    fn a_new_mnemonic_recovers_its_key_and_is_unlike_the_last() {
        let (first, second) = (new_mnemonic().unwrap(), new_mnemonic().unwrap());
        assert_eq!(first.split(' ').count(), 24);
        assert_ne!(first, second);
        assert_eq!(
            Key::from_mnemonic(&first).unwrap().secret(),
            Key::from_mnemonic(&first).unwrap().secret()
        );
    }
}
