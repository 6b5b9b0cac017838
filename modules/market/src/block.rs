//! What the chain does by itself: the due transitions of orders and leases, and the queues that bring them up.

use kernel::{At, Billing, Ctx, Result, chain};
use provider::SlashReason;

use crate::{
    award,
    errors::Error,
    events::{LeaseLowFunds, OrderPruned},
    lifecycle::Timed,
    state::{self, DUE_AUCTIONS, DUE_LEASES, DUE_ORDERS, HELD_AUCTIONS, HELD_ORDERS, HELD_SEEDS, ORDERS},
    transitions::{Fault, after_lease, close_lease, close_order, harmed},
    types::{LeaseEnd, Order, OrderEnd, OrderId},
};

/// A backlog is counted up to this.
const BACKLOG_MAX: u32 = 10_000;

/// The block's own work, after the clocks have moved: what is due, oldest first, each queue under its own budget. What is
/// left over waits for the next block, and changes nothing by it: every transition counts from when it was due.
pub fn begin_block(ctx: &mut Ctx) -> Result<()> {
    let params = state::params(ctx)?;
    let (now, height) = (ctx.block.billing, ctx.block.height);
    // Leases first: an ending lease frees units and stake, an order that it reopens waits for bids at least a second.
    DUE_LEASES.drain(ctx, now, params.leases_per_block_max, work)?;
    DUE_AUCTIONS.drain(ctx, height, params.auctions_per_block_max, award::decide)?;
    DUE_ORDERS.drain(ctx, now, params.orders_per_block_max, work)?;
    HELD_ORDERS.drain(ctx, height, params.held_per_block_max, work)?;
    HELD_AUCTIONS.drain(ctx, height, params.held_per_block_max, award::decide)?;
    // An auction that is late or on hold needs the seed of the height at which it closed.
    let heads = [DUE_AUCTIONS.first(ctx)?, HELD_SEEDS.first(ctx)?];
    let keep_from = heads.into_iter().flatten().min().map_or(height, |head| head.min(height));
    chain::prune_seeds(ctx, keep_from)
}

/// How many items of each queue are due and wait for a later block, counted up to [`BACKLOG_MAX`]. For metrics.
pub fn backlogs(ctx: &Ctx) -> Result<[(&'static str, u32); 3], kernel::Fatal> {
    let (now, height) = (ctx.block.billing, ctx.block.height);
    Ok([
        ("leases_due", DUE_LEASES.backlog(ctx, now, BACKLOG_MAX)?),
        ("auctions_due", DUE_AUCTIONS.backlog(ctx, height, BACKLOG_MAX)?),
        ("orders_due", DUE_ORDERS.backlog(ctx, now, BACKLOG_MAX)?),
    ])
}

/// Does what is due for an order, or deletes it if it was closed before: what the queues of orders and leases call. One that
/// closes here is deleted later than now ([`close_order`]), so never by the same item.
pub(crate) fn work(ctx: &mut Ctx, id: &OrderId) -> Result<()> {
    let Some(order) = advance(ctx, *id)? else { return Ok(()) };
    match order.next() {
        Some((at, Timed::Prune)) if at <= ctx.block.billing => {
            state::delete_order(ctx, *id, &order)?;
            ctx.emit(&OrderPruned { order_id: *id });
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Brings an order to now: applies what is due, each transition at its own time, until nothing is. Every message on an
/// order begins with it, so it never matters whether a queue was late. `None`: there is no such order.
pub(crate) fn advance(ctx: &mut Ctx, id: OrderId) -> Result<Option<Order>> {
    let Some(mut order) = ORDERS.get(ctx, &id)? else { return Ok(None) };
    let mut changed = false;
    while let Some((at, timed)) = order.next() {
        if at > ctx.block.billing || timed == Timed::Prune {
            break;
        }
        apply(ctx, id, &mut order, at, timed)?;
        changed = true;
    }
    if changed {
        order.hold = None;
        ORDERS.update(ctx, &id, &order)?;
    }
    Ok(Some(order))
}

fn apply(ctx: &mut Ctx, id: OrderId, order: &mut Order, at: At<Billing>, timed: Timed) -> Result<()> {
    match timed {
        Timed::Expire => close_order(ctx, id, order, OrderEnd::Expired, at),
        Timed::NoStart => no_start(ctx, id, order, at),
        Timed::LowFunds => low_funds(ctx, id, order),
        Timed::End(reason) => end(ctx, id, order, reason, at),
        Timed::Prune => Ok(()),
    }
}

/// T3: who won and did not start loses its bond, and the tenant gets its share of it.
fn no_start(ctx: &mut Ctx, id: OrderId, order: &mut Order, at: At<Billing>) -> Result<()> {
    let lease = order.lease().ok_or(Error::NoLease { id })?.clone();
    let provider = lease.provider;
    let harmed = Some(harmed(ctx, order, &lease, state::params(ctx)?.bond_s)?);
    let fault = Fault { reason: SlashReason::NoStart, amount: lease.bond, harmed };
    close_lease(ctx, id, order, lease, LeaseEnd::NoStart, at, Some(fault))?;
    after_lease(ctx, id, order, provider, LeaseEnd::NoStart, at)
}

/// T4: a warning; the lease is still paid in full.
fn low_funds(ctx: &mut Ctx, id: OrderId, order: &mut Order) -> Result<()> {
    let (round, dry_at) = (order.round, order.account.dry_at().unwrap_or_default());
    order.lease_mut().ok_or(Error::NoLease { id })?.low_funds = true;
    ctx.emit(&LeaseLowFunds { order_id: id, round, dry_at });
    Ok(())
}

/// T5, T6, T7: the lease is paid up to its end and not a second longer.
fn end(ctx: &mut Ctx, id: OrderId, order: &mut Order, reason: LeaseEnd, at: At<Billing>) -> Result<()> {
    let lease = order.lease().ok_or(Error::NoLease { id })?.clone();
    let provider = lease.provider;
    escrow::settle_final(ctx, &mut order.account, at)?;
    close_lease(ctx, id, order, lease, reason, at, None)?;
    after_lease(ctx, id, order, provider, reason, at)
}
