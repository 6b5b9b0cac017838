//! The account: a value that lives inside the record of what it pays for, and all of its arithmetic. Nothing here moves
//! money; [`crate::state`] does, by the figures that these functions give.

use kernel::{Address, Amount, At, Billing, E18, ONE_PPM, Overflow};
use serde::{Deserialize, Serialize};

/// The highest rate of a stream, ucredit a second times 10^18. With it every product below fits 128 bits:
/// 10^28 x [`DRY_S_MAX`] + 10^18 < 2^128.
pub const RATE_MAX: u128 = 10_000_000_000_000_000_000_000_000_000;
/// The latest that a stream can run dry after it was settled, in seconds: some 300 years.
pub const DRY_S_MAX: u64 = 10_000_000_000;

kernel::record! {
    /// What one depositor has in an account.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Deposit {
        /// Whose money it is.
        pub depositor: Address = 1,
        /// How much, in ucredit, above 0.
        pub amount: Amount = 2,
    }

    /// The money of one order, and the stream by which it pays the lease. All amounts are ucredit.
    ///
    /// Always: `balance` is the sum of `deposits`; `deposited_total = balance + spent_total + fined_total +
    /// refunded_total`; `carry < 10^18` and `carry <= balance * 10^18`.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Account {
        /// The order, from 1.
        pub order: u64 = 1,
        /// The tenant: it always has a place among the depositors.
        pub owner: Address = 2,
        /// What is there, in the order in which it is spent.
        pub deposits: Vec<Deposit> = 3,
        /// The sum of the deposits.
        pub balance: Amount = 4,
        /// All that was ever put in.
        pub deposited_total: Amount = 5,
        /// All that went back to depositors.
        pub refunded_total: Amount = 6,
        /// All that was fined or paid for windows of further rounds.
        pub fined_total: Amount = 7,
        /// All that was paid for use, the fee included.
        pub spent_total: Amount = 8,
        /// Who is paid; `None`: no stream.
        pub payee: Option<Address> = 9,
        /// ucredit a second times 10^18; 0: no stream.
        #[serde(with = "kernel::json::decimal")]
        pub rate: u128 = 10,
        /// Up to when the stream is paid.
        pub settled_at: At<Billing> = 11,
        /// Until when nothing is paid out unless the stream ends.
        pub hold_until: At<Billing> = 12,
        /// What the stream owes beyond whole ucredit, times 10^18.
        #[serde(with = "kernel::json::decimal")]
        pub carry: u128 = 13,
        /// What this stream has paid, the fee included.
        pub stream_gross: Amount = 14,
        /// What this stream has paid as fee.
        pub stream_fee: Amount = 15,
        /// The market's share in ppm, frozen when the account was opened.
        pub fee_ppm: u32 = 16,
    }
}

/// What a stream paid from its start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// All of it, in ucredit.
    pub gross: Amount,
    /// The market's part of it.
    pub fee: Amount,
}

/// An account as of a moment: what its stored form and the clock say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// What the stream owes at that moment and has not paid, in ucredit.
    pub owed: Amount,
    /// What is left after that.
    pub balance: Amount,
    /// When the money runs out; `None`: no stream.
    pub dry_at: Option<At<Billing>>,
    /// What each depositor would get back if the account were closed at that moment, the stream having paid at least its
    /// charge.
    pub refunds: Vec<Deposit>,
}

/// A part of a stream that is to be paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    pub payee: Address,
    pub gross: Amount,
    pub fee: Amount,
    pub as_of: At<Billing>,
}

impl Account {
    /// An account without money.
    pub(crate) const fn new(order: u64, owner: Address, fee_ppm: u32) -> Self {
        Self {
            order,
            owner,
            deposits: Vec::new(),
            balance: Amount::ZERO,
            deposited_total: Amount::ZERO,
            refunded_total: Amount::ZERO,
            fined_total: Amount::ZERO,
            spent_total: Amount::ZERO,
            payee: None,
            rate: 0,
            settled_at: At::ZERO,
            hold_until: At::ZERO,
            carry: 0,
            stream_gross: Amount::ZERO,
            stream_fee: Amount::ZERO,
            fee_ppm,
        }
    }

    /// The second from which on the stream can't be paid in full; `None`: no stream. Settling does not move it, unless it
    /// is further than [`DRY_S_MAX`] away.
    pub fn dry_at(&self) -> Option<At<Billing>> {
        // A balance whose product leaves 128 bits lasts longer than DRY_S_MAX at any rate up to RATE_MAX.
        let units = self.balance.units().saturating_mul(E18).saturating_sub(self.carry);
        let seconds = units.checked_div(self.rate)?.min(u128::from(DRY_S_MAX));
        Some(self.settled_at.saturating_plus(u64::try_from(seconds).unwrap_or(DRY_S_MAX)))
    }

    /// Starts paying `payee` at `rate` from `now` on; for `hold_s` seconds nothing is paid out unless the stream ends.
    /// A rate of 0 or above [`RATE_MAX`] is an overflow, as is an end of time.
    pub fn start(
        &mut self,
        payee: Address,
        rate: u128,
        now: At<Billing>,
        hold_s: u32,
    ) -> Result<(), Overflow> {
        if rate == 0 || rate > RATE_MAX {
            return Err(Overflow);
        }
        self.hold_until = now.plus(u64::from(hold_s))?;
        self.payee = Some(payee);
        self.rate = rate;
        self.settled_at = now;
        self.carry = 0;
        self.stream_gross = Amount::ZERO;
        self.stream_fee = Amount::ZERO;
        Ok(())
    }

    /// Ends the stream and tells what it paid. What it owes beyond whole ucredit stays with the depositors.
    pub fn stop(&mut self) -> Stream {
        let stream = Stream { gross: self.stream_gross, fee: self.stream_fee };
        self.payee = None;
        self.rate = 0;
        self.carry = 0;
        self.stream_gross = Amount::ZERO;
        self.stream_fee = Amount::ZERO;
        stream
    }

    /// What [`crate::settle`] would pay at `now`, in ucredit.
    pub fn payable(&self, now: At<Billing>) -> Amount {
        self.clone().draw(now, false).map_or(Amount::ZERO, |payment| payment.gross)
    }

    /// The account as of `now`, the hold left aside: what it would be if the stream ended then, which has to pay `charge`
    /// ucredit at least.
    pub fn projection(&self, now: At<Billing>, charge: Amount) -> Projection {
        let mut ended = self.clone();
        let owed = ended.draw(now, true).map_or(Amount::ZERO, |payment| payment.gross);
        let balance = ended.balance;
        ended.take_fine(charge.saturating_minus(ended.stream_gross));
        Projection { owed, balance, dry_at: self.dry_at(), refunds: ended.deposits }
    }

    /// Whether one more deposit by `depositor` has a place among `depositors_max`, of which one is the owner's.
    pub fn has_place_for(&self, depositor: Address, depositors_max: u32) -> bool {
        let known = |address| self.deposits.iter().any(|deposit| deposit.depositor == address);
        let others = self.deposits.len().saturating_sub(usize::from(known(self.owner)));
        let others_max = usize::try_from(depositors_max.saturating_sub(1)).unwrap_or(usize::MAX);
        depositor == self.owner || known(depositor) || others < others_max
    }

    /// Adds money: an existing entry grows in place, a new one is spent last.
    pub(crate) fn add(&mut self, depositor: Address, amount: Amount) -> Result<(), Overflow> {
        let balance = self.balance.plus(amount)?;
        let deposited_total = self.deposited_total.plus(amount)?;
        match self.deposits.iter_mut().find(|deposit| deposit.depositor == depositor) {
            Some(deposit) => deposit.amount = deposit.amount.plus(amount)?,
            None => self.deposits.push(Deposit { depositor, amount }),
        }
        self.balance = balance;
        self.deposited_total = deposited_total;
        Ok(())
    }

    /// Takes from the stream what it owes at `as_of`; nothing during the hold unless the stream is `ending`.
    pub(crate) fn draw(&mut self, as_of: At<Billing>, ending: bool) -> Option<Payment> {
        let payee = self.payee?;
        let until = as_of.min(self.dry_at()?);
        if until <= self.settled_at || (until < self.hold_until && !ending) {
            return None;
        }
        let elapsed_s = u128::from(until.since(self.settled_at));
        let accrued = self.rate.saturating_mul(elapsed_s).saturating_add(self.carry);
        let whole = accrued.checked_div(E18).unwrap_or_default();
        let gross = self.take(Amount::new(whole).unwrap_or(Amount::MAX));
        self.carry = accrued.checked_rem(E18).unwrap_or_default();
        self.spent_total = sum(self.spent_total, gross);
        self.stream_gross = sum(self.stream_gross, gross);
        let fee_total = self.stream_gross.mul_floor(u128::from(self.fee_ppm), u128::from(ONE_PPM));
        let fee = fee_total.unwrap_or(self.stream_fee).saturating_minus(self.stream_fee).min(gross);
        self.stream_fee = sum(self.stream_fee, fee);
        self.settled_at = until;
        Some(Payment { payee, gross, fee, as_of: until })
    }

    /// Takes a fine, at most the balance.
    pub(crate) fn take_fine(&mut self, amount: Amount) -> Amount {
        let fined = self.take(amount);
        self.fined_total = sum(self.fined_total, fined);
        if self.balance.is_zero() {
            // Nothing is left that could pay a fraction of a ucredit.
            self.carry = 0;
        }
        fined
    }

    /// Takes all deposits to give them back; the stream, if there is one, ends.
    pub(crate) fn take_all(&mut self) -> Vec<Deposit> {
        self.stop();
        self.refunded_total = sum(self.refunded_total, self.balance);
        self.balance = Amount::ZERO;
        std::mem::take(&mut self.deposits)
    }

    /// Takes up to `amount` from the front of the deposits; tells how much.
    fn take(&mut self, amount: Amount) -> Amount {
        let taken = amount.min(self.balance);
        let mut left = taken;
        for deposit in &mut self.deposits {
            let part = left.min(deposit.amount);
            deposit.amount = deposit.amount.saturating_minus(part);
            left = left.saturating_minus(part);
        }
        self.deposits.retain(|deposit| !deposit.amount.is_zero());
        self.balance = self.balance.saturating_minus(taken);
        taken
    }
}

/// A sum of parts of `deposited_total`, which is itself an amount: it never saturates.
fn sum(left: Amount, right: Amount) -> Amount {
    left.plus(right).unwrap_or(Amount::MAX)
}
