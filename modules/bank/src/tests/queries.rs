//! What clients are told.

use kernel::{Status, StatusCode};
use proto::cosmos::{bank::v1beta1::*, base::query::v1beta1::PageRequest};

use super::*;
use crate::{DenomUnit, queries::ROUTES, transfer};

fn ask<R: prost::Message + Default>(
    ctx: &Ctx,
    method: &str,
    request: &impl prost::Message,
) -> Result<R, Status> {
    let path = format!("/cosmos.bank.v1beta1.Query/{method}");
    let (_, query) = ROUTES.iter().find(|(at, _)| *at == path).expect("a route");
    Ok(R::decode(query(ctx, &request.encode_to_vec())?.as_slice()).expect("a response"))
}

#[test]
fn a_balance_is_told_also_where_there_is_none() {
    let ctx = chain();
    for (owner, denom, amount) in [(ALICE, "uflop", "1000"), (ALICE, "aaa", "0"), (NOBODY, "uflop", "0")] {
        let expected = wire_coins(&[(denom, amount)]).pop();
        let asked = QueryBalanceRequest { address: owner.to_string(), denom: denom.into() };
        let told: QueryBalanceResponse = ask(&ctx, "Balance", &asked).unwrap();
        assert_eq!(told.balance, expected);
        let asked = QuerySpendableBalanceByDenomRequest { address: owner.to_string(), denom: denom.into() };
        let told: QuerySpendableBalanceByDenomResponse =
            ask(&ctx, "SpendableBalanceByDenom", &asked).unwrap();
        assert_eq!(told.balance, expected);
    }
    for (address, denom) in [("nobody".to_owned(), "uflop"), (ALICE.to_string(), "")] {
        let asked = QueryBalanceRequest { address, denom: denom.into() };
        let status = ask::<QueryBalanceResponse>(&ctx, "Balance", &asked).unwrap_err();
        assert_eq!(status.code, StatusCode::InvalidArgument);
    }
}

#[test]
fn balances_come_in_pages_of_one_account() {
    let ctx = chain();
    let all = wire_coins(&[("ucredit", "50"), ("uflop", "1000"), ("uflops", "500")]);
    let asked = QuerySpendableBalancesRequest { address: ALICE.to_string(), pagination: None };
    let told: QuerySpendableBalancesResponse = ask(&ctx, "SpendableBalances", &asked).unwrap();
    assert_eq!((told.balances, told.pagination.unwrap().total), (all.clone(), 3));

    let page = |key: Vec<u8>| -> QueryAllBalancesResponse {
        let pagination = Some(PageRequest { key, limit: 2, ..Default::default() });
        let asked = QueryAllBalancesRequest { address: ALICE.to_string(), pagination, resolve_denom: false };
        ask(&ctx, "AllBalances", &asked).unwrap()
    };
    let first = page(Vec::new());
    let second = page(first.pagination.unwrap().next_key);
    assert_eq!([first.balances, second.balances].concat(), all);
    assert!(second.pagination.unwrap().next_key.is_empty());
    assert!(page(vec![255; 300]).balances.is_empty());
}

#[test]
fn the_owners_of_a_denom_are_those_who_have_it() {
    let mut ctx = chain();
    transfer(&mut ctx, ALICE, NOBODY, &uflop(), Amount::from(1_000)).unwrap();
    let owners = |denom: &str, request: PageRequest| -> QueryDenomOwnersResponse {
        let asked = QueryDenomOwnersRequest { denom: denom.into(), pagination: Some(request) };
        ask(&ctx, "DenomOwners", &asked).unwrap()
    };
    let owner = |address: Address, denom: &str, amount: &str| DenomOwner {
        address: address.to_string(),
        balance: wire_coins(&[(denom, amount)]).pop(),
    };
    let told = owners("uflop", PageRequest::default());
    assert_eq!(told.denom_owners, [owner(BOB, "uflop", "10"), owner(NOBODY, "uflop", "1000")]);
    assert_eq!(owners("uflops", PageRequest::default()).denom_owners, [owner(ALICE, "uflops", "500")]);
    assert!(owners("uflo", PageRequest::default()).denom_owners.is_empty());
    let first = owners("uflop", PageRequest { limit: 1, ..Default::default() });
    let key = first.pagination.unwrap().next_key;
    let second = owners("uflop", PageRequest { key, limit: 1, ..Default::default() });
    assert_eq!([first.denom_owners, second.denom_owners].concat(), told.denom_owners);
}

#[test]
fn the_supply_is_told_by_denom() {
    let ctx = chain();
    let told: QueryTotalSupplyResponse =
        ask(&ctx, "TotalSupply", &QueryTotalSupplyRequest::default()).unwrap();
    assert_eq!(told.supply, wire_coins(&[("ucredit", "50"), ("uflop", "1010"), ("uflops", "500")]));
    for (denom, amount) in [("uflop", "1010"), ("aaa", "0")] {
        let asked = QuerySupplyOfRequest { denom: denom.into() };
        let told: QuerySupplyOfResponse = ask(&ctx, "SupplyOf", &asked).unwrap();
        assert_eq!(told.amount, wire_coins(&[(denom, amount)]).pop());
    }
}

#[test]
fn settings_are_told() {
    let ctx = chain();
    let told: QueryParamsResponse = ask(&ctx, "Params", &QueryParamsRequest {}).unwrap();
    assert_eq!(told.params, Some(Params { send_enabled: vec![], default_send_enabled: true }));
    let setting = SendEnabled { denom: "ucredit".into(), enabled: false };
    for denoms in [vec![], vec!["ucredit".to_owned(), "uflop".to_owned()]] {
        let asked = QuerySendEnabledRequest { denoms, pagination: None };
        let told: QuerySendEnabledResponse = ask(&ctx, "SendEnabled", &asked).unwrap();
        assert_eq!(told.send_enabled, std::slice::from_ref(&setting));
    }
    let asked = QuerySendEnabledRequest { denoms: vec!["uflop".into(); 1_001], pagination: None };
    assert!(ask::<QuerySendEnabledResponse>(&ctx, "SendEnabled", &asked).is_err());
}

#[test]
fn metadata_is_told() {
    let mut ctx = blank();
    let unit = |denom: &str, exponent| DenomUnit { denom: denom.into(), exponent, aliases: vec!["x".into()] };
    let flop = crate::Metadata {
        description: "d".into(),
        denom_units: vec![unit("uflop", 0), unit("flop", 6)],
        base: uflop(),
        display: "flop".into(),
        name: "Flop".into(),
        symbol: "FLOP".into(),
        uri: "u".into(),
        uri_hash: "h".into(),
    };
    Bank::init_genesis(&mut ctx, Genesis { metadata: vec![flop], ..Genesis::default() }).unwrap();
    let all: QueryDenomsMetadataResponse =
        ask(&ctx, "DenomsMetadata", &QueryDenomsMetadataRequest::default()).unwrap();
    let asked = QueryDenomMetadataRequest { denom: "uflop".into() };
    let one: QueryDenomMetadataResponse = ask(&ctx, "DenomMetadata", &asked).unwrap();
    let one = one.metadata.unwrap();
    assert_eq!(all.metadatas, std::slice::from_ref(&one));
    assert_eq!((one.base.as_str(), one.display.as_str(), one.symbol.as_str()), ("uflop", "flop", "FLOP"));
    assert_eq!((one.denom_units[1].exponent, one.denom_units[1].aliases.clone()), (6, vec!["x".to_owned()]));
    assert_eq!((one.uri.as_str(), one.uri_hash.as_str(), one.name.as_str()), ("u", "h", "Flop"));

    let asked = QueryDenomMetadataRequest { denom: "ucredit".into() };
    let status = ask::<QueryDenomMetadataResponse>(&ctx, "DenomMetadata", &asked).unwrap_err();
    assert_eq!(status, Status::not_found("client metadata for denom ucredit"));
}
