//! Messages: each guard once, and its bound.

use super::*;
use crate::{COINS_MAX, Coins, OUTPUTS_MAX};

fn parse<M: Name>(body: &M) -> Result<Msg, kernel::Reject> {
    Msg::parse(&M::full_name(), &body.encode_to_vec(), 1)
}

fn multi(inputs: &[(Address, &[(&str, &str)])], outputs: &[(Address, &[(&str, &str)])]) -> pb::MsgMultiSend {
    let address = |address: &Address| address.to_string();
    pb::MsgMultiSend {
        inputs: inputs.iter().map(|(a, c)| pb::Input { address: address(a), coins: wire_coins(c) }).collect(),
        outputs: outputs
            .iter()
            .map(|(a, c)| pb::Output { address: address(a), coins: wire_coins(c) })
            .collect(),
    }
}

#[test]
fn a_send_moves_all_of_its_coins() {
    let mut ctx = chain();
    run(&mut ctx, &send(ALICE, NOBODY, &[("uflop", "1000"), ("uflops", "1")])).unwrap();
    assert_eq!((has(&ctx, ALICE, "uflop"), has(&ctx, ALICE, "uflops")), (0, 499));
    assert_eq!((has(&ctx, NOBODY, "uflop"), has(&ctx, NOBODY, "uflops")), (1_000, 1));
    sound(&ctx);
}

#[test]
fn the_signer_is_the_sender() {
    let msg = parse(&send(ALICE, BOB, &[("uflop", "1")])).unwrap();
    assert_eq!(msg.signers().as_slice(), [ALICE]);
    let msg = parse(&multi(&[(BOB, &[("uflop", "1")])], &[(ALICE, &[("uflop", "1")])])).unwrap();
    assert_eq!(msg.signers().as_slice(), [BOB]);
    assert_eq!(parse(&burn(BOB, &[("uflop", "1")])).unwrap().signers().as_slice(), [BOB]);
}

#[test]
fn a_send_is_refused_by_the_first_guard_that_fails() {
    let escrow = escrow();
    let rows: [(pb::MsgSend, (&str, u32, String)); 4] = [
        (
            send(ALICE, escrow, &[("ucredit", "51"), ("uflop", "1")]),
            ("bank", 5, "ucredit transfers are currently disabled: send transactions are disabled".into()),
        ),
        (
            send(ALICE, escrow, &[("uflop", "1001")]),
            ("sdk", 4, format!("{escrow} is not allowed to receive funds: unauthorized")),
        ),
        (
            send(ALICE, BOB, &[("uflop", "1001")]),
            ("sdk", 5, "spendable balance 1000uflop is smaller than 1001uflop: insufficient funds".into()),
        ),
        (
            send(ALICE, NOBODY, &[("uflop", "1"), ("uflops", "501")]),
            ("sdk", 5, "spendable balance 500uflops is smaller than 501uflops: insufficient funds".into()),
        ),
    ];
    let mut ctx = chain();
    for (body, expected) in rows {
        assert_eq!(refusal(run(&mut ctx, &body)), expected);
        assert!(ctx.take_events().is_empty());
    }
    assert_eq!(auth::get(&ctx, &NOBODY), Ok(None));
    run(&mut ctx, &send(ALICE, BOB, &[("uflop", "1000")])).unwrap();
    sound(&ctx);
}

#[test]
fn coins_are_sorted_distinct_positive_and_few() {
    let refused: [&[(&str, &str)]; 11] = [
        &[],
        &[("uflop", "0")],
        &[("uflop", "-1")],
        &[("uflop", "01")],
        &[("uflop", "1.0")],
        &[("uflop", "")],
        &[("uflop", "79228162514264337593543950336")],
        &[("u", "1")],
        &[("uflop", "1"), ("ucredit", "1")],
        &[("uflop", "1"), ("uflop", "1")],
        &[("aaa", "1"), ("bbb", "0")],
    ];
    for coins in refused {
        let reject = parse(&send(ALICE, BOB, coins)).unwrap_err();
        assert_eq!((reject.codespace, reject.code), ("sdk", 10), "{coins:?}");
        assert_eq!(parse(&burn(ALICE, coins)).unwrap_err().code, 10, "{coins:?}");
    }
    let names: Vec<_> = (0..=COINS_MAX).map(|n| format!("aa{n}")).collect();
    let coins: Vec<_> = names.iter().map(|name| (name.as_str(), "79228162514264337593543950335")).collect();
    assert!(parse(&send(ALICE, BOB, &coins[..COINS_MAX - 1])).is_ok());
    assert!(parse(&send(ALICE, BOB, &coins[..COINS_MAX])).is_ok());
    assert_eq!(parse(&send(ALICE, BOB, &coins)).unwrap_err().code, 10);
}

#[test]
fn malformed_messages_are_refused() {
    let mut body = send(ALICE, BOB, &[("uflop", "1")]);
    body.to_address = "nobody".into();
    assert_eq!(parse(&body).unwrap_err().code, 7);
    body.from_address = "cosmos1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqnrql8a".into();
    assert_eq!(parse(&body).unwrap_err().code, 7);
    let mut bytes = send(ALICE, BOB, &[("uflop", "1")]).encode_to_vec();
    bytes.extend([0x78, 1]);
    assert_eq!(Msg::parse("cosmos.bank.v1beta1.MsgSend", &bytes, 1).unwrap_err().code, 2);
    assert_eq!(Msg::parse("cosmos.bank.v1beta1.MsgSend", &[0xff; 40], 1).unwrap_err().code, 2);
    assert_eq!(Msg::parse("cosmos.bank.v1beta1.MsgUpdateParams", &[], 1).unwrap_err().code, 6);
}

#[test]
fn a_multi_send_pays_many_and_also_oneself() {
    let mut ctx = chain();
    let body = multi(
        &[(ALICE, &[("uflop", "30"), ("uflops", "5")])],
        &[
            (BOB, &[("uflop", "10")]),
            (NOBODY, &[("uflop", "10"), ("uflops", "5")]),
            (ALICE, &[("uflop", "10")]),
        ],
    );
    run(&mut ctx, &body).unwrap();
    assert_eq!(
        [has(&ctx, ALICE, "uflop"), has(&ctx, BOB, "uflop"), has(&ctx, NOBODY, "uflop")],
        [980, 20, 10]
    );
    assert_eq!([has(&ctx, ALICE, "uflops"), has(&ctx, NOBODY, "uflops")], [495, 5]);
    assert_eq!(ctx.take_events().len(), 4);
    sound(&ctx);
}

#[test]
fn a_multi_send_is_refused_unless_both_sides_are_equal() {
    let one: &[(&str, &str)] = &[("uflop", "1")];
    let two: &[(&str, &str)] = &[("uflop", "2")];
    let other: &[(&str, &str)] = &[("uflops", "2")];
    let large: &[(&str, &str)] = &[("uflop", "79228162514264337593543950335")];
    let rows = [
        (multi(&[], &[(BOB, one)]), 2),
        (multi(&[(ALICE, one)], &[]), 3),
        (multi(&[(ALICE, one)], &[(BOB, two)]), 4),
        (multi(&[(ALICE, one)], &[(BOB, one), (BOB, one)]), 4),
        (multi(&[(ALICE, two)], &[(BOB, other)]), 4),
        (multi(&[(ALICE, large)], &[(BOB, large), (BOB, large)]), 4),
        (multi(&[(ALICE, one), (BOB, one)], &[(NOBODY, two)]), 9),
    ];
    for (body, code) in rows {
        let reject = parse(&body).unwrap_err();
        assert_eq!((reject.codespace, reject.code), ("bank", code), "{body:?}");
    }
    let some = |count: usize| {
        let total = count.to_string();
        multi(&[(ALICE, &[("uflop", total.as_str())])], &vec![(BOB, one); count])
    };
    let mut ctx = chain();
    run(&mut ctx, &some(OUTPUTS_MAX - 1)).unwrap();
    run(&mut ctx, &some(OUTPUTS_MAX)).unwrap();
    assert_eq!(refusal(run(&mut ctx, &some(OUTPUTS_MAX + 1))).1, 10);
    sound(&ctx);
}

#[test]
fn a_multi_send_has_the_guards_of_a_send() {
    let mut ctx = chain();
    let rows = [
        (multi(&[(ALICE, &[("ucredit", "1")])], &[(escrow(), &[("ucredit", "1")])]), ("bank", 5)),
        (
            multi(
                &[(ALICE, &[("uflop", "2000")])],
                &[(BOB, &[("uflop", "1")]), (escrow(), &[("uflop", "1999")])],
            ),
            ("sdk", 4),
        ),
        (
            multi(
                &[(ALICE, &[("uflop", "1001")])],
                &[(BOB, &[("uflop", "1")]), (NOBODY, &[("uflop", "1000")])],
            ),
            ("sdk", 5),
        ),
    ];
    for (body, expected) in rows {
        let (codespace, code, _) = refusal(run(&mut ctx, &body));
        assert_eq!((codespace, code), expected);
    }
    assert!(ctx.take_events().is_empty());
    assert_eq!(has(&ctx, ALICE, "uflop"), 1_000);
}

#[test]
fn a_burn_destroys_what_one_may_send() {
    let mut ctx = chain();
    assert_eq!(refusal(run(&mut ctx, &burn(ALICE, &[("ucredit", "1")]))).1, 5);
    assert_eq!(refusal(run(&mut ctx, &burn(ALICE, &[("uflop", "1001")]))).1, 5);
    run(&mut ctx, &burn(ALICE, &[("uflop", "1000"), ("uflops", "500")])).unwrap();
    assert_eq!(supply(&ctx, &uflop()), Ok(Amount::from(10)));
    assert_eq!(supply(&ctx, &Denom::new("uflops").unwrap()), Ok(Amount::ZERO));
    sound(&ctx);
}

#[test]
fn a_sum_of_coins_is_sorted_too() {
    let mut sum = Coins::new(vec![coin("bbb", 1), coin("ddd", 1)]).unwrap();
    sum.add(&Coins::new(vec![coin("aaa", 2), coin("bbb", 2), coin("ccc", 2), coin("eee", 2)]).unwrap())
        .unwrap();
    let expected = [coin("aaa", 2), coin("bbb", 3), coin("ccc", 2), coin("ddd", 1), coin("eee", 2)];
    assert_eq!(sum.as_slice(), expected);
}

#[test]
fn a_send_costs_what_wallets_expect() {
    for (to, range) in [(BOB, 36_000..48_000), (NOBODY, 42_000..56_000)] {
        let mut ctx = chain();
        let body = send(ALICE, to, &[("uflop", "7")]);
        let msg = parse(&body).unwrap();
        let before = ctx.gas_used();
        let base = msg.base_gas();
        Bank::handle(&mut ctx, authority::signed(msg, ALICE)).unwrap();
        // The ante adds about 20,000, and all of it fits the 100,000 that wallets hard-code.
        let gas = ctx.gas_used() - before + base;
        assert!(range.contains(&gas), "a send costs {gas} besides the ante");
    }
}
