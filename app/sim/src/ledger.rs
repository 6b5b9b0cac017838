//! A third program: every balance from the events alone, twice.
//!
//! One book follows the bank's own events. The other follows what providers, orders and leases say of themselves (staked,
//! deposited, settled, fined, refunded, slashed, paid back), the fees of transactions, and of the bank only what people send
//! one another. After every block both must be what the chain says.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{AbciEvent, Address};
use serde_json::Value;

use crate::chain::{Done, attribute};

/// Who has how much of a denom. Below nothing while a block is followed: what its own work refunds may be spent by its
/// transactions, whose events come before.
type Book = BTreeMap<(String, String), i128>;

/// Both books.
#[derive(Clone, Debug)]
pub struct Ledger {
    bank: Book,
    market: Book,
    modules: Modules,
}

#[derive(Clone, Debug)]
struct Modules {
    stake_pool: String,
    escrow: String,
    market_fees: String,
    fee_collector: String,
}

impl Ledger {
    /// The money of a genesis document.
    pub fn genesis(state: &Value) -> Self {
        let of = |name: &str| Address::of_module(name).to_string();
        let modules = Modules {
            stake_pool: of("stake_pool"),
            escrow: of("escrow"),
            market_fees: of("market_fees"),
            fee_collector: of("fee_collector"),
        };
        let bank = balances(&state["bank"]);
        Self { market: bank.clone(), bank, modules }
    }

    /// Follows a block.
    pub fn block(&mut self, done: &Done) {
        for event in done.all_events() {
            self.follow_bank(event);
            self.follow_market(event);
        }
    }

    /// Compares with what the chain says that everybody has.
    pub fn check(&self, bank: &Value) -> Result<(), String> {
        let chain = balances(bank);
        for (name, book) in [("the bank's events", &self.bank), ("the market's events", &self.market)] {
            let keys: BTreeSet<_> = chain.keys().chain(book.keys()).collect();
            for key in keys {
                let (says, follows) = (chain.get(key).unwrap_or(&0), book.get(key).unwrap_or(&0));
                if says != follows {
                    return Err(format!("{} {}: chain {says}, {name} {follows}", key.0, key.1));
                }
            }
        }
        Ok(())
    }

    fn follow_bank(&mut self, event: &AbciEvent) {
        let text = |name: &str| attribute(event, name).unwrap();
        let amount = || text("amount").parse::<i128>().unwrap();
        match event.kind {
            "underbid.bank.v1.EventTransferred" => {
                shift(&mut self.bank, Some(text("sender")), Some(text("receiver")), text("denom"), amount());
            }
            "underbid.bank.v1.EventBurned" => {
                shift(&mut self.bank, Some(text("account")), None, text("denom"), amount());
            }
            "underbid.bank.v1.EventMinted" => {
                shift(&mut self.bank, None, Some(text("account")), text("denom"), amount());
            }
            _ => {}
        }
    }

    fn follow_market(&mut self, event: &AbciEvent) {
        let text = |name: &str| attribute(event, name).unwrap();
        let amount = |name: &str| text(name).parse::<i128>().unwrap();
        let modules = &self.modules;
        let (pool, escrow, fees) =
            (modules.stake_pool.as_str(), modules.escrow.as_str(), modules.market_fees.as_str());
        let is_module = |account: &str| [pool, escrow, fees, &modules.fee_collector].contains(&account);
        let book = &mut self.market;
        let mut credit = |from: &str, to: &str, amount| shift(book, Some(from), Some(to), "ucredit", amount);
        match event.kind {
            "underbid.market.v1.EventOrderCreated" => {
                credit(text("tenant"), escrow, amount("deposit"));
                credit(text("tenant"), fees, amount("order_fee"));
            }
            "underbid.market.v1.EventDeposited" => credit(text("depositor"), escrow, amount("amount")),
            "underbid.escrow.v1.EventStreamSettled" => {
                credit(escrow, text("payee"), amount("gross") - amount("fee"));
                credit(escrow, fees, amount("fee"));
            }
            "underbid.escrow.v1.EventAccountFined" => credit(escrow, fees, amount("amount")),
            "underbid.escrow.v1.EventDepositRefunded" => credit(escrow, text("depositor"), amount("amount")),
            "underbid.provider.v1.EventProviderRegistered" => {
                shift(book, Some(text("provider")), Some(pool), "uflop", amount("stake"));
            }
            "underbid.provider.v1.EventStakeAdded" => {
                shift(book, Some(text("provider")), Some(pool), "uflop", amount("amount"));
            }
            "underbid.provider.v1.EventUnbondingPaid" => {
                shift(book, Some(pool), Some(text("provider")), "uflop", amount("amount"));
            }
            "underbid.provider.v1.EventStakeSlashed" => {
                shift(book, Some(pool), attribute(event, "harmed"), "uflop", amount("to_harmed"));
                shift(book, Some(pool), None, "uflop", amount("burned"));
            }
            "tx" if attribute(event, "fee_payer").is_some() => {
                let fee = text("fee").strip_suffix("uflop").unwrap().parse().unwrap();
                shift(book, Some(text("fee_payer")), Some(&modules.fee_collector), "uflop", fee);
            }
            "underbid.bank.v1.EventTransferred"
                if !is_module(text("sender")) && !is_module(text("receiver")) =>
            {
                shift(book, Some(text("sender")), Some(text("receiver")), text("denom"), amount("amount"));
            }
            "underbid.bank.v1.EventBurned" if ![pool, escrow, fees].contains(&text("account")) => {
                shift(book, Some(text("account")), None, text("denom"), amount("amount"));
            }
            _ => {}
        }
    }
}

/// Money leaves one account and comes to another; nobody: it was destroyed or created.
fn shift(book: &mut Book, from: Option<&str>, to: Option<&str>, denom: &str, amount: i128) {
    let account = |name: &str| (name.to_owned(), denom.to_owned());
    if let Some(from) = from {
        *book.entry(account(from)).or_default() -= amount;
    }
    if let Some(to) = to {
        *book.entry(account(to)).or_default() += amount;
    }
}

fn balances(bank: &Value) -> Book {
    let mut book = Book::new();
    for entry in bank["balances"].as_array().unwrap() {
        for coin in entry["coins"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let amount = text(&coin["amount"]).parse().unwrap();
            book.insert((text(&entry["address"]), text(&coin["denom"])), amount);
        }
    }
    book
}
