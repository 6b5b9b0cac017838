//! Amounts of denoms.

use std::fmt;

use kernel::{Amount, Reject, Result};
use proto::cosmos::base::v1beta1 as wire;
use serde::{Deserialize, Serialize};

use crate::Denom;

/// The most denoms that one list of a message may have.
pub const COINS_MAX: usize = 8;

/// An amount of a denom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coin {
    /// The denom.
    pub denom: Denom,
    /// How much, in the denom's smallest unit.
    pub amount: Amount,
}

impl Coin {
    /// Reads a coin of a message; a malformed one is refused (sdk 10).
    pub fn parse(coin: &wire::Coin) -> Result<Self, Reject> {
        let denom = Denom::new(&coin.denom)?;
        let amount = Amount::parse(&coin.amount).map_err(|reject| Reject::invalid_coins(reject.message))?;
        Ok(Self { denom, amount })
    }
}

impl fmt::Display for Coin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.amount, self.denom)
    }
}

/// Amounts of different denoms, sorted by denom, none of them zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coins(Vec<Coin>);

impl Coins {
    /// Reads the coins of a message: 1 to [`COINS_MAX`] of them, sorted by denom, none twice, none zero (else sdk 10).
    pub fn parse(coins: &[wire::Coin]) -> Result<Self, Reject> {
        if coins.is_empty() || coins.len() > COINS_MAX {
            let text = format!("expected 1 to {COINS_MAX} coins, got {}: invalid coins", coins.len());
            return Err(Reject::invalid_coins(text));
        }
        let coins: Vec<Coin> = coins.iter().map(Coin::parse).collect::<Result<_, Reject>>()?;
        Self::new(coins)
    }

    /// Coins that are sorted by denom, none twice, none zero (else sdk 10).
    pub fn new(coins: Vec<Coin>) -> Result<Self, Reject> {
        if let Some(zero) = coins.iter().find(|coin| coin.amount.is_zero()) {
            return Err(Reject::invalid_coins(format!("coin {zero} amount is not positive: invalid coins")));
        }
        if coins.is_sorted_by(|a, b| a.denom < b.denom) {
            return Ok(Self(coins));
        }
        Err(Reject::invalid_coins("expected coins sorted by denom, none twice: invalid coins"))
    }

    /// The coins.
    pub fn as_slice(&self) -> &[Coin] {
        &self.0
    }

    /// Adds other coins. A sum beyond the largest amount is refused.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        for coin in &other.0 {
            match self.0.binary_search_by(|mine| mine.denom.cmp(&coin.denom)) {
                Ok(at) => {
                    if let Some(mine) = self.0.get_mut(at) {
                        mine.amount = mine.amount.plus(coin.amount)?;
                    }
                }
                Err(at) => self.0.insert(at, coin.clone()),
            }
        }
        Ok(())
    }
}
