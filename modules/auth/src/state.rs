//! The tables, and the few functions that write more than one of them.

use kernel::{
    Address, Ctx, DueQueue, Header, Height, IndexedMap, Item, Map, Module as _, Overflow, Reject, Result,
    StoreId,
};

use crate::{
    Account, Auth, Params,
    fees::BaseFee,
    types::{ModuleName, NextNumber, Unordered, UnorderedKey},
};

const STORE: StoreId = Auth::STORE;

pub(crate) const PARAMS: Item<Params> = Item::new(STORE, 1);
pub(crate) const ACCOUNTS: Map<Address, Account> = Map::new(STORE, 2);
pub(crate) const NEXT_NUMBER: Item<NextNumber> = Item::new(STORE, 3);
pub(crate) const MODULE_NAMES: Map<String, ModuleName> = Map::new(STORE, 4);
pub(crate) const UNORDERED: IndexedMap<UnorderedKey, Unordered> = IndexedMap::new(STORE, 5);
pub(crate) const BASE_FEE: Item<BaseFee> = Item::new(STORE, 6);

/// Unordered transactions by the second in which they are forgotten.
pub(crate) const EXPIRIES: DueQueue<Header, UnorderedKey, Unordered> = DueQueue::new(UNORDERED, 1);
/// Those that could not be removed, by the height of the next try.
pub(crate) const RETRIES: DueQueue<Height, UnorderedKey, Unordered> = DueQueue::new(UNORDERED, 2);

/// The longest name of a module account, in bytes.
const MODULE_NAME_BYTES_MAX: usize = 64;

/// An account.
pub fn get(ctx: &Ctx, address: &Address) -> Result<Option<Account>> {
    ACCOUNTS.get(ctx, address)
}

/// An account, created with the next number if there is none yet.
pub fn ensure(ctx: &mut Ctx, address: &Address) -> Result<Account> {
    match get(ctx, address)? {
        Some(account) => Ok(account),
        None => create(ctx, *address, None),
    }
}

/// Writes an account. Its address, number and module never change.
pub fn set(ctx: &mut Ctx, account: &Account) -> Result<()> {
    ACCOUNTS.set(ctx, &account.address, account).map(drop)
}

/// Whether an account is a module's, which may not be sent money by hand.
pub fn is_module_account(ctx: &Ctx, address: &Address) -> Result<bool> {
    Ok(get(ctx, address)?.is_some_and(|account| account.module.is_some()))
}

/// The account of a module, created if there is none yet. For genesis and upgrades: an account of that address that is
/// not the module's is refused (sdk 18).
pub fn create_module_account(ctx: &mut Ctx, name: &str) -> Result<Account> {
    if name.is_empty() || name.len() > MODULE_NAME_BYTES_MAX {
        let text =
            format!("a module account's name has 1 to {MODULE_NAME_BYTES_MAX} bytes, got {}", name.len());
        return Err(Reject::invalid_request(text).into());
    }
    let address = Address::of_module(name);
    match get(ctx, &address)? {
        Some(account) if account.module.as_deref() == Some(name) => Ok(account),
        Some(_) => Err(Reject::invalid_request(format!("{address} is the account of module {name}")).into()),
        None => create(ctx, address, Some(name.to_owned())),
    }
}

fn create(ctx: &mut Ctx, address: Address, module: Option<String>) -> Result<Account> {
    let number = NEXT_NUMBER.load(ctx)?.number;
    NEXT_NUMBER.set(ctx, &NextNumber { number: number.checked_add(1).ok_or(Overflow)? })?;
    let account = Account { address, key: None, number, sequence: 0, unordered_live: 0, module };
    insert(ctx, &account)?;
    Ok(account)
}

/// Writes an account that is not there yet, and lists it if it is a module's.
pub(crate) fn insert(ctx: &mut Ctx, account: &Account) -> Result<()> {
    if let Some(name) = &account.module {
        MODULE_NAMES.set(ctx, name, &ModuleName { address: account.address })?;
    }
    set(ctx, account)
}
