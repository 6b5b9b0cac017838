//! Nets of real CometBFT nodes on one machine: to try Underbid, to test it, and to measure it.

// Time and hash maps are banned where consensus runs, which is not here.
#![allow(clippy::disallowed_types)]

pub mod bench;
pub mod net;
pub mod rpc;
