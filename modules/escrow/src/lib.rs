//! Escrow: the money of orders, and the streams by which it pays leases.
//!
//! An [`Account`] is a value that lives inside the record of what it pays for (the market's order), so that a live lease
//! costs few hashed keys. Escrow owns its arithmetic, the module account, the parameters and the running totals. It knows
//! no lease and no provider, and it has no block work: the market knows when a stream ends, by [`Account::dry_at`].
//!
//! ```text
//! open -> deposit* -> start -> (settle | deposit)* -> settle_final -> fine? -> stop -> ... start again ... -> close
//! ```
//!
//! | function | money | event |
//! |---|---|---|
//! | [`open`], [`deposit`] | depositor -> escrow | told by the market |
//! | [`settle`], [`settle_final`] | escrow -> payee, escrow -> market_fees | StreamSettled |
//! | [`fine`] | escrow -> market_fees | AccountFined |
//! | [`close`] | escrow -> depositors, in order | DepositRefunded, one each |
//!
//! A stream at `rate` (ucredit a second x 10^18) owes `rate * seconds`; what is below one ucredit is carried on, and the
//! fee is taken from the stream's running sum. So any rhythm of settling pays the same, fee included, and none moves
//! `dry_at`. During the hold after the start nothing is paid out, so that a tenant who was not served gets all of it back.
//! Deposits are spent in the order in which they came.
//!
//! | message (signer) | guards in order | event |
//! |---|---|---|
//! | MsgUpdateParams (authority) | NotAuthority | ParamsUpdated |
//!
//! Invariants: the module account holds the sum of all balances (I2, every block); an account's balance is the sum of its
//! entries (I2); `deposited = balance + spent + fined + refunded` (I3); the carry is below one ucredit and covered by the
//! balance (I10).
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

mod errors;
pub mod events;
mod genesis;
mod handlers;
mod invariants;
mod msgs;
mod params;
mod pb;
pub mod queries;
mod state;
#[cfg(test)]
mod tests;
mod types;

pub use errors::Error;
pub use genesis::Genesis;
pub use invariants::check_account;
pub use msgs::{Msg, UpdateParams};
pub use params::{DEPOSITORS_LIMIT, Params};
pub use state::{
    MARKET_FEES, POOL, Totals, close, deposit, fees_account, fine, import, module_account, open, params,
    settle, settle_final,
};
pub use types::{Account, DRY_S_MAX, Deposit, Projection, RATE_MAX, Stream};

use kernel::{Authorized, Broken, Ctx, Depth, DerivedSink, Fatal, Module, Reply, Result, StoreId, View};

/// The module's name: in proofs, genesis and codespaces.
pub const NAME: &str = "escrow";
/// Its store.
pub const STORE: StoreId = StoreId(3);
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// The module.
pub struct Escrow;

impl Module for Escrow {
    const NAME: &'static str = NAME;
    const STORE: StoreId = STORE;
    const SCHEMA: u32 = SCHEMA_VERSION;
    type Msg = Msg;
    type Genesis = Genesis;

    fn init_genesis(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
        genesis::init(ctx, &genesis)
    }

    fn export_genesis(ctx: &Ctx) -> Result<Genesis> {
        genesis::export(ctx)
    }

    fn handle(ctx: &mut Ctx, msg: Authorized<Msg>) -> Result<Reply> {
        match msg.open() {
            (Msg::UpdateParams(_, msg), authority) => {
                handlers::update_params(ctx, authority.over(msg)).map(|response| Reply::of(&response))
            }
        }
    }

    fn migrate(_: &mut Ctx, _: u32) -> Result<(), Fatal> {
        Ok(())
    }

    fn rebuild(_: &dyn View, _: &mut DerivedSink) -> Result<(), Fatal> {
        Ok(())
    }

    fn invariants(ctx: &Ctx, _: Depth) -> Result<(), Broken> {
        invariants::totals(ctx)
    }
}
