//! What clients may ask: `cosmos.auth.v1beta1.Query`.

use kernel::{
    Address, Ctx, Route, Status, address,
    query::{paged, request},
};
use prost::Message as _;
use proto::cosmos::auth::v1beta1::*;

use crate::{
    Account, get,
    params::params as load_params,
    pb,
    state::{ACCOUNTS, MODULE_NAMES},
};

/// The most module accounts of an answer that has no pages; the program knows far fewer.
const MODULE_ACCOUNTS_MAX: u32 = 1_000;

/// The module's queries.
pub const ROUTES: &[Route] = &[
    ("/cosmos.auth.v1beta1.Query/Account", account),
    ("/cosmos.auth.v1beta1.Query/Accounts", accounts),
    ("/cosmos.auth.v1beta1.Query/AccountInfo", account_info),
    ("/cosmos.auth.v1beta1.Query/ModuleAccounts", module_accounts),
    ("/cosmos.auth.v1beta1.Query/ModuleAccountByName", module_account_by_name),
    ("/cosmos.auth.v1beta1.Query/Params", params),
    ("/cosmos.auth.v1beta1.Query/Bech32Prefix", bech32_prefix),
    ("/cosmos.auth.v1beta1.Query/AddressBytesToString", address_bytes_to_string),
    ("/cosmos.auth.v1beta1.Query/AddressStringToBytes", address_string_to_bytes),
];

fn account(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryAccountRequest = request(bytes)?;
    let account = existing(ctx, &Address::parse(&asked.address)?)?;
    Ok(QueryAccountResponse { account: Some(pb::account(&account)) }.encode_to_vec())
}

fn account_info(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryAccountInfoRequest = request(bytes)?;
    let account = existing(ctx, &Address::parse(&asked.address)?)?;
    Ok(QueryAccountInfoResponse { info: Some(pb::base_account(&account)) }.encode_to_vec())
}

fn existing(ctx: &Ctx, address: &Address) -> Result<Account, Status> {
    get(ctx, address)?.ok_or_else(|| Status::not_found(format!("account {address} not found")))
}

fn accounts(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryAccountsRequest = request(bytes)?;
    let (found, page) = paged(asked.pagination, |from, limit| ACCOUNTS.page(ctx, &(), from, limit))?;
    let accounts = found.iter().map(|(_, account)| pb::account(account)).collect();
    Ok(QueryAccountsResponse { accounts, pagination: Some(page) }.encode_to_vec())
}

fn module_accounts(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let _asked: QueryModuleAccountsRequest = request(bytes)?;
    let mut accounts = Vec::new();
    for (_, listed) in MODULE_NAMES.page(ctx, &(), None, MODULE_ACCOUNTS_MAX)?.items {
        accounts.push(pb::account(&existing(ctx, &listed.address)?));
    }
    Ok(QueryModuleAccountsResponse { accounts }.encode_to_vec())
}

fn module_account_by_name(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: QueryModuleAccountByNameRequest = request(bytes)?;
    let account = get(ctx, &Address::of_module(&asked.name))?;
    let named = account.filter(|account| account.module.as_ref() == Some(&asked.name));
    let unknown = || Status::not_found(format!("account {} not found", kernel::excerpt(&asked.name)));
    let account = named.ok_or_else(unknown)?;
    Ok(QueryModuleAccountByNameResponse { account: Some(pb::account(&account)) }.encode_to_vec())
}

fn params(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let _asked: QueryParamsRequest = request(bytes)?;
    Ok(QueryParamsResponse { params: Some(pb::params(&load_params(ctx)?)) }.encode_to_vec())
}

fn bech32_prefix(_: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let _asked: Bech32PrefixRequest = request(bytes)?;
    Ok(Bech32PrefixResponse { bech32_prefix: address::prefix_of() }.encode_to_vec())
}

fn address_bytes_to_string(_: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: AddressBytesToStringRequest = request(bytes)?;
    let address_string = Address::from_bytes(&asked.address_bytes)?.to_string();
    Ok(AddressBytesToStringResponse { address_string }.encode_to_vec())
}

fn address_string_to_bytes(_: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: AddressStringToBytesRequest = request(bytes)?;
    let address_bytes = Address::parse(&asked.address_string)?.0.to_vec();
    Ok(AddressStringToBytesResponse { address_bytes }.encode_to_vec())
}
