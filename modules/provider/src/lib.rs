//! Providers: who offers machines, with what stake, how much of what and where, and how well they served.
//!
//! ```text
//! (register) -> Active -exit-> Exiting -last unbonding paid-> Exited -register-> Active
//! ```
//!
//! A provider is known by its owner's address. Its stake lies in the module account `stake_pool`; bids and leases lock
//! parts of it, and what is not locked can be taken back, after unbonding, as far as its capacity allows. A *class* is a
//! kind of bundle, a *line* is what a provider offers of one class in one zone, in units: `free = total - reserved -
//! leased`. Each unit asks for stake by its class's reference price, frozen in the line when its total grows. Operators may
//! act for the provider; they can't withdraw, but their bids bind its stake, and what they win and don't start is slashed, in part to
//! the tenant. An address can be operator of many and a provider itself.
//!
//! | message (signer) | guards in order | event |
//! |---|---|---|
//! | MsgSetClass (authority) | NotAuthority, BadClass | ClassSet |
//! | MsgRegisterProvider (owner) | AlreadyRegistered, TooManyOperators, StakeBelowMinimum, BadEndpoints, InsufficientFunds | ProviderRegistered |
//! | MsgUpdateProvider (owner) | UnknownProvider, ProviderNotActive, BadEndpoints | ProviderUpdated |
//! | MsgSetOperators (owner) | UnknownProvider, ProviderNotActive, TooManyOperators | OperatorsSet |
//! | MsgAddStake (owner) | UnknownProvider, ProviderNotActive, InsufficientFunds | StakeAdded |
//! | MsgUnstake (owner) | UnknownProvider, ProviderNotActive, InsufficientFreeStake, StakeBelowRequired, TooManyUnbondings | UnbondingStarted |
//! | MsgSetCapacity (owner, operator) | UnknownProvider, NotOperator, ProviderNotActive, UnknownClass, ClassRetired*, CapacityInUse, TooManyLines*, StakeBelowRequired* | CapacitySet |
//! | MsgExitProvider (owner) | UnknownProvider, ProviderNotActive, ProviderBusy | ExitStarted |
//! | MsgUpdateParams (authority) | NotAuthority | ParamsUpdated |
//!
//! (*: only if the total grows.) Due work: an unbonding is paid ([`block`]) / UnbondingPaid, ProviderExited. The market
//! calls [`reserve`] to [`record`] / StakeSlashed, ReputationRecorded.
//!
//! Invariants: the stake pool holds all stake and all unbondings (I1, every block); nothing more is locked than staked (I5);
//! `reserved + leased <= total` (I6); `required_uc` is what its formula gives (I11).
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::as_conversions))]

pub mod block;
mod errors;
pub mod events;
mod genesis;
mod guards;
mod handlers;
mod indexes;
mod invariants;
mod msgs;
mod params;
mod pb;
pub mod queries;
mod scores;
mod state;
mod supply;
#[cfg(test)]
mod tests;
mod types;
mod zone;

pub use errors::Error;
pub use genesis::{Genesis, LineRow, UnbondingRow};
pub use guards::{require_active, require_free_stake, require_offered, require_operator, require_stake};
pub use msgs::{
    AddStake, Contact, ExitProvider, Msg, RegisterProvider, SetCapacity, SetClass, SetOperators, Unstake,
    UpdateParams, UpdateProvider,
};
pub use params::Params;
pub use scores::{Outcome, Scores};
pub use state::{
    STAKE_POOL, Totals, UNBONDINGS_DUE, UNBONDINGS_HELD, class, get, line, load, params, stake_pool, totals,
};
pub use supply::{Harmed, commit, record, release, release_slashed, relock, reserve, slash, unreserve};
pub use types::{Class, Line, LineKey, Provider, SlashReason, Status, Unbonding, UnbondingKey};
pub use zone::{Zone, ZonePattern};

use kernel::{Authorized, Broken, Ctx, Depth, DerivedSink, Fatal, Module, Reply, Result, StoreId, View};

/// The module's name: in proofs, genesis and codespaces.
pub const NAME: &str = "provider";
/// Its store.
pub const STORE: StoreId = StoreId(4);
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// The module.
pub struct ProviderModule;

impl Module for ProviderModule {
    const NAME: &'static str = NAME;
    const STORE: StoreId = STORE;
    const SCHEMA: u32 = SCHEMA_VERSION;
    type Msg = Msg;
    type Genesis = Genesis;

    fn init_genesis(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
        genesis::init(ctx, genesis)
    }

    fn export_genesis(ctx: &Ctx) -> Result<Genesis> {
        genesis::export(ctx)
    }

    fn handle(ctx: &mut Ctx, msg: Authorized<Msg>) -> Result<Reply> {
        let (msg, authority) = msg.open();
        match msg {
            Msg::SetClass(_, msg) => handlers::set_class(ctx, authority.over(msg)).map(|r| Reply::of(&r)),
            Msg::RegisterProvider(_, msg) => {
                handlers::register_provider(ctx, authority.over(msg)).map(|r| Reply::of(&r))
            }
            Msg::UpdateProvider(_, msg) => {
                handlers::update_provider(ctx, authority.over(msg)).map(|r| Reply::of(&r))
            }
            Msg::SetOperators(_, msg) => {
                handlers::set_operators(ctx, authority.over(msg)).map(|r| Reply::of(&r))
            }
            Msg::AddStake(_, msg) => handlers::add_stake(ctx, authority.over(msg)).map(|r| Reply::of(&r)),
            Msg::Unstake(_, msg) => handlers::unstake(ctx, authority.over(msg)).map(|r| Reply::of(&r)),
            Msg::SetCapacity(_, msg) => {
                handlers::set_capacity(ctx, authority.over(msg)).map(|r| Reply::of(&r))
            }
            Msg::ExitProvider(_, msg) => {
                handlers::exit_provider(ctx, authority.over(msg)).map(|r| Reply::of(&r))
            }
            Msg::UpdateParams(_, msg) => {
                handlers::update_params(ctx, authority.over(msg)).map(|r| Reply::of(&r))
            }
        }
    }

    fn migrate(_: &mut Ctx, _: u32) -> Result<(), Fatal> {
        Ok(())
    }

    fn rebuild(view: &dyn View, out: &mut DerivedSink) -> Result<(), Fatal> {
        state::PROVIDERS.rebuild(view, out)?;
        state::LINES.rebuild(view, out)?;
        state::UNBONDINGS.rebuild(view, out)
    }

    fn invariants(ctx: &Ctx, depth: Depth) -> Result<(), Broken> {
        match depth {
            Depth::Counters => invariants::counters(ctx),
            Depth::Full => invariants::full(ctx),
        }
    }
}
