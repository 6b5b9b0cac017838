//! A tenant: honest by default, and every way of not being so that the attacks use.

use kernel::{Address, E18};
use market::types::{Order, OrderId, Phase, Stage};
use proto::underbid::market::v1::{MsgCancelOrder, MsgCloseLease, MsgCreateOrder, TenantReason};
use rand::rngs::StdRng;
use underbid::client::tx::any;

use super::{
    arena::{Agent, Outbox, View},
    scene::{CLASS, CREDIT_AN_HOUR, between},
};
use crate::address;

/// What a buyer wants once.
#[derive(Clone)]
pub struct Job {
    /// When, in seconds since trading began.
    pub at_s: u64,
    pub count: u32,
    pub ceiling: u128,
    pub duration_s: u32,
    pub window_blocks: u32,
    pub reclaim_min_s: u32,
    pub zone: String,
    pub near: Option<String>,
    /// It pays for so many seconds in advance, at least the least deposit.
    pub paid_s: u32,
}

impl Job {
    /// A usual one.
    pub fn new(at_s: u64, count: u32, duration_s: u32) -> Self {
        Self {
            at_s,
            count,
            ceiling: CREDIT_AN_HOUR * 13 / 10,
            duration_s,
            window_blocks: 30,
            reclaim_min_s: 600,
            zone: "de".into(),
            near: None,
            paid_s: duration_s,
        }
    }
}

/// What a buyer does with its orders.
#[derive(Clone, Copy, PartialEq)]
pub enum Habit {
    /// It uses what it gets to the end, and closes what is not delivered.
    Use,
    /// It closes so many seconds after the start, whatever it got.
    CloseAfter { after_s: u64, reason: TenantReason },
    /// It closes as soon as there is a winner.
    CloseStarting,
    /// The same, but it closes before the start what this seller has won.
    UseUnlessOf { seller: Address },
    /// It takes its order back so many blocks after it is there, as often as it can.
    Cancel { blocks: u64 },
}

/// A buyer.
#[derive(Clone)]
pub struct Buyer {
    pub name: String,
    pub address: Address,
    pub jobs: Vec<Job>,
    pub habit: Habit,
    /// How long it takes to see that nothing is delivered, in seconds.
    pub lag_s: u64,
    /// What it says of a lease that is not delivered while it can still report that. The rule's own answer is
    /// NotDelivered; Done is cheaper for it.
    pub on_trial: TenantReason,
    next: usize,
    seen: Vec<(OrderId, u64)>,
}

impl Buyer {
    /// With these jobs.
    pub fn new(name: &str, jobs: Vec<Job>) -> Self {
        Self {
            name: name.to_owned(),
            address: address(name),
            jobs,
            habit: Habit::Use,
            lag_s: 120,
            on_trial: TenantReason::NotDelivered,
            next: 0,
            seen: Vec::new(),
        }
    }

    /// An honest one.
    pub fn drawn(name: &str, draw: &mut StdRng) -> Self {
        let mut at_s = between(draw, 0, 600);
        let jobs = (0..between(draw, 1, 2)).map(|_| {
            let count = u32::try_from(between(draw, 1, 3)).unwrap();
            let minutes = u32::try_from(between(draw, 15, 45)).unwrap();
            let job = Job::new(at_s, count, minutes * 60);
            at_s += between(draw, 900, 1_800);
            Job {
                ceiling: CREDIT_AN_HOUR * u128::from(between(draw, 1_000_000, 1_500_000)) / 1_000_000,
                ..job
            }
        });
        let jobs = jobs.collect();
        Self { lag_s: between(draw, 60, 240), ..Self::new(name, jobs) }
    }

    fn create(&self, job: &Job) -> MsgCreateOrder {
        let rate = job.ceiling * u128::from(job.count);
        // The reserve, and three more windows of blocks of six seconds: what four rounds can need.
        let window = (rate * 6 * u128::from(job.window_blocks)).div_ceil(E18);
        let least = ((rate * 5_400).div_ceil(E18) + 3 * window).max(1_000_000);
        MsgCreateOrder {
            tenant: self.address.to_string(),
            class_id: CLASS,
            count: job.count,
            zones: vec![job.zone.clone()],
            near: job.near.clone().unwrap_or_default(),
            max_unit_rate: job.ceiling.to_string(),
            duration_s: job.duration_s,
            window_blocks: job.window_blocks,
            ttl_s: 120,
            start_timeout_s: 300,
            reclaim_min_s: job.reclaim_min_s,
            min_uptime_ppm: 0,
            weights: Vec::new(),
            manifest_hash: vec![7; 32],
            rounds: 4,
            deposit: (rate * u128::from(job.paid_s)).div_ceil(E18).max(least).to_string(),
        }
    }

    fn close(&self, id: OrderId, reason: TenantReason, out: &mut Outbox) {
        let close = MsgCloseLease { tenant: self.address.to_string(), order_id: id, reason: reason.into() };
        out.send(&self.name, vec![any(&close)]);
    }

    fn mind(&mut self, view: &View, id: OrderId, order: &Order, out: &mut Outbox) {
        match (&order.phase, self.habit) {
            (Phase::Open(_) | Phase::Bidding(_), Habit::Cancel { blocks }) => {
                if self.seen.iter().all(|(seen, _)| *seen != id) {
                    self.seen.push((id, view.height));
                }
                let due =
                    self.seen.iter().any(|(seen, height)| *seen == id && view.height - height == blocks);
                if due {
                    let cancel = MsgCancelOrder { tenant: self.address.to_string(), order_id: id };
                    out.send(&self.name, vec![any(&cancel)]);
                }
            }
            (Phase::Leased(_), Habit::CloseStarting | Habit::Cancel { .. }) => {
                self.close(id, TenantReason::Done, out);
            }
            (Phase::Leased(lease), Habit::UseUnlessOf { seller }) if lease.provider == seller => {
                self.close(id, TenantReason::Done, out);
            }
            (Phase::Leased(lease), _) => self.mind_lease(view, id, order, lease.stage, out),
            _ => {}
        }
    }

    fn mind_lease(&self, view: &View, id: OrderId, order: &Order, stage: Stage, out: &mut Outbox) {
        let Some(running) = stage.running() else { return };
        let started = running.started_at.value();
        if let Habit::CloseAfter { after_s, reason } = self.habit {
            if out.is_time(started + after_s) {
                self.close(id, reason, out);
            }
            return;
        }
        let Some(stopped) = view.stops.get(&(id, order.round)) else { return };
        let on_trial = view.now < order.account.hold_until.value();
        if out.is_time(stopped + self.lag_s) {
            self.close(id, if on_trial { self.on_trial } else { TenantReason::Quality }, out);
        }
    }
}

impl Agent for Buyer {
    fn act(&mut self, view: &View, out: &mut Outbox) {
        while let Some(job) = self.jobs.get(self.next).filter(|job| job.at_s <= view.age_s) {
            out.send(&self.name, vec![any(&self.create(job))]);
            self.next += 1;
        }
        for (id, listing) in &view.orders {
            if listing.order.tenant == self.address {
                self.mind(view, *id, &listing.order, out);
            }
        }
    }

    fn waits(&self) -> bool {
        self.next < self.jobs.len()
    }
}
