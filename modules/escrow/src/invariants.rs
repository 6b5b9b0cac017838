//! The laws of escrow's state (I2, I3 and I10).

use kernel::{Amount, Broken, Ctx, E18, ONE_PPM};

use crate::{
    params::DEPOSITORS_LIMIT,
    state::{TOTALS, module_account},
    types::{Account, RATE_MAX},
};

/// I2: the module account holds the sum of all balances.
pub(crate) fn totals(ctx: &Ctx) -> Result<(), Broken> {
    let (expected, held) =
        (TOTALS.load(ctx)?.balance, bank::balance(ctx, &module_account(), &bank::ucredit())?);
    if held == expected {
        return Ok(());
    }
    Err(Broken::law("I2", format!("accounts hold {expected} ucredit, the module account {held}")))
}

/// I2, I3 and I10 of one account, and that a stream has a payee. The market calls it for each of its orders.
pub fn check_account(account: &Account) -> Result<(), Broken> {
    let law = |id: &'static str, holds: bool, what: &str| {
        if holds {
            Ok(())
        } else {
            Err(Broken::law(id, format!("order {}: {what}: {account:?}", account.order)))
        }
    };
    let entries = sum(account.deposits.iter().map(|deposit| deposit.amount));
    law("I2", entries == Some(account.balance), "the balance is not the sum of the deposits")?;
    law("I2", account.deposits.iter().all(|deposit| !deposit.amount.is_zero()), "an entry is empty")?;
    let mut depositors: Vec<_> = account.deposits.iter().map(|deposit| deposit.depositor).collect();
    depositors.sort_unstable();
    depositors.dedup();
    law("I2", depositors.len() == account.deposits.len(), "a depositor has two entries")?;
    let places = usize::try_from(DEPOSITORS_LIMIT).unwrap_or(usize::MAX);
    law("I2", account.deposits.len() <= places, "too many entries")?;
    let uses = [account.balance, account.spent_total, account.fined_total, account.refunded_total];
    law("I3", sum(uses) == Some(account.deposited_total), "the totals do not add up")?;
    let covered = account.carry == 0 || !account.balance.is_zero();
    law("I10", account.carry < E18 && covered, "the carry is not covered by the balance")?;
    let paid = account.stream_fee <= account.stream_gross && account.stream_gross <= account.spent_total;
    law("I10", paid, "a stream has paid more than the account")?;
    law("I10", account.rate <= RATE_MAX && account.fee_ppm <= ONE_PPM, "the rate or the fee is too high")?;
    law("I10", account.payee.is_some() == (account.rate > 0), "a stream has a payee and a rate")
}

fn sum(parts: impl IntoIterator<Item = Amount>) -> Option<Amount> {
    parts.into_iter().try_fold(Amount::ZERO, |all, part| all.plus(part)).ok()
}
