//! The module's part of the genesis document: its whole state but what follows from it. `init` takes what `export` gives.

use kernel::{
    Address, Amount, Broken, Ctx, Error, ONE_PPM, Reject, Result, chain, chain::Schema, num::product_le,
};
use serde::{Deserialize, Serialize};

use crate::{
    SCHEMA_VERSION, invariants,
    params::{BIDS_LIMIT, LIST_LIMIT, Params},
    state::{AUCTIONS, AWARDS, BIDS, ENDED_LEASES, ORDERS, PARAMS, SCHEMA, TOTALS, book},
    types::{Auction, Award, Bid, EndedLease, Order, OrderId, Round, Totals},
};

/// The whole state of the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The parameters.
    #[serde(default)]
    pub params: Params,
    /// The number of the last order.
    #[serde(default)]
    pub last_order: OrderId,
    /// By number. The bank's genesis holds the sum of their balances in `escrow`.
    #[serde(default)]
    pub orders: Vec<OrderRow>,
}

/// An order and all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRow {
    /// Its number.
    pub id: OrderId,
    /// The order.
    pub order: Order,
    /// Its auction, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<Auction>,
    /// The bids of its auction, by provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bids: Vec<BidRow>,
    /// Its decided rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<RoundRow>,
}

/// A bid and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BidRow {
    /// The provider.
    pub provider: Address,
    /// The bid.
    pub bid: Bid,
}

/// A decided round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundRow {
    /// The round.
    pub round: Round,
    /// How it was decided.
    pub award: Award,
    /// The lease that came of it; absent while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<EndedLease>,
}

pub(crate) fn init(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
    genesis.params.check(chain::PARAMS.load(ctx)?.max_billing_step_s)?;
    SCHEMA.set(ctx, &Schema { version: SCHEMA_VERSION })?;
    PARAMS.set(ctx, &genesis.params)?;
    let mut totals = Totals { last_order: genesis.last_order, locked: Amount::ZERO };
    for (row, order) in genesis.orders.into_iter().enumerate() {
        let known = (1..=totals.last_order).contains(&order.id) && !ORDERS.has(ctx, &order.id)?;
        expect(known, || format!("orders[{row}].id: expected each number once, 1 to last_order"))?;
        check_row(&order).map_err(|what| Reject::invalid_request(format!("orders[{row}].{what}")))?;
        init_order(ctx, order, &genesis.params, &mut totals)?;
    }
    TOTALS.set(ctx, &totals)?;
    invariants::full(ctx).map_err(|broken| match broken {
        Broken::Law { .. } => Reject::invalid_request(format!("market: {broken}")).into(),
        Broken::Error(error) => error,
    })
}

/// What no parameters could have let an order become: longer lists than due work on it has gas for, or a ceiling that no
/// stream can have.
fn check_row(row: &OrderRow) -> Result<(), String> {
    let (order, terms) = (&row.order, &row.order.terms);
    let sound = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    sound(
        (1..=LIST_LIMIT).contains(&terms.rounds),
        &format!("order.terms.rounds: expected 1 to {LIST_LIMIT}"),
    )?;
    sound(
        at_most(terms.zones.len(), LIST_LIMIT),
        &format!("order.terms.zones: expected at most {LIST_LIMIT}"),
    )?;
    sound(terms.count > 0, "order.terms.count: expected above 0")?;
    let rate_fits = product_le(terms.max_unit_rate, u128::from(terms.count), escrow::RATE_MAX, 1);
    sound(
        terms.max_unit_rate > 0 && rate_fits,
        "order.terms.max_unit_rate: expected above 0, and with count at most 10^28",
    )?;
    sound(
        terms.weights.iter().all(|weight| *weight <= ONE_PPM),
        "order.terms.weights: expected at most 1000000 each",
    )?;
    sound(at_most(row.bids.len(), BIDS_LIMIT), &format!("bids: expected at most {BIDS_LIMIT}"))?;
    let mut before = 0;
    for (place, RoundRow { round, award, .. }) in row.rounds.iter().enumerate() {
        if *round <= before || *round > order.round {
            let round_max = order.round;
            return Err(format!("rounds[{place}].round: expected 1 to {round_max}, ascending"));
        }
        if !at_most(award.rows.len(), BIDS_LIMIT) {
            return Err(format!("rounds[{place}].award.rows: expected at most {BIDS_LIMIT}"));
        }
        before = *round;
    }
    Ok(())
}

fn at_most(length: usize, max: u32) -> bool {
    u32::try_from(length).is_ok_and(|length| length <= max)
}

fn init_order(ctx: &mut Ctx, row: OrderRow, params: &Params, totals: &mut Totals) -> Result<()> {
    let id = row.id;
    escrow::import(ctx, &row.order.account)?;
    if let Some(lease) = row.order.lease() {
        totals.locked = totals.locked.plus(lease.lock)?;
    }
    ORDERS.create(ctx, &id, &row.order)?;
    for BidRow { provider, bid } in row.bids {
        totals.locked = totals.locked.plus(bid.lock)?;
        BIDS.create(ctx, &(id, provider), &bid)?;
    }
    for RoundRow { round, award, lease } in row.rounds {
        AWARDS.set(ctx, &(id, round), &award)?;
        if let Some(lease) = lease {
            ENDED_LEASES.create(ctx, &(id, round), &lease)?;
        }
    }
    let Some(auction) = row.auction else { return Ok(()) };
    // The seeds of the old chain are gone: an auction that ran out undecided is decided by the first block of the new one,
    // which takes no bid for it. Nor may one wait for the heights of an old chain that the new one begins far below: it runs
    // at most as long as an auction whose first bid, or last extension, is of the first block.
    let blocks_max = u64::from(row.order.terms.window_blocks.max(params.soft_blocks.saturating_add(1)));
    let first = ctx.block.height;
    let close_height = auction.close_height.max(first).min(first.saturating_plus(blocks_max));
    AUCTIONS.create(ctx, &id, &Auction { close_height, ..auction }).map(drop)
}

pub(crate) fn export(ctx: &Ctx) -> Result<Genesis> {
    let totals = TOTALS.load(ctx)?;
    let mut genesis =
        Genesis { params: PARAMS.load(ctx)?, last_order: totals.last_order, orders: Vec::new() };
    ORDERS.for_each(ctx, |id, order| {
        let auction = AUCTIONS.get(ctx, &id)?.map(|auction| Auction { hold: None, ..auction });
        let mut bids: Vec<_> =
            book(ctx, id)?.into_iter().map(|(provider, bid)| BidRow { provider, bid }).collect();
        bids.sort_by_key(|row| row.provider);
        let mut rounds = Vec::new();
        for round in 1..=order.round {
            if let Some(award) = AWARDS.get(ctx, &(id, round))? {
                let lease = ENDED_LEASES.get(ctx, &(id, round))?;
                rounds.push(RoundRow { round, award, lease });
            }
        }
        let order = Order { hold: None, ..order };
        genesis.orders.push(OrderRow { id, order, auction, bids, rounds });
        Ok(())
    })?;
    Ok(genesis)
}

fn expect(holds: bool, text: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Reject::invalid_request(text()).into()) }
}
