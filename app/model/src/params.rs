//! The parameters, as genesis and as messages give them.

use proto::underbid::{escrow::v1 as escrow, market::v1 as market, provider::v1 as provider};
use serde::{Deserialize, Serialize};

use crate::{
    Model,
    numbers::{ONE, text, texts},
    refusal::{Refusal, guard},
};

/// The highest rate of a lease.
const RATE_MAX: u128 = 10_000_000_000_000_000_000_000_000_000;

macro_rules! params {
    ($(#[$doc:meta])* $name:ident of $module:ident {
        numbers: $($number:ident)*; amounts: $($amount:ident)*; names: $($text:ident)*; lists: $($list:ident)*;
        amount_lists: $($amounts:ident)*;
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the specification says what each means")]
        pub struct $name {
            $(pub $number: u64,)*
            $(#[serde(with = "text")] pub $amount: u128,)*
            $(pub $text: String,)*
            $(pub $list: Vec<u64>,)*
            $(#[serde(with = "texts")] pub $amounts: Vec<u128>,)*
        }

        impl From<proto::underbid::$module::v1::Params> for $name {
            fn from(wire: proto::underbid::$module::v1::Params) -> Self {
                Self {
                    $($number: wire.$number.into(),)*
                    $($amount: wire.$amount.parse().unwrap(),)*
                    $($text: wire.$text,)*
                    $($list: wire.$list.into_iter().map(u64::from).collect(),)*
                    $($amounts: wire.$amounts.iter().map(|text| text.parse().unwrap()).collect(),)*
                }
            }
        }
    };
}

params! {
    /// Those of escrow.
    Escrow of escrow {
        numbers: fee_ppm depositors_max;
        amounts: deposit_min;
        names: authority;
        lists: ;
        amount_lists: ;
    }
}
params! {
    /// Those of provider.
    Provider of provider {
        numbers: unbonding_s lines_max operators_max endpoints_max endpoint_len_max unbondings_max uptime_start_ppm
            decay_day_ppm harmed_ppm unbondings_per_block_max reputation_prior_stakes;
        amounts: stake_price reputation_prior;
        names: authority;
        lists: tier_bounds_usd tier_days;
        amount_lists: tier_min_stake_uc;
    }
}
params! {
    /// Those of market.
    Market of market {
        numbers: count_max zones_max window_blocks_min window_blocks_max soft_blocks step_ppm extensions_max bids_max
            band_ppm weight_max_ppm ttl_s_min ttl_s_max start_timeout_s_min start_timeout_s_max reclaim_s_min
            reclaim_s_max duration_s_min duration_s_max runway_s grace_s lock_s abandon_s bond_s min_charge_s rounds_max
            retention_s leases_per_block_max auctions_per_block_max orders_per_block_max held_per_block_max
            window_block_s;
        amounts: order_fee unit_rate_max bond_min;
        names: ;
        lists: weights;
        amount_lists: ;
    }
}

/// The laws between parameters, and the bounds that the types state.
impl Market {
    fn hold(&self, max_billing_step_s: u64) -> bool {
        let one = ONE as u64;
        let ranges = [
            (self.window_blocks_min, self.window_blocks_max),
            (self.ttl_s_min, self.ttl_s_max),
            (self.start_timeout_s_min, self.start_timeout_s_max),
            (self.reclaim_s_min, self.reclaim_s_max),
            (self.duration_s_min, self.duration_s_max),
        ];
        let budgets = [
            self.leases_per_block_max,
            self.auctions_per_block_max,
            self.orders_per_block_max,
            self.held_per_block_max,
        ];
        let first_seconds = [self.reclaim_s_min, self.duration_s_min, self.runway_s + self.grace_s];
        let rate_max = self.unit_rate_max.checked_mul(self.count_max.into());
        ranges.iter().all(|(min, max)| min <= max)
            && budgets.iter().all(|budget| *budget > 0)
            && first_seconds.iter().all(|seconds| *seconds >= self.min_charge_s)
            && self.min_charge_s >= 2 * max_billing_step_s
            && self.start_timeout_s_min >= 5 * max_billing_step_s
            && self.step_ppm > 0
            && self.extensions_max >= 1
            && (one + self.band_ppm) * one.saturating_sub(self.step_ppm) < one * one
            && self.step_ppm * (1 + self.extensions_max / 4) < one
            && self.abandon_s <= self.lock_s
            && (2..=40).contains(&self.bids_max)
            && self.window_blocks_min > self.soft_blocks
            && (1..=64).contains(&self.zones_max)
            && (1..=3_600).contains(&self.window_block_s)
            && (1..=64).contains(&self.rounds_max)
            && rate_max.is_some_and(|rate| rate <= RATE_MAX)
            && self.weights.len() == 5
            && self.weights.iter().all(|weight| *weight <= self.weight_max_ppm)
    }
}

impl Escrow {
    fn hold(&self) -> bool {
        self.fee_ppm <= ONE as u64 && self.deposit_min > 0 && (1..=64).contains(&self.depositors_max)
    }
}

impl Provider {
    fn hold(&self) -> bool {
        let tiers = self.tier_min_stake_uc.len();
        let shares = [self.uptime_start_ppm, self.decay_day_ppm, self.harmed_ppm];
        let endpoints = u128::from(self.endpoints_max) * (u128::from(self.endpoint_len_max) + 3);
        let contact = endpoints + u128::from(self.operators_max) * 22;
        shares.iter().all(|share| *share <= ONE as u64)
            && contact <= 800
            && self.stake_price > 0
            && self.reputation_prior > 0
            && self.tier_min_stake_uc.iter().all(|least| *least > 0)
            && self.tier_days.len() == tiers
            && self.tier_bounds_usd.len() + 1 == tiers
            && self.tier_bounds_usd.is_sorted_by(|one, next| one < next)
            && self.unbondings_per_block_max > 0
    }
}

impl Model {
    pub(crate) fn update_escrow_params(
        &mut self,
        msg: escrow::MsgUpdateParams,
    ) -> Result<escrow::MsgUpdateParamsResponse, Refusal> {
        guard(msg.authority == self.escrow.authority, Refusal::NotAuthorityOfEscrow)?;
        let params = Escrow::from(msg.params.unwrap());
        guard(params.hold(), Refusal::BadParams)?;
        self.escrow = params;
        Ok(escrow::MsgUpdateParamsResponse {})
    }

    pub(crate) fn update_provider_params(
        &mut self,
        msg: provider::MsgUpdateParams,
    ) -> Result<provider::MsgUpdateParamsResponse, Refusal> {
        guard(msg.authority == self.provider.authority, Refusal::NotAuthority)?;
        let params = Provider::from(msg.params.unwrap());
        guard(params.hold(), Refusal::BadParams)?;
        self.provider = params;
        Ok(provider::MsgUpdateParamsResponse {})
    }

    pub(crate) fn update_market_params(
        &mut self,
        msg: market::MsgUpdateParams,
    ) -> Result<market::MsgUpdateParamsResponse, Refusal> {
        guard(msg.authority == self.provider.authority, Refusal::NotAuthority)?;
        let params = Market::from(msg.params.unwrap());
        guard(params.hold(self.max_billing_step_s), Refusal::BadParams)?;
        self.market = params;
        Ok(market::MsgUpdateParamsResponse {})
    }
}
