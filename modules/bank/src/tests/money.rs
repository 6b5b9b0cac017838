//! What modules do with money: it moves, and none is lost.

use kernel::{Address, Amount, Change, Ctx, Error as KernelError, IndexedMap, Key as _, Module as _, Space};
use proptest::prelude::*;

use super::*;
use crate::{
    burn, check_changes, mint,
    state::{BALANCES, SUPPLY},
    transfer,
    types::{Balance, BalanceKey, Supply},
};

/// The events' kinds and attributes, as ABCI shows them.
fn shown(ctx: &mut Ctx) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let rendered = ctx.take_events().into_iter().flat_map(|event| event.rendered());
    rendered.map(|event| (event.kind, event.attributes)).collect()
}

#[test]
fn a_transfer_moves_money_and_creates_the_receivers_account() {
    let mut ctx = chain();
    transfer(&mut ctx, ALICE, NOBODY, &uflop(), Amount::from(999)).unwrap();
    assert_eq!((has(&ctx, ALICE, "uflop"), has(&ctx, NOBODY, "uflop")), (1, 999));
    assert!(auth::get(&ctx, &NOBODY).unwrap().is_some());
    transfer(&mut ctx, ALICE, escrow(), &uflop(), Amount::from(1)).unwrap();
    assert_eq!(has(&ctx, ALICE, "uflop"), 0);
    assert_eq!(BALANCES.has(&ctx, &(ALICE, uflop())), Ok(false));
    transfer(&mut ctx, ALICE, BOB, &crate::ucredit(), Amount::from(50)).unwrap();
    sound(&ctx);
}

#[test]
fn one_cannot_spend_more_than_one_has() {
    let mut ctx = chain();
    for amount in [Amount::from(1_001), Amount::MAX] {
        let text = format!("spendable balance 1000uflop is smaller than {amount}uflop: insufficient funds");
        let refused = ("sdk", 5, text);
        assert_eq!(refusal(transfer(&mut ctx, ALICE, BOB, &uflop(), amount)), refused);
        assert_eq!(refusal(transfer(&mut ctx, ALICE, ALICE, &uflop(), amount)), refused);
        assert_eq!(refusal(burn(&mut ctx, ALICE, &uflop(), amount)), refused);
    }
    assert_eq!(refusal(transfer(&mut ctx, NOBODY, BOB, &uflop(), Amount::from(1))).1, 5);
    assert!(ctx.take_events().is_empty());
    transfer(&mut ctx, ALICE, BOB, &uflop(), Amount::from(1_000)).unwrap();
    sound(&ctx);
}

#[test]
fn a_transfer_to_oneself_changes_nothing() {
    let mut ctx = chain();
    let writes = ctx.counters().writes;
    transfer(&mut ctx, ALICE, ALICE, &uflop(), Amount::from(1_000)).unwrap();
    assert_eq!((has(&ctx, ALICE, "uflop"), ctx.counters().writes), (1_000, writes));
    assert_eq!(ctx.take_events().len(), 1);
    sound(&ctx);
}

#[test]
fn nothing_is_a_lawful_amount_for_a_module() {
    let mut ctx = chain();
    let used = ctx.gas_used();
    transfer(&mut ctx, NOBODY, ALICE, &uflop(), Amount::ZERO).unwrap();
    burn(&mut ctx, NOBODY, &uflop(), Amount::ZERO).unwrap();
    mint(&mut ctx, NOBODY, &uflop(), Amount::ZERO).unwrap();
    assert_eq!(ctx.gas_used(), used);
    assert!(ctx.take_events().is_empty());
    assert_eq!(auth::get(&ctx, &NOBODY), Ok(None));
}

#[test]
fn burning_and_minting_change_the_supply() {
    let mut ctx = chain();
    burn(&mut ctx, ALICE, &uflop(), Amount::from(1_000)).unwrap();
    assert_eq!(supply(&ctx, &uflop()), Ok(Amount::from(10)));
    burn(&mut ctx, BOB, &uflop(), Amount::from(10)).unwrap();
    assert_eq!(SUPPLY.has(&ctx, &uflop()), Ok(false));
    sound(&ctx);
    mint(&mut ctx, NOBODY, &uflop(), Amount::from(7)).unwrap();
    assert_eq!((supply(&ctx, &uflop()), has(&ctx, NOBODY, "uflop")), (Ok(Amount::from(7)), 7));
    sound(&ctx);
}

#[test]
fn no_supply_exceeds_the_largest_amount() {
    let mut ctx = chain();
    let room = Amount::MAX.minus(Amount::from(1_010)).unwrap();
    for too_much in [room.plus(Amount::from(1)).unwrap(), Amount::MAX] {
        assert_eq!(refusal(mint(&mut ctx, BOB, &uflop(), too_much)).1, 18);
    }
    mint(&mut ctx, BOB, &uflop(), room).unwrap();
    transfer(&mut ctx, ALICE, BOB, &uflop(), Amount::from(1_000)).unwrap();
    assert_eq!(has(&ctx, BOB, "uflop"), Amount::MAX.units());
    sound(&ctx);
}

#[test]
fn a_transfer_reads_and_writes_two_balances() {
    let mut ctx = chain();
    transfer(&mut ctx, ALICE, BOB, &uflop(), Amount::from(1)).unwrap();
    let before = (ctx.gas_used(), ctx.counters());
    auth::ensure(&mut ctx, &BOB).unwrap();
    let account = (ctx.gas_used() - before.0, ctx.counters().reads - before.1.reads);
    let before = (ctx.gas_used(), ctx.counters());
    transfer(&mut ctx, ALICE, BOB, &uflop(), Amount::from(1)).unwrap();
    let after = ctx.counters();
    // Each write looks at the record before it, which the read has just brought.
    assert_eq!(after.reads - before.1.reads - account.1, 4);
    assert_eq!((after.writes - before.1.writes, after.derived - before.1.derived), (2, 0));
    let gas = ctx.gas_used() - before.0 - account.0;
    assert!((7_000..9_000).contains(&gas), "a transfer costs {gas}");
}

#[test]
fn clients_find_the_events_that_they_know() {
    let mut ctx = chain();
    transfer(&mut ctx, ALICE, BOB, &uflop(), Amount::from(7)).unwrap();
    let (alice, bob, amount) = (ALICE.to_string(), BOB.to_string(), "7uflop".to_owned());
    assert_eq!(
        shown(&mut ctx),
        [
            (
                "underbid.bank.v1.EventTransferred",
                vec![
                    ("sender", alice.clone()),
                    ("receiver", bob.clone()),
                    ("denom", "uflop".into()),
                    ("amount", "7".into()),
                ]
            ),
            ("coin_spent", vec![("spender", alice.clone()), ("amount", amount.clone())]),
            ("coin_received", vec![("receiver", bob.clone()), ("amount", amount.clone())]),
            (
                "transfer",
                vec![("recipient", bob.clone()), ("sender", alice.clone()), ("amount", amount.clone())]
            ),
            ("message", vec![("sender", alice.clone())]),
        ]
    );
    burn(&mut ctx, ALICE, &uflop(), Amount::from(7)).unwrap();
    assert_eq!(
        shown(&mut ctx)[1..],
        [
            ("coin_spent", vec![("spender", alice.clone()), ("amount", amount.clone())]),
            ("burn", vec![("burner", alice), ("amount", amount.clone())]),
        ]
    );
    mint(&mut ctx, BOB, &uflop(), Amount::from(7)).unwrap();
    assert_eq!(
        shown(&mut ctx)[1..],
        [
            ("coin_received", vec![("receiver", bob.clone()), ("amount", amount.clone())]),
            ("coinbase", vec![("minter", bob), ("amount", amount)]),
        ]
    );
}

#[test]
fn only_the_typed_event_is_hashed() {
    let mut ctx = chain();
    transfer(&mut ctx, ALICE, BOB, &uflop(), Amount::from(7)).unwrap();
    let events = ctx.take_events();
    assert_eq!((events.len(), events[0].name), (1, "underbid.bank.v1.EventTransferred"));
    let typed = own::EventTransferred::decode(&events[0].bytes[..]).unwrap();
    assert_eq!((typed.sender, typed.receiver, typed.denom), (vec![1; 20], vec![2; 20], "uflop".into()));
    assert_eq!(typed.amount, 7_u128.to_be_bytes());
}

#[test]
fn what_runs_out_of_gas_leaves_nothing() {
    let steps: [fn(&mut Ctx) -> Result<()>; 3] = [
        |ctx| transfer(ctx, ALICE, NOBODY, &uflop(), Amount::from(5)),
        |ctx| burn(ctx, ALICE, &uflop(), Amount::from(5)),
        |ctx| mint(ctx, NOBODY, &uflop(), Amount::from(5)),
    ];
    for step in steps {
        let mut ctx = chain();
        let mut gas = 0;
        while let Err(error) = ctx.attempt(|ctx| ctx.with_gas(gas, step)) {
            assert_eq!(error, KernelError::OutOfGas);
            assert_eq!((has(&ctx, ALICE, "uflop"), has(&ctx, NOBODY, "uflop")), (1_000, 0));
            assert_eq!(auth::get(&ctx, &NOBODY), Ok(None));
            assert!(ctx.take_events().is_empty());
            sound(&ctx);
            gas += 211;
        }
        assert!(gas > 5_000);
    }
}

#[test]
fn a_block_that_makes_or_loses_money_is_found() {
    fn key(of: &[u8]) -> (Space, Vec<u8>) {
        (Space::State(Bank::STORE), of.to_vec())
    }
    let mut ctx = chain();
    transfer(&mut ctx, ALICE, NOBODY, &uflop(), Amount::from(5)).unwrap();
    mint(&mut ctx, BOB, &crate::ucredit(), Amount::from(3)).unwrap();
    let changes = ctx.finish().changes;
    assert_eq!(check_changes(&changes), Ok(()));

    let balances = [key(&BALANCES.key(&(ALICE, uflop()))), key(&BALANCES.key(&(NOBODY, uflop())))];
    for (space, key) in balances.into_iter().chain([key(&SUPPLY.key(&crate::ucredit()))]) {
        let at = (space, key.into());
        let mut lost = changes.clone();
        assert!(lost.remove(&at).is_some());
        assert!(check_changes(&lost).unwrap_err().to_string().contains("B1"));
        let mut grown = changes.clone();
        let mut bytes = grown[&at].new.clone().unwrap().to_vec();
        *bytes.last_mut().unwrap() += 1;
        grown.get_mut(&at).unwrap().new = Some(bytes.into());
        assert!(check_changes(&grown).is_err());
        let mut garbled = changes.clone();
        garbled.insert(at, Change { old: None, new: Some(vec![1, 2, 3].into()) });
        assert!(check_changes(&garbled).is_err());
    }
}

#[test]
fn the_index_can_be_rebuilt_from_the_balances() {
    let (backend, mut ctx) = populated();
    transfer(&mut ctx, ALICE, NOBODY, &uflop(), Amount::from(1_000)).unwrap();
    let digest: [u8; 32] = ctx.derived_delta().to_be_bytes();
    let staged = backend.stage(backend.view(None).unwrap().as_ref(), ctx.finish().changes).unwrap();
    let view = backend.commit(staged, 1).unwrap();
    let mut sink = kernel::DerivedSink::default();
    Bank::rebuild(view.as_ref(), &mut sink).unwrap();
    assert_eq!((sink.entries().len(), sink.digest()), (4, digest));
}

#[test]
fn a_broken_law_is_found() {
    let mut ctx = chain();
    SUPPLY.set(&mut ctx, &uflop(), &Supply { amount: Amount::from(9) }).unwrap();
    assert!(Bank::invariants(&ctx, Depth::Full).unwrap_err().to_string().contains("B1"));
    SUPPLY.remove(&mut ctx, &uflop()).unwrap();
    assert!(Bank::invariants(&ctx, Depth::Full).unwrap_err().to_string().contains("B1"));

    type Damage = fn(&mut Ctx);
    // A table over the same entries, whose records are no balances.
    const STRAY: IndexedMap<BalanceKey, Balance> = IndexedMap::new(Bank::STORE, 99);
    let cases: [(&str, Damage); 4] = [
        ("B2", |ctx| {
            BALANCES.create(ctx, &(BOB, crate::ucredit()), &Balance { amount: Amount::ZERO }).unwrap();
        }),
        // A supply of zero has no balances, which B1 says.
        ("B1", |ctx| {
            SUPPLY.set(ctx, &Denom::new("none").unwrap(), &Supply { amount: Amount::ZERO }).unwrap();
        }),
        ("B3", |ctx| {
            BALANCES.create(ctx, &(NOBODY, uflop()), &Balance { amount: Amount::from(1) }).unwrap();
            SUPPLY.set(ctx, &uflop(), &Supply { amount: Amount::from(1_011) }).unwrap();
        }),
        ("B4", |ctx| {
            STRAY.create(ctx, &(NOBODY, uflop()), &Balance { amount: Amount::from(1) }).unwrap();
        }),
    ];
    for (law, damage) in cases {
        let mut ctx = chain();
        damage(&mut ctx);
        let broken = Bank::invariants(&ctx, Depth::Full).unwrap_err();
        assert!(broken.to_string().contains(law), "{law}: {broken}");
    }
}

/// One step of a random history: what happens, between whom, in which denom, how much.
type Step = (u8, u8, u8, bool, u64);

fn step(ctx: &mut Ctx, (what, from, to, credit, amount): Step) -> Result<()> {
    let person = |n: u8| if n == 0 { escrow() } else { Address([n; 20]) };
    let (from, to) = (person(from % 5), person(to % 5));
    let denom = if credit { crate::ucredit() } else { uflop() };
    let units = Amount::from(amount);
    let coins = [(denom.as_str(), &*amount.to_string())];
    let output = |to: Address| pb::Output { address: to.to_string(), coins: wire_coins(&coins) };
    match what % 6 {
        0 => ctx.attempt(|ctx| transfer(ctx, from, to, &denom, units)),
        1 => ctx.attempt(|ctx| burn(ctx, from, &denom, units)),
        2 => ctx.attempt(|ctx| mint(ctx, to, &denom, units)),
        3 => run(ctx, &send(from, to, &coins)),
        4 => run(ctx, &super::burn(from, &coins)),
        _ => {
            let double = (amount * 2).to_string();
            let inputs = vec![pb::Input {
                address: from.to_string(),
                coins: wire_coins(&[(denom.as_str(), &double)]),
            }];
            run(ctx, &pb::MsgMultiSend { inputs, outputs: vec![output(to), output(person(3))] })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_history_makes_or_loses_money(steps in prop::collection::vec((0..6_u8, 0..5_u8, 0..5_u8, any::<bool>(), 0..800_u64), 1..60)) {
        let mut ctx = chain();
        for at in &steps {
            if let Err(error) = step(&mut ctx, *at) {
                prop_assert!(matches!(error, KernelError::Rejected(_)), "{error:?}");
            }
        }
        sound(&ctx);

        // The events alone give every balance.
        let mut balances = std::collections::BTreeMap::from([
            ((ALICE, uflop()), 1_000_i128), ((BOB, uflop()), 10), ((ALICE, crate::ucredit()), 50),
            ((ALICE, Denom::new("uflops").unwrap()), 500),
        ]);
        for event in ctx.take_events() {
            let mut add = |owner: &[u8], denom: &str, amount: &[u8], sign: i128| {
                let key = (Address::from_bytes(owner).unwrap(), Denom::new(denom).unwrap());
                let amount = u128::from_be_bytes(amount.try_into().unwrap()) as i128;
                *balances.entry(key).or_default() += sign * amount;
            };
            match event.name.rsplit_once('.').unwrap().1 {
                "EventTransferred" => {
                    let it = own::EventTransferred::decode(&event.bytes[..]).unwrap();
                    add(&it.sender, &it.denom, &it.amount, -1);
                    add(&it.receiver, &it.denom, &it.amount, 1);
                }
                "EventBurned" => {
                    let it = own::EventBurned::decode(&event.bytes[..]).unwrap();
                    add(&it.account, &it.denom, &it.amount, -1);
                }
                _ => {
                    let it = own::EventMinted::decode(&event.bytes[..]).unwrap();
                    add(&it.account, &it.denom, &it.amount, 1);
                }
            }
        }
        for ((owner, denom), amount) in balances {
            prop_assert_eq!(balance(&ctx, &owner, &denom).unwrap().units() as i128, amount);
        }
        prop_assert_eq!(check_changes(&ctx.finish().changes), Ok(()));
    }
}

#[test]
fn an_index_key_is_no_prefix_of_another() {
    use crate::denom::InnerDenom;
    let short = InnerDenom(uflop()).to_bytes();
    let long = InnerDenom(Denom::new("uflops").unwrap()).to_bytes();
    assert!(!long.starts_with(&short));
    assert_eq!(
        <(InnerDenom, u8)>::from_bytes(&[&short[..], &[7]].concat()).map(|(denom, n)| (denom.0, n)),
        Some((uflop(), 7))
    );
    assert!(InnerDenom::from_bytes(b"uflop").is_none());
}
