//! The money of an order, and the stream by which it pays a lease: one second at a time.
#![allow(missing_docs, reason = "the specification says what each field means")]

use serde::{Deserialize, Serialize};

use crate::{
    Address, Refusal,
    numbers::{E18, ONE, floor, text},
};

/// The specification's `Account`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    pub order: u64,
    pub owner: Address,
    pub deposits: Vec<Deposit>,
    #[serde(with = "text")]
    pub balance: u128,
    #[serde(with = "text")]
    pub deposited_total: u128,
    #[serde(with = "text")]
    pub refunded_total: u128,
    #[serde(with = "text")]
    pub fined_total: u128,
    #[serde(with = "text")]
    pub spent_total: u128,
    pub payee: Option<Address>,
    #[serde(with = "text")]
    pub rate: u128,
    pub settled_at: u64,
    pub hold_until: u64,
    #[serde(with = "text")]
    pub carry: u128,
    #[serde(with = "text")]
    pub stream_gross: u128,
    #[serde(with = "text")]
    pub stream_fee: u128,
    pub fee_ppm: u64,
    /// What every second since `settled_at` has earned: the chain works it out when it settles, the model as time passes.
    #[serde(skip)]
    pub earned: Earned,
}

/// What one depositor has in an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deposit {
    pub depositor: Address,
    #[serde(with = "text")]
    pub amount: u128,
}

/// What the provider has earned and was not paid yet.
#[derive(Clone, Debug, Default)]
pub struct Earned {
    /// Up to this second, which is the last one that the account could pay for.
    pub until: u64,
    /// Whole ucredit.
    pub owed: u128,
    /// What is beyond, times E18.
    pub carry: u128,
}

impl Account {
    /// A new account with what its owner puts in.
    pub fn open(order: u64, owner: &Address, amount: u128, fee_ppm: u64) -> Self {
        let mut account = Self { order, owner: owner.clone(), fee_ppm, ..Self::default() };
        account.deposit(owner, amount);
        account
    }

    fn has_entry(&self, of: &Address) -> bool {
        self.deposits.iter().any(|deposit| deposit.depositor == *of)
    }

    /// Whether a deposit can be taken from this depositor: the owner always has a place.
    pub fn has_place(&self, depositor: &Address, depositors_max: u64) -> bool {
        let others = self.deposits.len() as u64 - u64::from(self.has_entry(&self.owner));
        self.has_entry(depositor) || *depositor == self.owner || others < depositors_max - 1
    }

    /// Adds money: an entry grows in place, a new one comes last.
    pub fn deposit(&mut self, depositor: &Address, amount: u128) {
        match self.deposits.iter_mut().find(|deposit| deposit.depositor == *depositor) {
            Some(deposit) => deposit.amount += amount,
            None => self.deposits.push(Deposit { depositor: depositor.clone(), amount }),
        }
        self.balance += amount;
        self.deposited_total += amount;
    }

    /// Starts the stream.
    pub fn start(&mut self, payee: &Address, rate: u128, now: u64, min_charge_s: u64) {
        (self.payee, self.rate) = (Some(payee.clone()), rate);
        (self.settled_at, self.hold_until) = (now, now + min_charge_s);
        (self.carry, self.stream_gross, self.stream_fee) = (0, 0, 0);
        self.earned = Earned { until: now, ..Earned::default() };
    }

    /// A second passes: it is earned if there is money for the whole of it.
    pub fn tick(&mut self, second: u64) {
        let owed = self.earned.owed + (self.earned.carry + self.rate) / E18;
        let carry = (self.earned.carry + self.rate) % E18;
        let needed = owed + u128::from(carry > 0);
        if self.rate > 0 && second == self.earned.until + 1 && needed <= self.balance {
            self.earned = Earned { until: second, owed, carry };
        }
    }

    /// When the money runs out.
    pub fn dry_at(&self) -> Option<u64> {
        let seconds = || (self.balance * E18 - self.carry) / self.rate;
        (self.rate > 0).then(|| self.settled_at + seconds().min(10_000_000_000) as u64)
    }

    /// What settling would pay now: nothing while the first seconds are on hold, unless the stream ends with it.
    pub fn payable(&self, ends: bool) -> Option<u128> {
        let held = self.earned.until < self.hold_until && !ends;
        (self.rate > 0 && self.earned.until > self.settled_at && !held).then_some(self.earned.owed)
    }

    /// Takes what was earned: the payee's part and the market's.
    pub fn settle(&mut self, ends: bool) -> Result<(u128, u128), Refusal> {
        let Some(gross) = self.payable(ends) else { return Ok((0, 0)) };
        self.spend(gross);
        self.spent_total += gross;
        self.stream_gross += gross;
        let fee = floor(self.stream_gross, self.fee_ppm, ONE)? - self.stream_fee;
        self.stream_fee += fee;
        (self.settled_at, self.carry) = (self.earned.until, self.earned.carry);
        self.earned.owed = 0;
        Ok((gross - fee, fee))
    }

    /// Takes a fine, as far as there is money.
    pub fn fine(&mut self, amount: u128) -> u128 {
        let fined = amount.min(self.balance);
        self.spend(fined);
        self.fined_total += fined;
        fined
    }

    /// Ends the stream; what it has paid, and the market's part of that.
    pub fn stop(&mut self) -> (u128, u128) {
        let paid = (self.stream_gross, self.stream_fee);
        (self.payee, self.rate, self.carry) = (None, 0, 0);
        (self.stream_gross, self.stream_fee) = (0, 0);
        paid
    }

    /// Gives everybody back what is left.
    pub fn close(&mut self) -> Vec<Deposit> {
        self.refunded_total += self.balance;
        self.balance = 0;
        std::mem::take(&mut self.deposits)
    }

    fn spend(&mut self, amount: u128) {
        let mut left = amount;
        for deposit in &mut self.deposits {
            let part = left.min(deposit.amount);
            deposit.amount -= part;
            left -= part;
        }
        assert_eq!(left, 0, "order {}: spends more than there is", self.order);
        self.deposits.retain(|deposit| deposit.amount > 0);
        self.balance -= amount;
    }
}
