//! Who else watches a history: the seam for a second opinion.

use serde_json::Value;
use underbid::execute::RawBlock;

use crate::chain::{Done, TestChain};

/// Sees every genesis and every block of a history, and may object; an objection ends the history as a finding.
///
/// What it is told is the one line of states that the chain went through: replays, restarts and a block that is executed
/// again after a rollback are the simulator's own business and are not told again.
pub trait Observer {
    /// A chain starts from this application state: at the beginning of a history, and again where the history goes on from
    /// an export. `chain` is before its first block: its `height` is one less than the first, its `time_s` the genesis time,
    /// its [`TestChain::ctx`] reads the state that genesis wrote.
    fn genesis(&mut self, chain: &TestChain, state: &Value) -> Result<(), String>;

    /// A block was executed and committed: `chain` is right after it. `done` holds the results in the order of
    /// `block.txs` and the events of the block's own work.
    fn block(&mut self, chain: &TestChain, block: &RawBlock, done: &Done) -> Result<(), String>;
}
