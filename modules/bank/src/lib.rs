//! Money: who has how much of which denom. Nothing else changes a balance.
//!
//! ```text
//! genesis, mint ──> balance ──transfer──> balance ──burn──> gone
//! ```
//!
//! Genesis writes balances and their sums, the supplies, without an event; from then on only [`mint`] and [`burn`] change a
//! supply.
//!
//! | message | does | refused if |
//! |---|---|---|
//! | `MsgSend` | moves money to one account | a denom is not enabled, the receiver is a module account, funds |
//! | `MsgMultiSend` | moves money to up to 64 accounts | as above, or the two sides differ |
//! | `MsgBurn` | destroys money | a denom is not enabled, funds |
//!
//! Modules call [`transfer`], [`burn`] and [`mint`], which know no switches: a denom that is not enabled for accounts (such
//! as ucredit) still moves through the modules, and a module account receives money only through its module.
//!
//! A balance of zero has no record. An account comes to be when it first receives money.
//!
//! Invariants
//! - B1: the supply of a denom is the sum of its balances. [`check_changes`] compares what a block adds to both.
//! - B2: no record of a balance or a supply is zero.
//! - B3: who has a balance has an account.
//! - B4: the index by denom has one entry a balance.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

mod coins;
mod denom;
mod errors;
pub mod events;
mod genesis;
mod handlers;
mod invariants;
mod msgs;
mod pb;
pub mod queries;
mod state;
mod types;

#[cfg(test)]
mod tests;

use kernel::{Authorized, Broken, Ctx, Depth, DerivedSink, Fatal, Module, Reply, Result, StoreId, View};

pub use coins::{COINS_MAX, Coin, Coins};
pub use denom::{Denom, ucredit, uflop};
pub use errors::Error;
pub use genesis::{Balances, Genesis, SendEnabledFlag};
pub use invariants::check_changes;
pub use msgs::{Burn, Msg, MultiSend, OUTPUTS_MAX, Send};
pub use state::{balance, burn, mint, send_enabled, supply, transfer};
pub use types::{DenomUnit, Metadata, Params};

/// The module.
pub struct Bank;

impl Module for Bank {
    const NAME: &'static str = "bank";
    const STORE: StoreId = StoreId(2);
    const SCHEMA: u32 = 1;
    type Msg = Msg;
    type Genesis = Genesis;

    fn init_genesis(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
        genesis::init(ctx, genesis)
    }
    fn export_genesis(ctx: &Ctx) -> Result<Genesis> {
        genesis::export(ctx)
    }
    fn handle(ctx: &mut Ctx, msg: Authorized<Msg>) -> Result<Reply> {
        handlers::handle(ctx, msg)
    }
    fn migrate(_: &mut Ctx, _: u32) -> Result<(), Fatal> {
        Ok(())
    }
    fn rebuild(view: &dyn View, out: &mut DerivedSink) -> Result<(), Fatal> {
        state::BALANCES.rebuild(view, out)
    }
    fn invariants(ctx: &Ctx, depth: Depth) -> Result<(), Broken> {
        match depth {
            Depth::Counters => Ok(()),
            Depth::Full => invariants::check(ctx),
        }
    }
}
