//! The parameters of the market and what they must hold.

use kernel::{Amount, ONE_PPM, Reject, json, num::product_le, record};
use serde::{Deserialize, Serialize};

use crate::{formulas, types::Parts};

/// The most zones and rounds that parameters may allow: they bound the size of a record.
pub const LIST_LIMIT: u32 = 64;
/// The most bids that parameters may allow: a decision over so many, by providers with the longest records, fits the gas
/// of one item of due work.
pub const BIDS_LIMIT: u32 = 40;
/// The longest block that a window may be priced by.
const WINDOW_BLOCK_S_LIMIT: u32 = 3_600;
/// A winner must have this many of the longest steps of the billing clock to get its start into a block.
const START_STEPS_MIN: u64 = 5;

record! {
    /// The parameters. Times are in billing seconds unless the name says blocks.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub struct Params {
        /// The least that an order costs, in ucredit; see [`formulas::order_fee`]. Never returned.
        pub order_fee: Amount = 1,
        /// The highest rate of a unit: ucredit a second times 10^18.
        #[serde(with = "json::decimal")]
        pub unit_rate_max: u128 = 2,
        /// The most units of an order.
        pub count_max: u32 = 3,
        /// The most zones of an order.
        pub zones_max: u32 = 4,
        /// The shortest auction.
        pub window_blocks_min: u32 = 5,
        /// The longest auction before extensions.
        pub window_blocks_max: u32 = 6,
        /// How many blocks before its close an auction is ending.
        pub soft_blocks: u32 = 7,
        /// By how much an improvement must undercut its own rate, and a bid in the ending the best, in ppm; there it grows:
        /// [`formulas::ending_step_ppm`].
        pub step_ppm: u32 = 8,
        /// The most extensions of an auction.
        pub extensions_max: u32 = 9,
        /// The most bids of an auction.
        pub bids_max: u32 = 10,
        /// How far above the best effective price a bid may be to take part in the draw, in ppm.
        pub band_ppm: u32 = 11,
        /// The weights of an order that names none, in ppm.
        pub weights: Parts = 12,
        /// The highest single weight, in ppm.
        pub weight_max_ppm: u32 = 13,
        /// The shortest wait for a first bid.
        pub ttl_s_min: u32 = 14,
        /// The longest wait for a first bid.
        pub ttl_s_max: u32 = 15,
        /// The shortest time that a winner has to start.
        pub start_timeout_s_min: u32 = 16,
        /// The longest time that a winner has to start.
        pub start_timeout_s_max: u32 = 17,
        /// The shortest notice of a reclaim.
        pub reclaim_s_min: u32 = 18,
        /// The longest notice of a reclaim.
        pub reclaim_s_max: u32 = 19,
        /// The shortest limited duration.
        pub duration_s_min: u32 = 20,
        /// The longest limited duration.
        pub duration_s_max: u32 = 21,
        /// For how long a deposit must last at the ceiling before the warning.
        pub runway_s: u32 = 22,
        /// How long before the money runs out the warning comes.
        pub grace_s: u32 = 23,
        /// For how many seconds of its price a bid locks stake.
        pub lock_s: u32 = 24,
        /// The seconds of its price that leaving without notice costs.
        pub abandon_s: u32 = 25,
        /// The seconds of the order's ceiling that not starting costs.
        pub bond_s: u32 = 26,
        /// The least bond, in ucredit.
        pub bond_min: Amount = 27,
        /// The first seconds of a lease, which a tenant pays for in any case and may report as not delivered.
        pub min_charge_s: u32 = 28,
        /// The most rounds of an order.
        pub rounds_max: u32 = 29,
        /// How long a closed order is kept.
        pub retention_s: u32 = 30,
        /// The most due leases that one block advances.
        pub leases_per_block_max: u32 = 31,
        /// The most due auctions that one block decides.
        pub auctions_per_block_max: u32 = 32,
        /// The most due orders that one block expires or deletes.
        pub orders_per_block_max: u32 = 33,
        /// The most items on hold that one block tries again, of orders and of auctions each.
        pub held_per_block_max: u32 = 34,
        /// What a block of its window costs an order, in seconds at its ceiling; see [`formulas::order_fee`]. As many as a block
        /// of this network takes: with fewer, orders that nobody means hold others' units for less than they are worth.
        pub window_block_s: u32 = 35,
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            order_fee: Amount::from_u64(50_000),
            unit_rate_max: 1_000_000_000_000_000_000_000_000,
            count_max: 1_024,
            zones_max: 8,
            window_blocks_min: 12,
            window_blocks_max: 600,
            soft_blocks: 5,
            step_ppm: 10_000,
            extensions_max: 20,
            bids_max: 32,
            band_ppm: 5_000,
            weights: [300_000, 200_000, 300_000, 50_000, 50_000],
            weight_max_ppm: 500_000,
            ttl_s_min: 60,
            ttl_s_max: 604_800,
            start_timeout_s_min: 300,
            start_timeout_s_max: 1_200,
            reclaim_s_min: 300,
            reclaim_s_max: 2_592_000,
            duration_s_min: 300,
            duration_s_max: 31_536_000,
            runway_s: 3_600,
            grace_s: 1_800,
            lock_s: 604_800,
            abandon_s: 86_400,
            bond_s: 3_600,
            bond_min: Amount::from_u64(1_000_000),
            min_charge_s: 300,
            rounds_max: 4,
            retention_s: 604_800,
            leases_per_block_max: 1_000,
            auctions_per_block_max: 200,
            orders_per_block_max: 500,
            held_per_block_max: 50,
            window_block_s: 1,
        }
    }
}

impl Params {
    /// Checks the ranges and the laws between parameters; a rejection names the field. `max_billing_step_s` is the
    /// longest step of the billing clock.
    pub fn check(&self, max_billing_step_s: u32) -> Result<(), Reject> {
        self.check_ranges()?;
        self.check_auction()?;
        self.check_lease(max_billing_step_s)
    }

    fn check_ranges(&self) -> Result<(), Reject> {
        for (name, value) in [
            ("count_max", self.count_max),
            ("zones_max", self.zones_max),
            ("rounds_max", self.rounds_max),
            ("ttl_s_min", self.ttl_s_min),
            ("min_charge_s", self.min_charge_s),
            ("lock_s", self.lock_s),
            ("leases_per_block_max", self.leases_per_block_max),
            ("auctions_per_block_max", self.auctions_per_block_max),
            ("orders_per_block_max", self.orders_per_block_max),
            ("held_per_block_max", self.held_per_block_max),
        ] {
            law(value > 0, name, "expected above 0")?;
        }
        law(
            (1..=WINDOW_BLOCK_S_LIMIT).contains(&self.window_block_s),
            "window_block_s",
            "expected 1 to 3600",
        )?;
        for (name, value) in [("zones_max", self.zones_max), ("rounds_max", self.rounds_max)] {
            law(value <= LIST_LIMIT, name, "expected at most 64")?;
        }
        for (name, min, max) in [
            ("window_blocks", self.window_blocks_min, self.window_blocks_max),
            ("ttl_s", self.ttl_s_min, self.ttl_s_max),
            ("start_timeout_s", self.start_timeout_s_min, self.start_timeout_s_max),
            ("reclaim_s", self.reclaim_s_min, self.reclaim_s_max),
            ("duration_s", self.duration_s_min, self.duration_s_max),
        ] {
            law(min <= max, name, "expected the least to be at most the most")?;
        }
        Ok(())
    }

    fn check_auction(&self) -> Result<(), Reject> {
        let one = u128::from(ONE_PPM);
        law(
            self.unit_rate_max > 0
                && product_le(self.unit_rate_max, u128::from(self.count_max), escrow::RATE_MAX, 1),
            "unit_rate_max",
            "expected above 0, and with count_max at most 10^28",
        )?;
        law(
            self.weights.iter().all(|weight| *weight <= self.weight_max_ppm),
            "weights",
            "expected at most weight_max_ppm each",
        )?;
        law(self.weight_max_ppm <= ONE_PPM, "weight_max_ppm", "expected at most 1000000")?;
        law((2..=BIDS_LIMIT).contains(&self.bids_max), "bids_max", "expected 2 to 40")?;
        law(
            self.extensions_max > 0,
            "extensions_max",
            "expected above 0: without any, nobody could answer a bid",
        )?;
        law(
            self.window_blocks_min > self.soft_blocks,
            "window_blocks_min",
            "expected more than soft_blocks",
        )?;
        law(self.step_ppm > 0, "step_ppm", "expected above 0")?;
        law(
            formulas::ending_step_ppm(self.step_ppm, self.extensions_max) < ONE_PPM,
            "extensions_max",
            "expected step_ppm x (1 + extensions_max / 4) below 1000000",
        )?;
        // Who undercut the leader by one step must not lose the draw to whom it displaced.
        let inside = u128::from(self.band_ppm).saturating_add(one);
        let undercut = one.saturating_sub(u128::from(self.step_ppm));
        let apart = inside.saturating_mul(undercut) < one.saturating_mul(one);
        law(apart, "band_ppm", "expected (1 + band) x (1 - step) below 1")
    }

    fn check_lease(&self, max_billing_step_s: u32) -> Result<(), Reject> {
        let reserve_s = self.runway_s.saturating_add(self.grace_s);
        law(self.reclaim_s_min >= self.min_charge_s, "reclaim_s_min", "expected at least min_charge_s")?;
        law(self.duration_s_min >= self.min_charge_s, "duration_s_min", "expected at least min_charge_s")?;
        law(
            reserve_s >= self.min_charge_s,
            "runway_s",
            "expected runway_s + grace_s to be at least min_charge_s",
        )?;
        // There is a block in which a tenant can still report what was not delivered.
        let trial_min = u64::from(max_billing_step_s).saturating_mul(2);
        law(
            u64::from(self.min_charge_s) >= trial_min,
            "min_charge_s",
            "expected at least 2 x max_billing_step_s",
        )?;
        let start_min = u64::from(max_billing_step_s).saturating_mul(START_STEPS_MIN);
        law(
            u64::from(self.start_timeout_s_min) >= start_min,
            "start_timeout_s_min",
            "expected at least 5 x max_billing_step_s",
        )?;
        law(self.abandon_s <= self.lock_s, "abandon_s", "expected at most lock_s")
    }

    /// For how many seconds at the ceiling a deposit must last.
    pub fn reserve_s(&self) -> u32 {
        self.runway_s.saturating_add(self.grace_s)
    }
}

fn law(holds: bool, field: &str, expected: &str) -> Result<(), Reject> {
    if holds { Ok(()) } else { Err(Reject::invalid_request(format!("params.{field}: {expected}"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold_and_every_law_is_checked() {
        let defaults = Params::default();
        assert_eq!(defaults.check(60), Ok(()));
        type Change = fn(&mut Params);
        let broken: &[(&str, Change)] = &[
            ("count_max", |p| p.count_max = 0),
            ("zones_max", |p| p.zones_max = 65),
            ("rounds_max", |p| p.rounds_max = 65),
            ("bids_max", |p| p.bids_max = 1),
            ("bids_max", |p| p.bids_max = 41),
            ("extensions_max", |p| p.extensions_max = 0),
            ("window_blocks:", |p| p.window_blocks_max = 11),
            ("ttl_s:", |p| p.ttl_s_max = 59),
            ("unit_rate_max", |p| p.unit_rate_max = 0),
            ("unit_rate_max", |p| p.unit_rate_max = escrow::RATE_MAX / 1_024 + 1),
            ("weights", |p| p.weights[4] = 500_001),
            ("weight_max_ppm", |p| p.weight_max_ppm = 1_000_001),
            ("window_blocks_min", |p| p.window_blocks_min = 5),
            ("step_ppm", |p| p.step_ppm = 0),
            ("extensions_max", |p| p.extensions_max = 396),
            ("band_ppm", |p| p.band_ppm = 10_102),
            ("reclaim_s_min", |p| p.reclaim_s_min = 299),
            ("duration_s_min", |p| p.duration_s_min = 299),
            ("runway_s", |p| (p.runway_s, p.grace_s) = (200, 99)),
            ("min_charge_s", |p| p.min_charge_s = 119),
            ("start_timeout_s_min", |p| p.start_timeout_s_min = 299),
            ("abandon_s", |p| p.abandon_s = p.lock_s + 1),
            ("window_block_s", |p| p.window_block_s = 0),
            ("window_block_s", |p| p.window_block_s = 3_601),
        ];
        for (field, breaks) in broken {
            let mut params = defaults.clone();
            breaks(&mut params);
            let error = params.check(60).unwrap_err().message;
            assert!(error.starts_with(&format!("params.{field}")), "{field}: {error}");
        }
        let bounds: &[Change] = &[
            |p| p.bids_max = 2,
            |p| p.bids_max = 40,
            |p| p.extensions_max = 1,
            |p| p.extensions_max = 395,
            |p| p.band_ppm = 10_101,
            |p| p.unit_rate_max = escrow::RATE_MAX / 1_024,
            |p| p.abandon_s = p.lock_s,
            |p| p.window_block_s = 3_600,
            |p| p.min_charge_s = 120,
            |p| (p.runway_s, p.grace_s) = (200, 100),
        ];
        for at_bound in bounds {
            let mut params = defaults.clone();
            at_bound(&mut params);
            assert_eq!(params.check(60), Ok(()));
        }
    }
}
