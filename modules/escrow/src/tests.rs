//! Escrow over the real bank on a store in memory.

mod accounts;
mod messages;
mod properties;
mod wire;

use kernel::{Address, Amount, At, Backend as _, Billing, Block, Ctx, Mode, Module as _, chain};
use store::MemoryBackend;

use crate::{Escrow, Genesis, Params, fees_account, module_account};

/// The rate of eight units at 2 USD an hour.
const RATE: u128 = 4_444_444_444_444_444_444_440;

/// What must be said of a value, and a change that makes it so.
type Break<T> = (&'static str, fn(&mut T));

fn address(number: u8) -> Address {
    Address([number; 20])
}

fn amount(units: u64) -> Amount {
    Amount::from(units)
}

fn at(seconds: u64) -> At<Billing> {
    At::new(seconds)
}

fn authority() -> Address {
    address(99)
}

/// A chain with auth, bank and escrow, on which the addresses 1 to 9 have 10^12 ucredit each.
fn chain_of(params: Params) -> Ctx {
    let stores = [
        (chain::STORE, chain::NAME),
        (auth::Auth::STORE, auth::Auth::NAME),
        (bank::Bank::STORE, bank::Bank::NAME),
        (Escrow::STORE, Escrow::NAME),
    ];
    let backend = MemoryBackend::new(&stores);
    let block = Block { height: At::new(1), app_version: 1, billing: at(1_000), ..Block::default() };
    let mut ctx = Ctx::new(backend.view(None).unwrap(), Mode::Deliver, block);
    let auth = serde_json::from_str(&format!(
        "{{\"params\": {}}}",
        serde_json::to_string(&auth::Params::default()).unwrap()
    ));
    auth::Auth::init_genesis(&mut ctx, auth.unwrap()).unwrap();
    bank::Bank::init_genesis(&mut ctx, bank::Genesis::default()).unwrap();
    Escrow::init_genesis(&mut ctx, Genesis { params }).unwrap();
    for number in 1..10 {
        bank::mint(&mut ctx, address(number), &bank::ucredit(), amount(1_000_000_000_000)).unwrap();
    }
    ctx.take_events();
    ctx
}

fn ctx() -> Ctx {
    chain_of(Params::new(authority()))
}

fn money(ctx: &Ctx, address: Address) -> u128 {
    bank::balance(ctx, &address, &bank::ucredit()).unwrap().units()
}

fn pool(ctx: &Ctx) -> u128 {
    money(ctx, module_account())
}

fn fees(ctx: &Ctx) -> u128 {
    money(ctx, fees_account())
}
