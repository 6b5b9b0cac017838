//! Nets of real CometBFT nodes on one machine: to try Underbid, to test it, and to measure it.

pub mod bench;
pub mod demo;
pub mod faults;
pub mod grammar;
pub mod net;

use underbid::client::keys::{Error, Key};

/// The `number`th key of a family: the same in every run, and of nobody else.
pub(crate) fn numbered_key(family: u8, number: usize) -> Result<Key, Error> {
    let mut secret = [family; 32];
    secret[24..].copy_from_slice(&u64::try_from(number).unwrap_or_default().to_be_bytes());
    Key::from_secret(secret)
}
