//! The application as CometBFT drives it, without CometBFT: real transactions on two replicas over real stores.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "tests"
)]

mod abci;
mod ante;
mod determinism;
mod genesis;
mod incidents;
mod market;
mod mempool;
mod node;
mod proposals;
mod queries;
mod rules;
mod tables;
