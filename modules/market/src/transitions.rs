//! The ways on which an order leaves a phase: one by which a lease ends, one by which an order is auctioned again or ends.
//! They are closing paths: they saturate toward the pool and refuse nothing.

use escrow::Stream;
use kernel::{Address, Amount, At, Billing, Ctx, Result};
use provider::{Harmed, Outcome, SlashReason};

use crate::{
    events::{LeaseClosed, OrderClosed, OrderReopened},
    formulas, state,
    types::{Closed, EndedLease, Lease, LeaseEnd, Open, Order, OrderEnd, OrderId, Phase, Terms},
};

/// The seconds of the ceiling that a fault counts for in a provider's reputation.
const FAULT_S: u32 = 86_400;

/// What a provider loses for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// For what.
    pub reason: SlashReason,
    /// How much, in uflop; at most the lock is taken.
    pub amount: Amount,
    /// Who gets a share of it.
    pub harmed: Option<Harmed>,
}

/// The tenant of a lease whose provider failed it. Its share follows the price that it would have paid in `seconds`: a
/// slash follows its ceiling too, which it could set as bait.
pub(crate) fn harmed(ctx: &Ctx, order: &Order, lease: &Lease, seconds: u32) -> Result<Harmed> {
    let stake = provider::params(ctx)?;
    let price = formulas::for_seconds_ceil(order.terms.rate(lease.unit_rate), seconds);
    let in_uflop = price.and_then(|price| stake.lock_for_uc(price));
    Ok(Harmed { tenant: order.tenant, at_most: in_uflop.unwrap_or(Amount::MAX) })
}

/// Ends the live lease of an order: stops the stream, frees or slashes the stake, frees the units, writes the reputation.
/// What the stream owed at its end has been settled. The order has no phase of its own until [`after_lease`] or
/// [`close_order`] gives it one.
pub(crate) fn close_lease(
    ctx: &mut Ctx,
    id: OrderId,
    order: &mut Order,
    lease: Lease,
    reason: LeaseEnd,
    closed_at: At<Billing>,
    fault: Option<Fault>,
) -> Result<Stream> {
    let stream = order.account.stop();
    let (provider, class_id, count) = (lease.provider, order.terms.class_id, order.terms.count);
    match fault {
        None => provider::release(ctx, provider, class_id, &lease.zone, count, lease.lock)?,
        Some(fault) => {
            provider::slash(ctx, provider, lease.lock, fault.amount, fault.harmed, fault.reason)?;
            provider::release_slashed(ctx, provider, class_id, &lease.zone, count)?;
        }
    }
    state::count_locked(ctx, lease.lock, Amount::ZERO)?;
    if let Some(outcome) = outcome(reason, &order.terms, stream.gross) {
        provider::record(ctx, provider, outcome)?;
    }
    // A tenant that reports in its trial was not served.
    let served = !(reason == LeaseEnd::TenantNotDelivered && fault.is_some());
    let running = lease.stage.running().filter(|_| served);
    let ran_s = running.map_or(0, |running| closed_at.since(running.started_at));
    order.served_s = order.served_s.saturating_add(ran_s);
    ctx.emit(&LeaseClosed {
        order_id: id,
        round: order.round,
        provider,
        reason,
        gross: stream.gross,
        fee: stream.fee,
        served_s: order.served_s,
        closed_at,
    });
    let ended = EndedLease { tenant: order.tenant, lease, gross: stream.gross, closed_at, reason };
    state::ENDED_LEASES.create(ctx, &(id, order.round), &ended)?;
    Ok(stream)
}

/// What a lease leaves to its provider's reputation.
fn outcome(reason: LeaseEnd, terms: &Terms, gross: Amount) -> Option<Outcome> {
    match reason {
        LeaseEnd::NoStart | LeaseEnd::Abandoned => {
            let day = formulas::for_seconds_ceil(terms.rate_max(), FAULT_S);
            Some(Outcome::Bad(day.unwrap_or(Amount::MAX)))
        }
        LeaseEnd::TenantDone | LeaseEnd::EndReached | LeaseEnd::OutOfFunds => Some(Outcome::Good(gross)),
        LeaseEnd::TenantNotDelivered
        | LeaseEnd::TenantQuality
        | LeaseEnd::TenantCancelled
        | LeaseEnd::Reclaimed => None,
    }
}

/// Where an order goes after a lease that the chain or its provider ended at `at`: it is complete, or it is auctioned
/// again without that provider while there are rounds and money for it, which pays for its next window as the order fee has
/// for the first.
pub(crate) fn after_lease(
    ctx: &mut Ctx,
    id: OrderId,
    order: &mut Order,
    provider: Address,
    reason: LeaseEnd,
    at: At<Billing>,
) -> Result<()> {
    let params = state::params(ctx)?;
    let duration_s = u64::from(order.terms.duration_s);
    let served_s = order.served_s.saturating_add(u64::from(params.min_charge_s));
    if reason == LeaseEnd::EndReached || (duration_s > 0 && served_s > duration_s) {
        return close_order(ctx, id, order, OrderEnd::Completed, at);
    }
    if reason == LeaseEnd::OutOfFunds {
        return close_order(ctx, id, order, OrderEnd::Underfunded, at);
    }
    if order.round >= order.terms.rounds {
        return close_order(ctx, id, order, OrderEnd::RoundsExhausted, at);
    }
    let reserve = formulas::for_seconds_ceil(order.terms.rate_max(), params.reserve_s());
    let price = formulas::window_price(&order.terms, &params).unwrap_or(Amount::MAX);
    let needed = reserve.and_then(|reserve| reserve.plus(price));
    if order.account.balance < needed.unwrap_or(Amount::MAX) {
        return close_order(ctx, id, order, OrderEnd::Underfunded, at);
    }
    // As the order fee pays for the first window: whoever ends rounds for nothing could hold others' units for one price.
    escrow::fine(ctx, &mut order.account, price)?;
    order.barred.push(provider);
    order.round = order.round.saturating_add(1);
    reopen(ctx, id, order);
    Ok(())
}

/// Opens an order for bids again. It waits from now on, not from when it was due: bidders need the whole of it.
pub(crate) fn reopen(ctx: &mut Ctx, id: OrderId, order: &mut Order) {
    let expires_at = ctx.block.billing.saturating_plus(u64::from(order.terms.ttl_s));
    order.phase = Phase::Open(Open { expires_at });
    ctx.emit(&OrderReopened { order_id: id, round: order.round, expires_at });
}

/// Ends an order: its money goes back, and it is kept for a while, in any case past now: refunds to all depositors and the
/// deletion of all rounds would not fit the gas of one item, so it is another one that deletes it.
pub(crate) fn close_order(
    ctx: &mut Ctx,
    id: OrderId,
    order: &mut Order,
    reason: OrderEnd,
    closed_at: At<Billing>,
) -> Result<()> {
    let retention_s = state::params(ctx)?.retention_s;
    let refunded = escrow::close(ctx, &mut order.account)?;
    let prune_at =
        closed_at.saturating_plus(u64::from(retention_s)).max(ctx.block.billing.saturating_plus(1));
    order.phase = Phase::Closed(Closed { reason, closed_at, prune_at });
    ctx.emit(&OrderClosed { order_id: id, reason, refunded, closed_at });
    Ok(())
}
