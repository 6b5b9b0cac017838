//! A chain with a market on it, twice, that can go back to where it was after every input.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use kernel::{AppHash, Backend, Depth, Space, chain};
use sim::{Home, Traffic, check_state, ctx_of};
use store::MemoryBackend;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    RequestPrepareProposal, RequestProcessProposal, response_process_proposal::ProposalStatus,
};
use underbid::{
    abci::Abci,
    app::App,
    execute::{RawBlock, TxResult},
    metrics::Metrics,
    modules::STORES,
};

/// Blocks of traffic before the first input: orders, auctions and leases of every age are there.
const BLOCKS: u64 = 60;

/// The chain on two replicas.
pub struct World {
    pub stores: [MemoryBackend; 2],
    apps: [Arc<App>; 2],
    /// The app hashes of all heights before the first input.
    pub hashes: BTreeMap<u64, AppHash>,
    /// Real transactions that are good in the next block.
    pub next: Vec<Vec<u8>>,
    /// The account number of everybody.
    pub numbers: BTreeMap<&'static str, u64>,
    height: u64,
}

impl World {
    pub fn new() -> Self {
        let stores = [MemoryBackend::new(STORES), MemoryBackend::new(STORES)];
        let mut traffic = Traffic::on(stores.iter().cloned().map(Home::Memory).collect());
        let mut hashes = BTreeMap::from([(1, traffic.chain.app_hash())]);
        while traffic.chain.height < BLOCKS {
            let recorded = traffic.next_block();
            hashes.insert(recorded.block.height, recorded.done.app_hash);
        }
        let height = traffic.chain.height;
        let numbers = sim::PEOPLE.iter().map(|name| (*name, traffic.chain.account(name).number)).collect();
        let next = traffic.next_txs();
        Self { apps: stores.each_ref().map(open), stores, hashes, next, numbers, height }
    }

    pub fn app(&self) -> &Arc<App> {
        &self.apps[0]
    }

    pub fn abci(&self) -> Abci {
        Abci::new(Arc::clone(self.app()))
    }

    /// The next block, `seconds` after the last one.
    pub fn block(&self, seconds: u64, txs: Vec<Vec<u8>>) -> RawBlock {
        let committed = self.app().committed();
        let height = committed.height + 1;
        let time_s = committed.block.time.value() + seconds;
        RawBlock { height, time_s, time_nanos: 0, hash: height.to_be_bytes().repeat(4), txs }
    }

    /// Executes a block on both replicas, which must agree.
    pub fn finalize(&self, block: &RawBlock) -> Vec<TxResult> {
        let [first, second] = self.apps.each_ref().map(|app| app.finalize(block).unwrap());
        assert_eq!(first, second, "the replicas differ");
        first.0
    }

    /// The same, and commits it.
    pub fn deliver(&self, block: &RawBlock) -> Vec<TxResult> {
        let results = self.finalize(block);
        for app in &self.apps {
            assert_eq!(app.commit().unwrap(), block.height);
        }
        self.check(Depth::Counters);
        results
    }

    /// Whether an honest proposer's block is accepted by an honest validator, whatever is in the mempool.
    pub fn propose(&self, txs: &[Vec<u8>]) {
        let txs: Vec<Bytes> = txs.iter().cloned().map(Into::into).collect();
        let request = RequestPrepareProposal { txs, max_tx_bytes: 1 << 20, ..Default::default() };
        let txs = self.abci().prepare_proposal(request).txs;
        let response = self.abci().process_proposal(RequestProcessProposal { txs, ..Default::default() });
        assert_eq!(response.status, ProposalStatus::Accept as i32, "process(prepare(x)) rejects");
    }

    /// What every input must leave whole: the invariants, and no module switched off by itself.
    pub fn check(&self, depth: Depth) {
        check_state(self.app(), depth).unwrap_or_else(|what| panic!("{what}"));
        let paused = |name: String, paused: chain::Paused| panic!("{name} is paused: {}", paused.reason);
        chain::PAUSED.for_each(&ctx_of(self.app()), paused).unwrap();
    }

    /// Takes back what was committed since the start, and starts both replicas again.
    pub fn restore(&mut self) {
        for store in &self.stores {
            while store.last().unwrap().0 > self.height {
                store.rollback().unwrap();
            }
            assert_eq!(store.last().unwrap(), (self.height, self.hashes[&self.height]), "going back");
        }
        self.restart();
    }

    /// Starts both replicas again: what was pending is forgotten.
    pub fn restart(&mut self) {
        self.apps = self.stores.each_ref().map(open);
    }

    /// Every key of every store at the last height.
    pub fn keys(&self) -> Vec<(&'static str, Vec<u8>)> {
        let view = self.app().committed().base.state();
        let mut keys = Vec::new();
        for (id, name) in STORES {
            let range = kernel::KeyRange { start: &[], end: None };
            let rows = view.scan(Space::State(*id), range, u32::MAX).unwrap();
            keys.extend(rows.into_iter().map(|(key, _)| (*name, key.to_vec())));
        }
        keys
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn open(store: &MemoryBackend) -> Arc<App> {
    Arc::new(App::open(Arc::new(store.clone()), Metrics::default()).unwrap())
}
