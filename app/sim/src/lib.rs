//! The state machine without consensus around it: real transactions on real stores, driven as CometBFT drives them.
//!
//! - [`TestChain`] is what tests stand on: a block at a time, replicas that must agree, every invariant after every block.
//! - [`simulate`] makes whole histories of one seed each and checks them at every block. Who wants to watch them implements
//!   [`Observer`] and is added in `simulate::observers`.

pub mod attack;
mod chain;
mod ledger;
mod observer;
mod opinion;
mod people;
mod seeds;
pub mod simulate;
mod traffic;

pub use chain::*;
pub use ledger::Ledger;
pub use observer::Observer;
pub use opinion::Opinion;
pub use people::*;
pub use traffic::*;
