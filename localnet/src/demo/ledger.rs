//! What every account got and gave, from the events of the blocks alone, and whether the bank says the same.

use std::collections::BTreeMap;

use proto::cosmos::bank::v1beta1::{
    QueryAllBalancesRequest, QueryAllBalancesResponse, QuerySupplyOfRequest, QuerySupplyOfResponse,
};
use serde::Serialize;
use serde_json::Value;
use underbid::client::chain::Client;
use underbid::client::rpc::Event;

use super::{Error, cast::Cast, facts::Facts};

/// The denoms of the chain.
pub const DENOMS: [&str; 2] = ["ucredit", "uflop"];

/// What one account got and gave of one denom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Flow {
    start: u128,
    inward: u128,
    outward: u128,
}

/// The money of all accounts.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    flows: BTreeMap<(String, String), Flow>,
    burned: BTreeMap<String, u128>,
    minted: BTreeMap<String, u128>,
}

/// One account's money in one denom, in its smallest unit.
#[derive(Clone, Debug, Serialize)]
pub struct AccountRow {
    /// What the account is called.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The denom.
    pub denom: String,
    /// What it had at genesis.
    pub start: u128,
    /// What it got, by the events.
    #[serde(rename = "in")]
    pub inward: u128,
    /// What it gave, by the events.
    pub out: u128,
    /// What it has, by the bank.
    pub end: u128,
    /// Whether start + in - out is the end.
    pub matches: bool,
}

/// All there is of one denom.
#[derive(Clone, Debug, Serialize)]
pub struct SupplyRow {
    /// The denom.
    pub denom: String,
    /// What there was at genesis.
    pub start: u128,
    /// What was created since.
    pub minted: u128,
    /// What was destroyed since: the base part of the fees, and slashed stake.
    pub burned: u128,
    /// What there is, by the bank.
    pub end: u128,
    /// Whether start + minted - burned is the end.
    pub matches: bool,
}

impl Ledger {
    /// The money at genesis.
    pub fn new(genesis: &Value) -> Result<Self, Error> {
        let wrong =
            || Error::Cast("genesis: expected app_state.bank.balances with address and coins".to_owned());
        let mut ledger = Self::default();
        let balances =
            genesis.pointer("/app_state/bank/balances").and_then(Value::as_array).ok_or_else(wrong)?;
        for balance in balances {
            let address = balance["address"].as_str().ok_or_else(wrong)?;
            for coin in balance["coins"].as_array().ok_or_else(wrong)? {
                let denom = coin["denom"].as_str().ok_or_else(wrong)?;
                let amount = coin["amount"].as_str().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
                ledger.flow(address, denom).start = amount;
            }
        }
        Ok(ledger)
    }

    fn flow(&mut self, address: &str, denom: &str) -> &mut Flow {
        self.flows.entry((address.to_owned(), denom.to_owned())).or_default()
    }

    /// Counts an event of a block, if it is one of the bank.
    pub fn apply(&mut self, event: &Event) {
        let facts = Facts(event);
        let (denom, amount) = (facts.text("denom"), facts.amount("amount"));
        match event.kind.as_str() {
            "underbid.bank.v1.EventTransferred" => {
                self.flow(facts.text("sender"), denom).outward += amount;
                self.flow(facts.text("receiver"), denom).inward += amount;
            }
            "underbid.bank.v1.EventBurned" => {
                self.flow(facts.text("account"), denom).outward += amount;
                *self.burned.entry(denom.to_owned()).or_default() += amount;
            }
            "underbid.bank.v1.EventMinted" => {
                self.flow(facts.text("account"), denom).inward += amount;
                *self.minted.entry(denom.to_owned()).or_default() += amount;
            }
            _ => {}
        }
    }

    /// Compares every account with the bank's balances at a height, up to which the events must have been counted.
    pub async fn accounts(
        &self,
        client: &Client,
        cast: &Cast,
        height: u64,
    ) -> Result<Vec<AccountRow>, Error> {
        let mut addresses: Vec<&String> = self.flows.keys().map(|(address, _)| address).collect();
        addresses.dedup();
        addresses.sort_by_key(|address| (cast.place(address), cast.name(address)));
        let mut rows = Vec::new();
        for address in addresses {
            let request = QueryAllBalancesRequest { address: address.clone(), ..Default::default() };
            let path = "/cosmos.bank.v1beta1.Query/AllBalances";
            let answer: QueryAllBalancesResponse = client.query(path, &request, Some(height)).await?;
            for denom in DENOMS {
                let flow = self.flows.get(&(address.clone(), denom.to_owned())).copied().unwrap_or_default();
                let coin = answer.balances.iter().find(|coin| coin.denom == denom);
                let end = coin.and_then(|coin| coin.amount.parse().ok()).unwrap_or_default();
                if flow == Flow::default() && end == 0 {
                    continue;
                }
                rows.push(AccountRow {
                    name: cast.name(address),
                    address: address.clone(),
                    denom: denom.to_owned(),
                    start: flow.start,
                    inward: flow.inward,
                    out: flow.outward,
                    end,
                    matches: (flow.start + flow.inward).checked_sub(flow.outward) == Some(end),
                });
            }
        }
        Ok(rows)
    }

    /// Compares the supply of every denom at a height.
    pub async fn supplies(&self, client: &Client, height: u64) -> Result<Vec<SupplyRow>, Error> {
        let mut rows = Vec::new();
        for denom in DENOMS {
            let request = QuerySupplyOfRequest { denom: denom.to_owned() };
            let path = "/cosmos.bank.v1beta1.Query/SupplyOf";
            let answer: QuerySupplyOfResponse = client.query(path, &request, Some(height)).await?;
            let end = answer.amount.and_then(|coin| coin.amount.parse().ok()).unwrap_or_default();
            let of_denom = self.flows.iter().filter(|((_, other), _)| other == denom);
            let start: u128 = of_denom.map(|(_, flow)| flow.start).sum();
            let minted = self.minted.get(denom).copied().unwrap_or_default();
            let burned = self.burned.get(denom).copied().unwrap_or_default();
            let matches = (start + minted).checked_sub(burned) == Some(end);
            rows.push(SupplyRow { denom: denom.to_owned(), start, minted, burned, end, matches });
        }
        Ok(rows)
    }
}
