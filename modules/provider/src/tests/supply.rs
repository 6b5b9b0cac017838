//! What the market does with units and stake.

use proptest::prelude::*;

use super::*;
use crate::{
    Outcome, SlashReason, Totals, commit, record, release, release_slashed, slash, totals, unreserve,
};

fn offering(total: u32) -> Chain {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, total)).unwrap();
    chain.events();
    chain
}

fn units(chain: &Chain) -> (u32, u32, u32) {
    let line = chain.line(1, 1, FRA).unwrap();
    assert_eq!(u64::from(line.free()) + line.used(), u64::from(line.total));
    (line.reserved, line.leased, line.free())
}

#[test]
fn a_bid_reserves_an_award_commits_and_an_end_releases() {
    let mut chain = offering(10);
    let (ctx, p, z) = (&mut chain.ctx, address(1), zone(FRA));
    reserve(ctx, p, 1, &z, 4, amount(500)).unwrap();
    reserve(ctx, p, 1, &z, 3, amount(700)).unwrap();
    assert_eq!((units(&chain), chain.stake(1).1), ((7, 0, 3), 1_200));
    unreserve(&mut chain.ctx, p, 1, &z, 3, amount(700)).unwrap();
    relock(&mut chain.ctx, p, amount(500), amount(450)).unwrap();
    commit(&mut chain.ctx, p, 1, &z, 4).unwrap();
    assert_eq!((units(&chain), chain.stake(1).1), ((0, 4, 6), 450));
    assert_eq!(totals(&chain.ctx).unwrap().locked, amount(450));
    release(&mut chain.ctx, p, 1, &z, 4, amount(450)).unwrap();
    assert_eq!((units(&chain), chain.stake(1).1), ((0, 0, 10), 0));
    chain.check();
}

#[test]
fn no_unit_and_no_stake_is_promised_twice() {
    let mut chain = offering(10);
    let (p, z) = (address(1), zone(FRA));
    let fails = |chain: &mut Chain, count, lock: u64| {
        assert!(chain.ctx.attempt(|ctx| reserve(ctx, p, 1, &z, count, amount(lock))).is_err());
    };
    fails(&mut chain, 11, 0);
    fails(&mut chain, u32::MAX, 0);
    fails(&mut chain, 1, STAKE + 1);
    reserve(&mut chain.ctx, p, 1, &zone(FRA), 10, amount(STAKE)).unwrap();
    fails(&mut chain, 1, 0);
    fails(&mut chain, 0, 1);
    assert!(chain.ctx.attempt(|ctx| relock(ctx, p, amount(1), amount(2))).is_err());
    assert!(chain.ctx.attempt(|ctx| relock(ctx, p, amount(STAKE + 1), amount(2))).is_err());
    assert!(chain.ctx.attempt(|ctx| reserve(ctx, p, 2, &zone(FRA), 0, amount(0))).is_err(), "no such line");
    assert!(chain.ctx.attempt(|ctx| reserve(ctx, address(2), 1, &zone(FRA), 0, amount(0))).is_err());
    assert_eq!(units(&chain), (10, 0, 0));
    chain.check();
}

#[test]
fn a_slash_is_shared_between_the_harmed_and_the_fire() {
    let mut chain = offering(10);
    let (p, z) = (address(1), zone(FRA));
    let supply = |chain: &Chain| bank::supply(&chain.ctx, &bank::uflop()).unwrap().units();
    let before = supply(&chain);
    reserve(&mut chain.ctx, p, 1, &z, 2, amount(1_000)).unwrap();
    commit(&mut chain.ctx, p, 1, &z, 2).unwrap();
    slash(&mut chain.ctx, p, amount(1_000), amount(101), harmed(5, 1_000), SlashReason::NoStart).unwrap();
    release_slashed(&mut chain.ctx, p, 1, &z, 2).unwrap();
    assert_eq!(chain.stake(1), (u128::from(STAKE) - 101, 0));
    assert_eq!(chain.flop(address(5)), u128::from(FUNDS) + 40);
    assert_eq!(before - supply(&chain), 61);
    assert_eq!(chain.pool(), u128::from(STAKE) - 101);
    assert_eq!((units(&chain), chain.provider(1).slash_ppm), ((0, 0, 10), 1));
    let event =
        chain.ctx.take_events().into_iter().find(|event| event.name.ends_with("StakeSlashed")).unwrap();
    let rendered = event.rendered();
    let shown: Vec<_> = rendered[0].attributes.iter().map(|(_, value)| value.as_str()).collect();
    let (owner, harmed) = (p.to_string(), address(5).to_string());
    assert_eq!(shown, [owner.as_str(), "NoStart", harmed.as_str(), "40", "61", "1"]);
    chain.check();
}

#[test]
fn the_share_of_the_harmed_is_counted_from_what_the_fault_cost_it() {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 10)).unwrap();
    let (p, z) = (address(1), zone(FRA));
    reserve(&mut chain.ctx, p, 1, &z, 2, amount(1_000)).unwrap();
    slash(&mut chain.ctx, p, amount(1_000), amount(1_000), harmed(5, 101), SlashReason::NoStart).unwrap();
    assert_eq!(chain.stake(1), (u128::from(STAKE) - 1_000, 0), "all of it is taken");
    assert_eq!(chain.flop(address(5)), u128::from(FUNDS) + 40, "40% of 101");
    chain.check();
}

#[test]
fn a_slash_without_a_harmed_burns_all_of_it() {
    let mut chain = offering(10);
    reserve(&mut chain.ctx, address(1), 1, &zone(FRA), 1, amount(1_000)).unwrap();
    let before = chain.pool();
    slash(&mut chain.ctx, address(1), amount(1_000), amount(1_000), None, SlashReason::NotDelivered).unwrap();
    assert_eq!((before - chain.pool(), chain.stake(1)), (1_000, (u128::from(STAKE) - 1_000, 0)));
    chain.check();
}

#[test]
fn a_closing_path_refuses_nothing() {
    let mut chain = offering(10);
    let (ctx, p, z) = (&mut chain.ctx, address(1), zone(FRA));
    reserve(ctx, p, 1, &z, 1, amount(1_000)).unwrap();
    slash(ctx, p, Amount::MAX, Amount::MAX, harmed(1, u64::MAX), SlashReason::Abandoned).unwrap();
    commit(ctx, p, 1, &z, u32::MAX).unwrap();
    release(ctx, p, 1, &z, u32::MAX, Amount::MAX).unwrap();
    unreserve(ctx, p, 1, &z, u32::MAX, Amount::MAX).unwrap();
    let (nobody, nowhere) = (address(60), zone("us/east/nyc"));
    for (provider, zone) in [(nobody, &z), (p, &nowhere)] {
        commit(ctx, provider, 1, zone, 1).unwrap();
        release(ctx, provider, 1, zone, 1, Amount::MAX).unwrap();
        release_slashed(ctx, provider, 1, zone, 1).unwrap();
        unreserve(ctx, provider, 1, zone, 1, Amount::MAX).unwrap();
    }
    slash(ctx, nobody, amount(1), amount(1), None, SlashReason::Abandoned).unwrap();
    record(ctx, nobody, Outcome::Good(amount(1))).unwrap();
    assert_eq!((units(&chain), chain.stake(1).1), ((0, 0, 10), 0));
    assert_eq!(chain.stake(1).0, u128::from(STAKE) - 1_000, "never more than was locked");
    chain.check();
}

#[derive(Clone, Debug)]
enum Op {
    Reserve(u32, u64),
    Unreserve,
    Relock(u64),
    Commit,
    Release,
    Slash(u64, bool),
    Capacity(u32),
    Stake(u64),
    Unstake(u64),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1u32..5, 0u64..2_000_000_000).prop_map(|(count, lock)| Op::Reserve(count, lock)),
        1 => Just(Op::Unreserve),
        1 => (0u64..2_000_000_000).prop_map(Op::Relock),
        3 => Just(Op::Commit),
        2 => Just(Op::Release),
        2 => (0u64..2_000_000_000, any::<bool>()).prop_map(|(units, harmed)| Op::Slash(units, harmed)),
        2 => (0u32..600).prop_map(Op::Capacity),
        1 => (1u64..1_000_000_000).prop_map(Op::Stake),
        2 => (1u64..4_000_000_000).prop_map(Op::Unstake),
        2 => (0u64..2_000_000).prop_map(Op::Wait),
    ]
}

/// Bids and leases as a market would hold them: count and lock.
#[derive(Default)]
struct Book {
    bids: Vec<(u32, u64)>,
    leases: Vec<(u32, u64)>,
}

impl Book {
    fn apply(&mut self, chain: &mut Chain, op: Op) {
        let (p, z) = (address(1), zone(FRA));
        match op {
            Op::Reserve(count, lock) => {
                if chain.ctx.attempt(|ctx| reserve(ctx, p, 1, &z, count, amount(lock))).is_ok() {
                    self.bids.push((count, lock));
                }
            }
            Op::Unreserve => {
                if let Some((count, lock)) = self.bids.pop() {
                    unreserve(&mut chain.ctx, p, 1, &z, count, amount(lock)).unwrap();
                }
            }
            Op::Relock(lock) => {
                if let Some(bid) = self.bids.last_mut()
                    && chain.ctx.attempt(|ctx| relock(ctx, p, amount(bid.1), amount(lock))).is_ok()
                {
                    bid.1 = lock;
                }
            }
            Op::Commit => {
                if let Some((count, lock)) = self.bids.pop() {
                    commit(&mut chain.ctx, p, 1, &z, count).unwrap();
                    self.leases.push((count, lock));
                }
            }
            Op::Release => {
                if let Some((count, lock)) = self.leases.pop() {
                    release(&mut chain.ctx, p, 1, &z, count, amount(lock)).unwrap();
                }
            }
            Op::Slash(units, harmed) => {
                if let Some((count, lock)) = self.leases.pop() {
                    let harmed = if harmed { super::harmed(5, u64::MAX) } else { None };
                    let (lock, taken) = (amount(lock), amount(units.min(lock)));
                    slash(&mut chain.ctx, p, lock, taken, harmed, SlashReason::Abandoned).unwrap();
                    release_slashed(&mut chain.ctx, p, 1, &z, count).unwrap();
                }
            }
            Op::Capacity(total) => drop(chain.run(capacity(1, 1, 1, FRA, total))),
            Op::Stake(units) => drop(chain.run(add_stake(1, units))),
            Op::Unstake(units) => drop(chain.run(unstake(1, units))),
            Op::Wait(seconds) => {
                chain.wait(seconds);
                assert_eq!(crate::block::begin_block(&mut chain.ctx).unwrap().held, 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn stake_and_units_are_those_of_the_book_after_any_history(ops in prop::collection::vec(op(), 1..80)) {
        let mut chain = offering(100);
        let supply = |chain: &Chain| bank::supply(&chain.ctx, &bank::uflop()).unwrap().units();
        let mut book = Book::default();
        for op in ops {
            book.apply(&mut chain, op);
            chain.check();
            let count = |rows: &[(u32, u64)]| rows.iter().map(|row| row.0).sum::<u32>();
            let locked: u64 = book.bids.iter().chain(&book.leases).map(|row| row.1).sum();
            let line = chain.line(1, 1, FRA);
            let (reserved, leased) = line.map_or((0, 0), |line| (line.reserved, line.leased));
            prop_assert_eq!((reserved, leased), (count(&book.bids), count(&book.leases)));
            prop_assert_eq!(chain.stake(1).1, u128::from(locked));
            let Totals { locked: total, .. } = totals(&chain.ctx).unwrap();
            prop_assert_eq!(total, amount(locked));
        }
        let everybody: u128 = (1..=20).map(|number| chain.flop(address(number))).sum();
        prop_assert_eq!(everybody + chain.pool(), supply(&chain), "nothing is lost");
    }
}
