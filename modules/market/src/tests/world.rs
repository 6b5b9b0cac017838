//! A chain with all modules up to the market, driven a message and a block at a time; after each of both every invariant of
//! every module is checked, and that no money has come or gone.

use kernel::{
    Address, Amount, At, Backend as _, Block, Ctx, Depth, Error, EventBytes, Message as _, Mode, Module,
    Reply, Result, authority, chain,
};
use prost::Name;
use proto::underbid::market::v1 as wire;
use store::MemoryBackend;

use crate::{Genesis, Market, ORDERS, Params, block, types::Phase};

/// The genesis time: ten o'clock.
pub const START: u64 = 36_000;
/// 2 USD an hour for one unit.
pub const TWO_AN_HOUR: u128 = 555_555_555_555_555_555_555;
/// What everybody has of both denoms at genesis.
pub const PURSE: u64 = 1_000_000_000_000;
/// What an order of the harness costs: 8 units at 2 USD an hour for 12 seconds, rounded up.
pub const FEE: u64 = 53_334;
/// What a provider stakes, in uflop: 10_000 USD.
pub const STAKE: u64 = 20_000_000_000;
/// The gas of a message.
pub const GAS: u64 = 10_000_000;
pub const ZONE: &str = "de/he/fra";

/// A codespace and a code.
pub type Code = (&'static str, u32);
pub const NO_MONEY: Code = ("sdk", 5);
pub const UNKNOWN_PROVIDER: Code = ("provider", 8);
pub const NOT_ACTIVE: Code = ("provider", 9);
pub const NO_FREE_STAKE: Code = ("provider", 10);
pub const BELOW_REQUIRED: Code = ("provider", 11);
pub const NOT_OPERATOR: Code = ("provider", 13);

/// The chain.
pub struct World {
    pub ctx: Ctx,
    /// Everything that was emitted by the last message or by the blocks since.
    pub events: Vec<EventBytes>,
    /// What the last message used, without its base gas, or the market's work of the last block.
    pub gas: u64,
}

/// A message without its sender.
pub struct Step {
    world: World,
    name: String,
    body: Box<dyn FnOnce(String) -> Vec<u8>>,
}

/// What became of a message.
pub struct Outcome {
    world: World,
    result: Result<Reply>,
}

/// Everybody has an address of a name.
pub fn who(name: &str) -> Address {
    Address::of_module(name)
}

pub fn text(name: &str) -> String {
    who(name).to_string()
}

/// The second of a time such as `10:30` or `10:59:59`.
pub fn clock(time: &str) -> u64 {
    let parts: Vec<u64> = time.split(':').map(|part| part.parse().unwrap()).collect();
    parts[0] * 3600 + parts[1] * 60 + parts.get(2).copied().unwrap_or(0)
}

fn genesis_block() -> Block {
    Block {
        height: At::new(0),
        time: At::new(START),
        time_nanos: 0,
        billing: At::new(START),
        app_version: 1,
        chain_id: "test-1".into(),
    }
}

pub fn stores() -> [(kernel::StoreId, &'static str); 6] {
    [
        (chain::STORE, chain::NAME),
        (auth::Auth::STORE, auth::Auth::NAME),
        (bank::Bank::STORE, bank::Bank::NAME),
        (escrow::Escrow::STORE, escrow::Escrow::NAME),
        (provider::ProviderModule::STORE, provider::ProviderModule::NAME),
        (Market::STORE, Market::NAME),
    ]
}

impl World {
    /// With the default parameters: a tenant `tom`, the providers `ada`, `bob` and `eve` with [`STAKE`] and 16 units in
    /// [`ZONE`] each.
    pub fn new() -> Self {
        Self::with(Params::default(), &["ada", "bob", "eve"])
    }

    pub fn with(params: Params, providers: &[&str]) -> Self {
        let backend = MemoryBackend::new(&stores());
        let mut ctx = Ctx::new(backend.view(None).unwrap(), Mode::Deliver, genesis_block());
        let kernel = chain::Params { max_billing_step_s: 60, bech32_prefix: "underbid".into() };
        chain::init_genesis(&mut ctx, &chain::Genesis::new(kernel)).unwrap();
        auth::Auth::init_genesis(&mut ctx, auth::Genesis::default()).unwrap();
        bank::Bank::init_genesis(&mut ctx, bank::Genesis::default()).unwrap();
        let escrow = escrow::Genesis { params: escrow::Params::new(who("authority")) };
        escrow::Escrow::init_genesis(&mut ctx, escrow).unwrap();
        let mut genesis = provider::Genesis::new(provider::Params::new(who("authority")));
        genesis.classes.push(class(1));
        provider::ProviderModule::init_genesis(&mut ctx, genesis).unwrap();
        Market::init_genesis(&mut ctx, Genesis { params, ..Genesis::default() }).unwrap();
        let mut world = Self { ctx, events: Vec::new(), gas: 0 };
        for name in ["tom", "tim"] {
            world.fund(name);
        }
        for name in providers {
            world.provider(name, STAKE, 16);
        }
        world.block(0);
        world
    }

    pub fn fund(&mut self, name: &str) {
        bank::mint(&mut self.ctx, who(name), &bank::ucredit(), Amount::from(PURSE)).unwrap();
        bank::mint(&mut self.ctx, who(name), &bank::uflop(), Amount::from(PURSE)).unwrap();
    }

    /// Registers a provider with `stake` uflop and `units` of class 1 in [`ZONE`]; `<name>-op` operates it.
    pub fn provider(&mut self, name: &str, stake: u64, units: u32) {
        self.fund(name);
        let contact = provider::Contact { endpoints: Vec::new(), encryption_key: [1; 32] };
        let operators = vec![who(&format!("{name}-op"))];
        let register = provider::RegisterProvider { contact, operators, stake: Amount::from(stake) };
        self.run_provider(provider::Msg::RegisterProvider(who(name), register), name);
        self.capacity(name, units);
    }

    pub fn capacity(&mut self, name: &str, total: u32) {
        let zone = provider::Zone::parse(ZONE).unwrap();
        let capacity = provider::SetCapacity { provider: who(name), class_id: 1, zone, total };
        self.run_provider(provider::Msg::SetCapacity(who(name), capacity), name);
    }

    pub fn run_provider(&mut self, msg: provider::Msg, by: &str) {
        provider::ProviderModule::handle(&mut self.ctx, authority::signed(msg, who(by))).unwrap();
    }

    /// Replaces parameters of the provider module.
    pub fn provider_params(mut self, change: impl FnOnce(&mut provider::Params)) -> Self {
        let mut params = provider::params(&self.ctx).unwrap();
        change(&mut params);
        let by = who("authority");
        self.run_provider(provider::Msg::UpdateParams(by, provider::UpdateParams { params }), "authority");
        self
    }

    pub fn height(&self) -> u64 {
        self.ctx.block.height.value()
    }

    pub fn now(&self) -> u64 {
        self.ctx.block.billing.value()
    }

    /// A block `seconds` of header time after the last one.
    pub fn block(&mut self, seconds: u64) {
        let supply = self.supply();
        let height = self.height() + 1;
        self.ctx.block.height = At::new(height);
        self.ctx.block.time = At::new(self.ctx.block.time.value() + seconds);
        chain::begin_block(&mut self.ctx, &height.to_be_bytes()).unwrap();
        let used = self.ctx.gas_used();
        block::begin_block(&mut self.ctx).unwrap();
        self.gas = self.ctx.gas_used() - used;
        provider::block::begin_block(&mut self.ctx).unwrap();
        let emitted = self.ctx.take_events();
        if !emitted.is_empty() {
            self.check(supply);
        }
        self.events.extend(emitted);
    }

    pub fn blocks(mut self, count: u64) -> Self {
        self.events.clear();
        for _ in 0..count {
            self.block(0);
        }
        self
    }

    /// Blocks of a minute or less until the time is reached.
    pub fn at(mut self, time: &str) -> Self {
        self.until(clock(time));
        self
    }

    /// Blocks of a minute or less for so many seconds.
    pub fn after(mut self, seconds: u64) -> Self {
        let until = self.now() + seconds;
        self.until(until);
        self
    }

    fn until(&mut self, second: u64) {
        self.events.clear();
        assert!(self.now() <= second, "the time {second} is over: it is {}", self.now());
        while self.now() < second {
            let step = (second - self.now()).min(60);
            self.block(step);
        }
    }

    /// Blocks without time until the auction of an order is decided.
    pub fn decided(mut self, id: u64) -> Self {
        self.events.clear();
        while matches!(self.order(id).phase, Phase::Bidding(_)) {
            self.block(0);
        }
        self
    }

    /// Moves the clock without the market's queues: what it would be if they were late.
    pub fn queues_late(mut self, seconds: u64) -> Self {
        self.events.clear();
        let end = self.now() + seconds;
        while self.now() < end {
            let step = (end - self.now()).min(60);
            let height = self.height() + 1;
            self.ctx.block.height = At::new(height);
            self.ctx.block.time = At::new(self.ctx.block.time.value() + step);
            chain::begin_block(&mut self.ctx, &height.to_be_bytes()).unwrap();
        }
        self
    }

    fn supply(&self) -> (u128, u128) {
        let supply = |denom| bank::supply(&self.ctx, denom).unwrap().units();
        (supply(&bank::ucredit()), supply(&bank::uflop()))
    }

    fn check(&self, before: (u128, u128)) {
        let supply = self.supply();
        assert_eq!(supply.0, before.0, "ucredit is neither made nor destroyed");
        assert!(supply.1 <= before.1, "uflop is never made");
        for depth in [Depth::Counters, Depth::Full] {
            bank::Bank::invariants(&self.ctx, depth).unwrap();
            escrow::Escrow::invariants(&self.ctx, depth).unwrap();
            provider::ProviderModule::invariants(&self.ctx, depth).unwrap();
            Market::invariants(&self.ctx, depth).unwrap();
        }
    }

    pub fn order(&self, id: u64) -> crate::types::Order {
        ORDERS.get(&self.ctx, &id).unwrap().unwrap_or_else(|| panic!("there is no order {id}"))
    }

    pub fn auction(&self, id: u64) -> crate::types::Auction {
        crate::AUCTIONS.get(&self.ctx, &id).unwrap().unwrap()
    }

    /// Where an order stands, with the lease if it has one: `open 1`, `bidding 1`, `starting 1`, `closed 1: completed`.
    pub fn stands(&self, id: u64) -> String {
        let Some(order) = ORDERS.get(&self.ctx, &id).unwrap() else { return "gone".into() };
        let round = order.round;
        match &order.phase {
            Phase::Open(_) => format!("open {round}"),
            Phase::Bidding(_) => format!("bidding {round}"),
            Phase::Leased(lease) => format!("{} {round}", lease.stage.name()),
            Phase::Closed(closed) => format!("closed {round}: {}", closed.reason.name()),
        }
    }

    pub fn state(self, id: u64, expected: &str) -> Self {
        assert_eq!(self.stands(id), expected, "order {id} at {}", self.now());
        self
    }

    /// Some event since the last step is of this kind and shows these fields: `EventReclaimStarted deadline=11:00`.
    pub fn emits(self, expected: &str) -> Self {
        let (kind, fields) = expected.split_once(' ').unwrap_or((expected, ""));
        let wanted: Vec<(&str, String)> = fields
            .split_whitespace()
            .map(|field| field.split_once('=').unwrap())
            .map(|(key, value)| {
                (key, if value.contains(':') { clock(value).to_string() } else { value.to_string() })
            })
            .collect();
        let shown: Vec<_> = self.events.iter().flat_map(EventBytes::rendered).collect();
        let matches = shown.iter().any(|event| {
            event.kind.ends_with(kind)
                && wanted.iter().all(|(key, value)| event.attributes.contains(&(key, value.clone())))
        });
        assert!(matches, "expected {expected}, got {shown:#?}");
        self
    }

    pub fn emits_no(self, kind: &str) -> Self {
        assert!(!self.events.iter().any(|event| event.name.ends_with(kind)), "{kind} was emitted");
        self
    }

    pub fn count_events(&self, kind: &str) -> usize {
        self.events.iter().filter(|event| event.name.ends_with(kind)).count()
    }

    pub fn credit(&self, name: &str) -> u128 {
        bank::balance(&self.ctx, &who(name), &bank::ucredit()).unwrap().units()
    }

    pub fn flop(&self, name: &str) -> u128 {
        bank::balance(&self.ctx, &who(name), &bank::uflop()).unwrap().units()
    }

    pub fn stake(&self, name: &str) -> provider::Provider {
        provider::get(&self.ctx, &who(name)).unwrap().unwrap()
    }

    /// What all of them have together, in micro-ucredit so that nothing is rounded: credit, what they have in escrow, and
    /// FLOP with all stake at today's price.
    pub fn wealth(&self, names: &[&str]) -> u128 {
        let price = provider::params(&self.ctx).unwrap().stake_price.units();
        let mut wealth = 0;
        for name in names {
            let stake = provider::get(&self.ctx, &who(name)).unwrap().map_or(0, |p| p.stake_total.units());
            wealth += self.credit(name) * 1_000_000 + (self.flop(name) + stake) * price;
        }
        ORDERS
            .for_each(&self.ctx, |_, order| {
                for deposit in &order.account.deposits {
                    if names.iter().any(|name| who(name) == deposit.depositor) {
                        wealth += deposit.amount.units() * 1_000_000;
                    }
                }
                Ok(())
            })
            .unwrap();
        wealth
    }

    fn step<M: Name + 'static>(self, message: M, sign: fn(&mut M, String)) -> Step {
        let name = M::full_name();
        let body = move |signer: String| {
            let mut message = message;
            sign(&mut message, signer);
            message.encode_to_vec()
        };
        Step { world: self, name, body: Box::new(body) }
    }

    /// An order for 8 units at 2 USD an hour, open-ended, one round, changed by `change`.
    pub fn order_with(self, change: impl FnOnce(&mut wire::MsgCreateOrder)) -> Step {
        let mut order = default_order();
        change(&mut order);
        self.step(order, |message, signer| message.tenant = signer)
    }

    pub fn cancel(self, order_id: u64) -> Step {
        self.step(wire::MsgCancelOrder { order_id, ..Default::default() }, |message, signer| {
            message.tenant = signer
        })
    }

    /// A bid of `provider` at `unit_rate` in [`ZONE`] with the least notice.
    pub fn bid(self, order_id: u64, provider: &str, unit_rate: u128) -> Step {
        self.bid_with(order_id, provider, unit_rate, |_| ())
    }

    pub fn bid_with(
        self,
        order_id: u64,
        provider: &str,
        unit_rate: u128,
        change: impl FnOnce(&mut wire::MsgCreateBid),
    ) -> Step {
        let mut bid = wire::MsgCreateBid {
            signer: String::new(),
            provider: text(provider),
            order_id,
            zone: ZONE.into(),
            unit_rate: unit_rate.to_string(),
            reclaim_s: 3_600,
        };
        change(&mut bid);
        self.step(bid, |message, signer| message.signer = signer)
    }

    pub fn improve(self, order_id: u64, provider: &str, unit_rate: u128) -> Step {
        let provider = text(provider);
        let improve = wire::MsgImproveBid {
            provider,
            order_id,
            unit_rate: unit_rate.to_string(),
            ..Default::default()
        };
        self.step(improve, |message, signer| message.signer = signer)
    }

    pub fn withdraw(self, order_id: u64, provider: &str) -> Step {
        let withdraw = wire::MsgWithdrawBid { provider: text(provider), order_id, ..Default::default() };
        self.step(withdraw, |message, signer| message.signer = signer)
    }

    pub fn confirm(self, order_id: u64) -> Step {
        self.step(wire::MsgConfirmStart { order_id, ..Default::default() }, |message, signer| {
            message.signer = signer
        })
    }

    pub fn top_up(self, order_id: u64, amount: u64) -> Step {
        let amount = amount.to_string();
        self.step(wire::MsgTopUp { order_id, amount, ..Default::default() }, |message, signer| {
            message.signer = signer
        })
    }

    pub fn close(self, order_id: u64, reason: wire::TenantReason) -> Step {
        let reason = reason.into();
        let close = wire::MsgCloseLease { order_id, reason, ..Default::default() };
        self.step(close, |message, signer| message.tenant = signer)
    }

    pub fn reclaim(self, order_id: u64) -> Step {
        self.step(wire::MsgReclaimLease { order_id, ..Default::default() }, |message, signer| {
            message.signer = signer
        })
    }

    pub fn abandon(self, order_id: u64) -> Step {
        self.step(wire::MsgAbandonLease { order_id, ..Default::default() }, |message, signer| {
            message.owner = signer
        })
    }

    pub fn settle(self, order_id: u64) -> Step {
        self.step(wire::MsgSettle { order_id, ..Default::default() }, |message, signer| {
            message.signer = signer
        })
    }

    pub fn params(self, change: impl FnOnce(&mut Params)) -> Step {
        let mut params = crate::params(&self.ctx).unwrap();
        change(&mut params);
        let update = wire::MsgUpdateParams { params: Some(params.into()), ..Default::default() };
        self.step(update, |message, signer| message.authority = signer)
    }
}

pub fn default_order() -> wire::MsgCreateOrder {
    wire::MsgCreateOrder {
        tenant: String::new(),
        class_id: 1,
        count: 8,
        zones: vec!["de".into()],
        near: String::new(),
        max_unit_rate: TWO_AN_HOUR.to_string(),
        duration_s: 0,
        window_blocks: 12,
        ttl_s: 3_600,
        start_timeout_s: 600,
        reclaim_min_s: 3_600,
        min_uptime_ppm: 0,
        weights: Vec::new(),
        manifest_hash: vec![7; 32],
        rounds: 1,
        deposit: "24000000".into(),
    }
}

/// A class of one small GPU whose unit asks for 7 days of 1 USD.
pub fn class(id: u32) -> provider::Class {
    provider::Class {
        id,
        name: format!("class {id}"),
        vram_mib: 8_192,
        gpus: 1,
        vcpu_milli: 4_000,
        memory_mib: 16_384,
        disk_gib: 100,
        device_price_usd: 500,
        ref_price_day: Amount::from(1_000_000),
        active: true,
    }
}

impl Step {
    /// Sends the message: it is encoded, read back and executed in a savepoint with [`GAS`].
    pub fn by(self, name: &str) -> Outcome {
        self.with_gas(name, GAS)
    }

    pub fn with_gas(self, name: &str, gas: u64) -> Outcome {
        let Self { mut world, name: message, body } = self;
        world.ctx.take_events();
        let supply = world.supply();
        let (signer, body) = (who(name), body(text(name)));
        let result = crate::Msg::parse(&message, &body, 1).map_err(Error::from).and_then(|msg| {
            assert_eq!(msg.signers().as_slice(), [signer]);
            let used = world.ctx.gas_used();
            let result = world
                .ctx
                .attempt(|ctx| ctx.with_gas(gas, |ctx| Market::handle(ctx, authority::signed(msg, signer))));
            world.gas = world.ctx.gas_used() - used;
            result
        });
        world.events = world.ctx.take_events();
        world.check(supply);
        Outcome { world, result }
    }
}

impl Outcome {
    pub fn ok(self) -> World {
        match self.result {
            Ok(_) => self.world,
            Err(error) => panic!("refused: {error}"),
        }
    }

    /// The response of a message that went through.
    pub fn answer<R: Name + Default>(self) -> (World, R) {
        let reply = self.result.unwrap();
        assert_eq!(reply.type_url, format!("/{}", R::full_name()));
        (self.world, R::decode(reply.value.as_slice()).unwrap())
    }

    /// The id of a new order.
    pub fn created(self) -> (World, u64) {
        let (world, answer): (World, wire::MsgCreateOrderResponse) = self.answer();
        (world, answer.order_id)
    }

    pub fn fails(self, (codespace, code): Code) -> World {
        match self.result {
            Err(Error::Rejected(reject)) => {
                assert_eq!((reject.codespace, reject.code), (codespace, code), "{}", reject.message);
                assert!(self.world.events.is_empty(), "a refused message leaves events");
                self.world
            }
            other => panic!("expected the refusal {codespace} {code}, got {other:?}"),
        }
    }

    /// What a refusal says.
    pub fn reason(&self) -> &str {
        match &self.result {
            Err(Error::Rejected(reject)) => &reject.message,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    /// The world, whether the message went through or was refused.
    pub fn either(self) -> World {
        assert!(matches!(self.result, Ok(_) | Err(Error::Rejected(_))), "{:?}", self.result);
        self.world
    }

    pub fn out_of_gas(self) -> World {
        assert!(matches!(self.result, Err(Error::OutOfGas)), "{:?}", self.result);
        self.world
    }
}

/// An order of `tom` that waits for bids.
pub fn opened() -> World {
    World::new().order_with(|_| ()).by("tom").ok()
}

/// One bid of `ada` at half the ceiling.
pub fn bidding() -> World {
    opened().bid(1, "ada", TWO_AN_HOUR / 2).by("ada").ok()
}

/// `ada` has won at half the ceiling.
pub fn starting() -> World {
    bidding().decided(1)
}

/// The same of an order that may be auctioned again.
pub fn starting_of_two() -> World {
    World::new()
        .order_with(two_rounds)
        .by("tom")
        .ok()
        .bid(1, "ada", TWO_AN_HOUR / 2)
        .by("ada")
        .ok()
        .decided(1)
}

/// Two rounds, and more money than both can need.
pub fn two_rounds(order: &mut wire::MsgCreateOrder) {
    (order.rounds, order.deposit) = (2, "25000000".into());
}

/// `ada` runs the lease since ten o'clock.
pub fn active() -> World {
    starting().confirm(1).by("ada").ok()
}
