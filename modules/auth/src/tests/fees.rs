//! The price of gas.

use kernel::{Amount, Dec, E18, num::product_le};
use proptest::prelude::*;

use super::chain;
use crate::{
    FeeParams, Genesis, Params,
    fees::{STEP_MIN, base, end_block, next, required},
    params::PRICE_MAX,
};

fn bounds(floor: u128, ceiling: u128) -> FeeParams {
    FeeParams {
        denom: "uflop".into(),
        base_start: Dec::from_atomics(floor),
        base_floor: Dec::from_atomics(floor),
        base_ceiling: Dec::from_atomics(ceiling),
    }
}

prop_compose! {
    /// A price within its bounds, the gas of a block and what was used of it.
    fn block()(
        ends in prop::array::uniform3(0..=PRICE_MAX.atomics()),
        max in 2..=u64::MAX,
        used: u64,
        part in 0..=300_u64,
    ) -> (Dec, u64, u64, FeeParams) {
        let mut ends = ends;
        ends.sort_unstable();
        // Half of the cases are spread over the block, the others over all of the type.
        let used = if part > 150 { used } else { (max / 100).saturating_mul(part) };
        (Dec::from_atomics(ends[1]), used, max, bounds(ends[0], ends[2]))
    }
}

proptest! {
    #[test]
    fn the_price_moves_by_an_eighth_at_most_and_stays_in_bounds((price, used, max, fee) in block()) {
        let after = next(price, used, max, &fee);
        prop_assert!(fee.base_floor <= after && after <= fee.base_ceiling);
        let step = (price.atomics() / 8).max(STEP_MIN.atomics());
        prop_assert!(after.atomics().abs_diff(price.atomics()) <= step);
    }

    #[test]
    fn a_fuller_block_never_makes_gas_cheaper((price, used, max, fee) in block(), more: u64) {
        prop_assert!(next(price, used, max, &fee) <= next(price, used.saturating_add(more), max, &fee));
    }

    #[test]
    fn a_higher_price_stays_the_higher_one((price, used, max, fee) in block(), other: u128) {
        let span = fee.base_ceiling.atomics() - price.atomics();
        let higher = Dec::from_atomics(price.atomics() + other % (span + 1));
        prop_assert!(next(price, used, max, &fee) <= next(higher, used, max, &fee));
    }

    #[test]
    fn above_half_it_rises_and_below_it_falls((price, used, max, fee) in block()) {
        let after = next(price, used, max, &fee);
        match used.cmp(&(max / 2)) {
            std::cmp::Ordering::Greater => prop_assert!(after > price || after == fee.base_ceiling),
            std::cmp::Ordering::Equal => prop_assert_eq!(after, price),
            std::cmp::Ordering::Less => prop_assert!(after < price || after == fee.base_floor),
        }
    }

    #[test]
    fn a_fee_is_the_price_of_the_gas_rounded_up(atomics in 0..=PRICE_MAX.atomics(), gas: u64) {
        let fee = required(Dec::from_atomics(atomics), gas).unwrap().units();
        let gas = u128::from(gas);
        prop_assert!(product_le(atomics, gas, fee, E18));
        prop_assert!(fee == 0 || !product_le(atomics, gas, fee - 1, E18));
    }
}

#[test]
fn full_blocks_lift_a_price_of_zero_and_empty_ones_bring_it_back() {
    let fee = bounds(0, PRICE_MAX.atomics());
    let mut price = Dec::default();
    let mut blocks = 0;
    while price < Dec::from_atomics(E18 / 100) {
        let after = next(price, 1_000, 1_000, &fee);
        assert!(after > price);
        price = after;
        blocks += 1;
    }
    assert!(blocks < 100, "{blocks} full blocks to a hundredth of the fee denom");
    for _ in 0..100 {
        price = next(price, 0, 1_000, &fee);
    }
    assert_eq!(price, Dec::default());
}

#[test]
fn the_largest_fee_that_parameters_allow_is_an_amount() {
    let fee = required(PRICE_MAX, u64::MAX).unwrap();
    assert_eq!(fee, Amount::new(u128::from(u64::MAX) * 1_000_000).unwrap());
    assert!(required(Dec::from_atomics(u128::MAX), u64::MAX).is_err());
    assert_eq!(required(Dec::default(), u64::MAX), Ok(Amount::ZERO));
}

#[test]
fn the_record_follows_the_blocks() {
    let params = Params { max_block_gas: 1_000, ..Params::default() };
    let start = params.fee.base_start;
    let mut ctx = chain(Genesis { params, ..Genesis::default() });
    assert_eq!(base(&ctx), Ok(start));
    let writes = ctx.counters().writes;
    end_block(&mut ctx, 500).unwrap();
    assert_eq!((base(&ctx).unwrap(), ctx.counters().writes), (start, writes));
    end_block(&mut ctx, 1_000).unwrap();
    assert_eq!(base(&ctx).unwrap().atomics(), start.atomics() / 8 * 9);
    end_block(&mut ctx, 0).unwrap();
    assert_eq!(base(&ctx).unwrap().atomics(), start.atomics() / 64 * 63);
    end_block(&mut ctx, 750).unwrap();
    assert_eq!(base(&ctx).unwrap().atomics(), start.atomics() / 1024 * 63 * 17);
}
