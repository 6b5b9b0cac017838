//! The parameters, and the formulas that are only about them.

use kernel::{Address, Amount, ONE_PPM, Overflow, Reject};
use serde::{Deserialize, Serialize};

/// A price is for this many uflop.
const PRICED_UFLOP: u128 = 1_000_000;
/// The most that a parameter may be which bounds a list: the lists are read whole.
pub(crate) const LIST_LIMIT: u32 = 1_024;
/// The most bytes that the endpoints and operators of a provider can take in its record: a decision reads and writes the
/// records of all bidders, and as many as the market allows must fit the gas of an item of due work.
pub(crate) const CONTACT_BYTES_LIMIT: u64 = 800;
/// What an operator takes in the record: a tag, a length and an address.
pub(crate) const OPERATOR_BYTES: u64 = 22;
/// What an endpoint takes in the record besides its text: a tag and a length.
const ENDPOINT_EXTRA_BYTES: u64 = 3;

kernel::record! {
    /// The parameters of the module.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Params {
        /// Who may set classes and parameters.
        pub authority: Address = 1,
        /// What 10^6 uflop of stake count for, in ucredit.
        pub stake_price: Amount = 2,
        /// How long unstaked money waits, in billing seconds.
        pub unbonding_s: u32 = 3,
        /// Device prices at which the next tier begins, in USD, rising.
        pub tier_bounds_usd: [u32; 4] = 4,
        /// The least stake of a provider with a device of the tier, in ucredit.
        pub tier_min_stake_uc: [Amount; 5] = 5,
        /// For how many days of the reference price each unit of the tier is staked.
        pub tier_days: [u32; 5] = 6,
        /// The most lines of a provider.
        pub lines_max: u32 = 7,
        /// The most operators of a provider.
        pub operators_max: u32 = 8,
        /// The most endpoints of a provider.
        pub endpoints_max: u32 = 9,
        /// The most bytes of an endpoint.
        pub endpoint_len_max: u32 = 10,
        /// The most unbondings that a provider can have at a time; leaving may add one.
        pub unbondings_max: u32 = 11,
        /// The uptime with which a provider starts, in ppm.
        pub uptime_start_ppm: u32 = 12,
        /// The weight of not knowing in a reputation, in ucredit.
        pub reputation_prior: Amount = 13,
        /// What is left of a score after a day, in ppm.
        pub decay_day_ppm: u32 = 14,
        /// The harmed tenant's share of a slash, in ppm; the rest is burned.
        pub harmed_ppm: u32 = 15,
        /// The most due unbondings that one block pays.
        pub unbondings_per_block_max: u32 = 16,
        /// The weight of not knowing is at least so many times the stake that the capacity asks for: the larger a provider,
        /// the more use a reputation takes, so that none is bought for the fees of renting to oneself.
        pub reputation_prior_stakes: u32 = 17,
    }
}

impl Params {
    /// The defaults of the first release.
    pub fn new(authority: Address) -> Self {
        let credits = |credits: u64| Amount::from_u64(credits.saturating_mul(1_000_000));
        Self {
            authority,
            stake_price: Amount::from_u64(500_000),
            unbonding_s: 1_814_400,
            tier_bounds_usd: [1_000, 2_000, 5_000, 15_000],
            tier_min_stake_uc: [50, 100, 500, 2_000, 5_000].map(credits),
            tier_days: [7, 7, 10, 14, 14],
            lines_max: 64,
            operators_max: 8,
            endpoints_max: 4,
            endpoint_len_max: 128,
            unbondings_max: 8,
            uptime_start_ppm: 900_000,
            reputation_prior: Amount::from_u64(2_000_000_000),
            decay_day_ppm: 977_160,
            harmed_ppm: 400_000,
            unbondings_per_block_max: 200,
            reputation_prior_stakes: 14,
        }
    }

    /// Checks the ranges; a rejection names the field.
    pub fn check(&self) -> Result<(), Reject> {
        let range = |holds: bool, text: &str| {
            if holds { Ok(()) } else { Err(Reject::invalid_request(format!("params.{text}"))) }
        };
        let list = |value: u32| (1..=LIST_LIMIT).contains(&value);
        range(!self.stake_price.is_zero(), "stake_price: expected above 0")?;
        range(
            self.tier_bounds_usd.is_sorted_by(|low, high| low < high),
            "tier_bounds_usd: expected to rise",
        )?;
        let positive = self.tier_min_stake_uc.iter().all(|stake| !stake.is_zero());
        range(positive, "tier_min_stake_uc: expected each above 0")?;
        range(list(self.lines_max), "lines_max: expected 1 to 1024")?;
        range(self.endpoint_len_max > 0, "endpoint_len_max: expected above 0")?;
        let contact = self.contact_bytes() <= CONTACT_BYTES_LIMIT;
        let expected =
            "expected endpoints_max x (endpoint_len_max + 3) + operators_max x 22 to be at most 800";
        range(contact, &format!("endpoints_max: {expected}"))?;
        range(list(self.unbondings_max), "unbondings_max: expected 1 to 1024")?;
        range(self.uptime_start_ppm <= ONE_PPM, "uptime_start_ppm: expected at most 1000000")?;
        range(!self.reputation_prior.is_zero(), "reputation_prior: expected above 0")?;
        range(self.decay_day_ppm <= ONE_PPM, "decay_day_ppm: expected at most 1000000")?;
        range(self.harmed_ppm <= ONE_PPM, "harmed_ppm: expected at most 1000000")?;
        range(self.unbondings_per_block_max > 0, "unbondings_per_block_max: expected above 0")
    }

    /// The most that endpoints and operators can take in a provider's record.
    fn contact_bytes(&self) -> u64 {
        let endpoints =
            endpoint_bytes(self.endpoint_len_max.into()).saturating_mul(self.endpoints_max.into());
        endpoints.saturating_add(OPERATOR_BYTES.saturating_mul(self.operators_max.into()))
    }

    /// What `stake` uflop count for, in ucredit, rounded down.
    pub fn stake_uc(&self, stake: Amount) -> Result<Amount, Overflow> {
        stake.mul_floor(self.stake_price.units(), PRICED_UFLOP)
    }

    /// The uflop to lock for `uc` ucredit, rounded up.
    pub fn lock_for_uc(&self, uc: Amount) -> Result<Amount, Overflow> {
        uc.mul_ceil(PRICED_UFLOP, self.stake_price.units())
    }

    /// The tier of a device of this price: 0 to 4.
    pub fn tier(&self, device_price_usd: u32) -> usize {
        self.tier_bounds_usd.iter().filter(|bound| **bound <= device_price_usd).count()
    }

    /// The least stake for a device of the tier, in ucredit.
    pub fn tier_min(&self, tier: usize) -> Amount {
        self.tier_min_stake_uc.get(tier).copied().unwrap_or(Amount::MAX)
    }

    /// The stake for one unit of the tier at this reference price a day, in ucredit.
    pub fn unit_required(&self, tier: usize, ref_price_day: Amount) -> Result<Amount, Overflow> {
        let days = self.tier_days.get(tier).copied().ok_or(Overflow)?;
        ref_price_day.mul_floor(u128::from(days), 1)
    }
}

/// What an endpoint of so many bytes takes in a provider's record.
pub(crate) fn endpoint_bytes(length: u64) -> u64 {
    length.saturating_add(ENDPOINT_EXTRA_BYTES)
}
