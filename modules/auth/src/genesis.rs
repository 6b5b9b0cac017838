//! The module's part of the genesis document: what `init` takes is what `export` gives.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Address, Ctx, Dec, Module as _, Reject, Result, chain};
use serde::{Deserialize, Serialize};

use crate::{
    Account, Auth, Params, PublicKey,
    fees::BaseFee,
    state::{self, ACCOUNTS, BASE_FEE, NEXT_NUMBER, PARAMS, UNORDERED},
    types::{NextNumber, Unordered},
};

/// The whole state of the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The parameters.
    pub params: Params,
    /// The price of gas in the first block, as an export states it; else `params.fee.base_start`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_fee: Option<Dec>,
    /// Accounts of keys. Who has a balance gets an account without being listed here.
    #[serde(default)]
    pub accounts: Vec<GenesisAccount>,
    /// Accounts of modules, as an export states them; those that the program knows are created without being listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub module_accounts: Vec<GenesisModuleAccount>,
    /// Unordered transactions that have not timed out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unordered: Vec<Claim>,
}

/// An account of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisAccount {
    /// Its address.
    pub address: Address,
    /// Its key, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PublicKey>,
    /// Its number; else the next one that nobody names, in the order of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The sequence of its next ordered transaction.
    #[serde(default)]
    pub sequence: u64,
}

/// An account of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisModuleAccount {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: u64,
}

/// An unordered transaction that has not timed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// Whose it is: an account of `accounts`.
    pub address: Address,
    /// Its timeout, in nanoseconds of header time.
    pub timeout_nanos: u64,
}

pub(crate) fn init(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
    genesis.params.check()?;
    let price = genesis.base_fee.unwrap_or(genesis.params.fee.base_start);
    if price < genesis.params.fee.base_floor || genesis.params.fee.base_ceiling < price {
        return Err(
            Reject::invalid_request("base_fee: expected a price from base_floor to base_ceiling").into()
        );
    }
    let accounts = numbered(&genesis)?;
    let next =
        accounts.values().map(|account| account.number).max().map_or(Some(0), |last| last.checked_add(1));
    let number =
        next.ok_or_else(|| Reject::invalid_request("accounts: no number is left for the next account"))?;

    chain::schema(Auth::STORE).set(ctx, &chain::Schema { version: Auth::SCHEMA })?;
    PARAMS.set(ctx, &genesis.params)?;
    BASE_FEE.set(ctx, &BaseFee { price })?;
    NEXT_NUMBER.set(ctx, &NextNumber { number })?;
    for claim in &genesis.unordered {
        UNORDERED.create(ctx, &(claim.address, claim.timeout_nanos), &Unordered::default())?;
    }
    accounts.values().try_for_each(|account| state::insert(ctx, account))
}

/// All accounts with their numbers.
fn numbered(genesis: &Genesis) -> Result<BTreeMap<Address, Account>, Reject> {
    let mut accounts = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    let named = genesis.accounts.iter().filter_map(|account| account.number);
    for number in named.chain(genesis.module_accounts.iter().map(|account| account.number)) {
        if !numbers.insert(number) {
            return Err(Reject::invalid_request(format!("accounts: number {number} is given twice")));
        }
    }
    let mut unnamed = 0_u64;
    for (index, listed) in genesis.accounts.iter().enumerate() {
        let refuse = |why: String| Reject::invalid_request(format!("accounts[{index}].{why}"));
        if listed.key.as_ref().is_some_and(|key| key.address() != listed.address) {
            return Err(refuse(format!("key: expected a key whose address is {}", listed.address)));
        }
        let number = match listed.number {
            Some(number) => number,
            None => {
                while numbers.contains(&unnamed) {
                    unnamed = unnamed.saturating_add(1);
                }
                numbers.insert(unnamed);
                unnamed
            }
        };
        let account = Account {
            address: listed.address,
            key: listed.key.clone(),
            number,
            sequence: listed.sequence,
            unordered_live: 0,
            module: None,
        };
        if accounts.insert(listed.address, account).is_some() {
            return Err(refuse(format!("address: {} is listed twice", listed.address)));
        }
    }
    for (index, listed) in genesis.module_accounts.iter().enumerate() {
        let address = Address::of_module(&listed.name);
        let module = Some(listed.name.clone());
        let account =
            Account { address, key: None, number: listed.number, sequence: 0, unordered_live: 0, module };
        if accounts.insert(address, account).is_some() {
            return Err(Reject::invalid_request(format!(
                "module_accounts[{index}].name: {address} is listed twice"
            )));
        }
    }
    count_unordered(genesis, &mut accounts)?;
    Ok(accounts)
}

fn count_unordered(genesis: &Genesis, accounts: &mut BTreeMap<Address, Account>) -> Result<(), Reject> {
    let mut seen = BTreeSet::new();
    for (index, claim) in genesis.unordered.iter().enumerate() {
        let refuse = |why: &str| Reject::invalid_request(format!("unordered[{index}]: {why}"));
        if !seen.insert((claim.address, claim.timeout_nanos)) {
            return Err(refuse("is listed twice"));
        }
        let account =
            accounts.get_mut(&claim.address).ok_or_else(|| refuse("expected an address of accounts"))?;
        account.unordered_live = account.unordered_live.saturating_add(1);
        if account.unordered_live > genesis.params.unordered_live_max {
            return Err(refuse("its account has more than params.unordered_live_max"));
        }
    }
    Ok(())
}

pub(crate) fn export(ctx: &Ctx) -> Result<Genesis> {
    let mut genesis = Genesis {
        params: PARAMS.load(ctx)?,
        base_fee: Some(BASE_FEE.load(ctx)?.price),
        ..Genesis::default()
    };
    ACCOUNTS.for_each(ctx, |address, account| {
        match account.module {
            Some(name) => genesis.module_accounts.push(GenesisModuleAccount { name, number: account.number }),
            None => genesis.accounts.push(GenesisAccount {
                address,
                key: account.key,
                number: Some(account.number),
                sequence: account.sequence,
            }),
        }
        Ok(())
    })?;
    UNORDERED.for_each(ctx, |(address, timeout_nanos), _| {
        genesis.unordered.push(Claim { address, timeout_nanos });
        Ok(())
    })?;
    Ok(genesis)
}
