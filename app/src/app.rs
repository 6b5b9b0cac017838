//! The application: one committed state, at most one candidate for the next, and the mempool's view of it. No ABCI here:
//! `abci/mod.rs` translates, and tests drive this directly.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use kernel::{AppHash, At, Backend, Block, Ctx, Fatal, HeightError, Mode, Reject, View, chain};

use crate::{
    execute::{Base, Candidate, GenesisView, Ran, RawBlock, TxResult, execute, refused, run_tx},
    mempool::Mempool,
    metrics::Metrics,
    modules::AppState,
    signatures::SignatureCache,
    tx::{Purpose, Tx},
};

/// The state that everybody reads.
#[derive(Clone)]
pub struct Committed {
    /// The last block's height; 0 before the first.
    pub height: u64,
    /// The app hash after it.
    pub app_hash: AppHash,
    /// What the next block is executed on.
    pub base: Base,
    /// The last block; before the first, what has the height before it.
    pub block: Block,
}

/// The chain's application over a store.
pub struct App {
    store: Arc<dyn Backend>,
    committed: RwLock<Arc<Committed>>,
    candidate: Mutex<Option<Candidate>>,
    mempool: Mutex<Mempool>,
    signatures: SignatureCache,
    /// What the node measures.
    pub metrics: Metrics,
}

impl App {
    /// The application on a store, at its last committed height.
    pub fn open(store: Arc<dyn Backend>, metrics: Metrics) -> Result<Self, Fatal> {
        let view = store.view(None).map_err(store_fault)?;
        let app_hash = store.last().map_or([0; 32], |(_, hash)| hash);
        let base = Base { view, genesis: None };
        let committed =
            Committed { height: base.view.height(), app_hash, block: chain::last_block(&base.view)?, base };
        let mempool = Mempool::new(&committed);
        metrics.at_height(committed.height);
        Ok(Self {
            store,
            committed: RwLock::new(Arc::new(committed)),
            candidate: Mutex::default(),
            mempool: Mutex::new(mempool),
            signatures: SignatureCache::default(),
            metrics,
        })
    }

    /// The committed state.
    pub fn committed(&self) -> Arc<Committed> {
        Arc::clone(&self.committed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The store, for proofs and past heights.
    pub fn store(&self) -> &Arc<dyn Backend> {
        &self.store
    }

    /// The memory of checked signatures.
    pub fn signatures(&self) -> &SignatureCache {
        &self.signatures
    }

    /// Runs the genesis document. Nothing reaches the disk before the first block does, so it can be called again.
    pub fn init_chain(
        &self,
        chain_id: &str,
        initial_height: u64,
        time_s: u64,
        state: AppState,
    ) -> kernel::Result<AppHash> {
        let before = self.committed();
        if before.height > 0 {
            let text = format!("this home is at height {} of chain {}", before.height, before.block.chain_id);
            return Err(Reject::invalid_request(text).into());
        }
        let block = Block {
            height: At::new(initial_height),
            time: At::new(time_s),
            time_nanos: 0,
            billing: At::ZERO,
            app_version: APP_VERSION,
            chain_id: chain_id.to_owned(),
        };
        let view = Arc::clone(&before.base.view);
        let genesis = Arc::new(GenesisView::new(self.store.as_ref(), view.as_ref(), block, state)?);
        let app_hash = genesis.app_hash;
        let state: Arc<dyn View> = genesis.clone();
        let block = chain::last_block(&state)?;
        self.publish(Committed { height: 0, app_hash, base: Base { view, genesis: Some(genesis) }, block });
        Ok(app_hash)
    }

    /// Executes the next block and keeps the candidate for [`App::commit`]. The same block again is executed again.
    pub fn finalize(
        &self,
        block: &RawBlock,
    ) -> Result<(Vec<TxResult>, Vec<kernel::AbciEvent>, AppHash), Fatal> {
        let started = self.metrics.start();
        let committed = self.committed();
        let mut candidate = execute(&committed.base, self.store.as_ref(), block, &self.signatures)?;
        let results = std::mem::take(&mut candidate.tx_results);
        let events = std::mem::take(&mut candidate.events);
        let app_hash = candidate.app_hash;
        self.metrics.executed(started, &candidate, &results);
        *lock(&self.candidate) = Some(candidate);
        Ok((results, events, app_hash))
    }

    /// Makes the candidate the state, in one synced write; returns its height.
    pub fn commit(&self) -> Result<u64, Fatal> {
        let started = self.metrics.start();
        let Some(candidate) = lock(&self.candidate).take() else {
            return Err(Fatal::Invariant {
                name: "commit",
                detail: "there is no candidate to commit".into(),
            });
        };
        let view = self.store.commit(candidate.staged, candidate.height)?;
        let block = chain::last_block(&view)?;
        let base = Base { view, genesis: None };
        self.publish(Committed { height: candidate.height, app_hash: candidate.app_hash, base, block });
        self.metrics.committed(started, candidate.height);
        Ok(candidate.height)
    }

    fn publish(&self, committed: Committed) {
        lock(&self.mempool).reset(&committed);
        *self.committed.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(committed);
    }

    /// Whether a transaction may enter the mempool, or, on a recheck, stay there.
    pub fn check_tx(&self, bytes: &[u8], recheck: bool) -> Result<TxResult, Fatal> {
        let version = self.committed().block.app_version;
        let tx = match Tx::decode(bytes, version, Purpose::Execute) {
            Ok(tx) => tx,
            Err(reject) => return Ok(refused(reject, 0, 0)),
        };
        lock(&self.mempool).check(&tx, recheck, &self.signatures)
    }

    /// What a transaction would do and cost at the last committed state.
    pub fn simulate(&self, bytes: &[u8]) -> Result<TxResult, Fatal> {
        let committed = self.committed();
        let mut tx = match Tx::decode(bytes, committed.block.app_version, Purpose::Simulate) {
            Ok(tx) => tx,
            Err(reject) => return Ok(refused(reject, 0, 0)),
        };
        let mut block = committed.block.clone();
        block.height = block.height.saturating_plus(1);
        let mut ctx = Ctx::new(committed.base.state(), Mode::Simulate, block);
        let limit = auth::params(&ctx).map(|params| params.max_block_gas);
        tx.gas_limit = limit.or_else(|error| match error {
            kernel::Error::Fatal(fatal) => Err(fatal),
            _ => Ok(0),
        })?;
        run_tx(&mut ctx, tx, &self.signatures).map(Ran::into_result)
    }

    /// The state at a height, and the block that made it; `None`: the last committed one.
    pub fn state_at(&self, height: Option<u64>) -> Result<(Arc<dyn View>, Block), HeightError> {
        let committed = self.committed();
        match height {
            None => Ok((committed.base.state(), committed.block.clone())),
            Some(height) if height == committed.block.height.value() => {
                Ok((committed.base.state(), committed.block.clone()))
            }
            Some(height) => {
                let view = self.store.view(Some(height))?;
                let block = chain::last_block(&view)?;
                Ok((view, block))
            }
        }
    }
}

/// The version of the rules that a new chain starts with.
pub const APP_VERSION: u32 = 1;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn store_fault(error: HeightError) -> Fatal {
    match error {
        HeightError::Fatal(fatal) => fatal,
        other => Fatal::Storage(other.to_string()),
    }
}
