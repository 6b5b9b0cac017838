//! The market's arithmetic, without state: what a bid is worth, what it locks, who leads, who wins. The source of every
//! formula is section 4 to 6 of the market's specification.

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

/// The highest effective price that still leads `best` in the ending. The step grows with every extension, so there is
/// no last block to snipe.
pub fn leading_max(best: u128, step_ppm: u32, extensions: u32) -> u128 {
    let steps = step_ppm.saturating_mul(extensions.saturating_add(1));
    mul_floor(best, u128::from(ONE_PPM.saturating_sub(steps)), ONE).unwrap_or_default()
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
pub fn draw(chain_id: &str, order: OrderId, round: Round, seed: &[u8; 32], weights: &[u128]) -> Option<usize> {
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
