//! The module over a store in memory.

use kernel::{
    Address, At, Backend as _, Block, Ctx, Depth, Error as KernelError, IndexedMap, Mode, Module as _, Result,
};
use store::MemoryBackend;

use crate::{
    Account, Auth, Genesis, PublicKey, create_module_account, ensure, get, is_module_account, set,
    types::{Unordered, UnorderedKey},
};

mod bytes;
mod fees;
mod genesis;
mod queries;
mod unordered;

/// A context at second 1000 of the chain, without a genesis.
fn blank() -> Ctx {
    let backend = MemoryBackend::new(&[(Auth::STORE, Auth::NAME)]);
    let block = Block {
        height: At::new(1),
        time: At::new(1_000),
        time_nanos: 0,
        billing: At::new(1_000),
        app_version: 1,
        chain_id: "test-1".to_owned(),
    };
    Ctx::new(backend.view(None).unwrap(), Mode::Deliver, block)
}

fn chain(genesis: Genesis) -> Ctx {
    let mut ctx = blank();
    Auth::init_genesis(&mut ctx, genesis).unwrap();
    ctx
}

fn sound(ctx: &Ctx) {
    Auth::invariants(ctx, Depth::Full).unwrap();
}

fn person(n: u8) -> Address {
    Address([n; 20])
}

/// The codespace and code of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> (&'static str, u32) {
    match result.unwrap_err() {
        KernelError::Rejected(reject) => (reject.codespace, reject.code),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The key 1 on secp256k1, whose hash is known everywhere.
fn generator() -> PublicKey {
    let point = hex::decode("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798").unwrap();
    PublicKey::secp256k1(&point).unwrap()
}

#[test]
fn a_key_has_the_address_that_wallets_compute() {
    assert_eq!(hex::encode(generator().address().0), "751e76e8199196d454941c45d1b3a323f1433bd6");
    let ed25519 = PublicKey::Ed25519([0; 32]);
    assert_eq!(hex::encode(ed25519.address().0), "66687aadf862bd776c8fc18b8e9f8e2008971485");
}

#[test]
fn a_key_reads_what_it_writes_and_no_other_form() {
    for key in [generator(), PublicKey::Ed25519([7; 32])] {
        let any = key.to_any();
        assert_eq!(PublicKey::from_any(&any.type_url, &any.value), Ok(key));
        let mut trailing = any.value.clone();
        trailing.extend([0x12, 0]);
        let mut short = any.value.clone();
        short.pop();
        let empty = Vec::new();
        let foreign = "/cosmos.crypto.secp256r1.PubKey".to_owned();
        let long = "/".repeat(1 << 20);
        let slashless = any.type_url.trim_start_matches('/').to_owned();
        for (url, value) in [
            (&any.type_url, &trailing),
            (&any.type_url, &short),
            (&any.type_url, &empty),
            (&foreign, &any.value),
            (&long, &any.value),
            (&slashless, &any.value),
        ] {
            let reject = PublicKey::from_any(url, value).unwrap_err();
            assert!(reject.message.len() < 300, "{}", reject.message.len());
        }
    }
    let mut uncompressed = [4; 33];
    uncompressed[1] = 1;
    let any = PublicKey::Secp256k1(uncompressed).to_any();
    assert_eq!(PublicKey::from_any(&any.type_url, &any.value).unwrap_err().code, 8);
}

#[test]
fn accounts_get_numbers_in_the_order_of_their_first_mention() {
    let mut ctx = chain(Genesis::default());
    assert_eq!(get(&ctx, &person(1)), Ok(None));
    let first = ensure(&mut ctx, &person(1)).unwrap();
    let expected =
        Account { address: person(1), key: None, number: 0, sequence: 0, unordered_live: 0, module: None };
    assert_eq!(first, expected);
    assert_eq!(ensure(&mut ctx, &person(2)).unwrap().number, 1);
    assert_eq!(ensure(&mut ctx, &person(1)).unwrap(), first);
    assert_eq!(ensure(&mut ctx, &person(3)).unwrap().number, 2);
    sound(&ctx);
}

#[test]
fn a_module_account_is_known_by_its_address() {
    let mut ctx = chain(Genesis::default());
    let escrow = create_module_account(&mut ctx, "escrow").unwrap();
    assert_eq!(escrow.address, Address::of_module("escrow"));
    assert_eq!(create_module_account(&mut ctx, "escrow").unwrap(), escrow);
    assert_eq!(ensure(&mut ctx, &escrow.address).unwrap(), escrow);
    ensure(&mut ctx, &person(1)).unwrap();
    assert_eq!(is_module_account(&ctx, &escrow.address), Ok(true));
    assert_eq!(is_module_account(&ctx, &person(1)), Ok(false));
    assert_eq!(is_module_account(&ctx, &person(2)), Ok(false));

    ensure(&mut ctx, &Address::of_module("late")).unwrap();
    assert_eq!(refusal(create_module_account(&mut ctx, "late")), ("sdk", 18));
    assert_eq!(refusal(create_module_account(&mut ctx, "")), ("sdk", 18));
    assert_eq!(refusal(create_module_account(&mut ctx, &"x".repeat(65))), ("sdk", 18));
    sound(&ctx);
}

#[test]
fn an_account_that_runs_out_of_gas_leaves_nothing() {
    let mut ctx = chain(Genesis::default());
    let cost = {
        let before = ctx.gas_used();
        ensure(&mut ctx, &person(1)).unwrap();
        ctx.gas_used() - before
    };
    for limit in (0..cost).step_by(97) {
        let result = ctx.attempt(|ctx| ctx.with_gas(limit, |ctx| ensure(ctx, &person(9))));
        assert_eq!(result, Err(KernelError::OutOfGas));
        assert_eq!(get(&ctx, &person(9)), Ok(None));
        sound(&ctx);
    }
    assert_eq!(ensure(&mut ctx, &person(9)).unwrap().number, 1);
}

#[test]
fn a_broken_law_is_found() {
    type Damage = fn(&mut Account);
    let cases: [(&str, Damage); 4] = [
        ("A1", |account| account.number = 1),
        ("A2", |account| account.unordered_live = 1),
        ("A3", |account| account.module = Some("escrow".into())),
        ("A4", |account| account.key = Some(PublicKey::Ed25519([1; 32]))),
    ];
    for (law, damage) in cases {
        let mut ctx = chain(Genesis::default());
        let mut account = ensure(&mut ctx, &person(1)).unwrap();
        ensure(&mut ctx, &person(2)).unwrap();
        damage(&mut account);
        set(&mut ctx, &account).unwrap();
        let broken = Auth::invariants(&ctx, Depth::Full).unwrap_err();
        assert!(broken.to_string().contains(law), "{law}: {broken}");
    }

    // An entry of a record that is not there.
    let mut ctx = chain(Genesis::default());
    let stray: IndexedMap<UnorderedKey, Unordered> = IndexedMap::new(Auth::STORE, 99);
    stray.create(&mut ctx, &(person(1), 5), &Unordered::default()).unwrap();
    let broken = Auth::invariants(&ctx, Depth::Full).unwrap_err();
    assert!(broken.to_string().contains("A5"), "{broken}");
}
