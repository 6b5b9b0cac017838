//! What stands between people or programs and the application: gRPC with a stock client, the command line against a node,
//! and over homes that nodes left behind.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_types,
    reason = "tests"
)]

mod grpc;
mod homes;
mod node;
mod tx;
