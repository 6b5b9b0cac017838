//! One function a message.

use kernel::{Address, Amount, Authorized, Ctx, Result};
use proto::underbid::provider::v1 as wire;

use crate::{
    errors::Error,
    events::{
        CapacitySet, ClassSet, ExitStarted, OperatorsSet, ParamsUpdated, ProviderRegistered, ProviderUpdated,
        StakeAdded, UnbondingStarted,
    },
    guards::{require_active, require_free_stake, require_offered, require_operator, require_stake},
    msgs::{
        AddStake, Contact, ExitProvider, RegisterProvider, SetCapacity, SetClass, SetOperators, Unstake,
        UpdateParams, UpdateProvider,
    },
    params::Params,
    state::{
        CLASSES, LINES, PARAMS, PROVIDERS, UNBONDINGS, adjust, class, get, lines_of, load, stake_pool,
        unbondings_of,
    },
    types::{Line, Provider, Status, Unbonding, required_uc},
};

/// Adds or changes a class. Lines keep the stake that was frozen in them.
pub(crate) fn set_class(ctx: &mut Ctx, msg: Authorized<SetClass>) -> Result<wire::MsgSetClassResponse> {
    let params = PARAMS.load(ctx)?;
    require_authority(&params, msg.actor())?;
    let class = &msg.class;
    class.check()?;

    // From here on nothing may fail but storage.
    CLASSES.set(ctx, &class.id, class)?;
    ctx.emit(&ClassSet::from(class));
    let tier = params.tier(class.device_price_usd);
    Ok(wire::MsgSetClassResponse { tier: u32::try_from(tier).unwrap_or(u32::MAX) })
}

/// Registers the sender. A provider that has left comes back with its scores.
pub(crate) fn register_provider(
    ctx: &mut Ctx,
    msg: Authorized<RegisterProvider>,
) -> Result<wire::MsgRegisterProviderResponse> {
    let (owner, stake) = (msg.actor(), msg.stake);
    let params = PARAMS.load(ctx)?;
    let before = get(ctx, &owner)?;
    if let Some(Provider { status: status @ (Status::Active | Status::Exiting), .. }) = before {
        return Err(Error::AlreadyRegistered { provider: owner, status }.into());
    }
    require_operators(&params, &msg.operators)?;
    let (stake_uc, minimum_uc) = (params.stake_uc(stake)?, params.tier_min(0));
    if stake_uc < minimum_uc {
        return Err(Error::StakeBelowMinimum { stake_uc, minimum_uc }.into());
    }
    require_endpoints(&params, &msg.contact)?;
    bank::transfer(ctx, owner, stake_pool(), &bank::uflop(), stake)?;

    // From here on nothing may fail but storage.
    let mut provider = before.unwrap_or_else(|| Provider::new(owner, &params, ctx.block.billing));
    provider.status = Status::Active;
    provider.operators.clone_from(&msg.operators);
    provider.set_contact(&msg.contact);
    provider.stake_total = stake;
    provider.minimum_uc = minimum_uc;
    provider.required_uc = minimum_uc;
    adjust(ctx, |totals| {
        totals.staked = totals.staked.plus(stake)?;
        Ok(())
    })?;
    PROVIDERS.update(ctx, &owner, &provider)?;
    ctx.emit(&ProviderRegistered {
        provider: owner,
        endpoints: provider.endpoints,
        encryption_key: provider.encryption_key,
        operators: provider.operators,
        stake,
        minimum_uc,
    });
    Ok(wire::MsgRegisterProviderResponse {
        stake_uc: stake_uc.to_string(),
        required_uc: minimum_uc.to_string(),
    })
}

/// Changes where tenants reach the sender's provider.
pub(crate) fn update_provider(
    ctx: &mut Ctx,
    msg: Authorized<UpdateProvider>,
) -> Result<wire::MsgUpdateProviderResponse> {
    let mut provider = load(ctx, &msg.actor())?;
    require_active(&provider)?;
    require_endpoints(&PARAMS.load(ctx)?, &msg.contact)?;

    // From here on nothing may fail but storage.
    provider.set_contact(&msg.contact);
    PROVIDERS.update(ctx, &provider.owner, &provider)?;
    ctx.emit(&ProviderUpdated {
        provider: provider.owner,
        endpoints: provider.endpoints,
        encryption_key: provider.encryption_key,
    });
    Ok(wire::MsgUpdateProviderResponse {})
}

/// Replaces the operators.
pub(crate) fn set_operators(
    ctx: &mut Ctx,
    msg: Authorized<SetOperators>,
) -> Result<wire::MsgSetOperatorsResponse> {
    let mut provider = load(ctx, &msg.actor())?;
    require_active(&provider)?;
    require_operators(&PARAMS.load(ctx)?, &msg.operators)?;

    // From here on nothing may fail but storage.
    provider.operators.clone_from(&msg.operators);
    PROVIDERS.update(ctx, &provider.owner, &provider)?;
    ctx.emit(&OperatorsSet { provider: provider.owner, operators: provider.operators });
    Ok(wire::MsgSetOperatorsResponse {})
}

/// Adds stake.
pub(crate) fn add_stake(ctx: &mut Ctx, msg: Authorized<AddStake>) -> Result<wire::MsgAddStakeResponse> {
    let mut provider = load(ctx, &msg.actor())?;
    require_active(&provider)?;
    provider.stake_total = provider.stake_total.plus(msg.amount)?;
    bank::transfer(ctx, provider.owner, stake_pool(), &bank::uflop(), msg.amount)?;

    // From here on nothing may fail but storage.
    adjust(ctx, |totals| {
        totals.staked = totals.staked.plus(msg.amount)?;
        Ok(())
    })?;
    PROVIDERS.update(ctx, &provider.owner, &provider)?;
    ctx.emit(&StakeAdded { provider: provider.owner, amount: msg.amount });
    Ok(wire::MsgAddStakeResponse {
        stake_total: provider.stake_total.to_string(),
        free_stake: provider.free_stake().to_string(),
    })
}

/// Takes free stake back; it is paid when it has unbonded.
pub(crate) fn unstake(ctx: &mut Ctx, msg: Authorized<Unstake>) -> Result<wire::MsgUnstakeResponse> {
    let mut provider = load(ctx, &msg.actor())?;
    require_active(&provider)?;
    require_free_stake(&provider, msg.amount)?;
    let params = PARAMS.load(ctx)?;
    provider.stake_total = provider.stake_total.minus(msg.amount)?;
    require_stake(&provider, &params, provider.required_uc)?;
    let unbondings_max = params.unbondings_max;
    if unbondings_of(ctx, &provider.owner, unbondings_max)? >= unbondings_max {
        return Err(Error::TooManyUnbondings { unbondings_max }.into());
    }
    let (seq, unbonding) = provider.next_unbonding(msg.amount, &params, ctx.block.billing)?;

    // From here on nothing may fail but storage.
    start_unbonding(ctx, &provider, seq, &unbonding)?;
    let (amount, due_at) = (unbonding.amount, unbonding.due_at);
    ctx.emit(&UnbondingStarted { provider: provider.owner, seq, amount, due_at });
    Ok(wire::MsgUnstakeResponse { seq, due_at: due_at.value() })
}

/// Sets how many units a provider offers of a class in a zone.
pub(crate) fn set_capacity(
    ctx: &mut Ctx,
    msg: Authorized<SetCapacity>,
) -> Result<wire::MsgSetCapacityResponse> {
    let mut provider = load(ctx, &msg.provider)?;
    require_operator(&provider, msg.actor())?;
    require_active(&provider)?;
    let class = class(ctx, msg.class_id)?;
    let params = PARAMS.load(ctx)?;
    let key = (provider.owner, class.id, msg.zone.clone());
    let mut lines = lines_of(ctx, &provider.owner)?;
    let before = lines.get(&key).cloned();
    let grows = msg.total > before.as_ref().map_or(0, |line| line.total);
    if grows {
        require_offered(&class)?;
    }
    let used = before.as_ref().map_or(0, Line::used);
    if u64::from(msg.total) < used {
        let (class_id, zone) = (class.id, msg.zone.clone());
        return Err(Error::CapacityInUse { class_id, zone, used, total: msg.total }.into());
    }
    let lines_max = usize::try_from(params.lines_max).unwrap_or(usize::MAX);
    if grows && before.is_none() && lines.len() >= lines_max {
        return Err(Error::TooManyLines { lines_max: params.lines_max }.into());
    }
    let line = match before {
        Some(line) if !grows => Line { total: msg.total, ..line },
        line => Line::frozen(line, msg.total, &class, &params)?,
    };
    match line.total {
        0 => lines.remove(&key),
        _ => lines.insert(key.clone(), line.clone()),
    };
    let (now, measured_uc) = (ctx.block.billing, provider.measured_uc(&params, ctx.block.billing));
    let required_before_uc = provider.required_uc;
    provider.required_uc = required_uc(provider.minimum_uc, lines.values())?;
    if provider.required_uc < required_before_uc {
        (provider.shrunk_from_uc, provider.shrunk_at) = (measured_uc, now);
    }
    if grows {
        require_stake(&provider, &params, provider.required_uc)?;
    }
    let stake_uc = provider.stake_uc(&params)?;

    // From here on nothing may fail but storage.
    match line.total {
        0 => LINES.remove(ctx, &key)?,
        _ => LINES.update(ctx, &key, &line)?,
    }
    PROVIDERS.update(ctx, &provider.owner, &provider)?;
    let (required_uc, (owner, class_id, zone)) = (provider.required_uc, key);
    ctx.emit(&CapacitySet { provider: owner, class_id, zone, total: line.total, required_uc });
    Ok(wire::MsgSetCapacityResponse { stake_uc: stake_uc.to_string(), required_uc: required_uc.to_string() })
}

/// Leaves, with all stake. It may be one unbonding more than the cap, so that nobody is kept from leaving.
pub(crate) fn exit_provider(
    ctx: &mut Ctx,
    msg: Authorized<ExitProvider>,
) -> Result<wire::MsgExitProviderResponse> {
    let mut provider = load(ctx, &msg.actor())?;
    require_active(&provider)?;
    let lines = lines_of(ctx, &provider.owner)?;
    if let Some(((_, class_id, zone), _)) = lines.iter().find(|(_, line)| line.used() > 0) {
        let (class_id, zone) = (*class_id, zone.clone());
        return Err(Error::ProviderBusy { provider: provider.owner, class_id, zone }.into());
    }
    let params = PARAMS.load(ctx)?;
    let amount = provider.stake_total;
    let (seq, unbonding) = provider.next_unbonding(amount, &params, ctx.block.billing)?;

    // From here on nothing may fail but storage.
    provider.status = Status::Exiting;
    provider.stake_total = Amount::ZERO;
    provider.required_uc = provider.minimum_uc;
    // Nobody acts for it any more.
    provider.operators.clear();
    for key in lines.keys() {
        LINES.remove(ctx, key)?;
    }
    start_unbonding(ctx, &provider, seq, &unbonding)?;
    let due_at = unbonding.due_at;
    ctx.emit(&ExitStarted { provider: provider.owner, seq, amount, due_at });
    Ok(wire::MsgExitProviderResponse { seq, amount: amount.to_string(), due_at: due_at.value() })
}

/// Replaces the parameters.
pub(crate) fn update_params(
    ctx: &mut Ctx,
    msg: Authorized<UpdateParams>,
) -> Result<wire::MsgUpdateParamsResponse> {
    require_authority(&PARAMS.load(ctx)?, msg.actor())?;

    // From here on nothing may fail but storage.
    PARAMS.set(ctx, &msg.params)?;
    ctx.emit(&ParamsUpdated { params: msg.params.clone() });
    Ok(wire::MsgUpdateParamsResponse {})
}

/// Writes a provider whose stake has become less by an unbonding, and the unbonding.
fn start_unbonding(ctx: &mut Ctx, provider: &Provider, seq: u32, unbonding: &Unbonding) -> Result<()> {
    adjust(ctx, |totals| {
        totals.staked = totals.staked.minus(unbonding.amount)?;
        totals.unbonding = totals.unbonding.plus(unbonding.amount)?;
        Ok(())
    })?;
    UNBONDINGS.create(ctx, &(provider.owner, seq), unbonding)?;
    PROVIDERS.update(ctx, &provider.owner, provider)
}

fn require_authority(params: &Params, actor: Address) -> Result<()> {
    if actor == params.authority {
        return Ok(());
    }
    Err(Error::NotAuthority { authority: params.authority, actor }.into())
}

/// The operators are few enough. They are not asked: whom a provider names may be named by others and be one itself, else
/// naming somebody would keep it from either.
fn require_operators(params: &Params, operators: &[Address]) -> Result<()> {
    let (got, operators_max) = (operators.len(), params.operators_max);
    if got > usize::try_from(operators_max).unwrap_or(usize::MAX) {
        return Err(Error::TooManyOperators { got, operators_max }.into());
    }
    Ok(())
}

fn require_endpoints(params: &Params, contact: &Contact) -> Result<()> {
    let Params { endpoints_max, endpoint_len_max, .. } = *params;
    let fits = |length: usize, max: u32| u32::try_from(length).is_ok_and(|length| length <= max);
    let short = contact.endpoints.iter().all(|endpoint| fits(endpoint.len(), endpoint_len_max));
    if fits(contact.endpoints.len(), endpoints_max) && short {
        return Ok(());
    }
    Err(Error::BadEndpoints { endpoints_max, endpoint_len_max }.into())
}
