//! Who plays: accounts whose keys everyone knows, so that a user can act as any of them afterwards.

use std::collections::BTreeMap;

use kernel::Address;
use serde_json::{Value, json};
use underbid::client::keys::Key;

use super::Error;

/// The words from which all keys come: the well-known ones that never protect anything.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// One FLOP in uflop, and one CREDIT in ucredit.
pub const UNIT: u128 = 1_000_000;

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sets classes and parameters.
    Authority,
    /// Orders and pays.
    Tenant,
    /// Offers machines.
    Provider,
}

/// An account of the play.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is called.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// The last step of its key's path.
    pub index: u32,
    /// Its key.
    pub key: Key,
    /// What it has at genesis, in uflop and in ucredit.
    pub start: (u128, u128),
}

impl Member {
    /// Its address as text.
    pub fn address(&self) -> String {
        self.key.address().to_string()
    }
}

/// All accounts of the play.
#[derive(Clone, Debug)]
pub struct Cast {
    members: Vec<Member>,
    names: BTreeMap<String, String>,
}

const TENANTS: [&str; 4] = ["alice", "bruno", "chiara", "dmitri"];
const PROVIDERS: [&str; 8] = ["aurora", "boreal", "cumulus", "delta", "ember", "fjord", "glacier", "harbor"];
const MODULE_ACCOUNTS: [&str; 4] = ["escrow", "fee_collector", "market_fees", "stake_pool"];

impl Cast {
    /// The one cast that there is.
    pub fn new() -> Result<Self, Error> {
        let roles = [("authority", Role::Authority, (1_000, 0))].into_iter();
        let tenants = TENANTS.map(|name| (name, Role::Tenant, (1_000, 1_000)));
        let providers = PROVIDERS.map(|name| (name, Role::Provider, (250_000, 0)));
        let mut members = Vec::new();
        for ((name, role, (flop, credit)), index) in roles.chain(tenants).chain(providers).zip(0..) {
            let key = Key::derive(MNEMONIC, index).map_err(|error| Error::Cast(error.to_string()))?;
            members.push(Member { name, role, index, key, start: (flop * UNIT, credit * UNIT) });
        }
        let keys = members.iter().map(|member| (member.address(), member.name.to_owned()));
        let modules = MODULE_ACCOUNTS.map(|name| (Address::of_module(name).to_string(), name.to_owned()));
        let names = keys.chain(modules).collect();
        Ok(Self { members, names })
    }

    /// Every account that has a key.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The accounts of a role, in order.
    pub fn of(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| member.role == role)
    }

    /// The account of this name.
    pub fn member(&self, name: &str) -> Result<&Member, Error> {
        let found = self.members.iter().find(|member| member.name == name);
        found.ok_or_else(|| Error::Cast(format!("there is no account called {name}")))
    }

    /// What an address is called; the address itself where it is nobody's.
    pub fn name(&self, address: &str) -> String {
        self.names.get(address).cloned().unwrap_or_else(|| address.to_owned())
    }

    /// Where an address stands in lists: its account's place, modules last.
    pub fn place(&self, address: &str) -> usize {
        let place = self.members.iter().position(|member| member.address() == address);
        place.unwrap_or(self.members.len())
    }

    /// A genesis document with these accounts, their money, and the authority among them.
    pub fn complete(&self, mut genesis: Value) -> Result<Value, Error> {
        let missing = |path: &str| Error::Cast(format!("genesis: expected {path}"));
        let authority = self.member("authority")?.address();
        for path in ["/app_state/provider/params/authority", "/app_state/escrow/params/authority"] {
            *genesis.pointer_mut(path).ok_or_else(|| missing(path))? = json!(authority);
        }
        let path = "/app_state/bank/balances";
        let balances =
            genesis.pointer_mut(path).and_then(Value::as_array_mut).ok_or_else(|| missing(path))?;
        for member in &self.members {
            let (uflop, ucredit) = member.start;
            let coins =
                [("ucredit", ucredit), ("uflop", uflop)].into_iter().filter(|(_, amount)| *amount > 0);
            let coins: Vec<Value> = coins
                .map(|(denom, amount)| json!({ "denom": denom, "amount": amount.to_string() }))
                .collect();
            balances.push(json!({ "address": member.address(), "coins": coins }));
        }
        Ok(genesis)
    }
}
