//! The module's part of the genesis document: what `init` takes is what `export` gives.

use std::collections::BTreeMap;

use kernel::{Address, Amount, Ctx, Error, Module as _, Reject, Result, chain};
use serde::{Deserialize, Serialize};

use crate::{
    Bank, Coin, Coins, Denom, Metadata, Params,
    state::{BALANCES, METADATA, PARAMS, SEND_ENABLED, SUPPLY},
    types::{Balance, SendEnabled, Supply},
};

/// The whole state of the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The parameters.
    #[serde(default)]
    pub params: Params,
    /// Who has what. An account is created for whom auth does not list.
    #[serde(default)]
    pub balances: Vec<Balances>,
    /// The sums of the balances, sorted by denom; checked if it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply: Option<Vec<Coin>>,
    /// How denoms are shown.
    #[serde(default)]
    pub metadata: Vec<Metadata>,
    /// Denoms with a setting of their own on whether accounts may send them.
    #[serde(default)]
    pub send_enabled: Vec<SendEnabledFlag>,
}

/// What one account has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balances {
    /// The account.
    pub address: Address,
    /// Its money, sorted by denom, none of it zero.
    pub coins: Vec<Coin>,
}

/// Whether accounts may send a denom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendEnabledFlag {
    /// The denom.
    pub denom: Denom,
    /// True: they may.
    pub enabled: bool,
}

pub(crate) fn init(ctx: &mut Ctx, genesis: Genesis) -> Result<()> {
    chain::schema(Bank::STORE).set(ctx, &chain::Schema { version: Bank::SCHEMA })?;
    PARAMS.set(ctx, &genesis.params)?;
    let mut sums = BTreeMap::new();
    for (index, owner) in genesis.balances.into_iter().enumerate() {
        credit(ctx, owner, &mut sums).map_err(|error| within(&format!("balances[{index}]"), error))?;
    }
    if genesis.supply.is_some_and(|given| !is_supply(&given, &sums)) {
        return Err(
            Reject::invalid_request("supply: expected the sums of the balances, sorted by denom").into()
        );
    }
    for (denom, amount) in sums {
        SUPPLY.set(ctx, &denom, &Supply { amount })?;
    }
    for (index, metadata) in genesis.metadata.iter().enumerate() {
        check_metadata(metadata).map_err(|error| within(&format!("metadata[{index}]"), error.into()))?;
        if METADATA.has(ctx, &metadata.base)? {
            return Err(Reject::invalid_request(format!(
                "metadata[{index}]: {} is listed twice",
                metadata.base
            ))
            .into());
        }
        METADATA.set(ctx, &metadata.base, metadata)?;
    }
    for (index, flag) in genesis.send_enabled.iter().enumerate() {
        if SEND_ENABLED.has(ctx, &flag.denom)? {
            return Err(Reject::invalid_request(format!(
                "send_enabled[{index}]: {} is listed twice",
                flag.denom
            ))
            .into());
        }
        SEND_ENABLED.set(ctx, &flag.denom, &SendEnabled { enabled: flag.enabled })?;
    }
    Ok(())
}

/// Writes one account's balances and adds them to the sums. Genesis itself is the record of them: there are no events.
fn credit(ctx: &mut Ctx, owner: Balances, sums: &mut BTreeMap<Denom, Amount>) -> Result<()> {
    let coins = Coins::new(owner.coins)?;
    for coin in coins.as_slice() {
        let key = (owner.address, coin.denom.clone());
        if BALANCES.has(ctx, &key)? {
            return Err(Reject::invalid_request(format!(
                "{} is listed twice with {}",
                owner.address, coin.denom
            ))
            .into());
        }
        BALANCES.create(ctx, &key, &Balance { amount: coin.amount })?;
        let sum = sums.entry(coin.denom.clone()).or_default();
        let too_large =
            |_| Reject::invalid_coins(format!("the supply of {} is above {}", coin.denom, Amount::MAX));
        *sum = sum.plus(coin.amount).map_err(too_large)?;
    }
    auth::ensure(ctx, &owner.address).map(drop)
}

fn is_supply(given: &[Coin], sums: &BTreeMap<Denom, Amount>) -> bool {
    given.iter().map(|coin| (&coin.denom, &coin.amount)).eq(sums)
}

fn check_metadata(metadata: &Metadata) -> Result<(), Reject> {
    let require = |holds: bool, text: &str| if holds { Ok(()) } else { Err(Reject::invalid_request(text)) };
    for unit in &metadata.denom_units {
        Denom::new(&unit.denom)?;
    }
    let first = metadata.denom_units.first();
    let base_first = first.is_some_and(|unit| unit.denom == metadata.base.as_str() && unit.exponent == 0);
    require(base_first, "denom_units: expected the base first, with exponent 0")?;
    let ascending = metadata.denom_units.is_sorted_by(|a, b| a.exponent < b.exponent);
    require(ascending, "denom_units: expected ascending exponents")?;
    let shown = metadata.denom_units.iter().any(|unit| unit.denom == metadata.display);
    require(shown, "display: expected one of denom_units")
}

fn within(path: &str, error: Error) -> Error {
    match error {
        Error::Rejected(reject) => Reject { message: format!("{path}: {}", reject.message), ..reject }.into(),
        other => other,
    }
}

pub(crate) fn export(ctx: &Ctx) -> Result<Genesis> {
    let mut genesis = Genesis { params: PARAMS.load(ctx)?, ..Genesis::default() };
    BALANCES.for_each(ctx, |(address, denom), balance| {
        let coin = Coin { denom, amount: balance.amount };
        match genesis.balances.last_mut().filter(|last| last.address == address) {
            Some(last) => last.coins.push(coin),
            None => genesis.balances.push(Balances { address, coins: vec![coin] }),
        }
        Ok(())
    })?;
    let mut supply = Vec::new();
    SUPPLY.for_each(ctx, |denom, total| {
        supply.push(Coin { denom, amount: total.amount });
        Ok(())
    })?;
    genesis.supply = Some(supply);
    METADATA.for_each(ctx, |_, metadata| {
        genesis.metadata.push(metadata);
        Ok(())
    })?;
    SEND_ENABLED.for_each(ctx, |denom, setting| {
        genesis.send_enabled.push(SendEnabledFlag { denom, enabled: setting.enabled });
        Ok(())
    })?;
    Ok(genesis)
}
