//! Known attacks. Each counts what all who take part in it have, credit, FLOP and stake, before and after: none has more.

use proto::underbid::market::v1::TenantReason;

use super::world::*;
use crate::{ENDED_LEASES, Params};

const HALF: u128 = TWO_AN_HOUR / 2;
const NOT_LEADING: Code = ("market", 23);
const FULL: Code = ("market", 25);

#[test]
fn shielding_a_high_bid_by_one_that_never_starts_loses_the_bond() {
    let world = World::new().order_with(two_rounds).by("tom").ok();
    let before = world.wealth(&["ada", "eve"]);
    // Eve's price of nearly nothing keeps honest Bob from winning; Ada waits behind her at the ceiling.
    let world = world.bid(1, "ada", TWO_AN_HOUR).by("ada").ok().bid(1, "bob", HALF).by("bob").ok();
    let world = world.bid(1, "eve", 1).by("eve").ok().decided(1).after(600).state(1, "open 2");
    // There is no runner-up: the order is open to everybody but Eve, and Bob bids again.
    let world = world.bid(1, "ada", TWO_AN_HOUR).by("ada").ok().bid(1, "bob", HALF).by("bob").ok().decided(1);
    assert_eq!(world.order(1).lease().unwrap().provider, who("bob"));
    let lost = before - world.wealth(&["ada", "eve"]);
    assert_eq!(lost, 32_000_000 * 500_000, "the bond");
    // With the tenant in it, who gets its share of the slash, most of the bond is burned all the same.
    let world = starting();
    let before = world.wealth(&["ada", "tom"]);
    let world = world.after(600);
    assert_eq!(before - world.wealth(&["ada", "tom"]), (32_000_000 - 6_400_000) * 500_000);
}

#[test]
fn a_tenant_s_ceiling_is_no_bait() {
    // The bond follows the ceiling of 100 USD an hour; what the tenant gets of it follows the price of 1.
    let world = World::with(Params::default(), &["ada"]);
    let world = world.order_with(|o| {
        o.max_unit_rate = (50 * TWO_AN_HOUR).to_string();
        o.deposit = "1200000000".into();
    });
    let world = world.by("tom").ok().bid(1, "ada", HALF).by("ada").ok().decided(1);
    let (stake, tenant) = (world.stake("ada").stake_total.units(), world.flop("tom"));
    let world = world.after(600);
    assert_eq!(stake - world.stake("ada").stake_total.units(), 1_600_000_000);
    assert_eq!(world.flop("tom") - tenant, 6_400_000);
}

#[test]
fn holding_units_in_an_auction_costs_what_it_holds() {
    let world = World::with(Params::default(), &[]).order_with(|o| o.window_blocks = 600).by("tom").ok();
    assert_eq!(world.credit("market_fees"), 2_666_667, "ten minutes of 8 units at 2 USD an hour");
}

#[test]
fn each_window_of_an_order_costs_what_it_holds() {
    // The tenant's own providers end every round for nothing: by not starting, or by a lease at no price.
    let world = World::new().order_with(|o| {
        (o.rounds, o.deposit, o.reclaim_min_s) = (4, "25000000".into(), 300);
    });
    let mut world = world.by("tom").ok();
    for (name, round) in [("ada", 1), ("bob", 2), ("eve", 3)] {
        world = world.bid_with(1, name, 1, |bid| bid.reclaim_s = 300).by(name).ok().decided(1);
        world = match name {
            "bob" => world.after(600),
            _ => world.confirm(1).by(name).ok().reclaim(1).by(name).ok().after(300),
        };
        world = world.state(1, &format!("open {}", round + 1)).emits("EventAccountFined amount=53334");
        assert_eq!(world.credit("market_fees"), u128::from((round + 1) * FEE));
        assert_eq!(world.order(1).account.fined_total.units(), u128::from(round * FEE));
    }
    let world = world.cancel(1).by("tom").ok();
    assert_eq!(world.credit("tom"), u128::from(PURSE - 4 * FEE));
}

#[test]
fn low_balls_that_fill_the_book_cost_a_bond_a_round() {
    let names: Vec<String> = (0..32).map(|n| format!("low{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut world = World::with(Params::default(), &["bob"]);
    for name in &names {
        world.provider(name, 200_000_000, 8);
    }
    let mut world = world.order_with(|o| (o.rounds, o.deposit) = (4, "25000000".into())).by("tom").ok();
    let before = world.wealth(&names);
    let mut out = Vec::new();
    for round in 1..=4_u32 {
        for name in names.iter().filter(|name| !out.contains(*name)) {
            world = world.bid(1, name, 1).by(name).ok();
        }
        if round == 1 {
            world = world.bid(1, "bob", 2).by("bob").fails(FULL);
        }
        world = world.decided(1);
        let winner = world.order(1).lease().unwrap().provider;
        out.extend(names.iter().filter(|name| who(name) == winner));
        world = world.after(600);
    }
    let world = world.state(1, "closed 4: RoundsExhausted");
    assert_eq!(before - world.wealth(&names), 4 * 32_000_000 * 500_000);
    assert_eq!(world.credit("tom"), u128::from(PURSE - 4 * FEE), "the tenant paid for its windows");
}

#[test]
fn a_full_book_does_not_keep_a_better_price_out() {
    let params = Params { bids_max: 3, ..Params::default() };
    let world = World::with(params, &["ada", "bob", "eve", "pam"]).order_with(|_| ()).by("tom").ok();
    let world = world.bid(1, "ada", TWO_AN_HOUR).by("ada").ok().bid(1, "eve", TWO_AN_HOUR).by("eve").ok();
    let world = world.bid(1, "pam", TWO_AN_HOUR).by("pam").ok();
    let world = world.bid(1, "bob", HALF).by("bob").ok().decided(1);
    assert_eq!(world.order(1).lease().unwrap().provider, who("bob"));
}

#[test]
fn a_snipe_in_each_of_the_last_blocks_must_lead_by_a_step_and_leaves_time_to_answer() {
    for late in 7..12 {
        let world = bidding().blocks(late).bid(1, "eve", HALF - 1).by("eve").fails(NOT_LEADING);
        let world = world.bid(1, "eve", HALF / 100 * 99).by("eve").ok();
        let left = world.auction(1).close_height.value() - world.height();
        assert_eq!(left, 6, "blocks to answer");
        let world = world.blocks(5).improve(1, "ada", HALF / 100 * 97).by("ada").ok().decided(1);
        assert_eq!(world.order(1).lease().unwrap().provider, who("ada"));
    }
}

#[test]
fn one_card_does_not_win_twice() {
    let mut world = World::with(Params::default(), &["bob"]);
    world.provider("ada", STAKE, 8);
    let world = world.order_with(|_| ()).by("tom").ok().order_with(|_| ()).by("tim").ok();
    let world = world.bid(1, "ada", HALF).by("ada").ok().bid(2, "ada", HALF).by("ada").fails(("market", 22));
    // Not while it is leased either; then it is free.
    let world =
        world.decided(1).bid(2, "ada", HALF).by("ada").fails(("market", 22)).confirm(1).by("ada").ok();
    let world = world.bid(2, "ada", HALF).by("ada").fails(("market", 22));
    world.close(1, TenantReason::Done).by("tom").ok().bid(2, "ada", HALF).by("ada").ok();
}

#[test]
fn dust_and_squatters_do_not_keep_the_tenant_from_its_account() {
    let squatters: Vec<String> = (0..8).map(|n| format!("squat{n}")).collect();
    let names: Vec<&str> = squatters.iter().map(String::as_str).collect();
    let mut world = active();
    for name in &names {
        world.fund(name);
    }
    let before = world.wealth(&names);
    let mut world = world.top_up(1, 999_999).by("squat0").fails(("market", 12));
    for name in &names[..7] {
        world = world.top_up(1, 1_000_000).by(name).ok();
    }
    let world =
        world.top_up(1, 1_000_000).by("squat7").fails(("escrow", 3)).top_up(1, 1_000_000).by("tom").ok();
    // Three hours: the tenant's own money is spent first, then its place is empty and still its own.
    let world = world.at("13:08").settle(1).by("tim").ok();
    assert!(world.order(1).account.deposits.iter().all(|deposit| deposit.depositor != who("tom")));
    let world =
        world.top_up(1, 1_000_000).by("squat7").fails(("escrow", 3)).top_up(1, 24_000_000).by("tom").ok();
    // Who has been spent by now has no place any more, though nobody has settled since.
    let world = world.at("13:18").top_up(1, 1_000_000).by("squat7").ok();
    let world = world.close(1, TenantReason::Done).by("tom").ok();
    assert!(world.wealth(&names) <= before);
}

#[test]
fn settling_every_block_pays_the_same_fee() {
    // 8 ucredit a second: 2% of a second's pay is less than one ucredit.
    let lease = || {
        let world = World::new().order_with(|o| o.max_unit_rate = 10_u128.pow(18).to_string()).by("tom").ok();
        world.bid(1, "ada", 10_u128.pow(18)).by("ada").ok().decided(1).confirm(1).by("ada").ok().at("10:05")
    };
    let mut often = lease();
    for _ in 0..300 {
        often = often.after(1).settle(1).by("ada").ok();
    }
    let often = often.close(1, TenantReason::Done).by("tom").ok();
    let seldom = lease().at("10:10").close(1, TenantReason::Done).by("tom").ok();
    assert_eq!(often.credit("market_fees"), 50_000 + 96, "2% of 4800");
    for name in ["ada", "tom", "market_fees"] {
        assert_eq!(often.credit(name), seldom.credit(name), "{name}");
    }
}

#[test]
fn closing_after_a_second_is_no_free_compute() {
    let world = active();
    let before = world.wealth(&["tom", "ada"]);
    let world = world.after(1).close(1, TenantReason::Done).by("tom").ok();
    // Tenant and provider together: five minutes at the price went to the market, but for the provider's second.
    let lost = (before - world.wealth(&["tom", "ada"])) / 1_000_000;
    assert!((666_600 - 2_222..=666_666).contains(&lost), "{lost}");
}

#[test]
fn a_fake_start_that_is_reported_earns_nothing() {
    let world = active();
    let (ada, both) = (world.wealth(&["ada"]), world.wealth(&["ada", "tom"]));
    let world = world.after(299).close(1, TenantReason::NotDelivered).by("tom").ok();
    let lost = ada - world.wealth(&["ada"]);
    assert_eq!(lost, 2_666_666 * 500_000, "the minimal charge at the ceiling, from the stake");
    assert!(
        both - world.wealth(&["ada", "tom"]) > lost,
        "the tenant pays as much: a false report gains nothing"
    );
    // A bid of next to nothing does not make the lie cheaper.
    let world = opened().bid(1, "ada", 1).by("ada").ok().decided(1).confirm(1).by("ada").ok();
    let ada = world.wealth(&["ada"]);
    let world = world.close(1, TenantReason::NotDelivered).by("tom").ok();
    assert_eq!(ada - world.wealth(&["ada"]), 2_666_666 * 500_000);
}

#[test]
fn abandoning_in_the_last_second_is_dearer_than_staying() {
    let lease = || {
        let world = World::new().order_with(|o| o.duration_s = 3_600).by("tom").ok();
        world.bid(1, "ada", HALF).by("ada").ok().decided(1).confirm(1).by("ada").ok()
    };
    let start = lease();
    let both = start.wealth(&["ada", "tom"]);
    let stayed = start.at("11:00").wealth(&["ada"]);
    let left = lease().at("10:59:59").abandon(1).by("ada").ok().state(1, "closed 1: Completed");
    assert!(left.wealth(&["ada"]) < stayed);
    assert!(left.wealth(&["ada", "tom"]) < both);
}

#[test]
fn there_is_no_cancel_in_the_block_of_the_first_bid() {
    let world = bidding().cancel(1).by("tom").fails(("market", 15)).state(1, "bidding 1");
    // The other order of the two: the bid comes too late and holds nothing.
    let world = world.order_with(|_| ()).by("tom").ok().cancel(2).by("tom").ok();
    let world = world.bid(2, "bob", HALF).by("bob").fails(("market", 16));
    assert_eq!(world.stake("bob").stake_locked.units(), 0);
}

#[test]
fn a_late_queue_pays_nobody_after_the_money_is_out() {
    let params = Params {
        leases_per_block_max: 1,
        auctions_per_block_max: 1,
        orders_per_block_max: 1,
        ..Params::default()
    };
    let names = ["ada", "bob", "eve", "dan"];
    let mut world = World::with(params, &names);
    for (name, id) in names.iter().zip(1..) {
        world = world.order_with(|_| ()).by("tom").ok().bid(id, name, TWO_AN_HOUR).by(name).ok();
    }
    world = world.blocks(20);
    for (name, id) in names.iter().zip(1..) {
        world = world.confirm(id).by(name).ok();
    }
    // All run dry at 11:30; the queue closes one a block, a provider asks for more.
    let mut world = world.at("11:29:59").after(1).settle(4).by("dan").ok();
    world = world.at("11:45");
    for id in 1..=4 {
        let ended = ENDED_LEASES.get(&world.ctx, &(id, 1)).unwrap().unwrap();
        assert_eq!(ended.closed_at.value(), clock("11:30"));
        assert_eq!(ended.gross.units(), 23_999_999, "90 minutes at 16 USD an hour");
    }
    for name in names {
        assert_eq!(world.credit(name), u128::from(PURSE) + 23_999_999 - 479_999);
    }
}

#[test]
fn a_tenant_that_is_its_own_provider_only_pays_fees() {
    // Two addresses, one person: reputation by leasing to oneself costs the fee of the order and of the stream.
    let world = opened();
    let before = world.wealth(&["tom", "ada"]);
    let world = world.bid(1, "ada", TWO_AN_HOUR).by("ada").ok().decided(1).confirm(1).by("ada").ok();
    let world = world.at("11:00").close(1, TenantReason::Done).by("tom").ok();
    let lost = (before - world.wealth(&["tom", "ada"])) / 1_000_000;
    assert_eq!(lost, 319_999, "2%, and before it the fee of the order");
}
