//! What clients are told.

use kernel::{Address, Ctx, Status, StatusCode};
use prost::Message;
use proto::cosmos::{auth::v1beta1::*, base::query::v1beta1::PageRequest};

use super::{chain, generator, person};
use crate::{Genesis, create_module_account, ensure, queries::ROUTES, set};

fn ask<R: Message + Default>(ctx: &Ctx, method: &str, request: &impl Message) -> Result<R, Status> {
    let path = format!("/cosmos.auth.v1beta1.Query/{method}");
    let (_, query) = ROUTES.iter().find(|(at, _)| *at == path).expect("a route");
    Ok(R::decode(query(ctx, &request.encode_to_vec())?.as_slice()).expect("a response"))
}

fn populated() -> Ctx {
    let mut ctx = chain(Genesis::default());
    create_module_account(&mut ctx, "escrow").unwrap();
    let mut account = ensure(&mut ctx, &generator().address()).unwrap();
    account.key = Some(generator());
    account.sequence = 3;
    set(&mut ctx, &account).unwrap();
    ensure(&mut ctx, &person(1)).unwrap();
    ctx
}

#[test]
fn an_account_is_a_base_account_or_a_module_account() {
    let ctx = populated();
    let address = generator().address().to_string();
    let base = BaseAccount {
        address: address.clone(),
        pub_key: Some(generator().to_any()),
        account_number: 1,
        sequence: 3,
    };
    let found: QueryAccountResponse =
        ask(&ctx, "Account", &QueryAccountRequest { address: address.clone() }).unwrap();
    let any = found.account.unwrap();
    assert_eq!(any.type_url, "/cosmos.auth.v1beta1.BaseAccount");
    assert_eq!(BaseAccount::decode(any.value.as_slice()).unwrap(), base);
    let info: QueryAccountInfoResponse =
        ask(&ctx, "AccountInfo", &QueryAccountInfoRequest { address }).unwrap();
    assert_eq!(info.info, Some(base));

    let escrow = Address::of_module("escrow").to_string();
    let found: QueryAccountResponse =
        ask(&ctx, "Account", &QueryAccountRequest { address: escrow.clone() }).unwrap();
    let any = found.account.unwrap();
    assert_eq!(any.type_url, "/cosmos.auth.v1beta1.ModuleAccount");
    let module = ModuleAccount::decode(any.value.as_slice()).unwrap();
    assert_eq!((module.name.as_str(), module.base_account.unwrap().address), ("escrow", escrow));

    let all: QueryModuleAccountsResponse =
        ask(&ctx, "ModuleAccounts", &QueryModuleAccountsRequest {}).unwrap();
    assert_eq!(all.accounts, std::slice::from_ref(&any));
    let asked = QueryModuleAccountByNameRequest { name: "escrow".into() };
    let named: QueryModuleAccountByNameResponse = ask(&ctx, "ModuleAccountByName", &asked).unwrap();
    assert_eq!(named.account, Some(any));
}

#[test]
fn what_is_not_there_is_said_in_the_words_that_clients_look_for() {
    let ctx = populated();
    let address = person(9).to_string();
    let missing = Status::not_found(format!("account {address} not found"));
    let asked = QueryAccountRequest { address: address.clone() };
    assert_eq!(ask::<QueryAccountResponse>(&ctx, "Account", &asked), Err(missing.clone()));
    let asked = QueryAccountInfoRequest { address };
    assert_eq!(ask::<QueryAccountInfoResponse>(&ctx, "AccountInfo", &asked), Err(missing));
    for name in ["market", "", &"x".repeat(1 << 16)] {
        let asked = QueryModuleAccountByNameRequest { name: name.into() };
        let status =
            ask::<QueryModuleAccountByNameResponse>(&ctx, "ModuleAccountByName", &asked).unwrap_err();
        assert_eq!(status.code, StatusCode::NotFound);
        assert!(status.message.len() < 200);
    }
    let asked = QueryAccountRequest { address: "nobody".into() };
    let status = ask::<QueryAccountResponse>(&ctx, "Account", &asked).unwrap_err();
    assert_eq!(status.code, StatusCode::InvalidArgument);
}

#[test]
fn accounts_come_in_pages() {
    let ctx = populated();
    let page = |request: PageRequest| -> QueryAccountsResponse {
        ask(&ctx, "Accounts", &QueryAccountsRequest { pagination: Some(request) }).unwrap()
    };
    let whole = page(PageRequest::default());
    assert_eq!((whole.accounts.len(), whole.pagination.unwrap().total), (3, 3));
    let first = page(PageRequest { limit: 2, ..Default::default() });
    let next_key = first.pagination.unwrap().next_key;
    let second = page(PageRequest { key: next_key, limit: 2, ..Default::default() });
    assert_eq!([first.accounts, second.accounts].concat(), whole.accounts);
    assert!(second.pagination.unwrap().next_key.is_empty());
}

#[test]
fn parameters_and_addresses_are_told() {
    let ctx = populated();
    let params: QueryParamsResponse = ask(&ctx, "Params", &QueryParamsRequest {}).unwrap();
    let params = params.params.unwrap();
    assert_eq!((params.max_memo_characters, params.tx_sig_limit, params.tx_size_cost_per_byte), (256, 4, 10));
    assert_eq!((params.sig_verify_cost_ed25519, params.sig_verify_cost_secp256k1), (590, 1_000));
    let prefix: Bech32PrefixResponse = ask(&ctx, "Bech32Prefix", &Bech32PrefixRequest {}).unwrap();
    assert!(person(1).to_string().starts_with(&format!("{}1", prefix.bech32_prefix)));
    let asked = AddressBytesToStringRequest { address_bytes: vec![1; 20] };
    let text: AddressBytesToStringResponse = ask(&ctx, "AddressBytesToString", &asked).unwrap();
    assert_eq!(text.address_string, person(1).to_string());
    let asked = AddressStringToBytesRequest { address_string: text.address_string };
    let bytes: AddressStringToBytesResponse = ask(&ctx, "AddressStringToBytes", &asked).unwrap();
    assert_eq!(bytes.address_bytes, [1; 20]);
    let asked = AddressBytesToStringRequest { address_bytes: vec![1; 19] };
    assert!(ask::<AddressBytesToStringResponse>(&ctx, "AddressBytesToString", &asked).is_err());
}
