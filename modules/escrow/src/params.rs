//! The parameters.

use kernel::{Address, Amount, ONE_PPM, Reject};
use serde::{Deserialize, Serialize};

/// The most that `depositors_max` can be: an account is part of a record that is written at every settling.
pub const DEPOSITORS_LIMIT: u32 = 64;

kernel::record! {
    /// The parameters of the module.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Params {
        /// Who may change the parameters.
        pub authority: Address = 1,
        /// The market's share of what is paid, in ppm. An account keeps the one with which it was opened.
        pub fee_ppm: u32 = 2,
        /// The least deposit, in ucredit.
        pub deposit_min: Amount = 3,
        /// The most depositors of an account, the owner included.
        pub depositors_max: u32 = 4,
    }
}

impl Params {
    /// The defaults of the first release.
    pub const fn new(authority: Address) -> Self {
        Self { authority, fee_ppm: 20_000, deposit_min: Amount::from_u64(1_000_000), depositors_max: 8 }
    }

    /// Checks the ranges; a rejection names the field.
    pub fn check(&self) -> Result<(), Reject> {
        let range = |holds: bool, text: &str| {
            if holds { Ok(()) } else { Err(Reject::invalid_request(format!("params.{text}"))) }
        };
        range(self.fee_ppm <= ONE_PPM, "fee_ppm: expected at most 1000000")?;
        range(!self.deposit_min.is_zero(), "deposit_min: expected above 0")?;
        range((1..=DEPOSITORS_LIMIT).contains(&self.depositors_max), "depositors_max: expected 1 to 64")
    }
}
