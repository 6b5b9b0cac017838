//! The tables of the market, their indexes and queues, and the functions that write more than one of them. All tags are
//! here and pinned by test.

use kernel::{
    Address, Amount, Billing, Ctx, Derived, DerivedSink, Due, DueQueue, Fatal, Height, Hold, Indexed,
    IndexedMap, Item, Map, Overflow, Result, View,
    chain::{Schema, schema},
};

use crate::{
    STORE,
    msgs::Msg,
    params::Params,
    types::{Auction, Award, Bid, EndedLease, Order, OrderId, Phase, Round, Totals},
};

pub(crate) const SCHEMA: Item<Schema> = schema(STORE);
pub(crate) const PARAMS: Item<Params> = Item::new(STORE, 1);
pub(crate) const TOTALS: Item<Totals> = Item::new(STORE, 2);
/// Orders with their live leases and their money.
pub const ORDERS: IndexedMap<OrderId, Order> = IndexedMap::new(STORE, 3);
/// Running auctions.
pub const AUCTIONS: IndexedMap<OrderId, Auction> = IndexedMap::new(STORE, 4);
/// Bids of running auctions.
pub const BIDS: IndexedMap<(OrderId, Address), Bid> = IndexedMap::new(STORE, 5);
/// Ended leases, until their order is pruned.
pub const ENDED_LEASES: IndexedMap<(OrderId, Round), EndedLease> = IndexedMap::new(STORE, 6);
/// Decided rounds, until their order is pruned.
pub const AWARDS: Map<(OrderId, Round), Award> = Map::new(STORE, 7);

/// Orders by state.
pub(crate) const ORDERS_BY_STATE: u8 = 0x10;
/// Orders by state and class.
pub(crate) const ORDERS_BY_STATE_AND_CLASS: u8 = 0x18;
/// Orders by class.
pub(crate) const ORDERS_BY_CLASS: u8 = 0x19;
/// Orders by tenant.
pub(crate) const ORDERS_BY_TENANT: u8 = 0x11;
/// Orders with a live lease, by its tenant.
pub(crate) const LEASES_BY_TENANT: u8 = 0x12;
/// Orders with a live lease, by its provider.
pub(crate) const LEASES_BY_PROVIDER: u8 = 0x13;
/// Ended leases by tenant.
pub(crate) const ENDED_BY_TENANT: u8 = 0x14;
/// Ended leases by provider.
pub(crate) const ENDED_BY_PROVIDER: u8 = 0x15;
/// Bids by provider.
pub(crate) const BIDS_BY_PROVIDER: u8 = 0x16;
/// Orders on hold, whether they themselves or their auctions are.
pub(crate) const HELD: u8 = 0x17;

/// Orders by the time at which their lease next changes.
pub const DUE_LEASES: DueQueue<Billing, OrderId, Order> = DueQueue::new(ORDERS, 0x20);
/// Auctions by the height at which they are decided.
pub const DUE_AUCTIONS: DueQueue<Height, OrderId, Auction> = DueQueue::new(AUCTIONS, 0x21);
/// Orders by the time at which they expire or are deleted.
pub const DUE_ORDERS: DueQueue<Billing, OrderId, Order> = DueQueue::new(ORDERS, 0x22);
/// Orders on hold by the height at which they are tried again.
pub const HELD_ORDERS: DueQueue<Height, OrderId, Order> = DueQueue::new(ORDERS, 0x23);
/// Auctions on hold by the height at which they are tried again.
pub const HELD_AUCTIONS: DueQueue<Height, OrderId, Auction> = DueQueue::new(AUCTIONS, 0x24);
/// Auctions on hold by the height whose seed decides them, which must be kept until then.
pub(crate) const HELD_SEEDS: DueQueue<Height, OrderId, Auction> = DueQueue::new(AUCTIONS, 0x25);

impl Indexed<OrderId> for Order {
    fn derive(&self, _: &OrderId, out: &mut Derived) {
        out.index(ORDERS_BY_STATE, &self.state().number());
        out.index(ORDERS_BY_STATE_AND_CLASS, &(self.state().number(), self.terms.class_id));
        out.index(ORDERS_BY_CLASS, &self.terms.class_id);
        out.index(ORDERS_BY_TENANT, &self.tenant);
        if let Phase::Leased(lease) = &self.phase {
            out.index(LEASES_BY_TENANT, &self.tenant);
            out.index(LEASES_BY_PROVIDER, &lease.provider);
        }
        if let Some(hold) = &self.hold {
            out.index(HELD, &());
            out.due(&HELD_ORDERS, hold.retry_at);
            return;
        }
        if let Some((at, _)) = self.next() {
            let queue = if self.lease().is_some() { DUE_LEASES } else { DUE_ORDERS };
            out.due(&queue, at);
        }
    }
}

impl Due<OrderId> for Order {
    fn hold(&mut self) -> &mut Option<Hold> {
        &mut self.hold
    }
}

impl Indexed<OrderId> for Auction {
    fn derive(&self, _: &OrderId, out: &mut Derived) {
        match &self.hold {
            None => out.due(&DUE_AUCTIONS, self.close_height),
            Some(hold) => {
                out.index(HELD, &());
                out.due(&HELD_AUCTIONS, hold.retry_at);
                out.due(&HELD_SEEDS, self.close_height);
            }
        }
    }
}

impl Due<OrderId> for Auction {
    fn hold(&mut self) -> &mut Option<Hold> {
        &mut self.hold
    }
}

impl Indexed<(OrderId, Address)> for Bid {
    const BY_KEY_ALONE: bool = true;

    fn derive(&self, (_, provider): &(OrderId, Address), out: &mut Derived) {
        out.index(BIDS_BY_PROVIDER, provider);
    }
}

impl Indexed<(OrderId, Round)> for EndedLease {
    fn derive(&self, _: &(OrderId, Round), out: &mut Derived) {
        out.index(ENDED_BY_TENANT, &self.tenant);
        out.index(ENDED_BY_PROVIDER, &self.lease.provider);
    }
}

/// Asks a view for the records of the market that a message on an order begins with.
pub fn read_ahead(view: &dyn View, msg: &Msg) -> Result<(), Fatal> {
    let Some(id) = msg.order() else { return Ok(()) };
    ORDERS.read_ahead(view, &id)?;
    if let Some(provider) = msg.bidder() {
        AUCTIONS.read_ahead(view, &id)?;
        BIDS.read_ahead(view, &(id, provider))?;
    }
    Ok(())
}

/// The parameters in force.
pub fn params(ctx: &Ctx) -> Result<Params> {
    PARAMS.load(ctx)
}

/// The number of a new order.
pub(crate) fn next_order_id(ctx: &mut Ctx) -> Result<OrderId> {
    let mut totals = TOTALS.load(ctx)?;
    totals.last_order = totals.last_order.checked_add(1).ok_or(Overflow)?;
    TOTALS.set(ctx, &totals)?;
    Ok(totals.last_order)
}

/// Counts stake that bids and leases lock: `freed` before, `locked` now.
pub(crate) fn count_locked(ctx: &mut Ctx, freed: Amount, locked: Amount) -> Result<()> {
    let mut totals = TOTALS.load(ctx)?;
    totals.locked = totals.locked.saturating_minus(freed).plus(locked)?;
    TOTALS.set(ctx, &totals)
}

/// All bids of an order, first in rank first. There are at most `bids_max`.
pub(crate) fn book(ctx: &Ctx, order: OrderId) -> Result<Vec<(Address, Bid)>> {
    let page = BIDS.page(ctx, &order, None, crate::params::BIDS_LIMIT)?;
    let mut bids: Vec<_> = page.items.into_iter().map(|((_, provider), bid)| (provider, bid)).collect();
    bids.sort_by_key(|(_, bid)| bid.rank());
    Ok(bids)
}

/// Deletes an order with its leases and awards.
pub(crate) fn delete_order(ctx: &mut Ctx, id: OrderId, order: &Order) -> Result<()> {
    for round in 1..=order.round {
        // A round in which the order expired or was cancelled has neither row.
        if AWARDS.has(ctx, &(id, round))? {
            AWARDS.remove(ctx, &(id, round))?;
            ENDED_LEASES.remove(ctx, &(id, round))?;
        }
    }
    ORDERS.remove(ctx, &id)
}

/// All entries of all tables.
pub(crate) fn rebuild(view: &dyn View, out: &mut DerivedSink) -> Result<(), Fatal> {
    ORDERS.rebuild(view, out)?;
    AUCTIONS.rebuild(view, out)?;
    BIDS.rebuild(view, out)?;
    ENDED_LEASES.rebuild(view, out)
}
