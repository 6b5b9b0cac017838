//! Scores and how they fade.

use kernel::{E18, ONE_PPM};
use proptest::prelude::*;

use super::*;
use crate::{Outcome, SlashReason};

const DAY_S: u64 = 86_400;

fn provider(change: impl FnOnce(&mut Provider)) -> Provider {
    let mut provider = Provider::new(address(1), &params(), at(NOW));
    provider.stake_total = amount(100_000_000);
    change(&mut provider);
    provider
}

#[test]
fn the_vectors_of_reputation() {
    let reputation = |good: u64, bad: u64| {
        let provider = provider(|p| (p.good, p.bad) = (amount(good), amount(bad)));
        provider.scores(&params(), at(NOW)).reputation_ppm
    };
    assert_eq!(reputation(16_000_000_000, 0), 900_000);
    assert_eq!(reputation(0, 0), 500_000, "unknown");
    assert_eq!(reputation(0, 16_000_000_000), 100_000);
    let most = provider(|p| (p.good, p.bad) = (Amount::MAX, Amount::MAX));
    assert_eq!(most.scores(&params(), at(NOW)).reputation_ppm, 500_000);
}

#[test]
fn the_vectors_of_stake() {
    // 100_000_000 uflop count for 50 USD.
    let k =
        |required_uc: u64| provider(|p| p.required_uc = amount(required_uc)).scores(&params(), at(NOW)).k_ppm;
    assert_eq!(k(50_000_000), 500_000, "once");
    assert_eq!(k(12_500_000), 1_000_000, "four times");
    assert_eq!(k(12_500_001), 999_999);
    assert_eq!(k(1), 1_000_000);
    assert_eq!(k(200_000_000), 250_000, "a quarter");
    let broke = provider(|p| p.stake_total = Amount::ZERO);
    assert_eq!(broke.scores(&params(), at(NOW)).k_ppm, 0);
    let boundless = Params { stake_price: Amount::MAX, ..params() };
    let rich = provider(|p| p.stake_total = Amount::MAX);
    assert_eq!(rich.scores(&boundless, at(NOW)).k_ppm, 1_000_000);
}

#[test]
fn a_larger_provider_needs_more_use_for_the_same_reputation() {
    let reputation = |required_uc: u64, good: u64| {
        let provider = provider(|p| (p.required_uc, p.good) = (amount(required_uc), amount(good)));
        provider.scores(&params(), at(NOW)).reputation_ppm
    };
    // 14 stakes weigh as much as the prior of 2_000 USD here, and more from here on.
    let stake = 2_000_000_000 / 14;
    assert_eq!(reputation(stake, 16_000_000_000), 900_000);
    assert_eq!(reputation(8 * (stake + 1), 8 * 16_000_000_000), 899_999);
    assert_eq!(reputation(8 * (stake + 1), 16_000_000_000), 666_666);
    assert_eq!(reputation(u64::MAX, 0), 500_000);
}

#[test]
fn declaring_more_units_makes_nothing_bad_forgotten() {
    let reputation = |required_uc: u64, good: u64, bad: u64| {
        let provider =
            provider(|p| (p.required_uc, p.good, p.bad) = (amount(required_uc), amount(good), amount(bad)));
        provider.scores(&params(), at(NOW)).reputation_ppm
    };
    for required_uc in [1, 5_376_000_000, u64::MAX] {
        assert_eq!(reputation(required_uc, 0, 3_840_000_000), 255_102, "ten failed leases of eight units");
        assert_eq!(reputation(required_uc, 1_000, 1_000), 500_000);
        assert!(reputation(required_uc, 1_000, 1_001) <= 500_000);
    }
}

#[test]
fn capacity_that_is_given_up_counts_as_long_as_stake_unbonds() {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 300)).unwrap();
    let scores = |chain: &Chain, later: u64| {
        let scores = chain.provider(1).scores(&params(), at(NOW + later));
        (scores.k_ppm, scores.reputation_ppm)
    };
    let large = scores(&chain, 0);
    for units in [50, 1, 170, 2] {
        chain.run(capacity(1, 1, 1, FRA, units)).unwrap();
        assert_eq!(scores(&chain, 0), large, "{units} units");
    }
    let unbonding_s = u64::from(params().unbonding_s);
    assert_eq!(scores(&chain, unbonding_s - 1), large);
    let small = scores(&chain, unbonding_s);
    assert!(small.0 > large.0, "{small:?} {large:?}");
    // More than ever counts at once.
    chain.run(capacity(1, 1, 1, FRA, 400)).unwrap();
    assert!(scores(&chain, 0).0 < large.0);
}

#[test]
fn scores_fade_by_whole_days() {
    let start = provider(|p| (p.good, p.bad, p.slash_ppm) = (amount(1_000_000), amount(500_000), 100_000));
    let faded = |seconds: u64| {
        let mut provider = start.clone();
        provider.fade(&params(), at(NOW + seconds));
        (provider.good.units(), provider.bad.units(), provider.slash_ppm, provider.scored_at.value() - NOW)
    };
    assert_eq!(faded(DAY_S - 1), (1_000_000, 500_000, 100_000, 0));
    assert_eq!(faded(DAY_S), (977_160, 488_580, 97_716, DAY_S));
    assert_eq!(faded(2 * DAY_S + 5), (954_841, 477_420, 95_484, 2 * DAY_S));
    assert_eq!(faded(30 * DAY_S).0, 499_989, "about half after a month");
    assert_eq!(faded(365 * DAY_S).0, 196);
    assert_eq!(faded(366 * DAY_S), (0, 0, 0, 366 * DAY_S));
    assert_eq!(faded(u64::MAX - NOW).0, 0);
    assert_eq!(start.scores(&params(), at(NOW + DAY_S)).slash_ppm, 97_716);
}

#[test]
fn an_outcome_is_added_to_what_is_left() {
    let mut chain = Chain::with_provider();
    crate::record(&mut chain.ctx, address(1), Outcome::Good(amount(1_000_000))).unwrap();
    chain.wait(DAY_S + 7);
    crate::record(&mut chain.ctx, address(1), Outcome::Bad(amount(5))).unwrap();
    assert_eq!(chain.events(), ["ReputationRecorded"; 2]);
    let provider = chain.provider(1);
    assert_eq!((provider.good, provider.bad), (amount(977_160), amount(5)));
    assert_eq!(provider.scored_at, at(NOW + DAY_S), "the rest of the day is not lost");
    crate::record(&mut chain.ctx, address(1), Outcome::Good(Amount::MAX)).unwrap();
    assert_eq!(chain.provider(1).good, Amount::MAX);
    crate::record(&mut chain.ctx, address(50), Outcome::Good(amount(1))).unwrap();
    assert_eq!(crate::get(&chain.ctx, &address(50)).unwrap(), None);
}

#[test]
fn a_slash_raises_the_slash_rate_by_its_share_of_what_was_not_slashed() {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 10)).unwrap();
    let quarter = STAKE / 4;
    let slash = |chain: &mut Chain, units: u64| {
        reserve(&mut chain.ctx, address(1), 1, &zone(FRA), 1, amount(units)).unwrap();
        let slashed = crate::slash(
            &mut chain.ctx,
            address(1),
            amount(units),
            amount(units),
            None,
            SlashReason::NoStart,
        );
        slashed.unwrap();
        chain.provider(1).slash_ppm
    };
    assert_eq!(slash(&mut chain, quarter), 250_000);
    assert_eq!(slash(&mut chain, quarter), 500_000, "a third of the three quarters");
    assert_eq!(slash(&mut chain, 1), 500_001, "rounded up");
    let rest = STAKE / 2 - 1;
    assert_eq!(slash(&mut chain, rest), 1_000_000);
    assert_eq!(chain.stake(1), (0, 0));
    assert_eq!(slash(&mut chain, 0), 1_000_000, "nothing of nothing");
}

proptest! {
    #[test]
    fn scores_stay_in_range_and_fading_is_the_same_in_parts(
        good in 0..=Amount::MAX.units(), bad in 0..=Amount::MAX.units(), slash_ppm in 0..=ONE_PPM,
        stake in 0..=Amount::MAX.units(), required in 1..=Amount::MAX.units(),
        first in 0u64..200 * DAY_S, second in 0u64..160 * DAY_S,
    ) {
        let amount = |units| Amount::new(units).unwrap();
        let mut once = provider(|p| {
            (p.good, p.bad, p.slash_ppm) = (amount(good), amount(bad), slash_ppm);
            (p.stake_total, p.required_uc) = (amount(stake), amount(required));
        });
        let mut twice = once.clone();
        twice.fade(&params(), at(NOW + first));
        twice.fade(&params(), at(NOW + first + second));
        once.fade(&params(), at(NOW + first + second));
        prop_assert_eq!(&twice, &once);
        let scores = once.scores(&params(), at(NOW + first + second));
        prop_assert!([scores.uptime_ppm, scores.reputation_ppm, scores.slash_ppm, scores.k_ppm].iter().all(|ppm| *ppm <= ONE_PPM));
    }

    #[test]
    fn a_lock_covers_what_it_stands_for(uc in 0..E18, price in 1u64..u64::MAX) {
        let params = Params { stake_price: amount(price), ..params() };
        let lock = params.lock_for_uc(Amount::new(uc).unwrap()).unwrap();
        let worth = |lock: u128| lock * u128::from(price) / 1_000_000;
        prop_assert!(worth(lock.units()) >= uc || lock.units() * u128::from(price) >= uc * 1_000_000);
        prop_assert!(lock.is_zero() || (lock.units() - 1) * u128::from(price) < uc * 1_000_000, "no uflop too many");
    }
}

#[test]
fn the_vectors_of_locks() {
    let lock = |uc: u64| params().lock_for_uc(amount(uc)).unwrap();
    assert_eq!(lock(2_688_000_000), amount(5_376_000_000), "a week of eight units at 2 USD an hour");
    assert_eq!(lock(16_000_000), amount(32_000_000), "the bond of an hour");
    assert_eq!(lock(384_000_000), amount(768_000_000), "a day");
    assert_eq!((lock(0), lock(1)), (Amount::ZERO, amount(2)));
    assert!(Params { stake_price: amount(1), ..params() }.lock_for_uc(Amount::MAX).is_err());
}
