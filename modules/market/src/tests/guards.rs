//! Every guard of every message, at its bounds. A row is a message, its sender and what becomes of it.

use proto::underbid::market::v1::{self as wire, TenantReason};

use super::world::*;
use crate::{ORDERS, Params};

const fn market(code: u32) -> Code {
    ("market", code)
}
const INVALID: Code = ("sdk", 18);
const UNKNOWN_ORDER: Code = market(13);
const NOT_TENANT: Code = market(14);
const NOT_BIDDABLE: Code = market(16);
const NO_LEASE: Code = market(28);

type Change = fn(&mut wire::MsgCreateOrder);

#[test]
fn an_order_is_inside_the_parameters() {
    let zones = |count: usize| (0..count).map(|n| format!("z{n}")).collect::<Vec<_>>();
    let refused: &[(Code, Change)] = &[
        (("provider", 14), |o| o.class_id = 9),
        (market(2), |o| o.count = 0),
        (market(2), |o| o.count = 1_025),
        (market(3), |o| o.max_unit_rate = "0".into()),
        (market(3), |o| o.max_unit_rate = "1000000000000000000000001".into()),
        (market(5), |o| o.window_blocks = 11),
        (market(5), |o| o.window_blocks = 601),
        (market(6), |o| o.ttl_s = 59),
        (market(6), |o| o.ttl_s = 604_801),
        (market(7), |o| o.start_timeout_s = 299),
        (market(7), |o| o.start_timeout_s = 1_201),
        (market(8), |o| o.reclaim_min_s = 299),
        (market(8), |o| o.reclaim_min_s = 2_592_001),
        (market(9), |o| o.duration_s = 299),
        (market(9), |o| o.duration_s = 31_536_001),
        (market(10), |o| o.weights = vec![0, 0, 0, 0, 500_001]),
        (market(11), |o| o.rounds = 0),
        (market(11), |o| o.rounds = 5),
        (market(12), |o| o.deposit = "23999999".into()),
        (market(12), |o| (o.rounds, o.deposit) = (2, "24053333".into())),
        // The first guard that fails wins.
        (market(2), |o| (o.count, o.rounds) = (0, 0)),
    ];
    for (row, (code, change)) in refused.iter().enumerate() {
        println!("row {row}");
        World::new().order_with(change).by("tom").fails(*code).state(1, "gone");
    }
    World::new().order_with(|o| o.zones = zones(9)).by("tom").fails(market(4));
    let accepted: &[Change] = &[
        |o| o.count = 1,
        |o| (o.count, o.deposit) = (1_024, "3072000000".into()),
        |o| (o.max_unit_rate, o.deposit) = ("1".into(), "1000000".into()),
        |o| {
            (o.max_unit_rate, o.count, o.deposit) =
                ("1000000000000000000000000".into(), 1, "5400000000".into())
        },
        |o| o.window_blocks = 600,
        |o| o.ttl_s = 60,
        |o| o.ttl_s = 604_800,
        |o| o.start_timeout_s = 300,
        |o| o.start_timeout_s = 1_200,
        |o| o.reclaim_min_s = 300,
        |o| o.reclaim_min_s = 2_592_000,
        |o| o.duration_s = 300,
        |o| o.duration_s = 31_536_000,
        |o| o.weights = vec![500_000; 5],
        |o| (o.rounds, o.deposit) = (4, "24160002".into()),
    ];
    for (row, change) in accepted.iter().enumerate() {
        println!("row {row}");
        World::new().order_with(change).by("tom").ok().state(1, "open 1");
    }
    World::new().order_with(|o| o.zones = zones(8)).by("tom").ok().state(1, "open 1");
}

#[test]
fn an_order_is_well_formed() {
    let refused: &[(Code, Change)] = &[
        (INVALID, |o| o.zones = Vec::new()),
        (INVALID, |o| o.zones = vec!["de".into(), "de".into()]),
        (INVALID, |o| o.zones = vec!["DE".into()]),
        (INVALID, |o| o.near = "de/he".into()),
        (INVALID, |o| o.weights = vec![1; 4]),
        (INVALID, |o| o.manifest_hash = vec![0; 31]),
        (INVALID, |o| o.min_uptime_ppm = 1_000_001),
        (INVALID, |o| o.max_unit_rate = "1e3".into()),
        (INVALID, |o| o.max_unit_rate = "10000000000000000000000000001".into()),
        (INVALID, |o| o.deposit = "-1".into()),
    ];
    for (code, change) in refused {
        World::new().order_with(change).by("tom").fails(*code);
    }
    World::new().cancel(0).by("tom").fails(INVALID);
    World::new().close(1, TenantReason::Unspecified).by("tom").fails(INVALID);
}

#[test]
fn an_order_needs_its_class_and_its_money() {
    let mut world = World::new();
    let retired = provider::SetClass { class: provider::Class { active: false, ..class(1) } };
    world.run_provider(provider::Msg::SetClass(who("authority"), retired), "authority");
    let world = world.order_with(|_| ()).by("tom").fails(("provider", 15));
    drop(world);
    // Deposit and fee together.
    let world = World::new().order_with(|_| ()).by("nobody").fails(NO_MONEY);
    let mut world = world;
    let give = |world: &mut World, amount: u64| {
        bank::transfer(
            &mut world.ctx,
            who("tim"),
            who("nobody"),
            &bank::ucredit(),
            kernel::Amount::from(amount),
        )
        .unwrap();
    };
    give(&mut world, 24_053_333);
    let mut world = world.order_with(|_| ()).by("nobody").fails(NO_MONEY);
    assert_eq!(world.credit("nobody"), 24_053_333);
    give(&mut world, 1);
    let world = world.order_with(|_| ()).by("nobody").ok();
    assert_eq!(world.credit("nobody"), 0);
    assert_eq!(world.credit("market_fees"), u128::from(FEE));
}

#[test]
fn only_the_tenant_cancels_and_only_before_a_bid() {
    opened().cancel(2).by("tom").fails(UNKNOWN_ORDER).cancel(1).by("ada").fails(NOT_TENANT);
    let world = opened().cancel(1).by("tom").ok().state(1, "closed 1: Cancelled");
    assert_eq!(world.credit("tom"), u128::from(PURSE - FEE));
    world.cancel(1).by("tom").fails(market(15));
    bidding().cancel(1).by("tom").fails(market(15));
    // Due counts, not the state: an order whose time is over can't be cancelled even if the queue is late.
    opened().queues_late(3_599).cancel(1).by("tom").ok();
    opened().queues_late(3_600).cancel(1).by("tom").fails(market(15));
}

#[test]
#[rustfmt::skip]
fn a_bid_passes_its_guards_in_order() {
    let half = TWO_AN_HOUR / 2;
    opened()
        .bid(1, "nobody", half)
        .by("ada")
        .fails(UNKNOWN_PROVIDER)
        .bid(1, "ada", half)
        .by("bob")
        .fails(NOT_OPERATOR)
        .bid(1, "ada", half)
        .by("bob-op")
        .fails(NOT_OPERATOR)
        .bid(2, "ada", half)
        .by("ada")
        .fails(UNKNOWN_ORDER)
        .bid(1, "ada", 0)
        .by("ada")
        .fails(market(3))
        .bid(1, "ada", TWO_AN_HOUR + 1)
        .by("ada")
        .fails(market(3))
        .bid_with(1, "ada", half, |b| b.zone = "fr/idf/par".into())
        .by("ada")
        .fails(market(20))
        .bid_with(1, "ada", half, |b| b.zone = "de/he/kassel".into())
        .by("ada")
        .fails(market(22))
        .bid_with(1, "ada", half, |b| b.reclaim_s = 3_599)
        .by("ada")
        .fails(market(8))
        .bid_with(1, "ada", half, |b| b.reclaim_s = 2_592_001)
        .by("ada")
        .fails(market(8))
        .bid(1, "ada", TWO_AN_HOUR)
        .by("ada-op")
        .ok()
        .bid(1, "ada", half)
        .by("ada")
        .fails(market(19))
        .bid_with(1, "bob", half, |b| b.reclaim_s = 2_592_000)
        .by("bob")
        .ok();
    // Time, for an order without bids.
    opened().queues_late(3_599).bid(1, "ada", half).by("ada").ok();
    opened().queues_late(3_600).bid(1, "ada", half).by("ada").fails(NOT_BIDDABLE);
    starting().bid(1, "bob", half).by("bob").fails(NOT_BIDDABLE);
}

#[test]
fn a_bidder_is_active_other_than_the_tenant_and_good_enough() {
    let half = TWO_AN_HOUR / 2;
    let mut world = opened();
    world.run_provider(provider::Msg::ExitProvider(who("bob"), provider::ExitProvider), "bob");
    world.bid(1, "bob", half).by("bob").fails(NOT_ACTIVE);
    // The owner of a provider as tenant, and an operator of one.
    World::new().order_with(|_| ()).by("ada").ok().bid(1, "ada", half).by("ada-op").fails(market(17));
    let mut world = World::new();
    let operators = provider::SetOperators { operators: vec![who("tom")] };
    world.run_provider(provider::Msg::SetOperators(who("ada"), operators), "ada");
    world.order_with(|_| ()).by("tom").ok().bid(1, "ada", half).by("ada").fails(market(17));
    // Uptime starts at 900_000.
    World::new()
        .order_with(|o| o.min_uptime_ppm = 900_001)
        .by("tom")
        .ok()
        .bid(1, "ada", half)
        .by("ada")
        .fails(market(21));
    World::new().order_with(|o| o.min_uptime_ppm = 900_000).by("tom").ok().bid(1, "ada", half).by("ada").ok();
}

#[test]
fn a_bid_needs_units_and_stake() {
    let half = TWO_AN_HOUR / 2;
    let mut world = opened();
    world.capacity("ada", 7);
    let mut world = world.bid(1, "ada", half).by("ada").fails(market(22));
    world.capacity("ada", 8);
    world.bid(1, "ada", half).by("ada").ok();
    // The lock of a bid at the ceiling is 5_376_000_000 uflop, its bond 32_000_000.
    for (stake, ok) in [(5_375_999_999, false), (5_376_000_000, true)] {
        let mut world = opened();
        world.provider("pia", stake, 8);
        let bid = world.bid(1, "pia", TWO_AN_HOUR).by("pia");
        if ok {
            bid.ok();
        } else {
            bid.fails(NO_FREE_STAKE);
        }
    }
    // 112_000_000 ucredit are required for 16 units: the price falls until the stake is worth less.
    let price = |price: u64| move |p: &mut provider::Params| p.stake_price = kernel::Amount::from(price);
    opened().provider_params(price(5_599)).bid(1, "ada", 1).by("ada").fails(BELOW_REQUIRED);
    opened().provider_params(price(5_600)).bid(1, "ada", 1).by("ada").ok();
}

#[test]
fn a_barred_provider_is_out_and_another_is_not() {
    let world = starting_of_two().after(600).state(1, "open 2");
    world
        .bid(1, "ada", 1_000)
        .by("ada")
        .fails(market(18))
        .bid(1, "bob", 1_000)
        .by("bob")
        .ok()
        .state(1, "bidding 2");
}

#[test]
#[rustfmt::skip]
fn an_improvement_is_a_step_of_a_bid_that_is_there() {
    let half = TWO_AN_HOUR / 2;
    // 1% of 277777777777777777777.
    let step = 274_999_999_999_999_999_999_u128;
    bidding()
        .improve(1, "nobody", 1)
        .by("ada")
        .fails(UNKNOWN_PROVIDER)
        .improve(1, "ada", 1)
        .by("bob")
        .fails(NOT_OPERATOR)
        .improve(2, "ada", 1)
        .by("ada")
        .fails(UNKNOWN_ORDER)
        .improve(1, "bob", 1)
        .by("bob")
        .fails(market(26))
        .improve(1, "ada", 0)
        .by("ada")
        .fails(market(3))
        .improve(1, "ada", half)
        .by("ada")
        .fails(market(27))
        .improve(1, "ada", step + 1)
        .by("ada")
        .fails(market(27))
        .improve(1, "ada", step)
        .by("ada-op")
        .ok()
        .improve(1, "ada", 1)
        .by("ada")
        .ok()
        .improve(1, "ada", 1)
        .by("ada")
        .fails(market(27));
    opened().improve(1, "ada", half).by("ada").fails(NOT_BIDDABLE);
    starting().improve(1, "ada", 1).by("ada").fails(NOT_BIDDABLE);
}

#[test]
fn an_improvement_locks_at_todays_price_of_stake() {
    let world = bidding();
    let locked = |world: &World| world.stake("ada").stake_locked.units();
    assert_eq!(locked(&world), 2_688_000_000);
    let world = world.improve(1, "ada", TWO_AN_HOUR / 4).by("ada").ok();
    assert_eq!(locked(&world), 1_344_000_000);
    // Stake is worth a tenth of what it was: a lower price of the units locks more of it, if there is more.
    let tenth = |p: &mut provider::Params| p.stake_price = kernel::Amount::from(50_000);
    let world = world.provider_params(tenth).improve(1, "ada", TWO_AN_HOUR / 8).by("ada").ok();
    assert_eq!(locked(&world), 6_720_000_000);
    let hundredth = |p: &mut provider::Params| p.stake_price = kernel::Amount::from(5_000);
    let world =
        world.provider_params(hundredth).improve(1, "ada", TWO_AN_HOUR / 16).by("ada").fails(NO_FREE_STAKE);
    // The bond stays, and the lock does not fall below it.
    let dear = |p: &mut provider::Params| p.stake_price = kernel::Amount::from(50_000_000);
    let world = world.provider_params(dear).improve(1, "ada", 1).by("ada").ok();
    assert_eq!(locked(&world), 32_000_000);
}

#[test]
#[rustfmt::skip]
fn a_start_is_confirmed_once_in_time_by_the_winner() {
    starting()
        .confirm(2)
        .by("ada")
        .fails(UNKNOWN_ORDER)
        .confirm(1)
        .by("tom")
        .fails(NOT_OPERATOR)
        .confirm(1)
        .by("bob")
        .fails(NOT_OPERATOR)
        .confirm(1)
        .by("ada-op")
        .ok()
        .emits("EventLeaseStarted started_at=10:00 end_at=0")
        .confirm(1)
        .by("ada")
        .fails(market(29));
    bidding().confirm(1).by("ada").fails(NO_LEASE);
    starting().queues_late(599).confirm(1).by("ada").ok();
    starting().queues_late(600).confirm(1).by("ada").fails(NO_LEASE);
}

#[test]
#[rustfmt::skip]
fn money_is_added_to_what_lives() {
    active()
        .top_up(2, 1_000_000)
        .by("tom")
        .fails(UNKNOWN_ORDER)
        .top_up(1, 999_999)
        .by("tom")
        .fails(market(12))
        .top_up(1, 1_000_000)
        .by("nobody")
        .fails(NO_MONEY)
        .top_up(1, 1_000_000)
        .by("tim")
        .ok()
        .emits("EventDeposited amount=1000000")
        .close(1, TenantReason::Done)
        .by("tom")
        .ok()
        .top_up(1, 1_000_000)
        .by("tom")
        .fails(market(30));
    for world in [opened(), bidding(), starting()] {
        let world = world.top_up(1, 1_000_000).by("tim").ok();
        assert_eq!(world.order(1).account.balance.units(), 25_000_000);
    }
}

#[test]
#[rustfmt::skip]
fn a_lease_is_closed_by_its_tenant() {
    active()
        .close(2, TenantReason::Done)
        .by("tom")
        .fails(UNKNOWN_ORDER)
        .close(1, TenantReason::Done)
        .by("ada")
        .fails(NOT_TENANT)
        .close(1, TenantReason::Done)
        .by("tom")
        .ok()
        .close(1, TenantReason::Done)
        .by("tom")
        .fails(NO_LEASE);
    bidding().close(1, TenantReason::Done).by("tom").fails(NO_LEASE);
}

#[test]
#[rustfmt::skip]
fn a_notice_is_given_once_by_the_provider() {
    active()
        .reclaim(2)
        .by("ada")
        .fails(UNKNOWN_ORDER)
        .reclaim(1)
        .by("tom")
        .fails(NOT_OPERATOR)
        .reclaim(1)
        .by("ada")
        .ok()
        .reclaim(1)
        .by("ada")
        .fails(market(31));
    starting().reclaim(1).by("ada").fails(market(31));
    bidding().reclaim(1).by("ada").fails(NO_LEASE);
}

#[test]
#[rustfmt::skip]
fn only_the_owner_abandons() {
    active()
        .abandon(2)
        .by("ada")
        .fails(UNKNOWN_ORDER)
        .abandon(1)
        .by("ada-op")
        .fails(market(32))
        .abandon(1)
        .by("ada")
        .ok()
        .abandon(1)
        .by("ada")
        .fails(NO_LEASE);
    bidding().abandon(1).by("ada").fails(NO_LEASE);
}

#[test]
#[rustfmt::skip]
fn settling_needs_something_to_do() {
    active()
        .settle(2)
        .by("tim")
        .fails(UNKNOWN_ORDER)
        .settle(1)
        .by("tim")
        .fails(market(33))
        .at("10:04:59")
        .settle(1)
        .by("tim")
        .fails(market(33))
        .at("10:05")
        .settle(1)
        .by("tim")
        .ok()
        .settle(1)
        .by("tim")
        .fails(market(33));
    bidding().settle(1).by("tim").fails(market(33));
    opened().queues_late(3_599).settle(1).by("tim").fails(market(33));
    opened().queues_late(3_600).settle(1).by("tim").ok().state(1, "closed 1: Expired");
}

#[test]
fn parameters_change_by_the_authority_within_their_laws() {
    let world = World::new().params(|p| p.bids_max = 3).by("tom").fails(("provider", 2));
    let world = world.params(|p| p.bids_max = 1).by("authority").fails(INVALID);
    let world = world.params(|p| p.start_timeout_s_min = 299).by("authority").fails(INVALID);
    let world = world.params(|p| p.bids_max = 3).by("authority").ok().emits("EventParamsUpdated");
    assert_eq!(crate::params(&world.ctx).unwrap(), Params { bids_max: 3, ..Params::default() });
}

#[test]
fn out_of_gas_half_way_leaves_nothing() {
    let messages: &[fn(World) -> Step] = &[
        |w| w.order_with(|_| ()),
        |w| w.cancel(1),
        |w| w.bid(1, "ada", TWO_AN_HOUR),
        |w| w.top_up(1, 5_000_000),
    ];
    let signers = ["tom", "tom", "ada", "tim"];
    for (message, signer) in messages.iter().zip(signers) {
        let needed = message(opened()).by(signer).ok().gas;
        for gas in (0..needed).step_by(997).chain([needed - 1]) {
            let before = opened();
            let (order, money) = (before.order(1), before.credit(signer));
            let after = message(before).with_gas(signer, gas).out_of_gas();
            assert_eq!((after.order(1), after.credit(signer)), (order, money), "{gas} of {needed}");
            assert!(!ORDERS.has(&after.ctx, &2).unwrap());
        }
        message(opened()).with_gas(signer, needed).ok();
    }
}

#[test]
fn error_codes_are_pinned() {
    use crate::Error;
    let pinned = [
        (Error::CountOutOfRange { count: 0, max: 1 }, 2),
        (Error::UnknownOrder { id: 1 }, 13),
        (Error::OrderNotBiddable { id: 1, height: kernel::At::ZERO }, 16),
        (Error::NotLeading { unit_rate: 1, max: 1 }, 23),
        (Error::AuctionEnding { extensions: 1 }, 24),
        (Error::BookFull { unit_rate: 1, max: 1 }, 25),
        (Error::NothingToDo { id: 1 }, 33),
        (Error::BidBinding { id: 1, unit_rate: 1, limit: 1 }, 34),
    ];
    for (error, code) in pinned {
        assert_eq!(error.code(), code, "{error}");
    }
}
