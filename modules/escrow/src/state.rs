//! The module's own records, and the functions that move an account's money. `fine`, `settle_final` and `close` are parts
//! of closing paths: they take what is there and refuse nothing.

use kernel::{
    Address, Amount, At, Billing, Ctx, Item, Result,
    chain::{Schema, schema},
};

use crate::{
    STORE,
    errors::Error,
    events::{AccountFined, DepositRefunded, StreamSettled},
    params::Params,
    types::{Account, Deposit, Payment},
};

/// The module account that holds the balances of all accounts.
pub const POOL: &str = "escrow";
/// The module account that receives fees and fines.
pub const MARKET_FEES: &str = "market_fees";

pub(crate) const SCHEMA: Item<Schema> = schema(STORE);
pub(crate) const PARAMS: Item<Params> = Item::new(STORE, 1);
pub(crate) const TOTALS: Item<Totals> = Item::new(STORE, 2);

kernel::record! {
    /// Running totals, checked against the bank in every block.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Totals {
        /// The sum of the balances of all accounts, in ucredit.
        pub balance: Amount = 1,
    }
}

/// The address that holds the balances of all accounts.
pub fn module_account() -> Address {
    Address::of_module(POOL)
}

/// The address that receives fees and fines.
pub fn fees_account() -> Address {
    Address::of_module(MARKET_FEES)
}

/// The parameters in force.
pub fn params(ctx: &Ctx) -> Result<Params> {
    PARAMS.load(ctx)
}

/// Opens the account of an order with its owner's first deposit, `amount` > 0. Rejects without the money.
pub fn open(ctx: &mut Ctx, order: u64, owner: Address, amount: Amount) -> Result<Account> {
    let mut account = Account::new(order, owner, params(ctx)?.fee_ppm);
    receive(ctx, &mut account, owner, amount)?;
    Ok(account)
}

/// Adds money, `amount` > 0. Rejects a depositor without a place, and one without the money.
pub fn deposit(ctx: &mut Ctx, account: &mut Account, depositor: Address, amount: Amount) -> Result<()> {
    let depositors_max = params(ctx)?.depositors_max;
    if !account.has_place_for(depositor, depositors_max) {
        return Err(Error::TooManyDepositors { order: account.order, depositors_max }.into());
    }
    receive(ctx, account, depositor, amount)
}

/// Pays the stream up to `as_of`, or to the end of the money; nothing during the hold. Returns what left the account.
pub fn settle(ctx: &mut Ctx, account: &mut Account, as_of: At<Billing>) -> Result<Amount> {
    let payment = account.draw(as_of, false);
    pay(ctx, account.order, payment)
}

/// Pays the stream up to its end at `as_of`, hold or not. Returns what left the account.
pub fn settle_final(ctx: &mut Ctx, account: &mut Account, as_of: At<Billing>) -> Result<Amount> {
    let payment = account.draw(as_of, true);
    pay(ctx, account.order, payment)
}

/// Fines the account, or takes the price of another round's window: up to `amount` goes to the market. Returns what left the
/// account.
pub fn fine(ctx: &mut Ctx, account: &mut Account, amount: Amount) -> Result<Amount> {
    let fined = account.take_fine(amount);
    if fined.is_zero() {
        return Ok(fined);
    }
    ctx.emit(&AccountFined { order_id: account.order, amount: fined });
    send(ctx, fees_account(), fined)?;
    count_out(ctx, fined)
}

/// Gives each depositor its money back, in order. Returns the sum; the account stays, empty.
pub fn close(ctx: &mut Ctx, account: &mut Account) -> Result<Amount> {
    let refunded = account.balance;
    for Deposit { depositor, amount } in account.take_all() {
        ctx.emit(&DepositRefunded { order_id: account.order, depositor, amount });
        send(ctx, depositor, amount)?;
    }
    count_out(ctx, refunded)
}

/// Counts the balance of an account that comes from a genesis document; the bank holds its money already.
pub fn import(ctx: &mut Ctx, account: &Account) -> Result<()> {
    let totals = TOTALS.load(ctx)?;
    TOTALS.set(ctx, &Totals { balance: totals.balance.plus(account.balance)? })
}

fn receive(ctx: &mut Ctx, account: &mut Account, from: Address, amount: Amount) -> Result<()> {
    if amount.is_zero() {
        // An entry is never empty.
        return Ok(());
    }
    account.add(from, amount)?;
    bank::transfer(ctx, from, module_account(), &bank::ucredit(), amount)?;
    let totals = TOTALS.load(ctx)?;
    TOTALS.set(ctx, &Totals { balance: totals.balance.plus(amount)? })
}

fn pay(ctx: &mut Ctx, order_id: u64, payment: Option<Payment>) -> Result<Amount> {
    let Some(Payment { payee, gross, fee, as_of }) = payment else { return Ok(Amount::ZERO) };
    ctx.emit(&StreamSettled { order_id, payee, gross, fee, as_of });
    send(ctx, payee, gross.saturating_minus(fee))?;
    send(ctx, fees_account(), fee)?;
    count_out(ctx, gross)
}

/// Moves money out. The bank can't refuse it: the module account holds the sum of all balances (I2).
fn send(ctx: &mut Ctx, to: Address, amount: Amount) -> Result<()> {
    bank::transfer(ctx, module_account(), to, &bank::ucredit(), amount)
}

/// Counts and returns what has left an account.
fn count_out(ctx: &mut Ctx, amount: Amount) -> Result<Amount> {
    if amount.is_zero() {
        return Ok(amount);
    }
    let totals = TOTALS.load(ctx)?;
    TOTALS.set(ctx, &Totals { balance: totals.balance.saturating_minus(amount) })?;
    Ok(amount)
}
