//! Bids. A message's guards are one function that changes nothing and returns all that placing the bid changes, so that
//! `Query/QuoteBid` asks the same guards.

use kernel::{Address, Amount, At, Authorized, Ctx, Height, Result};
use provider::{Line, Provider};

use super::orders::{require_rate, require_reclaim};
use crate::{
    award::release_bid,
    block::advance,
    errors::Error,
    events::{AuctionExtended, BidCreated, BidEvicted, BidImproved, BidWithdrawn},
    formulas,
    msgs::{CreateBid, ImproveBid, WithdrawBid},
    params::Params,
    pb,
    state::{self, AUCTIONS, BIDS, ORDERS},
    types::{Auction, Best, Bid, Bidding, Order, OrderId, Phase, Terms},
};

/// A bid or an improvement that has passed every guard, with what it makes of the auction.
pub(crate) struct Placement {
    bidder: Provider,
    /// The line that the bid is for; an improvement changes none.
    line: Option<Line>,
    order: Order,
    auction: Auction,
    bid: Bid,
    /// It is the order's first bid of the round.
    opens: bool,
    /// It came in the ending of the auction.
    extends: bool,
    /// Who makes room for it.
    evicted: Option<(Address, Bid)>,
    /// The bid before its improvement.
    before: Option<Bid>,
}

/// Offers units for an order. Binding while it may win, so that no bid can shield another and go: see [`withdraw_bid`].
pub(crate) fn create_bid(ctx: &mut Ctx, msg: Authorized<CreateBid>) -> Result<pb::MsgCreateBidResponse> {
    let (id, provider) = (msg.order, msg.provider);
    let order = advance(ctx, id)?;
    let Placement { bidder, line, mut order, auction, bid, opens, extends, evicted, .. } =
        check_create(ctx, msg.actor(), &msg, order, ctx.block.height)?;
    let (round, leads) = (order.round, auction.best.provider == provider);

    // From here on nothing may fail but storage.
    let freed = evicted.as_ref().map_or(Amount::ZERO, |(_, bid)| bid.lock);
    if let Some((evicted, bid)) = evicted {
        release_bid(ctx, &order.terms, evicted, &bid)?;
        BIDS.remove(ctx, &(id, evicted))?;
        ctx.emit(&BidEvicted { order_id: id, round, provider: evicted });
    }
    let line = line.ok_or(kernel::Overflow)?;
    let (class_id, count) = (order.terms.class_id, order.terms.count);
    provider::reserve(ctx, bidder, class_id, &bid.zone, line, count, bid.lock)?;
    state::count_locked(ctx, freed, bid.lock)?;
    if opens {
        order.phase = Phase::Bidding(Bidding {});
        ORDERS.update(ctx, &id, &order)?;
    }
    if extends {
        ctx.emit(&extended(id, round, &auction));
    }
    ctx.emit(&BidCreated {
        order_id: id,
        round,
        provider,
        zone: bid.zone.clone(),
        unit_rate: bid.unit_rate,
        reclaim_s: bid.reclaim_s,
        parts: bid.parts,
        multiplier_ppm: bid.multiplier_ppm,
        eff: bid.eff(),
        seq: bid.seq,
        leads,
        close_height: auction.close_height,
        lock: bid.lock,
        bond: bid.bond,
    });
    BIDS.create(ctx, &(id, provider), &bid)?;
    AUCTIONS.update(ctx, &id, &auction)?;
    Ok(pb::MsgCreateBidResponse {
        round,
        multiplier_ppm: bid.multiplier_ppm,
        eff: bid.eff().to_string(),
        leads,
        close_height: auction.close_height.value(),
        lock: bid.lock.to_string(),
        bond: bid.bond.to_string(),
    })
}

/// Lowers the price of a bid.
pub(crate) fn improve_bid(ctx: &mut Ctx, msg: Authorized<ImproveBid>) -> Result<pb::MsgImproveBidResponse> {
    let (id, provider) = (msg.order, msg.provider);
    let order = advance(ctx, id)?;
    let Placement { bidder, order, auction, bid, extends, before, .. } =
        check_improve(ctx, msg.actor(), &msg, order, ctx.block.height)?;
    let (round, leads) = (order.round, auction.best.provider == provider);

    // From here on nothing may fail but storage.
    let locked_before = before.map_or(bid.lock, |before| before.lock);
    provider::relock(ctx, bidder, locked_before, bid.lock)?;
    state::count_locked(ctx, locked_before, bid.lock)?;
    if extends {
        ctx.emit(&extended(id, round, &auction));
    }
    ctx.emit(&BidImproved {
        order_id: id,
        round,
        provider,
        unit_rate: bid.unit_rate,
        eff: bid.eff(),
        seq: bid.seq,
        leads,
        close_height: auction.close_height,
        lock: bid.lock,
    });
    BIDS.update(ctx, &(id, provider), &bid)?;
    AUCTIONS.update(ctx, &id, &auction)?;
    Ok(pb::MsgImproveBidResponse {
        eff: bid.eff().to_string(),
        leads,
        close_height: auction.close_height.value(),
        lock: bid.lock.to_string(),
    })
}

/// Takes back a bid beyond the band above the best. The best only falls, and who has bid can't leave, so it would not be
/// drawn: a cheap order, or one whose price has fallen, does not hold its losers' units to the close.
pub(crate) fn withdraw_bid(
    ctx: &mut Ctx,
    msg: Authorized<WithdrawBid>,
) -> Result<pb::MsgWithdrawBidResponse> {
    let (id, height) = (msg.order, ctx.block.height);
    let order = advance(ctx, id)?;
    let provider = provider::load(ctx, &msg.provider)?;
    provider::require_operator(&provider, msg.actor())?;
    let order = order.ok_or(Error::UnknownOrder { id })?;
    let mut auction = running_auction(ctx, id, height)?.ok_or(Error::OrderNotBiddable { id, height })?;
    let bid = BIDS.get(ctx, &(id, msg.provider))?;
    let bid = bid.ok_or(Error::UnknownBid { id, provider: msg.provider })?;
    let limit = formulas::limit(auction.best.eff, state::params(ctx)?.band_ppm);
    if bid.eff() <= limit {
        return Err(Error::BidBinding { id, unit_rate: bid.unit_rate, limit: bid.unit_rate_at(limit) }.into());
    }

    // From here on nothing may fail but storage.
    auction.bid_count = auction.bid_count.saturating_sub(1);
    release_bid(ctx, &order.terms, msg.provider, &bid)?;
    state::count_locked(ctx, bid.lock, Amount::ZERO)?;
    BIDS.remove(ctx, &(id, msg.provider))?;
    AUCTIONS.update(ctx, &id, &auction)?;
    ctx.emit(&BidWithdrawn { order_id: id, round: order.round, provider: msg.provider });
    Ok(pb::MsgWithdrawBidResponse { freed: bid.lock.to_string() })
}

/// The guards of MsgCreateBid in a block of `height`, in their order. An order that should have expired by now is not open.
pub(crate) fn check_create(
    ctx: &Ctx,
    actor: Address,
    msg: &CreateBid,
    order: Option<Order>,
    height: At<Height>,
) -> Result<Placement> {
    let id = msg.order;
    let provider = provider::load(ctx, &msg.provider)?;
    provider::require_operator(&provider, actor)?;
    provider::require_active(&provider)?;
    let order = order.ok_or(Error::UnknownOrder { id })?;
    let auction = running_auction(ctx, id, height)?;
    let open = order.open().is_some_and(|open| ctx.block.billing < open.expires_at);
    if auction.is_none() && !open {
        return Err(Error::OrderNotBiddable { id, height }.into());
    }
    require_bidder(id, &order, &provider)?;
    if BIDS.has(ctx, &(id, msg.provider))? {
        return Err(Error::BidExists { id, provider: msg.provider }.into());
    }
    let params = state::params(ctx)?;
    require_offer(id, &order.terms, &params, msg)?;
    let (uptime_ppm, min_ppm) = (provider.uptime_ppm, order.terms.min_uptime_ppm);
    if uptime_ppm < min_ppm {
        return Err(Error::UptimeTooLow { uptime_ppm, min_ppm }.into());
    }
    let line = provider::line(ctx, msg.provider, order.terms.class_id, &msg.zone)?;
    let (free, count) = (line.as_ref().map_or(0, Line::free), order.terms.count);
    if free < count {
        return Err(Error::InsufficientCapacity { count, free }.into());
    }
    let stake = provider::params(ctx)?;
    provider::require_stake(&provider, &stake, provider.required_uc)?;
    let mut bid = appraise(ctx, &provider, &order.terms, msg, &params, &stake)?;
    provider::require_free_stake(&provider, bid.lock)?;
    let bidder = provider;
    let Some(mut auction) = auction else {
        bid.seq = 1;
        let auction = first_auction(&order.terms, msg.provider, &bid, height)?;
        let (evicted, before) = (None, None);
        let (opens, extends) = (true, false);
        return Ok(Placement { bidder, line, order, auction, bid, opens, extends, evicted, before });
    };
    let extends = enter(&auction, &bid, height, &params)?;
    let evicted = make_room(ctx, id, &auction, &bid, &params)?;
    auction.bid_count = auction.bid_count.saturating_add(u32::from(evicted.is_none()));
    bid.seq = admit(&mut auction, msg.provider, bid.eff(), extends, height, &params)?;
    Ok(Placement { bidder, line, order, auction, bid, opens: false, extends, evicted, before: None })
}

/// The guards of MsgImproveBid in a block of `height`, in their order.
pub(crate) fn check_improve(
    ctx: &Ctx,
    actor: Address,
    msg: &ImproveBid,
    order: Option<Order>,
    height: At<Height>,
) -> Result<Placement> {
    let id = msg.order;
    let provider = provider::load(ctx, &msg.provider)?;
    provider::require_operator(&provider, actor)?;
    let order = order.ok_or(Error::UnknownOrder { id })?;
    let mut auction = running_auction(ctx, id, height)?.ok_or(Error::OrderNotBiddable { id, height })?;
    let before = BIDS.get(ctx, &(id, msg.provider))?;
    let before = before.ok_or(Error::UnknownBid { id, provider: msg.provider })?;
    require_rate(msg.unit_rate, order.terms.max_unit_rate)?;
    let params = state::params(ctx)?;
    let (unit_rate, max) = (msg.unit_rate, formulas::improved_max(before.unit_rate, params.step_ppm));
    if unit_rate > max {
        return Err(Error::StepTooSmall { unit_rate, max }.into());
    }
    let stake = provider::params(ctx)?;
    let lock = formulas::lock(&order.terms, unit_rate, before.bond, &params, &stake)?;
    provider::require_free_stake(&provider, lock.saturating_minus(before.lock))?;
    let mut bid = Bid { unit_rate, lock, ..before.clone() };
    let extends = enter(&auction, &bid, height, &params)?;
    bid.seq = admit(&mut auction, msg.provider, bid.eff(), extends, height, &params)?;
    let (line, opens, evicted, before) = (None, false, None, Some(before));
    Ok(Placement { bidder: provider, line, order, auction, bid, opens, extends, evicted, before })
}

/// What a bid at a price is worth to an order and what it locks. Its number is given when it is admitted.
pub(crate) fn appraise(
    ctx: &Ctx,
    provider: &Provider,
    terms: &Terms,
    msg: &CreateBid,
    params: &Params,
    stake: &provider::Params,
) -> Result<Bid> {
    let scores = provider.scores(stake, ctx.block.billing);
    let parts = formulas::parts(&scores, &msg.zone, terms.near.as_ref());
    let bond = formulas::bond(terms, params, stake)?;
    Ok(Bid {
        zone: msg.zone.clone(),
        unit_rate: msg.unit_rate,
        reclaim_s: msg.reclaim_s,
        parts,
        multiplier_ppm: formulas::multiplier_ppm(&terms.weights, &parts),
        seq: 0,
        lock: formulas::lock(terms, msg.unit_rate, bond, params, stake)?,
        bond,
        placed_height: ctx.block.height,
    })
}

/// The auction of an order; rejects one that has run out by `height` and waits for its decision. `None`: there is none.
fn running_auction(ctx: &Ctx, id: OrderId, height: At<Height>) -> Result<Option<Auction>> {
    match AUCTIONS.get(ctx, &id)? {
        Some(auction) if height >= auction.close_height => Err(Error::OrderNotBiddable { id, height }.into()),
        auction => Ok(auction),
    }
}

fn require_bidder(id: OrderId, order: &Order, provider: &Provider) -> Result<(), Error> {
    if provider.is_operator(&order.tenant) {
        return Err(Error::OwnOrder { id, tenant: order.tenant, provider: provider.owner });
    }
    if order.barred.contains(&provider.owner) {
        return Err(Error::Barred { id, provider: provider.owner });
    }
    Ok(())
}

fn require_offer(id: OrderId, terms: &Terms, params: &Params, msg: &CreateBid) -> Result<(), Error> {
    require_rate(msg.unit_rate, terms.max_unit_rate)?;
    if !terms.zones.iter().any(|zone| zone.matches(&msg.zone)) {
        return Err(Error::ZoneNotAllowed { id, zone: msg.zone.to_string() });
    }
    require_reclaim(msg.reclaim_s, terms.reclaim_min_s, params.reclaim_s_max)
}

/// Whether a bid may enter the auction now, and whether it extends it: near the close it must lead by all steps so far.
fn enter(auction: &Auction, bid: &Bid, height: At<Height>, params: &Params) -> Result<bool, Error> {
    let extends = auction.close_height.since(height) <= u64::from(params.soft_blocks);
    let max = formulas::leading_max(auction.best.eff, params.step_ppm, auction.extensions);
    if extends && bid.eff() > max {
        return Err(Error::NotLeading { unit_rate: bid.unit_rate, max: bid.unit_rate_at(max) });
    }
    let extensions = auction.extensions;
    if extensions >= params.extensions_max {
        return Err(Error::AuctionEnding { extensions });
    }
    Ok(extends)
}

/// The last bid of a full book, if the new one is better.
fn make_room(
    ctx: &Ctx,
    id: OrderId,
    auction: &Auction,
    bid: &Bid,
    params: &Params,
) -> Result<Option<(Address, Bid)>> {
    if auction.bid_count < params.bids_max {
        return Ok(None);
    }
    match state::book(ctx, id)?.pop() {
        Some((_, last)) if bid.eff() >= last.eff() => {
            let max = bid.unit_rate_at(last.eff().saturating_sub(1));
            Err(Error::BookFull { unit_rate: bid.unit_rate, max }.into())
        }
        last => Ok(last),
    }
}

fn first_auction(terms: &Terms, provider: Address, bid: &Bid, height: At<Height>) -> Result<Auction> {
    Ok(Auction {
        best: Best { eff: bid.eff(), provider },
        bid_count: 1,
        bid_seq: bid.seq,
        close_height: height.plus(u64::from(terms.window_blocks))?,
        extensions: 0,
        hold: None,
    })
}

/// Takes a price into the auction; returns its number.
fn admit(
    auction: &mut Auction,
    provider: Address,
    eff: u128,
    extends: bool,
    height: At<Height>,
    params: &Params,
) -> Result<u64> {
    auction.bid_seq = auction.bid_seq.checked_add(1).ok_or(kernel::Overflow)?;
    if extends {
        auction.extensions = auction.extensions.saturating_add(1);
        auction.close_height = height.plus(u64::from(params.soft_blocks).saturating_add(1))?;
    }
    if eff < auction.best.eff {
        auction.best = Best { eff, provider };
    }
    Ok(auction.bid_seq)
}

fn extended(order_id: OrderId, round: u32, auction: &Auction) -> AuctionExtended {
    let (extensions, close_height) = (auction.extensions, auction.close_height);
    AuctionExtended { order_id, round, extensions, close_height }
}
