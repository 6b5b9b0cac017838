//! The market: orders, bids, awards and leases.
//!
//! ```text
//! Order: (create) -> Open -first bid-> Bidding -close_height-> Leased -lease ends-> Closed(reason) | Open (round + 1)
//!        Open -cancel-> Closed(Cancelled)     Open -expires_at-> Closed(Expired)     Bidding, nobody eligible -> Open
//! Lease: (award) -> Starting -confirm-> Active -reclaim-> Reclaiming;   each of them -> Closed(reason)
//! ```
//!
//! A tenant asks for units of a class at a ceiling and puts money in escrow. Providers bid down; a bid reserves the units,
//! locks the stake and is binding while it may win. A bid near the close must lead by a step and extends the auction, so there is no last
//! block to snipe. Effective price = price x what the bidder's weighted drawbacks make of it; the winner is drawn among the
//! bids within a band above the best, by a seed that nobody knew when bidding. The winner confirms the start, and the
//! stream runs until the money, the duration or one of the two ends it. A provider that fails is slashed, and the order is
//! auctioned again without it, at the price of another window.
//!
//! | message (signer) | from -> to | event |
//! |---|---|---|
//! | MsgCreateOrder (tenant) | -> Open | OrderCreated |
//! | MsgCancelOrder (tenant) | Open -> Closed | OrderClosed |
//! | MsgCreateBid (operator) | Open, Bidding -> Bidding | BidCreated, BidEvicted, AuctionExtended |
//! | MsgImproveBid (operator) | Bidding | BidImproved, AuctionExtended |
//! | MsgWithdrawBid (operator) | Bidding | BidWithdrawn |
//! | MsgConfirmStart (operator) | Starting -> Active | LeaseStarted |
//! | MsgTopUp (anyone) | any but Closed | Deposited |
//! | MsgCloseLease (tenant) | Leased -> Closed or Open | LeaseClosed, OrderClosed or OrderReopened |
//! | MsgReclaimLease (operator) | Active -> Reclaiming | ReclaimStarted |
//! | MsgAbandonLease (owner) | Leased -> Open or Closed | LeaseClosed, OrderReopened or OrderClosed |
//! | MsgSettle (anyone) | what is due | what was due, StreamSettled |
//! | MsgUpdateParams (authority) | | ParamsUpdated |
//!
//! A transition that is due at a time takes effect at that time, however late it is executed: every message on an order
//! first brings it to now, and the queues only move orders that nobody touches ([`block`]).
//!
//! | | due | does |
//! |---|---|---|
//! | T1 | Open, at `expires_at` | closes it: Expired |
//! | T2 | Bidding, at `close_height` | draws the winner: Leased, or Open if nobody is eligible |
//! | T3 | Starting, at the start's deadline | slashes; the lease ends: NoStart |
//! | T4 | live, `grace_s` before the money ends | warns |
//! | T5, T6, T7 | live, at its end, the notice's, or without money | the lease ends: EndReached, Reclaimed, OutOfFunds |
//! | T8 | Closed, at `prune_at` | deletes it |
//! | T9 | an unbonding of [`provider`], at `due_at` | pays it |
//!
//! Records: an order with its lease and its money is one row, so that a live lease is one key under the app hash; what bids
//! change is a small row beside it ([`types::Auction`]) that exists while the auction runs; bids, decided rounds and ended
//! leases are rows of their own.
//!
//! Invariants ([`Market::invariants`]): escrow holds the sum of all balances (I2, I3); providers have locked and reserved
//! exactly what live bids and leases hold (I5 every block, I6); an order is in bidding if and only if it has an auction with
//! 1 to `bids_max` bids of which `best` is the first in rank (I7); a lease is live if and only if its order is leased (I8);
//! a live order is in exactly one queue at its next due time, or on hold (I9); a carry is covered (I10); indexes and queues
//! are what the records give (I12).
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

mod award;
pub mod block;
mod errors;
pub mod events;
pub mod formulas;
mod genesis;
mod handlers;
mod invariants;
mod lifecycle;
mod msgs;
mod params;
mod pb;
pub mod queries;
mod state;
#[cfg(test)]
mod tests;
mod transitions;
pub mod types;

pub use errors::Error;
pub use genesis::{BidRow, Genesis, OrderRow, RoundRow};
pub use lifecycle::Timed;
pub use msgs::{
    AbandonLease, CancelOrder, CloseLease, ConfirmStart, CreateBid, CreateOrder, ImproveBid, Msg,
    ReclaimLease, Settle, TopUp, UpdateParams, WithdrawBid,
};
pub use params::Params;
pub use state::{
    AUCTIONS, AWARDS, BIDS, DUE_AUCTIONS, DUE_LEASES, DUE_ORDERS, ENDED_LEASES, HELD_AUCTIONS, HELD_ORDERS,
    ORDERS, params, read_ahead,
};

use kernel::{Authorized, Broken, Ctx, Depth, DerivedSink, Fatal, Module, Reply, Result, StoreId, View};

/// The module's name: in proofs, genesis and codespaces.
pub const NAME: &str = "market";
/// Its store.
pub const STORE: StoreId = StoreId(5);
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// The module.
pub struct Market;

impl Module for Market {
    const NAME: &'static str = NAME;
    const STORE: StoreId = STORE;
    const SCHEMA: u32 = SCHEMA_VERSION;
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
        state::rebuild(view, out)
    }

    fn invariants(ctx: &Ctx, depth: Depth) -> Result<(), Broken> {
        match depth {
            Depth::Counters => invariants::counters(ctx),
            Depth::Full => invariants::full(ctx),
        }
    }
}
