//! Auctions: the ending zone, extensions, eviction, the draw, rounds.

use super::world::*;
use crate::{AWARDS, BIDS, Params, state::book};

const NOT_LEADING: Code = ("market", 23);
const ENDING: Code = ("market", 24);
const FULL: Code = ("market", 25);
const NOT_BIDDABLE: Code = ("market", 16);
const UNKNOWN_BID: Code = ("market", 26);
const BINDING: Code = ("market", 34);

/// A price in hundredths of the ceiling.
const fn percent(percent: u128) -> u128 {
    TWO_AN_HOUR / 100 * percent
}

#[test]
fn a_window_runs_from_the_first_bid() {
    let world = bidding();
    let (first, close) = (world.height(), world.auction(1).close_height.value());
    assert_eq!(close, first + 12);
    let world = world.blocks(11).state(1, "bidding 1");
    world.blocks(1).state(1, "starting 1").emits("EventOrderAwarded bidders=1 round=1");
}

#[test]
fn before_the_ending_a_bid_need_not_lead_and_does_not_extend() {
    // Height of the first bid is h, the auction closes at h + 12; the ending begins at h + 7.
    let world = bidding().blocks(6).bid(1, "bob", percent(99)).by("bob").ok();
    assert_eq!((world.auction(1).extensions, world.auction(1).bid_count), (0, 2));
    world.emits_no("EventAuctionExtended").emits("EventBidCreated leads=false");
}

#[test]
fn in_the_ending_a_bid_leads_by_a_step_and_extends() {
    let best = TWO_AN_HOUR / 2;
    // Both have the same multiplier: one step below the best is 99% of it.
    let step = best / 100 * 99;
    let world = bidding().blocks(7).bid(1, "bob", step + 100).by("bob").fails(NOT_LEADING);
    let height = world.height();
    let world = world.bid(1, "bob", step).by("bob").ok().emits("EventAuctionExtended extensions=1");
    assert_eq!(world.auction(1).close_height.value(), height + 6);
    assert_eq!(world.auction(1).best.provider, who("bob"));
    // Outside the ending again, until five blocks before the new close.
    let world = world.bid(1, "eve", percent(99)).by("eve").ok().emits_no("EventAuctionExtended").blocks(1);
    // An answer costs no more than what it answers.
    let answer = step / 100 * 99;
    let world = world.improve(1, "ada", answer + 100).by("ada").fails(NOT_LEADING);
    let world = world.improve(1, "ada", answer).by("ada").ok().emits("EventAuctionExtended extensions=2");
    assert_eq!(world.auction(1).best.provider, who("ada"));
}

#[test]
fn the_leader_too_must_lead_by_a_step_in_the_ending() {
    // Each fourth extension the step of the ending grows: then one step is still an improvement, but does not lead.
    let mut world = bidding().blocks(7);
    let mut rate = percent(40);
    for _ in 0..4 {
        world = world.improve(1, "ada", rate).by("ada").ok().blocks(1);
        rate = rate / 100 * 99;
    }
    let world = world.improve(1, "ada", rate).by("ada").fails(NOT_LEADING);
    world.improve(1, "ada", rate / 100 * 98).by("ada").ok();
}

/// The world after a refusal, and the price after `words` in it.
fn refused(outcome: Outcome, code: Code, words: &str) -> (World, u128) {
    let (_, rest) = outcome.reason().split_once(words).unwrap();
    let rate = rest.split(',').next().unwrap().parse().unwrap();
    (outcome.fails(code), rate)
}

#[test]
fn the_price_that_a_refusal_names_is_the_last_one_that_would_have_passed() {
    let params = Params { bids_max: 2, ..Params::default() };
    let world = World::with(params, &["ada", "bob", "eve"]).order_with(|_| ()).by("tom").ok();
    let world =
        world.bid(1, "ada", percent(50) + 1).by("ada").ok().bid(1, "bob", percent(60) + 1).by("bob").ok();
    let (world, full) = refused(world.bid(1, "eve", percent(70)).by("eve"), FULL, "at most ");
    let world = world.bid(1, "eve", full + 1).by("eve").fails(FULL).bid(1, "eve", full).by("eve").ok();
    let (world, binding) = refused(world.withdraw(1, "ada").by("ada"), BINDING, "above ");
    assert_eq!(binding, (percent(50) + 1) * 1_005 / 1_000, "the band above the best price");
    let world = world.blocks(7);
    let (world, leads) = refused(world.improve(1, "eve", percent(50)).by("eve"), NOT_LEADING, "at most ");
    let world = world.improve(1, "eve", leads + 1).by("eve").fails(NOT_LEADING);
    world.improve(1, "eve", leads).by("eve").ok();
}

#[test]
fn after_the_last_extension_nobody_bids() {
    let params = Params { extensions_max: 2, ..Params::default() };
    let world = World::with(params, &["ada", "bob", "eve"]).order_with(|_| ()).by("tom").ok();
    let world = world.bid(1, "ada", percent(50)).by("ada").ok().blocks(7);
    let world = world.improve(1, "ada", percent(40)).by("ada").ok().blocks(1);
    let world = world.improve(1, "ada", percent(30)).by("ada").ok();
    // Outside the ending by the height, but no bid enters any more.
    let world =
        world.bid(1, "bob", percent(1)).by("bob").fails(ENDING).improve(1, "ada", 1).by("ada").fails(ENDING);
    world.blocks(6).state(1, "starting 1");
}

#[test]
fn no_bid_enters_after_the_close_even_if_the_queue_is_late() {
    let mut world = bidding().blocks(11);
    world.ctx.block.height = kernel::At::new(world.height() + 1);
    let world = world.bid(1, "bob", 1).by("bob").fails(NOT_BIDDABLE);
    world.improve(1, "ada", 1).by("ada").fails(NOT_BIDDABLE);
}

#[test]
fn a_full_book_evicts_its_last_for_a_better_bid() {
    let params = Params { bids_max: 2, ..Params::default() };
    let world = World::with(params, &["ada", "bob", "eve"]).order_with(|_| ()).by("tom").ok();
    let world = world.bid(1, "ada", percent(50)).by("ada").ok().bid(1, "bob", percent(60)).by("bob").ok();
    let world = world
        .bid(1, "eve", percent(60))
        .by("eve")
        .fails(FULL)
        .bid(1, "eve", percent(61))
        .by("eve")
        .fails(FULL);
    let world = world
        .bid(1, "eve", percent(59))
        .by("eve")
        .ok()
        .emits("EventBidEvicted")
        .emits("EventBidCreated leads=false");
    assert_eq!(world.auction(1).bid_count, 2);
    assert_eq!(world.stake("bob").stake_locked.units(), 0, "what the evicted bid held is free");
    assert!(!BIDS.has(&world.ctx, &(1, who("bob"))).unwrap());
    // It may come back with a better price; of equal prices the later is the last.
    let world = world.bid(1, "bob", percent(58)).by("bob").ok();
    let book = book(&world.ctx, 1).unwrap();
    assert_eq!(book.iter().map(|(provider, _)| *provider).collect::<Vec<_>>(), [who("ada"), who("bob")]);
}

#[test]
fn a_bid_that_can_not_win_any_more_may_be_taken_back() {
    // All have the same multiplier: bob is just inside the band of 0.5%, eve is just beyond.
    let inside = TWO_AN_HOUR / 2_000 * 1_005;
    let world = bidding().bid(1, "bob", inside).by("bob").ok().bid(1, "eve", inside + 1_000).by("eve").ok();
    let world = world.withdraw(1, "ada").by("ada").fails(BINDING).withdraw(1, "bob").by("bob").fails(BINDING);
    let world = world.withdraw(1, "eve").by("bob").fails(NOT_OPERATOR);
    let world = world.withdraw(1, "eve").by("eve").ok().emits("EventBidWithdrawn round=1");
    assert_eq!(world.auction(1).bid_count, 2);
    assert_eq!(world.stake("eve").stake_locked.units(), 0, "what the bid held is free");
    assert!(!BIDS.has(&world.ctx, &(1, who("eve"))).unwrap());
    let world = world.withdraw(1, "eve").by("eve").fails(UNKNOWN_BID);
    // It may come back, and then the others can't win.
    let world = world.bid(1, "eve", percent(40)).by("eve").ok().withdraw(1, "ada").by("ada").ok();
    let world = world.decided(1).emits("EventOrderAwarded bidders=2").emits("EventBidLost");
    assert_eq!(world.order(1).lease().unwrap().provider, who("eve"));
    world.withdraw(1, "bob").by("bob").fails(NOT_BIDDABLE);
}

/// A cheap bidder may stretch the auction of a decoy to its last extension: its losers need not wait for it.
#[test]
fn a_stretched_decoy_does_not_hold_the_units_of_who_can_not_win() {
    let mut world = bidding().bid(1, "bob", percent(99)).by("bob").ok().blocks(11);
    let mut rate = 1_000_000;
    for _ in 0..20 {
        world = world.improve(1, "ada", rate).by("ada").ok().blocks(5);
        rate = rate * 9 / 10;
    }
    assert_eq!(world.auction(1).extensions, 20);
    let world = world.withdraw(1, "bob").by("bob").ok();
    assert_eq!(world.stake("bob").stake_locked.units(), 0);
}

#[test]
fn losers_are_free_and_the_award_repeats_the_draw() {
    let world =
        bidding().bid(1, "bob", percent(60)).by("bob").ok().bid(1, "eve", TWO_AN_HOUR / 2).by("eve").ok();
    let world = world.decided(1).emits("EventOrderAwarded bidders=3").emits("EventBidLost");
    assert_eq!(world.count_events("EventBidLost"), 2);
    let award = AWARDS.get(&world.ctx, &(1, 1)).unwrap().unwrap();
    // Bob's price is outside the band of 0.5%.
    assert_eq!(award.rows.iter().map(|row| row.provider).collect::<Vec<_>>(), [who("ada"), who("eve")]);
    assert_eq!((award.bidders, award.rows[0].delta_ppm), (3, 500_000));
    assert_eq!(award.rows[0].weight, award.limit - award.best_eff + 1);
    let weights: Vec<_> = award.rows.iter().map(|row| row.weight).collect();
    let drawn = crate::formulas::draw("test-1", 1, 1, &award.seed, &weights).unwrap();
    assert_eq!(award.rows[drawn].provider, award.winner);
    for name in ["ada", "bob", "eve"] {
        let locked = world.stake(name).stake_locked.units();
        assert_eq!(locked > 0, award.winner == who(name), "{name}");
    }
    assert!(book(&world.ctx, 1).unwrap().is_empty());
}

#[test]
fn a_late_queue_draws_the_same_winner() {
    let bids = |world: World| {
        world.bid(1, "bob", TWO_AN_HOUR / 2).by("bob").ok().bid(1, "eve", TWO_AN_HOUR / 2).by("eve").ok()
    };
    let in_time = bids(bidding()).decided(1);
    let late = bids(bidding()).queues_late(40 * 60).decided(1);
    let award = |world: &World| AWARDS.get(&world.ctx, &(1, 1)).unwrap().unwrap();
    assert_eq!(award(&in_time), award(&late));
    assert!(late.height() > in_time.height() + 20);
}

#[test]
fn the_weight_falls_with_the_price_and_the_draw_follows_it() {
    let weights = [900_u128, 90, 10];
    let mut won = [0_u32; 3];
    for seed in 0..2_000_u32 {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&seed.to_be_bytes());
        won[crate::formulas::draw("test-1", 7, 2, &bytes, &weights).unwrap()] += 1;
    }
    assert!((1_740..=1_860).contains(&won[0]) && (130..=230).contains(&won[1]) && won[2] > 0, "{won:?}");
    assert_eq!(crate::formulas::draw("test-1", 7, 2, &[0; 32], &[]), None);
    // Order, round and chain are part of what is drawn from.
    let one = |chain, order, round| {
        (0..64_u8)
            .map(|n| crate::formulas::draw(chain, order, round, &[n; 32], &[1, 1]).unwrap())
            .collect::<Vec<_>>()
    };
    assert_ne!(one("a", 1, 1), one("b", 1, 1));
    assert_ne!(one("a", 1, 1), one("a", 2, 1));
    assert_ne!(one("a", 1, 1), one("a", 1, 2));
}

#[test]
fn drawbacks_count_in_the_price() {
    // Eve is far from where the order wants its units: her price counts for 5% more.
    let mut world = World::new();
    let zone = provider::Zone::parse("us/ny/nyc").unwrap();
    let capacity = provider::SetCapacity { provider: who("eve"), class_id: 1, zone, total: 8 };
    world.run_provider(provider::Msg::SetCapacity(who("eve"), capacity), "eve");
    let world = world
        .order_with(|o| (o.near, o.zones) = (ZONE.into(), vec!["de".into(), "us".into()]))
        .by("tom")
        .ok();
    let world =
        world.bid(1, "ada", percent(50)).by("ada").ok().emits("EventBidCreated multiplier_ppm=1130000");
    let far = |bid: &mut proto::underbid::market::v1::MsgCreateBid| bid.zone = "us/ny/nyc".into();
    let world = world.bid_with(1, "eve", percent(48), far).by("eve").ok();
    let world =
        world.emits("EventBidCreated multiplier_ppm=1180000 leads=false parts=100000,500000,0,0,1000000");
    world.improve(1, "eve", percent(47)).by("eve").ok().emits("EventBidImproved leads=true");
}

#[test]
fn an_order_that_nobody_wants_expires_with_its_money_back() {
    let world = opened()
        .at("11:00")
        .state(1, "closed 1: Expired")
        .emits("EventOrderClosed refunded=24000000 closed_at=11:00");
    assert_eq!(world.credit("tom"), u128::from(PURSE - FEE));
}

#[test]
fn a_closed_order_is_deleted_after_its_time() {
    let world = active().at("10:30").close(1, proto::underbid::market::v1::TenantReason::Done).by("tom").ok();
    let world = world
        .after(604_799)
        .state(1, "closed 1: Completed")
        .after(1)
        .state(1, "gone")
        .emits("EventOrderPruned order_id=1");
    assert!(AWARDS.get(&world.ctx, &(1, 1)).unwrap().is_none());
    assert!(crate::ENDED_LEASES.get(&world.ctx, &(1, 1)).unwrap().is_none());
}
