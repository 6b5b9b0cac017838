//! What clients may ask: `cosmos.bank.v1beta1.Query`. All of a balance can be spent.

use kernel::{
    Address, Ctx, Result as Outcome, Route, Status,
    query::{PAGE_MAX, paged, request},
};
use prost::Message as _;
use proto::cosmos::{
    bank::v1beta1::*,
    base::{
        query::v1beta1::{PageRequest, PageResponse},
        v1beta1 as wire,
    },
};

use crate::{
    Denom, balance as balance_of,
    denom::InnerDenom,
    pb,
    state::{BALANCES, BY_DENOM, METADATA, PARAMS, SEND_ENABLED, SUPPLY},
    supply as supply_of_denom,
};

/// The module's queries.
pub const ROUTES: &[Route] = &[
    ("/cosmos.bank.v1beta1.Query/Balance", balance),
    ("/cosmos.bank.v1beta1.Query/AllBalances", all_balances),
    ("/cosmos.bank.v1beta1.Query/SpendableBalances", spendable_balances),
    ("/cosmos.bank.v1beta1.Query/SpendableBalanceByDenom", spendable_balance_by_denom),
    ("/cosmos.bank.v1beta1.Query/TotalSupply", total_supply),
    ("/cosmos.bank.v1beta1.Query/SupplyOf", supply_of),
    ("/cosmos.bank.v1beta1.Query/Params", params),
    ("/cosmos.bank.v1beta1.Query/DenomMetadata", denom_metadata),
    ("/cosmos.bank.v1beta1.Query/DenomsMetadata", denoms_metadata),
    ("/cosmos.bank.v1beta1.Query/DenomOwners", denom_owners),
    ("/cosmos.bank.v1beta1.Query/SendEnabled", send_enabled),
];

fn balance(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryBalanceRequest = request(bytes)?;
    let balance = one_balance(ctx, &asked.address, &asked.denom)?;
    Ok(QueryBalanceResponse { balance: Some(balance) }.encode_to_vec())
}

fn spendable_balance_by_denom(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QuerySpendableBalanceByDenomRequest = request(bytes)?;
    let balance = one_balance(ctx, &asked.address, &asked.denom)?;
    Ok(QuerySpendableBalanceByDenomResponse { balance: Some(balance) }.encode_to_vec())
}

fn one_balance(ctx: &Ctx, address: &str, denom: &str) -> Result<wire::Coin, Status> {
    let (address, denom) = (Address::parse(address)?, Denom::new(denom)?);
    Ok(pb::coin(&denom, balance_of(ctx, &address, &denom)?))
}

fn all_balances(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryAllBalancesRequest = request(bytes)?;
    let (balances, page) = balances(ctx, &asked.address, asked.pagination)?;
    Ok(QueryAllBalancesResponse { balances, pagination: Some(page) }.encode_to_vec())
}

fn spendable_balances(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QuerySpendableBalancesRequest = request(bytes)?;
    let (balances, page) = balances(ctx, &asked.address, asked.pagination)?;
    Ok(QuerySpendableBalancesResponse { balances, pagination: Some(page) }.encode_to_vec())
}

fn balances(
    ctx: &Ctx,
    owner: &str,
    page: Option<PageRequest>,
) -> Result<(Vec<wire::Coin>, PageResponse), Status> {
    let owner = Address::parse(owner)?;
    let (found, page) = paged(page, |from, limit| BALANCES.page(ctx, &owner, from, limit))?;
    Ok((found.iter().map(|((_, denom), balance)| pb::coin(denom, balance.amount)).collect(), page))
}

fn total_supply(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryTotalSupplyRequest = request(bytes)?;
    let (found, page) = paged(asked.pagination, |from, limit| SUPPLY.page(ctx, &(), from, limit))?;
    let supply = found.iter().map(|(denom, supply)| pb::coin(denom, supply.amount)).collect();
    Ok(QueryTotalSupplyResponse { supply, pagination: Some(page) }.encode_to_vec())
}

fn supply_of(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QuerySupplyOfRequest = request(bytes)?;
    let denom = Denom::new(&asked.denom)?;
    let amount = pb::coin(&denom, supply_of_denom(ctx, &denom)?);
    Ok(QuerySupplyOfResponse { amount: Some(amount) }.encode_to_vec())
}

fn params(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let _asked: QueryParamsRequest = request(bytes)?;
    let params = Params { default_send_enabled: PARAMS.load(ctx)?.default_send_enabled, ..Params::default() };
    Ok(QueryParamsResponse { params: Some(params) }.encode_to_vec())
}

fn denom_metadata(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryDenomMetadataRequest = request(bytes)?;
    let denom = Denom::new(&asked.denom)?;
    let unknown = || Status::not_found(format!("client metadata for denom {denom}"));
    let metadata = METADATA.get(ctx, &denom)?.ok_or_else(unknown)?;
    Ok(QueryDenomMetadataResponse { metadata: Some(pb::metadata(&metadata)) }.encode_to_vec())
}

fn denoms_metadata(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryDenomsMetadataRequest = request(bytes)?;
    let (found, page) = paged(asked.pagination, |from, limit| METADATA.page(ctx, &(), from, limit))?;
    let metadatas = found.iter().map(|(_, metadata)| pb::metadata(metadata)).collect();
    Ok(QueryDenomsMetadataResponse { metadatas, pagination: Some(page) }.encode_to_vec())
}

fn denom_owners(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryDenomOwnersRequest = request(bytes)?;
    let part = InnerDenom(Denom::new(&asked.denom)?);
    let (keys, page) = paged(asked.pagination, |from, limit| BALANCES.by(ctx, BY_DENOM, &part, from, limit))?;
    let owner = |(address, denom): (Address, Denom)| -> Outcome<DenomOwner> {
        let balance = Some(pb::coin(&denom, balance_of(ctx, &address, &denom)?));
        Ok(DenomOwner { address: address.to_string(), balance })
    };
    let denom_owners = keys.into_iter().map(|(key, ())| owner(key)).collect::<Outcome<_>>()?;
    Ok(QueryDenomOwnersResponse { denom_owners, pagination: Some(page) }.encode_to_vec())
}

fn send_enabled(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QuerySendEnabledRequest = request(bytes)?;
    let flag = |denom: &Denom, enabled: bool| SendEnabled { denom: denom.to_string(), enabled };
    if asked.denoms.is_empty() {
        let (found, page) = paged(asked.pagination, |from, limit| SEND_ENABLED.page(ctx, &(), from, limit))?;
        let send_enabled = found.iter().map(|(denom, setting)| flag(denom, setting.enabled)).collect();
        return Ok(QuerySendEnabledResponse { send_enabled, pagination: Some(page) }.encode_to_vec());
    }
    if asked.denoms.len() > usize::try_from(PAGE_MAX).unwrap_or(usize::MAX) {
        return Err(Status::invalid_argument(format!("expected at most {PAGE_MAX} denoms")));
    }
    let mut send_enabled = Vec::new();
    for denom in &asked.denoms {
        let denom = Denom::new(denom)?;
        send_enabled.extend(SEND_ENABLED.get(ctx, &denom)?.map(|setting| flag(&denom, setting.enabled)));
    }
    Ok(QuerySendEnabledResponse { send_enabled, pagination: None }.encode_to_vec())
}
