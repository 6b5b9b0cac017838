//! What happens to one account.

use kernel::{E18, Error as KernelError, Overflow};

use super::*;
use crate::{
    Account, DEPOSITORS_LIMIT, Deposit, RATE_MAX, Stream, close, deposit, fine, open, settle, settle_final,
};

const TENANT: u8 = 1;
const PAYEE: u8 = 7;

fn opened(ctx: &mut Ctx, units: u64) -> Account {
    open(ctx, 5, address(TENANT), amount(units)).unwrap()
}

fn started(ctx: &mut Ctx, units: u64) -> Account {
    let mut account = opened(ctx, units);
    account.start(address(PAYEE), RATE, at(1_000), 300).unwrap();
    account
}

#[test]
fn the_vector_of_eight_units_at_two_dollars() {
    let mut ctx = ctx();
    let mut account = started(&mut ctx, 24_000_000);
    assert_eq!(account.dry_at(), Some(at(1_000 + 5_400)));
    let paid = settle(&mut ctx, &mut account, at(2_000)).unwrap();
    assert_eq!(paid, amount(4_444_444));
    assert_eq!(account.carry, 444_444_444_444_440_000);
    assert_eq!((account.stream_gross, account.stream_fee), (amount(4_444_444), amount(88_888)));
    assert_eq!(account.dry_at(), Some(at(1_000 + 5_400)), "settling does not move it");
    assert_eq!(money(&ctx, address(PAYEE)), 1_000_000_000_000 + 4_444_444 - 88_888);
    assert_eq!((fees(&ctx), pool(&ctx)), (88_888, 24_000_000 - 4_444_444));
    assert_eq!(ctx.take_events().last().unwrap().name, "underbid.bank.v1.EventTransferred");
}

#[test]
fn nothing_is_paid_out_during_the_hold_unless_the_stream_ends() {
    let mut ctx = ctx();
    let mut account = started(&mut ctx, 24_000_000);
    let before = account.clone();
    assert_eq!(account.payable(at(1_299)), Amount::ZERO);
    assert_eq!(settle(&mut ctx, &mut account, at(1_299)), Ok(Amount::ZERO));
    assert_eq!(account, before);
    let mut ending = account.clone();
    assert_eq!(settle_final(&mut ctx, &mut ending, at(1_299)), Ok(amount(1_328_888)));
    let mut ctx = super::ctx();
    let mut account = started(&mut ctx, 24_000_000);
    assert_eq!(account.payable(at(1_300)), amount(1_333_333));
    assert_eq!(settle(&mut ctx, &mut account, at(1_300)), Ok(amount(1_333_333)));
}

#[test]
fn a_stream_pays_to_the_last_full_second_and_no_further() {
    let mut ctx = ctx();
    let mut account = started(&mut ctx, 24_000_000);
    assert_eq!(settle(&mut ctx, &mut account, at(1_000_000)), Ok(amount(23_999_999)));
    assert_eq!(account.settled_at, at(6_400));
    assert_eq!(settle(&mut ctx, &mut account, at(2_000_000)), Ok(Amount::ZERO), "it is dry");
    assert_eq!(settle(&mut ctx, &mut account, at(3)), Ok(Amount::ZERO), "time does not run back");
    assert_eq!(account.stop(), Stream { gross: amount(23_999_999), fee: amount(479_999) });
    assert_eq!(account.carry, 0, "less than a ucredit stays with the tenant");
    assert_eq!(close(&mut ctx, &mut account), Ok(amount(1)));
    assert_eq!(pool(&ctx), 0);
    crate::check_account(&account).unwrap();
}

#[test]
fn deposits_are_spent_in_the_order_in_which_they_came() {
    let mut ctx = ctx();
    let mut account = opened(&mut ctx, 100);
    deposit(&mut ctx, &mut account, address(2), amount(50)).unwrap();
    deposit(&mut ctx, &mut account, address(3), amount(70)).unwrap();
    deposit(&mut ctx, &mut account, address(2), amount(5)).unwrap();
    let entry = |number, units| Deposit { depositor: address(number), amount: amount(units) };
    assert_eq!(account.deposits, [entry(1, 100), entry(2, 55), entry(3, 70)]);
    assert_eq!(fine(&mut ctx, &mut account, amount(120)), Ok(amount(120)));
    assert_eq!(account.deposits, [entry(2, 35), entry(3, 70)]);
    deposit(&mut ctx, &mut account, address(1), amount(1)).unwrap();
    assert_eq!(account.deposits, [entry(2, 35), entry(3, 70), entry(1, 1)], "who is spent comes last again");
    ctx.take_events();
    assert_eq!(close(&mut ctx, &mut account), Ok(amount(106)));
    let refunds: Vec<_> =
        ctx.take_events().into_iter().filter(|event| event.name.ends_with("DepositRefunded")).collect();
    let to: Vec<_> = refunds.iter().map(|event| event.rendered()[0].attributes[1].1.clone()).collect();
    assert_eq!(to, [2, 3, 1].map(|number| address(number).to_string()));
    assert_eq!((fees(&ctx), pool(&ctx)), (120, 0));
    assert_eq!(
        (account.balance, account.refunded_total, account.fined_total),
        (Amount::ZERO, amount(106), amount(120))
    );
    assert_eq!(close(&mut ctx, &mut account), Ok(Amount::ZERO), "a closed account is empty");
}

#[test]
fn the_owner_always_has_a_place() {
    let mut ctx = ctx();
    let mut account = opened(&mut ctx, 10);
    for number in 2..9 {
        deposit(&mut ctx, &mut account, address(number), amount(10)).unwrap();
    }
    let full = |result: kernel::Result<()>| match result {
        Err(KernelError::Rejected(reject)) => (reject.codespace, reject.code),
        other => panic!("{other:?}"),
    };
    let ninth = deposit(&mut ctx, &mut account, address(9), amount(10));
    assert_eq!(full(ninth), ("escrow", 3));
    deposit(&mut ctx, &mut account, address(8), amount(1)).unwrap();
    fine(&mut ctx, &mut account, amount(10)).unwrap();
    assert!(account.deposits.iter().all(|deposit| deposit.depositor != address(TENANT)));
    let ninth = deposit(&mut ctx, &mut account, address(9), amount(10));
    assert_eq!(full(ninth), ("escrow", 3), "the owner's place is kept");
    deposit(&mut ctx, &mut account, address(TENANT), amount(10)).unwrap();
    assert_eq!(account.deposits.len(), 8);
    assert_eq!(pool(&ctx), 81);
}

#[test]
fn depositors_squat_no_more_places_than_there_are() {
    let mut ctx = chain_of(Params { depositors_max: 1, ..Params::new(authority()) });
    let mut account = opened(&mut ctx, 10);
    assert!(deposit(&mut ctx, &mut account, address(2), amount(10)).is_err());
    deposit(&mut ctx, &mut account, address(TENANT), amount(10)).unwrap();
    assert!(account.has_place_for(address(2), 2) && !account.has_place_for(address(2), 0));
}

#[test]
fn who_has_too_little_opens_and_adds_nothing() {
    let mut ctx = ctx();
    let poor = address(50);
    assert!(open(&mut ctx, 1, poor, amount(1)).is_err());
    let mut account = opened(&mut ctx, 10);
    let before = account.clone();
    let added = ctx.attempt(|ctx| {
        let mut account = before.clone();
        deposit(ctx, &mut account, poor, amount(1))
    });
    assert_eq!(added.map_err(|error| error.to_string()).unwrap_err(), {
        let error = bank::transfer(&mut ctx, poor, address(1), &bank::ucredit(), amount(1)).unwrap_err();
        error.to_string()
    });
    assert_eq!(pool(&ctx), 10);
    deposit(&mut ctx, &mut account, address(1), Amount::ZERO).unwrap();
    assert_eq!(account, before, "an entry is never empty");
}

#[test]
fn out_of_gas_half_way_leaves_nothing() {
    let mut ctx = ctx();
    let account = started(&mut ctx, 24_000_000);
    let before = (pool(&ctx), fees(&ctx), money(&ctx, address(PAYEE)), ctx.take_events().len());
    let settling = |ctx: &mut Ctx| settle(ctx, &mut account.clone(), at(2_000)).map(drop);
    let mut limit = 1_000;
    while ctx.attempt(|ctx| ctx.with_gas(limit, settling)) == Err(KernelError::OutOfGas) {
        let after = (pool(&ctx), fees(&ctx), money(&ctx, address(PAYEE)));
        assert_eq!((after, ctx.take_events().len()), ((before.0, before.1, before.2), 0), "gas {limit}");
        limit += 1_000;
    }
    assert!(limit > 5_000, "several writes were tried");
    assert_eq!(pool(&ctx), before.0 - 4_444_444);
}

#[test]
fn the_extremes_of_rate_and_balance_stay_exact() {
    let mut ctx = ctx();
    let mut account = opened(&mut ctx, 1);
    assert_eq!(account.start(address(2), 0, at(1), 0), Err(Overflow));
    assert_eq!(account.start(address(2), RATE_MAX + 1, at(1), 0), Err(Overflow));
    assert_eq!(account.start(address(2), RATE, at(u64::MAX), 1), Err(Overflow));
    assert_eq!(account.dry_at(), None);
    account.start(address(2), RATE_MAX, at(1), 0).unwrap();
    assert_eq!(account.dry_at(), Some(at(1)), "one ucredit does not last a second");

    account.balance = Amount::MAX;
    account.deposits = vec![Deposit { depositor: address(TENANT), amount: Amount::MAX }];
    account.deposited_total = Amount::MAX;
    let seconds = 7_922_816_251_426_433_759;
    assert_eq!(account.dry_at(), Some(at(1 + crate::DRY_S_MAX.min(seconds))));
    let payment = account.draw(at(u64::MAX), false).unwrap();
    assert_eq!(payment.gross.units(), u128::from(crate::DRY_S_MAX) * (RATE_MAX / E18));
    crate::check_account(&account).unwrap();

    let mut slow = opened(&mut ctx, 1);
    slow.start(address(2), 1, at(0), 0).unwrap();
    assert_eq!(slow.dry_at(), Some(at(crate::DRY_S_MAX)));
    assert_eq!(slow.draw(at(9), false).map(|payment| payment.gross), Some(Amount::ZERO));
    assert_eq!(
        (slow.carry, slow.dry_at()),
        (9, Some(at(9 + crate::DRY_S_MAX))),
        "the cap counts from the settling"
    );
}

#[test]
fn a_fine_that_empties_the_account_forgives_the_fraction() {
    let mut ctx = ctx();
    let mut account = started(&mut ctx, 24_000_000);
    settle(&mut ctx, &mut account, at(2_000)).unwrap();
    assert!(account.carry > 0);
    assert_eq!(fine(&mut ctx, &mut account, Amount::MAX), Ok(amount(24_000_000 - 4_444_444)));
    crate::check_account(&account).unwrap();
    assert_eq!(account.dry_at(), Some(at(2_000)));
    assert_eq!(fine(&mut ctx, &mut account, amount(5)), Ok(Amount::ZERO));
}

#[test]
fn the_projection_is_what_closing_would_give() {
    let mut ctx = ctx();
    let mut account = started(&mut ctx, 2_000_000);
    deposit(&mut ctx, &mut account, address(2), amount(3_000_000)).unwrap();
    let projection = account.projection(at(1_500), Amount::ZERO);
    let mut ended = account.clone();
    let owed = settle_final(&mut ctx, &mut ended, at(1_500)).unwrap();
    assert_eq!(
        (projection.owed, projection.balance, projection.dry_at),
        (owed, ended.balance, account.dry_at())
    );
    assert_eq!(projection.refunds, ended.deposits);
    let response = crate::queries::account_response(&account, at(1_500), Some(at(77)), amount(2_222_223));
    assert_eq!((response.owed.as_str(), response.balance.as_str()), ("2222222", "2777778"));
    assert_eq!((response.as_of, response.low_at, response.dry_at), (1_500, Some(77), Some(2_125)));
    let refunds: Vec<_> = response.refunds.iter().map(|deposit| deposit.amount.as_str()).collect();
    assert_eq!(refunds, ["2777777"], "of a charge of 2222223 one more is taken off");
    assert_eq!(response.account.unwrap().balance, "5000000");
}

/// E3: what is settled lazily comes to the same to the last unit, however long nobody touched it.
#[test]
fn a_million_seconds_settled_at_once_are_those_settled_one_by_one() {
    let mut ctx = ctx();
    let mut eager = started(&mut ctx, 10_000_000_000);
    let mut lazy = eager.clone();
    let before = (money(&ctx, address(PAYEE)), fees(&ctx));
    let seconds = 1_000_000;
    assert!(eager.dry_at().is_some_and(|dry| dry > at(1_000 + seconds)));
    for second in 1..=seconds {
        settle(&mut ctx, &mut eager, at(1_000 + second)).unwrap();
        ctx.take_events();
    }
    let paid = (money(&ctx, address(PAYEE)) - before.0, fees(&ctx) - before.1);
    settle(&mut ctx, &mut lazy, at(1_000 + seconds)).unwrap();
    assert_eq!(lazy, eager);
    assert_eq!((money(&ctx, address(PAYEE)) - before.0, fees(&ctx) - before.1), (2 * paid.0, 2 * paid.1));
}

#[test]
fn a_law_that_does_not_hold_is_named() {
    let mut ctx = ctx();
    let sound = started(&mut ctx, 24_000_000);
    crate::check_account(&sound).unwrap();
    let places = usize::try_from(DEPOSITORS_LIMIT).unwrap();
    let breaks: [Break<Account>; 10] = [
        ("I2", |account| account.balance = amount(1)),
        ("I2", |account| account.deposits.push(Deposit { depositor: address(3), amount: Amount::ZERO })),
        ("I3", |account| account.spent_total = amount(1)),
        ("I10", |account| account.carry = E18),
        ("I10", |account| account.payee = None),
        ("I10", |account| account.rate = 0),
        ("I10", |account| account.rate = crate::RATE_MAX + 1),
        ("I10", |account| account.fee_ppm = kernel::ONE_PPM + 1),
        ("I10", |account| account.stream_fee = amount(1)),
        ("I10", |account| account.stream_gross = amount(1)),
    ];
    for (law, change) in breaks {
        let mut account = sound.clone();
        change(&mut account);
        match crate::check_account(&account) {
            Err(kernel::Broken::Law { id, .. }) => assert_eq!(id, law),
            other => panic!("{law}: {other:?}"),
        }
    }
    let crowded = |count: u8| {
        let deposits: Vec<_> =
            (0..count).map(|n| Deposit { depositor: address(n), amount: amount(1) }).collect();
        let sum = amount(u64::from(count));
        Account { deposits, balance: sum, deposited_total: sum, ..sound.clone() }
    };
    let limit = u8::try_from(places).unwrap();
    assert!(
        crate::check_account(&crowded(limit)).is_ok() && crate::check_account(&crowded(limit + 1)).is_err()
    );
    bank::burn(&mut ctx, module_account(), &bank::ucredit(), amount(1)).unwrap();
    assert!(Escrow::invariants(&ctx, kernel::Depth::Counters).is_err());
}
