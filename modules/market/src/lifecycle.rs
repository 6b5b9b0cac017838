//! The life of an order and its lease: what is due next and when, and the ways from one state to the next. A transition is
//! a method that consumes the state it leaves.

use kernel::{At, Billing, Overflow};

use crate::types::{
    Bid, Lease, LeaseEnd, Open, Order, OrderState, Phase, Reclaiming, Running, Stage, Starting, Terms,
};

/// What the chain does with an order by itself when its time comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// T1: nobody bid.
    Expire,
    /// T3: the provider did not start.
    NoStart,
    /// T4: the money is about to run out.
    LowFunds,
    /// T5, T6, T7: the lease ends.
    End(LeaseEnd),
    /// T8: a closed order is deleted.
    Prune,
}

impl Terms {
    /// The ceiling for all units: ucredit a second times 10^18. Both factors are bounded when a message is read.
    pub fn rate_max(&self) -> u128 {
        self.max_unit_rate.saturating_mul(u128::from(self.count))
    }

    /// The price of all units at a price of one.
    pub fn rate(&self, unit_rate: u128) -> u128 {
        unit_rate.saturating_mul(u128::from(self.count))
    }
}

impl Order {
    /// Where it stands.
    pub const fn state(&self) -> OrderState {
        match self.phase {
            Phase::Open(_) => OrderState::Open,
            Phase::Bidding(_) => OrderState::Bidding,
            Phase::Leased(_) => OrderState::Leased,
            Phase::Closed(_) => OrderState::Closed,
        }
    }

    /// Its wait for a first bid, while it waits.
    pub const fn open(&self) -> Option<Open> {
        match self.phase {
            Phase::Open(open) => Some(open),
            _ => None,
        }
    }

    /// Its live lease.
    pub const fn lease(&self) -> Option<&Lease> {
        match &self.phase {
            Phase::Leased(lease) => Some(lease),
            _ => None,
        }
    }

    /// Its live lease, to change it.
    pub const fn lease_mut(&mut self) -> Option<&mut Lease> {
        match &mut self.phase {
            Phase::Leased(lease) => Some(lease),
            _ => None,
        }
    }

    /// What the chain does next with it and when; nothing while its auction runs, which has its own record. The queues,
    /// `advance` and the queries all ask here, so an order is in one queue at the one time that counts.
    pub fn next(&self) -> Option<(At<Billing>, Timed)> {
        match &self.phase {
            Phase::Open(open) => Some((open.expires_at, Timed::Expire)),
            Phase::Bidding(_) => None,
            Phase::Leased(lease) => self.next_of(lease),
            Phase::Closed(closed) => Some((closed.prune_at, Timed::Prune)),
        }
    }

    /// When the warning of low funds comes or came; `None`: nothing is paid.
    pub fn low_at(&self) -> Option<At<Billing>> {
        let started_at = self.lease()?.stage.running()?.started_at;
        let dry_at = self.account.dry_at()?;
        Some(dry_at.saturating_minus(u64::from(self.grace_s)).max(started_at))
    }

    /// Up to when its lease counts at `now`: its end, where that is due already and only waits for its queue.
    pub fn counted_until(&self, now: At<Billing>) -> At<Billing> {
        let lease = self.lease().and_then(|lease| Some((lease, lease.stage.running()?)));
        lease.and_then(|(lease, running)| self.end_of(lease, running)).map_or(now, |(at, _)| at.min(now))
    }

    /// Whether its lease is over at `now`, and only waits for its queue: closing it then finds it gone.
    pub fn is_lease_over(&self, now: At<Billing>) -> bool {
        let Some(lease) = self.lease() else { return false };
        let end = match lease.stage.running() {
            Some(running) => self.end_of(lease, running).map(|(at, _)| at),
            None => lease.stage.starting().map(|starting| starting.deadline),
        };
        end.is_some_and(|at| at <= now)
    }

    /// When a running lease ends and why, as things stand.
    fn end_of(&self, lease: &Lease, running: Running) -> Option<(At<Billing>, LeaseEnd)> {
        [
            running.end_at.map(|at| (at, LeaseEnd::EndReached)),
            lease.stage.reclaim_deadline().map(|at| (at, LeaseEnd::Reclaimed)),
            self.account.dry_at().map(|at| (at, LeaseEnd::OutOfFunds)),
        ]
        .into_iter()
        .flatten()
        // Of equal times the first counts, as the order of the list says.
        .min_by_key(|(at, _)| *at)
    }

    fn next_of(&self, lease: &Lease) -> Option<(At<Billing>, Timed)> {
        let running = match lease.stage {
            Stage::Starting(starting) => return Some((starting.deadline, Timed::NoStart)),
            Stage::Active(running) => running,
            Stage::Reclaiming(reclaiming) => reclaiming.running,
        };
        let end = self.end_of(lease, running).map(|(at, reason)| (at, Timed::End(reason)));
        match (end, self.low_at()) {
            (Some((at, _)), Some(low)) if !lease.low_funds && low < at => Some((low, Timed::LowFunds)),
            _ => end,
        }
    }
}

impl Starting {
    /// The provider says that the units are there: payment starts.
    pub fn confirm(self, now: At<Billing>, duration_s: u32, served_s: u64) -> Result<Running, Overflow> {
        let left = u64::from(duration_s).saturating_sub(served_s);
        let end_at = if duration_s == 0 { None } else { Some(now.plus(left)?) };
        Ok(Running { started_at: now, end_at })
    }
}

impl Running {
    /// The provider takes its machines back after the notice that the bid promised; the full rate is paid until then.
    pub fn reclaim(self, now: At<Billing>, reclaim_s: u32) -> Result<Reclaiming, Overflow> {
        Ok(Reclaiming { running: self, deadline: now.plus(u64::from(reclaim_s))? })
    }
}

impl Stage {
    /// It waits for its start.
    pub const fn starting(self) -> Option<Starting> {
        match self {
            Self::Starting(starting) => Some(starting),
            _ => None,
        }
    }

    /// It runs without a notice.
    pub const fn active(self) -> Option<Running> {
        match self {
            Self::Active(running) => Some(running),
            _ => None,
        }
    }

    /// It runs, with a notice or without.
    pub const fn running(self) -> Option<Running> {
        match self {
            Self::Starting(_) => None,
            Self::Active(running) => Some(running),
            Self::Reclaiming(reclaiming) => Some(reclaiming.running),
        }
    }

    /// When the provider takes its machines back, if it gave notice.
    pub const fn reclaim_deadline(self) -> Option<At<Billing>> {
        match self {
            Self::Reclaiming(reclaiming) => Some(reclaiming.deadline),
            _ => None,
        }
    }

    /// Its name, for messages to people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting(_) => "starting",
            Self::Active(_) => "active",
            Self::Reclaiming(_) => "reclaiming",
        }
    }
}

impl Bid {
    /// Its effective price: the smallest leads.
    pub fn eff(&self) -> u128 {
        self.unit_rate.saturating_mul(u128::from(self.multiplier_ppm))
    }

    /// The highest unit rate at which its effective price is at most this one.
    pub(crate) fn unit_rate_at(&self, eff: u128) -> u128 {
        eff.checked_div(u128::from(self.multiplier_ppm)).unwrap_or_default()
    }

    /// Its place among the bids of its order: the smaller the better.
    pub fn rank(&self) -> (u128, u64) {
        (self.eff(), self.seq)
    }
}
