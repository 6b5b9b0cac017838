//! Conversions to and from the wire types.

use kernel::{Address, Amount, Reject};
use proto::underbid::escrow::v1 as wire;

use crate::{
    params::Params,
    types::{Account, Deposit},
};

impl From<&Params> for wire::Params {
    fn from(params: &Params) -> Self {
        Self {
            authority: params.authority.to_string(),
            fee_ppm: params.fee_ppm,
            deposit_min: params.deposit_min.to_string(),
            depositors_max: params.depositors_max,
        }
    }
}

impl TryFrom<wire::Params> for Params {
    type Error = Reject;
    fn try_from(params: wire::Params) -> Result<Self, Reject> {
        let params = Self {
            authority: Address::parse(&params.authority)?,
            fee_ppm: params.fee_ppm,
            deposit_min: Amount::parse(&params.deposit_min)?,
            depositors_max: params.depositors_max,
        };
        params.check()?;
        Ok(params)
    }
}

impl From<&Deposit> for wire::Deposit {
    fn from(deposit: &Deposit) -> Self {
        Self { depositor: deposit.depositor.to_string(), amount: deposit.amount.to_string() }
    }
}

impl From<&Account> for wire::Account {
    fn from(account: &Account) -> Self {
        Self {
            order_id: account.order,
            owner: account.owner.to_string(),
            deposits: account.deposits.iter().map(Into::into).collect(),
            balance: account.balance.to_string(),
            deposited_total: account.deposited_total.to_string(),
            refunded_total: account.refunded_total.to_string(),
            fined_total: account.fined_total.to_string(),
            spent_total: account.spent_total.to_string(),
            payee: account.payee.map(|payee| payee.to_string()).unwrap_or_default(),
            rate: account.rate.to_string(),
            settled_at: account.settled_at.value(),
            hold_until: account.hold_until.value(),
            carry: account.carry.to_string(),
            stream_gross: account.stream_gross.to_string(),
            stream_fee: account.stream_fee.to_string(),
            fee_ppm: account.fee_ppm,
        }
    }
}
