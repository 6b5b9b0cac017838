//! What escrow tells of the money it moves. A deposit is told by the message that makes it.

use kernel::{Address, Amount, At, Billing};

use crate::params::Params;

kernel::event! {
    "underbid.escrow.v1"
    /// A stream was paid.
    pub struct StreamSettled as EventStreamSettled {
        order_id: u64 = 1, payee: Address = 2, gross: Amount = 3, fee: Amount = 4, as_of: At<Billing> = 5,
    }
    /// An account was fined; the money went to the market.
    pub struct AccountFined as EventAccountFined { order_id: u64 = 1, amount: Amount = 2 }
    /// A depositor got its money back.
    pub struct DepositRefunded as EventDepositRefunded { order_id: u64 = 1, depositor: Address = 2, amount: Amount = 3 }
    /// The parameters were replaced.
    pub struct ParamsUpdated as EventParamsUpdated { params: Params = 1 }
}
