//! What the market does with a provider's units and stake. Bids reserve and lock, awards commit, ended leases release or
//! slash. Releasing and slashing are parts of closing paths: they take what is there and refuse nothing.

use kernel::{Address, Amount, Ctx, ONE_PPM, Overflow, Result};

use crate::{
    events::{ReputationRecorded, StakeSlashed},
    scores::Outcome,
    state::{LINES, PARAMS, PROVIDERS, adjust, stake_pool},
    types::{Line, Provider, SlashReason},
    zone::Zone,
};

/// A bid holds `count` units of a line and locks `lock` uflop of its provider; both records are as the guards of the bid
/// have read them. More than what is free is an overflow.
pub fn reserve(
    ctx: &mut Ctx,
    provider: Provider,
    class_id: u32,
    zone: &Zone,
    mut line: Line,
    count: u32,
    lock: Amount,
) -> Result<()> {
    if line.free() < count {
        return Err(Overflow.into());
    }
    line.reserved = line.reserved.checked_add(count).ok_or(Overflow)?;
    LINES.update(ctx, &(provider.owner, class_id, zone.clone()), &line)?;
    relock(ctx, provider, Amount::ZERO, lock)
}

/// A bid is gone: its units and its lock are free.
pub fn unreserve(
    ctx: &mut Ctx,
    provider: Address,
    class_id: u32,
    zone: &Zone,
    count: u32,
    lock: Amount,
) -> Result<()> {
    change_line(ctx, provider, class_id, zone, |line| line.reserved = line.reserved.saturating_sub(count))?;
    unlock(ctx, provider, lock)
}

/// A bid's lock changes from `old` to `new` uflop; the record is as the guards of the bid have read it. More than what is
/// free is an overflow.
pub fn relock(ctx: &mut Ctx, mut record: Provider, old: Amount, new: Amount) -> Result<()> {
    record.stake_locked = record.stake_locked.minus(old)?.plus(new)?;
    if record.stake_locked > record.stake_total {
        return Err(Overflow.into());
    }
    adjust(ctx, |totals| {
        totals.locked = totals.locked.minus(old)?.plus(new)?;
        Ok(())
    })?;
    PROVIDERS.update(ctx, &record.owner, &record)
}

/// A bid has won: its units are leased, its lock stays.
pub fn commit(ctx: &mut Ctx, provider: Address, class_id: u32, zone: &Zone, count: u32) -> Result<()> {
    change_line(ctx, provider, class_id, zone, |line| {
        let moved = count.min(line.reserved);
        line.reserved = line.reserved.saturating_sub(moved);
        line.leased = line.leased.saturating_add(moved);
    })
}

/// A lease has ended: its units and its lock are free.
pub fn release(
    ctx: &mut Ctx,
    provider: Address,
    class_id: u32,
    zone: &Zone,
    count: u32,
    lock: Amount,
) -> Result<()> {
    release_slashed(ctx, provider, class_id, zone, count)?;
    unlock(ctx, provider, lock)
}

/// A lease has ended whose lock a slash has freed: its units are free.
pub fn release_slashed(
    ctx: &mut Ctx,
    provider: Address,
    class_id: u32,
    zone: &Zone,
    count: u32,
) -> Result<()> {
    change_line(ctx, provider, class_id, zone, |line| line.leased = line.leased.saturating_sub(count))
}

/// Who gets a share of a slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Harmed {
    /// The tenant.
    pub tenant: Address,
    /// The most of the slash that its share is counted from, in uflop: what the fault has cost it, whatever its own terms
    /// made the provider stake.
    pub at_most: Amount,
}

/// Frees `lock` uflop and takes `amount` of them, at most `lock`: the harmed gets its share, the rest is burned.
pub fn slash(
    ctx: &mut Ctx,
    provider: Address,
    lock: Amount,
    amount: Amount,
    harmed: Option<Harmed>,
    reason: SlashReason,
) -> Result<()> {
    let params = PARAMS.load(ctx)?;
    let Some(mut record) = PROVIDERS.get(ctx, &provider)? else { return Ok(()) };
    let lock = lock.min(record.stake_locked);
    let amount = amount.min(lock);
    record.fade(&params, ctx.block.billing);
    record.add_slash_rate(amount, record.stake_total);
    record.stake_total = record.stake_total.saturating_minus(amount);
    record.stake_locked = record.stake_locked.saturating_minus(lock);
    let harm = harmed.map_or(Amount::ZERO, |harmed| amount.min(harmed.at_most));
    let share = harm.mul_floor(u128::from(params.harmed_ppm), u128::from(ONE_PPM));
    let (harmed, to_harmed) = (harmed.map(|harmed| harmed.tenant), share.unwrap_or(Amount::ZERO));
    let burned = amount.saturating_minus(to_harmed);

    adjust(ctx, |totals| {
        totals.staked = totals.staked.saturating_minus(amount);
        totals.locked = totals.locked.saturating_minus(lock);
        Ok(())
    })?;
    let slash_ppm = record.slash_ppm;
    ctx.emit(&StakeSlashed { provider, reason, harmed, to_harmed, burned, slash_ppm });
    PROVIDERS.update(ctx, &provider, &record)?;
    if let Some(harmed) = harmed {
        bank::transfer(ctx, stake_pool(), harmed, &bank::uflop(), to_harmed)?;
    }
    bank::burn(ctx, stake_pool(), &bank::uflop(), burned)
}

/// Adds what a lease left to its provider's reputation.
pub fn record(ctx: &mut Ctx, provider: Address, outcome: Outcome) -> Result<()> {
    let params = PARAMS.load(ctx)?;
    let Some(mut record) = PROVIDERS.get(ctx, &provider)? else { return Ok(()) };
    record.fade(&params, ctx.block.billing);
    record.add_outcome(outcome);
    let (good, bad) = match outcome {
        Outcome::Good(value) => (value, Amount::ZERO),
        Outcome::Bad(value) => (Amount::ZERO, value),
    };
    ctx.emit(&ReputationRecorded { provider, good, bad });
    PROVIDERS.update(ctx, &provider, &record)
}

/// Changes a line that is there: no line is deleted while a bid or a lease holds units of it (I6).
fn change_line(
    ctx: &mut Ctx,
    provider: Address,
    class_id: u32,
    zone: &Zone,
    change: impl FnOnce(&mut Line),
) -> Result<()> {
    let key = (provider, class_id, zone.clone());
    let Some(mut line) = LINES.get(ctx, &key)? else { return Ok(()) };
    change(&mut line);
    LINES.update(ctx, &key, &line)
}

fn unlock(ctx: &mut Ctx, provider: Address, lock: Amount) -> Result<()> {
    let Some(mut record): Option<Provider> = PROVIDERS.get(ctx, &provider)? else { return Ok(()) };
    let freed = lock.min(record.stake_locked);
    record.stake_locked = record.stake_locked.saturating_minus(freed);
    adjust(ctx, |totals| {
        totals.locked = totals.locked.saturating_minus(freed);
        Ok(())
    })?;
    PROVIDERS.update(ctx, &provider, &record)
}
