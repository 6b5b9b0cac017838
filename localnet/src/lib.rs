//! Nets of real CometBFT nodes on one machine: to try Underbid, to test it, and to measure it.

pub mod bench;
pub mod demo;
pub mod faults;
pub mod grammar;
pub mod net;
