//! The price of gas: it follows demand as EIP-1559 lets it, but in small and bounded steps of decimal arithmetic.

use kernel::{Amount, Ctx, Dec, Overflow, Result, num};

use crate::{FeeParams, params::params, state::BASE_FEE};

/// The price moves by at most one part in this many, per block.
const CHANGE_DENOMINATOR: u128 = 8;
/// The smallest step of the price, 10^-6 of the fee denom for a unit of gas: a price of zero can rise, and a tiny one
/// reaches the floor.
pub const STEP_MIN: Dec = Dec::from_atomics(1_000_000_000_000);

kernel::record! {
    /// The price of gas in the next block.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct BaseFee {
        /// Fee denom for one unit of gas.
        pub price: Dec = 1,
    }
}

/// The price of one unit of gas, in the fee denom.
pub fn base(ctx: &Ctx) -> Result<Dec> {
    Ok(BASE_FEE.load(ctx)?.price)
}

/// What a transaction with this gas limit pays at least, rounded up. No price that parameters allow overflows.
pub fn required(base: Dec, gas_limit: u64) -> Result<Amount, Overflow> {
    base.mul_ceil(Amount::from(gas_limit))
}

/// Moves the price after a block whose transactions paid for this much gas: what a block has no room for is asked for, not used.
pub fn end_block(ctx: &mut Ctx, gas_paid: u64) -> Result<()> {
    let params = params(ctx)?;
    let before = base(ctx)?;
    let after = next(before, gas_paid, params.max_block_gas, &params.fee);
    if after == before {
        return Ok(());
    }
    BASE_FEE.set(ctx, &BaseFee { price: after })
}

/// The price after a block: it moves in proportion to how far the block was from half full, by at most 1/8 or the
/// smallest step, and stays between floor and ceiling.
pub fn next(price: Dec, gas_paid: u64, max_block_gas: u64, fee: &FeeParams) -> Dec {
    let target = u128::from(max_block_gas / 2).max(1);
    let paid = u128::from(gas_paid).min(target.saturating_mul(2));
    let step =
        num::mul_floor(price.atomics(), paid.abs_diff(target), target.saturating_mul(CHANGE_DENOMINATOR));
    let step = step.unwrap_or(0).max(STEP_MIN.atomics());
    let moved = match paid.cmp(&target) {
        std::cmp::Ordering::Greater => price.atomics().saturating_add(step),
        std::cmp::Ordering::Equal => price.atomics(),
        std::cmp::Ordering::Less => price.atomics().saturating_sub(step),
    };
    Dec::from_atomics(moved).max(fee.base_floor).min(fee.base_ceiling)
}
