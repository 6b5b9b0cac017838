//! What has happened, as the blocks' events tell it: the chain, its orders and its money, and lines to read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use underbid::client::rpc::{BlockResults, Event};

use super::facts::{Facts, per_hour, units};
use super::orders::{OrderView, RoundView};
use super::plot::Fate;
use super::sender::Refused;
use super::{Error, cast::Cast, ledger::Ledger};

/// How many of the last lines are kept.
const LINES_MAX: usize = 2_000;
/// Over how many blocks the interval is averaged.
const INTERVAL_BLOCKS: usize = 50;

/// The board, and a way to wait for what it shows.
pub struct Shared {
    board: Mutex<Board>,
    changed: watch::Sender<u64>,
    known: AtomicU64,
}

impl Shared {
    /// A board on which nothing has happened.
    pub fn new(board: Board) -> Self {
        Self { board: Mutex::new(board), changed: watch::Sender::new(0), known: AtomicU64::new(0) }
    }

    /// The last height of which anybody knows something: what the board shows, or what a sender was told.
    pub fn known_height(&self) -> u64 {
        self.known.load(Ordering::Relaxed).max(self.read(|board| board.height))
    }

    /// A sender was told that its transaction succeeded in this block.
    pub fn learn(&self, hash: &str, height: u64) {
        self.known.fetch_max(height, Ordering::Relaxed);
        self.lock().receipts.push((hash.to_owned(), height));
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the board.
    pub fn read<T>(&self, look: impl FnOnce(&Board) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the board and wakes who waits.
    pub fn write<T>(&self, change: impl FnOnce(&mut Board) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    /// Waits until `look` finds something.
    pub async fn wait<T>(
        &self,
        what: &str,
        timeout: Duration,
        look: impl Fn(&Board) -> Option<T>,
    ) -> Result<T, Error> {
        let mut changed = self.changed.subscribe();
        let found = async {
            loop {
                if let Some(found) = self.read(&look) {
                    return found;
                }
                // The sender lives in `self`, so this only ever ends with a change.
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let height = || self.read(|board| board.height);
        tokio::time::timeout(timeout, found).await.map_err(|_| Error::Overdue {
            what: what.to_owned(),
            timeout,
            height: height(),
        })
    }
}

/// What has happened.
pub struct Board {
    cast: Cast,
    started: Instant,
    /// The last block that was counted.
    pub height: u64,
    arrivals: VecDeque<Instant>,
    /// The price of a million units of gas, in uflop, as text.
    pub base_fee: String,
    /// The money.
    pub ledger: Ledger,
    /// Orders by number.
    pub orders: BTreeMap<u64, OrderView>,
    /// What the play has in mind with an order.
    pub fates: BTreeMap<u64, Fate>,
    /// Transactions in blocks: those that succeeded, and those that failed.
    pub transactions: (u64, u64),
    /// The results' codes by height, where there were transactions.
    pub codes: BTreeMap<u64, Vec<u32>>,
    /// Transactions whose senders were told of success: the hash in upper-case hex, and the height.
    pub receipts: Vec<(String, u64)>,
    /// What was refused.
    pub refusals: Vec<Refused>,
    /// Unbondings that were paid, in uflop.
    pub unbonded: u128,
    /// Slashes.
    pub slashes: Vec<Slash>,
    lines: VecDeque<String>,
    lines_dropped: usize,
}

/// Stake that was lost.
#[derive(Clone, Debug, Serialize)]
pub struct Slash {
    /// Whose it was.
    pub provider: String,
    /// Why.
    pub reason: String,
    /// What the tenant got, in uflop.
    pub to_harmed: u128,
    /// What was destroyed, in uflop.
    pub burned: u128,
}

impl Board {
    /// Nothing has happened.
    pub fn new(cast: Cast, ledger: Ledger) -> Self {
        Self {
            cast,
            started: Instant::now(),
            height: 0,
            arrivals: VecDeque::new(),
            base_fee: String::new(),
            ledger,
            orders: BTreeMap::new(),
            fates: BTreeMap::new(),
            transactions: (0, 0),
            codes: BTreeMap::new(),
            receipts: Vec::new(),
            refusals: Vec::new(),
            unbonded: 0,
            slashes: Vec::new(),
            lines: VecDeque::new(),
            lines_dropped: 0,
        }
    }

    /// The accounts' names.
    pub fn cast(&self) -> &Cast {
        &self.cast
    }

    /// Adds a line to read.
    pub fn say(&mut self, text: impl AsRef<str>) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.lines.push_back(format!("{seconds:6.1}s  {}", text.as_ref()));
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
            self.lines_dropped += 1;
        }
    }

    /// The lines from the `seen`th on, and how many there are now.
    pub fn lines_after(&self, seen: usize) -> (Vec<String>, usize) {
        let skip = seen.saturating_sub(self.lines_dropped);
        (self.lines.iter().skip(skip).cloned().collect(), self.lines_dropped + self.lines.len())
    }

    /// The last lines.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        self.lines.iter().skip(self.lines.len().saturating_sub(count)).cloned().collect()
    }

    /// The average time between the last blocks.
    pub fn interval(&self) -> Option<Duration> {
        let blocks = u32::try_from(self.arrivals.len().checked_sub(1)?).ok().filter(|blocks| *blocks > 0)?;
        Some(self.arrivals.back()?.duration_since(*self.arrivals.front()?) / blocks)
    }

    /// Writes a refusal down.
    pub fn refuse(&mut self, refused: Refused) {
        let Refused { account, message, stage, codespace, code, log, .. } = &refused;
        self.say(format!("{account}: {message} refused in {stage} by {codespace} with code {code}: {log}"));
        self.refusals.push(refused);
    }

    /// Counts a block. Blocks come in order, each once.
    pub fn apply(&mut self, results: &BlockResults) {
        self.height = results.height;
        self.arrivals.push_back(Instant::now());
        if self.arrivals.len() > INTERVAL_BLOCKS {
            self.arrivals.pop_front();
        }
        for event in &results.finalize_block_events {
            self.count(event);
        }
        if !results.txs_results.is_empty() {
            self.codes.insert(results.height, results.txs_results.iter().map(|result| result.code).collect());
        }
        for result in &results.txs_results {
            match result.code {
                0 => self.transactions.0 += 1,
                _ => self.transactions.1 += 1,
            }
            for event in &result.events {
                self.count(event);
            }
        }
    }

    fn count(&mut self, event: &Event) {
        self.ledger.apply(event);
        let facts = Facts(event);
        if let Some(name) = event.kind.strip_prefix("underbid.market.v1.Event") {
            self.count_market(name, facts);
        } else if let Some(name) = event.kind.strip_prefix("underbid.provider.v1.Event") {
            self.count_provider(name, facts);
        } else if event.kind == "underbid.escrow.v1.EventAccountFined" {
            if let Some(order) = self.orders.get_mut(&facts.number("order_id")) {
                order.fined += facts.amount("amount");
            }
        } else if event.kind.starts_with("underbid.kernel.") {
            let attributes = event.attributes.iter().map(|a| format!("{}={}", a.key, a.value));
            self.say(format!("{}: {}", event.kind, attributes.collect::<Vec<_>>().join(" ")));
        }
    }

    fn count_provider(&mut self, name: &str, facts: Facts<'_>) {
        let provider = self.cast.name(facts.text("provider"));
        match name {
            "ClassSet" => self.say(format!("class {}: {}", facts.text("class_id"), facts.text("name"))),
            "ProviderRegistered" => {
                let stake = facts.amount("stake") / 1_000_000;
                self.say(format!("{provider} registers with a stake of {stake} FLOP"));
            }
            "CapacitySet" => {
                let (total, class, zone) = (facts.text("total"), facts.text("class_id"), facts.text("zone"));
                self.say(format!("{provider} offers {total} units of class {class} in {zone}"));
            }
            "UnbondingStarted" => {
                self.say(format!("{provider} takes {} FLOP of stake back", units(facts.amount("amount"))));
            }
            "UnbondingPaid" => {
                self.unbonded += facts.amount("amount");
                self.say(format!("{provider} has {} FLOP of stake back", units(facts.amount("amount"))));
            }
            "StakeSlashed" => {
                let (to_harmed, burned) = (facts.amount("to_harmed"), facts.amount("burned"));
                self.say(format!(
                    "{provider} is slashed ({}): {} FLOP to {}, {} FLOP burned",
                    facts.text("reason"),
                    units(to_harmed),
                    self.cast.name(facts.text("harmed")),
                    units(burned)
                ));
                let reason = facts.text("reason").to_owned();
                self.slashes.push(Slash { provider, reason, to_harmed, burned });
            }
            _ => {}
        }
    }

    fn count_market(&mut self, name: &str, facts: Facts<'_>) {
        let id = facts.number("order_id");
        if name == "OrderCreated" {
            self.order_created(id, facts);
            return;
        }
        let provider = self.cast.name(facts.text("provider"));
        let Some(order) = self.orders.get_mut(&id) else { return };
        let line = match name {
            "OrderReopened" => {
                order.reopen(facts);
                format!("#{id} is open for round {}", facts.text("round"))
            }
            "OrderClosed" => {
                let (reason, refunded) = (facts.text("reason").to_owned(), facts.amount("refunded"));
                let line = format!("#{id} is closed ({reason}): {} CREDIT back", units(refunded));
                order.closed = Some((reason, refunded));
                line
            }
            "Deposited" => {
                order.added += facts.amount("amount");
                format!("#{id} is topped up with {} CREDIT", units(facts.amount("amount")))
            }
            _ => {
                let winner = self.cast.name(facts.text("winner"));
                let Some(round) = order.rounds.last_mut() else { return };
                let Some(line) = round.count(name, facts, provider, winner) else { return };
                format!("#{id} {line}")
            }
        };
        self.say(line);
    }

    fn order_created(&mut self, id: u64, facts: Facts<'_>) {
        let tenant = self.cast.name(facts.text("tenant"));
        let number = |key: &str| u32::try_from(facts.number(key)).unwrap_or_default();
        let order = OrderView {
            tenant,
            class_id: number("class_id"),
            count: number("count"),
            ceiling: facts.amount("max_unit_rate"),
            deposit: facts.amount("deposit"),
            rounds: vec![RoundView::default()],
            ..OrderView::default()
        };
        self.say(format!(
            "#{id} {} wants {} units of class {} for at most {} CREDIT/h each",
            order.tenant,
            order.count,
            order.class_id,
            per_hour(order.ceiling)
        ));
        self.orders.insert(id, order);
    }
}
