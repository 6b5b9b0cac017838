//! How well a provider served, in ppm, and how that fades.

use kernel::{
    Amount, At, Billing, ONE_PPM,
    num::{mul_floor, sqrt_mul_floor},
};

use crate::{params::Params, types::Provider};

const DAY_S: u64 = 86_400;
/// After this many days nothing is left of a score: the work of fading is bounded.
const DECAY_DAYS_MAX: u64 = 365;

/// What a provider's record says about it at a moment, each from 0 to 1_000_000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scores {
    /// Its uptime.
    pub uptime_ppm: u32,
    /// What is good of its weighed use; 500_000: unknown.
    pub reputation_ppm: u32,
    /// The share of its stake that was slashed.
    pub slash_ppm: u32,
    /// Half the root of how often its stake covers what its capacity asks for: 500_000 at once, 1_000_000 at four times.
    pub k_ppm: u32,
}

/// What a lease left in its provider's reputation, in ucredit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Paid use that ended well.
    Good(Amount),
    /// Use that the provider's fault cost.
    Bad(Amount),
}

impl Scores {
    pub(crate) fn of(provider: &Provider, params: &Params, now: At<Billing>) -> Self {
        let mut faded = provider.clone();
        faded.fade(params, now);
        let stake_uc = provider.stake_uc(params).unwrap_or(Amount::MAX);
        let measured_uc = provider.measured_uc(params, now);
        // What is good is not to be bought by renting to oneself. What is bad does not fade by declaring more units.
        let prior = if faded.good > faded.bad {
            let stakes = measured_uc.mul_floor(u128::from(params.reputation_prior_stakes), 1);
            params.reputation_prior.max(stakes.unwrap_or(Amount::MAX))
        } else {
            params.reputation_prior
        };
        Self {
            uptime_ppm: faded.uptime_ppm,
            reputation_ppm: reputation_ppm(faded.good, faded.bad, prior),
            slash_ppm: faded.slash_ppm,
            k_ppm: k_ppm(stake_uc, measured_uc),
        }
    }
}

impl Provider {
    /// Brings the scores to the last whole day since they were written.
    pub(crate) fn fade(&mut self, params: &Params, now: At<Billing>) {
        let days = now.since(self.scored_at).checked_div(DAY_S).unwrap_or_default();
        if days == 0 {
            return;
        }
        let fade =
            |value: Amount| Amount::new(decay(value.units(), days, params.decay_day_ppm)).unwrap_or(value);
        self.good = fade(self.good);
        self.bad = fade(self.bad);
        let slash = decay(u128::from(self.slash_ppm), days, params.decay_day_ppm);
        self.slash_ppm = u32::try_from(slash).unwrap_or(self.slash_ppm);
        self.scored_at = self.scored_at.saturating_plus(days.saturating_mul(DAY_S));
    }

    /// Adds an outcome to scores that have been brought to now.
    pub(crate) fn add_outcome(&mut self, outcome: Outcome) {
        let add = |score: Amount, value: Amount| score.plus(value).unwrap_or(Amount::MAX);
        match outcome {
            Outcome::Good(value) => self.good = add(self.good, value),
            Outcome::Bad(value) => self.bad = add(self.bad, value),
        }
    }
}

/// `floor((good + prior) * ONE / (good + bad + 2 * prior))`.
fn reputation_ppm(good: Amount, bad: Amount, prior: Amount) -> u32 {
    // Four amounts of at most 2^96 fit 128 bits.
    let favour = good.units().saturating_add(prior.units());
    let all = favour.saturating_add(bad.units()).saturating_add(prior.units());
    let ppm = mul_floor(favour, u128::from(ONE_PPM), all).unwrap_or_default();
    u32::try_from(ppm).unwrap_or(ONE_PPM)
}

/// `min(ONE, isqrt(floor(stake_uc * 10^12 / required_uc)) / 2)`.
fn k_ppm(stake_uc: Amount, required_uc: Amount) -> u32 {
    let root = sqrt_mul_floor(stake_uc.units(), 1_000_000_000_000, required_uc.units()).unwrap_or(u128::MAX);
    let half = root.checked_div(2).unwrap_or_default();
    u32::try_from(half.min(u128::from(ONE_PPM))).unwrap_or(ONE_PPM)
}

/// `value` with `factor_ppm` of it left after each day, rounded down each day; nothing after [`DECAY_DAYS_MAX`].
fn decay(value: u128, days: u64, factor_ppm: u32) -> u128 {
    if days > DECAY_DAYS_MAX {
        return 0;
    }
    let step = |value| mul_floor(value, u128::from(factor_ppm), u128::from(ONE_PPM)).unwrap_or_default();
    (0..days).fold(value, |value, _| step(value))
}
