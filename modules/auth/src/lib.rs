//! Accounts: who there is, which key speaks for it, which transaction of it comes next, and what a unit of gas costs.
//!
//! An account comes to be when money first reaches its address, and never goes. It has a number, part of what is signed,
//! so a signature is for one chain and one account. Its key is recorded by its first transaction. A module account has
//! no key: only its module moves its money.
//!
//! A transaction is used once. An ordered one carries the account's `sequence`, which then grows by one. An unordered one
//! carries a timeout instead, and (account, timeout) stays on record until then.
//!
//! ```text
//! unordered:  claim ──> recorded ──(header time passes the timeout)──> gone
//! fee base:   after each block up to 1/8 up or down, towards half of `max_block_gas`, between floor and ceiling
//! ```
//!
//! There are no messages. Who signs, and whether the signature is good, is the app's to check.
//!
//! Invariants
//! - A1: no two accounts have the same number, and each is below the next one to be given.
//! - A2: an account's `unordered_live` is the number of its unordered records, at most `unordered_live_max`.
//! - A3: an account is a module's if and only if its name is listed; it then has the name's address and no key.
//! - A4: an account's key has the account's address.
//! - A5: the queues' entries are those that the records give.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

pub mod block;
mod errors;
pub mod fees;
mod genesis;
mod invariants;
mod keys;
mod msgs;
mod params;
mod pb;
pub mod queries;
mod state;
mod types;
pub mod unordered;

#[cfg(test)]
mod tests;

use kernel::{Authorized, Broken, Ctx, Depth, DerivedSink, Fatal, Module, Reply, Result, StoreId, View};

pub use errors::Error;
pub use genesis::{Claim, Genesis, GenesisAccount, GenesisModuleAccount};
pub use keys::PublicKey;
pub use msgs::Msg;
pub use params::{FeeParams, Params, SIGNATURES_MAX, TX_BYTES_MAX, params};
pub use state::{create_module_account, ensure, get, is_module_account, set};
pub use types::Account;

/// The module.
pub struct Auth;

impl Module for Auth {
    const NAME: &'static str = "auth";
    const STORE: StoreId = StoreId(1);
    const SCHEMA: u32 = 1;
    type Msg = Msg;
    type Genesis = Genesis;

    fn init_genesis(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
        genesis::init(ctx, genesis)
    }
    fn export_genesis(ctx: &Ctx) -> Result<Genesis> {
        genesis::export(ctx)
    }
    fn handle(_: &mut Ctx, msg: Authorized<Msg>) -> Result<Reply> {
        match *msg {}
    }
    fn migrate(_: &mut Ctx, _: u32) -> Result<(), Fatal> {
        Ok(())
    }
    fn rebuild(view: &dyn View, out: &mut DerivedSink) -> Result<(), Fatal> {
        state::UNORDERED.rebuild(view, out)
    }
    fn invariants(ctx: &Ctx, depth: Depth) -> Result<(), Broken> {
        match depth {
            Depth::Counters => Ok(()),
            Depth::Full => invariants::check(ctx),
        }
    }
}
