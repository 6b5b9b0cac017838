//! The registry: which modules there are, and in which order they work. Plain matches and lists of calls.

use auth::Auth;
use bank::Bank;
use escrow::Escrow;
use kernel::{
    Authorized, Broken, Ctx, Depth, DerivedSink, Error, Fatal, Message, Module, Reject, Reply, Result, Route,
    Signers, StoreId, View, chain,
};
use market::Market;
use prost_types::Any;
use provider::ProviderModule as Provider;
use serde::{Deserialize, Serialize};

/// Every store of the chain, with the name that stands in proofs. Numbers and names never change.
pub const STORES: &[(StoreId, &str)] = &[
    (chain::STORE, chain::NAME),
    (Auth::STORE, Auth::NAME),
    (Bank::STORE, Bank::NAME),
    (Escrow::STORE, Escrow::NAME),
    (Provider::STORE, Provider::NAME),
    (Market::STORE, Market::NAME),
];

/// The account that takes fees until there are stakers to give them to.
pub const FEE_COLLECTOR: &str = "fee_collector";

/// Accounts that belong to modules: nobody holds a key for them, and nobody can send to them.
pub const MODULE_ACCOUNTS: &[&str] =
    &[FEE_COLLECTOR, provider::STAKE_POOL, escrow::POOL, escrow::MARKET_FEES];

/// A message of any module.
#[derive(Clone, Debug)]
pub enum Msg {
    /// Money.
    Bank(bank::Msg),
    /// Parameters of escrow.
    Escrow(escrow::Msg),
    /// Supply.
    Provider(provider::Msg),
    /// Orders, bids and leases.
    Market(market::Msg),
}

impl Msg {
    /// Who must sign.
    pub fn signers(&self) -> Signers {
        match self {
            Self::Bank(msg) => msg.signers(),
            Self::Escrow(msg) => msg.signers(),
            Self::Provider(msg) => msg.signers(),
            Self::Market(msg) => msg.signers(),
        }
    }

    /// The gas of the work that it leaves to later blocks.
    pub fn base_gas(&self) -> u64 {
        match self {
            Self::Bank(msg) => msg.base_gas(),
            Self::Escrow(msg) => msg.base_gas(),
            Self::Provider(msg) => msg.base_gas(),
            Self::Market(msg) => msg.base_gas(),
        }
    }

    /// The name of its module.
    pub const fn module(&self) -> &'static str {
        match self {
            Self::Bank(_) => Bank::NAME,
            Self::Escrow(_) => Escrow::NAME,
            Self::Provider(_) => Provider::NAME,
            Self::Market(_) => Market::NAME,
        }
    }
}

/// Reads a message.
pub fn decode(any: &Any, app_version: u32) -> Result<Msg, Reject> {
    let unknown =
        || Reject::unknown_request(format!("unknown message type {:?}", kernel::excerpt(&any.type_url)));
    let name = any.type_url.strip_prefix('/').ok_or_else(unknown)?;
    let (package, _) = name.rsplit_once('.').ok_or_else(unknown)?;
    match package {
        "cosmos.bank.v1beta1" | "underbid.bank.v1" => {
            bank::Msg::parse(name, &any.value, app_version).map(Msg::Bank)
        }
        "underbid.escrow.v1" => escrow::Msg::parse(name, &any.value, app_version).map(Msg::Escrow),
        "underbid.provider.v1" => provider::Msg::parse(name, &any.value, app_version).map(Msg::Provider),
        "underbid.market.v1" => market::Msg::parse(name, &any.value, app_version).map(Msg::Market),
        _ => Err(unknown()),
    }
}

/// Asks a view for records that a message will read, so that they are in the store's memory when it does.
pub fn read_ahead(view: &dyn View, msg: &Msg) -> Result<(), Fatal> {
    match msg {
        Msg::Market(msg) => market::read_ahead(view, msg),
        // What these read are accounts, balances and providers, which many transactions read.
        Msg::Bank(_) | Msg::Escrow(_) | Msg::Provider(_) => Ok(()),
    }
}

/// Executes a message, unless its module or its type is switched off.
pub fn handle(ctx: &mut Ctx, msg: Authorized<Msg>, action: &str) -> Result<Reply> {
    for name in [msg.module(), action] {
        if let Some(paused) = chain::paused(ctx, name)? {
            return Err(Reject::invalid_request(format!("{name} is paused: {}", paused.reason)).into());
        }
    }
    let (msg, authority) = msg.open();
    match msg {
        Msg::Bank(msg) => Bank::handle(ctx, authority.over(msg)),
        Msg::Escrow(msg) => Escrow::handle(ctx, authority.over(msg)),
        Msg::Provider(msg) => Provider::handle(ctx, authority.over(msg)),
        Msg::Market(msg) => Market::handle(ctx, authority.over(msg)),
    }
}

/// What the chain does before a block's transactions.
pub fn begin_block(ctx: &mut Ctx, block_hash: &[u8]) -> Result<(), Fatal> {
    // The clocks first: everything below is due by them.
    block_work(chain::begin_block(ctx, block_hash))?;
    auth::block::begin_block(ctx)?;
    // Leases before auctions and orders: a lease that ends may open its order again in this block. Unbonding last: a slash
    // of this block takes from stake, never from what has left.
    if block_work(chain::paused(ctx, Market::NAME))?.is_none() {
        block_work(market::block::begin_block(ctx))?;
    }
    if block_work(chain::paused(ctx, Provider::NAME))?.is_none() {
        provider::block::begin_block(ctx)?;
    }
    Ok(())
}

/// What the chain does after a block's transactions: the base fee follows the gas that was paid for, the base part of the
/// fees is burned, and every module's running totals are compared.
pub fn end_block(ctx: &mut Ctx, gas_paid: u64, base_fees: kernel::Amount) -> Result<(), Fatal> {
    block_work(auth::fees::end_block(ctx, gas_paid))?;
    let collector = kernel::Address::of_module(FEE_COLLECTOR);
    block_work(bank::burn(ctx, collector, &bank::uflop(), base_fees))?;
    check_counters(ctx)
}

/// A module whose running totals disagree is switched off in the same block, and so is the market, which moves the money
/// and the stake of the others; all of it stays where it is.
fn check_counters(ctx: &mut Ctx) -> Result<(), Fatal> {
    type Check = fn(&Ctx, Depth) -> Result<(), Broken>;
    let checks: [(&[&str], Check); 3] = [
        (&[Escrow::NAME, Market::NAME], Escrow::invariants),
        (&[Provider::NAME, Market::NAME], Provider::invariants),
        (&[Market::NAME], Market::invariants),
    ];
    for (names, check) in checks {
        match check(ctx, Depth::Counters) {
            Ok(()) => {}
            Err(Broken::Law { id, detail }) => {
                tracing::error!(modules = ?names, id, detail, "an invariant is broken: the modules are paused");
                names.iter().try_for_each(|name| pause_once(ctx, name, id))?;
            }
            Err(Broken::Error(error)) => return Err(fatal(error)),
        }
    }
    Ok(())
}

/// Switches a module off, unless it is: the record keeps the first reason and its height.
fn pause_once(ctx: &mut Ctx, name: &str, invariant: &str) -> Result<(), Fatal> {
    match block_work(chain::paused(ctx, name))? {
        Some(_) => Ok(()),
        None => block_work(chain::pause(ctx, name, &format!("invariant {invariant}"))),
    }
}

/// Work that no input can make fail: a rejection here is a broken law.
pub(crate) fn block_work<T>(result: Result<T>) -> Result<T, Fatal> {
    result.map_err(fatal)
}

fn fatal(error: Error) -> Fatal {
    match error {
        Error::Fatal(fatal) => fatal,
        other => Fatal::Invariant { name: "block work", detail: other.to_string() },
    }
}

/// Every law of the state.
pub fn invariants(ctx: &Ctx, depth: Depth) -> Result<(), Broken> {
    Auth::invariants(ctx, depth)?;
    Bank::invariants(ctx, depth)?;
    Escrow::invariants(ctx, depth)?;
    Provider::invariants(ctx, depth)?;
    Market::invariants(ctx, depth)
}

/// All derived entries, from the records.
pub fn rebuild(view: &dyn View) -> Result<DerivedSink, Fatal> {
    let mut sink = DerivedSink::default();
    Auth::rebuild(view, &mut sink)?;
    Bank::rebuild(view, &mut sink)?;
    Escrow::rebuild(view, &mut sink)?;
    Provider::rebuild(view, &mut sink)?;
    Market::rebuild(view, &mut sink)?;
    Ok(sink)
}

/// The application's part of the genesis document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppState {
    /// Clocks.
    pub kernel: chain::Genesis,
    /// Accounts and fees.
    pub auth: <Auth as Module>::Genesis,
    /// Balances.
    pub bank: <Bank as Module>::Genesis,
    /// Escrow's parameters.
    pub escrow: <Escrow as Module>::Genesis,
    /// Classes and providers.
    pub provider: <Provider as Module>::Genesis,
    /// Orders, bids and leases.
    pub market: <Market as Module>::Genesis,
}

/// Writes the state of a genesis document. An error names the module and the field.
pub fn init_genesis(ctx: &mut Ctx, state: AppState) -> Result<()> {
    within("kernel", check_paused(&state.kernel.paused, ctx.block.app_version))?;
    within("kernel", chain::init_genesis(ctx, &state.kernel))?;
    within("auth", check_fee_denom(&state.auth.params.fee.denom))?;
    within("auth", Auth::init_genesis(ctx, state.auth))?;
    for name in MODULE_ACCOUNTS {
        within("auth", auth::create_module_account(ctx, name))?;
    }
    within("bank", Bank::init_genesis(ctx, state.bank))?;
    within("escrow", Escrow::init_genesis(ctx, state.escrow))?;
    within("provider", Provider::init_genesis(ctx, state.provider))?;
    within("market", Market::init_genesis(ctx, state.market))
}

/// A name that [`handle`] never asks for switches nothing off, whatever its author meant.
fn check_paused(list: &[chain::PausedName], app_version: u32) -> Result<()> {
    let is_module = |name: &str| [Bank::NAME, Escrow::NAME, Provider::NAME, Market::NAME].contains(&name);
    // Of a type that is known the empty body is refused for another reason, if at all.
    let unknown = Reject::unknown_request("");
    let is_message = |name: &str| {
        let empty = Any { type_url: name.to_owned(), value: Vec::new() };
        decode(&empty, app_version)
            .err()
            .is_none_or(|reject| (reject.codespace, reject.code) != (unknown.codespace, unknown.code))
    };
    match list.iter().position(|paused| !is_module(&paused.name) && !is_message(&paused.name)) {
        None => Ok(()),
        Some(index) => Err(Reject::invalid_request(format!(
            "paused[{index}].name: expected a module that takes messages, or a message type as /underbid.market.v1.MsgSettle"
        ))
        .into()),
    }
}

/// Fees are taken and burned in one denom, which auth, below bank, can't know: a network that names another would offer
/// one and pay the other.
fn check_fee_denom(denom: &str) -> Result<()> {
    let expected = bank::uflop();
    match bank::Denom::new(denom) {
        Ok(denom) if denom == expected => Ok(()),
        _ => Err(Reject::invalid_request(format!("params.fee.denom: expected {expected}")).into()),
    }
}

fn within<T>(module: &str, result: Result<T>) -> Result<T> {
    result.map_err(|error| match error {
        Error::Rejected(reject) => {
            Reject { message: format!("app_state.{module}.{}", reject.message), ..reject }.into()
        }
        other => other,
    })
}

/// The state as a genesis document.
pub fn export_genesis(ctx: &Ctx) -> Result<AppState> {
    Ok(AppState {
        kernel: chain::export_genesis(ctx)?,
        auth: Auth::export_genesis(ctx)?,
        bank: Bank::export_genesis(ctx)?,
        escrow: Escrow::export_genesis(ctx)?,
        provider: Provider::export_genesis(ctx)?,
        market: Market::export_genesis(ctx)?,
    })
}

/// Every module's queries.
pub const ROUTES: &[&[Route]] = &[
    crate::queries::ROUTES,
    auth::queries::ROUTES,
    bank::queries::ROUTES,
    escrow::queries::ROUTES,
    provider::queries::ROUTES,
    market::queries::ROUTES,
];
