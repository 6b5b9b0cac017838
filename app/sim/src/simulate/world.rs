//! The networks on which histories play: parameters so small that everything comes within some hundred blocks.

use kernel::Amount;
use serde_json::{Value, json};

use super::{
    cast::{self, AUTHORITY, POOR, person},
    random::Random,
};
use crate::{PURSE, genesis_state};

/// ucredit a second times 10^18 at which ten seconds lock about what a provider has to spare.
const RATE_SCALE: u128 = 1_500_000 * kernel::E18;

/// How much happens on a network, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The longest step of the billing clock, in seconds: how long things take.
    pub step_s: u32,
    /// Many cheap orders at a time, which end together, and queues that do one item a block.
    pub crowded: bool,
}

impl Scale {
    /// A price of a unit that is in proportion to the stake and the purses.
    pub fn unit_rate(self) -> u128 {
        let crowd = if self.crowded { 30 } else { 1 };
        RATE_SCALE / u128::from(self.step_s) / crowd
    }

    /// How many live orders there should be.
    pub const fn orders(self) -> usize {
        if self.crowded { 40 } else { 14 }
    }
}

/// The genesis state of a seed.
pub fn genesis(random: &mut Random) -> (Scale, Value) {
    let scale =
        Scale { step_s: random.pick(&[1, 1, 2, 10, 60, 7_200, 86_400]), crowded: random.chance(1, 4) };
    let mut state = genesis_state();
    let accounts = cast::founders().map(|name| json!({ "address": person(name).text }));
    state["auth"]["accounts"] = accounts.collect();
    let coin = |denom: &str, amount: u64| json!({ "denom": denom, "amount": amount.to_string() });
    let balances = cast::founders().map(|name| {
        let purse = if name == POOR { 200_000 } else { PURSE };
        json!({ "address": person(name).text, "coins": [coin("ucredit", purse), coin("uflop", purse)] })
    });
    state["bank"]["balances"] = balances.collect();
    state["kernel"]["params"]["max_billing_step_s"] = scale.step_s.into();
    let auth = &mut state["auth"]["params"];
    auth["max_memo_characters"] = 64.into();
    auth["signatures_max"] = random.pick(&[2, 4]).into();
    auth["tx_bytes_max"] = 12_000.into();
    auth["unordered_live_max"] = 2.into();
    auth["unordered_timeout_max_s"] = 60.into();
    auth["max_block_gas"] = random.pick(&[4_000_000, 20_000_000, 300_000_000]).into();
    auth["fee"]["base_floor"] = random.pick(&["0", "0.001"]).into();
    auth["fee"]["base_ceiling"] = random.pick(&["0.02", "1000"]).into();
    let authority = person(AUTHORITY).address;
    let escrow = escrow_params(random, authority);
    state["escrow"]["params"] = serde_json::to_value(escrow).unwrap();
    let provider = provider_params(random, scale, authority);
    state["provider"]["params"] = serde_json::to_value(provider).unwrap();
    let market = market_params(random, scale);
    market.check(scale.step_s).unwrap();
    state["market"]["params"] = serde_json::to_value(market).unwrap();
    (scale, state)
}

/// Parameters of escrow.
pub fn escrow_params(random: &mut Random, authority: kernel::Address) -> escrow::Params {
    escrow::Params {
        authority,
        fee_ppm: random.pick(&[0, 20_000, 333_333, 1_000_000]),
        deposit_min: Amount::from_u64(random.pick(&[1, 10_000])),
        depositors_max: random.within(1, 3),
    }
}

/// Parameters of the providers.
pub fn provider_params(random: &mut Random, scale: Scale, authority: kernel::Address) -> provider::Params {
    provider::Params {
        stake_price: Amount::from_u64(random.pick(&[500_000, 500_000, 400_000, 1_000_000, 999_999])),
        unbonding_s: random.within(0, 20) * scale.step_s,
        tier_days: random.pick(&[[7, 7, 10, 14, 14], [0, 1, 2, 3, 4]]),
        lines_max: random.within(1, 3),
        operators_max: random.within(1, 2),
        endpoints_max: 2,
        endpoint_len_max: 16,
        unbondings_max: random.within(1, 2),
        uptime_start_ppm: random.pick(&[0, 900_000, 1_000_000]),
        reputation_prior: Amount::from_u64(random.pick(&[1, 2_000_000_000])),
        reputation_prior_stakes: random.pick(&[0, 14]),
        decay_day_ppm: random.pick(&[0, 500_000, 977_160, 1_000_000]),
        harmed_ppm: random.pick(&[0, 400_000, 1_000_000]),
        unbondings_per_block_max: budget(random, scale),
        ..provider::Params::new(authority)
    }
}

/// Parameters of the market, inside their laws.
pub fn market_params(random: &mut Random, scale: Scale) -> market::Params {
    let step = scale.step_s;
    let times = |random: &mut Random, low, high| random.within(low, high) * step;
    let soft_blocks = random.within(0, 3);
    let window_blocks_min = soft_blocks + random.within(1, 3);
    let step_ppm = random.pick(&[1, 10_000, 100_000]);
    let min_charge_s = random.pick(&[2 * step, 2 * step + 1, 3 * step]);
    let reclaim_s_min = min_charge_s + times(random, 0, 2);
    let duration_s_min = min_charge_s + times(random, 0, 2);
    let ttl_s_min = times(random, 1, 12);
    let start_timeout_s_min = 5 * step;
    let lock_s = times(random, 1, 40);
    market::Params {
        order_fee: Amount::from_u64(random.pick(&[0, 1_000])),
        count_max: 3,
        zones_max: 2,
        window_blocks_min,
        window_blocks_max: window_blocks_min + random.within(0, 4),
        soft_blocks,
        step_ppm,
        extensions_max: random.pick(&[1, 2, 3, 6]),
        bids_max: random.pick(&[2, 2, 2, 3, 4]),
        band_ppm: random.pick(&[0, step_ppm / 2, step_ppm]),
        ttl_s_min,
        ttl_s_max: ttl_s_min + times(random, 0, 12),
        start_timeout_s_min,
        start_timeout_s_max: start_timeout_s_min + times(random, 0, 4),
        reclaim_s_min,
        reclaim_s_max: reclaim_s_min + times(random, 0, 4),
        duration_s_min,
        duration_s_max: duration_s_min + if scale.crowded { 10 * step } else { times(random, 1, 30) },
        runway_s: min_charge_s + times(random, 0, 6),
        grace_s: times(random, 0, 4),
        lock_s,
        abandon_s: random.within(0, lock_s),
        bond_s: times(random, 0, 3),
        bond_min: Amount::from_u64(random.pick(&[0, 1, 1_000_000])),
        min_charge_s,
        rounds_max: random.within(1, 3),
        retention_s: times(random, 0, 20),
        leases_per_block_max: budget(random, scale),
        auctions_per_block_max: budget(random, scale),
        orders_per_block_max: budget(random, scale),
        held_per_block_max: budget(random, scale),
        window_block_s: random.pick(&[1, 6]),
        ..market::Params::default()
    }
}

/// How much of a queue a block does: often so little that queues are late.
fn budget(random: &mut Random, scale: Scale) -> u32 {
    if scale.crowded { 1 } else { random.pick(&[1, 1, 2, 1_000]) }
}
