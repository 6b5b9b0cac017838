//! The genesis document.

use kernel::{Address, Dec, Error as KernelError, Module as _};

use super::{blank, chain, generator, person, sound};
use crate::{
    Auth, Claim, Genesis, GenesisAccount, GenesisModuleAccount, Params, PublicKey, create_module_account,
    ensure, fees, get, set, state::EXPIRIES, unordered,
};

fn listed(address: Address, number: Option<u64>) -> GenesisAccount {
    GenesisAccount { address, key: None, number, sequence: 0 }
}

#[test]
fn an_export_is_a_genesis_that_exports_the_same() {
    let mut ctx = chain(Genesis::default());
    create_module_account(&mut ctx, "escrow").unwrap();
    let mut account = ensure(&mut ctx, &generator().address()).unwrap();
    account.key = Some(generator());
    account.sequence = 7;
    set(&mut ctx, &account).unwrap();
    ensure(&mut ctx, &person(1)).unwrap();
    for timeout in [5_000_000_000_000, 6_000_000_000_000] {
        let account = crate::get(&ctx, &person(1)).unwrap().unwrap();
        unordered::claim(&mut ctx, account, timeout).unwrap();
    }
    fees::end_block(&mut ctx, u64::MAX).unwrap();

    let exported = Auth::export_genesis(&ctx).unwrap();
    let text = serde_json::to_string(&exported).unwrap();
    let mut again = chain(serde_json::from_str(&text).unwrap());
    assert_eq!(Auth::export_genesis(&again), Ok(exported));
    sound(&again);
    assert_eq!(get(&again, &generator().address()), Ok(Some(account)));
    assert_eq!(fees::base(&again), fees::base(&ctx));
    assert_eq!(EXPIRIES.first(&again), EXPIRIES.first(&ctx));
    assert_eq!(create_module_account(&mut again, "escrow").unwrap().number, 0);
    assert_eq!(ensure(&mut again, &person(9)).unwrap().number, 3);
}

#[test]
fn accounts_without_a_number_take_those_that_are_left() {
    let accounts = vec![
        listed(person(1), None),
        listed(person(2), Some(1)),
        listed(person(3), None),
        listed(person(4), Some(40)),
    ];
    let module_accounts = vec![GenesisModuleAccount { name: "escrow".into(), number: 2 }];
    let mut ctx = chain(Genesis { accounts, module_accounts, ..Genesis::default() });
    let number = |n| get(&ctx, &person(n)).unwrap().unwrap().number;
    assert_eq!([number(1), number(2), number(3), number(4)], [0, 1, 3, 40]);
    assert_eq!(ensure(&mut ctx, &person(5)).unwrap().number, 41);
    sound(&ctx);
}

#[test]
fn a_wrong_document_is_refused_with_the_name_of_the_field() {
    let key = Some(PublicKey::Ed25519([1; 32]));
    let claim = Claim { address: person(1), timeout_nanos: 5 };
    let fee = Params::default().fee;
    let cases: Vec<(&str, Genesis)> = vec![
        ("params.signatures_max", with_params(|params| params.signatures_max = 0)),
        ("params.signatures_max: expected 1 to 4", with_params(|params| params.signatures_max = 5)),
        ("params.tx_bytes_max", with_params(|params| params.tx_bytes_max = 0)),
        ("params.tx_bytes_max: expected 1 to 262144", with_params(|params| params.tx_bytes_max = 262_145)),
        ("params.unordered_live_max", with_params(|params| params.unordered_live_max = 0)),
        ("params.unordered_timeout_max_s", with_params(|params| params.unordered_timeout_max_s = 86_401)),
        ("params.max_block_gas", with_params(|params| params.max_block_gas = 1)),
        ("params.max_block_gas", with_params(|params| params.max_block_gas = 1 << 63)),
        ("params.fee.denom", with_params(|params| params.fee.denom.clear())),
        (
            "params.fee.base_ceiling",
            with_params(|params| params.fee.base_ceiling = Dec::from_atomics(u128::MAX)),
        ),
        (
            "params.fee.base_floor",
            with_params(|params| {
                params.fee.base_floor = Dec::ONE;
                params.fee.base_ceiling = Dec::default();
            }),
        ),
        ("params.fee.base_start", with_params(|params| params.fee.base_start = Dec::from_atomics(u128::MAX))),
        (
            "base_fee",
            Genesis {
                base_fee: Some(Dec::from_atomics(fee.base_ceiling.atomics() + 1)),
                ..Genesis::default()
            },
        ),
        ("accounts[1].address", with_accounts(vec![listed(person(1), None), listed(person(1), None)])),
        ("accounts: number 3", with_accounts(vec![listed(person(1), Some(3)), listed(person(2), Some(3))])),
        ("accounts: no number", with_accounts(vec![listed(person(1), Some(u64::MAX))])),
        ("accounts[0].key", with_accounts(vec![GenesisAccount { key, ..listed(person(1), None) }])),
        (
            "module_accounts[0].name",
            Genesis {
                module_accounts: vec![GenesisModuleAccount { name: "escrow".into(), number: 9 }],
                ..with_accounts(vec![listed(Address::of_module("escrow"), None)])
            },
        ),
        ("unordered[0]", Genesis { unordered: vec![claim.clone()], ..Genesis::default() }),
        (
            "unordered[1]",
            Genesis { unordered: vec![claim.clone(), claim], ..with_accounts(vec![listed(person(1), None)]) },
        ),
    ];
    for (field, genesis) in cases {
        match Auth::init_genesis(&mut blank(), genesis) {
            Err(KernelError::Rejected(reject)) => {
                assert!(reject.message.starts_with(field), "{field}: {reject}")
            }
            other => panic!("{field}: {other:?}"),
        }
    }
}

fn with_params(change: impl FnOnce(&mut Params)) -> Genesis {
    let mut genesis = Genesis::default();
    change(&mut genesis.params);
    genesis
}

fn with_accounts(accounts: Vec<GenesisAccount>) -> Genesis {
    Genesis { accounts, ..Genesis::default() }
}

#[test]
fn a_key_is_written_as_cosmos_writes_it() {
    let text =
        r#"{"@type":"/cosmos.crypto.secp256k1.PubKey","key":"Anm+Zn753LusVaBilc6HCwcCm/zbLc4o2VnygVsW+BeY"}"#;
    assert_eq!(serde_json::from_str::<PublicKey>(text).unwrap(), generator());
    assert_eq!(serde_json::to_string(&generator()).unwrap(), text);
    for bad in [
        text.replace("secp256k1", "secp256r1"),
        text.replace("Anm+", "Bnm+"),
        text.replace("Anm+", ""),
        text.replace("Anm+", "Anm-"),
        text.replace("\"key\"", "\"value\""),
    ] {
        assert!(serde_json::from_str::<PublicKey>(&bad).is_err(), "{bad}");
    }
}
