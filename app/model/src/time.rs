//! What happens by itself, by the numbers of the market's table (T1 to T9). What is due is found by looking at everything there is.

use sha2::{Digest as _, Sha256};

use crate::{
    Address, Model,
    numbers::{ONE, floor, hex, modulo},
    refusal::Refusal,
    state::{Award, AwardRow, Entry, Lease, LeaseClosed, OrderClosed, Phase, Placed, Round, Stage, Status},
};

impl Model {
    /// What is due at the beginning of a block: leases, auctions, orders, unbonding, each oldest first and within its budget.
    pub(crate) fn due_work(&mut self) -> Result<(), Refusal> {
        let now = self.now;
        for _ in 0..self.market.leases_per_block_max {
            let due = self.orders.values().filter_map(|entry| Some((lease_due(entry)?, entry.id)));
            let Some((_, id)) = due.filter(|(due, _)| *due <= now).min() else { break };
            self.work(id)?;
        }
        for _ in 0..self.market.auctions_per_block_max {
            let due = self
                .orders
                .values()
                .filter_map(|entry| Some((entry.auction.as_ref()?.close_height, entry.id)));
            let Some((_, id)) = due.filter(|(due, _)| *due <= self.height).min() else { break };
            self.decide(id)?;
        }
        for _ in 0..self.market.orders_per_block_max {
            let due = self.orders.values().filter_map(|entry| Some((order_due(entry)?, entry.id)));
            let Some((_, id)) = due.filter(|(due, _)| *due <= now).min() else { break };
            self.work(id)?;
        }
        for _ in 0..self.provider.unbondings_per_block_max {
            let due = self.unbondings.iter().map(|((owner, seq), unbonding)| {
                (unbonding.due_at, in_byte_order(owner), *seq, owner.clone())
            });
            let Some((_, _, seq, owner)) = due.filter(|(due, ..)| *due <= now).min() else { break };
            self.pay_unbonding(&owner, seq)?;
        }
        Ok(())
    }

    /// Everything that is due for an order; T8 if it was closed before now.
    fn work(&mut self, id: u64) -> Result<(), Refusal> {
        self.advance(id)?;
        if matches!(self.orders[&id].order.phase, Phase::Closed { prune_at, .. } if prune_at <= self.now) {
            self.orders.remove(&id);
        }
        Ok(())
    }

    /// T1 and T3 to T7 of one order, in the order of their times, until none is due; whether there was one.
    pub(crate) fn advance(&mut self, id: u64) -> Result<bool, Refusal> {
        let mut advanced = false;
        while let Some(entry) = self.orders.get(&id).cloned() {
            match &entry.order.phase {
                Phase::Open { expires_at } if *expires_at <= self.now => {
                    self.close_order(id, OrderClosed::Expired, *expires_at)?;
                }
                Phase::Leased(lease) if lease_due(&entry).is_some_and(|due| due <= self.now) => {
                    self.lease_transition(&entry, lease)?;
                }
                _ => break,
            }
            advanced = true;
        }
        Ok(advanced)
    }

    fn lease_transition(&mut self, entry: &Entry, lease: &Lease) -> Result<(), Refusal> {
        let id = entry.id;
        let at = lease_due(entry).unwrap();
        let Some(running) = lease.running() else {
            // T3.
            let tenant = entry.order.tenant.clone();
            let harm = self.harm(entry, self.market.bond_s);
            self.slash(&lease.provider, lease.lock, lease.bond, Some((&tenant, harm)))?;
            self.close_lease(id, LeaseClosed::NoStart, at, true)?;
            self.after_lease(id, LeaseClosed::NoStart, at)?;
            return Ok(());
        };
        let reason = if running.end_at == Some(at) {
            LeaseClosed::EndReached
        } else if lease.reclaim_deadline() == Some(at) {
            LeaseClosed::Reclaimed
        } else if entry.order.account.dry_at() == Some(at) {
            LeaseClosed::OutOfFunds
        } else {
            // T4.
            let Phase::Leased(lease) = &mut self.entry_mut(id).order.phase else { unreachable!() };
            lease.low_funds = true;
            return Ok(());
        };
        // T5, T6, T7.
        self.settle(id, true)?;
        self.close_lease(id, reason, at, false)?;
        self.after_lease(id, reason, at)?;
        Ok(())
    }

    /// T2: the draw in the band above the best price.
    fn decide(&mut self, id: u64) -> Result<(), Refusal> {
        let entry = self.orders[&id].clone();
        let (order, terms) = (&entry.order, &entry.order.terms);
        let height = entry.auction.as_ref().unwrap().close_height;
        let active = |placed: &&Placed| self.providers[&placed.provider].status == Status::Active;
        let mut ranked: Vec<&Placed> = entry.bids.iter().filter(active).collect();
        ranked.sort_by_key(|placed| placed.bid.rank());
        for placed in &entry.bids {
            self.take_back(&entry, placed);
        }
        let now = self.now;
        let decided = self.entry_mut(id);
        (decided.auction, decided.bids) = (None, Vec::new());
        let Some(best) = ranked.first().copied() else {
            decided.order.phase = Phase::Open { expires_at: now + terms.ttl_s };
            return Ok(());
        };

        let limit = floor(best.bid.eff(), ONE + u128::from(self.market.band_ppm), ONE)?;
        ranked.retain(|placed| placed.bid.eff() <= limit);
        let weight = |placed: &Placed| limit - placed.bid.eff() + 1;
        let seed = self.seeds[&height];
        let weights: Vec<u128> = ranked.iter().map(|placed| weight(placed)).collect();
        let winner = ranked[self.draw(id, order.round, &seed, &weights)];

        self.provider_mut(&winner.provider).stake_locked += winner.bid.lock;
        self.line_mut(&winner.provider, terms.class_id, &winner.bid.zone).leased += terms.count;
        let lease = Lease {
            provider: winner.provider.clone(),
            zone: winner.bid.zone.clone(),
            unit_rate: winner.bid.unit_rate,
            reclaim_s: winner.bid.reclaim_s,
            lock: winner.bid.lock,
            bond: winner.bid.bond,
            awarded_at: now,
            stage: Stage::Starting { deadline: now + terms.start_timeout_s },
            low_funds: false,
        };
        let row = |placed: &&Placed| AwardRow {
            provider: placed.provider.clone(),
            zone: placed.bid.zone.clone(),
            unit_rate: placed.bid.unit_rate,
            delta_ppm: floor(terms.max_unit_rate - placed.bid.unit_rate, ONE, terms.max_unit_rate).unwrap()
                as u64,
            parts: placed.bid.parts.clone(),
            multiplier_ppm: placed.bid.multiplier_ppm,
            weight: weight(placed),
        };
        let award = Award {
            height,
            seed: hex(&seed),
            best_eff: best.bid.eff(),
            limit,
            winner: winner.provider.clone(),
            bidders: entry.bids.len() as u32,
            rows: ranked.iter().map(row).collect(),
        };
        let decided = self.entry_mut(id);
        decided.order.phase = Phase::Leased(lease);
        decided.rounds.push(Round { round: order.round, award, lease: None });
        Ok(())
    }
}

impl Model {
    /// The place that a round's seed draws among weights.
    fn draw(&self, id: u64, round: u32, seed: &[u8], weights: &[u128]) -> usize {
        let hash = Sha256::new()
            .chain_update("underbid/award/1")
            .chain_update(&self.chain_id)
            .chain_update(id.to_be_bytes())
            .chain_update(round.to_be_bytes())
            .chain_update(seed)
            .finalize();
        let mut left = modulo(&hash, weights.iter().sum());
        for (place, weight) in weights.iter().enumerate() {
            if left < *weight {
                return place;
            }
            left -= weight;
        }
        unreachable!()
    }
}

/// `next_due`: when a live lease needs something.
fn lease_due(entry: &Entry) -> Option<u64> {
    let Phase::Leased(lease) = &entry.order.phase else { return None };
    if let Stage::Starting { deadline } = lease.stage {
        return Some(deadline);
    }
    let running = lease.running()?;
    let dry_at = entry.order.account.dry_at()?;
    let warning = dry_at.saturating_sub(entry.order.grace_s).max(running.started_at);
    let warning = (!lease.low_funds).then_some(warning);
    [warning, Some(dry_at), running.end_at, lease.reclaim_deadline()].into_iter().flatten().min()
}

/// When an order expires or is forgotten.
fn order_due(entry: &Entry) -> Option<u64> {
    match entry.order.phase {
        Phase::Open { expires_at } => Some(expires_at),
        Phase::Closed { prune_at, .. } => Some(prune_at),
        _ => None,
    }
}

/// Addresses are ordered by their bytes: five bits a letter.
fn in_byte_order(address: &Address) -> Vec<usize> {
    address.chars().map(|letter| "qpzry9x8gf2tvdw0s3jn54khce6mua7l".find(letter).unwrap_or(0)).collect()
}
