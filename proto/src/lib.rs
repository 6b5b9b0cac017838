//! Every wire format of the chain, compiled from the `.proto` files of this folder. A module's path is its package:
//! `underbid.market.v1.MsgCreateBid` is [`underbid::market::v1::MsgCreateBid`], and its `prost::Name` gives the type URL.
//!
//! Nothing is checked here: a decoded message holds whatever the sender wrote. The modules parse it into their own types.

// The generated code is prost's business: no lint of a dependent workspace may stop on it.
#![allow(clippy::all, clippy::pedantic, missing_docs, rustdoc::all)]

include!(concat!(env!("OUT_DIR"), "/packages.rs"));

/// All files with their imports, comments and options, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
