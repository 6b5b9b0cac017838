//! The laws of the module's state.

use std::collections::BTreeMap;

use bytes::Bytes;
use kernel::{
    Amount, Broken, Change, Changes, Ctx, DerivedSink, Fatal, Key as _, Module as _, Overflow, Record as _,
    Space, entries_of,
};

use crate::{
    Bank, Denom,
    state::{BALANCES, BALANCES_TAG, SUPPLY, SUPPLY_TAG},
    types::{Balance, BalanceKey, Supply},
};

/// Checks that what a block's changes add to the balances of a denom is what they add to its supply. The cost is linear in
/// the changes of this module.
pub fn check_changes(changes: &Changes) -> Result<(), Broken> {
    let space = Space::State(Bank::STORE);
    // For each denom the balances after and the supply before, then the balances before and the supply after: 128 bits
    // hold the sum of any 2^32 amounts, and no denom's subtraction can be negative.
    let mut sums: BTreeMap<Denom, (u128, u128)> = BTreeMap::new();
    for ((_, key), change) in changes.range((space, Bytes::new())..).take_while(|((at, _), _)| *at == space) {
        let corrupt = || Fatal::Corrupt { store: Bank::STORE, key: key.clone() };
        let (tag, rest) = key.split_first().ok_or_else(corrupt)?;
        let Change { old, new } = change;
        let (denom, left, right) = match *tag {
            BALANCES_TAG => {
                let (_, denom) = BalanceKey::from_bytes(rest).ok_or_else(corrupt)?;
                (denom, balance(new).ok_or_else(corrupt)?, balance(old).ok_or_else(corrupt)?)
            }
            SUPPLY_TAG => {
                let denom = Denom::from_bytes(rest).ok_or_else(corrupt)?;
                (denom, supply(old).ok_or_else(corrupt)?, supply(new).ok_or_else(corrupt)?)
            }
            _ => continue,
        };
        let sum = sums.entry(denom).or_default();
        let add = |total: u128, amount: Amount| total.checked_add(amount.units()).ok_or(Overflow);
        *sum =
            (add(sum.0, left).map_err(kernel::Error::from)?, add(sum.1, right).map_err(kernel::Error::from)?);
    }
    match sums.iter().find(|(_, (left, right))| left != right) {
        None => Ok(()),
        Some((denom, (left, right))) => {
            let text =
                format!("{denom}: balances after and supply before are {left}, the other way round {right}");
            Err(Broken::law("B1", text))
        }
    }
}

fn balance(bytes: &Option<Bytes>) -> Option<Amount> {
    let Some(bytes) = bytes else { return Some(Amount::ZERO) };
    let (version, body) = bytes.split_first()?;
    Balance::decode(*version, body).map(|balance| balance.amount)
}

fn supply(bytes: &Option<Bytes>) -> Option<Amount> {
    let Some(bytes) = bytes else { return Some(Amount::ZERO) };
    let (version, body) = bytes.split_first()?;
    Supply::decode(*version, body).map(|supply| supply.amount)
}

/// Every law over every record.
pub(crate) fn check(ctx: &Ctx) -> Result<(), Broken> {
    let mut sums: BTreeMap<Denom, Amount> = BTreeMap::new();
    let mut broken = None;
    BALANCES.for_each(ctx, |(address, denom), balance| {
        if balance.amount.is_zero() {
            broken = Some(Broken::law("B2", format!("{address} has a record of 0{denom}")));
        }
        if auth::get(ctx, &address)?.is_none() {
            broken = Some(Broken::law("B3", format!("{address} has {denom} but no account")));
        }
        let sum = sums.entry(denom).or_default();
        *sum = sum.plus(balance.amount)?;
        Ok(())
    })?;
    SUPPLY.for_each(ctx, |denom, supply| {
        let sum = sums.remove(&denom).unwrap_or_default();
        if supply.amount != sum || sum.is_zero() {
            let text = format!("the supply of {denom} is {}, its balances sum to {sum}", supply.amount);
            broken = Some(Broken::law("B1", text));
        }
        Ok(())
    })?;
    if let Some((denom, sum)) = sums.first_key_value() {
        return Err(Broken::law("B1", format!("{denom} has no supply, but its balances sum to {sum}")));
    }
    let mut expected = DerivedSink::default();
    BALANCES.collect(ctx, &mut expected)?;
    if *expected.entries() != entries_of(ctx, Bank::STORE)? {
        return Err(Broken::law("B4", "the index's entries are not those that the balances give"));
    }
    broken.map_or(Ok(()), Err)
}
