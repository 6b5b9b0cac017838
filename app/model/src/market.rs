//! The market's messages.

use std::sync::Arc;

use proto::underbid::market::v1::*;

use crate::{
    Model,
    bank::{UCREDIT, module},
    escrow::Account,
    numbers::{E18, ONE, ceil, floor, hex},
    provider::{Score, decayed},
    refusal::{Refusal, guard},
    state::{
        Auction, Best, Bid, Entry, LeaseClosed, Order, OrderClosed, Phase, Placed, Provider, Running, Stage,
        Terms,
    },
};

fn number(text: &str) -> u128 {
    text.parse().unwrap()
}

// Before the award.
impl Model {
    pub(crate) fn create_order(&mut self, msg: MsgCreateOrder) -> Result<MsgCreateOrderResponse, Refusal> {
        let (max_unit_rate, deposit) = (number(&msg.max_unit_rate), number(&msg.deposit));
        let market = &self.market;
        let duration = market.duration_s_min..=market.duration_s_max;
        let weights: Vec<u64> = match msg.weights.as_slice() {
            [] => market.weights.clone(),
            given => given.iter().map(|weight| u64::from(*weight)).collect(),
        };
        let class = self.classes.get(&msg.class_id).ok_or(Refusal::UnknownClass)?;
        guard(class.active, Refusal::ClassRetired)?;
        guard((1..=market.count_max).contains(&msg.count.into()), Refusal::CountOutOfRange)?;
        guard((1..=market.unit_rate_max).contains(&max_unit_rate), Refusal::RateOutOfRange)?;
        guard(msg.zones.len() as u64 <= market.zones_max, Refusal::TooManyZones)?;
        let window = market.window_blocks_min..=market.window_blocks_max;
        guard(window.contains(&msg.window_blocks.into()), Refusal::WindowOutOfRange)?;
        let ttl = market.ttl_s_min..=market.ttl_s_max;
        guard(ttl.contains(&msg.ttl_s.into()), Refusal::TtlOutOfRange)?;
        let start_timeout = market.start_timeout_s_min..=market.start_timeout_s_max;
        guard(start_timeout.contains(&msg.start_timeout_s.into()), Refusal::StartTimeoutOutOfRange)?;
        let reclaim = market.reclaim_s_min..=market.reclaim_s_max;
        guard(reclaim.contains(&msg.reclaim_min_s.into()), Refusal::ReclaimOutOfRange)?;
        guard(msg.duration_s == 0 || duration.contains(&msg.duration_s.into()), Refusal::DurationOutOfRange)?;
        guard(weights.iter().all(|weight| *weight <= market.weight_max_ppm), Refusal::WeightOutOfRange)?;
        guard((1..=market.rounds_max).contains(&msg.rounds.into()), Refusal::RoundsOutOfRange)?;
        let rate_max = max_unit_rate * u128::from(msg.count);
        let window_price = self.window_price(rate_max, msg.window_blocks.into())?;
        let all_rounds = self.runway(rate_max)? + u128::from(msg.rounds - 1) * window_price;
        guard(deposit >= all_rounds.max(self.escrow.deposit_min), Refusal::DepositTooSmall)?;
        let order_fee = window_price.max(self.market.order_fee);
        self.bank.require(&msg.tenant, UCREDIT, deposit.checked_add(order_fee).ok_or(Refusal::Overflow)?)?;

        self.bank.transfer(&msg.tenant, &module("market_fees"), UCREDIT, order_fee)?;
        self.bank.transfer(&msg.tenant, &module("escrow"), UCREDIT, deposit)?;
        self.last_order += 1;
        let (order_id, expires_at) = (self.last_order, self.now + u64::from(msg.ttl_s));
        let order = Order {
            account: Account::open(order_id, &msg.tenant, deposit, self.escrow.fee_ppm),
            tenant: msg.tenant,
            terms: Terms {
                class_id: msg.class_id,
                count: msg.count,
                zones: msg.zones,
                near: (!msg.near.is_empty()).then_some(msg.near),
                max_unit_rate,
                duration_s: msg.duration_s.into(),
                window_blocks: msg.window_blocks.into(),
                ttl_s: msg.ttl_s.into(),
                start_timeout_s: msg.start_timeout_s.into(),
                reclaim_min_s: msg.reclaim_min_s.into(),
                min_uptime_ppm: msg.min_uptime_ppm.into(),
                weights,
                manifest_hash: hex(&msg.manifest_hash),
                rounds: msg.rounds,
            },
            grace_s: self.market.grace_s,
            created_at: self.now,
            round: 1,
            phase: Phase::Open { expires_at },
            barred: Vec::new(),
            served_s: 0,
        };
        let entry = Entry { id: order_id, order, auction: None, bids: Vec::new(), rounds: Vec::new() };
        self.orders.insert(order_id, Arc::new(entry));
        Ok(MsgCreateOrderResponse { order_id, expires_at })
    }

    pub(crate) fn cancel_order(&mut self, msg: MsgCancelOrder) -> Result<MsgCancelOrderResponse, Refusal> {
        self.advance(msg.order_id)?;
        let entry = self.known_order(msg.order_id)?;
        let order = &entry.order;
        guard(order.tenant == msg.tenant, Refusal::NotTenant)?;
        guard(self.is_open(order), Refusal::OrderNotOpen)?;

        let refunded = self.close_order(msg.order_id, OrderClosed::Cancelled, self.now)?;
        Ok(MsgCancelOrderResponse { refunded: refunded.to_string() })
    }

    pub(crate) fn create_bid(&mut self, msg: MsgCreateBid) -> Result<MsgCreateBidResponse, Refusal> {
        self.advance(msg.order_id)?;
        let unit_rate = number(&msg.unit_rate);
        let provider = self.known_provider(&msg.provider)?;
        guard(provider.acts(&msg.signer), Refusal::NotOperator)?;
        guard(provider.status == crate::state::Status::Active, Refusal::ProviderNotActive)?;
        let entry = self.known_order(msg.order_id)?;
        let (order, terms) = (&entry.order, &entry.order.terms);
        guard(self.is_open(order) || self.is_bidding(&entry), Refusal::OrderNotBiddable)?;
        guard(!provider.acts(&order.tenant), Refusal::OwnOrder)?;
        guard(!order.barred.contains(&msg.provider), Refusal::Barred)?;
        guard(entry.bids.iter().all(|placed| placed.provider != msg.provider), Refusal::BidExists)?;
        guard((1..=terms.max_unit_rate).contains(&unit_rate), Refusal::RateOutOfRange)?;
        guard(terms.zones.iter().any(|allowed| within(&msg.zone, allowed)), Refusal::ZoneNotAllowed)?;
        let reclaim = terms.reclaim_min_s..=self.market.reclaim_s_max;
        guard(reclaim.contains(&msg.reclaim_s.into()), Refusal::ReclaimOutOfRange)?;
        guard(provider.uptime_ppm >= terms.min_uptime_ppm, Refusal::UptimeTooLow)?;
        let line = self.lines.get(&(msg.provider.clone(), terms.class_id, msg.zone.clone()));
        let free = line.map_or(0, |line| line.total - line.reserved - line.leased);
        guard(free >= terms.count, Refusal::InsufficientCapacity)?;
        guard(self.in_ucredit(provider.stake_total)? >= provider.required_uc, Refusal::StakeBelowRequired)?;
        let bond = self.bond(terms)?;
        let lock = bond.max(self.lock(terms, unit_rate)?);
        guard(provider.free_stake() >= lock, Refusal::InsufficientFreeStake)?;
        let (parts, multiplier_ppm) = self.multiplier(&provider, terms, &msg.zone)?;
        let eff = unit_rate * u128::from(multiplier_ppm);
        let extends = self.may_change_the_lead(&entry, eff)?;
        let last = entry.bids.iter().max_by_key(|placed| placed.bid.rank());
        let full = entry.bids.len() as u64 >= self.market.bids_max;
        guard(!full || last.is_some_and(|last| eff < last.bid.eff()), Refusal::BookFull)?;

        if let Some(last) = last.filter(|_| full) {
            self.take_back(&entry, last);
            let evicted = last.provider.clone();
            self.entry_mut(msg.order_id).bids.retain(|placed| placed.provider != evicted);
        }
        self.provider_mut(&msg.provider).stake_locked += lock;
        self.line_mut(&msg.provider, terms.class_id, &msg.zone).reserved += terms.count;
        let bid = Bid {
            zone: msg.zone,
            unit_rate,
            reclaim_s: msg.reclaim_s.into(),
            parts,
            multiplier_ppm,
            seq: 0,
            lock,
            bond,
            placed_height: self.height,
        };
        let auction = self.place(msg.order_id, Placed { provider: msg.provider.clone(), bid }, extends);
        Ok(MsgCreateBidResponse {
            round: entry.order.round,
            multiplier_ppm: multiplier_ppm as u32,
            eff: eff.to_string(),
            leads: auction.best.provider == msg.provider,
            close_height: auction.close_height,
            lock: lock.to_string(),
            bond: bond.to_string(),
        })
    }

    pub(crate) fn improve_bid(&mut self, msg: MsgImproveBid) -> Result<MsgImproveBidResponse, Refusal> {
        self.advance(msg.order_id)?;
        let unit_rate = number(&msg.unit_rate);
        let provider = self.known_provider(&msg.provider)?;
        guard(provider.acts(&msg.signer), Refusal::NotOperator)?;
        let entry = self.known_order(msg.order_id)?;
        guard(self.is_bidding(&entry), Refusal::OrderNotBiddable)?;
        let placed = entry.bids.iter().find(|placed| placed.provider == msg.provider);
        let mut bid = placed.ok_or(Refusal::UnknownBid)?.bid.clone();
        guard((1..=entry.order.terms.max_unit_rate).contains(&unit_rate), Refusal::RateOutOfRange)?;
        let step_ppm = u128::from(self.market.step_ppm);
        let steps_down =
            unit_rate.checked_mul(ONE).is_some_and(|rate| rate <= bid.unit_rate * (ONE - step_ppm));
        guard(steps_down, Refusal::StepTooSmall)?;
        let lock = bid.bond.max(self.lock(&entry.order.terms, unit_rate)?);
        guard(lock <= bid.lock + provider.free_stake(), Refusal::InsufficientFreeStake)?;
        let eff = unit_rate * u128::from(bid.multiplier_ppm);
        let extends = self.may_change_the_lead(&entry, eff)?;

        let provider = self.provider_mut(&msg.provider);
        provider.stake_locked = provider.stake_locked - bid.lock + lock;
        (bid.unit_rate, bid.lock) = (unit_rate, lock);
        self.entry_mut(msg.order_id).bids.retain(|placed| placed.provider != msg.provider);
        let auction = self.place(msg.order_id, Placed { provider: msg.provider.clone(), bid }, extends);
        Ok(MsgImproveBidResponse {
            eff: eff.to_string(),
            leads: auction.best.provider == msg.provider,
            close_height: auction.close_height,
            lock: lock.to_string(),
        })
    }

    pub(crate) fn withdraw_bid(&mut self, msg: MsgWithdrawBid) -> Result<MsgWithdrawBidResponse, Refusal> {
        self.advance(msg.order_id)?;
        let provider = self.known_provider(&msg.provider)?;
        guard(provider.acts(&msg.signer), Refusal::NotOperator)?;
        let entry = self.known_order(msg.order_id)?;
        guard(self.is_bidding(&entry), Refusal::OrderNotBiddable)?;
        let placed = entry.bids.iter().find(|placed| placed.provider == msg.provider);
        let placed = placed.ok_or(Refusal::UnknownBid)?;
        let best = entry.bids.iter().map(|placed| placed.bid.eff()).min().unwrap();
        guard(placed.bid.eff() > best + best * u128::from(self.market.band_ppm) / ONE, Refusal::BidBinding)?;

        self.take_back(&entry, placed);
        let entry = self.entry_mut(msg.order_id);
        entry.bids.retain(|placed| placed.provider != msg.provider);
        entry.auction.as_mut().unwrap().bid_count = entry.bids.len() as u32;
        Ok(MsgWithdrawBidResponse { freed: placed.bid.lock.to_string() })
    }

    /// The guards NotLeading and AuctionEnding; whether the change extends the auction.
    fn may_change_the_lead(&self, entry: &Entry, eff: u128) -> Result<bool, Refusal> {
        let Some(auction) = &entry.auction else { return Ok(false) };
        let ending = auction.close_height - self.height <= self.market.soft_blocks;
        let undercut_ppm = u128::from(self.market.step_ppm * (1 + auction.extensions / 4));
        // Both sides fit: a price is at most 3.5 * 10^30.
        let leads = eff * ONE <= auction.best.eff * (ONE - undercut_ppm);
        guard(!ending || leads, Refusal::NotLeading)?;
        guard(auction.extensions < self.market.extensions_max, Refusal::AuctionEnding)?;
        Ok(ending)
    }

    /// A bid takes its place as the last of its price.
    fn place(&mut self, order_id: u64, mut placed: Placed, extends: bool) -> Auction {
        let (height, soft_blocks) = (self.height, self.market.soft_blocks);
        let entry = self.entry_mut(order_id);
        let begun = Auction {
            best: Best { eff: 0, provider: String::new() },
            bid_count: 0,
            bid_seq: 0,
            close_height: height + entry.order.terms.window_blocks,
            extensions: 0,
        };
        let mut auction = entry.auction.take().unwrap_or(begun);
        auction.bid_seq += 1;
        placed.bid.seq = auction.bid_seq;
        entry.bids.push(placed);
        entry.order.phase = Phase::Bidding {};
        if extends {
            auction.extensions += 1;
            auction.close_height = height + soft_blocks + 1;
        }
        let first = entry.bids.iter().min_by_key(|placed| placed.bid.rank()).unwrap();
        auction.best = Best { eff: first.bid.eff(), provider: first.provider.clone() };
        auction.bid_count = entry.bids.len() as u32;
        entry.auction = Some(auction.clone());
        auction
    }

    fn multiplier(&self, provider: &Provider, terms: &Terms, zone: &str) -> Result<(Vec<u64>, u64), Refusal> {
        let (good, bad, slash_ppm, _) = decayed(provider, self.now, self.provider.decay_day_ppm);
        let stake_uc = self.in_ucredit(provider.stake_total)?;
        let cover_ppm =
            (floor(stake_uc, 1_000_000_000_000u64, self.measured_uc(provider))?.isqrt() / 2).min(ONE) as u64;
        let one = ONE as u64;
        let distance = distance_ppm(zone, terms.near.as_deref());
        let reputation_ppm = self.reputation_ppm(provider, good, bad)?;
        let parts =
            vec![one - provider.uptime_ppm, one - reputation_ppm, slash_ppm, one - cover_ppm, distance];
        let weighted = terms.weights.iter().zip(&parts).map(|(weight, part)| weight * part / one);
        let multiplier_ppm = one + weighted.sum::<u64>();
        Ok((parts, multiplier_ppm))
    }

    fn bond(&self, terms: &Terms) -> Result<u128, Refusal> {
        let price = ceil(terms.max_unit_rate * u128::from(terms.count), self.market.bond_s, E18)?;
        self.in_uflop(price.max(self.market.bond_min))
    }

    fn lock(&self, terms: &Terms, unit_rate: u128) -> Result<u128, Refusal> {
        self.in_uflop(ceil(unit_rate * u128::from(terms.count), self.market.lock_s, E18)?)
    }

    /// The most that a tenant's share of a slash is counted from: what the lease costs in so many seconds.
    pub(crate) fn harm(&self, entry: &Entry, seconds: u64) -> u128 {
        let Ok(lease) = entry.order.lease() else { return 0 };
        let price = ceil(lease.unit_rate * u128::from(entry.order.terms.count), seconds, E18);
        price.and_then(|price| self.in_uflop(price)).unwrap_or(u128::MAX)
    }

    /// What an order must have for the time until the warning and after it, at its ceiling.
    fn runway(&self, rate_max: u128) -> Result<u128, Refusal> {
        ceil(rate_max, self.market.runway_s + self.market.grace_s, E18)
    }

    /// What an auction costs that holds units for so many blocks.
    fn window_price(&self, rate_max: u128, blocks: u64) -> Result<u128, Refusal> {
        ceil(rate_max, blocks * self.market.window_block_s, E18)
    }

    /// What a bid held is free again.
    pub(crate) fn take_back(&mut self, entry: &Entry, placed: &Placed) {
        self.provider_mut(&placed.provider).stake_locked -= placed.bid.lock;
        let terms = &entry.order.terms;
        self.line_mut(&placed.provider, terms.class_id, &placed.bid.zone).reserved -= terms.count;
    }
}

// After the award.
impl Model {
    pub(crate) fn confirm_start(&mut self, msg: MsgConfirmStart) -> Result<MsgConfirmStartResponse, Refusal> {
        self.advance(msg.order_id)?;
        let entry = self.known_order(msg.order_id)?;
        let order = &entry.order;
        let mut lease = order.lease()?.clone();
        guard(self.known_provider(&lease.provider)?.acts(&msg.signer), Refusal::NotOperator)?;
        guard(matches!(lease.stage, Stage::Starting { .. }), Refusal::LeaseNotStarting)?;

        let (now, min_charge_s) = (self.now, self.market.min_charge_s);
        let left_s = order.terms.duration_s.saturating_sub(order.served_s);
        let end_at = (order.terms.duration_s > 0).then_some(now + left_s);
        lease.stage = Stage::Active(Running { started_at: now, end_at });
        let (payee, rate) = (lease.provider.clone(), lease.unit_rate * u128::from(order.terms.count));
        let order = &mut self.entry_mut(msg.order_id).order;
        order.phase = Phase::Leased(lease);
        order.account.start(&payee, rate, now, min_charge_s);
        let dry_at = order.account.dry_at().unwrap();
        Ok(MsgConfirmStartResponse { started_at: now, end_at: end_at.unwrap_or(0), dry_at })
    }

    pub(crate) fn top_up(&mut self, msg: MsgTopUp) -> Result<MsgTopUpResponse, Refusal> {
        let amount = number(&msg.amount);
        self.advance(msg.order_id)?;
        let entry = self.known_order(msg.order_id)?;
        let order = &entry.order;
        guard(!matches!(order.phase, Phase::Closed { .. }), Refusal::OrderClosed)?;
        guard(amount >= self.escrow.deposit_min, Refusal::DepositTooSmall)?;
        self.settle(msg.order_id, false)?;
        let account = &self.known_order(msg.order_id)?.order.account;
        let has_place = account.has_place(&msg.signer, self.escrow.depositors_max);
        guard(has_place, Refusal::TooManyDepositors)?;
        self.bank.transfer(&msg.signer, &module("escrow"), UCREDIT, amount)?;
        let now = self.now;
        let order = &mut self.entry_mut(msg.order_id).order;
        order.account.deposit(&msg.signer, amount);
        let dry_at = order.account.dry_at();
        if let Phase::Leased(lease) = &mut order.phase
            && dry_at.is_some_and(|dry_at| now + order.grace_s < dry_at)
        {
            lease.low_funds = false;
        }
        Ok(MsgTopUpResponse { balance: order.account.balance.to_string(), dry_at })
    }

    pub(crate) fn close_lease_by_tenant(
        &mut self,
        msg: MsgCloseLease,
    ) -> Result<MsgCloseLeaseResponse, Refusal> {
        self.advance(msg.order_id)?;
        let entry = self.known_order(msg.order_id)?;
        let order = &entry.order;
        guard(order.tenant == msg.tenant, Refusal::NotTenant)?;
        let lease = order.lease()?.clone();

        let (now, count) = (self.now, u128::from(order.terms.count));
        let undelivered = msg.reason() == TenantReason::NotDelivered;
        let trial_s = match lease.running() {
            None => self.market.min_charge_s,
            Some(running) => order.account.hold_until - running.started_at,
        };
        let fined_before = order.account.fined_total;
        let (gross, fee, refunded);
        if undelivered && lease.running().is_some() && now < order.account.hold_until {
            let least = floor(order.terms.max_unit_rate * count, trial_s, E18)?;
            self.fine(msg.order_id, least)?;
            let amount = lease.bond.min(self.in_uflop(least)?);
            self.slash(&lease.provider, lease.lock, amount, None)?;
            (gross, fee) = self.close_lease(msg.order_id, LeaseClosed::TenantNotDelivered, now, true)?;
            refunded = self.after_lease(msg.order_id, LeaseClosed::TenantNotDelivered, now)?;
        } else {
            self.settle(msg.order_id, true)?;
            let least = floor(lease.unit_rate * count, trial_s, E18)?;
            let paid = self.entry_mut(msg.order_id).order.account.stream_gross;
            self.fine(msg.order_id, least.saturating_sub(paid))?;
            let reason = match (lease.running(), msg.reason()) {
                (None, _) => LeaseClosed::TenantCancelled,
                (_, TenantReason::NotDelivered) => LeaseClosed::TenantNotDelivered,
                (_, TenantReason::Quality) => LeaseClosed::TenantQuality,
                _ => LeaseClosed::TenantDone,
            };
            (gross, fee) = self.close_lease(msg.order_id, reason, now, false)?;
            refunded = self.close_order(msg.order_id, OrderClosed::Completed, now)?;
        }
        let closed = &self.known_order(msg.order_id)?.order;
        let fined = closed.account.fined_total - fined_before;
        let state = match &closed.phase {
            Phase::Open { .. } => OrderState::Open,
            _ => OrderState::Closed,
        };
        Ok(MsgCloseLeaseResponse {
            gross: gross.to_string(),
            fee: fee.to_string(),
            fined: fined.to_string(),
            refunded: refunded.to_string(),
            order_state: state.into(),
        })
    }

    pub(crate) fn reclaim_lease(&mut self, msg: MsgReclaimLease) -> Result<MsgReclaimLeaseResponse, Refusal> {
        self.advance(msg.order_id)?;
        let entry = self.known_order(msg.order_id)?;
        let order = &entry.order;
        let mut lease = order.lease()?.clone();
        guard(self.known_provider(&lease.provider)?.acts(&msg.signer), Refusal::NotOperator)?;
        let Stage::Active(running) = lease.stage else { return Err(Refusal::LeaseNotActive) };

        let deadline = self.now + lease.reclaim_s;
        lease.stage = Stage::Reclaiming { running, deadline };
        self.entry_mut(msg.order_id).order.phase = Phase::Leased(lease);
        Ok(MsgReclaimLeaseResponse { deadline })
    }

    pub(crate) fn abandon_lease(&mut self, msg: MsgAbandonLease) -> Result<MsgAbandonLeaseResponse, Refusal> {
        self.advance(msg.order_id)?;
        let entry = self.known_order(msg.order_id)?;
        let order = &entry.order;
        let lease = order.lease()?.clone();
        guard(lease.provider == msg.owner, Refusal::NotOwner)?;

        self.settle(msg.order_id, true)?;
        let (slashed, harm) = match lease.running() {
            None => (lease.bond, self.harm(&entry, self.market.bond_s)),
            Some(_) => {
                let price = self.harm(&entry, self.market.abandon_s);
                (lease.bond.max(price).min(lease.lock), price)
            }
        };
        self.slash(&lease.provider, lease.lock, slashed, Some((&order.tenant, harm)))?;
        let (gross, fee) = self.close_lease(msg.order_id, LeaseClosed::Abandoned, self.now, true)?;
        self.after_lease(msg.order_id, LeaseClosed::Abandoned, self.now)?;
        Ok(MsgAbandonLeaseResponse {
            gross: gross.to_string(),
            fee: fee.to_string(),
            slashed: slashed.to_string(),
        })
    }

    pub(crate) fn settle_by_anyone(&mut self, msg: MsgSettle) -> Result<MsgSettleResponse, Refusal> {
        let before = self.known_order(msg.order_id)?.order.account.spent_total;
        let advanced = self.advance(msg.order_id)?;
        let payable = self.known_order(msg.order_id)?.order.account.payable(false);
        guard(advanced || payable.unwrap_or(0) > 0, Refusal::NothingToDo)?;

        self.settle(msg.order_id, false)?;
        let paid = self.known_order(msg.order_id)?.order.account.spent_total - before;
        Ok(MsgSettleResponse { paid: paid.to_string() })
    }
}

// The guards that several messages share.
impl Model {
    fn known_order(&self, id: u64) -> Result<Arc<Entry>, Refusal> {
        self.orders.get(&id).cloned().ok_or(Refusal::UnknownOrder)
    }

    fn is_open(&self, order: &Order) -> bool {
        matches!(order.phase, Phase::Open { expires_at } if self.now < expires_at)
    }

    fn is_bidding(&self, entry: &Entry) -> bool {
        entry.auction.as_ref().is_some_and(|auction| self.height < auction.close_height)
    }
}

impl Order {
    fn lease(&self) -> Result<&crate::state::Lease, Refusal> {
        match &self.phase {
            Phase::Leased(lease) => Ok(lease),
            _ => Err(Refusal::NoLease),
        }
    }
}

impl Model {
    /// Pays a provider, and the market its part.
    pub(crate) fn settle(&mut self, order_id: u64, ends: bool) -> Result<(), Refusal> {
        let account = &mut self.entry_mut(order_id).order.account;
        let Some(payee) = account.payee.clone() else { return Ok(()) };
        let (net, fee) = account.settle(ends)?;
        self.bank.transfer(&module("escrow"), &payee, UCREDIT, net)?;
        self.bank.transfer(&module("escrow"), &module("market_fees"), UCREDIT, fee)
    }

    fn fine(&mut self, order_id: u64, amount: u128) -> Result<(), Refusal> {
        let fined = self.entry_mut(order_id).order.account.fine(amount);
        self.bank.transfer(&module("escrow"), &module("market_fees"), UCREDIT, fined)
    }

    pub(crate) fn entry_mut(&mut self, id: u64) -> &mut Entry {
        Arc::make_mut(self.orders.get_mut(&id).unwrap())
    }

    /// A lease ends: the stream stops, the machines are free, the provider's record grows. The gross and its fee.
    pub(crate) fn close_lease(
        &mut self,
        order_id: u64,
        reason: LeaseClosed,
        closed_at: u64,
        slashed: bool,
    ) -> Result<(u128, u128), Refusal> {
        let order = &mut self.entry_mut(order_id).order;
        let lease = order.lease()?.clone();
        let (gross, fee) = order.account.stop();
        if !(slashed && reason == LeaseClosed::TenantNotDelivered) {
            order.served_s += lease.running().map_or(0, |running| closed_at - running.started_at);
        }
        let (terms, tenant) = (order.terms.clone(), order.tenant.clone());
        let round = self.entry_mut(order_id).rounds.last_mut().unwrap();
        round.lease =
            Some(crate::state::EndedLease { tenant, lease: lease.clone(), gross, closed_at, reason });

        self.line_mut(&lease.provider, terms.class_id, &lease.zone).leased -= terms.count;
        if !slashed {
            self.provider_mut(&lease.provider).stake_locked -= lease.lock;
        }
        let score = match reason {
            LeaseClosed::NoStart | LeaseClosed::Abandoned => {
                Score::Bad(ceil(terms.max_unit_rate * u128::from(terms.count), 86_400u32, E18)?)
            }
            LeaseClosed::TenantDone | LeaseClosed::EndReached | LeaseClosed::OutOfFunds => Score::Good(gross),
            LeaseClosed::Reclaimed
            | LeaseClosed::TenantNotDelivered
            | LeaseClosed::TenantQuality
            | LeaseClosed::TenantCancelled => Score::Nothing,
        };
        self.record(&lease.provider, score);
        Ok((gross, fee))
    }

    /// What becomes of an order whose lease the chain or the provider ended; what went back to the depositors.
    pub(crate) fn after_lease(
        &mut self,
        order_id: u64,
        reason: LeaseClosed,
        at: u64,
    ) -> Result<u128, Refusal> {
        let (now, min_charge_s) = (self.now, self.market.min_charge_s);
        let entry = self.known_order(order_id)?;
        let (order, terms) = (&entry.order, &entry.order.terms);
        let served = terms.duration_s > 0 && order.served_s + min_charge_s > terms.duration_s;
        if reason == LeaseClosed::EndReached || served {
            return self.close_order(order_id, OrderClosed::Completed, at);
        }
        if reason == LeaseClosed::OutOfFunds {
            return self.close_order(order_id, OrderClosed::Underfunded, at);
        }
        if order.round >= terms.rounds {
            return self.close_order(order_id, OrderClosed::RoundsExhausted, at);
        }
        let rate_max = terms.max_unit_rate * u128::from(terms.count);
        let window_price = self.window_price(rate_max, terms.window_blocks)?;
        if order.account.balance < self.runway(rate_max)? + window_price {
            return self.close_order(order_id, OrderClosed::Underfunded, at);
        }
        self.fine(order_id, window_price)?;
        let (expires_at, failed) = (now + terms.ttl_s, order.lease()?.provider.clone());
        let order = &mut self.entry_mut(order_id).order;
        // Only of an order that is open again: there are fewer barred providers than rounds.
        order.barred.push(failed);
        order.round += 1;
        order.phase = Phase::Open { expires_at };
        Ok(0)
    }

    /// An order ends; what went back to the depositors.
    pub(crate) fn close_order(
        &mut self,
        order_id: u64,
        reason: OrderClosed,
        at: u64,
    ) -> Result<u128, Refusal> {
        let prune_at = (at + self.market.retention_s).max(self.now + 1);
        let order = &mut self.entry_mut(order_id).order;
        order.phase = Phase::Closed { reason, closed_at: at, prune_at };
        let refunds = order.account.close();
        for refund in &refunds {
            self.bank.transfer(&module("escrow"), &refund.depositor, UCREDIT, refund.amount)?;
        }
        Ok(refunds.iter().map(|refund| refund.amount).sum())
    }
}

/// Whether a zone is an allowed one or inside it, by whole segments.
fn within(zone: &str, allowed: &str) -> bool {
    zone.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn distance_ppm(zone: &str, near: Option<&str>) -> u64 {
    let Some(near) = near else { return 0 };
    let same = zone.split('/').zip(near.split('/')).take_while(|(here, there)| here == there).count();
    [1_000_000, 600_000, 300_000, 0][same]
}
