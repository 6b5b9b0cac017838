//! A provider's bot: it looks at the market through its own node, undercuts while that pays, starts what it wins, and ends
//! what the play wants ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::ONE_PPM;
use proto::underbid::market::v1 as market;
use underbid::client::chain::Error;

use super::board::Shared;
use super::facts::rate_of_hourly;
use super::plot::{Fate, Persona, reference_hourly};
use super::queries;
use super::sender::Sender;

/// How long a lease runs before its provider takes the machines back, where the play wants it.
const RECLAIM_AFTER: Duration = Duration::from_secs(5);
/// The notice of a reclaim that the play's bids promise, in seconds.
pub const RECLAIM_S: u32 = 3;

/// A provider's bot.
pub struct Bot {
    persona: Persona,
    sender: Sender,
    shared: Arc<Shared>,
    params: market::Params,
    /// By (order, round): our multiplier, and our price once we bid.
    offers: BTreeMap<(u64, u32), Standing>,
    /// Leases that were seen to run, and since when.
    running: BTreeMap<(u64, u32), Instant>,
    /// What was seen to go on without us.
    dropped: BTreeSet<(u64, u32)>,
}

#[derive(Clone, Copy)]
struct Standing {
    multiplier_ppm: u32,
    unit_rate: Option<u128>,
}

/// What a price depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// The ceiling.
    pub ceiling: u128,
    /// The best effective price; none where nobody bid.
    pub best_eff: Option<u128>,
    /// Our price; none where we did not bid.
    pub own: Option<u128>,
    /// Our multiplier.
    pub multiplier_ppm: u32,
    /// By how much to undercut the best.
    pub cut_ppm: u32,
    /// By how much an improvement must undercut its own price.
    pub step_ppm: u32,
    /// What to begin with where nobody bid.
    pub opening: u128,
    /// The lowest price that pays.
    pub floor: u128,
}

/// The next price to ask for a unit; none where leading would not pay.
pub fn next_rate(situation: &Situation) -> Option<u128> {
    let Situation { ceiling, best_eff, own, multiplier_ppm, cut_ppm, step_ppm, opening, floor } = *situation;
    let less = |rate: u128, ppm: u32| {
        let (whole, rest) = (rate / u128::from(ONE_PPM), rate % u128::from(ONE_PPM));
        let keep = u128::from(ONE_PPM.saturating_sub(ppm));
        whole * keep + rest * keep / u128::from(ONE_PPM)
    };
    let leading = match best_eff {
        None => opening,
        Some(best) => less(best, cut_ppm) / u128::from(multiplier_ppm.max(1)),
    };
    let improving = own.map_or(ceiling, |own| less(own, step_ppm));
    let rate = leading.min(improving).min(ceiling);
    (rate >= floor).then_some(rate)
}

impl Bot {
    /// A bot for a provider that is registered.
    pub async fn new(persona: Persona, sender: Sender, shared: &Arc<Shared>) -> Result<Self, Error> {
        let params = queries::params(sender.client()).await?;
        let (offers, running, dropped) = Default::default();
        Ok(Self { persona, sender, shared: Arc::clone(shared), params, offers, running, dropped })
    }

    /// Acts until it is dropped.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.look().await {
                // A refusal is written down where it was sent; a node that does not answer is left.
                self.sender.turn_away(&error);
            }
            tokio::time::sleep(Duration::from_millis(self.persona.pace_ms)).await;
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        for lease in queries::live_leases(self.sender.client(), &self.sender.member().address()).await? {
            self.serve(&lease).await?;
        }
        let (height, orders) = queries::biddable_orders(self.sender.client()).await?;
        for order in &orders {
            if !self.may_bid(order, height) {
                continue;
            }
            // One lost race is no reason to miss the other auctions.
            if let Err(error) = self.bid(order).await {
                self.sender.turn_away(&error);
            }
        }
        Ok(())
    }

    async fn serve(&mut self, lease: &market::Lease) -> Result<(), Error> {
        let key = (lease.order_id, lease.round);
        let signer = self.sender.member().address();
        let fate = self.shared.read(|board| board.fates.get(&lease.order_id).copied());
        let is_first = lease.round == 1;
        match lease.state() {
            market::LeaseState::Starting if !(is_first && fate == Some(Fate::NeverStarted)) => {
                self.sender.send(&market::MsgConfirmStart { signer, order_id: lease.order_id }).await?;
            }
            market::LeaseState::Active if is_first && fate == Some(Fate::Reclaimed) => {
                let since = *self.running.entry(key).or_insert_with(Instant::now);
                if since.elapsed() >= RECLAIM_AFTER {
                    self.sender.send(&market::MsgReclaimLease { signer, order_id: lease.order_id }).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn may_bid(&self, order: &market::Order, height: u64) -> bool {
        let is_here = |zone: &String| {
            let rest = self.persona.zone.strip_prefix(zone.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let address = self.sender.member().address();
        let is_ending = order.close_height.saturating_sub(height) <= u64::from(self.params.soft_blocks) + 1;
        let is_time = match order.state() {
            market::OrderState::Open => !self.persona.is_sniper,
            market::OrderState::Bidding => !self.persona.is_sniper || is_ending,
            _ => false,
        };
        is_time
            && self.persona.lines.iter().any(|(class_id, _)| *class_id == order.class_id)
            && order.zones.iter().any(is_here)
            && !order.barred.contains(&address)
            && order.best.as_ref().is_none_or(|best| best.provider != address)
            && !self.dropped.contains(&(order.id, order.round))
    }

    async fn bid(&mut self, order: &market::Order) -> Result<(), Error> {
        let key = (order.id, order.round);
        let ceiling: u128 = order.max_unit_rate.parse().unwrap_or_default();
        let standing = match self.offers.get(&key) {
            Some(standing) => *standing,
            None => self.appraise(order).await?,
        };
        let step_ppm = self.params.step_ppm * (1 + order.extensions);
        let situation = Situation {
            ceiling,
            best_eff: order.best.as_ref().and_then(|best| best.eff.parse().ok()),
            own: standing.unit_rate,
            multiplier_ppm: standing.multiplier_ppm,
            // The last step may have been taken by an extension that we have not seen yet.
            cut_ppm: self.persona.cut_ppm.max(step_ppm + 1),
            step_ppm: self.params.step_ppm,
            opening: ceiling / 100 * self.persona.opening_percent,
            floor: rate_of_hourly(reference_hourly(order.class_id) * self.persona.floor_percent / 100),
        };
        let Some(unit_rate) = next_rate(&situation) else {
            self.dropped.insert(key);
            return Ok(());
        };
        let quote = queries::quote(self.sender.client(), &self.quote_request(order, unit_rate)).await?;
        if quote.refusal.is_some() {
            return Ok(());
        }
        let placed = self.place(order, unit_rate, standing).await;
        if placed.is_err() {
            // It may have got into a block all the same: what stands is asked for before the next attempt.
            self.offers.remove(&key);
        }
        placed
    }

    async fn place(
        &mut self,
        order: &market::Order,
        unit_rate: u128,
        standing: Standing,
    ) -> Result<(), Error> {
        let address = self.sender.member().address();
        let (signer, provider) = (address.clone(), address);
        let unit_rate_text = unit_rate.to_string();
        if standing.unit_rate.is_some() {
            let improve =
                market::MsgImproveBid { signer, provider, order_id: order.id, unit_rate: unit_rate_text };
            self.sender.send(&improve).await?;
        } else {
            let create = market::MsgCreateBid {
                signer,
                provider,
                order_id: order.id,
                zone: self.persona.zone.to_owned(),
                unit_rate: unit_rate_text,
                reclaim_s: order.reclaim_min_s,
            };
            self.sender.send(&create).await?;
        }
        let key = (order.id, order.round);
        self.offers.insert(key, Standing { unit_rate: Some(unit_rate), ..standing });
        Ok(())
    }

    /// Learns our multiplier, and our price if we have a bid.
    async fn appraise(&mut self, order: &market::Order) -> Result<Standing, Error> {
        let ceiling = order.max_unit_rate.parse().unwrap_or_default();
        let quote = queries::quote(self.sender.client(), &self.quote_request(order, ceiling)).await?;
        let bids = queries::bids(self.sender.client(), order.id).await?;
        let own = bids.iter().find(|bid| bid.provider == self.sender.member().address());
        let unit_rate = own.and_then(|bid| bid.unit_rate.parse().ok());
        let standing = Standing { multiplier_ppm: quote.multiplier_ppm, unit_rate };
        self.offers.insert((order.id, order.round), standing);
        Ok(standing)
    }

    fn quote_request(&self, order: &market::Order, unit_rate: u128) -> market::QueryQuoteBidRequest {
        market::QueryQuoteBidRequest {
            order_id: order.id,
            provider: self.sender.member().address(),
            zone: self.persona.zone.to_owned(),
            unit_rate: unit_rate.to_string(),
            reclaim_s: order.reclaim_min_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Situation, next_rate};

    const SITUATION: Situation = Situation {
        ceiling: 1_000_000_000,
        best_eff: Some(900_000_000 * 1_200_000),
        own: None,
        multiplier_ppm: 1_000_000,
        cut_ppm: 20_000,
        step_ppm: 10_000,
        opening: 970_000_000,
        floor: 500_000_000,
    };

    #[test]
    fn a_price_leads_improves_and_keeps_to_ceiling_and_floor() {
        let opening = Situation { best_eff: None, ..SITUATION };
        assert_eq!(next_rate(&opening), Some(970_000_000));
        // 900 weighed by 1.2 is 1080; 2% less is 1058.4, above the ceiling for one who is weighed by 1.0.
        assert_eq!(next_rate(&SITUATION), Some(1_000_000_000));
        let heavy = Situation { multiplier_ppm: 1_500_000, ..SITUATION };
        assert_eq!(next_rate(&heavy), Some(705_600_000));
        let improving = Situation { own: Some(700_000_000), ..heavy };
        assert_eq!(next_rate(&improving), Some(693_000_000));
        assert_eq!(next_rate(&Situation { floor: 705_600_001, ..heavy }), None);
    }
}
