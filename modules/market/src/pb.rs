//! Conversions to and from the wire: mechanical.

use kernel::{Address, Amount, At, Billing, Hold, Reject, num::parse_u128};
use proto::underbid::kernel::v1 as kernel_pb;
pub use proto::underbid::market::v1::*;

use crate::{
    msgs::expected,
    params,
    types::{self, OrderId, OrderState, Phase, Round},
};

impl TryFrom<Params> for params::Params {
    type Error = Reject;

    fn try_from(params: Params) -> Result<Self, Reject> {
        let weights =
            params.weights.as_slice().try_into().map_err(|_| expected("params.weights", "exactly five"))?;
        Ok(Self {
            order_fee: Amount::parse(&params.order_fee)?,
            unit_rate_max: parse_u128(&params.unit_rate_max)
                .ok_or_else(|| expected("params.unit_rate_max", "a decimal"))?,
            count_max: params.count_max,
            zones_max: params.zones_max,
            window_blocks_min: params.window_blocks_min,
            window_blocks_max: params.window_blocks_max,
            soft_blocks: params.soft_blocks,
            step_ppm: params.step_ppm,
            extensions_max: params.extensions_max,
            bids_max: params.bids_max,
            band_ppm: params.band_ppm,
            weights,
            weight_max_ppm: params.weight_max_ppm,
            ttl_s_min: params.ttl_s_min,
            ttl_s_max: params.ttl_s_max,
            start_timeout_s_min: params.start_timeout_s_min,
            start_timeout_s_max: params.start_timeout_s_max,
            reclaim_s_min: params.reclaim_s_min,
            reclaim_s_max: params.reclaim_s_max,
            duration_s_min: params.duration_s_min,
            duration_s_max: params.duration_s_max,
            runway_s: params.runway_s,
            grace_s: params.grace_s,
            lock_s: params.lock_s,
            abandon_s: params.abandon_s,
            bond_s: params.bond_s,
            bond_min: Amount::parse(&params.bond_min)?,
            min_charge_s: params.min_charge_s,
            rounds_max: params.rounds_max,
            retention_s: params.retention_s,
            leases_per_block_max: params.leases_per_block_max,
            auctions_per_block_max: params.auctions_per_block_max,
            orders_per_block_max: params.orders_per_block_max,
            held_per_block_max: params.held_per_block_max,
            window_block_s: params.window_block_s,
        })
    }
}

impl From<params::Params> for Params {
    fn from(params: params::Params) -> Self {
        Self {
            order_fee: params.order_fee.to_string(),
            unit_rate_max: params.unit_rate_max.to_string(),
            count_max: params.count_max,
            zones_max: params.zones_max,
            window_blocks_min: params.window_blocks_min,
            window_blocks_max: params.window_blocks_max,
            soft_blocks: params.soft_blocks,
            step_ppm: params.step_ppm,
            extensions_max: params.extensions_max,
            bids_max: params.bids_max,
            band_ppm: params.band_ppm,
            weights: params.weights.to_vec(),
            weight_max_ppm: params.weight_max_ppm,
            ttl_s_min: params.ttl_s_min,
            ttl_s_max: params.ttl_s_max,
            start_timeout_s_min: params.start_timeout_s_min,
            start_timeout_s_max: params.start_timeout_s_max,
            reclaim_s_min: params.reclaim_s_min,
            reclaim_s_max: params.reclaim_s_max,
            duration_s_min: params.duration_s_min,
            duration_s_max: params.duration_s_max,
            runway_s: params.runway_s,
            grace_s: params.grace_s,
            lock_s: params.lock_s,
            abandon_s: params.abandon_s,
            bond_s: params.bond_s,
            bond_min: params.bond_min.to_string(),
            min_charge_s: params.min_charge_s,
            rounds_max: params.rounds_max,
            retention_s: params.retention_s,
            leases_per_block_max: params.leases_per_block_max,
            auctions_per_block_max: params.auctions_per_block_max,
            orders_per_block_max: params.orders_per_block_max,
            held_per_block_max: params.held_per_block_max,
            window_block_s: params.window_block_s,
        }
    }
}

/// An order and, while it runs, its auction.
pub fn order(id: OrderId, order: types::Order, auction: Option<types::Auction>) -> Order {
    let state = order.state();
    let expires_at = order.open().map_or(0, |open| open.expires_at.value());
    let (closed_at, close_reason) = match &order.phase {
        Phase::Closed(closed) => (closed.closed_at.value(), number(closed.reason.number())),
        _ => (0, 0),
    };
    let hold = order.hold.or_else(|| auction.as_ref().and_then(|auction| auction.hold.clone())).map(hold);
    let best = auction.as_ref().map(|auction| best(&auction.best));
    let (bid_count, bid_seq, close_height, extensions) = auction
        .map(|auction| (auction.bid_count, auction.bid_seq, auction.close_height.value(), auction.extensions))
        .unwrap_or_default();
    let terms = order.terms;
    Order {
        id,
        tenant: order.tenant.to_string(),
        class_id: terms.class_id,
        count: terms.count,
        zones: terms.zones.iter().map(ToString::to_string).collect(),
        near: terms.near.map(|zone| zone.to_string()).unwrap_or_default(),
        max_unit_rate: terms.max_unit_rate.to_string(),
        duration_s: terms.duration_s,
        window_blocks: terms.window_blocks,
        ttl_s: terms.ttl_s,
        start_timeout_s: terms.start_timeout_s,
        reclaim_min_s: terms.reclaim_min_s,
        min_uptime_ppm: terms.min_uptime_ppm,
        weights: terms.weights.to_vec(),
        manifest_hash: terms.manifest_hash.to_vec(),
        rounds: terms.rounds,
        state: number(state.number()),
        round: order.round,
        expires_at,
        close_height,
        extensions,
        best,
        bid_count,
        bid_seq,
        barred: order.barred.iter().map(ToString::to_string).collect(),
        served_s: order.served_s,
        created_at: order.created_at.value(),
        closed_at,
        close_reason,
        hold,
    }
}

fn best(best: &types::Best) -> Best {
    Best { eff: best.eff.to_string(), provider: best.provider.to_string() }
}

/// A bid.
pub fn bid(order_id: OrderId, provider: Address, bid: &types::Bid) -> Bid {
    Bid {
        order_id,
        provider: provider.to_string(),
        zone: bid.zone.to_string(),
        unit_rate: bid.unit_rate.to_string(),
        reclaim_s: bid.reclaim_s,
        parts: bid.parts.to_vec(),
        multiplier_ppm: bid.multiplier_ppm,
        eff: bid.eff().to_string(),
        seq: bid.seq,
        lock: bid.lock.to_string(),
        bond: bid.bond.to_string(),
        placed_height: bid.placed_height.value(),
    }
}

/// The live lease of an order.
pub fn live_lease(id: OrderId, order: &types::Order, lease: &types::Lease) -> Lease {
    Lease {
        state: number(match lease.stage {
            types::Stage::Starting(_) => 1,
            types::Stage::Active(_) => 2,
            types::Stage::Reclaiming(_) => 3,
        }),
        next_due: order.next().map_or(0, |(at, _)| at.value()),
        ..any_lease(id, order.round, order.tenant, &order.terms, lease)
    }
}

/// An ended lease.
pub fn ended_lease(id: OrderId, round: Round, terms: &types::Terms, ended: &types::EndedLease) -> Lease {
    Lease {
        state: number(4),
        gross: ended.gross.to_string(),
        closed_at: ended.closed_at.value(),
        close_reason: number(ended.reason.number()),
        ..any_lease(id, round, ended.tenant, terms, &ended.lease)
    }
}

fn any_lease(
    id: OrderId,
    round: Round,
    tenant: Address,
    terms: &types::Terms,
    lease: &types::Lease,
) -> Lease {
    let running = lease.stage.running();
    Lease {
        order_id: id,
        round,
        provider: lease.provider.to_string(),
        tenant: tenant.to_string(),
        class_id: terms.class_id,
        zone: lease.zone.to_string(),
        count: terms.count,
        unit_rate: lease.unit_rate.to_string(),
        rate: terms.rate(lease.unit_rate).to_string(),
        reclaim_s: lease.reclaim_s,
        lock: lease.lock.to_string(),
        bond: lease.bond.to_string(),
        state: 0,
        awarded_at: lease.awarded_at.value(),
        start_deadline: lease.awarded_at.saturating_plus(u64::from(terms.start_timeout_s)).value(),
        started_at: seconds(running.map(|running| running.started_at)),
        end_at: seconds(running.and_then(|running| running.end_at)),
        reclaim_deadline: seconds(lease.stage.reclaim_deadline()),
        low_funds: lease.low_funds,
        gross: "0".into(),
        next_due: 0,
        closed_at: 0,
        close_reason: 0,
    }
}

/// A decided round.
pub fn award(order_id: OrderId, round: Round, award: &types::Award) -> Award {
    let rows = award.rows.iter().map(|row| AwardRow {
        provider: row.provider.to_string(),
        zone: row.zone.to_string(),
        unit_rate: row.unit_rate.to_string(),
        delta_ppm: row.delta_ppm,
        parts: row.parts.to_vec(),
        multiplier_ppm: row.multiplier_ppm,
        eff: row.unit_rate.saturating_mul(u128::from(row.multiplier_ppm)).to_string(),
        weight: row.weight.to_string(),
    });
    Award {
        order_id,
        round,
        height: award.height.value(),
        seed: award.seed.to_vec(),
        best_eff: award.best_eff.to_string(),
        limit: award.limit.to_string(),
        winner: award.winner.to_string(),
        bidders: award.bidders,
        rows: rows.collect(),
    }
}

/// Why due work did not happen.
pub fn hold(hold: Hold) -> kernel_pb::Hold {
    kernel_pb::Hold {
        codespace: hold.codespace,
        code: hold.code,
        attempts: hold.attempts,
        retry_at: hold.retry_at.value(),
    }
}

/// The queue of an order in a state.
pub const fn queue(state: OrderState) -> DueQueue {
    match state {
        OrderState::Open | OrderState::Closed => DueQueue::Orders,
        OrderState::Bidding => DueQueue::Auctions,
        OrderState::Leased => DueQueue::Leases,
    }
}

/// The number of a proto enumeration's value.
pub fn number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or_default()
}

/// An instant that may not be there, as the wire has it.
pub fn seconds(at: Option<At<Billing>>) -> u64 {
    at.map_or(0, At::value)
}
