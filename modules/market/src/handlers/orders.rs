//! What a tenant does with an order, and anyone with its money.

use kernel::{Amount, Authorized, Ctx, Result};

use crate::{
    block::advance,
    errors::Error,
    events::{Deposited, OrderCreated},
    formulas,
    msgs::{CancelOrder, CreateOrder, TopUp},
    params::Params,
    pb,
    state::{self, ORDERS},
    transitions::close_order,
    types::{Open, Order, OrderEnd, OrderId, OrderState, Phase, Terms},
};

/// Asks for units at a ceiling.
pub(crate) fn create_order(
    ctx: &mut Ctx,
    msg: Authorized<CreateOrder>,
) -> Result<pb::MsgCreateOrderResponse> {
    let (tenant, now) = (msg.actor(), ctx.block.billing);
    let params = state::params(ctx)?;
    let mut terms = msg.terms.clone();
    if msg.default_weights {
        terms.weights = params.weights;
    }
    provider::require_offered(&provider::class(ctx, terms.class_id)?)?;
    check_terms(&terms, &params)?;
    let least = formulas::least_deposit(&terms, &params)?;
    require_deposit(msg.deposit, least.max(escrow::params(ctx)?.deposit_min))?;
    let expires_at = now.plus(u64::from(terms.ttl_s))?;
    let fee = formulas::order_fee(&terms, &params)?;
    let id = state::next_order_id(ctx)?;
    // The fee is never returned: spam pays for the bids that it draws. The bank's InsufficientFunds is the last guard.
    bank::transfer(ctx, tenant, escrow::fees_account(), &bank::ucredit(), fee)?;
    let account = escrow::open(ctx, id, tenant, msg.deposit)?;

    // From here on nothing may fail but storage.
    ctx.emit(&created(id, tenant, &terms, msg.deposit, fee, account.fee_ppm, expires_at));
    let order = Order {
        tenant,
        terms,
        grace_s: params.grace_s,
        created_at: now,
        round: 1,
        phase: Phase::Open(Open { expires_at }),
        barred: Vec::new(),
        served_s: 0,
        account,
        hold: None,
    };
    ORDERS.create(ctx, &id, &order)?;
    Ok(pb::MsgCreateOrderResponse { order_id: id, expires_at: expires_at.value() })
}

fn check_terms(terms: &Terms, params: &Params) -> Result<(), Error> {
    let (count, max) = (terms.count, params.count_max);
    if !(1..=max).contains(&count) {
        return Err(Error::CountOutOfRange { count, max });
    }
    require_rate(terms.max_unit_rate, params.unit_rate_max)?;
    let (zones, max) = (terms.zones.len(), params.zones_max);
    if u32::try_from(zones).map_or(true, |zones| zones > max) {
        return Err(Error::TooManyZones { zones, max });
    }
    let (got, min, max) = (terms.window_blocks, params.window_blocks_min, params.window_blocks_max);
    if !(min..=max).contains(&got) {
        return Err(Error::WindowOutOfRange { got, min, max });
    }
    let (got, min, max) = (terms.ttl_s, params.ttl_s_min, params.ttl_s_max);
    if !(min..=max).contains(&got) {
        return Err(Error::TtlOutOfRange { got, min, max });
    }
    let (got, min, max) = (terms.start_timeout_s, params.start_timeout_s_min, params.start_timeout_s_max);
    if !(min..=max).contains(&got) {
        return Err(Error::StartTimeoutOutOfRange { got, min, max });
    }
    require_reclaim(terms.reclaim_min_s, params.reclaim_s_min, params.reclaim_s_max)?;
    let (got, min, max) = (terms.duration_s, params.duration_s_min, params.duration_s_max);
    if got != 0 && !(min..=max).contains(&got) {
        return Err(Error::DurationOutOfRange { got, min, max });
    }
    let max = params.weight_max_ppm;
    if let Some(got) = terms.weights.iter().copied().find(|weight| *weight > max) {
        return Err(Error::WeightOutOfRange { got, max });
    }
    let (got, max) = (terms.rounds, params.rounds_max);
    if !(1..=max).contains(&got) {
        return Err(Error::RoundsOutOfRange { got, max });
    }
    Ok(())
}

/// The price of one unit is inside 1 to `max`.
pub(crate) fn require_rate(unit_rate: u128, max: u128) -> Result<(), Error> {
    if (1..=max).contains(&unit_rate) { Ok(()) } else { Err(Error::RateOutOfRange { unit_rate, max }) }
}

/// The notice of a reclaim is inside its bounds.
pub(crate) fn require_reclaim(got: u32, min: u32, max: u32) -> Result<(), Error> {
    if (min..=max).contains(&got) { Ok(()) } else { Err(Error::ReclaimOutOfRange { got, min, max }) }
}

fn require_deposit(amount: Amount, min: Amount) -> Result<(), Error> {
    if amount >= min { Ok(()) } else { Err(Error::DepositTooSmall { amount, min }) }
}

fn created(
    order_id: OrderId,
    tenant: kernel::Address,
    terms: &Terms,
    deposit: Amount,
    order_fee: Amount,
    fee_ppm: u32,
    expires_at: kernel::At<kernel::Billing>,
) -> OrderCreated {
    OrderCreated {
        order_id,
        tenant,
        class_id: terms.class_id,
        count: terms.count,
        zones: terms.zones.clone(),
        near: terms.near.clone(),
        max_unit_rate: terms.max_unit_rate,
        duration_s: terms.duration_s,
        window_blocks: terms.window_blocks,
        ttl_s: terms.ttl_s,
        start_timeout_s: terms.start_timeout_s,
        reclaim_min_s: terms.reclaim_min_s,
        min_uptime_ppm: terms.min_uptime_ppm,
        weights: terms.weights,
        manifest_hash: terms.manifest_hash,
        rounds: terms.rounds,
        deposit,
        order_fee,
        fee_ppm,
        expires_at,
    }
}

/// Takes an order back before any bid. There is no cancel while bidders hold capacity for it.
pub(crate) fn cancel_order(
    ctx: &mut Ctx,
    msg: Authorized<CancelOrder>,
) -> Result<pb::MsgCancelOrderResponse> {
    let (id, actor) = (msg.order, msg.actor());
    let mut order = advance(ctx, id)?.ok_or(Error::UnknownOrder { id })?;
    require_tenant(id, &order, actor)?;
    if order.state() != OrderState::Open {
        return Err(Error::OrderNotOpen { id }.into());
    }

    // From here on nothing may fail but storage.
    let balance = order.account.balance;
    let now = ctx.block.billing;
    close_order(ctx, id, &mut order, OrderEnd::Cancelled, now)?;
    ORDERS.update(ctx, &id, &order)?;
    Ok(pb::MsgCancelOrderResponse { refunded: balance.to_string() })
}

/// The actor is the tenant of the order.
pub(crate) fn require_tenant(id: OrderId, order: &Order, actor: kernel::Address) -> Result<(), Error> {
    if order.tenant == actor {
        return Ok(());
    }
    Err(Error::NotTenant { id, tenant: order.tenant, actor })
}

/// Adds money to an order.
pub(crate) fn top_up(ctx: &mut Ctx, msg: Authorized<TopUp>) -> Result<pb::MsgTopUpResponse> {
    let (id, depositor, amount, now) = (msg.order, msg.actor(), msg.amount, ctx.block.billing);
    let mut order = advance(ctx, id)?.ok_or(Error::UnknownOrder { id })?;
    if order.state() == OrderState::Closed {
        return Err(Error::OrderClosed { id }.into());
    }
    require_deposit(amount, escrow::params(ctx)?.deposit_min)?;
    escrow::settle(ctx, &mut order.account, now)?;
    // Escrow's TooManyDepositors and the bank's InsufficientFunds are the last guards.
    escrow::deposit(ctx, &mut order.account, depositor, amount)?;

    // From here on nothing may fail but storage.
    let dry_at = order.account.dry_at();
    let warned_until = now.saturating_plus(u64::from(order.grace_s));
    if let Some(lease) = order.lease_mut() {
        lease.low_funds = lease.low_funds && dry_at.is_some_and(|dry_at| dry_at <= warned_until);
    }
    ctx.emit(&Deposited { order_id: id, depositor, amount, dry_at });
    ORDERS.update(ctx, &id, &order)?;
    let balance = order.account.balance.to_string();
    Ok(pb::MsgTopUpResponse { balance, dry_at: dry_at.map(kernel::At::value) })
}
