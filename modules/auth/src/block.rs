//! The module's work in a block.

use kernel::{Ctx, Fatal};

use crate::{
    state::{EXPIRIES, RETRIES},
    unordered,
};

/// How many unordered transactions a block forgets at most.
pub const EXPIRIES_MAX: u32 = 2_000;
/// How many of those on hold it tries again at most.
const RETRIES_MAX: u32 = 100;

/// Forgets unordered transactions that have timed out.
pub fn begin_block(ctx: &mut Ctx) -> Result<(), Fatal> {
    let (time, height) = (ctx.block.time, ctx.block.height);
    EXPIRIES.drain(ctx, time, EXPIRIES_MAX, unordered::forget)?;
    RETRIES.drain(ctx, height, RETRIES_MAX, unordered::forget)?;
    Ok(())
}
