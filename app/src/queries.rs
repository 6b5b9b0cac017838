//! The queries about the chain itself: `underbid.kernel.v1.Query`.

use kernel::{Ctx, Route, Status, chain, query};
use prost::Message as _;
use proto::underbid::kernel::v1::{
    Params, Pause, QueryBaseFeeRequest, QueryBaseFeeResponse, QueryClockRequest, QueryClockResponse,
    QueryParamsRequest, QueryParamsResponse, QueryPausedRequest, QueryPausedResponse, QueryUpgradeRequest,
    QueryUpgradeResponse, UpgradePlan,
};

/// Paths and handlers.
pub const ROUTES: &[Route] = &[
    ("/underbid.kernel.v1.Query/Params", params),
    ("/underbid.kernel.v1.Query/BaseFee", base_fee),
    ("/underbid.kernel.v1.Query/Clock", clock),
    ("/underbid.kernel.v1.Query/Paused", paused),
    ("/underbid.kernel.v1.Query/Upgrade", upgrade),
];

fn params(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    query::request::<QueryParamsRequest>(request)?;
    let params = chain::PARAMS.load(ctx)?;
    let params =
        Params { max_billing_step_s: params.max_billing_step_s, bech32_prefix: params.bech32_prefix };
    Ok(QueryParamsResponse { params: Some(params) }.encode_to_vec())
}

fn base_fee(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    query::request::<QueryBaseFeeRequest>(request)?;
    let base_fee = auth::fees::base(ctx)?.atomics().to_string();
    Ok(QueryBaseFeeResponse { base_fee, denom: auth::params(ctx)?.fee.denom }.encode_to_vec())
}

fn clock(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    query::request::<QueryClockRequest>(request)?;
    let block = &ctx.block;
    let response = QueryClockResponse {
        chain_id: block.chain_id.clone(),
        height: block.height.value(),
        header_s: block.time.value(),
        billing_s: block.billing.value(),
        app_version: block.app_version,
    };
    Ok(response.encode_to_vec())
}

fn paused(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    let request: QueryPausedRequest = query::request(request)?;
    let fetch = |from: Option<&[u8]>, limit| chain::PAUSED.page(ctx, &(), from, limit);
    let (entries, page) = query::paged(request.pagination, fetch)?;
    let pause = |(target, paused): (String, chain::Paused)| Pause {
        target,
        reason: paused.reason,
        height: paused.since.value(),
    };
    let paused = entries.into_iter().map(pause).collect();
    Ok(QueryPausedResponse { paused, pagination: Some(page) }.encode_to_vec())
}

fn upgrade(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    query::request::<QueryUpgradeRequest>(request)?;
    let plan = chain::UPGRADE.get(ctx)?.map(|plan| UpgradePlan {
        name: plan.name,
        height: plan.height.value(),
        app_version: plan.app_version,
    });
    Ok(QueryUpgradeResponse { plan }.encode_to_vec())
}
