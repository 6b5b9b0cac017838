//! A client of a node: keys, transactions and queries over CometBFT's RPC. The command line and the local net are built
//! on it; nothing here runs under consensus.
//!
//! A program that sends one message needs a [`keys::Key`], a [`chain::Client`] and [`chain::Client::send`].

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_types,
    reason = "a client may look at the clock and compute with checked inputs: its results are not consensus data"
)]

pub mod chain;
pub mod keyring;
pub mod keys;
pub mod reflect;
pub mod rpc;
pub mod tx;
