//! How an auction ends: the draw among the best bids, and what becomes of all of them.

use kernel::{Address, Amount, Ctx, Result, chain};

use crate::{
    events::{BidLost, OrderAwarded},
    formulas,
    state::{self, AUCTIONS, AWARDS, BIDS, ORDERS},
    transitions::reopen,
    types::{Auction, Award, AwardRow, Bid, Lease, Order, OrderId, Phase, Stage, Starting, Terms},
};

/// Decides the auction of an order (T2). The seed is that of the height at which it closed, so a late queue draws the
/// same winner. The winner's units and stake have been held since its bid: an award can't fail for lack of them.
pub(crate) fn decide(ctx: &mut Ctx, id: &OrderId) -> Result<()> {
    let (Some(mut order), Some(auction)) = (ORDERS.get(ctx, id)?, AUCTIONS.get(ctx, id)?) else {
        return Ok(());
    };
    if ctx.block.height < auction.close_height {
        return Ok(());
    }
    let book = state::book(ctx, *id)?;
    let award = draw(ctx, *id, &order, &auction, &book)?;
    let winner = award.as_ref().map(|award| award.winner);

    AUCTIONS.remove(ctx, id)?;
    let mut freed = Amount::ZERO;
    for (provider, bid) in book {
        BIDS.remove(ctx, &(*id, provider))?;
        if Some(provider) == winner {
            order.phase = Phase::Leased(win(ctx, &order.terms, provider, bid)?);
            continue;
        }
        release_bid(ctx, &order.terms, provider, &bid)?;
        ctx.emit(&BidLost { order_id: *id, round: order.round, provider });
        freed = freed.plus(bid.lock)?;
    }
    state::count_locked(ctx, freed, Amount::ZERO)?;
    match award {
        None => reopen(ctx, *id, &mut order),
        Some(award) => record(ctx, *id, &order, &award)?,
    }
    ORDERS.update(ctx, id, &order)
}

/// Draws the winner: only bids of active providers whose price is within the band above the best of them take part, the
/// cheaper the likelier. `None`: nobody is eligible.
fn draw(
    ctx: &Ctx,
    id: OrderId,
    order: &Order,
    auction: &Auction,
    book: &[(Address, Bid)],
) -> Result<Option<Award>> {
    let mut eligible = Vec::with_capacity(book.len());
    for (provider, bid) in book {
        if provider::get(ctx, provider)?.is_some_and(|provider| provider.is_active()) {
            eligible.push((*provider, bid));
        }
    }
    let Some(best_eff) = eligible.first().map(|(_, bid)| bid.eff()) else { return Ok(None) };
    let limit = formulas::limit(best_eff, state::params(ctx)?.band_ppm);
    let candidates = eligible.iter().filter(|(_, bid)| bid.eff() <= limit);
    let rows: Vec<_> = candidates.map(|(provider, bid)| row(&order.terms, *provider, bid, limit)).collect();

    let seed = chain::seed(ctx, auction.close_height)?;
    let weights: Vec<u128> = rows.iter().map(|row| row.weight).collect();
    let drawn = formulas::draw(&ctx.block.chain_id, id, order.round, &seed, &weights);
    let winner = drawn.and_then(|index| rows.get(index)).map(|row| row.provider);
    let (height, bidders) = (auction.close_height, auction.bid_count);
    Ok(winner.map(|winner| Award { height, seed, best_eff, limit, winner, bidders, rows }))
}

fn row(terms: &Terms, provider: Address, bid: &Bid, limit: u128) -> AwardRow {
    AwardRow {
        provider,
        zone: bid.zone.clone(),
        unit_rate: bid.unit_rate,
        delta_ppm: formulas::delta_ppm(terms.max_unit_rate, bid.unit_rate),
        parts: bid.parts,
        multiplier_ppm: bid.multiplier_ppm,
        weight: limit.saturating_sub(bid.eff()).saturating_add(1),
    }
}

/// The bid becomes a lease: its units are leased, its lock stays.
fn win(ctx: &mut Ctx, terms: &Terms, provider: Address, bid: Bid) -> Result<Lease> {
    provider::commit(ctx, provider, terms.class_id, &bid.zone, terms.count)?;
    let now = ctx.block.billing;
    let deadline = now.saturating_plus(u64::from(terms.start_timeout_s));
    Ok(Lease {
        provider,
        zone: bid.zone,
        unit_rate: bid.unit_rate,
        reclaim_s: bid.reclaim_s,
        lock: bid.lock,
        bond: bid.bond,
        awarded_at: now,
        stage: Stage::Starting(Starting { deadline }),
        low_funds: false,
    })
}

/// Frees what a bid holds; the caller deletes it and counts its lock.
pub(crate) fn release_bid(ctx: &mut Ctx, terms: &Terms, provider: Address, bid: &Bid) -> Result<()> {
    provider::unreserve(ctx, provider, terms.class_id, &bid.zone, terms.count, bid.lock)
}

fn record(ctx: &mut Ctx, id: OrderId, order: &Order, award: &Award) -> Result<()> {
    let row = award.rows.iter().find(|row| row.provider == award.winner);
    let deadline = ctx.block.billing.saturating_plus(u64::from(order.terms.start_timeout_s));
    ctx.emit(&OrderAwarded {
        order_id: id,
        round: order.round,
        winner: award.winner,
        unit_rate: row.map_or(0, |row| row.unit_rate),
        seed: award.seed,
        bidders: award.bidders,
        start_deadline: deadline,
    });
    AWARDS.set(ctx, &(id, order.round), award).map(drop)
}
