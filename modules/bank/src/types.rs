//! Records, as they lie in the store.

use kernel::{Address, Amount, Derived, Indexed};
use serde::{Deserialize, Serialize};

use crate::{Denom, denom::InnerDenom, state::BY_DENOM};

kernel::record! {
    /// What an account has of a denom.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Balance {
        /// How much, above zero.
        pub amount: Amount = 1,
    }

    /// How much there is of a denom.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Supply {
        /// How much, above zero.
        pub amount: Amount = 1,
    }

    /// Whether accounts may send a denom.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SendEnabled {
        /// True: they may.
        pub enabled: bool = 1,
    }

    /// The module's parameters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Params {
        /// Whether accounts may send a denom that has no setting of its own.
        pub default_send_enabled: bool = 1,
    }

    /// How a denom is shown to people.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Metadata {
        /// A sentence about it.
        #[serde(default)]
        pub description: String = 1,
        /// Its units, smallest first.
        pub denom_units: Vec<DenomUnit> = 2,
        /// The smallest unit, in which balances are kept.
        pub base: Denom = 3,
        /// The unit to show.
        pub display: String = 4,
        /// The name, as `Flop`.
        #[serde(default)]
        pub name: String = 5,
        /// The ticker, as `FLOP`.
        #[serde(default)]
        pub symbol: String = 6,
        /// Where more can be read.
        #[serde(default)]
        pub uri: String = 7,
        /// SHA-256 of what is there, in hexadecimal.
        #[serde(default)]
        pub uri_hash: String = 8,
    }

    /// One unit in which a denom is shown.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct DenomUnit {
        /// The unit's name, as `flop`.
        pub denom: String = 1,
        /// One of it is 10^exponent of the base unit.
        #[serde(default)]
        pub exponent: u32 = 2,
        /// Other names.
        #[serde(default)]
        pub aliases: Vec<String> = 3,
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { default_send_enabled: true }
    }
}

/// Whose balance, of what.
pub type BalanceKey = (Address, Denom);

impl Indexed<BalanceKey> for Balance {
    const BY_KEY_ALONE: bool = true;

    fn derive(&self, key: &BalanceKey, out: &mut Derived) {
        out.index(BY_DENOM, &InnerDenom(key.1.clone()));
    }
}
