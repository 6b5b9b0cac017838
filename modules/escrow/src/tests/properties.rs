//! Laws over random histories.

use kernel::{Depth, E18, ONE_PPM};
use proptest::prelude::*;

use super::*;
use crate::{Account, close, deposit, fine, open, settle, settle_final};

/// What anybody can see of a stream when it has ended.
fn outcome(ctx: &Ctx, account: &Account) -> (Amount, Amount, Amount, u128, u128, u128) {
    let payee = money(ctx, address(7));
    (account.stream_gross, account.stream_fee, account.balance, account.carry, payee, fees(ctx))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_rhythm_of_settling_pays_the_same(
        // From a tenth of a ucredit a second, so that no end is further away than DRY_S_MAX.
        (mantissa, exponent) in (1u128..1_000, 17u32..22),
        balance in 1u64..1_000_000_000,
        fee_ppm in 0..=ONE_PPM,
        hold_s in 0u32..1_000,
        steps in prop::collection::vec(1u64..500, 1..30),
    ) {
        let params = Params { fee_ppm, ..Params::new(authority()) };
        let rate = mantissa * 10u128.pow(exponent);
        let total: u64 = steps.iter().sum();
        let run = |moments: &[u64]| {
            let mut ctx = chain_of(params.clone());
            let mut account = open(&mut ctx, 1, address(1), amount(balance)).unwrap();
            account.start(address(7), rate, at(50), hold_s).unwrap();
            let dry_at = account.dry_at();
            for moment in moments {
                settle(&mut ctx, &mut account, at(50 + moment)).unwrap();
                assert_eq!(account.dry_at(), dry_at);
            }
            settle_final(&mut ctx, &mut account, at(50 + total)).unwrap();
            (outcome(&ctx, &account), dry_at)
        };
        let mut sum = 0;
        let moments: Vec<u64> = steps.iter().map(|step| { sum += step; sum }).collect();
        let at_once = run(&[]);
        prop_assert_eq!(&run(&moments), &at_once);
        let ((gross, fee, left, carry, ..), dry_at) = at_once;

        // The same by the definition, in exact integers.
        let seconds = u128::from(dry_at.unwrap().value().min(50 + total) - 50);
        prop_assert_eq!(gross.units() * E18 + carry, rate * seconds);
        prop_assert_eq!(fee.units(), gross.units() * u128::from(fee_ppm) / u128::from(ONE_PPM));
        prop_assert_eq!(gross.units() + left.units(), u128::from(balance));
    }
}

#[derive(Clone, Debug)]
enum Op {
    Deposit(u8, u64),
    Start(u128, u32),
    Settle(u64),
    SettleFinal(u64),
    Fine(u64),
    Stop,
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1u8..10, 1u64..50_000_000).prop_map(|(who, units)| Op::Deposit(who, units)),
        2 => (1u128..1_000_000_000_000_000_000_000_000, 0u32..600).prop_map(|(rate, hold)| Op::Start(rate, hold)),
        4 => (0u64..2_000).prop_map(Op::Settle),
        1 => (0u64..2_000).prop_map(Op::SettleFinal),
        1 => (0u64..10_000_000).prop_map(Op::Fine),
        1 => Just(Op::Stop),
        1 => Just(Op::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_laws_hold_after_any_history(ops in prop::collection::vec(op(), 1..60)) {
        let mut ctx = ctx();
        let mut account = open(&mut ctx, 1, address(1), amount(1_000_000)).unwrap();
        let mut now = 1_000;
        for op in ops {
            match op {
                Op::Deposit(who, units) => {
                    let before = account.clone();
                    if ctx.attempt(|ctx| deposit(ctx, &mut account, address(who), amount(units))).is_err() {
                        account = before;
                    }
                }
                Op::Start(rate, hold_s) => {
                    settle_final(&mut ctx, &mut account, at(now)).unwrap();
                    account.stop();
                    account.start(address(9), rate, at(now), hold_s).unwrap();
                }
                Op::Settle(later) => {
                    now += later;
                    let payable = account.payable(at(now));
                    prop_assert_eq!(settle(&mut ctx, &mut account, at(now)), Ok(payable));
                }
                Op::SettleFinal(later) => {
                    now += later;
                    let owed = account.projection(at(now), Amount::ZERO).owed;
                    prop_assert_eq!(settle_final(&mut ctx, &mut account, at(now)), Ok(owed));
                }
                Op::Fine(units) => {
                    let expected = account.balance.min(amount(units));
                    prop_assert_eq!(fine(&mut ctx, &mut account, amount(units)), Ok(expected));
                }
                Op::Stop => {
                    let gross = account.stream_gross;
                    prop_assert_eq!(account.stop().gross, gross);
                }
                Op::Close => {
                    let balance = account.balance;
                    prop_assert_eq!(close(&mut ctx, &mut account), Ok(balance));
                }
            }
            crate::check_account(&account).unwrap();
            Escrow::invariants(&ctx, Depth::Counters).unwrap();
            prop_assert_eq!(pool(&ctx), account.balance.units());
        }
        let everything: u128 = (1..10).map(|number| money(&ctx, address(number))).sum();
        prop_assert_eq!(everything + pool(&ctx) + fees(&ctx), 9_000_000_000_000);
    }
}
