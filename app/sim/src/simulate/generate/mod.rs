//! Makes a history: looks at what the chain holds and thinks of what could happen next.

mod market;
mod money;
mod scene;
mod supply;

use prost::Name;

use self::scene::Scene;
use super::{
    cast::{self, AUTHORITY, STRANGER},
    history::{Block, Flaw, Message, Step, Tx},
    random::Random,
    world::{self, Scale},
};
use crate::{GAS, TestChain};

/// A message and who signs it.
pub struct Said {
    message: Message,
    signer: &'static str,
}

impl Said {
    fn by<M: prost::Message + Name>(signer: &'static str, message: &M) -> Self {
        Self { message: Message::new(message), signer }
    }
}

/// What somebody may want.
#[derive(Clone, Copy, Debug)]
enum Goal {
    CreateOrder,
    CancelOrder,
    CreateBid,
    ImproveBid,
    WithdrawBid,
    ConfirmStart,
    TopUp,
    CloseLease,
    ReclaimLease,
    AbandonLease,
    Settle,
    Register,
    Update,
    SetOperators,
    AddStake,
    Unstake,
    SetCapacity,
    Exit,
    SetClass,
    MarketParams,
    ProviderParams,
    EscrowParams,
    Send,
    MultiSend,
    Burn,
    Nonsense,
}

/// How likely each goal is, when nothing is missing.
const GOALS: [(u64, Goal); 26] = [
    (120, Goal::CreateOrder),
    (12, Goal::CancelOrder),
    (260, Goal::CreateBid),
    (90, Goal::ImproveBid),
    (40, Goal::WithdrawBid),
    (110, Goal::ConfirmStart),
    (60, Goal::TopUp),
    (40, Goal::CloseLease),
    (25, Goal::ReclaimLease),
    (20, Goal::AbandonLease),
    (50, Goal::Settle),
    (20, Goal::Register),
    (8, Goal::Update),
    (12, Goal::SetOperators),
    (25, Goal::AddStake),
    (25, Goal::Unstake),
    (60, Goal::SetCapacity),
    (8, Goal::Exit),
    (12, Goal::SetClass),
    (16, Goal::MarketParams),
    (16, Goal::ProviderParams),
    (6, Goal::EscrowParams),
    (25, Goal::Send),
    (15, Goal::MultiSend),
    (8, Goal::Burn),
    (6, Goal::Nonsense),
];
/// How many providers a market needs.
const PROVIDERS_WANTED: usize = 4;

/// Thinks of steps.
pub struct Generator {
    random: Random,
    scale: Scale,
}

impl Generator {
    /// The generator of a seed, and the genesis state that its histories begin with.
    pub fn new(seed: u64) -> (Self, serde_json::Value) {
        let mut random = Random::new(seed);
        let (scale, state) = world::genesis(&mut random);
        (Self { random, scale }, state)
    }

    /// The next step of a chain that has had `blocks` blocks since its genesis.
    pub fn next(&mut self, chain: &TestChain, blocks: usize) -> Step {
        let random = &mut self.random;
        match random.below(1_000) {
            0..=5 => Step::Restart,
            6..=15 => Step::Rollback,
            16..=20 => Step::Import { gap_s: random.pick(&[0, 1, 1_000_000]) },
            21..=23 if blocks > 30 => Step::Replay,
            _ => Step::Block(self.block(chain)),
        }
    }

    fn block(&mut self, chain: &TestChain) -> Block {
        let step_s = u64::from(self.scale.step_s);
        let random = &mut self.random;
        let (some, days) = (random.between(1, step_s), random.between(1, 3) * 86_400);
        let after_s =
            random.weighted(&[(10, 0), (25, 1), (25, some), (20, step_s), (10, 2 * step_s + 1), (2, days)]);
        let nanos = if random.chance(1, 4) { random.within(1, 999_999_999) } else { 0 };
        let (few, many) = (random.between(1, 3), random.between(4, 8));
        let busy = if self.scale.crowded { 100 } else { 20 };
        let count = random.weighted(&[(10, 0), (60, few), (busy, many), (1, 25)]);
        let scene = (count > 0).then(|| Scene::of(chain, self.scale));
        let txs =
            scene.map(|scene| (0..count).map(|_| self.tx(&scene, after_s)).collect()).unwrap_or_default();
        let random = &mut self.random;
        Block {
            after_s,
            nanos,
            hash: random.next(),
            txs,
            shuffle: if random.chance(1, 12) { random.next() } else { 0 },
            rounds: if random.chance(1, 12) { random.next() } else { 0 },
        }
    }

    fn tx(&mut self, scene: &Scene, after_s: u64) -> Tx {
        let mut said = vec![self.said(scene)];
        while said.len() < 5 && self.random.chance(1, 10) {
            said.push(self.said(scene));
        }
        let random = &mut self.random;
        if random.chance(1, 25) {
            spoil(random, &mut said[0].message);
        }
        let mut signers: Vec<String> = Vec::new();
        for Said { signer, .. } in &said {
            if !signers.iter().any(|name| name == signer) {
                signers.push((*signer).to_owned());
            }
        }
        let count = said.len() as u64;
        let gas_limit = match random.below(60) {
            0 => random.between(1, 250_000),
            1 | 2 => random.between(20_000, 45_000),
            _ => GAS * count.min(3),
        };
        let fee = scene.fee(gas_limit);
        let fee = match random.below(100) {
            0 => fee / 10,
            1 => 0,
            2 => fee * 50,
            _ => fee,
        };
        let mut tx = Tx {
            messages: said.into_iter().map(|said| said.message).collect(),
            signers,
            gas_limit,
            fee,
            ..Tx::default()
        };
        if random.chance(1, 12) {
            let (seconds, nanos) = (after_s + random.between(0, 62), random.below(3));
            tx.unordered_ns = Some(seconds * 1_000_000_000 + nanos);
        }
        if random.chance(1, 30) {
            tx.repeats = random.within(1, 2);
        }
        if random.chance(1, 12) {
            self.flaw(&mut tx);
        }
        tx
    }

    fn said(&mut self, scene: &Scene) -> Said {
        let goal = self.goal(scene);
        let random = &mut self.random;
        let official = if random.chance(1, 6) { STRANGER } else { AUTHORITY };
        let said = match goal {
            Goal::CancelOrder => market::cancel_order(random, scene),
            Goal::CreateBid => market::create_bid(random, scene),
            Goal::ImproveBid => market::improve_bid(random, scene),
            Goal::WithdrawBid => market::withdraw_bid(random, scene),
            Goal::ConfirmStart => market::confirm_start(random, scene),
            Goal::TopUp => market::top_up(random, scene),
            Goal::CloseLease => market::close_lease(random, scene),
            Goal::ReclaimLease => market::reclaim_lease(random, scene),
            Goal::AbandonLease => market::abandon_lease(random, scene),
            Goal::Settle => market::settle(random, scene),
            Goal::CreateOrder => None,
            Goal::Register => Some(supply::register(random, scene)),
            Goal::Update => Some(supply::update(random, scene)),
            Goal::SetOperators => Some(supply::set_operators(random, scene)),
            Goal::AddStake => Some(supply::add_stake(random, scene)),
            Goal::Unstake => Some(supply::unstake(random, scene)),
            Goal::SetCapacity => Some(supply::set_capacity(random, scene)),
            Goal::Exit => Some(supply::exit(random, scene)),
            Goal::SetClass => Some(supply::set_class(random, scene)),
            Goal::MarketParams => Some(market::update_params(random, scene, official)),
            Goal::ProviderParams => Some(supply::update_params(random, scene, official)),
            Goal::EscrowParams => Some(money::update_params(random, scene, official)),
            Goal::Send => Some(money::send(random, scene)),
            Goal::MultiSend => Some(money::multi_send(random, scene)),
            Goal::Burn => Some(money::burn(random, scene)),
            Goal::Nonsense => Some(nonsense(random)),
        };
        // What nobody can want at the moment gives way to a new order.
        said.unwrap_or_else(|| market::create_order(random, scene))
    }

    /// A market without providers needs them first, and one with many orders needs no more.
    fn goal(&mut self, scene: &Scene) -> Goal {
        let random = &mut self.random;
        let active = scene.active();
        if active.len() < PROVIDERS_WANTED && random.chance(1, 3) {
            return Goal::Register;
        }
        if scene.orders.is_empty() && random.chance(1, 3) {
            return Goal::SetCapacity;
        }
        let goal = if random.chance(1, 12) { random.pick(&GOALS).1 } else { random.weighted(&GOALS) };
        match goal {
            Goal::CreateOrder if scene.live() >= scene.scale.orders() => Goal::CreateBid,
            goal => goal,
        }
    }

    fn flaw(&mut self, tx: &mut Tx) {
        let random = &mut self.random;
        let other = random.pick(&cast::everybody().collect::<Vec<_>>()).to_owned();
        let flaw = match random.below(24) {
            0..=2 => Flaw::Signature,
            3 => Flaw::Later(random.between(1, 3)),
            4 => Flaw::Earlier,
            5 => Flaw::Chain,
            6 => Flaw::ForeignKey(other),
            7 => Flaw::NoKey,
            8 => Flaw::OddKey,
            9 => Flaw::MissingSignature,
            10 => Flaw::SignMode,
            11 => Flaw::Payer(other),
            12 => Flaw::Granter,
            13 => Flaw::FeeDenom,
            14 => Flaw::TwoFees,
            15 => Flaw::Memo(random.pick(&[64, 65, 13_000])),
            16 => Flaw::TimeoutHeight(random.between(0, 2)),
            17 => Flaw::TimedOut,
            18 => Flaw::NoTimeout,
            19 => Flaw::Extension,
            20 => Flaw::Cut,
            21 => Flaw::Padded,
            22 => Flaw::Garbage(random.pick(&[0, 1, 40, 300_000])),
            _ => {
                tx.gas_limit = random.pick(&[0, 400_000_000]);
                return;
            }
        };
        tx.flaw = Some(flaw);
    }
}

/// A message of no type that there is, or none at all.
fn nonsense(random: &mut Random) -> Said {
    let kind = random.pick(&["/underbid.market.v1.MsgNothing", "/cosmos.gov.v1.MsgVote", "MsgSend", ""]);
    Said { message: Message { kind: kind.to_owned(), value: vec![1, 2, 3] }, signer: STRANGER }
}

/// The same message with other bytes: an unknown field at its end, or an address with a letter changed.
fn spoil(random: &mut Random, message: &mut Message) {
    let prefix = b"underbid1";
    let address = message.value.windows(prefix.len()).position(|bytes| bytes == prefix);
    match address {
        Some(at) if random.chance(1, 2) => message.value[at + 12] ^= 1,
        _ => message.value.extend([0xfa, 0x7f, 0]),
    }
}
