//! The market's arithmetic, without state: what a bid is worth, what it locks, who leads, who wins. What each
//! function says is the specification of its formula.

use kernel::{
    Amount, E18, ONE_PPM, Overflow,
    num::{modulo, mul_ceil, mul_floor},
};
use provider::{Scores, Zone};
use sha2::{Digest as _, Sha256};

use crate::{
    params::Params,
    types::{OrderId, Parts, Round, Terms},
};

const ONE: u128 = 1_000_000;

/// The drawbacks of a bidder in an order's eyes, each 0 to [`ONE_PPM`].
pub fn parts(scores: &Scores, zone: &Zone, near: Option<&Zone>) -> Parts {
    let missing = |score_ppm: u32| ONE_PPM.saturating_sub(score_ppm);
    [
        missing(scores.uptime_ppm),
        missing(scores.reputation_ppm),
        scores.slash_ppm,
        missing(scores.k_ppm),
        Zone::distance_ppm(near, zone),
    ]
}

/// What weighted drawbacks make of a price, in ppm: from 1.0.
pub fn multiplier_ppm(weights: &Parts, parts: &Parts) -> u32 {
    weights.iter().zip(parts).fold(ONE_PPM, |sum, (weight, part)| {
        let product = u64::from(*weight).saturating_mul(u64::from(*part));
        let quotient = product.checked_div(u64::from(ONE_PPM)).unwrap_or_default();
        sum.saturating_add(u32::try_from(quotient).unwrap_or(u32::MAX))
    })
}

/// `ceil(rate * seconds)` in ucredit, of a rate in ucredit a second times 10^18.
pub fn for_seconds_ceil(rate: u128, seconds: u32) -> Result<Amount, Overflow> {
    mul_ceil(rate, u128::from(seconds), E18).and_then(Amount::new)
}

/// `floor(rate * seconds)` in ucredit.
pub fn for_seconds_floor(rate: u128, seconds: u32) -> Result<Amount, Overflow> {
    mul_floor(rate, u128::from(seconds), E18).and_then(Amount::new)
}

/// What each round's window costs an order, in ucredit: what its units cost at the ceiling in `window_block_s` seconds for
/// each block of it, since the auction holds the units of whoever bids for so long.
pub fn window_price(terms: &Terms, params: &Params) -> Result<Amount, Overflow> {
    let seconds = terms.window_blocks.saturating_mul(params.window_block_s);
    for_seconds_ceil(terms.rate_max(), seconds)
}

/// The least deposit of an order, in ucredit: what lasts at the ceiling for `runway_s` and `grace_s`, and the price of the
/// window of each further round.
pub fn least_deposit(terms: &Terms, params: &Params) -> Result<Amount, Overflow> {
    let further = u128::from(terms.rounds.saturating_sub(1));
    let windows = mul_ceil(window_price(terms, params)?.units(), further, 1).and_then(Amount::new)?;
    for_seconds_ceil(terms.rate_max(), params.reserve_s())?.plus(windows)
}

/// What an order costs when it is created, in ucredit: the price of its first window, and at least the parameter.
pub fn order_fee(terms: &Terms, params: &Params) -> Result<Amount, Overflow> {
    Ok(window_price(terms, params)?.max(params.order_fee))
}

/// What not starting costs, in uflop. It follows the ceiling, so a low bid that never starts is not cheap.
pub fn bond(terms: &Terms, params: &Params, stake: &provider::Params) -> Result<Amount, Overflow> {
    let at_ceiling = for_seconds_ceil(terms.rate_max(), params.bond_s)?;
    stake.lock_for_uc(at_ceiling.max(params.bond_min))
}

/// The stake that a bid locks, in uflop, at least its bond.
pub fn lock(
    terms: &Terms,
    unit_rate: u128,
    bond: Amount,
    params: &Params,
    stake: &provider::Params,
) -> Result<Amount, Overflow> {
    let at_price = for_seconds_ceil(terms.rate(unit_rate), params.lock_s)?;
    Ok(stake.lock_for_uc(at_price)?.max(bond))
}

/// The step by which a bid must lead in the ending, in ppm. It grows with every fourth extension: prices fall fast enough
/// that the last extension comes too late to be worth waiting for, and an answer costs no more than what it answers.
pub const fn ending_step_ppm(step_ppm: u32, extensions: u32) -> u32 {
    step_ppm.saturating_mul((extensions >> 2).saturating_add(1))
}

/// The highest effective price that still leads `best` in the ending.
pub fn leading_max(best: u128, step_ppm: u32, extensions: u32) -> u128 {
    let step = ending_step_ppm(step_ppm, extensions);
    mul_floor(best, u128::from(ONE_PPM.saturating_sub(step)), ONE).unwrap_or_default()
}

/// The highest rate that is an improvement of `unit_rate`.
pub fn improved_max(unit_rate: u128, step_ppm: u32) -> u128 {
    mul_floor(unit_rate, u128::from(ONE_PPM.saturating_sub(step_ppm)), ONE).unwrap_or_default()
}

/// The highest effective price that takes part in the draw.
pub fn limit(best: u128, band_ppm: u32) -> u128 {
    mul_floor(best, u128::from(ONE_PPM).saturating_add(u128::from(band_ppm)), ONE).unwrap_or(best)
}

/// How far below the ceiling a price is, in ppm.
pub fn delta_ppm(max_unit_rate: u128, unit_rate: u128) -> u32 {
    let delta = mul_floor(max_unit_rate.saturating_sub(unit_rate), ONE, max_unit_rate).unwrap_or_default();
    u32::try_from(delta).unwrap_or(ONE_PPM)
}

/// The index of the winner among the weights of the bids in the band, in rank: a number drawn from the seed of the
/// auction's last height, walked along the weights. `None` only without any weight.
pub fn draw(
    chain_id: &str,
    order: OrderId,
    round: Round,
    seed: &[u8; 32],
    weights: &[u128],
) -> Option<usize> {
    let sum = weights.iter().try_fold(0_u128, |sum, weight| sum.checked_add(*weight))?;
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"underbid/award/1")
        .chain_update(chain_id.as_bytes())
        .chain_update(order.to_be_bytes())
        .chain_update(round.to_be_bytes())
        .chain_update(seed)
        .finalize()
        .into();
    let mut left = modulo(&hash, sum).ok()?;
    for (index, weight) in weights.iter().enumerate() {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return Some(index),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_AN_HOUR: u128 = 555_555_555_555_555_555_555;

    fn terms(max_unit_rate: u128, count: u32) -> Terms {
        let zone = provider::ZonePattern::parse("de").unwrap();
        Terms {
            class_id: 1,
            count,
            zones: vec![zone],
            near: None,
            max_unit_rate,
            duration_s: 0,
            window_blocks: 12,
            ttl_s: 60,
            start_timeout_s: 300,
            reclaim_min_s: 300,
            min_uptime_ppm: 0,
            weights: Params::default().weights,
            manifest_hash: [0; 32],
            rounds: 1,
        }
    }

    fn stake() -> provider::Params {
        provider::Params::new(kernel::Address([1; 20]))
    }

    #[test]
    fn the_vectors_of_the_specification() {
        let (terms, params, stake) = (terms(TWO_AN_HOUR, 8), Params::default(), stake());
        assert_eq!(terms.rate_max(), 4_444_444_444_444_444_444_440);
        assert_eq!(for_seconds_ceil(terms.rate_max(), params.reserve_s()), Ok(Amount::from(24_000_000)));
        let bond = bond(&terms, &params, &stake).unwrap();
        assert_eq!(bond, Amount::from(32_000_000));
        let lock = lock(&terms, TWO_AN_HOUR, bond, &params, &stake).unwrap();
        assert_eq!(lock, Amount::from(5_376_000_000));
        assert_eq!(lock.mul_ceil(86_400, 604_800), Ok(Amount::from(768_000_000)));
        let multiplier = multiplier_ppm(&params.weights, &[100_000, 500_000, 0, 500_000, 0]);
        assert_eq!(multiplier, 1_155_000);
        let eff = TWO_AN_HOUR * u128::from(multiplier);
        assert_eq!(eff, 641_666_666_666_666_666_666_025_000);
        assert_eq!(limit(eff, params.band_ppm), 644_874_999_999_999_999_999_355_125);
    }

    #[test]
    fn the_bond_follows_the_ceiling_and_the_lock_the_price() {
        let (params, stake) = (Params::default(), stake());
        let bond_of = |rate| bond(&terms(rate, 1), &params, &stake).unwrap();
        assert_eq!(bond_of(1), Amount::from(2_000_000), "at least bond_min");
        let dear = bond_of(1_000_000_000_000_000_000_000);
        assert_eq!(dear, Amount::from(7_200_000));
        let terms = terms(1_000_000_000_000_000_000_000, 1);
        assert_eq!(lock(&terms, 1, dear, &params, &stake), Ok(dear), "at least the bond");
    }

    #[test]
    fn a_bid_leads_exactly_up_to_its_bound() {
        let leads = |eff: u128, best: u128, steps: u128| eff * ONE <= best * (ONE - 10_000 * steps);
        for best in [1, 99, 100, 101, 12_345, 999_999_999_999_999_999_999_999_999_999_u128] {
            for extensions in [0, 3, 4, 19, 395] {
                let max = leading_max(best, 10_000, extensions);
                let steps = u128::from(extensions) / 4 + 1;
                assert!(leads(max, best, steps) && !leads(max + 1, best, steps), "{best} {extensions}");
            }
        }
        assert_eq!(leading_max(1_000, 10_000, u32::MAX), 0);
        assert_eq!(improved_max(100, 10_000), 99);
    }

    #[test]
    fn all_formulas_hold_at_all_maxima_at_once() {
        let bond_min = Amount::from(u64::MAX);
        let params = Params { lock_s: u32::MAX, bond_s: u32::MAX, bond_min, ..Params::default() };
        let mut stake = stake();
        stake.stake_price = Amount::from(1);
        let terms = terms(escrow::RATE_MAX, 1);
        let bond = bond(&terms, &params, &stake).unwrap();
        assert!(lock(&terms, escrow::RATE_MAX, bond, &params, &stake).unwrap() >= bond);
        let multiplier = multiplier_ppm(&[ONE_PPM; 5], &[ONE_PPM; 5]);
        assert_eq!(multiplier, 6 * ONE_PPM);
        let eff = escrow::RATE_MAX.checked_mul(u128::from(multiplier)).unwrap();
        let limit = limit(eff, 10_101);
        assert!(limit > eff);
        let weights = vec![limit; usize::try_from(crate::params::BIDS_LIMIT).unwrap()];
        assert!(draw("chain", u64::MAX, u32::MAX, &[255; 32], &weights).is_some());
        assert_eq!(delta_ppm(escrow::RATE_MAX, 1), 999_999);
        assert!(for_seconds_floor(escrow::RATE_MAX, u32::MAX).is_ok());
    }

    #[test]
    fn who_undercuts_by_a_step_is_alone_in_the_band() {
        let params = Params::default();
        for best in [1_000_000_u128, 641_666_666_666_666_666_666_025_000] {
            let undercut = leading_max(best, params.step_ppm, 0);
            assert!(limit(undercut, params.band_ppm) < best);
        }
    }
}
