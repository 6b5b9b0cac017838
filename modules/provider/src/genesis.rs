//! The module's part of the genesis document: its whole state but the indexes and totals, which follow from it.

use std::collections::BTreeMap;

use kernel::{Address, Amount, At, Billing, Broken, Ctx, Error, Reject, Result, chain::Schema};
use serde::{Deserialize, Serialize};

use crate::{
    SCHEMA_VERSION, invariants,
    msgs::{check_endpoints, check_operators},
    params::{CONTACT_BYTES_LIMIT, LIST_LIMIT, Params},
    state::{CLASSES, LINES, PARAMS, PROVIDERS, SCHEMA, TOTALS, Totals, UNBONDINGS},
    types::{Class, Line, Provider, Unbonding},
    zone::Zone,
};

/// The whole state of the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The parameters.
    pub params: Params,
    /// By id.
    #[serde(default)]
    pub classes: Vec<Class>,
    /// By owner. The bank's genesis holds the sum of all stake and unbondings in `stake_pool`.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// By provider, class and zone.
    #[serde(default)]
    pub lines: Vec<LineRow>,
    /// By provider and number.
    #[serde(default)]
    pub unbondings: Vec<UnbondingRow>,
}

/// A line and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineRow {
    /// The provider.
    pub provider: Address,
    /// The class.
    pub class_id: u32,
    /// The zone.
    pub zone: Zone,
    /// The line.
    pub line: Line,
}

/// An unbonding and its key. One that was on hold is tried again at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnbondingRow {
    /// The provider.
    pub provider: Address,
    /// Its number.
    pub seq: u32,
    /// How much, in uflop.
    pub amount: Amount,
    /// When it is paid.
    pub due_at: At<Billing>,
}

impl Genesis {
    /// A state without classes and providers.
    pub const fn new(params: Params) -> Self {
        Self { params, classes: Vec::new(), providers: Vec::new(), lines: Vec::new(), unbondings: Vec::new() }
    }
}

pub(crate) fn init(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
    genesis.params.check()?;
    SCHEMA.set(ctx, &Schema { version: SCHEMA_VERSION })?;
    PARAMS.set(ctx, &genesis.params)?;
    let mut totals = Totals::default();
    for (row, class) in genesis.classes.iter().enumerate() {
        class.check().map_err(|error| Reject::invalid_request(format!("classes[{row}]: {error}")))?;
        expect(!CLASSES.has(ctx, &class.id)?, || format!("classes[{row}].id: expected each id once"))?;
        CLASSES.set(ctx, &class.id, class)?;
    }
    for (row, provider) in genesis.providers.iter().enumerate() {
        let owner = provider.owner;
        expect(!PROVIDERS.has(ctx, &owner)?, || format!("providers[{row}].owner: expected each owner once"))?;
        expect(provider.contact_bytes() <= CONTACT_BYTES_LIMIT, || {
            format!("providers[{row}].endpoints: expected at most 800 bytes, the operators included")
        })?;
        let contact =
            check_endpoints(&provider.endpoints).and_then(|()| check_operators(&provider.operators));
        contact.map_err(|error| Reject::invalid_request(format!("providers[{row}].{}", error.message)))?;
        let written = [provider.created_at, provider.scored_at, provider.shrunk_at];
        expect(written.into_iter().all(|at| at <= ctx.block.billing), || {
            format!(
                "providers[{row}]: expected created_at, scored_at and shrunk_at not after the billing clock"
            )
        })?;
        totals.staked = totals.staked.plus(provider.stake_total)?;
        totals.locked = totals.locked.plus(provider.stake_locked)?;
        PROVIDERS.create(ctx, &owner, provider)?;
    }
    let mut lines_of = BTreeMap::<Address, u32>::new();
    for (row, LineRow { provider, class_id, zone, line }) in genesis.lines.iter().enumerate() {
        let key = (*provider, *class_id, zone.clone());
        expect(CLASSES.has(ctx, class_id)?, || format!("lines[{row}].class_id: expected a class"))?;
        let active = PROVIDERS.get(ctx, provider)?.is_some_and(|provider| provider.is_active());
        expect(active, || format!("lines[{row}].provider: expected an active provider"))?;
        expect(line.total > 0, || format!("lines[{row}].line.total: expected above 0"))?;
        expect(!LINES.has(ctx, &key)?, || {
            format!("lines[{row}]: expected each provider, class and zone once")
        })?;
        let lines = lines_of.entry(*provider).or_default();
        *lines = lines.saturating_add(1);
        expect(*lines <= LIST_LIMIT, || {
            format!("lines[{row}].provider: expected at most {LIST_LIMIT} lines of a provider")
        })?;
        LINES.create(ctx, &key, line)?;
    }
    for (row, UnbondingRow { provider, seq, amount, due_at }) in genesis.unbondings.iter().enumerate() {
        let key = (*provider, *seq);
        let last = PROVIDERS.get(ctx, provider)?.map_or(0, |provider| provider.unbonding_seq);
        expect((1..=last).contains(seq), || {
            format!("unbondings[{row}].seq: expected 1 to the provider's unbonding_seq")
        })?;
        expect(!UNBONDINGS.has(ctx, &key)?, || format!("unbondings[{row}].seq: expected each number once"))?;
        totals.unbonding = totals.unbonding.plus(*amount)?;
        UNBONDINGS.create(ctx, &key, &Unbonding { amount: *amount, due_at: *due_at, hold: None })?;
    }
    TOTALS.set(ctx, &totals)?;
    invariants::full(ctx).map_err(|broken| match broken {
        Broken::Law { .. } => Reject::invalid_request(format!("provider: {broken}")).into(),
        Broken::Error(error) => error,
    })
}

pub(crate) fn export(ctx: &Ctx) -> Result<Genesis> {
    let mut genesis = Genesis::new(PARAMS.load(ctx)?);
    CLASSES.for_each(ctx, |_, class| {
        genesis.classes.push(class);
        Ok(())
    })?;
    PROVIDERS.for_each(ctx, |_, provider| {
        genesis.providers.push(provider);
        Ok(())
    })?;
    LINES.for_each(ctx, |(provider, class_id, zone), line| {
        genesis.lines.push(LineRow { provider, class_id, zone, line });
        Ok(())
    })?;
    UNBONDINGS.for_each(ctx, |(provider, seq), Unbonding { amount, due_at, .. }| {
        genesis.unbondings.push(UnbondingRow { provider, seq, amount, due_at });
        Ok(())
    })?;
    Ok(genesis)
}

fn expect(holds: bool, text: impl FnOnce() -> String) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Reject::invalid_request(text()).into()) }
}
