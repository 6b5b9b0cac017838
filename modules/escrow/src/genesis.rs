//! The module's part of the genesis document. Accounts are parts of the market's records.

use kernel::{Amount, Ctx, Result, chain::Schema};
use serde::{Deserialize, Serialize};

use crate::{
    SCHEMA_VERSION,
    params::Params,
    state::{PARAMS, SCHEMA, TOTALS, Totals},
};

/// The parameters; the accounts come with the market's orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The parameters.
    pub params: Params,
}

pub(crate) fn init(ctx: &mut Ctx, genesis: &Genesis) -> Result<()> {
    genesis.params.check()?;
    SCHEMA.set(ctx, &Schema { version: SCHEMA_VERSION })?;
    PARAMS.set(ctx, &genesis.params)?;
    TOTALS.set(ctx, &Totals { balance: Amount::ZERO })
}

pub(crate) fn export(ctx: &Ctx) -> Result<Genesis> {
    Ok(Genesis { params: PARAMS.load(ctx)? })
}
