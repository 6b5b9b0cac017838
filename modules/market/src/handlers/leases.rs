//! A lease from its start to its end by a message. Its ends by time are in `block`.

use kernel::{Amount, Authorized, Ctx, Result};
use provider::SlashReason;

use super::orders::require_tenant;
use crate::{
    award,
    block::{advance, work},
    errors::Error,
    events::{LeaseStarted, ReclaimStarted},
    formulas,
    lifecycle::Timed,
    msgs::{AbandonLease, CloseLease, ConfirmStart, ReclaimLease, Settle},
    params::Params,
    pb,
    state::{self, AUCTIONS, ORDERS},
    transitions::{self, Fault, after_lease, close_order},
    types::{Lease, LeaseEnd, Order, OrderEnd, OrderId, Running, Stage, TenantReason},
};

/// Says that the awarded units are there; payment starts. It is one-sided on purpose: a provider can't be kept from it,
/// and a tenant who is not served reports it within `min_charge_s` and pays the provider nothing.
pub(crate) fn confirm_start(
    ctx: &mut Ctx,
    msg: Authorized<ConfirmStart>,
) -> Result<pb::MsgConfirmStartResponse> {
    let (id, now) = (msg.order, ctx.block.billing);
    let mut order = advance(ctx, id)?.ok_or(Error::UnknownOrder { id })?;
    let lease = order.lease().ok_or(Error::NoLease { id })?.clone();
    provider::require_operator(&provider::load(ctx, &lease.provider)?, msg.actor())?;
    let stage = lease.stage;
    let starting = stage.starting().ok_or(Error::LeaseNotStarting { id, stage: stage.name() })?;
    let running = starting.confirm(now, order.terms.duration_s, order.served_s)?;
    let rate = order.terms.rate(lease.unit_rate);
    order.account.start(lease.provider, rate, now, state::params(ctx)?.min_charge_s)?;

    // From here on nothing may fail but storage.
    let dry_at = order.account.dry_at().unwrap_or(now);
    let (round, provider, end_at) = (order.round, lease.provider, running.end_at.unwrap_or_default());
    ctx.emit(&LeaseStarted { order_id: id, round, provider, rate, started_at: now, end_at, dry_at });
    set_stage(id, &mut order, Stage::Active(running))?;
    ORDERS.update(ctx, &id, &order)?;
    let (started_at, end_at, dry_at) = (now.value(), end_at.value(), dry_at.value());
    Ok(pb::MsgConfirmStartResponse { started_at, end_at, dry_at })
}

fn set_stage(id: OrderId, order: &mut Order, stage: Stage) -> Result<(), Error> {
    order.lease_mut().ok_or(Error::NoLease { id })?.stage = stage;
    Ok(())
}

/// Gives notice that the provider takes its machines back; the full rate is paid until then.
pub(crate) fn reclaim_lease(
    ctx: &mut Ctx,
    msg: Authorized<ReclaimLease>,
) -> Result<pb::MsgReclaimLeaseResponse> {
    let (id, now) = (msg.order, ctx.block.billing);
    let mut order = advance(ctx, id)?.ok_or(Error::UnknownOrder { id })?;
    let lease = order.lease().ok_or(Error::NoLease { id })?;
    provider::require_operator(&provider::load(ctx, &lease.provider)?, msg.actor())?;
    let stage = lease.stage;
    let active = stage.active().ok_or(Error::LeaseNotActive { id, stage: stage.name() })?;
    let reclaiming = active.reclaim(now, lease.reclaim_s)?;

    // From here on nothing may fail but storage.
    let deadline = reclaiming.deadline;
    ctx.emit(&ReclaimStarted { order_id: id, round: order.round, deadline });
    set_stage(id, &mut order, Stage::Reclaiming(reclaiming))?;
    ORDERS.update(ctx, &id, &order)?;
    Ok(pb::MsgReclaimLeaseResponse { deadline: deadline.value() })
}

/// Ends a lease as the tenant. A report, in the first `min_charge_s`, that nothing was delivered costs both sides the
/// minimal charge at the ceiling, so that neither gains by lying, and the order is auctioned again. In any other case the
/// tenant pays at least the minimal charge: what the provider has not earned of it goes to the market, never to the provider.
pub(crate) fn close_lease(ctx: &mut Ctx, msg: Authorized<CloseLease>) -> Result<pb::MsgCloseLeaseResponse> {
    let (id, now) = (msg.order, ctx.block.billing);
    let mut order = advance(ctx, id)?.ok_or(Error::UnknownOrder { id })?;
    require_tenant(id, &order, msg.actor())?;
    let lease = order.lease().ok_or(Error::NoLease { id })?.clone();
    let params = state::params(ctx)?;

    // From here on nothing may fail but storage.
    let (fined_before, refunded_before) = (order.account.fined_total, order.account.refunded_total);
    let running = lease.stage.running().is_some();
    let on_trial = running && now < order.account.hold_until;
    let stream = match (msg.reason, on_trial) {
        (TenantReason::NotDelivered, true) => not_delivered(ctx, id, &mut order, lease, &params)?,
        (reason, _) => {
            let reason = if running { tenant_end(reason) } else { LeaseEnd::TenantCancelled };
            completed(ctx, id, &mut order, lease, reason, &params)?
        }
    };
    ORDERS.update(ctx, &id, &order)?;
    Ok(pb::MsgCloseLeaseResponse {
        gross: stream.gross.to_string(),
        fee: stream.fee.to_string(),
        fined: order.account.fined_total.saturating_minus(fined_before).to_string(),
        refunded: order.account.refunded_total.saturating_minus(refunded_before).to_string(),
        order_state: pb::number(order.state().number()),
    })
}

const fn tenant_end(reason: TenantReason) -> LeaseEnd {
    match reason {
        TenantReason::Done => LeaseEnd::TenantDone,
        TenantReason::NotDelivered => LeaseEnd::TenantNotDelivered,
        TenantReason::Quality => LeaseEnd::TenantQuality,
    }
}

fn not_delivered(
    ctx: &mut Ctx,
    id: OrderId,
    order: &mut Order,
    lease: Lease,
    params: &Params,
) -> Result<escrow::Stream> {
    let (provider, now) = (lease.provider, ctx.block.billing);
    let charge = charge(order, &lease, order.terms.rate_max(), params);
    escrow::fine(ctx, &mut order.account, charge)?;
    let in_uflop = provider::params(ctx)?.lock_for_uc(charge).unwrap_or(Amount::MAX);
    let amount = lease.bond.min(in_uflop);
    let fault = Fault { reason: SlashReason::NotDelivered, amount, harmed: None };
    let reason = LeaseEnd::TenantNotDelivered;
    let stream = transitions::close_lease(ctx, id, order, lease, reason, now, Some(fault))?;
    after_lease(ctx, id, order, provider, reason, now)?;
    Ok(stream)
}

fn completed(
    ctx: &mut Ctx,
    id: OrderId,
    order: &mut Order,
    lease: Lease,
    reason: LeaseEnd,
    params: &Params,
) -> Result<escrow::Stream> {
    let now = ctx.block.billing;
    escrow::settle_final(ctx, &mut order.account, now)?;
    let charge = charge(order, &lease, order.terms.rate(lease.unit_rate), params);
    let missing = charge.saturating_minus(order.account.stream_gross);
    escrow::fine(ctx, &mut order.account, missing)?;
    let stream = transitions::close_lease(ctx, id, order, lease, reason, now, None)?;
    close_order(ctx, id, order, OrderEnd::Completed, now)?;
    Ok(stream)
}

/// The price of the trial at a rate: that of a running lease is as long as it was when it started, whatever the parameters
/// say since.
pub(crate) fn charge(order: &Order, lease: &Lease, rate: u128, params: &Params) -> Amount {
    let trial_s = |running: Running| order.account.hold_until.since(running.started_at);
    let seconds = lease.stage.running().map_or(u64::from(params.min_charge_s), trial_s);
    formulas::for_seconds_floor(rate, u32::try_from(seconds).unwrap_or(u32::MAX)).unwrap_or(Amount::MAX)
}

/// Ends a lease as the provider, at once, at the price of a slash of which the tenant gets its share.
pub(crate) fn abandon_lease(
    ctx: &mut Ctx,
    msg: Authorized<AbandonLease>,
) -> Result<pb::MsgAbandonLeaseResponse> {
    let (id, actor, now) = (msg.order, msg.actor(), ctx.block.billing);
    let mut order = advance(ctx, id)?.ok_or(Error::UnknownOrder { id })?;
    let lease = order.lease().ok_or(Error::NoLease { id })?.clone();
    let provider = lease.provider;
    if actor != provider {
        return Err(Error::NotOwner { owner: provider, actor }.into());
    }
    let params = state::params(ctx)?;
    let starting = lease.stage.starting().is_some();
    let harm_s = if starting { params.bond_s } else { params.abandon_s };
    let harmed = transitions::harmed(ctx, &order, &lease, harm_s)?;
    let amount = if starting { lease.bond } else { abandon_cost(&lease, harmed.at_most) };

    // From here on nothing may fail but storage.
    escrow::settle_final(ctx, &mut order.account, now)?;
    let reason = LeaseEnd::Abandoned;
    let fault = Fault { reason: SlashReason::Abandoned, amount, harmed: Some(harmed) };
    let stream = transitions::close_lease(ctx, id, &mut order, lease, reason, now, Some(fault))?;
    after_lease(ctx, id, &mut order, provider, reason, now)?;
    ORDERS.update(ctx, &id, &order)?;
    let (gross, fee, slashed) = (stream.gross.to_string(), stream.fee.to_string(), amount.to_string());
    Ok(pb::MsgAbandonLeaseResponse { gross, fee, slashed })
}

/// What leaving a running lease without notice costs, in uflop, by its price in `abandon_s`: within the bond and the lock. A
/// share of the lock would be one of seconds that the parameters no longer say.
fn abandon_cost(lease: &Lease, price: Amount) -> Amount {
    price.max(lease.bond).min(lease.lock)
}

/// Does what is due on an order, also where it is on hold, and pays its provider up to now.
pub(crate) fn settle(ctx: &mut Ctx, msg: Authorized<Settle>) -> Result<pb::MsgSettleResponse> {
    let (id, now) = (msg.order, ctx.block.billing);
    let before = ORDERS.get(ctx, &id)?.ok_or(Error::UnknownOrder { id })?;
    let auction_held = AUCTIONS.get(ctx, &id)?.is_some_and(|auction| auction.hold.is_some());
    let due = before.next().is_some_and(|(at, timed)| at <= now && timed != Timed::Prune);
    if auction_held {
        award::decide(ctx, &id)?;
    }
    let after = retry(ctx, id, &before)?;
    let Some(mut order) = after else {
        return Ok(pb::MsgSettleResponse { paid: Amount::ZERO.to_string() });
    };
    let paid_now = escrow::settle(ctx, &mut order.account, now)?;
    if !due && !auction_held && before.hold.is_none() && paid_now.is_zero() {
        return Err(Error::NothingToDo { id }.into());
    }

    // From here on nothing may fail but storage.
    ORDERS.update(ctx, &id, &order)?;
    let paid = order.account.spent_total.saturating_minus(before.account.spent_total);
    Ok(pb::MsgSettleResponse { paid: paid.to_string() })
}

/// The order as of now. One on hold is taken off it and also deleted if that is due.
fn retry(ctx: &mut Ctx, id: OrderId, before: &Order) -> Result<Option<Order>> {
    if before.hold.is_none() {
        return advance(ctx, id);
    }
    ORDERS.update(ctx, &id, &Order { hold: None, ..before.clone() })?;
    work(ctx, &id)?;
    ORDERS.get(ctx, &id)
}
