//! The tables.

use std::collections::BTreeMap;

use kernel::{
    Address, Amount, Billing, Ctx, DueQueue, Height, IndexedMap, Item, Map, Result,
    chain::{Schema, schema},
};

use crate::{
    STORE,
    errors::Error,
    params::Params,
    types::{Class, Line, LineKey, Provider, Unbonding, UnbondingKey},
    zone::Zone,
};

/// The module account that holds all stake, unbonding stake included.
pub const STAKE_POOL: &str = "stake_pool";

pub(crate) const SCHEMA: Item<Schema> = schema(STORE);
pub(crate) const PARAMS: Item<Params> = Item::new(STORE, 1);
pub(crate) const TOTALS: Item<Totals> = Item::new(STORE, 2);
pub(crate) const CLASSES: Map<u32, Class> = Map::new(STORE, 3);
pub(crate) const PROVIDERS: IndexedMap<Address, Provider> = IndexedMap::new(STORE, 4);
pub(crate) const LINES: IndexedMap<LineKey, Line> = IndexedMap::new(STORE, 5);
pub(crate) const UNBONDINGS: IndexedMap<UnbondingKey, Unbonding> = IndexedMap::new(STORE, 6);

/// Providers by the number of their status.
pub(crate) const STATUSES: u8 = 0x10;
/// Lines by class and zone.
pub(crate) const OFFERS: u8 = 0x12;

/// Unbondings by the time at which they are paid.
pub const UNBONDINGS_DUE: DueQueue<Billing, UnbondingKey, Unbonding> = DueQueue::new(UNBONDINGS, 0x20);
/// Unbondings on hold by the height at which they are tried again.
pub const UNBONDINGS_HELD: DueQueue<Height, UnbondingKey, Unbonding> = DueQueue::new(UNBONDINGS, 0x21);

kernel::record! {
    /// Running totals over all providers, in uflop, checked in every block.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Totals {
        /// The sum of `stake_total`.
        pub staked: Amount = 1,
        /// The sum of `stake_locked`.
        pub locked: Amount = 2,
        /// The sum of all unbondings.
        pub unbonding: Amount = 3,
    }
}

/// The address that holds all stake.
pub fn stake_pool() -> Address {
    Address::of_module(STAKE_POOL)
}

/// The parameters in force: one read.
pub fn params(ctx: &Ctx) -> Result<Params> {
    PARAMS.load(ctx)
}

/// The running totals.
pub fn totals(ctx: &Ctx) -> Result<Totals> {
    TOTALS.load(ctx)
}

/// A provider, whatever its status; `None`: there was never one.
pub fn get(ctx: &Ctx, provider: &Address) -> Result<Option<Provider>> {
    PROVIDERS.get(ctx, provider)
}

/// A provider; rejects with UnknownProvider.
pub fn load(ctx: &Ctx, provider: &Address) -> Result<Provider> {
    Ok(get(ctx, provider)?.ok_or(Error::UnknownProvider { provider: *provider })?)
}

/// A class; rejects with UnknownClass.
pub fn class(ctx: &Ctx, class_id: u32) -> Result<Class> {
    Ok(CLASSES.get(ctx, &class_id)?.ok_or(Error::UnknownClass { class_id })?)
}

/// What a provider offers of a class in a zone.
pub fn line(ctx: &Ctx, provider: Address, class_id: u32, zone: &Zone) -> Result<Option<Line>> {
    LINES.get(ctx, &(provider, class_id, zone.clone()))
}

/// All lines of a provider: at most as many as the parameters can ever allow.
pub(crate) fn lines_of(ctx: &Ctx, provider: &Address) -> Result<BTreeMap<LineKey, Line>> {
    Ok(LINES.page(ctx, provider, None, crate::params::LIST_LIMIT)?.items.into_iter().collect())
}

/// How many unbondings a provider has, counted up to `limit`.
pub(crate) fn unbondings_of(ctx: &Ctx, provider: &Address, limit: u32) -> Result<u32> {
    let page = UNBONDINGS.page(ctx, provider, None, limit)?;
    Ok(u32::try_from(page.items.len()).unwrap_or(u32::MAX))
}

/// Changes the running totals.
pub(crate) fn adjust(ctx: &mut Ctx, change: impl FnOnce(&mut Totals) -> Result<()>) -> Result<()> {
    let mut totals = TOTALS.load(ctx)?;
    change(&mut totals)?;
    TOTALS.set(ctx, &totals)
}
