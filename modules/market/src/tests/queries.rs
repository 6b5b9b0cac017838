//! Queries, as clients see them.

use kernel::{Status, StatusCode};
use prost::{Message, Name};
use proto::{
    cosmos::base::query::v1beta1::PageRequest,
    underbid::{escrow::v1 as escrow_pb, market::v1 as wire},
};

use super::{leases::at_ceiling_of, world::*};
use crate::{AUCTIONS, ORDERS, queries::ROUTES};

fn ask<Q: Message + Name, A: Message + Default>(world: &World, request: &Q) -> Result<A, Status> {
    let full = Q::full_name();
    let (package, name) = full.rsplit_once('.').unwrap();
    let method = name.strip_prefix("Query").unwrap().strip_suffix("Request").unwrap();
    let path = format!("/{package}.Query/{method}");
    let (_, handler) = ROUTES.iter().find(|(route, _)| *route == path).unwrap();
    handler(&world.ctx, &request.encode_to_vec()).map(|bytes| A::decode(bytes.as_slice()).unwrap())
}

fn order(world: &World, order_id: u64) -> wire::QueryOrderResponse {
    ask(world, &wire::QueryOrderRequest { order_id }).unwrap()
}

#[test]
fn an_order_shows_where_it_stands_and_what_is_next() {
    let world = bidding();
    let answer = order(&world, 1);
    let shown = answer.order.unwrap();
    assert_eq!((shown.state(), answer.queue), (wire::OrderState::Bidding, wire::DueQueue::Auctions.into()));
    assert_eq!(answer.next_due, world.height() + 12);
    assert_eq!((shown.bid_count, shown.best.unwrap().provider), (1, text("ada")));
    assert_eq!((shown.tenant, shown.zones), (text("tom"), vec!["de".to_string()]));
    let world = world.decided(1);
    let answer = order(&world, 1);
    assert_eq!((answer.queue, answer.next_due), (wire::DueQueue::Leases.into(), world.now() + 600));
    let world = world.close(1, wire::TenantReason::Done).by("tom").ok();
    let shown = order(&world, 1).order.unwrap();
    assert_eq!((shown.close_reason(), shown.closed_at), (wire::OrderCloseReason::Completed, world.now()));
    let missing = ask::<_, wire::QueryOrderResponse>(&world, &wire::QueryOrderRequest { order_id: 9 });
    assert_eq!(missing.unwrap_err().code, StatusCode::NotFound);
    assert!(ask::<_, wire::QueryOrderResponse>(&world, &wire::QueryOrderRequest { order_id: 0 }).is_err());
}

#[test]
fn orders_are_listed_by_state_class_and_tenant() {
    let world = bidding().order_with(|_| ()).by("tim").ok().order_with(|_| ()).by("tom").ok();
    let world = world.order_with(|_| ()).by("tom").ok().cancel(4).by("tom").ok();
    let list = |state: wire::OrderState, class_id: u32, tenant: &str| {
        let tenant = if tenant.is_empty() { String::new() } else { text(tenant) };
        let request = wire::QueryOrdersRequest { state: state.into(), class_id, tenant, pagination: None };
        let answer: wire::QueryOrdersResponse = ask(&world, &request).unwrap();
        answer.orders.iter().map(|order| order.id).collect::<Vec<_>>()
    };
    use wire::OrderState::{Bidding, Closed, Leased, Open, Unspecified};
    assert_eq!(list(Unspecified, 0, ""), [1, 2, 3, 4]);
    assert_eq!(list(Open, 0, ""), [2, 3]);
    assert_eq!(list(Open, 1, ""), [2, 3]);
    assert_eq!(list(Open, 2, ""), [0; 0]);
    assert_eq!(list(Unspecified, 2, ""), [0; 0]);
    assert_eq!(list(Bidding, 1, ""), [1]);
    assert_eq!(list(Leased, 0, ""), [0; 0]);
    assert_eq!(list(Unspecified, 0, "tom"), [1, 3, 4]);
    assert_eq!(list(Closed, 0, "tom"), [4]);
    let page = PageRequest { limit: 2, ..Default::default() };
    let request =
        wire::QueryOrdersRequest { state: Open.into(), pagination: Some(page), ..Default::default() };
    let answer: wire::QueryOrdersResponse = ask(&world, &request).unwrap();
    assert_eq!((answer.orders.len(), answer.pagination.unwrap().next_key.len()), (2, 0));
    let mut world = world;
    let other = provider::SetClass { class: class(2) };
    world.run_provider(provider::Msg::SetClass(who("authority"), other), "authority");
    let world = world.order_with(|o| o.class_id = 2).by("tim").ok().order_with(|_| ()).by("tim").ok();
    let mut world = world.order_with(|o| o.class_id = 2).by("tim").ok();
    let page = PageRequest { limit: 1, count_total: true, ..Default::default() };
    let of_class =
        wire::QueryOrdersRequest { class_id: 2, pagination: Some(page.clone()), ..Default::default() };
    let first: wire::QueryOrdersResponse = ask(&world, &of_class).unwrap();
    let pagination = first.pagination.unwrap();
    assert_eq!((first.orders.len(), first.orders[0].id, pagination.total), (1, 5, 2));
    let page = PageRequest { key: pagination.next_key, ..page };
    let of_class = wire::QueryOrdersRequest { pagination: Some(page), ..of_class };
    let last: wire::QueryOrdersResponse = ask(&world, &of_class).unwrap();
    assert_eq!((last.orders[0].id, last.pagination.unwrap().next_key.len()), (7, 0));
    world.block(0);
    let bad = wire::QueryOrdersRequest { state: 9, ..Default::default() };
    assert!(ask::<_, wire::QueryOrdersResponse>(&world, &bad).is_err());
}

#[test]
fn bids_are_listed_by_order_and_by_provider() {
    let world = bidding().bid(1, "bob", TWO_AN_HOUR).by("bob").ok();
    let world = world.order_with(|_| ()).by("tim").ok().bid(2, "bob", TWO_AN_HOUR / 3).by("bob").ok();
    let of_order: wire::QueryBidsResponse =
        ask(&world, &wire::QueryBidsRequest { order_id: 1, pagination: None }).unwrap();
    let mut providers: Vec<_> = of_order.bids.iter().map(|bid| bid.provider.clone()).collect();
    providers.sort();
    let mut expected = vec![text("ada"), text("bob")];
    expected.sort();
    assert_eq!(providers, expected);
    let request = wire::QueryBidsByProviderRequest { provider: text("bob"), pagination: None };
    let of_provider: wire::QueryBidsByProviderResponse = ask(&world, &request).unwrap();
    assert_eq!(of_provider.bids.iter().map(|bid| bid.order_id).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(of_provider.bids[1].unit_rate, (TWO_AN_HOUR / 3).to_string());
}

fn quote(world: &World, provider: &str, unit_rate: u128) -> wire::QueryQuoteBidResponse {
    let request = wire::QueryQuoteBidRequest {
        order_id: 1,
        provider: text(provider),
        zone: ZONE.into(),
        unit_rate: unit_rate.to_string(),
        reclaim_s: 0,
    };
    ask(world, &request).unwrap()
}

#[test]
fn a_quote_is_what_the_bid_then_is() {
    let world = bidding();
    let quoted = quote(&world, "bob", TWO_AN_HOUR / 3);
    assert_eq!((quoted.rank, quoted.leads, quoted.refusal.clone()), (1, true, None));
    let (world, placed): (_, wire::MsgCreateBidResponse) =
        world.bid(1, "bob", TWO_AN_HOUR / 3).by("bob").answer();
    assert_eq!(
        (quoted.eff, quoted.multiplier_ppm, quoted.lock, quoted.bond, quoted.leads),
        (placed.eff, placed.multiplier_ppm, placed.lock, placed.bond, placed.leads)
    );
    let quoted = quote(&world, "eve", TWO_AN_HOUR / 2);
    assert_eq!((quoted.rank, quoted.leads), (3, false), "of equal prices the earlier is first");
    // Where there is a bid, the quote is for its improvement.
    let quoted = quote(&world, "ada", TWO_AN_HOUR / 4);
    assert_eq!((quoted.rank, quoted.refusal.clone()), (1, None));
    let (_, improved): (_, wire::MsgImproveBidResponse) =
        world.improve(1, "ada", TWO_AN_HOUR / 4).by("ada").answer();
    assert_eq!((quoted.eff, quoted.lock), (improved.eff, improved.lock));
}

#[test]
fn a_quote_names_the_guard_that_refuses() {
    let world = bidding();
    let refusal = |world: &World, provider: &str, rate: u128| {
        let refusal = quote(world, provider, rate).refusal.unwrap();
        (refusal.codespace, refusal.code)
    };
    let market = |code: u32| ("market".to_string(), code);
    assert_eq!(refusal(&world, "bob", TWO_AN_HOUR + 1), market(3));
    assert_eq!(refusal(&world, "ada", TWO_AN_HOUR), market(27));
    let world = world.blocks(8);
    assert_eq!(refusal(&world, "bob", TWO_AN_HOUR), market(23));
    let world = world.decided(1);
    assert_eq!(refusal(&world, "bob", TWO_AN_HOUR), market(16));
    let missing = wire::QueryQuoteBidRequest { order_id: 1, provider: text("tom"), ..Default::default() };
    assert_eq!(
        ask::<_, wire::QueryQuoteBidResponse>(&world, &missing).unwrap_err().code,
        StatusCode::NotFound
    );
}

#[test]
fn a_quote_is_for_the_next_block() {
    let code = |refusal: Option<wire::Refusal>| refusal.map(|refusal| (refusal.codespace, refusal.code));
    let quoted = |world: &World, provider: &str, rate| code(quote(world, provider, rate).refusal);
    let ending = ("market", 23);
    let closed = ("market", 16);
    // So many blocks before the close; its last five are the ending.
    for (before, expected) in [(7, None), (6, Some(ending)), (2, Some(ending)), (1, Some(closed))] {
        let world = bidding().blocks(12 - before);
        let answer = quoted(&world, "bob", TWO_AN_HOUR);
        assert_eq!(answer, expected.map(|(module, code)| (module.to_string(), code)), "{before}");
        let bid = world.blocks(1).bid(1, "bob", TWO_AN_HOUR).by("bob");
        match expected {
            None => drop(bid.ok()),
            Some(refusal) => drop(bid.fails(refusal)),
        }
    }
    // An improvement too.
    let lower = TWO_AN_HOUR / 4;
    assert_eq!(quoted(&bidding().blocks(10), "ada", lower), None);
    assert_eq!(quoted(&bidding().blocks(11), "ada", lower), Some(("market".to_string(), 16)));
    // An order that has expired and waits for its queue.
    assert_eq!(quoted(&opened().queues_late(3_599), "bob", lower), None);
    assert_eq!(quoted(&opened().queues_late(3_600), "bob", lower), Some(("market".to_string(), 16)));
}

#[test]
fn leases_are_listed_live_ones_first() {
    let world = active();
    let (mut world, mut ids) = (world, Vec::new());
    for _ in 0..3 {
        let (next, id) = world.order_with(|_| ()).by("tom").created();
        world = next
            .bid(id, "bob", TWO_AN_HOUR)
            .by("bob")
            .ok()
            .decided(id)
            .close(id, wire::TenantReason::Done)
            .by("tom")
            .ok();
        ids.push(id);
    }
    let list = |request: wire::QueryLeasesRequest| {
        let answer: wire::QueryLeasesResponse = ask(&world, &request).unwrap();
        let next = answer.pagination.unwrap().next_key;
        (answer.leases.iter().map(|lease| (lease.order_id, lease.state)).collect::<Vec<_>>(), next)
    };
    let of_tom = |live, limit, key| wire::QueryLeasesRequest {
        tenant: text("tom"),
        live,
        pagination: Some(PageRequest { limit, key, ..Default::default() }),
        ..Default::default()
    };
    let all = vec![(1, 2), (2, 4), (3, 4), (4, 4)];
    assert_eq!(list(of_tom(false, 10, Vec::new())), (all.clone(), Vec::new()));
    assert_eq!(list(of_tom(true, 10, Vec::new())).0, [(1, 2)]);
    for limit in 1..4 {
        let (mut paged, mut key) = (Vec::new(), Vec::new());
        loop {
            let (leases, next) = list(of_tom(false, limit, key));
            paged.extend(leases);
            key = next;
            if key.is_empty() {
                break;
            }
        }
        assert_eq!(paged, all, "pages of {limit}");
    }
    let of_bob = wire::QueryLeasesRequest { provider: text("bob"), ..Default::default() };
    assert_eq!(list(of_bob).0, [(2, 4), (3, 4), (4, 4)]);
    assert!(ask::<_, wire::QueryLeasesResponse>(&world, &wire::QueryLeasesRequest::default()).is_err());
}

#[test]
fn a_lease_and_its_award_are_found_by_round_or_the_last() {
    let world = starting_of_two();
    let lease = |world: &World, round| {
        let answer: wire::QueryLeaseResponse =
            ask(world, &wire::QueryLeaseRequest { order_id: 1, round }).unwrap();
        answer.lease.unwrap()
    };
    assert_eq!(
        (lease(&world, 0).state(), lease(&world, 0).start_deadline),
        (wire::LeaseState::Starting, world.now() + 600)
    );
    let world = world.after(600).bid(1, "bob", TWO_AN_HOUR).by("bob").ok();
    // The second round has no lease yet: the last is the first's.
    assert_eq!(lease(&world, 0).close_reason(), wire::LeaseCloseReason::NoStart);
    let world = world.decided(1);
    assert_eq!((lease(&world, 0).round, lease(&world, 0).provider), (2, text("bob")));
    assert_eq!((lease(&world, 1).round, lease(&world, 1).provider), (1, text("ada")));
    let award: wire::QueryAwardResponse =
        ask(&world, &wire::QueryAwardRequest { order_id: 1, round: 0 }).unwrap();
    assert_eq!((award.award.clone().unwrap().round, award.award.unwrap().rows.len()), (2, 1));
    let none = ask::<_, wire::QueryAwardResponse>(&world, &wire::QueryAwardRequest { order_id: 1, round: 3 });
    assert_eq!(none.unwrap_err().code, StatusCode::NotFound);
}

#[test]
fn an_account_shows_what_is_owed_now() {
    let world = active().at("10:30");
    let request = escrow_pb::QueryAccountRequest { order_id: 1 };
    let account: escrow_pb::QueryAccountResponse = ask(&world, &request).unwrap();
    assert_eq!((account.owed.as_str(), account.balance.as_str()), ("3999999", "20000001"));
    assert_eq!((account.low_at, account.dry_at), (Some(clock("12:30")), Some(clock("13:00"))));
    assert_eq!(account.refunds[0].amount, "20000001");
    // What closing gives back is less while the lease has not paid its first minutes.
    for world in [active().at("10:01"), starting()] {
        let account: escrow_pb::QueryAccountResponse = ask(&world, &request).unwrap();
        let (_, closed): (_, wire::MsgCloseLeaseResponse) =
            world.close(1, wire::TenantReason::Done).by("tom").answer();
        assert_eq!((account.refunds[0].amount.as_str(), closed.refunded.as_str()), ("23333334", "23333334"));
    }
    let params: wire::QueryParamsResponse = ask(&world, &wire::QueryParamsRequest {}).unwrap();
    assert_eq!(params.params.unwrap().bids_max, 32);
}

#[test]
fn nothing_is_owed_for_the_time_after_an_end_that_waits_for_its_queue() {
    let account = |world: &World| -> escrow_pb::QueryAccountResponse {
        ask(world, &escrow_pb::QueryAccountRequest { order_id: 1 }).unwrap()
    };
    let world = at_ceiling_of(|o| o.duration_s = 1_800).queues_late(3_600);
    let shown = account(&world);
    assert_eq!((shown.as_of, shown.owed.as_str()), (clock("10:30"), "7999999"));
    let world = world.after(1).state(1, "closed 1: Completed");
    assert_eq!(account(&world).balance, "0");
    assert_eq!(world.credit("tom"), u128::from(PURSE - FEE) - 7_999_999);

    // Nor is who waited for a start in vain charged for its first minutes.
    let world = starting().queues_late(600);
    let shown = account(&world);
    let before = world.credit("tom");
    let world = world.after(1).state(1, "closed 1: RoundsExhausted");
    assert!(world.credit("tom") >= before + shown.refunds[0].amount.parse::<u128>().unwrap());
    assert_eq!(shown.refunds[0].amount, shown.balance);
}

#[test]
fn an_auction_on_hold_is_listed_and_keeps_its_seed() {
    let mut world = bidding();
    let close = AUCTIONS.get(&world.ctx, &1).unwrap().unwrap().close_height;
    world = world.blocks(11);
    // The decision is refused: its height's seed is not there when the block comes to it.
    let height = world.height() + 1;
    world.ctx.block.height = kernel::At::new(height);
    kernel::chain::begin_block(&mut world.ctx, b"hash").unwrap();
    let seed = kernel::chain::SEEDS.get(&world.ctx, &close).unwrap().unwrap();
    kernel::chain::SEEDS.remove(&mut world.ctx, &close).unwrap();
    crate::block::begin_block(&mut world.ctx).unwrap();
    kernel::chain::SEEDS.set(&mut world.ctx, &close, &seed).unwrap();
    let held: wire::QueryHeldResponse = ask(&world, &wire::QueryHeldRequest::default()).unwrap();
    assert_eq!((held.orders.len(), held.orders[0].queue()), (1, wire::DueQueue::Auctions));
    assert_eq!(held.orders[0].hold.as_ref().unwrap().retry_at, height + 10);
    assert_eq!(order(&world, 1).queue, i32::from(wire::DueQueue::Unspecified));
    // Nine blocks on it is still held, its seed still kept; the tenth retries it.
    let world = world.blocks(9).state(1, "bidding 1").blocks(1).state(1, "starting 1");
    let held: wire::QueryHeldResponse = ask(&world, &wire::QueryHeldRequest::default()).unwrap();
    assert!(held.orders.is_empty());
    assert!(ORDERS.get(&world.ctx, &1).unwrap().unwrap().hold.is_none());
}
