//! Cuts a history that fails down to a short one that fails alike.

use std::collections::BTreeSet;

use proto::underbid::market::v1::*;

use super::{
    Failure,
    coverage::Coverage,
    history::{Block, History, Message, Step},
};

/// Plays a history.
pub type Player<'a> = &'a dyn Fn(&History) -> Result<Coverage, Failure>;

/// Cuts while at most `runs` shorter histories are tried. The result fails as `failure` did.
pub fn shrink(history: &History, failure: &Failure, runs: u32, play: Player<'_>) -> History {
    let mut cut = Cut { best: history.clone(), kind: failure.kind(), runs, play };
    let mut end = history.clone();
    end.steps.truncate(failure.step + 1);
    cut.try_this(end);
    loop {
        let before = cut.best.clone();
        cut.steps();
        cut.transactions();
        cut.orders();
        cut.details();
        if cut.best == before || cut.runs == 0 {
            return cut.best;
        }
    }
}

struct Cut<'a> {
    best: History,
    kind: String,
    runs: u32,
    play: Player<'a>,
}

impl Cut<'_> {
    /// Whether this one fails alike; then it is the best so far.
    fn try_this(&mut self, history: History) -> bool {
        if self.runs == 0 || history == self.best {
            return false;
        }
        self.runs -= 1;
        let fails = (self.play)(&history).is_err_and(|failure| failure.kind() == self.kind);
        if fails {
            self.best = history;
        }
        fails
    }

    /// Leaves out steps: halves, then quarters, and so on to single ones.
    fn steps(&mut self) {
        let mut size = self.best.steps.len().div_ceil(2);
        while size > 0 {
            let mut at = 0;
            while at < self.best.steps.len() {
                let mut shorter = self.best.clone();
                let end = shorter.steps.len().min(at + size);
                shorter.steps.drain(at..end);
                if !self.try_this(shorter) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    /// Leaves out transactions, from the last block to the first.
    fn transactions(&mut self) {
        for step in (0..self.best.steps.len()).rev() {
            let count = |history: &History| match &history.steps[step] {
                Step::Block(block) => block.txs.len(),
                _ => 0,
            };
            let mut at = 0;
            while at < count(&self.best) {
                let mut shorter = self.best.clone();
                if let Step::Block(block) = &mut shorter.steps[step] {
                    block.txs.remove(at);
                }
                if !self.try_this(shorter) {
                    at += 1;
                }
            }
        }
    }

    /// Leaves out orders that only give the others their numbers.
    fn orders(&mut self) {
        for step in (0..self.best.steps.len()).rev() {
            for id in numbers(&self.best) {
                let mut shorter = self.best.clone();
                let Some(Step::Block(block)) = shorter.steps.get_mut(step) else { break };
                let creates = |message: &Message| message.name().ends_with("MsgCreateOrder");
                let Some(at) = block.txs.iter().position(|tx| tx.messages.iter().all(creates)) else { break };
                block.txs.remove(at);
                for message in messages_of(&mut shorter) {
                    with_number(message, |number| *number -= u64::from(*number >= id));
                }
                self.try_this(shorter);
            }
        }
    }

    /// Makes what is left plainer.
    fn details(&mut self) {
        for step in 0..self.best.steps.len() {
            self.change(step, |block| (block.shuffle, block.rounds) = (0, 0));
            self.change(step, |block| (block.nanos, block.hash) = (0, 0));
            self.change(step, |block| block.txs.iter_mut().for_each(|tx| tx.repeats = 0));
            self.change(step, |block| block.txs.iter_mut().for_each(|tx| tx.unordered_ns = None));
            self.change(step, |block| block.after_s = 1);
        }
        let mut in_memory = self.best.clone();
        in_memory.on_disk = false;
        self.try_this(in_memory);
    }

    fn change(&mut self, step: usize, change: impl FnOnce(&mut Block)) {
        let mut plainer = self.best.clone();
        if let Step::Block(block) = &mut plainer.steps[step] {
            change(block);
            self.try_this(plainer);
        }
    }
}

fn messages_of(history: &mut History) -> impl Iterator<Item = &mut Message> {
    let txs = history.steps.iter_mut().flat_map(|step| match step {
        Step::Block(block) => block.txs.as_mut_slice(),
        _ => &mut [],
    });
    txs.flat_map(|tx| &mut tx.messages)
}

/// The numbers of all orders that messages name, above 0.
fn numbers(history: &History) -> BTreeSet<u64> {
    let mut numbers = BTreeSet::new();
    for message in messages_of(&mut history.clone()) {
        with_number(message, |number| {
            numbers.insert(*number);
        });
    }
    numbers.remove(&0);
    numbers
}

/// Changes the number of the order that a message names, if it names one.
fn with_number(message: &mut Message, change: impl FnOnce(&mut u64)) {
    macro_rules! either {
        ($($kind:ty),*) => {$(
            if let Some(mut read) = message.read::<$kind>() {
                change(&mut read.order_id);
                *message = Message::new(&read);
                return;
            }
        )*};
    }
    either!(
        MsgCancelOrder,
        MsgCreateBid,
        MsgImproveBid,
        MsgWithdrawBid,
        MsgConfirmStart,
        MsgTopUp,
        MsgCloseLease,
        MsgReclaimLease,
        MsgAbandonLease,
        MsgSettle
    );
}
