//! What the module does in every block.

use kernel::{Ctx, Drained, Error, Fatal, Result};

use crate::{
    events::{ProviderExited, UnbondingPaid},
    state::{PARAMS, PROVIDERS, UNBONDINGS, UNBONDINGS_DUE, UNBONDINGS_HELD, adjust, stake_pool},
    types::{Status, UnbondingKey},
};

/// Pays unbondings that are due, oldest first, then those on hold whose time has come; the parameters say how many.
pub fn begin_block(ctx: &mut Ctx) -> Result<Drained, Fatal> {
    let budget = budget(ctx)?;
    let (now, height) = (ctx.block.billing, ctx.block.height);
    let due = UNBONDINGS_DUE.drain(ctx, now, budget, pay_unbonding)?;
    let left = budget.saturating_sub(due.done).saturating_sub(due.held);
    let retried = UNBONDINGS_HELD.drain(ctx, height, left, pay_unbonding)?;
    Ok(Drained {
        done: due.done.saturating_add(retried.done),
        held: due.held.saturating_add(retried.held),
        backlog: due.backlog || retried.backlog,
    })
}

/// How many unbondings are due and wait for a later block, counted up to 10,000. For metrics.
pub fn backlog(ctx: &Ctx) -> Result<u32, Fatal> {
    UNBONDINGS_DUE.backlog(ctx, ctx.block.billing, 10_000)
}

/// Block work has no gas limit, and genesis has written the parameters: what is left is a fault of this machine.
fn budget(ctx: &Ctx) -> Result<u32, Fatal> {
    match PARAMS.load(ctx) {
        Ok(params) => Ok(params.unbondings_per_block_max),
        Err(Error::Fatal(fatal)) => Err(fatal),
        Err(error) => Err(Fatal::Storage(error.to_string())),
    }
}

/// T9: the owner gets its stake back; with the last of it a provider that is leaving has left.
pub(crate) fn pay_unbonding(ctx: &mut Ctx, key: &UnbondingKey) -> Result<()> {
    let Some(unbonding) = UNBONDINGS.get(ctx, key)? else { return Ok(()) };
    let ((owner, seq), amount) = (*key, unbonding.amount);
    UNBONDINGS.remove(ctx, key)?;
    adjust(ctx, |totals| {
        totals.unbonding = totals.unbonding.minus(amount)?;
        Ok(())
    })?;
    bank::transfer(ctx, stake_pool(), owner, &bank::uflop(), amount)?;
    ctx.emit(&UnbondingPaid { provider: owner, seq, amount });
    let Some(mut provider) = PROVIDERS.get(ctx, &owner)? else { return Ok(()) };
    let is_last =
        provider.status == Status::Exiting && UNBONDINGS.page(ctx, &owner, None, 1)?.items.is_empty();
    if !is_last {
        return Ok(());
    }
    provider.status = Status::Exited;
    ctx.emit(&ProviderExited { provider: owner });
    PROVIDERS.update(ctx, &owner, &provider)
}
