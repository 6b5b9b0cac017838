//! The state machine without consensus around it: real transactions on real stores, driven as CometBFT drives them.
//!
//! [`TestChain`] is what tests stand on: a block at a time, replicas that must agree, every invariant after every block.

mod chain;
mod people;
mod traffic;

pub use chain::*;
pub use people::*;
pub use traffic::*;
