//! A chain of two replicas without consensus around it: blocks go through the application as CometBFT would drive it, and
//! after each of them both replicas must agree and every invariant must hold.

use std::sync::Arc;

use kernel::{AppHash, Backend, Ctx, Depth, Mode, chain};
use prost::{Message, Name};
use prost_types::Any;
use serde_json::{Value, json};
use store::{MemoryBackend, Options, RocksBackend};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    RequestPrepareProposal, RequestProcessProposal, response_process_proposal::ProposalStatus,
};
use underbid::{
    abci::Abci,
    app::App,
    client::tx::{Draft, Signer},
    execute::{RawBlock, TxResult},
    metrics::Metrics,
    modules::{self, AppState, STORES},
    query,
};

use crate::people::*;

/// The network of the tests.
pub const LOCALNET: &str = include_str!("../../../genesis/localnet.json");
/// Its id.
pub const CHAIN_ID: &str = "underbid-local-1";
/// The genesis time, Unix seconds.
pub const START_S: u64 = 1_700_000_000;
/// What everybody in [`PEOPLE`] but `poor` has of both denoms.
pub const PURSE: u64 = 1_000_000_000_000;
/// The gas limit of a draft.
pub const GAS: u64 = 1_000_000;
/// The fee of a draft, in uflop: ten times the least at genesis.
pub const FEE: u64 = 100_000;

/// Where a replica keeps its state.
pub enum Home {
    Memory(MemoryBackend),
    Disk(tempfile::TempDir),
}

/// How a test opens a store: small caches, and so many heights behind the last.
pub fn small_store(history: u64) -> Options {
    Options { history, cache_bytes: 1 << 20, rows_cached: 256, ..Options::new(STORES) }
}

impl Home {
    pub fn memory() -> Self {
        Self::Memory(MemoryBackend::new(STORES))
    }

    pub fn disk() -> Self {
        Self::Disk(tempfile::tempdir().unwrap())
    }

    /// The store as a node that has just started finds it.
    pub fn open(&self) -> Arc<dyn Backend> {
        match self {
            Self::Memory(backend) => Arc::new(backend.clone()),
            Self::Disk(path) => Arc::new(RocksBackend::open(path.path(), small_store(8)).unwrap()),
        }
    }

    pub fn app(&self) -> Arc<App> {
        Arc::new(App::open(self.open(), Metrics::default()).unwrap())
    }
}

/// What became of a block.
#[derive(Debug)]
pub struct Done {
    pub results: Vec<TxResult>,
    pub events: Vec<kernel::AbciEvent>,
    pub app_hash: AppHash,
}

impl Done {
    /// Where this outcome and another one of the same block differ.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let results = self.results.iter().zip(&other.results).position(|(one, other)| one != other);
        if let Some(index) = results {
            let (one, other) = (&self.results[index], &other.results[index]);
            return Some(format!("transaction {index} gives\n{one:?}\nand\n{other:?}"));
        }
        if self.results.len() != other.results.len() {
            return Some(format!("{} and {} results", self.results.len(), other.results.len()));
        }
        if self.events != other.events {
            return Some(format!("the block's events are\n{:?}\nand\n{:?}", self.events, other.events));
        }
        (self.app_hash != other.app_hash).then(|| "the app hashes".into())
    }

    /// All events: those of the transactions in order, then those of the block's own work.
    pub fn all_events(&self) -> impl Iterator<Item = &kernel::AbciEvent> {
        self.results.iter().flat_map(|result| &result.events).chain(&self.events)
    }
}

/// What an attribute of an event says.
pub fn attribute<'a>(event: &'a kernel::AbciEvent, name: &str) -> Option<&'a str> {
    event.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
}

/// The chain.
pub struct TestChain {
    homes: Vec<Home>,
    apps: Vec<Arc<App>>,
    pub height: u64,
    pub time_s: u64,
}

/// The application's part of the genesis document of [`LOCALNET`], with [`PEOPLE`] and a class of machines.
pub fn genesis_state() -> Value {
    let mut state: Value = serde_json::from_str::<Value>(LOCALNET).unwrap()["app_state"].take();
    let accounts = PEOPLE.iter().map(|name| json!({ "address": text(name) }));
    state["auth"]["accounts"] = accounts.collect();
    let coin = |denom: &str, amount: u64| json!({ "denom": denom, "amount": amount.to_string() });
    let balances = PEOPLE.iter().map(|name| {
        let purse = if *name == "poor" { 1_000 } else { PURSE };
        json!({ "address": text(name), "coins": [coin("ucredit", purse), coin("uflop", purse)] })
    });
    state["bank"]["balances"] = balances.collect();
    state["provider"]["classes"] = json!([{
        "id": 1, "name": "one small GPU", "vram_mib": 8192, "gpus": 1, "vcpu_milli": 4000, "memory_mib": 16384,
        "disk_gib": 100, "device_price_usd": 500, "ref_price_day": "1000000", "active": true,
    }]);
    state
}

/// The committed state of an application.
pub fn ctx_of(app: &App) -> Ctx {
    let committed = app.committed();
    Ctx::new(committed.base.state(), Mode::Query, committed.block.clone())
}

/// Every invariant of it; with [`Depth::Full`] also that the indexes and queues are what the records say.
pub fn check_state(app: &App, depth: Depth) -> Result<(), String> {
    let ctx = ctx_of(app);
    modules::invariants(&ctx, depth).map_err(|broken| broken.to_string())?;
    if depth != Depth::Full {
        return Ok(());
    }
    let text = |fatal: kernel::Fatal| fatal.to_string();
    let view = app.committed().base.state();
    let stated = chain::DERIVED_DIGEST.load(&ctx).map_err(|error| error.to_string())?.sum;
    let stores = STORES.iter().map(|(id, _)| *id);
    if chain::derived_sum(view.as_ref(), stores).map_err(text)? != stated {
        return Err("the digest of the derived entries is not theirs".into());
    }
    if modules::rebuild(view.as_ref()).map_err(text)?.digest() != stated {
        return Err("the records give other derived entries".into());
    }
    Ok(())
}

/// The state of a genesis document.
pub fn parsed(state: &Value) -> AppState {
    underbid::genesis::parse_state(state.to_string().as_bytes()).unwrap()
}

impl Default for TestChain {
    fn default() -> Self {
        Self::new()
    }
}

impl TestChain {
    /// Two replicas in memory, at height 1.
    pub fn new() -> Self {
        Self::with(vec![Home::memory(), Home::memory()], &genesis_state())
    }

    /// Two replicas on disk, at height 1.
    pub fn on_disk() -> Self {
        Self::with(vec![Home::disk(), Home::disk()], &genesis_state())
    }

    /// Replicas that start from this state, after a first, empty block.
    pub fn with(homes: Vec<Home>, state: &Value) -> Self {
        Self::from_genesis(homes, state, 1, START_S)
    }

    /// The same at another height and time.
    pub fn from_genesis(homes: Vec<Home>, state: &Value, initial_height: u64, time_s: u64) -> Self {
        let mut chain = Self::at_genesis(homes, state, initial_height, time_s).unwrap();
        chain.block(&[]);
        chain
    }

    /// Replicas that have run this genesis and no block yet. The error says how their states differ or what one refuses.
    pub fn at_genesis(
        homes: Vec<Home>,
        state: &Value,
        initial_height: u64,
        time_s: u64,
    ) -> Result<Self, String> {
        let apps: Vec<_> = homes.iter().map(Home::app).collect();
        let mut hashes = Vec::new();
        for app in &apps {
            let state = underbid::genesis::parse_state(state.to_string().as_bytes());
            let state = state.map_err(|error| error.to_string())?;
            let hash = app.init_chain(CHAIN_ID, initial_height, time_s, state);
            hashes.push(hash.map_err(|error| error.to_string())?);
        }
        if hashes.iter().any(|hash| *hash != hashes[0]) {
            return Err("the replicas' genesis differs".into());
        }
        Ok(Self { homes, apps, height: initial_height - 1, time_s })
    }

    pub fn app(&self) -> &Arc<App> {
        &self.apps[0]
    }

    pub fn abci(&self) -> Abci {
        Abci::new(Arc::clone(self.app()))
    }

    pub fn app_hash(&self) -> AppHash {
        self.app().committed().app_hash
    }

    /// Stops and starts all replicas.
    pub fn restart(&mut self) {
        let before = (self.height, self.app_hash());
        self.reopen();
        assert_eq!((self.app().committed().height, self.app_hash()), before);
    }

    fn reopen(&mut self) {
        self.apps.clear();
        self.apps = self.homes.iter().map(Home::app).collect();
    }

    /// Takes the last block back on all replicas, as an operator does: while the node is stopped.
    pub fn rollback(&mut self) {
        self.apps.clear();
        for home in &self.homes {
            assert_eq!(home.open().rollback().unwrap(), self.height - 1);
        }
        self.reopen();
        self.height -= 1;
        self.time_s = self.app().committed().block.time.value();
    }

    /// The next block, one second after the last one.
    pub fn raw_block(&self, txs: &[Vec<u8>]) -> RawBlock {
        let height = self.height + 1;
        RawBlock {
            height,
            time_s: self.time_s + 1,
            time_nanos: 0,
            hash: height.to_be_bytes().repeat(4),
            txs: txs.to_vec(),
        }
    }

    /// The next block, as an honest proposer makes it: all of the transactions are proposed, accepted and executed.
    pub fn block(&mut self, txs: &[Vec<u8>]) -> Done {
        let bytes: Vec<bytes::Bytes> = txs.iter().cloned().map(Into::into).collect();
        for app in &self.apps {
            let abci = Abci::new(Arc::clone(app));
            let max_tx_bytes = 4 << 20;
            let request = RequestPrepareProposal { txs: bytes.clone(), max_tx_bytes, ..Default::default() };
            let proposed = abci.prepare_proposal(request).txs;
            assert_eq!(proposed, bytes, "the proposer left transactions out");
            let request = RequestProcessProposal { txs: proposed, ..Default::default() };
            assert_eq!(abci.process_proposal(request).status, ProposalStatus::Accept as i32);
        }
        self.forced(txs)
    }

    /// The next block, whatever is in it.
    pub fn forced(&mut self, txs: &[Vec<u8>]) -> Done {
        self.deliver(&self.raw_block(txs))
    }

    /// Executes and commits a block on all replicas; every invariant must hold after it.
    pub fn deliver(&mut self, block: &RawBlock) -> Done {
        let done = self.apply(block);
        self.check();
        done
    }

    /// The same on a state that may be broken.
    pub fn apply(&mut self, block: &RawBlock) -> Done {
        self.try_apply(block).unwrap_or_else(|what| panic!("height {}: {what}", block.height))
    }

    /// Executes and commits a block on all replicas. The error says how they differ, or what stopped one of them.
    pub fn try_apply(&mut self, block: &RawBlock) -> Result<Done, String> {
        self.try_apply_each(block, |_| block)
    }

    /// The same, but each replica gets what `given` says: a way to make them differ.
    pub fn try_apply_each<'a>(
        &mut self,
        block: &RawBlock,
        given: impl Fn(usize) -> &'a RawBlock,
    ) -> Result<Done, String> {
        let mut done = Vec::new();
        for (replica, app) in self.apps.iter().enumerate() {
            let block = given(replica);
            let (results, events, app_hash) = app.finalize(block).map_err(|fatal| fatal.to_string())?;
            let height = app.commit().map_err(|fatal| fatal.to_string())?;
            if height != block.height {
                return Err(format!("committed {height}"));
            }
            done.push(Done { results, events, app_hash });
        }
        (self.height, self.time_s) = (block.height, block.time_s);
        let first = done.swap_remove(0);
        match done.iter().find_map(|other| first.difference(other)) {
            None => Ok(first),
            Some(difference) => Err(format!("the replicas differ: {difference}")),
        }
    }

    /// One transaction in a block of its own.
    pub fn run(&mut self, tx: Vec<u8>) -> TxResult {
        self.block(&[tx]).results.swap_remove(0)
    }

    /// One transaction of one signer, which must succeed, in a block of its own; the response of its first message.
    pub fn ok<M: Message + Name, R: Message + Name + Default>(&mut self, by: &str, message: &M) -> R {
        let tx = self.sign(&draft([message]), &[by]);
        let result = self.run(tx);
        assert_eq!(result.code, 0, "{} refused: {}", M::full_name(), result.log);
        assert_eq!(result.replies[0].type_url, R::type_url());
        R::decode(result.replies[0].value.as_slice()).unwrap()
    }

    /// Empty blocks.
    pub fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            self.block(&[]);
        }
    }

    /// Every invariant, and that the indexes and queues are what the records say.
    fn check(&self) {
        let checked = self.try_check(Depth::Counters).and_then(|()| self.try_check(Depth::Full));
        checked.unwrap_or_else(|what| panic!("height {}: {what}", self.height));
    }

    /// The invariants; with [`Depth::Full`] also that the indexes and queues are what the records say.
    pub fn try_check(&self, depth: Depth) -> Result<(), String> {
        check_state(self.app(), depth)
    }

    /// The committed state.
    pub fn ctx(&self) -> Ctx {
        ctx_of(self.app())
    }

    /// Writes to the state what no block can: a state that is broken on purpose. It counts as a block.
    pub fn tamper(&mut self, change: impl Fn(&mut Ctx)) {
        for app in &self.apps {
            let committed = app.committed();
            let mut ctx = Ctx::new(committed.base.state(), Mode::Deliver, committed.block.clone());
            change(&mut ctx);
            let staged = app.store().stage(committed.base.view.as_ref(), ctx.finish().changes).unwrap();
            app.store().commit(staged, self.height + 1).unwrap();
        }
        self.height += 1;
        self.reopen();
    }

    pub fn account(&self, name: &str) -> auth::Account {
        auth::get(&self.ctx(), &address(name)).unwrap().unwrap()
    }

    pub fn flop(&self, of: &kernel::Address) -> u128 {
        bank::balance(&self.ctx(), of, &bank::uflop()).unwrap().units()
    }

    pub fn credit(&self, of: &kernel::Address) -> u128 {
        bank::balance(&self.ctx(), of, &bank::ucredit()).unwrap().units()
    }

    /// The draft with the signatures of these people at their next sequences.
    pub fn sign(&self, draft: &Draft, by: &[&str]) -> Vec<u8> {
        self.sign_ahead(draft, by, 0)
    }

    /// The same, `ahead` sequences later.
    pub fn sign_ahead(&self, draft: &Draft, by: &[&str], ahead: u64) -> Vec<u8> {
        let keys: Vec<_> = by.iter().map(|name| (key(name), self.account(name))).collect();
        let signers: Vec<_> = keys
            .iter()
            .map(|(key, account)| Signer {
                key,
                account_number: account.number,
                sequence: account.sequence + ahead,
            })
            .collect();
        draft.sign(CHAIN_ID, &signers).bytes
    }

    /// The answer of a query of the last state.
    pub fn query<R: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
    ) -> Result<R, kernel::Status> {
        let answer = query::run(self.app(), path, &request.encode_to_vec(), 0)?;
        assert_eq!(answer.height, self.height);
        Ok(R::decode(answer.value.as_slice()).unwrap())
    }

    /// The state as the next chain's genesis document.
    pub fn export(&self) -> Value {
        serde_json::to_value(modules::export_genesis(&self.ctx()).unwrap()).unwrap()
    }

    /// Accounts, balances and all objects: what a refused transaction leaves as it was.
    pub fn holdings(&self) -> Value {
        let mut state = self.export();
        state["auth"]["base_fee"] = Value::Null;
        state["kernel"]["billing"] = Value::Null;
        state
    }
}

/// A transaction with [`GAS`] and [`FEE`].
pub fn draft<'a, M: Message + Name + 'a>(messages: impl IntoIterator<Item = &'a M>) -> Draft {
    draft_of(messages.into_iter().map(underbid::client::tx::any).collect())
}

pub fn draft_of(messages: Vec<Any>) -> Draft {
    Draft { gas_limit: GAS, fee: vec![coin("uflop", FEE)], ..Draft::new(messages) }
}
