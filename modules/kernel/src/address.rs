//! An account's address: 20 bytes, written in bech32 with the chain's prefix.

use std::{cell::RefCell, fmt, sync::OnceLock};

use bech32::{Bech32, Hrp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::error::{Reject, excerpt};

/// The prefix of a network that does not choose its own.
pub const DEFAULT_PREFIX: &str = "underbid";

/// The longest prefix: with the separator, 32 characters of bytes and 6 of a checksum an address has at most 90.
const PREFIX_BYTES_MAX: usize = 51;

static PREFIX: OnceLock<Hrp> = OnceLock::new();

/// Sets the prefix of this process's chain, once, before the first address is read. A second call with the same prefix
/// is allowed, another one is refused: one process serves one chain.
pub fn set_prefix(prefix: &str) -> Result<(), Reject> {
    let refused =
        |why: String| Reject::invalid_request(format!("{:?} is not a bech32 prefix: {why}", excerpt(prefix)));
    let hrp = Hrp::parse(prefix).map_err(|e| refused(e.to_string()))?;
    // Prefixes that differ by case alone are equal to bech32, but not to who compares texts.
    if prefix.len() > PREFIX_BYTES_MAX || prefix.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(refused(format!(
            "expected the lower-case form, of at most {PREFIX_BYTES_MAX} characters"
        )));
    }
    if *PREFIX.get_or_init(|| hrp) == hrp {
        return Ok(());
    }
    Err(Reject::invalid_request(format!(
        "this process already serves a chain with the prefix {:?}",
        prefix_of()
    )))
}

/// The prefix in force.
pub fn prefix_of() -> String {
    hrp().to_string()
}

fn hrp() -> Hrp {
    *PREFIX.get_or_init(|| Hrp::parse_unchecked(DEFAULT_PREFIX))
}

/// The address of an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// The address of a module's own account: the first 20 bytes of SHA-256 of its name, as in the Cosmos SDK. Nobody
    /// has a key for it.
    pub fn of_module(name: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        let mut bytes = [0; 20];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = from;
        }
        Self(bytes)
    }

    /// Reads a bech32 address with the chain's prefix.
    pub fn parse(text: &str) -> Result<Self, Reject> {
        let bad =
            |why: String| Reject::invalid_address(format!("invalid address {:?}: {why}", excerpt(text)));
        if text.len() > 90 {
            return Err(bad("longer than 90 characters".into()));
        }
        let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32>(text)
            .map_err(|e| bad(format!("not bech32: {e}")))?;
        if checked.hrp() != hrp() {
            return Err(bad(format!("expected the prefix {}, got {}", hrp(), checked.hrp())));
        }
        let mut bytes = [0; 20];
        let mut data = checked.byte_iter();
        if data.len() != bytes.len() {
            return Err(bad(format!("expected 20 bytes, got {}", data.len())));
        }
        for (to, from) in bytes.iter_mut().zip(&mut data) {
            *to = from;
        }
        // The prefix, 32 characters for 160 bits and the checksum leave no other choice than the case.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(bad("expected the lower-case form".into()));
        }
        Ok(Self(bytes))
    }

    /// An address from its 20 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Reject> {
        <[u8; 20]>::try_from(bytes)
            .map(Self)
            .map_err(|_| Reject::invalid_address(format!("expected 20 bytes, got {}", bytes.len())))
    }
}

/// Texts that a thread keeps: the events of a transaction name the same few accounts again and again.
const TEXTS: usize = 32;

thread_local! {
    static KNOWN: RefCell<[Option<(Address, String)>; TEXTS]> = const { RefCell::new([const { None }; TEXTS]) };
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, ..] = self.0;
        KNOWN.with_borrow_mut(|known| {
            let place = known.get_mut(usize::from(first) % TEXTS).ok_or(fmt::Error)?;
            let (address, mut text) = place.take().unwrap_or((*self, String::new()));
            if text.is_empty() || address != *self {
                text.clear();
                bech32::encode_lower_to_fmt::<Bech32, _>(&mut text, hrp(), &self.0)
                    .map_err(|_| fmt::Error)?;
            }
            let (_, text) = place.insert((*self, text));
            f.write_str(text)
        })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_what_it_prints_and_nothing_else() {
        let address = Address([7; 20]);
        let text = address.to_string();
        assert!(text.starts_with("underbid1"));
        assert_eq!(Address::parse(&text), Ok(address));
        let mut flipped = text.clone().into_bytes();
        flipped[12] = if flipped[12] == b'q' { b'p' } else { b'q' };
        for bad in [
            "".to_string(),
            text.to_uppercase(),
            String::from_utf8(flipped).unwrap(),
            "cosmos1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqnrql8a".to_string(),
            format!("{text}q"),
            "x".repeat(1 << 20),
        ] {
            let error = Address::parse(&bad).unwrap_err();
            assert_eq!((error.codespace, error.code), ("sdk", 7));
            assert!(error.message.len() < 400);
        }
    }

    #[test]
    fn a_prefix_has_one_form_that_leaves_room_for_an_address() {
        set_prefix(DEFAULT_PREFIX).unwrap();
        let long = "x".repeat(PREFIX_BYTES_MAX + 1);
        for bad in ["UNDERBID", "Underbid", &long] {
            let error = set_prefix(bad).unwrap_err();
            assert!(error.message.contains("is not a bech32 prefix: "), "{}", error.message);
        }
        // One that could be a chain's, though not of this process.
        let error = set_prefix(long.strip_prefix("x").unwrap()).unwrap_err();
        assert!(error.message.contains("already serves a chain"), "{}", error.message);
        let hrp = Hrp::parse(long.strip_prefix("x").unwrap()).unwrap();
        assert_eq!(bech32::encode_lower::<Bech32>(hrp, &[7; 20]).unwrap().len(), 90);
    }

    #[test]
    fn accounts_that_share_a_place_keep_their_own_texts() {
        let pair = [Address([1; 20]), Address([1 + u8::try_from(TEXTS).unwrap(); 20])];
        for _ in 0..2 {
            for address in pair {
                assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
