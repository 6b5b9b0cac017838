//! The module, with auth, over a store in memory.

use kernel::{
    Address, Amount, At, Backend as _, Block, Ctx, Depth, Error as KernelError, Message as _, Mode,
    Module as _, Result, authority,
};
use prost::{Message as _, Name};
use proto::{cosmos::bank::v1beta1 as pb, cosmos::base::v1beta1 as wire, underbid::bank::v1 as own};
use store::MemoryBackend;

use crate::{
    Balances, Bank, Coin, Denom, Genesis, Msg, SendEnabledFlag, balance, send_enabled, supply, uflop,
};

mod bytes;
mod genesis;
mod messages;
mod money;
mod queries;

const ALICE: Address = Address([1; 20]);
const BOB: Address = Address([2; 20]);
const NOBODY: Address = Address([9; 20]);

fn escrow() -> Address {
    Address::of_module("escrow")
}

/// A context without the bank's genesis; the module account `escrow` is there.
fn blank() -> Ctx {
    empty().1
}

fn empty() -> (MemoryBackend, Ctx) {
    let backend = MemoryBackend::new(&[(auth::Auth::STORE, auth::Auth::NAME), (Bank::STORE, Bank::NAME)]);
    let block = Block {
        height: At::new(1),
        time: At::new(1_000),
        time_nanos: 0,
        billing: At::new(1_000),
        app_version: 1,
        chain_id: "test-1".to_owned(),
    };
    let mut ctx = Ctx::new(backend.view(None).unwrap(), Mode::Deliver, block);
    auth::Auth::init_genesis(&mut ctx, auth::Genesis::default()).unwrap();
    auth::create_module_account(&mut ctx, "escrow").unwrap();
    (backend, ctx)
}

/// Alice has 1000 uflop, 500 uflops (whose name starts with the other's) and 50 ucredit, Bob 10 uflop; accounts may
/// not send ucredit.
fn chain() -> Ctx {
    populated().1
}

fn populated() -> (MemoryBackend, Ctx) {
    let coins = |list: &[(&str, u64)]| list.iter().map(|(denom, amount)| coin(denom, *amount)).collect();
    let genesis = Genesis {
        balances: vec![
            Balances { address: ALICE, coins: coins(&[("ucredit", 50), ("uflop", 1_000), ("uflops", 500)]) },
            Balances { address: BOB, coins: coins(&[("uflop", 10)]) },
        ],
        send_enabled: vec![SendEnabledFlag { denom: crate::ucredit(), enabled: false }],
        ..Genesis::default()
    };
    let (backend, mut ctx) = empty();
    Bank::init_genesis(&mut ctx, genesis).unwrap();
    (backend, ctx)
}

fn coin(denom: &str, amount: u64) -> Coin {
    Coin { denom: Denom::new(denom).unwrap(), amount: Amount::from(amount) }
}

fn wire_coins(list: &[(&str, &str)]) -> Vec<wire::Coin> {
    list.iter()
        .map(|(denom, amount)| wire::Coin { denom: (*denom).into(), amount: (*amount).into() })
        .collect()
}

fn has(ctx: &Ctx, owner: Address, denom: &str) -> u128 {
    balance(ctx, &owner, &Denom::new(denom).unwrap()).unwrap().units()
}

fn sound(ctx: &Ctx) {
    Bank::invariants(ctx, Depth::Full).unwrap();
    auth::Auth::invariants(ctx, Depth::Full).unwrap();
}

/// Parses a message and runs it as its signer does, in a transaction of its own.
fn run<M: Name>(ctx: &mut Ctx, body: &M) -> Result<()> {
    let msg = Msg::parse(&M::full_name(), &body.encode_to_vec(), 1)?;
    let signer = msg.signers().as_slice()[0];
    let reply = ctx.attempt(|ctx| Bank::handle(ctx, authority::signed(msg, signer)))?;
    assert_eq!(reply.type_url, format!("/{}Response", M::full_name()));
    Ok(())
}

/// The codespace, code and text of a refusal.
fn refusal<T: std::fmt::Debug>(result: Result<T>) -> (&'static str, u32, String) {
    match result.unwrap_err() {
        KernelError::Rejected(reject) => (reject.codespace, reject.code, reject.message),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn send(from: Address, to: Address, coins: &[(&str, &str)]) -> pb::MsgSend {
    pb::MsgSend { from_address: from.to_string(), to_address: to.to_string(), amount: wire_coins(coins) }
}

fn burn(from: Address, coins: &[(&str, &str)]) -> own::MsgBurn {
    own::MsgBurn { from_address: from.to_string(), amount: wire_coins(coins) }
}

#[test]
fn the_denoms_of_the_market_are_denoms() {
    for denom in [uflop(), crate::ucredit()] {
        assert_eq!(Denom::new(denom.as_str()), Ok(denom));
    }
    let ctx = chain();
    assert_eq!(send_enabled(&ctx, &uflop()), Ok(true));
    assert_eq!(send_enabled(&ctx, &crate::ucredit()), Ok(false));
    assert_eq!(supply(&ctx, &uflop()), Ok(Amount::from(1_010)));
}

#[test]
fn a_denom_has_one_form() {
    let longest = format!("u{}", "x".repeat(127));
    for good in ["abc", "uflop", "ibc/27394FB092D2", "factory:x.y_z-1", &longest] {
        assert_eq!(Denom::new(good).unwrap().as_str(), good);
    }
    let too_long = format!("{longest}x");
    let huge = "a".repeat(1 << 20);
    for bad in ["", "ab", "1abc", "a b", "abc\0", "ünit", "/abc", &too_long, &huge] {
        let reject = Denom::new(bad).unwrap_err();
        assert_eq!((reject.codespace, reject.code), ("sdk", 10), "{bad:?}");
        assert!(reject.message.len() < 600);
    }
}
