//! The kernel's own records: the clocks, the seeds, the event log, the digest of the derived entries, the switchboard
//! and the planned upgrade. Store `kernel`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use ruint::aliases::U256;

use crate::{
    backend::{KeyRange, Space, StoreId, View},
    ctx::{Ctx, Mode, entry_hash},
    error::{Fatal, Reject, Result},
    event::EventBytes,
    table::{Item, Map},
    time::{At, Billing, Block, Header, Height},
};

/// The kernel's store.
pub const STORE: StoreId = StoreId(0);
/// Its name in proofs and genesis.
pub const NAME: &str = "kernel";
/// The layout of its records.
pub const SCHEMA: u32 = 1;
/// Seeds removed in one block at most.
const SEEDS_PRUNED_MAX: u32 = 16;
/// The latest start of the billing clock: the last second of the year 9999, as for header time, so that no block can
/// bring it to its end.
const BILLING_START_MAX: At<Billing> = At::new(253_402_300_799);
/// Derived entries read at once when their digest is checked.
const DERIVED_PAGE: u32 = 10_000;

crate::record! {
    /// The layout of a module's records: the first record of every store, so that none is empty.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Schema { /** The layout's number. */ pub version: u32 = 1 }

    /// The clocks after the last block.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Clock {
        /// Header time.
        pub header: At<Header> = 1,
        /// Billing time.
        pub billing: At<Billing> = 2,
    }

    /// The chain of all events.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct EventLog { /** H(previous hash, root of the block's events). */ pub hash: [u8; 32] = 1 }

    /// The digest of the derived entries.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DerivedDigest { /** The sum of their hashes modulo 2^256, big-endian. */ pub sum: [u8; 32] = 1 }

    /// The random seed of a height.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Seed { /** The seed. */ pub seed: [u8; 32] = 1 }

    /// The heights whose seeds are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SeedRange { /** The oldest. */ pub oldest: u64 = 1 }

    /// Why a module or a message type is switched off.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Paused { /** The reason. */ pub reason: String = 1, /** Since this height. */ pub since: At<Height> = 2 }

    /// A planned upgrade.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Upgrade {
        /// The name that the new binary knows.
        pub name: String = 1,
        /// The first height of the new rules.
        pub height: At<Height> = 2,
        /// Their version.
        pub app_version: u32 = 3,
    }

    /// The version of the rules in force.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct AppVersion { /** The version. */ pub version: u32 = 1 }

    /// The kernel's parameters.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Params {
        /// The most seconds that the billing clock advances in one block, at least 1. It should be ten target intervals or more.
        pub max_billing_step_s: u32 = 1,
        /// The prefix of the chain's addresses.
        pub bech32_prefix: String = 2,
    }

    /// Which chain this is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Chain { /** Its id, as in every header. */ pub id: String = 1 }
}

/// The kernel's parameters.
pub const PARAMS: Item<Params> = Item::new(STORE, 1);
/// The clocks.
pub const CLOCK: Item<Clock> = Item::new(STORE, 2);
/// The event log.
pub const EVENT_LOG: Item<EventLog> = Item::new(STORE, 3);
/// The digest of the derived entries.
pub const DERIVED_DIGEST: Item<DerivedDigest> = Item::new(STORE, 4);
/// The place of a planned upgrade. No block work stops before one yet, so nothing plans any: genesis refuses the field.
pub const UPGRADE: Item<Upgrade> = Item::new(STORE, 5);
/// The version of the rules.
pub const APP_VERSION: Item<AppVersion> = Item::new(STORE, 6);
/// What is switched off, by module name or message type.
pub const PAUSED: Map<String, Paused> = Map::new(STORE, 7);
/// Seeds by height.
pub const SEEDS: Map<At<Height>, Seed> = Map::new(STORE, 8);
const SEED_RANGE: Item<SeedRange> = Item::new(STORE, 9);
/// Which chain this is.
pub const CHAIN: Item<Chain> = Item::new(STORE, CHAIN_KEY[0]);
/// Its key in its store, for who reads rows.
pub const CHAIN_KEY: [u8; 1] = [10];

/// The schema record of a module's store: tag 0 everywhere.
pub const fn schema(store: StoreId) -> Item<Schema> {
    Item::new(store, 0)
}

/// The kernel's part of the genesis document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The parameters.
    pub params: Params,
    /// Where the billing clock starts: an export names it, so that a live lease pays for no gap. Without it the clock
    /// starts at the genesis time. At most the last second of the year 9999.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<At<Billing>>,
    /// What is switched off, each name once. Which names switch something off, the application knows and checks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<PausedName>,
}

impl Genesis {
    /// A new chain's.
    pub const fn new(params: Params) -> Self {
        Self { params, billing: None, paused: Vec::new() }
    }
}

/// A module or a message type that is switched off, in a genesis document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PausedName {
    /// Its name.
    pub name: String,
    /// Why and since when.
    pub paused: Paused,
}

/// Writes the first records. `ctx.block.time` is the genesis time.
pub fn init_genesis(ctx: &mut Ctx, genesis: &Genesis) -> Result<()> {
    if genesis.params.max_billing_step_s == 0 {
        return Err(Reject::invalid_request("params.max_billing_step_s: expected at least 1").into());
    }
    if genesis.billing.is_some_and(|start| start > BILLING_START_MAX) {
        let text = format!("billing: expected at most {BILLING_START_MAX}, the last second of the year 9999");
        return Err(Reject::invalid_request(text).into());
    }
    let mut names = BTreeSet::new();
    if let Some(index) = genesis.paused.iter().position(|paused| !names.insert(&paused.name)) {
        return Err(Reject::invalid_request(format!("paused[{index}].name: expected each name once")).into());
    }
    schema(STORE).set(ctx, &Schema { version: SCHEMA })?;
    PARAMS.set(ctx, &genesis.params)?;
    let billing = genesis.billing.unwrap_or_else(|| At::new(ctx.block.time.value()));
    ctx.block.billing = billing;
    for PausedName { name, paused } in &genesis.paused {
        PAUSED.set(ctx, name, paused)?;
    }
    CLOCK.set(ctx, &Clock { header: ctx.block.time, billing })?;
    EVENT_LOG.set(ctx, &EventLog { hash: [0; 32] })?;
    DERIVED_DIGEST.set(ctx, &DerivedDigest { sum: [0; 32] })?;
    APP_VERSION.set(ctx, &AppVersion { version: ctx.block.app_version })?;
    let id = ctx.block.chain_id.clone();
    CHAIN.set(ctx, &Chain { id })?;
    SEED_RANGE.set(ctx, &SeedRange { oldest: ctx.block.height.value() })
}

/// The kernel's part of an export.
pub fn export_genesis(ctx: &Ctx) -> Result<Genesis> {
    let mut paused = Vec::new();
    PAUSED.for_each(ctx, |name, value| {
        paused.push(PausedName { name, paused: value });
        Ok(())
    })?;
    let billing = Some(CLOCK.load(ctx)?.billing);
    Ok(Genesis { params: PARAMS.load(ctx)?, billing, paused })
}

/// Moves the clocks to the block in `ctx` and keeps its seed. The billing clock advances with whole seconds of header
/// time, at most `max_billing_step_s` a block.
pub fn begin_block(ctx: &mut Ctx, block_hash: &[u8]) -> Result<()> {
    let before = CLOCK.load(ctx)?;
    let step = ctx.block.time.since(before.header).min(u64::from(PARAMS.load(ctx)?.max_billing_step_s));
    let header = ctx.block.time.max(before.header);
    let billing = before.billing.plus(step)?;
    ctx.block.billing = billing;
    CLOCK.set(ctx, &Clock { header, billing })?;
    let seed = Sha256::new().chain_update(b"underbid/seed/1").chain_update(block_hash).finalize().into();
    let height = ctx.block.height;
    SEEDS.set(ctx, &height, &Seed { seed })?;
    Ok(())
}

/// The seed of a height that has been reached and is still kept. Until there is a beacon it comes from the block's hash.
pub fn seed(ctx: &Ctx, height: At<Height>) -> Result<[u8; 32]> {
    let missing = || Reject::invalid_request(format!("the seed of height {height} is not kept"));
    Ok(SEEDS.get(ctx, &height)?.ok_or_else(missing)?.seed)
}

/// Forgets the seeds of heights before `keep_from`, a bounded number at a time.
pub fn prune_seeds(ctx: &mut Ctx, keep_from: At<Height>) -> Result<()> {
    let before = SEED_RANGE.load(ctx)?;
    let mut oldest = before.oldest;
    for _ in 0..SEEDS_PRUNED_MAX {
        if oldest >= keep_from.value() || oldest >= ctx.block.height.value() {
            break;
        }
        SEEDS.remove(ctx, &At::new(oldest))?;
        oldest = oldest.saturating_add(1);
    }
    if oldest == before.oldest {
        return Ok(());
    }
    SEED_RANGE.set(ctx, &SeedRange { oldest })
}

/// The leaf of some events in the block's event tree: their names and bytes, each with its length.
pub fn event_leaf(events: &[EventBytes]) -> [u8; 32] {
    let mut hasher = Sha256::new().chain_update([0]);
    for event in events {
        for part in [event.name.as_bytes(), &event.bytes] {
            hasher.update(crate::codec::length(part.len()).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher.finalize().into()
}

/// Closes the block: the event log takes the block's leaves (one a transaction that emitted, in order, then the block's own
/// work), the digest of the derived entries what changed. The last call on a context before it is finished.
pub fn seal(ctx: &mut Ctx, leaves: Vec<[u8; 32]>) -> Result<()> {
    let log = EVENT_LOG.load(ctx)?;
    let hash = Sha256::new()
        .chain_update(b"underbid/events/1")
        .chain_update(log.hash)
        .chain_update(merkle_root(leaves))
        .finalize();
    EVENT_LOG.set(ctx, &EventLog { hash: hash.into() })?;
    let delta = ctx.derived_delta();
    if delta.is_zero() {
        return Ok(());
    }
    let sum = U256::from_be_bytes(DERIVED_DIGEST.load(ctx)?.sum).wrapping_add(delta);
    DERIVED_DIGEST.set(ctx, &DerivedDigest { sum: sum.to_be_bytes() })
}

/// The sum of the hashes of all derived entries of these stores, as [`DERIVED_DIGEST`] should say: reads every entry.
pub fn derived_sum(view: &dyn View, stores: impl IntoIterator<Item = StoreId>) -> Result<[u8; 32], Fatal> {
    let mut sum = U256::ZERO;
    for store in stores {
        let mut start = Vec::new();
        loop {
            let range = KeyRange { start: &start, end: None };
            let entries = view.scan(Space::Derived(store), range, DERIVED_PAGE)?;
            for (key, _) in &entries {
                sum = sum.wrapping_add(entry_hash(store, key));
            }
            let Some((last, _)) = entries.last() else { break };
            start = last.to_vec();
            start.push(0);
        }
    }
    Ok(sum.to_be_bytes())
}

/// The root of RFC 6962 over leaf hashes; the hash of nothing for none.
pub fn merkle_root(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    if level.is_empty() {
        return Sha256::digest([]).into();
    }
    // Pairing from the left and carrying an odd last node up gives the tree of RFC 6962, whose left subtrees are the
    // largest powers of two.
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => {
                    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
                }
                [single] => *single,
                _ => [0; 32],
            })
            .collect();
    }
    level.first().copied().unwrap_or_default()
}

/// Whether a module or a message type is switched off, and why.
pub fn paused(ctx: &Ctx, name: &str) -> Result<Option<Paused>> {
    PAUSED.get(ctx, &name.to_owned())
}

/// Switches a module or a message type off.
pub fn pause(ctx: &mut Ctx, name: &str, reason: &str) -> Result<()> {
    let since = ctx.block.height;
    ctx.emit(&ModulePaused { name: name.to_owned(), reason: reason.to_owned() });
    PAUSED.set(ctx, &name.to_owned(), &Paused { reason: reason.to_owned(), since })?;
    Ok(())
}

/// The block of a view, for checks and queries: the last one that was committed. Before genesis all of it is empty.
pub fn last_block(view: &std::sync::Arc<dyn View>) -> Result<Block, Fatal> {
    let block = Block {
        height: At::new(view.height()),
        time: At::ZERO,
        time_nanos: 0,
        billing: At::ZERO,
        app_version: 1,
        chain_id: String::new(),
    };
    let ctx = Ctx::new(view.clone(), Mode::Query, block);
    let fatal = |error| match error {
        crate::error::Error::Fatal(fatal) => fatal,
        other => Fatal::Storage(other.to_string()),
    };
    let clock = CLOCK.get(&ctx).map_err(fatal)?.unwrap_or(Clock { header: At::ZERO, billing: At::ZERO });
    let app_version = APP_VERSION.get(&ctx).map_err(fatal)?.map_or(1, |version| version.version);
    let chain_id = CHAIN.get(&ctx).map_err(fatal)?.map(|chain| chain.id).unwrap_or_default();
    Ok(Block { time: clock.header, billing: clock.billing, app_version, chain_id, ..ctx.block })
}

crate::event! {
    "underbid.kernel.v1"
    /// A module or a message type was switched off.
    pub struct ModulePaused as EventModulePaused { name: String = 1, reason: String = 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_splits_at_the_largest_power_of_two() {
        let leaf = |n: u8| [n; 32];
        let inner = |l: [u8; 32], r: [u8; 32]| -> [u8; 32] {
            Sha256::new().chain_update([1]).chain_update(l).chain_update(r).finalize().into()
        };
        fn naive(leaves: &[[u8; 32]], inner: &dyn Fn([u8; 32], [u8; 32]) -> [u8; 32]) -> [u8; 32] {
            match leaves {
                [one] => *one,
                many => {
                    let split = many.len().next_power_of_two() / 2;
                    inner(naive(&many[..split], inner), naive(&many[split..], inner))
                }
            }
        }
        for count in 1..40u8 {
            let leaves: Vec<_> = (0..count).map(leaf).collect();
            assert_eq!(merkle_root(leaves.clone()), naive(&leaves, &inner), "{count} leaves");
        }
    }
}
