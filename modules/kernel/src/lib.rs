//! The kernel: what every module of the chain stands on. It knows no token and no market.
//!
//! Read in this order: [`ctx`] (the one context), [`table`] and [`indexed`] (records), [`queue`] (deadlines), [`codec`] (bytes),
//! [`module`] (what a module is), [`chain`] (the kernel's own records), [`backend`] (the store's seam).
//!
//! Invariants: a value has one encoding; a derived entry exists only by its record; nothing here reads a clock, and no
//! operation wraps but the sum of the derived digest, which is one modulo 2^256.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

pub mod address;
pub mod authority;
pub mod backend;
pub mod chain;
pub mod codec;
pub mod ctx;
pub mod error;
pub mod event;
pub mod gas;
mod heads;
pub mod indexed;
pub mod json;
pub mod key;
pub mod module;
pub mod num;
mod overlay;
pub mod query;
pub mod queue;
pub mod table;
pub mod time;

pub use address::Address;
pub use authority::Authorized;
pub use backend::{
    AppHash, Backend, Change, Changes, HeightError, KeyRange, Proof, ProofOp, Space, Staged, StoreId, View,
};
pub use codec::{Field, Fields, Record};
pub use ctx::{Ctx, Finished, Mode};
pub use error::{Error, Fatal, Overflow, Reject, Result, Status, StatusCode, excerpt};
pub use event::{AbciEvent, Event, EventBytes};
pub use gas::{Cost, Counters};
pub use heads::Heads;
pub use indexed::{Derived, DerivedSink, Due, Hold, Indexed, IndexedMap, entries_of};
pub use key::{Key, KeyBuf};
pub use module::{Broken, Depth, Message, Module, Reply, Signers};
pub use num::{Amount, Dec, E18, ONE_PPM};
pub use query::{QueryFn, Route};
pub use queue::{Drained, DueQueue};
pub use table::{Item, Map, Page};
pub use time::{At, Billing, Block, Header, Height};
