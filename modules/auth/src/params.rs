//! The module's parameters.

use kernel::{Ctx, Dec, E18, Reject, Result};
use serde::{Deserialize, Serialize};

use crate::state::PARAMS;

/// The highest price of a unit of gas that a network may set, in the fee denom: with it no fee can overflow.
pub const PRICE_MAX: Dec = Dec::from_atomics(1_000_000 * E18);
/// The most signatures of a transaction that a network may allow: no program reads more.
pub const SIGNATURES_MAX: u32 = 4;
/// The most bytes of a transaction that a network may allow: no program reads more.
pub const TX_BYTES_MAX: u32 = 262_144;
/// The most gas of a block that a network may allow: CometBFT's `max_gas` is signed.
const BLOCK_GAS_MAX: u64 = i64::MAX.unsigned_abs();
/// The longest timeout of an unordered transaction that a network may set, in seconds.
const UNORDERED_TIMEOUT_MAX_S: u32 = 86_400;

kernel::record! {
    /// The limits of transactions and the gas of their checks.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Params {
        /// The most bytes of a memo.
        pub max_memo_characters: u32 = 1,
        /// The most signatures of a transaction, 1 to [`SIGNATURES_MAX`].
        pub signatures_max: u32 = 2,
        /// The most bytes of a transaction, 1 to [`TX_BYTES_MAX`].
        pub tx_bytes_max: u32 = 3,
        /// Gas for each byte of a transaction.
        pub tx_cost_per_byte: u32 = 4,
        /// Gas for a signature of Ed25519.
        pub ed25519_cost: u32 = 5,
        /// Gas for a signature on secp256k1.
        pub secp256k1_cost: u32 = 6,
        /// The most unordered transactions of an account that have not timed out, from 1.
        pub unordered_live_max: u32 = 7,
        /// The furthest that an unordered transaction's timeout may lie ahead, in seconds. A mempool wants some distance (ten seconds,
        /// or two blocks), so that less than a minute leaves little, and 0 takes none.
        pub unordered_timeout_max_s: u32 = 8,
        /// The most gas of a block, at least 2; the base fee aims at half of it.
        pub max_block_gas: u64 = 9,
        /// What gas costs.
        pub fee: FeeParams = 10,
    }

    /// What gas costs. Prices are amounts of the denom for one unit of gas.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct FeeParams {
        /// The denom in which fees are paid.
        pub denom: String = 1,
        /// The price of the first block.
        pub base_start: Dec = 2,
        /// The lowest price; zero is allowed.
        pub base_floor: Dec = 3,
        /// The highest price.
        pub base_ceiling: Dec = 4,
    }
}

impl Default for Params {
    fn default() -> Self {
        Self {
            max_memo_characters: 256,
            signatures_max: SIGNATURES_MAX,
            tx_bytes_max: TX_BYTES_MAX,
            tx_cost_per_byte: 10,
            ed25519_cost: 590,
            secp256k1_cost: 1_000,
            unordered_live_max: 256,
            unordered_timeout_max_s: 600,
            max_block_gas: 300_000_000,
            fee: FeeParams {
                denom: "uflop".to_owned(),
                base_start: Dec::from_atomics(E18 / 100),
                base_floor: Dec::from_atomics(0),
                base_ceiling: Dec::from_atomics(1_000 * E18),
            },
        }
    }
}

impl Params {
    /// Refuses a set under which a transaction, a fee or a timeout could not be computed. The error names the field.
    pub fn check(&self) -> Result<(), Reject> {
        let bounded = [
            ("signatures_max", self.signatures_max, SIGNATURES_MAX),
            ("tx_bytes_max", self.tx_bytes_max, TX_BYTES_MAX),
        ];
        for (field, value, max) in bounded {
            require((1..=max).contains(&value), || format!("{field}: expected 1 to {max}"))?;
        }
        require(self.unordered_live_max >= 1, || "unordered_live_max: expected at least 1".to_owned())?;
        require(self.unordered_timeout_max_s <= UNORDERED_TIMEOUT_MAX_S, || {
            format!("unordered_timeout_max_s: expected at most {UNORDERED_TIMEOUT_MAX_S}")
        })?;
        require((2..=BLOCK_GAS_MAX).contains(&self.max_block_gas), || {
            format!("max_block_gas: expected 2 to {BLOCK_GAS_MAX}")
        })?;
        require(!self.fee.denom.is_empty(), || "fee.denom: expected a denom".to_owned())?;
        require(self.fee.base_ceiling <= PRICE_MAX, || {
            format!("fee.base_ceiling: expected at most {PRICE_MAX}")
        })?;
        require(self.fee.base_floor <= self.fee.base_ceiling, || {
            "fee.base_floor: expected at most base_ceiling".to_owned()
        })?;
        let start =
            self.fee.base_floor <= self.fee.base_start && self.fee.base_start <= self.fee.base_ceiling;
        require(start, || "fee.base_start: expected a price from base_floor to base_ceiling".to_owned())
    }
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), Reject> {
    if holds { Ok(()) } else { Err(Reject::invalid_request(format!("params.{}", what()))) }
}

/// The parameters in force.
pub fn params(ctx: &Ctx) -> Result<Params> {
    PARAMS.load(ctx)
}
