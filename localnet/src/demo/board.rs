//! What has happened, as the blocks' events tell it: orders, rounds, money, and lines to read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::facts::{Facts, per_hour, units};
use super::plot::Fate;
use super::sender::Refused;
use super::{Error, cast::Cast, ledger::Ledger};
use crate::rpc::{BlockResults, Event};

/// How many of the last lines are kept.
const LINES_MAX: usize = 2_000;
/// Over how many blocks the interval is averaged.
const INTERVAL_BLOCKS: usize = 50;

/// The board, and a way to wait for what it shows.
pub struct Shared {
    board: Mutex<Board>,
    changed: watch::Sender<u64>,
}

impl Shared {
    /// A board on which nothing has happened.
    pub fn new(board: Board) -> Self {
        Self { board: Mutex::new(board), changed: watch::Sender::new(0) }
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

/// An offer of a bidder.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Offer {
    /// Who made it.
    pub provider: String,
    /// The price of a unit: ucredit a second times 10^18.
    #[serde(serialize_with = "as_text")]
    pub unit_rate: u128,
    /// The same weighed with what speaks against the bidder.
    #[serde(serialize_with = "as_text")]
    pub eff: u128,
    /// By what it is weighed, in ppm.
    pub multiplier_ppm: u32,
    /// What speaks against the bidder, in ppm: uptime, reputation, slashes, stake, distance.
    pub parts: Vec<u32>,
}

/// JSON's numbers are too small for rates.
pub fn as_text<S: serde::Serializer>(value: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Where a round stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RoundStage {
    /// It waits for bids, or has some.
    #[default]
    Auction,
    /// It has a winner, who has to start.
    Starting,
    /// The lease runs.
    Active,
    /// It runs until the provider takes its machines back.
    Reclaiming,
    /// It is over, for this reason.
    Closed(String),
}

/// One round of an order.
#[derive(Clone, Debug, Default)]
pub struct RoundView {
    /// Where it stands.
    pub stage: RoundStage,
    /// The first bid.
    pub first: Option<Offer>,
    /// The last offer of each bidder.
    pub offers: BTreeMap<String, Offer>,
    /// Bids and improvements.
    pub bids: u32,
    /// How often the auction was extended.
    pub extensions: u32,
    /// When it closes, or closed.
    pub close_height: u64,
    /// Who won, and at which unit rate.
    pub winner: Option<(String, u128)>,
    /// When the lease began to run, by our clock.
    pub active_since: Option<Instant>,
    /// Whether the warning of low funds came.
    pub was_low: bool,
    /// What the lease paid in all, in ucredit.
    pub gross: u128,
    /// The market's part of it.
    pub fee: u128,
}

impl RoundView {
    /// The offer that leads.
    pub fn best(&self) -> Option<&Offer> {
        self.offers.values().min_by_key(|offer| offer.eff)
    }
}

/// The money of an order with a lease, as of now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// What was paid, the part that is not settled included, in ucredit.
    pub paid: u128,
    /// What is left, in ucredit.
    pub balance: u128,
    /// For how many more seconds it lasts; none where no stream runs.
    pub lasts_s: Option<u64>,
}

/// An order.
#[derive(Clone, Debug, Default)]
pub struct OrderView {
    /// Who asks.
    pub tenant: String,
    /// The class.
    pub class_id: u32,
    /// How many units.
    pub count: u32,
    /// The ceiling of a unit: ucredit a second times 10^18.
    pub ceiling: u128,
    /// The deposit in the beginning, in ucredit.
    pub deposit: u128,
    /// Its rounds, the first at 0.
    pub rounds: Vec<RoundView>,
    /// Its money.
    pub money: Money,
    /// What was added later, in ucredit.
    pub added: u128,
    /// Why it ended, and what went back, in ucredit.
    pub closed: Option<(String, u128)>,
}

impl OrderView {
    /// The round that runs or ran last.
    pub fn round(&self) -> Option<&RoundView> {
        self.rounds.last()
    }

    /// What its leases have paid so far, in ucredit.
    pub fn paid(&self) -> u128 {
        match self.round().map(|round| &round.stage) {
            Some(RoundStage::Active | RoundStage::Reclaiming) => self.money.paid,
            _ => self.rounds.iter().map(|round| round.gross).sum(),
        }
    }
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

impl OrderView {
    fn reopen(&mut self, facts: Facts<'_>) {
        let round = usize::try_from(facts.number("round")).unwrap_or_default();
        // Without an eligible bid the same round opens again.
        self.rounds.truncate(round.saturating_sub(1));
        self.rounds.push(RoundView::default());
    }
}

impl RoundView {
    /// Counts an event of the round; returns what to say about it.
    fn count(&mut self, name: &str, facts: Facts<'_>, provider: String, winner: String) -> Option<String> {
        let line = match name {
            "BidCreated" | "BidImproved" => self.bid(facts, provider),
            "BidEvicted" => {
                self.offers.remove(&provider);
                format!("{provider} has to make room")
            }
            "AuctionExtended" => {
                self.extensions = u32::try_from(facts.number("extensions")).unwrap_or_default();
                self.close_height = facts.number("close_height");
                format!("is extended to height {}", self.close_height)
            }
            "OrderAwarded" => {
                let unit_rate = facts.amount("unit_rate");
                self.stage = RoundStage::Starting;
                let line = format!("goes to {winner} for {} CREDIT/h a unit", per_hour(unit_rate));
                self.winner = Some((winner, unit_rate));
                line
            }
            "LeaseStarted" => {
                (self.stage, self.active_since) = (RoundStage::Active, Some(Instant::now()));
                format!("is started by {provider} and pays {} CREDIT/h", per_hour(facts.amount("rate")))
            }
            "LeaseLowFunds" => {
                self.was_low = true;
                "is low on funds".to_owned()
            }
            "ReclaimStarted" => {
                self.stage = RoundStage::Reclaiming;
                "is reclaimed by its provider, with notice".to_owned()
            }
            "LeaseClosed" => {
                (self.gross, self.fee) = (facts.amount("gross"), facts.amount("fee"));
                let reason = facts.text("reason").to_owned();
                let line = format!("lease of {provider} ends ({reason}): paid {} CREDIT", units(self.gross));
                self.stage = RoundStage::Closed(reason);
                line
            }
            _ => return None,
        };
        Some(line)
    }

    fn bid(&mut self, facts: Facts<'_>, provider: String) -> String {
        self.bids += 1;
        self.close_height = facts.number("close_height");
        let (unit_rate, eff) = (facts.amount("unit_rate"), facts.amount("eff"));
        let before = self.offers.get(&provider).cloned().unwrap_or_default();
        let is_improvement = facts.text("multiplier_ppm").is_empty();
        let (multiplier_ppm, parts) = match is_improvement {
            true => (before.multiplier_ppm, before.parts),
            false => (u32::try_from(facts.number("multiplier_ppm")).unwrap_or_default(), facts.list("parts")),
        };
        let offer = Offer { provider: provider.clone(), unit_rate, eff, multiplier_ppm, parts };
        let leads = if facts.text("leads") == "true" { ", leads" } else { "" };
        let line = format!(
            "{provider} bids {} CREDIT/h (weighed {}){leads}",
            per_hour(unit_rate),
            per_hour(eff / 1_000_000)
        );
        self.first.get_or_insert_with(|| offer.clone());
        self.offers.insert(provider, offer);
        line
    }
}
