//! Orders and their rounds as the blocks' events tell them.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;

use super::facts::{Facts, per_hour, units};

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
    /// What the windows of further rounds cost, and fines, in ucredit.
    pub fined: u128,
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

impl OrderView {
    pub(super) fn reopen(&mut self, facts: Facts<'_>) {
        let round = usize::try_from(facts.number("round")).unwrap_or_default();
        // Without an eligible bid the same round opens again.
        self.rounds.truncate(round.saturating_sub(1));
        self.rounds.push(RoundView::default());
    }
}

impl RoundView {
    /// Counts an event of the round; returns what to say about it.
    pub(super) fn count(
        &mut self,
        name: &str,
        facts: Facts<'_>,
        provider: String,
        winner: String,
    ) -> Option<String> {
        let line = match name {
            "BidCreated" | "BidImproved" => self.bid(facts, provider),
            "BidEvicted" => {
                self.offers.remove(&provider);
                format!("{provider} has to make room")
            }
            "BidWithdrawn" => {
                self.offers.remove(&provider);
                format!("{provider} takes its bid back: it can't win any more")
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
