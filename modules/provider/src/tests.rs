//! Providers over the real bank on a store in memory.

mod genesis;
mod handlers;
mod leaving;
mod queries;
mod scores;
mod supply;
mod wire;

use kernel::{
    Address, Amount, At, Backend as _, Billing, Block, Ctx, Depth, Error as KernelError, Message as _, Mode,
    Module as _, Reply, Result, authority, chain,
};
use prost::Name;
use proto::underbid::provider::v1 as pb;
use store::MemoryBackend;

use crate::{Error, Genesis, Harmed, Line, Msg, Params, Provider, ProviderModule, Zone, stake_pool};

/// What each of the addresses 1 to 20 has at the start, in uflop.
const FUNDS: u64 = 1_000_000_000_000;
/// The stake of a provider of the harness: 4_000 USD.
const STAKE: u64 = 8_000_000_000;
const FRA: &str = "de/hessen/fra";
const NOW: u64 = 10_000_000;

/// What must be said of a value, and a change that makes it so.
type Break<T> = (&'static str, fn(&mut T));

fn address(number: u8) -> Address {
    Address([number; 20])
}

fn amount(units: u64) -> Amount {
    Amount::from(units)
}

fn at(seconds: u64) -> At<Billing> {
    At::new(seconds)
}

#[expect(clippy::unnecessary_wraps, reason = "as a slash takes it")]
fn harmed(number: u8, at_most: u64) -> Option<Harmed> {
    Some(Harmed { tenant: address(number), at_most: amount(at_most) })
}

fn zone(text: &str) -> Zone {
    Zone::parse(text).unwrap()
}

fn params() -> Params {
    Params::new(address(99))
}

fn empty_ctx() -> Ctx {
    let stores = [
        (chain::STORE, chain::NAME),
        (auth::Auth::STORE, auth::Auth::NAME),
        (bank::Bank::STORE, bank::Bank::NAME),
        (ProviderModule::STORE, ProviderModule::NAME),
    ];
    let backend = MemoryBackend::new(&stores);
    let block = Block { height: At::new(1), app_version: 1, billing: at(NOW), ..Block::default() };
    let mut ctx = Ctx::new(backend.view(None).unwrap(), Mode::Deliver, block);
    let auth = format!("{{\"params\": {}}}", serde_json::to_string(&auth::Params::default()).unwrap());
    auth::Auth::init_genesis(&mut ctx, serde_json::from_str(&auth).unwrap()).unwrap();
    bank::Bank::init_genesis(&mut ctx, bank::Genesis::default()).unwrap();
    ctx
}

/// A chain with auth, bank and provider, and messages in the words of the protos.
struct Chain {
    ctx: Ctx,
}

impl Chain {
    /// No class and no provider.
    fn new() -> Self {
        let mut ctx = empty_ctx();
        ProviderModule::init_genesis(&mut ctx, Genesis::new(params())).unwrap();
        for number in 1..=20 {
            bank::mint(&mut ctx, address(number), &bank::uflop(), amount(FUNDS)).unwrap();
        }
        ctx.take_events();
        Self { ctx }
    }

    /// The classes 1 (tier 0, 1 USD a day) and 2 (tier 4, 10 USD a day), and provider 1 with operator 11.
    fn with_provider() -> Self {
        let mut chain = Self::new();
        chain.run(set_class(1, 500, 1_000_000)).unwrap();
        chain.run(set_class(2, 15_000, 10_000_000)).unwrap();
        chain.run(register(1, STAKE, &[11])).unwrap();
        chain.ctx.take_events();
        chain
    }

    /// Executes a message as a transaction does: a rejection leaves nothing behind. Every law holds afterwards.
    fn run<M: Name>(&mut self, msg: M) -> Result<Reply> {
        let msg = Msg::parse(&M::full_name(), &msg.encode_to_vec(), 1)?;
        let actor = msg.signers().as_slice()[0];
        let result = self.ctx.attempt(|ctx| ProviderModule::handle(ctx, authority::signed(msg, actor)));
        self.check();
        result
    }

    /// The message is refused with this error.
    fn refuses<M: Name>(&mut self, msg: M, error: Error) {
        assert_eq!(self.run(msg), Err(error.into()));
    }

    fn check(&self) {
        ProviderModule::invariants(&self.ctx, Depth::Counters).unwrap();
        ProviderModule::invariants(&self.ctx, Depth::Full).unwrap();
    }

    fn wait(&mut self, seconds: u64) {
        self.ctx.block.billing = self.ctx.block.billing.plus(seconds).unwrap();
        self.ctx.block.height = self.ctx.block.height.plus(1).unwrap();
    }

    fn provider(&self, number: u8) -> Provider {
        crate::load(&self.ctx, &address(number)).unwrap()
    }

    fn line(&self, number: u8, class_id: u32, zone_text: &str) -> Option<Line> {
        crate::line(&self.ctx, address(number), class_id, &zone(zone_text)).unwrap()
    }

    fn flop(&self, who: Address) -> u128 {
        bank::balance(&self.ctx, &who, &bank::uflop()).unwrap().units()
    }

    fn pool(&self) -> u128 {
        self.flop(stake_pool())
    }

    /// The names of the module's events since the last call.
    fn events(&mut self) -> Vec<&'static str> {
        let names = self.ctx.take_events().into_iter().map(|event| event.name);
        names.filter_map(|name| name.strip_prefix("underbid.provider.v1.Event")).collect()
    }

    /// A provider's total and locked stake, in uflop.
    fn stake(&self, number: u8) -> (u128, u128) {
        let provider = self.provider(number);
        (provider.stake_total.units(), provider.stake_locked.units())
    }
}

fn set_class(id: u32, device_price_usd: u32, ref_price_day: u64) -> pb::MsgSetClass {
    let class = pb::Class {
        id,
        name: format!("class {id}"),
        vram_mib: 24_576,
        gpus: 1,
        vcpu_milli: 8_000,
        memory_mib: 32_768,
        disk_gib: 500,
        device_price_usd,
        ref_price_day: ref_price_day.to_string(),
        active: true,
    };
    pb::MsgSetClass { authority: address(99).to_string(), class: Some(class) }
}

fn register(owner: u8, stake: u64, operators: &[u8]) -> pb::MsgRegisterProvider {
    pb::MsgRegisterProvider {
        owner: address(owner).to_string(),
        endpoints: vec!["https://a.example".into()],
        encryption_key: vec![owner; 32],
        operators: operators.iter().map(|number| address(*number).to_string()).collect(),
        stake: stake.to_string(),
    }
}

fn set_operators(owner: u8, operators: &[u8]) -> pb::MsgSetOperators {
    let operators = operators.iter().map(|number| address(*number).to_string()).collect();
    pb::MsgSetOperators { owner: address(owner).to_string(), operators }
}

fn update(owner: u8, endpoints: &[String]) -> pb::MsgUpdateProvider {
    pb::MsgUpdateProvider {
        owner: address(owner).to_string(),
        endpoints: endpoints.to_vec(),
        encryption_key: vec![7; 32],
    }
}

fn add_stake(owner: u8, units: u64) -> pb::MsgAddStake {
    pb::MsgAddStake { owner: address(owner).to_string(), amount: units.to_string() }
}

fn unstake(owner: u8, units: u64) -> pb::MsgUnstake {
    pb::MsgUnstake { owner: address(owner).to_string(), amount: units.to_string() }
}

fn exit(owner: u8) -> pb::MsgExitProvider {
    pb::MsgExitProvider { owner: address(owner).to_string() }
}

fn capacity(signer: u8, provider: u8, class_id: u32, zone: &str, total: u32) -> pb::MsgSetCapacity {
    pb::MsgSetCapacity {
        signer: address(signer).to_string(),
        provider: address(provider).to_string(),
        class_id,
        zone: zone.to_owned(),
        total,
    }
}

/// A bid's reservation, on the records as they are.
fn reserve(ctx: &mut Ctx, owner: Address, class: u32, zone: &Zone, count: u32, lock: Amount) -> Result<()> {
    let provider = crate::load(ctx, &owner)?;
    let line = crate::line(ctx, owner, class, zone)?.ok_or(kernel::Overflow)?;
    crate::reserve(ctx, provider, class, zone, line, count, lock)
}

/// A bid's new lock, on the record as it is.
fn relock(ctx: &mut Ctx, owner: Address, old: Amount, new: Amount) -> Result<()> {
    let provider = crate::load(ctx, &owner)?;
    crate::relock(ctx, provider, old, new)
}
