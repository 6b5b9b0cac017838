//! The command line's shape, and results as people see them.

use prost::{Message, Name};
use proto::{
    cosmos::{
        bank::v1beta1::QueryAllBalancesResponse,
        base::{query::v1beta1::PageResponse, v1beta1::Coin},
    },
    underbid::market::v1::{
        Best, Lease, MsgConfirmStartResponse, Order, QueryLeaseResponse, QueryOrdersResponse,
    },
};

use super::*;
use crate::client::{rpc, tx::any};

fn reflection() -> Reflection {
    Reflection::new().unwrap()
}

fn shown<M: Message + Name>(message: &M) -> String {
    let reflection = reflection();
    let descriptor = reflection.message(&M::full_name()).unwrap();
    output::message(&reflection, &reflection.decode(&descriptor, &message.encode_to_vec()).unwrap())
}

#[test]
fn every_command_is_well_formed() {
    command(&reflection()).debug_assert();
}

#[test]
fn a_list_is_a_table_with_what_people_look_for() {
    let order = Order {
        id: 5,
        tenant: "underbid1tenant".into(),
        class_id: 1,
        count: 8,
        state: 2,
        max_unit_rate: "555555555555555555555".into(),
        best: Some(Best { eff: "641666666666666666666025000".into(), provider: "underbid1provider".into() }),
        bid_count: 2,
        ..Order::default()
    };
    let orders = vec![order.clone(), Order { id: 6, best: None, ..order }];
    let pagination = Some(PageResponse { next_key: vec![0, 7], total: 12 });
    let expected = "\
ID  STATE    CLASS ID  COUNT  MAX UNIT RATE  BEST                             BID COUNT  ROUND  CLOSE HEIGHT  TENANT
5   bidding  1         8      2 CREDIT/h     2.31 CREDIT/h underbid1provider  2          0      0             underbid1tenant
6   bidding  1         8      2 CREDIT/h     -                                2          0      0             underbid1tenant
total 12
more with --page-key 0007";
    assert_eq!(shown(&QueryOrdersResponse { orders, pagination }), expected);
    assert_eq!(shown(&QueryOrdersResponse::default()), "orders: none");
}

#[test]
fn one_thing_is_shown_field_by_field_in_both_forms() {
    let lease = Lease {
        order_id: 5,
        state: 3,
        reclaim_s: 5_400,
        lock: "5376000000".into(),
        rate: "4444444444444444444440".into(),
        ..Lease::default()
    };
    let text = shown(&QueryLeaseResponse { lease: Some(lease) });
    for line in [
        "order_id          5",
        "state             reclaiming",
        "reclaim_s         5400 (1h 30m)",
        "lock              5376000000 (5376 FLOP)",
        "rate              4444444444444444444440 (16 CREDIT/h)",
        "low_funds         false",
        "close_reason      -",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} in\n{text}");
    }
    let coin = |amount: &str, denom: &str| Coin { amount: amount.into(), denom: denom.into() };
    let balances = vec![coin("1500000", "uflop"), coin("7", "other")];
    let balances = QueryAllBalancesResponse { balances, pagination: None };
    assert_eq!(shown(&balances), "balances  1500000uflop (1.5 FLOP), 7other");
}

#[test]
fn a_transaction_shows_its_responses_and_our_events() {
    let response = MsgConfirmStartResponse { started_at: 10, end_at: 0, dry_at: 5_410 };
    let event = |kind: &str| rpc::Event {
        kind: kind.into(),
        attributes: vec![rpc::Attribute { key: "order_id".into(), value: "\"5\"".into() }],
    };
    let events = [event("transfer"), event("underbid.market.v1.EventLeaseStarted")];
    let expected = "

underbid.market.v1.MsgConfirmStartResponse
  started_at  10
  end_at      0
  dry_at      5410

events
  underbid.market.v1.EventLeaseStarted order_id=5";
    assert_eq!(output::effects(&reflection(), &[any(&response)], &events), expected);
    let unknown = prost_types::Any { type_url: "/x.Y".into(), value: vec![1] };
    assert_eq!(output::message_json(&reflection(), &unknown)["value"], "01");
    assert_eq!(output::message_json(&reflection(), &any(&response))["dry_at"], "5410");
}
