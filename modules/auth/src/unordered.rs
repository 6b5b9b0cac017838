//! Unordered transactions: each (account, timeout) is used once, and is on record for as long as it could be used again.

use kernel::{Address, At, Cost, Ctx, Fatal, Header, Key as _, Reject, Result};

use crate::{
    Account, Error, get,
    params::params,
    set,
    state::{EXPIRIES, RETRIES, UNORDERED},
    types::{Unordered, UnorderedKey},
};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// What forgetting one costs later, paid when it is recorded.
pub const EXPIRY_GAS: u64 = 10_000;

/// The second in which a timeout is certainly past, whether an equal time still counts or not: a record is never gone
/// while its transaction would be accepted.
pub(crate) const fn expiry(timeout_nanos: u64) -> At<Header> {
    At::new((timeout_nanos / NANOS_PER_SECOND).saturating_add(1))
}

/// Records the use of an account's unordered transaction until its timeout, in nanoseconds of header time, and writes the
/// account, as the caller has read it. The caller has checked that the timeout is ahead, and not too far. A second use is
/// refused (sdk 19), and so is one more than `unordered_live_max` that have not timed out (auth 2).
pub fn claim(ctx: &mut Ctx, mut account: Account, timeout_nanos: u64) -> Result<()> {
    let live_max = params(ctx)?.unordered_live_max;
    let address = account.address;
    let key = (address, timeout_nanos);
    if UNORDERED.has(ctx, &key)? {
        let text = format!("{address} already used an unordered transaction with timeout {timeout_nanos} ns");
        return Err(Reject::new(Reject::SDK, 19, format!("{text}: tx already known")).into());
    }
    // A late queue must not change the outcome: what has timed out does not count, on record or not.
    if account.unordered_live >= live_max && forget_oldest(ctx, &address)? {
        account.unordered_live = account.unordered_live.saturating_sub(1);
    }
    if account.unordered_live >= live_max {
        return Err(Error::TooManyUnordered { address, live: account.unordered_live }.into());
    }
    ctx.charge(Cost::Fixed(EXPIRY_GAS))?;

    // From here on nothing may fail but gas and storage.
    UNORDERED.create(ctx, &key, &Unordered::default())?;
    account.unordered_live = account.unordered_live.saturating_add(1);
    set(ctx, &account)
}

/// Removes the account's oldest record if that one has timed out; the caller counts it.
fn forget_oldest(ctx: &mut Ctx, address: &Address) -> Result<bool> {
    let Some(timeout_nanos) = oldest_past(ctx)? else { return Ok(false) };
    let from = (*address, timeout_nanos).to_bytes();
    let oldest = UNORDERED.page(ctx, address, Some(&from), 1)?;
    match oldest.items.first() {
        Some((key, _)) if expiry(key.1) <= ctx.block.time => {
            let key = *key;
            UNORDERED.remove(ctx, &key)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A timeout, in nanoseconds, that no record on file is below; `None`: none has timed out. Whoever sends a transaction has not
/// paid yet when this is asked, and below it an account may have any number of removed records that the database still
/// steps over.
fn oldest_past(ctx: &Ctx) -> Result<Option<u64>, Fatal> {
    // One on hold waits for a height, whatever its timeout.
    if RETRIES.first(ctx)?.is_some() {
        return Ok(Some(0));
    }
    // The earliest timeout that has this expiry.
    let timeout = |second: At<Header>| second.saturating_minus(1).value().saturating_mul(NANOS_PER_SECOND);
    Ok(EXPIRIES.first(ctx)?.filter(|second| *second <= ctx.block.time).map(timeout))
}

/// Forgets one that has timed out.
pub(crate) fn forget(ctx: &mut Ctx, key: &UnorderedKey) -> Result<()> {
    if !UNORDERED.has(ctx, key)? {
        return Ok(());
    }
    let address = key.0;
    let unknown =
        || Reject::new(Reject::SDK, 9, format!("account {address} does not exist: unknown address"));
    let mut account = get(ctx, &address)?.ok_or_else(unknown)?;
    UNORDERED.remove(ctx, key)?;
    account.unordered_live = account.unordered_live.saturating_sub(1);
    set(ctx, &account)
}
