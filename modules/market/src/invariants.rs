//! The laws of the market's state (I2, I3, I5 to I10 and I12).

use std::collections::BTreeMap;

use kernel::{Address, Amount, Broken, Ctx, DerivedSink, Module as _, Result, entries_of};
use provider::Zone;

use crate::{
    STORE,
    params::BIDS_LIMIT,
    state::{AUCTIONS, AWARDS, BIDS, ENDED_LEASES, ORDERS, TOTALS, book},
    types::{Auction, Bid, Order, OrderId, Phase},
};

/// I5 by running totals: what the market thinks it has locked is what the providers think.
pub(crate) fn counters(ctx: &Ctx) -> Result<(), Broken> {
    let (ours, theirs) = (TOTALS.load(ctx)?.locked, provider::totals(ctx)?.locked);
    law("I5", ours == theirs, || {
        format!("bids and leases lock {ours} uflop, the providers have {theirs} locked")
    })
}

/// What live bids and leases hold of providers.
#[derive(Default)]
struct Held {
    locked: BTreeMap<Address, Amount>,
    /// Units that bids hold, and those that leases use.
    units: BTreeMap<(Address, u32, String), (u64, u64)>,
}

/// All records.
pub(crate) fn full(ctx: &Ctx) -> Result<(), Broken> {
    counters(ctx)?;
    let mut held = Held::default();
    let mut balance = Amount::ZERO;
    let mut rows = Vec::new();
    ORDERS.for_each(ctx, |id, order| {
        rows.push((id, order));
        Ok(())
    })?;
    for (id, order) in rows {
        balance = balance.plus(order.account.balance).map_err(kernel::Error::from)?;
        check_order(ctx, id, &order, &mut held)?;
    }
    let escrowed = bank::balance(ctx, &escrow::module_account(), &bank::ucredit())?;
    law("I2", escrowed == balance, || {
        format!("accounts hold {balance} ucredit, the module account {escrowed}")
    })?;
    check_orphans(ctx)?;
    check_providers(ctx, &held)?;
    check_entries(ctx)
}

fn check_order(ctx: &Ctx, id: OrderId, order: &Order, held: &mut Held) -> Result<(), Broken> {
    escrow::check_account(&order.account)?;
    law("I2", order.account.order == id && order.account.owner == order.tenant, || {
        format!("order {id} has the account {:?}", order.account)
    })?;
    let (rounds, barred) = (order.terms.rounds, order.barred.len());
    let barred_fit = u32::try_from(barred).is_ok_and(|barred| barred < rounds.max(1));
    law("I8", (1..=rounds).contains(&order.round) && barred_fit, || format!("order {id}: {order:?}"))?;
    let book = book(ctx, id)?;
    let auction = AUCTIONS.get(ctx, &id)?;
    law("I7", matches!(order.phase, Phase::Bidding(_)) == auction.is_some(), || {
        format!("order {id} is {}, its auction is {auction:?}", order.state().name())
    })?;
    law("I7", auction.is_some() || book.is_empty(), || format!("order {id} has bids without an auction"))?;
    if let Some(auction) = auction {
        check_auction(id, order, &auction, &book)?;
    }
    for (provider, bid) in &book {
        held.bid(order, *provider, bid)?;
    }
    match &order.phase {
        Phase::Leased(lease) => {
            let running = lease.stage.running().map(|_| (lease.provider, order.terms.rate(lease.unit_rate)));
            let stream = order.account.payee.map(|payee| (payee, order.account.rate)) == running;
            law("I8", stream && lease.bond <= lease.lock, || format!("order {id}: {order:?}"))?;
            let ended = ENDED_LEASES.has(ctx, &(id, order.round))?;
            law("I8", !ended, || format!("order {id} has a live and an ended lease of one round"))?;
            held.lease(order)?;
        }
        Phase::Closed(_) => {
            law("I9", order.account.balance.is_zero(), || format!("order {id} is closed and has money"))?;
        }
        _ => law("I8", order.account.payee.is_none(), || format!("order {id} pays without a lease"))?,
    }
    Ok(())
}

fn check_auction(
    id: OrderId,
    order: &Order,
    auction: &Auction,
    book: &[(Address, Bid)],
) -> Result<(), Broken> {
    let count = u32::try_from(book.len()).unwrap_or(u32::MAX);
    law("I7", count == auction.bid_count && (1..=BIDS_LIMIT).contains(&count), || {
        format!("order {id} has {count} bids: {auction:?}")
    })?;
    let best = book.first().map(|(provider, bid)| (bid.eff(), *provider));
    law("I7", best == Some((auction.best.eff, auction.best.provider)), || {
        format!("order {id}: the best bid is {best:?}: {auction:?}")
    })?;
    let sound = |bid: &Bid| bid.seq <= auction.bid_seq && bid.bond <= bid.lock;
    law("I7", book.iter().all(|(_, bid)| sound(bid)), || {
        format!("order {id}: a bid does not fit {auction:?}")
    })?;
    law("I9", order.hold.is_none(), || format!("order {id} is on hold beside its auction"))
}

impl Held {
    fn bid(&mut self, order: &Order, provider: Address, bid: &Bid) -> Result<()> {
        let units = self.add(provider, order.terms.class_id, &bid.zone, bid.lock)?;
        units.0 = units.0.saturating_add(u64::from(order.terms.count));
        Ok(())
    }

    fn lease(&mut self, order: &Order) -> Result<()> {
        let Some(lease) = order.lease() else { return Ok(()) };
        let units = self.add(lease.provider, order.terms.class_id, &lease.zone, lease.lock)?;
        units.1 = units.1.saturating_add(u64::from(order.terms.count));
        Ok(())
    }

    fn add(
        &mut self,
        provider: Address,
        class_id: u32,
        zone: &Zone,
        lock: Amount,
    ) -> Result<&mut (u64, u64)> {
        let locked = self.locked.entry(provider).or_default();
        *locked = locked.plus(lock)?;
        Ok(self.units.entry((provider, class_id, zone.to_string())).or_default())
    }
}

/// Every bid, auction, award and ended lease belongs to an order.
fn check_orphans(ctx: &Ctx) -> Result<(), Broken> {
    let mut orphan = None;
    BIDS.for_each(ctx, |(id, _), _| note(ctx, id, &mut orphan))?;
    AUCTIONS.for_each(ctx, |id, _| note(ctx, id, &mut orphan))?;
    ENDED_LEASES.for_each(ctx, |(id, _), _| note(ctx, id, &mut orphan))?;
    AWARDS.for_each(ctx, |(id, _), _| note(ctx, id, &mut orphan))?;
    law("I8", orphan.is_none(), || format!("rows of order {orphan:?} without the order"))
}

fn note(ctx: &Ctx, id: OrderId, orphan: &mut Option<OrderId>) -> Result<()> {
    if !ORDERS.has(ctx, &id)? {
        *orphan = Some(id);
    }
    Ok(())
}

/// I5 and I6: what providers think is locked, reserved and leased is what bids and leases hold.
fn check_providers(ctx: &Ctx, held: &Held) -> Result<(), Broken> {
    let theirs = provider::ProviderModule::export_genesis(ctx)?;
    for provider in &theirs.providers {
        let (owner, has) = (provider.owner, provider.stake_locked);
        let ours = held.locked.get(&owner).copied().unwrap_or_default();
        law("I5", ours == has, || format!("{owner}: bids and leases lock {ours} uflop, it has {has}"))?;
    }
    for row in &theirs.lines {
        let (owner, class_id, zone) = (row.provider, row.class_id, row.zone.to_string());
        let has = (u64::from(row.line.reserved), u64::from(row.line.leased));
        let ours = held.units.get(&(owner, class_id, zone)).copied().unwrap_or_default();
        law("I6", ours == has, || {
            format!("{owner} {class_id} {}: bids and leases hold {ours:?}, not {has:?}", row.zone)
        })?;
    }
    let known = |owner: &Address| theirs.providers.iter().any(|provider| provider.owner == *owner);
    law("I5", held.locked.keys().all(known), || "a bid or a lease of an unknown provider".to_owned())?;
    let used = |row: &&provider::LineRow| row.line.used() > 0;
    law("I6", theirs.lines.iter().filter(used).count() == held.units.len(), || {
        "bids or leases hold units of a line that is not there".to_owned()
    })
}

/// I9 and I12: the entries of indexes and queues are exactly those that the records give. With [`Order::next`] as the only
/// source of a due time, that puts every live order in exactly one queue at its time.
fn check_entries(ctx: &Ctx) -> Result<(), Broken> {
    let mut sink = DerivedSink::default();
    ORDERS.collect(ctx, &mut sink)?;
    AUCTIONS.collect(ctx, &mut sink)?;
    BIDS.collect(ctx, &mut sink)?;
    ENDED_LEASES.collect(ctx, &mut sink)?;
    let there = entries_of(ctx, STORE)?;
    let differ = there.symmetric_difference(sink.entries()).next();
    law("I12", differ.is_none(), || format!("the entry {differ:?} is not on both sides"))
}

fn law(id: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::law(id, detail())) }
}
