//! Underbid's node: the state machine that CometBFT drives, and the command line around it.
//!
//! The way of a transaction: [`abci`] -> [`app::App`] -> [`execute`] -> [`tx::Tx::decode`] -> [`ante`] -> [`modules::handle`] -> a
//! module's handler; then `stage` and, in Commit, the store's one synced write.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

pub mod abci;
pub mod allocator;
pub mod ante;
pub mod app;
pub mod cli;
pub mod client;
pub mod compare;
pub mod config;
pub mod execute;
pub mod genesis;
pub mod grpc;
mod listener;
pub mod mempool;
pub mod metrics;
pub mod modules;
pub mod node;
pub mod pipeline;
pub mod proposal;
mod queries;
pub mod query;
pub mod signatures;
pub mod tx;
