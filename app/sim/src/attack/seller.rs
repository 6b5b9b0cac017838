//! A provider: honest by default, and every way of not being so that the attacks use.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Address, Amount, ONE_PPM};
use market::{
    formulas,
    types::{Bid, OrderId, Phase, Stage},
};
use prost_types::Any;
use proto::underbid::{
    market::v1::{
        MsgAbandonLease, MsgConfirmStart, MsgCreateBid, MsgImproveBid, MsgReclaimLease, MsgSettle,
        MsgWithdrawBid,
    },
    provider::v1::{MsgAddStake, MsgExitProvider, MsgUnstake},
};
use provider::{Provider, Zone};
use rand::rngs::StdRng;
use underbid::client::tx::any;

use super::{
    arena::{Agent, Listing, Outbox, View},
    scene::{CLASS, CREDIT_AN_HOUR, HOME, between, capacity, stake_for},
};
use crate::address;

/// How a seller bids.
#[derive(Clone, Copy, PartialEq)]
pub enum Bids {
    /// By its cost: it opens with a margin and undercuts by a step while that pays.
    Compete,
    /// The same, but only in the last so many blocks before the close.
    Late { before: u64 },
    /// Once, at so many ppm of the ceiling, at least 1; in the last `before` blocks before the close, or at once if 0.
    Once { ppm: u64, before: u64 },
    /// By its cost, and in the ending by one unit below its own bid, to extend.
    Nibble,
    /// At the best price that there is, to take part in the draw, where that pays.
    Echo,
    /// Not at all.
    Never,
}

/// For whose orders it bids.
#[derive(Clone, Copy, PartialEq)]
pub enum Targets {
    All,
    /// Those of the coalition.
    Mates,
    /// Those of everybody else.
    Others,
}

/// How it runs a lease that it has won.
#[derive(Clone, Copy, PartialEq)]
pub enum Runs {
    /// It starts at once and delivers to the end.
    Deliver,
    /// It never starts.
    NoStart,
    /// It starts and delivers nothing.
    Fake,
    /// It delivers for so many seconds and is paid on.
    Quit { after_s: u64 },
    /// It gives notice so many seconds after the start, and delivers to the deadline.
    Reclaim { after_s: u64 },
    /// It leaves without notice so many seconds before the end.
    Abandon { before_end_s: u64 },
}

/// Small tricks beside bidding and running.
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Tricks {
    /// It asks for its pay in every block.
    pub settles: bool,
    /// It declares only the units that a bid needs while it bids, and all of them after it.
    pub shrinks: bool,
    /// It adds so many ppm of its stake before a bid, and asks for them back after it.
    pub restakes_ppm: u64,
    /// It tries to leave with its stake whenever it has won something.
    pub flees: bool,
    /// It bids also with units that it has not free.
    pub overbids: bool,
    /// It extends an auction that it leads by lowering its own price, up to so many extensions.
    pub stretches: u32,
}

/// A seller.
#[derive(Clone)]
pub struct Seller {
    pub name: String,
    pub address: Address,
    pub zone: String,
    /// The units that it declares, and those that it has.
    pub units: u32,
    pub true_units: u32,
    /// What a unit costs it a second times 10^18, the least that it takes, and what it opens with.
    pub cost: u128,
    pub floor: u128,
    pub opening: u128,
    /// Its stake in ppm of what its units need.
    pub stake_ppm: u64,
    /// How often it does not start what it won although it would, in ppm.
    pub fails_ppm: u64,
    /// How often it acts on an auction in a block, in ppm.
    pub reacts_ppm: u64,
    pub bids: Bids,
    pub targets: Targets,
    pub runs: Runs,
    pub tricks: Tricks,
    /// It bids the ceiling, once, for the orders of its coalition.
    pub gives_mates_the_ceiling: bool,
    /// The coalition, itself included.
    pub mates: BTreeSet<Address>,
    seed: u64,
}

impl Seller {
    /// An honest one.
    pub fn drawn(name: &str, seed: u64, draw: &mut StdRng) -> Self {
        let units = u32::try_from(between(draw, 4, 8)).unwrap();
        let mut seller = Self {
            name: name.to_owned(),
            address: address(name),
            zone: HOME.to_owned(),
            units,
            true_units: units,
            cost: 0,
            floor: 0,
            opening: 0,
            stake_ppm: between(draw, 1_800_000, 2_600_000),
            fails_ppm: 0,
            reacts_ppm: 700_000,
            bids: Bids::Compete,
            targets: Targets::All,
            runs: Runs::Deliver,
            tricks: Tricks::default(),
            gives_mates_the_ceiling: false,
            mates: BTreeSet::new(),
            seed,
        };
        seller.set_cost(CREDIT_AN_HOUR * u128::from(between(draw, 500_000, 800_000)) / 1_000_000);
        seller
    }

    /// Sets the cost and what follows from it: it takes 5% above, and opens with 20%.
    pub fn set_cost(&mut self, cost: u128) {
        (self.cost, self.floor, self.opening) = (cost, cost / 100 * 105, cost / 100 * 120);
    }

    /// Its stake in uflop.
    pub fn stake(&self) -> u64 {
        stake_for(self.units, self.stake_ppm)
    }

    /// What it adds around a bid, in uflop.
    fn added(&self) -> u64 {
        self.stake() / 1_000_000 * self.tricks.restakes_ppm
    }

    /// What it lacks of the stake that it bids with, in uflop.
    fn lacks(&self, record: &Provider) -> u128 {
        u128::from(self.stake() + self.added()).saturating_sub(record.stake_total.units())
    }

    fn chance(&self, ppm: u64, parts: [u64; 2]) -> bool {
        let mut hash = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        let name = self.name.bytes().map(u64::from);
        for part in name.chain(parts) {
            hash = (hash ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash ^= hash >> 32;
        }
        hash % u64::from(ONE_PPM) < ppm
    }

    fn bid(&self, view: &View, id: OrderId, listing: &Listing, free: &mut u32, out: &mut Outbox) {
        let (order, terms) = (&listing.order, &listing.order.terms);
        let mate = self.mates.contains(&order.tenant);
        let wanted = match self.targets {
            Targets::All => true,
            Targets::Mates => mate,
            Targets::Others => !mate,
        };
        let zone = Zone::parse(&self.zone).unwrap();
        let allowed = terms.zones.iter().any(|pattern| pattern.matches(&zone));
        if !wanted || !allowed || order.tenant == self.address || order.barred.contains(&self.address) {
            return;
        }
        let own = listing.book.iter().find(|(bidder, _)| *bidder == self.address).map(|(_, bid)| bid);
        if own.is_none() && *free < terms.count && !self.tricks.overbids {
            return;
        }
        let Some(rate) = self.price(view, id, listing, own, &zone) else {
            if self.bids == Bids::Compete && own.is_some_and(|bid| self.gives_up(view, listing, bid)) {
                let name = self.address.to_string();
                let withdraw = MsgWithdrawBid { signer: name.clone(), provider: name, order_id: id };
                out.send(&self.name, vec![any(&withdraw)]);
            }
            return;
        };
        match own {
            None => {
                *free = free.saturating_sub(terms.count);
                out.send(&self.name, self.bid_with_tricks(id, listing, rate, &zone, view));
                if self.tricks.restakes_ppm > 0 {
                    // By itself: so many may unbond already that it has to stay at stake.
                    let owner = self.address.to_string();
                    out.send(&self.name, vec![any(&MsgUnstake { owner, amount: self.added().to_string() })]);
                }
            }
            Some(_) => {
                let name = self.address.to_string();
                let improve = MsgImproveBid {
                    signer: name.clone(),
                    provider: name,
                    order_id: id,
                    unit_rate: rate.to_string(),
                };
                out.send(&self.name, vec![any(&improve)]);
            }
        }
    }

    /// What it bids or lowers its bid to now; `None`: it does nothing.
    fn price(
        &self,
        view: &View,
        id: OrderId,
        listing: &Listing,
        own: Option<&Bid>,
        zone: &Zone,
    ) -> Option<u128> {
        let ceiling = listing.order.terms.max_unit_rate;
        let left =
            listing.auction.as_ref().map(|auction| auction.close_height.value().saturating_sub(view.height));
        let last = |before: u64| left.is_some_and(|left| left <= before);
        if self.gives_mates_the_ceiling && self.mates.contains(&listing.order.tenant) {
            return own.is_none().then_some(ceiling);
        }
        if let (Some(bid), Some(auction)) = (own, &listing.auction)
            && (last(1) && auction.best.provider == self.address)
            && auction.extensions < self.tricks.stretches
        {
            let step_ppm = market::params(&view.ctx).unwrap().step_ppm;
            let leads = formulas::leading_max(auction.best.eff, step_ppm, auction.extensions);
            return Some(leads / u128::from(bid.multiplier_ppm));
        }
        match self.bids {
            Bids::Never => None,
            Bids::Echo => self.echo(view, listing, own, zone),
            Bids::Once { ppm, before } => {
                let rate = (ceiling * u128::from(ppm) / u128::from(ONE_PPM)).max(1);
                (own.is_none() && (before == 0 || last(before))).then_some(rate)
            }
            Bids::Late { before } => {
                if last(before) {
                    self.compete(view, listing, own, zone)
                } else {
                    None
                }
            }
            Bids::Nibble if last(5) && own.is_some() => own.map(|bid| bid.unit_rate - 1),
            Bids::Compete | Bids::Nibble => {
                let reacts = self.chance(self.reacts_ppm, [id, view.height]);
                if reacts { self.compete(view, listing, own, zone) } else { None }
            }
        }
    }

    fn compete(&self, view: &View, listing: &Listing, own: Option<&Bid>, zone: &Zone) -> Option<u128> {
        let params = market::params(&view.ctx).unwrap();
        let terms = &listing.order.terms;
        let ceiling = terms.max_unit_rate;
        if ceiling < self.floor {
            return None;
        }
        let Some(auction) = &listing.auction else { return Some(self.opening.min(ceiling)) };
        if auction.best.provider == self.address {
            return None;
        }
        let multiplier = match own {
            Some(bid) => u128::from(bid.multiplier_ppm),
            None => self.multiplier(view, listing, zone),
        };
        let ending =
            auction.close_height.value().saturating_sub(view.height) <= u64::from(params.soft_blocks);
        let steps = if ending { auction.extensions } else { 0 };
        let target = formulas::leading_max(auction.best.eff, params.step_ppm, steps) / multiplier;
        let leads = match own {
            None => target.min(self.opening).min(ceiling),
            Some(bid) => target.min(formulas::improved_max(bid.unit_rate, params.step_ppm)),
        };
        if leads >= self.floor {
            return Some(leads);
        }
        // It can't undercut the best, but it can draw with it.
        if ending { None } else { self.echo(view, listing, own, zone) }
    }

    /// Whether a bid can't win any more, nor be lowered to what can: it is taken back for the sake of its units.
    fn gives_up(&self, view: &View, listing: &Listing, bid: &Bid) -> bool {
        let Some(auction) = &listing.auction else { return false };
        let limit = formulas::limit(auction.best.eff, market::params(&view.ctx).unwrap().band_ppm);
        bid.eff() > limit && auction.best.eff / u128::from(bid.multiplier_ppm) < self.floor
    }

    /// The price that ties with the best.
    fn echo(&self, view: &View, listing: &Listing, own: Option<&Bid>, zone: &Zone) -> Option<u128> {
        let (auction, ceiling) = (listing.auction.as_ref()?, listing.order.terms.max_unit_rate);
        let params = market::params(&view.ctx).unwrap();
        let multiplier =
            own.map_or_else(|| self.multiplier(view, listing, zone), |bid| u128::from(bid.multiplier_ppm));
        let tie = (auction.best.eff / multiplier).min(ceiling);
        let improves = own.is_none_or(|bid| tie <= formulas::improved_max(bid.unit_rate, params.step_ppm));
        (tie >= self.floor && improves).then_some(tie)
    }

    fn multiplier(&self, view: &View, listing: &Listing, zone: &Zone) -> u128 {
        let params = provider::params(&view.ctx).unwrap();
        let mut record = provider::get(&view.ctx, &self.address).unwrap().unwrap();
        if self.tricks.restakes_ppm > 0 {
            record.stake_total = Amount::new(record.stake_total.units() + self.lacks(&record)).unwrap();
        }
        let scores = record.scores(&params, kernel::At::new(view.now));
        let terms = &listing.order.terms;
        let parts = formulas::parts(&scores, zone, terms.near.as_ref());
        u128::from(formulas::multiplier_ppm(&terms.weights, &parts))
    }

    fn bid_with_tricks(
        &self,
        id: OrderId,
        listing: &Listing,
        rate: u128,
        zone: &Zone,
        view: &View,
    ) -> Vec<Any> {
        let terms = &listing.order.terms;
        let name = self.address.to_string();
        let bid = any(&MsgCreateBid {
            signer: name.clone(),
            provider: name.clone(),
            order_id: id,
            zone: zone.to_string(),
            unit_rate: rate.to_string(),
            reclaim_s: terms.reclaim_min_s,
        });
        if self.tricks.shrinks {
            let line = provider::line(&view.ctx, self.address, CLASS, zone).unwrap().unwrap();
            let needed = line.reserved + line.leased + terms.count;
            let declare = |total| any(&capacity(self.address, zone.as_str(), total));
            return vec![declare(needed), bid, declare(self.units)];
        }
        let record = provider::get(&view.ctx, &self.address).unwrap().unwrap();
        match self.lacks(&record) {
            amount if amount > 0 && self.tricks.restakes_ppm > 0 => {
                vec![any(&MsgAddStake { owner: name, amount: amount.to_string() }), bid]
            }
            _ => vec![bid],
        }
    }

    fn serve(&self, id: OrderId, listing: &Listing, delivered: &mut u32, out: &mut Outbox) {
        let Phase::Leased(lease) = &listing.order.phase else { return };
        if lease.provider != self.address {
            return;
        }
        let round = listing.order.round;
        let name = self.address.to_string();
        let running = match lease.stage {
            Stage::Starting(_) => {
                let fails = self.runs == Runs::NoStart || self.chance(self.fails_ppm, [id, u64::from(round)]);
                if !fails {
                    out.send(&self.name, vec![any(&MsgConfirmStart { signer: name, order_id: id })]);
                }
                return;
            }
            Stage::Active(running) => running,
            Stage::Reclaiming(reclaiming) => reclaiming.running,
        };
        let started = running.started_at.value();
        if *delivered + listing.order.terms.count > self.true_units {
            out.stop(id, round, started);
        }
        *delivered += listing.order.terms.count;
        if self.tricks.settles {
            out.send(&self.name, vec![any(&MsgSettle { signer: name.clone(), order_id: id })]);
        }
        let active = matches!(lease.stage, Stage::Active(_));
        match self.runs {
            Runs::Deliver | Runs::NoStart => {}
            Runs::Fake => out.stop(id, round, started),
            Runs::Quit { after_s } => out.stop(id, round, started + after_s),
            Runs::Reclaim { after_s } => {
                if active && out.is_time(started + after_s) {
                    out.send(&self.name, vec![any(&MsgReclaimLease { signer: name, order_id: id })]);
                }
            }
            Runs::Abandon { before_end_s } => {
                let Some(end) = running.end_at else { return };
                if out.is_time(end.value().saturating_sub(before_end_s)) {
                    out.send(&self.name, vec![any(&MsgAbandonLease { owner: name, order_id: id })]);
                }
            }
        }
    }

    fn flee(&self, view: &View, out: &mut Outbox) {
        let Some(record) = provider::get(&view.ctx, &self.address).unwrap() else { return };
        let won = view
            .orders
            .values()
            .any(|listing| listing.order.lease().is_some_and(|lease| lease.provider == self.address));
        if !won || !record.is_active() {
            return;
        }
        let owner = self.address.to_string();
        out.send(&self.name, vec![any(&MsgExitProvider { owner: owner.clone() })]);
        let amount = record.free_stake().units().to_string();
        out.send(&self.name, vec![any(&MsgUnstake { owner, amount })]);
    }
}

impl Agent for Seller {
    fn act(&mut self, view: &View, out: &mut Outbox) {
        if self.units == 0 {
            return;
        }
        if self.tricks.flees {
            self.flee(view, out);
        }
        let zone = Zone::parse(&self.zone).unwrap();
        let line = provider::line(&view.ctx, self.address, CLASS, &zone).unwrap();
        let (mut free, mut delivered) = (line.map_or(0, |line| line.free()), 0);
        let biddable = |listing: &Listing| matches!(listing.order.phase, Phase::Open(_) | Phase::Bidding(_));
        for (id, listing) in &view.orders {
            if biddable(listing) {
                self.bid(view, *id, listing, &mut free, out);
            } else {
                self.serve(*id, listing, &mut delivered, out);
            }
        }
    }
}

/// What a unit costs each seller, by address.
pub fn costs(sellers: &[Seller]) -> BTreeMap<Address, u128> {
    sellers.iter().map(|seller| (seller.address, seller.cost)).collect()
}
