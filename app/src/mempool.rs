//! What CheckTx sees: the committed state and, over it, what the pending transactions have already used of sequences and
//! money. Every commit starts it anew, and rechecks fill it again.

use std::{collections::BTreeMap, sync::Arc};

use kernel::{Address, Block, Ctx, Error, Fatal, Mode, Reject, View};

use crate::{
    ante,
    app::Committed,
    execute::{TxResult, refused},
    signatures::SignatureCache,
    tx::Tx,
};

/// The most pending transactions of one account.
pub const PENDING_MAX: u32 = 64;
/// What a context has cached is dropped when it has read this many keys: a flood between two blocks has a bound.
const READS_MAX: u64 = 2_000_000;

/// The mempool's overlay.
pub struct Mempool {
    ctx: Ctx,
    state: Arc<dyn View>,
    block: Block,
    pending: BTreeMap<Address, u32>,
    reads_max: u64,
}

impl Mempool {
    /// An empty mempool over a committed state.
    pub fn new(committed: &Committed) -> Self {
        Self::with_reads_max(committed, READS_MAX)
    }

    /// The same with another bound for what it keeps: what is pending is forgotten once so many keys have been read.
    pub fn with_reads_max(committed: &Committed, reads_max: u64) -> Self {
        let state = committed.base.state();
        // A transaction that is checked now can be in the next block at the earliest.
        let mut block = committed.block.clone();
        block.height = block.height.saturating_plus(1);
        let ctx = Ctx::new(Arc::clone(&state), Mode::Check, block.clone());
        Self { ctx, state, block, pending: BTreeMap::new(), reads_max }
    }

    /// Forgets what was pending.
    pub fn reset(&mut self, committed: &Committed) {
        *self = Self::with_reads_max(committed, self.reads_max);
    }

    /// Runs the ante of a transaction and keeps what it used if it passes.
    pub fn check(&mut self, tx: &Tx, recheck: bool, signatures: &SignatureCache) -> Result<TxResult, Fatal> {
        if self.ctx.counters().view_reads > self.reads_max {
            self.ctx = Ctx::new(Arc::clone(&self.state), Mode::Check, self.block.clone());
            self.pending.clear();
        }
        if let Some(signer) = tx.signers.iter().find(|signer| self.pending(&signer.address) >= PENDING_MAX) {
            let text = format!("{} has {PENDING_MAX} pending transactions: mempool is full", signer.address);
            return Ok(refused(Reject::new(Reject::SDK, 20, text), tx.gas_limit, 0));
        }
        self.ctx.set_mode(if recheck { Mode::Recheck } else { Mode::Check });
        let before = self.ctx.gas_used();
        let outcome =
            self.ctx.attempt(|ctx| ctx.with_gas(tx.gas_limit, |ctx| ante::run(ctx, tx, signatures)));
        let gas_used = self.ctx.gas_used().saturating_sub(before);
        match outcome {
            Ok(_) => {
                for signer in &tx.signers {
                    let pending = self.pending(&signer.address).saturating_add(1);
                    self.pending.insert(signer.address, pending);
                }
                Ok(TxResult { gas_wanted: tx.gas_limit, gas_used, ..Default::default() })
            }
            Err(Error::Fatal(fatal)) => Err(fatal),
            Err(Error::Rejected(reject)) => Ok(refused(reject, tx.gas_limit, gas_used)),
            Err(Error::OutOfGas) => {
                let text = format!("out of gas: the limit of {} does not cover the checks", tx.gas_limit);
                Ok(refused(Reject::new(Reject::SDK, 11, text), tx.gas_limit, gas_used))
            }
        }
    }

    fn pending(&self, address: &Address) -> u32 {
        self.pending.get(address).copied().unwrap_or_default()
    }
}
