//! What histories reached: every refusal and success of every message, every event, every way by which a thing ends.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Reject;
use underbid::execute::TxResult;

use super::{
    history::{Block, Step, Tx},
    names,
};
use crate::{Done, attribute};

/// The row of what is refused before any message runs.
pub const TRANSACTION: &str = "transaction";
/// The row of what CheckTx says.
pub const MEMPOOL: &str = "mempool";
/// The row of the events.
pub const EVENT: &str = "event";
/// The row of what happens to the nodes.
pub const NODE: &str = "node";
/// The row of what a message did because a queue was late.
pub const LATE: &str = "late";
/// What nobody may ever see: the chain has held due work back or switched a module off.
const ALARMS: [&str; 2] = ["underbid.kernel.v1.EventItemHeld", "underbid.kernel.v1.EventModulePaused"];

/// Counts by row and column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How often each (row, column) was seen.
    pub cells: BTreeMap<(String, String), u64>,
    /// Blocks.
    pub blocks: u64,
    /// Transactions in blocks.
    pub txs: u64,
    /// Those of them that were accepted.
    pub accepted: u64,
}

impl Coverage {
    /// Counts what became of a block. `order` gives each transaction's place in the plan. An error is an event that nothing
    /// may cause.
    pub fn block(&mut self, plan: &Block, order: &[usize], done: &Done) -> Result<(), String> {
        self.blocks += 1;
        for (place, result) in order.iter().zip(&done.results) {
            self.txs += 1;
            self.late(result);
            self.accepted += u64::from(result.code == 0);
            self.result(&plan.txs[*place], result);
        }
        for event in done.all_events() {
            if ALARMS.contains(&event.kind) {
                return Err(format!("an alarm: {event:?}"));
            }
            if !event.kind.contains('.') {
                continue;
            }
            self.count(EVENT, event.kind);
            if let Some(reason) = attribute(event, "reason") {
                self.count(event.kind, reason);
            }
        }
        Ok(())
    }

    /// Counts what CheckTx said.
    pub fn checked(&mut self, result: &TxResult) {
        self.count(MEMPOOL, if result.code == 0 { "ok" } else { "refused" });
    }

    /// Counts a step that is no block.
    pub fn step(&mut self, step: &Step) {
        let name = match step {
            Step::Block(_) => return,
            Step::Restart => "restart",
            Step::Rollback => "rollback",
            Step::Import { .. } => "import",
            Step::Replay => "replay",
        };
        self.count(NODE, name);
    }

    /// Counts a height of several rounds.
    pub fn rounds(&mut self) {
        self.count(NODE, "rounds");
    }

    /// Adds the counts of another history.
    pub fn add(&mut self, other: &Self) {
        for (cell, count) in &other.cells {
            *self.cells.entry(cell.clone()).or_default() += count;
        }
        self.blocks += other.blocks;
        self.txs += other.txs;
        self.accepted += other.accepted;
    }

    /// The cells that must be reached and were not, and those that were reached and are not known.
    pub fn gaps(&self) -> (Vec<(String, String)>, Vec<(String, String)>) {
        let known = names::known();
        let seen: BTreeSet<_> = self.cells.keys().cloned().collect();
        let missing = known.difference(&seen).cloned().collect();
        (missing, seen.difference(&known).cloned().collect())
    }

    /// The table, one row a line.
    pub fn table(&self) -> String {
        let mut rows: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for ((row, column), count) in &self.cells {
            rows.entry(row).or_default().push(format!("{column} {count}"));
        }
        rows.into_iter().map(|(row, cells)| format!("{row}: {}\n", cells.join(", "))).collect()
    }

    fn result(&mut self, tx: &Tx, result: &TxResult) {
        if result.code == 0 {
            for message in &tx.messages {
                self.count(message.name(), "ok");
            }
            return;
        }
        let undecoded = result.gas_wanted == 0;
        if undecoded && (tx.messages.len() > 1 || tx.flaw.is_some()) && is_a_messages(result) {
            // The log does not say which message it was.
            return;
        }
        let row = blamed(tx, result).filter(|name| names::is_message(name)).unwrap_or(TRANSACTION);
        self.count(row, &outcome(result));
    }

    /// What was due before a message came to it: the message does it first.
    fn late(&mut self, result: &TxResult) {
        for event in &result.events {
            let reason = attribute(event, "reason").unwrap_or_default();
            if names::LATE.contains(&(event.kind, reason)) {
                self.count(LATE, format!("{} {reason}", event.kind).trim_end());
            }
        }
    }

    fn count(&mut self, row: &str, column: &str) {
        let key = (row.to_owned(), column.to_owned());
        *self.cells.entry(key).or_default() += 1;
    }
}

/// The message that a transaction was refused for, if it was one.
fn blamed<'a>(tx: &'a Tx, result: &TxResult) -> Option<&'a str> {
    let prefix = "failed to execute message; message index: ";
    if let Some(rest) = result.log.strip_prefix(prefix) {
        let index: usize = rest.split(':').next()?.parse().ok()?;
        return tx.messages.get(index).map(|message| message.name());
    }
    let [message] = tx.messages.as_slice() else { return None };
    let undecoded = result.gas_wanted == 0 && (tx.gas_limit > 0 || is_a_messages(result));
    let undecoded = undecoded && tx.flaw.is_none();
    // The fee was taken, so the checks had passed: the gas ran out in the message.
    let out_of_gas = result.codespace == Reject::SDK && result.code == 11 && !result.events.is_empty();
    (undecoded || out_of_gas).then(|| message.name())
}

/// Whether only a message can be refused so before anything runs.
fn is_a_messages(result: &TxResult) -> bool {
    result.codespace != Reject::SDK || result.code == 7
}

fn outcome(result: &TxResult) -> String {
    if result.code == 0 { "ok".into() } else { names::error(&result.codespace, result.code) }
}
