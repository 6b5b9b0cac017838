//! The queries. The market holds the accounts and serves `Query/Account` with [`account_response`].

use kernel::{Amount, At, Billing, Ctx, Route, Status, query};
use prost::Message as _;
use proto::underbid::escrow::v1 as wire;

use crate::{state::PARAMS, types::Account};

/// The module's queries.
pub const ROUTES: &[Route] = &[("/underbid.escrow.v1.Query/Params", params)];

fn params(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    query::request::<wire::QueryParamsRequest>(request)?;
    let params = Some(wire::Params::from(&PARAMS.load(ctx)?));
    Ok(wire::QueryParamsResponse { params }.encode_to_vec())
}

/// The answer to `Query/Account`: the account as it is stored and as of `now`; `low_at` and `charge` are the market's, which
/// knows when it warns and what a lease costs at least.
pub fn account_response(
    account: &Account,
    now: At<Billing>,
    low_at: Option<At<Billing>>,
    charge: Amount,
) -> wire::QueryAccountResponse {
    let projection = account.projection(now, charge);
    wire::QueryAccountResponse {
        account: Some(account.into()),
        as_of: now.value(),
        owed: projection.owed.to_string(),
        balance: projection.balance.to_string(),
        low_at: low_at.map(At::value),
        dry_at: projection.dry_at.map(At::value),
        refunds: projection.refunds.iter().map(Into::into).collect(),
    }
}
