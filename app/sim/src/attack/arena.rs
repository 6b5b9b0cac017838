//! A market in process: one replica, a block at a time, and agents who see the state of the last block and send signed
//! transactions into the next one.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Address, Ctx};
use market::{
    AUCTIONS, BIDS, ORDERS,
    types::{Auction, Bid, Order, OrderId, Phase, Stage},
};
use prost_types::Any;
use sha2::{Digest as _, Sha256};
use underbid::{
    client::{
        keys::Key,
        tx::{Draft, Signer},
    },
    execute::RawBlock,
};

use super::scene::Scene;
use crate::{CHAIN_ID, GAS, Home, TestChain, coin, key};

/// The fee of a transaction, in uflop.
const FEE: u64 = 1_100;
/// The seconds of a block while something is decided, and while leases only run.
const BUSY_S: u64 = 6;
const QUIET_S: u64 = 30;
/// No scene needs as many blocks.
const BLOCKS_MAX: u32 = 6_000;

/// Somebody who takes part.
pub trait Agent {
    /// What it sends after this block.
    fn act(&mut self, view: &View, out: &mut Outbox);
    /// Whether it has still something to do although nothing of it is on the chain.
    fn waits(&self) -> bool {
        false
    }
}

/// What everybody sees: the state after the last block.
pub struct View {
    /// The state.
    pub ctx: Ctx,
    /// The height of the block for which agents send now.
    pub height: u64,
    /// The billing time of the last block.
    pub now: u64,
    /// Seconds since trading began.
    pub age_s: u64,
    /// Orders that are not closed.
    pub orders: BTreeMap<OrderId, Listing>,
    /// Since when a lease is not delivered, where it is not.
    pub stops: BTreeMap<(OrderId, u32), u64>,
}

/// A live order.
pub struct Listing {
    pub order: Order,
    pub auction: Option<Auction>,
    /// Its bids, best first.
    pub book: Vec<(Address, Bid)>,
}

/// What agents send.
#[derive(Default)]
pub struct Outbox {
    txs: Vec<(String, Vec<Any>)>,
    stops: BTreeMap<(OrderId, u32), u64>,
    wake_at: Option<u64>,
    now: u64,
}

impl Outbox {
    /// A transaction of one signer.
    pub fn send(&mut self, by: &str, messages: Vec<Any>) {
        self.txs.push((by.to_owned(), messages));
    }

    /// From this second on nothing is delivered for a lease.
    pub fn stop(&mut self, order: OrderId, round: u32, from_s: u64) {
        self.stops.entry((order, round)).or_insert(from_s);
    }

    /// Whether to send now what is to be executed at this second, or as soon after it as can be; asks for the blocks that
    /// make it so.
    pub fn is_time(&mut self, at_s: u64) -> bool {
        let is_next = self.now + 1 >= at_s;
        let wake_at = if is_next { at_s.max(self.now + 1) } else { at_s - 1 };
        self.wake_at = Some(self.wake_at.map_or(wake_at, |before| before.min(wake_at)));
        is_next
    }
}

/// A scene on its chain.
pub struct Arena {
    pub chain: TestChain,
    /// Who proposes blocks and picks among hashes, if somebody does.
    pub grinder: Option<Address>,
    keys: BTreeMap<String, Key>,
    live: BTreeSet<OrderId>,
    last_order: OrderId,
    stops: BTreeMap<(OrderId, u32), u64>,
    began_s: u64,
    seed: u64,
    /// Transactions that were refused: the height, the sender, why.
    pub refused: Vec<(u64, String, String)>,
    /// How many transactions each has had executed.
    pub done: BTreeMap<String, u32>,
    /// What everybody has paid for gas, in uflop.
    pub gas: BTreeMap<String, u64>,
}

impl Arena {
    /// The chain of a scene, with everybody registered.
    pub fn new(scene: &Scene) -> Self {
        let chain = TestChain::with(vec![Home::memory()], &scene.genesis());
        let keys = scene.names().map(|name| (name.to_owned(), key(name))).collect();
        let mut arena = Self {
            chain,
            grinder: scene.grinder,
            keys,
            live: BTreeSet::new(),
            last_order: 0,
            stops: BTreeMap::new(),
            began_s: 0,
            seed: scene.seed,
            refused: Vec::new(),
            done: BTreeMap::new(),
            gas: BTreeMap::new(),
        };
        for (name, messages) in scene.registrations() {
            let tx = arena.sign(&name, messages, 0);
            arena.block(BUSY_S, vec![tx]);
        }
        assert!(arena.refused.is_empty(), "the scene does not begin: {:?}", arena.refused);
        arena.gas.clear();
        arena.done.clear();
        arena.began_s = arena.chain.time_s;
        arena
    }

    /// Lets the agents act until all orders are closed and nobody waits. Earlier agents' transactions come first in a block.
    pub fn run(&mut self, agents: &mut [Box<dyn Agent>]) {
        for _ in 0..BLOCKS_MAX {
            let view = self.view();
            let mut out = Outbox { now: view.now, ..Outbox::default() };
            agents.iter_mut().for_each(|agent| agent.act(&view, &mut out));
            let done = view.orders.is_empty() && out.txs.is_empty();
            if done && !agents.iter().any(|agent| agent.waits()) {
                self.chain.deliver(&self.raw(1, Vec::new(), 0));
                return;
            }
            for (lease, from_s) in std::mem::take(&mut out.stops) {
                self.stops.entry(lease).or_insert(from_s);
            }
            let step_s = out.wake_at.map_or(u64::MAX, |at| at - view.now).min(pace(&view));
            let mut sent: BTreeMap<String, u64> = BTreeMap::new();
            let txs = out.txs.into_iter().map(|(by, messages)| {
                let ahead = sent.entry(by.clone()).or_default();
                *ahead += 1;
                self.sign(&by, messages, *ahead - 1)
            });
            let txs = txs.collect();
            self.block(step_s, txs);
        }
        panic!("the scene of seed {} does not end", self.seed);
    }

    /// Since when leases were not delivered.
    pub fn stops(&self) -> &BTreeMap<(OrderId, u32), u64> {
        &self.stops
    }

    /// The number of the last order.
    pub fn last_order(&self) -> OrderId {
        self.last_order
    }

    fn view(&mut self) -> View {
        let ctx = self.chain.ctx();
        while ORDERS.has(&ctx, &(self.last_order + 1)).unwrap() {
            self.last_order += 1;
            self.live.insert(self.last_order);
        }
        let mut orders = BTreeMap::new();
        for id in self.live.clone() {
            let order = ORDERS.get(&ctx, &id).unwrap().unwrap();
            if matches!(order.phase, Phase::Closed(_)) {
                self.live.remove(&id);
                continue;
            }
            let auction = AUCTIONS.get(&ctx, &id).unwrap();
            let book = if auction.is_some() { book(&ctx, id) } else { Vec::new() };
            orders.insert(id, Listing { order, auction, book });
        }
        let now = ctx.block.billing.value();
        let (height, age_s) = (self.chain.height + 1, self.chain.time_s - self.began_s);
        View { ctx, height, now, age_s, orders, stops: self.stops.clone() }
    }

    fn sign(&self, by: &str, messages: Vec<Any>, ahead: u64) -> (String, Vec<u8>) {
        let key = &self.keys[by];
        let account = auth::get(&self.chain.ctx(), &key.address()).unwrap().unwrap();
        let signer = Signer { key, account_number: account.number, sequence: account.sequence + ahead };
        let draft = Draft { gas_limit: GAS, fee: vec![coin("uflop", FEE)], ..Draft::new(messages) };
        (by.to_owned(), draft.sign(CHAIN_ID, &[signer]).bytes)
    }

    fn block(&mut self, step_s: u64, txs: Vec<(String, Vec<u8>)>) {
        let (names, txs): (Vec<_>, Vec<_>) = txs.into_iter().unzip();
        let nonce = self.grinder.map_or(0, |grinder| self.grind(grinder));
        let done = self.chain.apply(&self.raw(step_s, txs, nonce));
        for (name, result) in names.into_iter().zip(done.results) {
            *self.gas.entry(name.clone()).or_default() += FEE;
            if result.code == 0 {
                *self.done.entry(name).or_default() += 1;
            } else {
                self.refused.push((self.chain.height, name, result.log));
            }
        }
    }

    /// A block whose hash follows from the seed, the height and what the proposer varied.
    fn raw(&self, step_s: u64, txs: Vec<Vec<u8>>, nonce: u64) -> RawBlock {
        let block = self.chain.raw_block(&txs);
        let hash = self.hash(block.height, nonce);
        RawBlock { time_s: self.chain.time_s + step_s, hash, ..block }
    }

    fn hash(&self, height: u64, nonce: u64) -> Vec<u8> {
        let parts = [self.seed, height, nonce].map(u64::to_be_bytes);
        Sha256::digest(parts.concat()).to_vec()
    }

    /// The first variant of the next block whose seed draws `wanted` in an auction that closes with it.
    fn grind(&self, wanted: Address) -> u64 {
        let (ctx, height) = (self.chain.ctx(), self.chain.height + 1);
        for id in &self.live {
            let closing =
                AUCTIONS.get(&ctx, id).unwrap().filter(|auction| auction.close_height.value() == height);
            let Some(auction) = closing else { continue };
            let order = ORDERS.get(&ctx, id).unwrap().unwrap();
            let limit = market::formulas::limit(auction.best.eff, market::params(&ctx).unwrap().band_ppm);
            let rows: Vec<_> = book(&ctx, *id).into_iter().filter(|(_, bid)| bid.eff() <= limit).collect();
            let weights: Vec<_> = rows.iter().map(|(_, bid)| limit - bid.eff() + 1).collect();
            let draws = |nonce: &u64| {
                let hash = self.hash(height, *nonce);
                let seed = Sha256::new().chain_update(b"underbid/seed/1").chain_update(hash).finalize();
                let index = market::formulas::draw(CHAIN_ID, *id, order.round, &seed.into(), &weights);
                index.is_some_and(|index| rows[index].0 == wanted)
            };
            if rows.iter().any(|(bidder, _)| *bidder == wanted) {
                return (0..1_000).find(draws).unwrap_or(0);
            }
        }
        0
    }
}

/// The bids of an order, best first.
fn book(ctx: &Ctx, id: OrderId) -> Vec<(Address, Bid)> {
    let page = BIDS.page(ctx, &id, None, market::params(ctx).unwrap().bids_max).unwrap();
    let mut bids: Vec<_> = page.items.into_iter().map(|((_, provider), bid)| (provider, bid)).collect();
    bids.sort_by_key(|(_, bid)| bid.rank());
    bids
}

/// How long the next block takes: what is decided in blocks is decided quickly, the rest of a lease may pass.
fn pace(view: &View) -> u64 {
    let busy = view.orders.values().any(|listing| match &listing.order.phase {
        Phase::Open(_) | Phase::Bidding(_) => true,
        Phase::Leased(lease) => matches!(lease.stage, Stage::Starting(_)),
        Phase::Closed(_) => false,
    });
    if busy { BUSY_S } else { QUIET_S }
}
