//! What the play came to: every order with its price and the reasons, every account's money, the validators' agreement, and
//! what was not as it should be.

use proto::underbid::market::v1 as market;
use serde::Serialize;

use super::board::{Board, Slash};
use super::facts::per_hour;
use super::ledger::{AccountRow, SupplyRow};
use super::orders::{Offer, RoundStage, RoundView, as_text};
use super::plot::Fate;
use super::sender::Refused;
use super::stage::Stage;
use super::{Error, queries};
use crate::net::Net;

/// What the play came to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Whether everything was as it should be.
    pub ok: bool,
    /// What was not.
    pub problems: Vec<String>,
    /// The chain.
    pub chain_id: String,
    /// How long it took, from the start of the validators.
    pub seconds: f64,
    /// The height up to which everything below is counted.
    pub height: u64,
    /// The average time between the last blocks, in milliseconds.
    pub block_interval_ms: u64,
    /// Transactions in blocks that succeeded.
    pub transactions: u64,
    /// Transactions in blocks that failed.
    pub failed: u64,
    /// The validators.
    pub validators: Vec<Validator>,
    /// The orders.
    pub orders: Vec<OrderRow>,
    /// Stake that was lost.
    pub slashes: Vec<Slash>,
    /// The money.
    pub accounts: Vec<AccountRow>,
    /// All money of each denom.
    pub supplies: Vec<SupplyRow>,
    /// Transactions that were refused, before a block or in one.
    pub refusals: Vec<Refused>,
}

/// One validator.
#[derive(Clone, Debug, Serialize)]
pub struct Validator {
    /// Its number.
    pub index: usize,
    /// Its last height.
    pub height: u64,
    /// The height of the hash, the same for all.
    pub common_height: u64,
    /// The application's hash after that height, as the validator computed it itself.
    pub app_hash: String,
}

/// One order.
#[derive(Clone, Debug, Serialize)]
pub struct OrderRow {
    /// Its number.
    pub id: u64,
    /// Who asked.
    pub tenant: String,
    /// The class.
    pub class_id: u32,
    /// How many units.
    pub count: u32,
    /// What the play had in mind with it.
    pub story: &'static str,
    /// The ceiling of a unit: ucredit a second times 10^18.
    #[serde(serialize_with = "as_text")]
    pub ceiling: u128,
    /// The first deposit, in ucredit.
    pub deposit: u128,
    /// What was added, in ucredit.
    pub added: u128,
    /// What was paid, in ucredit.
    pub paid: u128,
    /// What the windows of further rounds cost, and fines, in ucredit.
    pub fined: u128,
    /// What went back in the end, in ucredit.
    pub refunded: u128,
    /// Why it ended.
    pub closed: String,
    /// Its rounds.
    pub rounds: Vec<RoundRow>,
}

/// One round of an order.
#[derive(Clone, Debug, Serialize)]
pub struct RoundRow {
    /// The first bid.
    pub first_bid: Option<Offer>,
    /// Bids and improvements.
    pub bids: u32,
    /// How often the auction was extended.
    pub extensions: u32,
    /// Who won.
    pub winner: Option<String>,
    /// The price of a unit: ucredit a second times 10^18.
    #[serde(serialize_with = "as_text")]
    pub unit_rate: u128,
    /// Why the winner won.
    pub why: String,
    /// The last offers in rank.
    pub offers: Vec<Offer>,
    /// Why the lease ended.
    pub ended: String,
    /// What the lease paid, in ucredit.
    pub gross: u128,
    /// The market's part of it, in ucredit.
    pub fee: u128,
}

impl Summary {
    /// Counts everything together. `height` is the last block that the board has counted.
    pub async fn of(stage: &Stage, net: &Net, height: u64, seconds: f64) -> Result<Self, Error> {
        let client = &stage.clients()[0];
        let (ledger, transactions, interval, slashes, refusals) = stage.shared().read(|board| {
            let interval = board.interval().unwrap_or_default();
            (
                board.ledger.clone(),
                board.transactions,
                interval,
                board.slashes.clone(),
                board.refusals.clone(),
            )
        });
        let mut summary = Self {
            ok: false,
            problems: Vec::new(),
            chain_id: client.chain_id().to_owned(),
            seconds: (seconds * 10.0).round() / 10.0,
            height,
            block_interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            transactions: transactions.0,
            failed: transactions.1,
            validators: validators(net).await?,
            orders: orders(stage).await?,
            slashes,
            accounts: ledger.accounts(client, stage.cast(), height).await?,
            supplies: ledger.supplies(client, height).await?,
            refusals,
        };
        summary.problems = stage.shared().read(|board| summary.find_problems(board));
        summary.ok = summary.problems.is_empty();
        Ok(summary)
    }

    fn find_problems(&self, board: &Board) -> Vec<String> {
        let mut problems = Vec::new();
        for row in self.accounts.iter().filter(|row| !row.matches) {
            let AccountRow { name, denom, start, inward, out, end, .. } = row;
            problems.push(format!("{name}: {start} + {inward} - {out} {denom} is not {end}"));
        }
        for row in self.supplies.iter().filter(|row| !row.matches) {
            let SupplyRow { denom, start, minted, burned, end, .. } = row;
            problems.push(format!("supply: {start} + {minted} - {burned} {denom} is not {end}"));
        }
        if self.validators.windows(2).any(|pair| pair[0].app_hash != pair[1].app_hash) {
            problems.push("the validators' app hashes differ".to_owned());
        }
        for refused in self.refusals.iter().filter(|refused| !refused.is_bot) {
            problems.push(format!("{}'s {} was refused: {}", refused.account, refused.message, refused.log));
        }
        if self.orders.iter().flat_map(|order| &order.rounds).all(|round| round.extensions == 0) {
            problems
                .push("no auction was extended, though there is one who bids in the last blocks".to_owned());
        }
        let slashed = self.slashes.iter().any(|slash| slash.reason == "NoStart" && slash.burned > 0);
        if !slashed {
            problems.push("nobody was slashed for not starting".to_owned());
        }
        for order in &self.orders {
            let fate = board.fates.get(&order.id).copied();
            problems.extend(fate.into_iter().flat_map(|fate| order.find_problems(fate)));
        }
        problems
    }
}

impl OrderRow {
    fn find_problems(&self, fate: Fate) -> Vec<String> {
        let mut problems = Vec::new();
        let id = self.id;
        let endings: Vec<&str> = self.rounds.iter().map(|round| round.ended.as_str()).collect();
        let expected = if fate == Fate::Expires { &[""][..] } else { fate.endings() };
        if endings != expected {
            problems.push(format!("order {id}: its leases ended with {endings:?}, expected {expected:?}"));
        }
        if self.closed != fate.close_reason() {
            problems.push(format!(
                "order {id}: it ended with {}, expected {}",
                self.closed,
                fate.close_reason()
            ));
        }
        if fate == Fate::Expires {
            return problems;
        }
        for (round, number) in self.rounds.iter().zip(1..) {
            let first = round.first_bid.as_ref().map_or(0, |first| first.unit_rate);
            if round.offers.len() < 2 || first <= round.unit_rate {
                problems
                    .push(format!("order {id} round {number}: expected bidders who bid one another down"));
            }
        }
        let winners: Vec<_> = self.rounds.iter().map(|round| &round.winner).collect();
        if winners.windows(2).any(|pair| pair[0] == pair[1]) {
            problems.push(format!("order {id}: the provider that failed won again"));
        }
        let spent: u128 = self.rounds.iter().map(|round| round.gross).sum();
        if self.deposit + self.added != spent + self.fined + self.refunded {
            problems.push(format!(
                "order {id}: deposits of {} + {} are not {spent} paid, {} for windows and fines, and {} refunded",
                self.deposit, self.added, self.fined, self.refunded
            ));
        }
        if fate == Fate::ToppedUp && self.added == 0 {
            problems.push(format!("order {id}: it was not topped up"));
        }
        problems
    }
}

async fn validators(net: &Net) -> Result<Vec<Validator>, Error> {
    let heights: Vec<u64> = net.heights().await.into_iter().map(Option::unwrap_or_default).collect();
    let common_height = heights.iter().copied().filter(|height| *height > 0).min().unwrap_or_default();
    let mut validators = Vec::new();
    for (index, height) in heights.into_iter().enumerate() {
        let app_hash = hex::encode_upper(net.app_hash_at(index, common_height).await?);
        validators.push(Validator { index, height, common_height, app_hash });
    }
    Ok(validators)
}

async fn orders(stage: &Stage) -> Result<Vec<OrderRow>, Error> {
    let (views, fates) = stage.shared().read(|board| (board.orders.clone(), board.fates.clone()));
    let mut rows = Vec::new();
    for (id, view) in views {
        let mut rounds = Vec::new();
        for (round, number) in view.rounds.iter().zip(1..) {
            let award = match round.winner {
                Some(_) => Some(queries::award(&stage.clients()[0], id, number).await?),
                None => None,
            };
            rounds.push(RoundRow::of(stage, round, award.as_ref()));
        }
        let (closed, refunded) = view.closed.clone().unwrap_or_default();
        rows.push(OrderRow {
            id,
            paid: view.paid(),
            tenant: view.tenant,
            class_id: view.class_id,
            count: view.count,
            story: fates.get(&id).map_or("", |fate| fate.text()),
            ceiling: view.ceiling,
            deposit: view.deposit,
            added: view.added,
            fined: view.fined,
            refunded,
            closed,
            rounds,
        });
    }
    Ok(rows)
}

impl RoundRow {
    fn of(stage: &Stage, round: &RoundView, award: Option<&market::Award>) -> Self {
        let mut offers: Vec<Offer> = round.offers.values().cloned().collect();
        offers.sort_by_key(|offer| offer.eff);
        Self {
            first_bid: round.first.clone(),
            bids: round.bids,
            extensions: round.extensions,
            winner: round.winner.as_ref().map(|(name, _)| name.clone()),
            unit_rate: round.winner.as_ref().map_or(0, |(_, unit_rate)| *unit_rate),
            why: award.map_or_else(|| "nobody bid".to_owned(), |award| why(stage, award, &offers)),
            offers,
            ended: match &round.stage {
                RoundStage::Closed(reason) => reason.clone(),
                _ => String::new(),
            },
            gross: round.gross,
            fee: round.fee,
        }
    }
}

/// The award in words.
fn why(stage: &Stage, award: &market::Award, offers: &[Offer]) -> String {
    let Some(row) = award.rows.iter().find(|row| row.provider == award.winner) else {
        return "the award has no row of its winner".to_owned();
    };
    let number = |text: &str| text.parse::<u128>().unwrap_or_default();
    let names = ["uptime", "reputation", "slashes", "stake", "distance"];
    let parts = names.iter().zip(&row.parts).filter(|(_, part)| **part > 0);
    let parts: Vec<String> = parts.map(|(name, part)| format!("{name} {}%", part / 10_000)).collect();
    let multiplier =
        format!("{}.{:03}", row.multiplier_ppm / 1_000_000, row.multiplier_ppm % 1_000_000 / 1_000);
    let mut text = format!(
        "{} x {multiplier} ({}) = {}",
        per_hour(number(&row.unit_rate)),
        parts.join(", "),
        per_hour(number(&row.eff) / 1_000_000)
    );
    let winner = stage.cast().name(&award.winner);
    match award.rows.len() {
        1 => text.push_str(", alone in the band"),
        near => {
            let sum: u128 = award.rows.iter().map(|row| number(&row.weight)).sum();
            let percent = number(&row.weight).saturating_mul(100) / sum.max(1);
            text.push_str(&format!(", drawn with {percent}% among {near} near equals"));
        }
    }
    if let Some(next) = offers.iter().find(|offer| offer.provider != winner) {
        let (name, eff) = (&next.provider, per_hour(next.eff / 1_000_000));
        text.push_str(&format!("; next {name} at {eff}"));
    }
    text
}
