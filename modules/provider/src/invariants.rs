//! The laws of the module's state (I1, I5, I6 and I11). That locks and units are those of the market's bids and
//! leases is the market's to check.

use kernel::{Amount, Broken, Ctx, ONE_PPM, Result};

use crate::{
    state::{LINES, PROVIDERS, TOTALS, Totals, UNBONDINGS, get, lines_of, stake_pool},
    types::{Provider, Status, required_uc},
};

/// I1 and I5 by running totals.
pub(crate) fn counters(ctx: &Ctx) -> Result<(), Broken> {
    let totals = TOTALS.load(ctx)?;
    let held = bank::balance(ctx, &stake_pool(), &bank::uflop())?;
    law("I1", totals.staked.plus(totals.unbonding) == Ok(held), || {
        format!("{totals:?}, the stake pool holds {held}")
    })?;
    law("I5", totals.locked <= totals.staked, || format!("{totals:?}: more is locked than staked"))
}

/// All records.
pub(crate) fn full(ctx: &Ctx) -> Result<(), Broken> {
    let mut sums = Totals::default();
    let mut broken = Ok(());
    PROVIDERS.for_each(ctx, |_, provider| {
        sums.staked = sums.staked.plus(provider.stake_total)?;
        sums.locked = sums.locked.plus(provider.stake_locked)?;
        note(&mut broken, check_provider(ctx, &provider))
    })?;
    LINES.for_each(ctx, |key, line| {
        let holds = line.used() <= u64::from(line.total) && line.total > 0;
        note(&mut broken, law("I6", holds, || format!("{key:?}: {line:?}")))?;
        let active = get(ctx, &key.0)?.is_some_and(|provider| provider.is_active());
        note(&mut broken, law("I6", active, || format!("{key:?}: a line of a provider that is not active")))
    })?;
    UNBONDINGS.for_each(ctx, |_, unbonding| {
        sums.unbonding = sums.unbonding.plus(unbonding.amount)?;
        Ok(())
    })?;
    broken?;
    let totals = TOTALS.load(ctx)?;
    law("I1", totals == sums, || format!("running totals {totals:?}, the records give {sums:?}"))?;
    counters(ctx)
}

fn check_provider(ctx: &Ctx, provider: &Provider) -> Result<(), Broken> {
    law("I5", provider.stake_locked <= provider.stake_total, || format!("{provider:?}"))?;
    let required = required_uc(provider.minimum_uc, lines_of(ctx, &provider.owner)?.values());
    let holds = required == Ok(provider.required_uc) && provider.required_uc > Amount::ZERO;
    law("I11", holds, || format!("required {required:?}: {provider:?}"))?;
    let scores = provider.uptime_ppm <= ONE_PPM && provider.slash_ppm <= ONE_PPM;
    law("I11", scores, || format!("a score above one: {provider:?}"))?;
    let left = provider.is_active() || (provider.operators.is_empty() && provider.stake_total.is_zero());
    law("I1", left, || format!("one that has left has stake or operators: {provider:?}"))?;
    let unbonding = !UNBONDINGS.page(ctx, &provider.owner, None, 1)?.items.is_empty();
    let consistent = match provider.status {
        Status::Active => true,
        Status::Exiting => unbonding,
        Status::Exited => !unbonding,
    };
    law("I1", consistent, || format!("its status does not fit its unbondings: {provider:?}"))
}

/// Keeps the first law that does not hold; goes on unless the store failed.
fn note(first: &mut Result<(), Broken>, check: Result<(), Broken>) -> Result<()> {
    match check {
        Err(Broken::Error(error)) => return Err(error),
        law if first.is_ok() => *first = law,
        _ => (),
    }
    Ok(())
}

fn law(id: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::law(id, detail())) }
}
