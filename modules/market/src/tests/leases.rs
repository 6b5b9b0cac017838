//! Leases: money by the second, every end, and that lateness changes nothing.

use proto::underbid::market::v1::{MsgCloseLeaseResponse, MsgSettleResponse, TenantReason};

use super::world::*;
use crate::{ENDED_LEASES, Params, types::LeaseEnd};

/// The tenant's lease of 8 units at the ceiling of 2 USD an hour, since ten o'clock.
fn at_ceiling() -> World {
    at_ceiling_of(|_| ())
}

pub(super) fn at_ceiling_of(change: impl FnOnce(&mut proto::underbid::market::v1::MsgCreateOrder)) -> World {
    let world = World::new().order_with(change).by("tom").ok().bid(1, "ada", TWO_AN_HOUR).by("ada").ok();
    world.decided(1).confirm(1).by("ada").ok()
}

fn ended(world: &World, round: u32) -> (LeaseEnd, u64, u128) {
    let ended = ENDED_LEASES.get(&world.ctx, &(1, round)).unwrap().unwrap();
    (ended.reason, ended.closed_at.value(), ended.gross.units())
}

#[test]
fn the_vector_of_the_specification() {
    let world = at_ceiling().emits("EventLeaseStarted rate=4444444444444444444440 dry_at=11:30");
    assert_eq!(world.stake("ada").stake_locked.units(), 5_376_000_000);
    assert_eq!(world.order(1).lease().unwrap().bond.units(), 32_000_000);
    let (world, settled): (_, MsgSettleResponse) = world.after(1_000).settle(1).by("tim").answer();
    assert_eq!(settled.paid, "4444444");
    let account = world.order(1).account;
    assert_eq!((account.carry, account.stream_fee.units()), (444_444_444_444_440_000, 88_888));
    assert_eq!(world.credit("ada"), u128::from(PURSE) + 4_444_444 - 88_888);
    let before = world.stake("ada").stake_total.units();
    let world = world.abandon(1).by("ada").ok();
    assert_eq!(before - world.stake("ada").stake_total.units(), 768_000_000);
}

#[test]
#[rustfmt::skip]
fn reclaim_follows_the_notice() {
    let world = starting_of_two()
        .confirm(1)
        .by("ada")
        .ok()
        .reclaim(1)
        .by("tom")
        .fails(NOT_OPERATOR)
        .reclaim(1)
        .by("ada")
        .ok()
        .emits("EventReclaimStarted deadline=11:00")
        .at("10:30")
        .reclaim(1)
        .by("ada")
        .fails(("market", 31))
        .at("10:59:59")
        .state(1, "reclaiming 1")
        .at("11:00")
        .state(1, "closed 1: Underfunded")
        .emits("EventLeaseClosed closed_at=11:00");
    // Half the ceiling for an hour is 8 USD; what is left does not carry another round at the ceiling.
    assert_eq!(ended(&world, 1), (LeaseEnd::Reclaimed, clock("11:00"), 7_999_999));
    assert_eq!(world.credit("tom"), u128::from(PURSE - FEE) - 7_999_999);
    assert_eq!(world.stake("ada").stake_locked.units(), 0);
    assert_eq!((world.stake("ada").good.units(), world.stake("ada").bad.units()), (0, 0));
}

#[test]
fn a_funded_order_is_auctioned_again_after_a_reclaim() {
    let world = World::new().order_with(|o| (o.rounds, o.deposit) = (2, "100000000".into())).by("tom").ok();
    let world = world.bid(1, "ada", TWO_AN_HOUR).by("ada").ok().decided(1).confirm(1).by("ada").ok();
    let world = world.reclaim(1).by("ada").ok().at("11:00").state(1, "open 2");
    let world = world.emits("EventOrderReopened round=2 expires_at=12:00");
    let world =
        world.bid(1, "ada", 1).by("ada").fails(("market", 18)).bid(1, "bob", TWO_AN_HOUR).by("bob").ok();
    let world = world.decided(1).state(1, "starting 2").confirm(1).by("bob").ok();
    // The last round: another failure ends the order.
    let world = world.abandon(1).by("bob").ok().state(1, "closed 2: RoundsExhausted");
    assert_eq!(world.order(1).barred, [who("ada")]);
}

#[test]
fn the_warning_comes_and_goes_and_the_money_runs_dry() {
    let world = at_ceiling()
        .at("10:59:59")
        .emits_no("EventLeaseLowFunds")
        .at("11:00")
        .emits("EventLeaseLowFunds dry_at=11:30");
    assert!(world.order(1).lease().unwrap().low_funds);
    // 16 USD more last an hour more; the warning comes again.
    let world = world.top_up(1, 16_000_000).by("tim").ok().emits("EventDeposited dry_at=12:30");
    assert!(!world.order(1).lease().unwrap().low_funds);
    let world =
        world.at("12:00").emits("EventLeaseLowFunds dry_at=12:30").at("12:29:59").state(1, "active 1");
    // A deposit that leaves it inside the grace leaves the warning as it is.
    let world = world.at("12:30").state(1, "closed 1: Underfunded");
    let (reason, at, gross) = ended(&world, 1);
    assert_eq!((reason, at), (LeaseEnd::OutOfFunds, clock("12:30")));
    assert!((39_999_995..=40_000_000).contains(&gross), "{gross}");
    assert_eq!(world.stake("ada").good.units(), gross);
    assert_eq!(world.order(1).account.balance.units(), 0);
}

#[test]
fn a_small_deposit_inside_the_grace_keeps_the_warning() {
    let world = at_ceiling().at("11:10").top_up(1, 1_000_000).by("tom").ok();
    assert!(world.order(1).lease().unwrap().low_funds);
    world.at("11:31").state(1, "active 1").emits_no("EventLeaseLowFunds");
}

#[test]
fn a_duration_ends_and_time_served_counts() {
    let world = at_ceiling_of(|o| o.duration_s = 1_800).emits("EventLeaseStarted end_at=10:30");
    let world = world.at("10:30").state(1, "closed 1: Completed");
    assert_eq!(ended(&world, 1), (LeaseEnd::EndReached, clock("10:30"), 7_999_999));
    // A round that failed after 20 of 60 minutes: the next one runs for the other 40.
    let world = at_ceiling_of(|o| (o.duration_s, o.rounds, o.deposit) = (3_600, 2, "100000000".into()));
    let world = world.at("10:20").abandon(1).by("ada").ok().state(1, "open 2");
    let world = world.bid(1, "bob", TWO_AN_HOUR).by("bob").ok().decided(1).confirm(1).by("bob").ok();
    let world = world.emits("EventLeaseStarted end_at=11:00").at("11:00").state(1, "closed 2: Completed");
    assert_eq!(world.order(1).served_s, 3_600);
    // Less than the minimal charge is left: the order is complete.
    let world = at_ceiling_of(|o| (o.duration_s, o.rounds, o.deposit) = (3_600, 2, "100000000".into()));
    world.at("10:55:01").abandon(1).by("ada").ok().state(1, "closed 1: Completed");
    let world = at_ceiling_of(|o| (o.duration_s, o.rounds, o.deposit) = (3_600, 2, "100000000".into()));
    world.at("10:55").abandon(1).by("ada").ok().state(1, "open 2");
}

#[test]
fn of_ends_at_one_time_the_duration_counts_first() {
    // Duration, notice and money all end at 11:30.
    let world = at_ceiling_of(|o| (o.duration_s, o.reclaim_min_s) = (5_400, 300));
    let world = world.at("10:30").reclaim(1).by("ada").ok().at("11:30");
    assert_eq!(ended(&world, 1).0, LeaseEnd::EndReached);
    let world = at_ceiling_of(|o| o.reclaim_min_s = 300).at("10:30").reclaim(1).by("ada").ok().at("11:30");
    assert_eq!(ended(&world, 1).0, LeaseEnd::Reclaimed);
}

#[test]
fn who_does_not_start_loses_the_bond() {
    let world = starting_of_two();
    let (stake, tenant) = (world.stake("ada").stake_total.units(), world.flop("tom"));
    let world = world.after(599).state(1, "starting 1").after(1).state(1, "open 2");
    let world = world.emits("EventLeaseClosed reason=NoStart gross=0").emits("EventStakeSlashed");
    let ada = world.stake("ada");
    assert_eq!((stake - ada.stake_total.units(), ada.stake_locked.units()), (32_000_000, 0));
    assert_eq!(
        world.flop("tom") - tenant,
        6_400_000,
        "the harmed tenant gets 40% of what the lease costs in bond_s"
    );
    assert_eq!(ada.bad.units(), 384_000_000, "a day at the ceiling");
    assert_eq!(world.order(1).account.balance.units(), u128::from(25_000_000 - FEE));
}

#[test]
fn another_round_needs_the_reserve_beyond_the_price_of_its_window() {
    // Five minutes at the ceiling were delivered, and the round failed.
    let spent = 1_333_333;
    let ended = |deposit: u64| {
        let world = at_ceiling_of(|o| (o.rounds, o.deposit) = (2, deposit.to_string()));
        world.after(300).abandon(1).by("ada").ok()
    };
    let world = ended(24_000_000 + FEE + spent).state(1, "open 2").emits("EventAccountFined amount=53334");
    assert_eq!(world.order(1).account.balance.units(), 24_000_000);
    let world =
        ended(24_000_000 + FEE + spent - 1).state(1, "closed 1: Underfunded").emits_no("EventAccountFined");
    assert_eq!(world.credit("tom"), u128::from(PURSE - FEE - spent), "no window, no price");
}

#[test]
fn a_report_in_the_first_minutes_costs_both_and_pays_nobody() {
    let world = at_ceiling_of(two_rounds).at("10:04:59");
    let (stake, ada) = (world.stake("ada").stake_total.units(), world.credit("ada"));
    let (world, answer): (_, MsgCloseLeaseResponse) =
        world.close(1, TenantReason::NotDelivered).by("tom").answer();
    // Five minutes at the ceiling are 1.333333 USD.
    assert_eq!((answer.gross.as_str(), answer.fined.as_str()), ("0", "1333333"));
    assert_eq!(stake - world.stake("ada").stake_total.units(), 2_666_666);
    assert_eq!(world.credit("ada"), ada);
    // 23.67 USD are not enough for another round: with more money it goes on.
    let world = world.state(1, "closed 1: Underfunded");
    assert_eq!(world.credit("tom"), u128::from(PURSE - FEE) - 1_333_333);
    let world = at_ceiling_of(|o| (o.rounds, o.deposit) = (2, "30000000".into()))
        .close(1, TenantReason::NotDelivered)
        .by("tom")
        .ok();
    let world = world.state(1, "open 2");
    assert_eq!((world.order(1).barred.as_slice(), world.stake("ada").bad.units()), (&[who("ada")][..], 0));
    // After them it is an ordinary end.
    let world = at_ceiling()
        .at("10:05")
        .close(1, TenantReason::NotDelivered)
        .by("tom")
        .ok()
        .state(1, "closed 1: Completed");
    assert_eq!(ended(&world, 1), (LeaseEnd::TenantNotDelivered, clock("10:05"), 1_333_333));
}

#[test]
fn a_report_in_the_first_minutes_leaves_the_whole_duration() {
    for (duration_s, reported_s) in [(500, 250), (600, 299)] {
        let world =
            at_ceiling_of(|o| (o.duration_s, o.rounds, o.deposit) = (duration_s, 2, "30000000".into()));
        let world = world.after(reported_s).close(1, TenantReason::NotDelivered).by("tom").ok();
        let world = world.state(1, "open 2");
        assert_eq!(world.order(1).served_s, 0, "nothing was delivered");
        let world = world.bid(1, "bob", TWO_AN_HOUR).by("bob").ok().decided(1).confirm(1).by("bob").ok();
        let end_at = world.order(1).lease().unwrap().stage.running().unwrap().end_at.unwrap();
        assert_eq!(end_at.value(), world.now() + u64::from(duration_s));
    }
}

#[test]
fn a_tenant_pays_at_least_the_first_minutes() {
    let (world, answer): (_, MsgCloseLeaseResponse) =
        at_ceiling().at("10:01").close(1, TenantReason::Done).by("tom").answer();
    assert_eq!((answer.gross.as_str(), answer.fined.as_str()), ("266666", "1066667"));
    assert_eq!(world.stands(1), "closed 1: Completed");
    assert_eq!(world.stake("ada").good.units(), 266_666);
    assert_eq!(world.credit("tom"), u128::from(PURSE - FEE) - 1_333_333);
    // Before the start the same is fined, and nobody is blamed.
    let world = starting();
    let ada = world.wealth(&["ada"]);
    let world = world.close(1, TenantReason::NotDelivered).by("tom").ok().state(1, "closed 1: Completed");
    assert_eq!(ended(&world, 1), (LeaseEnd::TenantCancelled, clock("10:00"), 0));
    assert_eq!((world.wealth(&["ada"]), world.credit("tom")), (ada, u128::from(PURSE - FEE) - 666_666));
    let (world, answer): (_, MsgCloseLeaseResponse) =
        at_ceiling().at("11:00").close(1, TenantReason::Quality).by("tom").answer();
    assert_eq!((answer.gross.as_str(), answer.fined.as_str()), ("15999999", "0"));
    assert_eq!((ended(&world, 1).0, world.stake("ada").good.units()), (LeaseEnd::TenantQuality, 0));
}

/// The states of everyone's money and of the order after a lease that ended at a time, with the queues in time or late.
fn outcome(world: World) -> (String, u128, u128, u128, (LeaseEnd, u64, u128)) {
    let ended = ended(&world, 1);
    (world.stands(1), world.credit("tom"), world.credit("ada"), world.stake("ada").stake_total.units(), ended)
}

#[test]
fn a_late_queue_changes_no_money() {
    type Make = fn() -> World;
    let ends: &[(Make, u64)] = &[
        (at_ceiling, 5_400),
        (|| at_ceiling_of(|o| o.duration_s = 3_600), 3_600),
        (|| at_ceiling().reclaim(1).by("ada").ok(), 3_600),
        (starting, 600),
    ];
    for (make, seconds) in ends {
        let in_time = outcome(make().after(*seconds));
        let mut late = make().queues_late(*seconds + 1_200);
        late.block(0);
        assert_eq!(outcome(late), in_time);
        // A message finds it ended too, whoever sends it.
        let late = make().queues_late(*seconds + 1_200).settle(1).by("tim").ok();
        assert_eq!(outcome(late), in_time);
    }
}

#[test]
fn a_budget_of_one_item_changes_no_money() {
    let run = |budget: u32| {
        let params = Params {
            leases_per_block_max: budget,
            auctions_per_block_max: budget,
            orders_per_block_max: budget,
            ..Params::default()
        };
        let names = ["ada", "bob", "eve", "dan", "fay"];
        let mut world = World::with(params, &names);
        for (index, name) in names.iter().enumerate() {
            let id = u64::try_from(index).unwrap() + 1;
            world = world
                .order_with(|o| o.duration_s = 1_800)
                .by("tom")
                .ok()
                .bid(id, name, TWO_AN_HOUR)
                .by(name)
                .ok();
        }
        world = world.blocks(40);
        for (index, name) in names.iter().enumerate() {
            let id = u64::try_from(index).unwrap() + 1;
            world = world.state(id, "starting 1").confirm(id).by(name).ok();
        }
        world = world.at("11:00");
        let money: Vec<_> = names.iter().map(|name| (world.credit(name), world.stake(name).good)).collect();
        (money, world.credit("tom"), (1..=5).map(|id| world.stands(id)).collect::<Vec<_>>())
    };
    assert_eq!(run(1), run(1_000));
}

#[test]
fn a_halted_chain_bills_a_minute() {
    let mut world = at_ceiling();
    world.block(600);
    let world = world.state(1, "active 1");
    assert_eq!(world.now(), clock("10:01"));
    let (_, answer): (_, MsgCloseLeaseResponse) = world.close(1, TenantReason::Done).by("tom").answer();
    assert_eq!(answer.gross, "266666");
}

#[test]
fn what_a_held_item_holds_waits_until_it_is_retried() {
    // The due work of the lease is refused: its money in the module account is gone (which no message can do).
    let mut world = at_ceiling().at("11:29");
    let pool = kernel::Address::of_module("escrow");
    let taken = bank::balance(&world.ctx, &pool, &bank::ucredit()).unwrap();
    bank::transfer(&mut world.ctx, pool, who("thief"), &bank::ucredit(), taken).unwrap();
    world.ctx.take_events();
    for _ in 0..2 {
        let height = world.height() + 1;
        world.ctx.block.height = kernel::At::new(height);
        world.ctx.block.time = kernel::At::new(world.ctx.block.time.value() + 60);
        kernel::chain::begin_block(&mut world.ctx, &height.to_be_bytes()).unwrap();
        crate::block::begin_block(&mut world.ctx).unwrap();
    }
    let held = world.order(1).hold.unwrap();
    assert_eq!((held.codespace.as_str(), held.code, held.attempts), ("sdk", 5, 1));
    assert_eq!(world.stands(1), "active 1");
    bank::transfer(&mut world.ctx, who("thief"), pool, &bank::ucredit(), taken).unwrap();
    world.ctx.take_events();
    // The back-off is ten blocks; anybody can have it retried at once.
    let world = world.blocks(1).state(1, "active 1");
    let settled = world.settle(1).by("tim").ok().state(1, "closed 1: Underfunded");
    assert_eq!(ended(&settled, 1).1, clock("11:30"));
    assert!(settled.order(1).hold.is_none());
}

#[test]
fn an_order_that_expired_late_ended_when_it_was_due() {
    let late = opened().queues_late(5_000).blocks(1).state(1, "closed 1: Expired");
    let late = late.emits("EventOrderClosed closed_at=11:00 refunded=24000000");
    let crate::types::Phase::Closed(closed) = late.order(1).phase else { panic!("it is closed") };
    assert_eq!(closed.prune_at.value(), clock("11:00") + 604_800);
}

#[test]
fn a_lease_that_a_late_queue_ends_is_auctioned_for_the_whole_of_its_wait() {
    let world = starting_of_two().queues_late(3_000);
    let now = world.now();
    let world = world.blocks(1).state(1, "open 2");
    assert_eq!(world.order(1).open().unwrap().expires_at.value(), now + 3_600);
    assert_eq!(ended(&world, 1), (LeaseEnd::NoStart, clock("10:10"), 0));
}

#[test]
fn a_trial_is_as_long_as_when_it_began() {
    let shorter = |world: World| world.params(|p| p.min_charge_s = 120).by("authority").ok();
    let close = |world: World, reason| -> MsgCloseLeaseResponse {
        let (_, answer) = shorter(world).close(1, reason).by("tom").answer();
        answer
    };
    // It lasts until 10:05, and a report in it costs its five minutes at the ceiling.
    let answer = close(at_ceiling().at("10:04:59"), TenantReason::NotDelivered);
    assert_eq!((answer.gross.as_str(), answer.fined.as_str()), ("0", "1333333"));
    let answer = close(at_ceiling().at("10:03"), TenantReason::Done);
    assert_eq!((answer.gross.as_str(), answer.fined.as_str()), ("799999", "533334"));
    // One that has not begun is of today's length.
    assert_eq!(close(starting(), TenantReason::Done).fined, "266666");
}

#[test]
fn abandoning_costs_the_same_whatever_later_bids_lock() {
    for lock_s in [86_400, 604_800, 6_048_000] {
        let world = at_ceiling().params(|p| p.lock_s = lock_s).by("authority").ok();
        let before = world.stake("ada").stake_total.units();
        let world = world.abandon(1).by("ada").ok();
        assert_eq!(before - world.stake("ada").stake_total.units(), 768_000_000, "{lock_s}");
    }
    // Never more than what the lease locks, whatever the price of stake makes of it.
    let world = at_ceiling().provider_params(|p| p.stake_price = kernel::Amount::from(50_000));
    let world = world.params(|p| p.abandon_s = 604_800).by("authority").ok();
    let before = world.stake("ada").stake_total.units();
    let world = world.abandon(1).by("ada").ok();
    assert_eq!(before - world.stake("ada").stake_total.units(), 5_376_000_000);
}

#[test]
fn an_order_that_is_not_kept_is_deleted_by_an_item_of_its_own() {
    let params = Params { retention_s: 0, orders_per_block_max: 1, ..Params::default() };
    let closed = |world: &World, at: &str| {
        let crate::types::Phase::Closed(closed) = world.order(1).phase else { panic!("it is closed") };
        (closed.closed_at.value(), closed.prune_at.value() - world.now()) == (clock(at), 1)
    };
    let expiring = World::with(params, &["ada"]).order_with(|_| ()).by("tom").ok();
    let world = expiring.at("11:00").state(1, "closed 1: Expired");
    assert!(closed(&world, "11:00"));
    world.blocks(3).state(1, "closed 1: Expired").after(1).state(1, "gone").emits("EventOrderPruned");
    let late = |world: World| world.params(|p| p.retention_s = 0).by("authority").ok().queues_late(7_200);
    let mut world = late(at_ceiling());
    world.block(0);
    assert!(closed(&world, "11:30"));
    world.after(1).state(1, "gone");
}
