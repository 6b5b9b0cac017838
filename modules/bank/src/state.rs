//! The tables, and the only functions that change balances.

use kernel::{Address, Amount, Ctx, IndexedMap, Item, Map, Module as _, Reject, Result, StoreId};

use crate::{
    Bank, Coin, Denom, Metadata, Params,
    events::{Burned, Minted, Transferred},
    types::{Balance, BalanceKey, SendEnabled, Supply},
};

const STORE: StoreId = Bank::STORE;
pub(crate) const BALANCES_TAG: u8 = 2;
pub(crate) const SUPPLY_TAG: u8 = 3;

pub(crate) const PARAMS: Item<Params> = Item::new(STORE, 1);
pub(crate) const BALANCES: IndexedMap<BalanceKey, Balance> = IndexedMap::new(STORE, BALANCES_TAG);
pub(crate) const SUPPLY: Map<Denom, Supply> = Map::new(STORE, SUPPLY_TAG);
pub(crate) const METADATA: Map<Denom, Metadata> = Map::new(STORE, 4);
pub(crate) const SEND_ENABLED: Map<Denom, SendEnabled> = Map::new(STORE, 5);

/// Who holds a denom: (denom, account).
pub(crate) const BY_DENOM: u8 = 1;

/// What an account has of a denom; all of it can be spent.
pub fn balance(ctx: &Ctx, address: &Address, denom: &Denom) -> Result<Amount> {
    let key = (*address, denom.clone());
    Ok(BALANCES.get(ctx, &key)?.map_or(Amount::ZERO, |balance| balance.amount))
}

/// How much there is of a denom.
pub fn supply(ctx: &Ctx, denom: &Denom) -> Result<Amount> {
    Ok(SUPPLY.get(ctx, denom)?.map_or(Amount::ZERO, |supply| supply.amount))
}

/// Whether accounts may send a denom to one another. Modules always may.
pub fn send_enabled(ctx: &Ctx, denom: &Denom) -> Result<bool> {
    match SEND_ENABLED.get(ctx, denom)? {
        Some(setting) => Ok(setting.enabled),
        None => Ok(PARAMS.load(ctx)?.default_send_enabled),
    }
}

/// Moves money; the receiver gets an account if it has none. Nothing happens to an amount of zero, and a transfer to
/// oneself changes nothing. Too little money is refused (sdk 5).
pub fn transfer(ctx: &mut Ctx, from: Address, to: Address, denom: &Denom, amount: Amount) -> Result<()> {
    if amount.is_zero() {
        return Ok(());
    }
    let left = spend(ctx, &from, denom, amount)?;
    let event = Transferred { sender: from, receiver: to, denom: denom.clone(), amount };
    if from == to {
        ctx.emit(&event);
        return Ok(());
    }
    let received = balance(ctx, &to, denom)?.plus(amount)?;

    // From here on nothing may fail but gas and storage.
    auth::ensure(ctx, &to)?;
    set_balance(ctx, from, denom, left)?;
    set_balance(ctx, to, denom, received)?;
    ctx.emit(&event);
    Ok(())
}

/// Destroys an account's money, and the supply falls by as much. Nothing happens to an amount of zero; too little money is
/// refused (sdk 5).
pub fn burn(ctx: &mut Ctx, from: Address, denom: &Denom, amount: Amount) -> Result<()> {
    if amount.is_zero() {
        return Ok(());
    }
    let left = spend(ctx, &from, denom, amount)?;
    let supply = supply(ctx, denom)?.minus(amount)?;

    // From here on nothing may fail but gas and storage.
    set_balance(ctx, from, denom, left)?;
    set_supply(ctx, denom, supply)?;
    ctx.emit(&Burned { account: from, denom: denom.clone(), amount });
    Ok(())
}

/// Creates money, and the supply grows by as much. Nothing happens to an amount of zero; a supply beyond the largest
/// amount is refused.
pub fn mint(ctx: &mut Ctx, to: Address, denom: &Denom, amount: Amount) -> Result<()> {
    if amount.is_zero() {
        return Ok(());
    }
    let supply = supply(ctx, denom)?.plus(amount)?;
    let received = balance(ctx, &to, denom)?.plus(amount)?;

    // From here on nothing may fail but gas and storage.
    auth::ensure(ctx, &to)?;
    set_balance(ctx, to, denom, received)?;
    set_supply(ctx, denom, supply)?;
    ctx.emit(&Minted { account: to, denom: denom.clone(), amount });
    Ok(())
}

/// What is left to an account that spends an amount.
pub(crate) fn spend(ctx: &Ctx, from: &Address, denom: &Denom, amount: Amount) -> Result<Amount> {
    let has = balance(ctx, from, denom)?;
    has.minus(amount).map_err(|_| {
        let (has, wanted) =
            (Coin { denom: denom.clone(), amount: has }, Coin { denom: denom.clone(), amount });
        let text = format!("spendable balance {has} is smaller than {wanted}: insufficient funds");
        Reject::insufficient_funds(text).into()
    })
}

fn set_balance(ctx: &mut Ctx, address: Address, denom: &Denom, amount: Amount) -> Result<()> {
    let key = (address, denom.clone());
    if amount.is_zero() {
        BALANCES.remove(ctx, &key)
    } else {
        BALANCES.update(ctx, &key, &Balance { amount })
    }
}

fn set_supply(ctx: &mut Ctx, denom: &Denom, amount: Amount) -> Result<()> {
    if amount.is_zero() {
        SUPPLY.remove(ctx, denom)
    } else {
        SUPPLY.set(ctx, denom, &Supply { amount }).map(drop)
    }
}
