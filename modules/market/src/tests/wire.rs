//! Bytes: what lies in the store and in events is what the protos say, in one form, and does not change by accident.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use bytes::Bytes;
use kernel::{At, Fatal, Fields, KeyRange, Record, Space, View};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use proto::underbid::market::v1::{MsgCreateOrder, TenantReason};
use provider::Zone;

use super::world::*;
use crate::{
    AUCTIONS, AWARDS, BIDS, ENDED_LEASES, Msg, ORDERS, Params, STORE,
    block::advance,
    msgs::{CreateBid, Settle},
    params::{BIDS_LIMIT, LIST_LIMIT},
    read_ahead,
    state::{PARAMS, TOTALS, delete_order},
    types::{EndedLease, LeaseEnd},
};

fn descriptor(name: &str) -> MessageDescriptor {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    pool.get_message_by_name(name).unwrap_or_else(|| panic!("there is no message {name}"))
}

/// The fields' names in the order of their numbers.
fn names(descriptor: &MessageDescriptor) -> Vec<String> {
    let by_number: BTreeMap<_, _> =
        descriptor.fields().map(|field| (field.number(), field.name().to_owned())).collect();
    by_number.into_values().collect()
}

fn agrees(name: &str, bytes: &[u8], fields: &[&str]) {
    let descriptor = descriptor(name);
    assert_eq!(names(&descriptor), fields, "{name}");
    let read = DynamicMessage::decode(descriptor, bytes).unwrap();
    assert_eq!(read.unknown_fields().count(), 0, "{name}");
    assert_eq!(read.encode_to_vec(), bytes, "{name}: the canonical form is another");
}

fn record<R: Record + Fields>(name: &str, record: &R) -> Vec<u8> {
    let mut shown = Vec::new();
    record.render_fields(&mut shown);
    let fields: Vec<_> = shown.iter().map(|(name, _)| *name).collect();
    let bytes = record.to_message();
    agrees(&format!("underbid.market.store.v1.{name}"), &bytes, &fields);
    bytes
}

/// A world with one of everything: a running lease, an auction with bids, a closed order.
fn full() -> World {
    let world = active().at("10:30").settle(1).by("tim").ok();
    let world =
        world.order_with(|o| o.near = ZONE.into()).by("tim").ok().bid(2, "bob", TWO_AN_HOUR).by("bob").ok();
    let world =
        world.order_with(|_| ()).by("tom").ok().bid(3, "eve", TWO_AN_HOUR / 3).by("eve").ok().decided(3);
    let world = world.confirm(3).by("eve").ok().close(3, TenantReason::Done).by("tom").ok();
    // The auction of the second order ran out with the third's: another round of bids.
    world.order_with(|o| o.near = ZONE.into()).by("tim").ok().bid(4, "eve", TWO_AN_HOUR / 2).by("eve").ok()
}

#[test]
fn records_are_what_the_store_proto_says() {
    let world = full();
    let ctx = &world.ctx;
    let live = ORDERS.get(ctx, &1).unwrap().unwrap();
    record("Params", &Params::default());
    record("Totals", &TOTALS.load(ctx).unwrap());
    record("Terms", &live.terms);
    record("Order", &live);
    record("Lease", live.lease().unwrap());
    for id in 1..=4 {
        record("Order", &ORDERS.get(ctx, &id).unwrap().unwrap());
    }
    record("Order", &opened().order(1));
    let auction = AUCTIONS.get(ctx, &4).unwrap().unwrap();
    record("Auction", &auction);
    let hold = kernel::Hold { codespace: "sdk".into(), code: 5, attempts: 1, retry_at: At::new(9) };
    record("Auction", &crate::types::Auction { hold: Some(hold), ..auction });
    record("Bid", &BIDS.get(ctx, &(4, who("eve"))).unwrap().unwrap());
    record("EndedLease", &ENDED_LEASES.get(ctx, &(3, 1)).unwrap().unwrap());
    let award = AWARDS.get(ctx, &(3, 1)).unwrap().unwrap();
    record("Award", &award);
    record("AwardRow", &award.rows[0]);
    let reclaiming = active().reclaim(1).by("ada").ok();
    record("Order", &reclaiming.order(1));
}

#[test]
fn events_are_what_the_protos_say() {
    let mut seen = BTreeSet::new();
    let mut check = |world: &World| {
        for event in &world.events {
            for shown in event.rendered() {
                if shown.kind == event.name {
                    let fields: Vec<_> = shown.attributes.iter().map(|(name, _)| *name).collect();
                    agrees(event.name, &event.bytes, &fields);
                    seen.insert(event.name);
                }
            }
        }
    };
    let params = Params { bids_max: 2, ..Params::default() };
    let world = World::with(params, &["ada", "bob", "eve"]);
    let world = world
        .order_with(|o| (o.rounds, o.deposit, o.near) = (2, "100000000".into(), ZONE.into()))
        .by("tom")
        .ok();
    check(&world);
    let mut world = world;
    for (name, percent) in [("ada", 90), ("bob", 80), ("eve", 70)] {
        world = world.bid(1, name, TWO_AN_HOUR / 100 * percent).by(name).ok();
        check(&world);
    }
    let world = world.blocks(8).improve(1, "eve", TWO_AN_HOUR / 2).by("eve").ok();
    check(&world);
    let world = world.decided(1);
    check(&world);
    let world = world.confirm(1).by("eve").ok();
    check(&world);
    let world = world.reclaim(1).by("eve").ok();
    check(&world);
    let world = world.at("11:00");
    check(&world);
    let world = world.bid(1, "ada", TWO_AN_HOUR).by("ada").ok().decided(1).confirm(1).by("ada").ok();
    let world = world.top_up(1, 1_000_000).by("tim").ok();
    check(&world);
    let world = world.at("17:00");
    check(&world);
    let world = world.after(604_800);
    check(&world);
    let world = world.params(|p| p.bids_max = 5).by("authority").ok();
    check(&world);
    let ours: Vec<_> = seen.iter().filter(|name| name.starts_with("underbid.market.v1.")).collect();
    assert_eq!(ours.len(), 16, "{ours:?}");
}

#[test]
fn keys_and_bytes_are_pinned() {
    assert_eq!(ORDERS.key(&258)[..], [3, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(AUCTIONS.key(&258)[..], [4, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(BIDS.key(&(1, kernel::Address([9; 20])))[..10], [5, 0, 0, 0, 0, 0, 0, 0, 1, 9]);
    assert_eq!(ENDED_LEASES.key(&(1, 2))[..], [6, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert_eq!(AWARDS.key(&(1, 2))[..], [7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]);
    // The entries of indexes and queues are under the app hash too, by their digest.
    let tags = |world: &World| {
        let entries = kernel::entries_of(&world.ctx, crate::STORE).unwrap();
        entries.into_iter().map(|(_, entry)| entry[0]).collect::<Vec<_>>()
    };
    assert_eq!(tags(&opened()), [0x10, 0x11, 0x18, 0x19, 0x22]);
    assert_eq!(tags(&bidding()), [0x10, 0x11, 0x16, 0x18, 0x19, 0x21]);
    assert_eq!(tags(&active()), [0x10, 0x11, 0x12, 0x13, 0x18, 0x19, 0x20]);
    let ended = active().close(1, TenantReason::Done).by("tom").ok();
    assert_eq!(tags(&ended), [0x10, 0x11, 0x14, 0x15, 0x18, 0x19, 0x22]);
    let world = full();
    let ctx = &world.ctx;
    let golden = [
        ("totals", TOTALS.load(ctx).unwrap().to_message()),
        ("auction", AUCTIONS.get(ctx, &4).unwrap().unwrap().to_message()),
        ("bid", BIDS.get(ctx, &(4, who("eve"))).unwrap().unwrap().to_message()),
        ("order", ORDERS.get(ctx, &1).unwrap().unwrap().to_message()),
        ("ended lease", ENDED_LEASES.get(ctx, &(3, 1)).unwrap().unwrap().to_message()),
        ("award", AWARDS.get(ctx, &(3, 1)).unwrap().unwrap().to_message()),
        ("params", PARAMS.load(ctx).unwrap().to_message()),
    ];
    let shown: Vec<String> =
        golden.iter().map(|(name, bytes)| format!("{name} {}", hex::encode(bytes))).collect();
    assert_eq!(shown.join("\n"), include_str!("golden.txt").trim_end());
}

/// A live lease is one hashed key of at most 600 bytes, and a bid rewrites a small row of the order.
#[test]
fn what_is_hot_is_small() {
    let live = active().at("10:30").settle(1).by("tim").ok().order(1).to_message().len();
    let starting = starting().order(1).to_message().len();
    let world = bidding();
    let auction = world.auction(1).to_message().len();
    let bid = BIDS.get(&world.ctx, &(1, who("ada"))).unwrap().unwrap().to_message().len();
    println!(
        "live order {live}, starting {starting}, bidding order {}, auction {auction}, bid {bid}",
        world.order(1).to_message().len()
    );
    assert!(live <= 600 && auction <= 70 && bid <= 150, "{live} {auction} {bid}");
}

/// What a bid reads, writes and costs: the figures that throughput depends on.
#[test]
fn a_bid_touches_few_keys() {
    let world = bidding();
    let before = world.ctx.counters();
    let world = world.bid(1, "bob", TWO_AN_HOUR / 3).by("bob").ok();
    let after = world.ctx.counters();
    let (_, bid_gas) = (after.reads - before.reads, world.gas);
    println!(
        "bid gas {bid_gas}, writes {}, bytes {}, derived {}",
        after.writes - before.writes,
        after.bytes_written - before.bytes_written,
        after.derived - before.derived
    );
    // Provider, line, its totals, our totals, the auction, the bid.
    assert_eq!(after.writes - before.writes, 6);
    let world = world.improve(1, "bob", TWO_AN_HOUR / 4).by("bob").ok();
    println!("improve gas {}, writes {}", world.gas, world.ctx.counters().writes - after.writes);
    assert_eq!(world.ctx.counters().writes - after.writes, 5);
    assert!(world.gas < bid_gas);
}

/// An empty view that notes what it is asked.
#[derive(Default)]
struct Asked(Mutex<Vec<Vec<u8>>>);

impl View for Asked {
    fn height(&self) -> u64 {
        0
    }
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal> {
        assert_eq!(space, Space::State(STORE));
        self.0.lock().unwrap().push(key.to_vec());
        Ok(None)
    }
    fn scan(&self, _: Space, _: KeyRange<'_>, _: u32) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        panic!("nothing is scanned ahead")
    }
}

/// What other threads ask the store for before a message runs is where it begins, and no more than that.
#[test]
fn what_is_read_ahead_is_what_a_message_begins_with() {
    let asked = |msg: Msg| {
        let view = Asked::default();
        read_ahead(&view, &msg).unwrap();
        view.0.into_inner().unwrap()
    };
    let (order, provider, signer) = (7, who("ada"), who("bot"));
    let zone = Zone::parse("de/he/fra").unwrap();
    let bid = CreateBid { provider, order, zone, unit_rate: 1, reclaim_s: 300 };
    let rows = [ORDERS.key(&order), AUCTIONS.key(&order), BIDS.key(&(order, provider))];
    assert_eq!(asked(Msg::CreateBid(signer, bid)), rows.map(|key| key.to_vec()));
    assert_eq!(asked(Msg::Settle(signer, Settle { order })), [ORDERS.key(&order).to_vec()]);
}

/// The gas of the due work in the next block, after `seconds`.
fn due_gas(mut world: World, seconds: u64) -> (World, u64) {
    world.block(0);
    let idle = world.gas;
    world.block(seconds);
    let gas = world.gas - idle;
    (world, gas)
}

/// About the dearest auction to decide that parameters allow: all bids are at one price, so that each has its row of the
/// award, and zones, providers' records and the order's terms are as long as they may be. Only providers that the order bars
/// would add to it, a little.
fn largest_auction() -> World {
    let (bids_max, zones_max, rounds_max) = (BIDS_LIMIT, LIST_LIMIT, LIST_LIMIT);
    let params = Params { bids_max, zones_max, rounds_max, retention_s: 0, ..Params::default() };
    let mut world = World::with(params, &[]).provider_params(|params| params.endpoint_len_max = 153);
    let segment = |text: &str| text.repeat(16);
    let zone = [segment("a"), segment("b"), segment("c")].join("/");
    let names: Vec<String> = (0..BIDS_LIMIT).map(|n| format!("bidder{n}")).collect();
    for name in &names {
        world.fund(name);
        let contact = provider::Contact { endpoints: vec!["x".repeat(153); 4], encryption_key: [1; 32] };
        let operators = (0..8).map(|n| who(&format!("{name}-{n}"))).collect();
        let register = provider::RegisterProvider { contact, operators, stake: kernel::Amount::from(STAKE) };
        world.run_provider(provider::Msg::RegisterProvider(who(name), register), name);
        let zone = Zone::parse(&zone).unwrap();
        let capacity = provider::SetCapacity { provider: who(name), class_id: 1, zone, total: 8 };
        world.run_provider(provider::Msg::SetCapacity(who(name), capacity), name);
    }
    let others = (1..LIST_LIMIT).map(|n| format!("{}/{}/{n:016}", segment("a"), segment("b")));
    let zones = others.chain([zone.clone()]).collect();
    let largest = |order: &mut MsgCreateOrder| {
        (order.zones, order.rounds, order.duration_s) = (zones, LIST_LIMIT, 3_600);
        (order.near, order.deposit) = (ZONE.into(), "27360042".into());
    };
    world = world.order_with(largest).by("tom").ok();
    for name in &names {
        let bid = world.bid_with(1, name, TWO_AN_HOUR / 10 * 9, |bid| bid.zone = zone.clone());
        world = bid.by(name).ok();
    }
    world
}

/// About the dearest order to close and to delete that parameters allow: its lease is to be paid up to its end, it has had all
/// rounds, each with the most bids in the draw, and as many depositors as may be wait for their money.
fn largest_order() -> World {
    let mut world = largest_auction();
    let mut params = escrow::params(&world.ctx).unwrap();
    params.depositors_max = 64;
    let params = escrow::Msg::UpdateParams(who("authority"), escrow::UpdateParams { params });
    let signed = kernel::authority::signed(params, who("authority"));
    <escrow::Escrow as kernel::Module>::handle(&mut world.ctx, signed).unwrap();
    for n in 1..64 {
        let name = format!("depositor{n}");
        world.fund(&name);
        world = world.top_up(1, 1_000_000).by(&name).ok();
    }
    world = world.decided(1);
    let winner = world.order(1).lease().unwrap().provider;
    let winner = (0..BIDS_LIMIT).map(|n| format!("bidder{n}")).find(|name| who(name) == winner).unwrap();
    world = world.confirm(1).by(&winner).ok();
    let (mut order, mut award) = (world.order(1), AWARDS.get(&world.ctx, &(1, 1)).unwrap().unwrap());
    // As bidders have it that were slashed.
    award.rows.iter_mut().for_each(|row| row.parts[2] = 200_000);
    let (tenant, lease, reason) = (order.tenant, order.lease().unwrap().clone(), LeaseEnd::NoStart);
    let ended = EndedLease {
        tenant,
        lease,
        gross: kernel::Amount::from(24_000_000),
        closed_at: order.created_at,
        reason,
    };
    for round in 1..LIST_LIMIT {
        ENDED_LEASES.create(&mut world.ctx, &(1, round), &ended).unwrap();
        AWARDS.set(&mut world.ctx, &(1, round + 1), &award).unwrap();
        order.barred.push(who(&format!("barred{round}")));
    }
    order.round = LIST_LIMIT;
    ORDERS.update(&mut world.ctx, &1, &order).unwrap();
    world
}

#[test]
fn the_largest_order_is_closed_and_deleted_within_the_gas_of_two_items() {
    let one = kernel::queue::ITEM_GAS;
    let mut late = largest_order().after(3_540).queues_late(60);
    let before = late.ctx.gas_used();
    let order = advance(&mut late.ctx, 1).unwrap().unwrap();
    delete_order(&mut late.ctx, 1, &order).unwrap();
    let both = late.ctx.gas_used() - before;

    let (world, closed) = due_gas(largest_order().after(3_540), 60);
    let world = world.state(1, "closed 64: Completed");
    assert_eq!(world.count_events("EventDepositRefunded"), 64);
    let (world, deleted) = due_gas(world, 1);
    world.state(1, "gone");
    println!("the largest order: closed {closed}, deleted {deleted}, in one {both}");
    assert!(closed.max(deleted) < one * 9 / 10 && both > one);
}

#[test]
fn what_is_due_later_is_paid_before() {
    use crate::{Msg, msgs};
    use kernel::Message as _;
    let prepaid = |msg: &Msg| msg.base_gas();
    let by = who("tom");
    let order = 1;
    let bid = msgs::CreateBid {
        provider: by,
        order,
        zone: provider::Zone::parse(ZONE).unwrap(),
        unit_rate: 1,
        reclaim_s: 1,
    };
    let improve = msgs::ImproveBid { provider: by, order, unit_rate: 1 };
    let (bid, improve) = (prepaid(&Msg::CreateBid(by, bid)), prepaid(&Msg::ImproveBid(by, improve)));
    let start = prepaid(&Msg::ConfirmStart(by, msgs::ConfirmStart { order }));
    let terms = opened().order(1).terms;
    let prepaid_order = |rounds| {
        let terms = crate::types::Terms { rounds, ..terms.clone() };
        let created = msgs::CreateOrder { terms, default_weights: true, deposit: kernel::Amount::ZERO };
        prepaid(&Msg::CreateOrder(by, created))
    };
    let created = prepaid_order(1);
    assert_eq!(improve * 8, bid);

    let refund = prepaid(&Msg::TopUp(by, msgs::TopUp { order, amount: kernel::Amount::ZERO }));

    let (world, decided) = due_gas(largest_auction().blocks(10), 0);
    world.state(1, "starting 1");
    println!("the largest decision: {decided}");
    assert!(decided <= u64::from(BIDS_LIMIT) * bid + created / 2);
    assert!(decided < kernel::queue::ITEM_GAS * 9 / 10);

    let twice = || World::new().order_with(two_rounds).by("tom").ok();
    let world = twice().bid(1, "ada", TWO_AN_HOUR / 2).by("ada").ok();
    let (world, one) = due_gas(world.blocks(10), 0);
    let (world, no_start) = due_gas(world.after(540), 60);
    let world = world.state(1, "open 2");
    let (world, expiry) = due_gas(world.after(3_540), 60);
    let world = world.state(1, "closed 2: Expired");
    let (world, prune) = due_gas(world.after(604_740), 60);
    world.state(1, "gone");
    println!("one bid {one}, no start {no_start}, expiry {expiry}, prune {prune}");
    assert!(one + no_start + expiry + prune <= bid + created);

    // Every further round is paid for too.
    let mut world = twice().bid(1, "ada", TWO_AN_HOUR).by("ada").ok();
    let mut due = 0;
    for (round, bidder) in [(1, "ada"), (2, "bob")] {
        if round > 1 {
            world = world.bid(1, bidder, TWO_AN_HOUR).by(bidder).ok();
        }
        let (next, decided) = due_gas(world.blocks(10), 0);
        let (next, no_start) = due_gas(next.after(540), 60);
        due += decided + no_start;
        world = next;
    }
    let (_, pruned) = due_gas(world.state(1, "closed 2: RoundsExhausted").after(604_740), 60);
    println!("two rounds {due}, prune {pruned}");
    let two_rounds = prepaid_order(2);
    assert!(due + pruned <= 2 * bid + two_rounds, "{due} + {pruned} <= 2 * {bid} + {two_rounds}");

    let mut world = opened();
    for n in 0..7 {
        let name = format!("depositor{n}");
        world.fund(&name);
        world = world.top_up(1, 1_000_000).by(&name).ok();
    }
    let (_, refunds) = due_gas(world.at("10:59"), 60);
    println!("seven refunds more: {}", refunds - expiry);
    assert!(refunds - expiry <= 7 * refund);

    let (world, low) = due_gas(active().at("12:29"), 60);
    let world = world.emits("EventLeaseLowFunds");
    let (world, dry) = due_gas(world.at("12:59"), 60);
    world.state(1, "closed 1: Underfunded");
    println!("low {low}, dry {dry}");
    assert!(low + dry <= start);
}
