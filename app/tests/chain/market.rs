//! The way of a market through the whole application: what each side gets, what a bid costs, and what a pause stops.

use kernel::chain;
use proto::underbid::{
    escrow::v1::{QueryAccountRequest, QueryAccountResponse},
    kernel::v1::{QueryPausedRequest, QueryPausedResponse},
    market::v1::{
        LeaseState, MsgCloseLease, MsgCloseLeaseResponse, MsgConfirmStart, MsgConfirmStartResponse,
        MsgCreateBid, MsgCreateBidResponse, MsgCreateOrder, MsgCreateOrderResponse, MsgSettle,
        MsgSettleResponse, MsgTopUp, MsgTopUpResponse, OrderState, QueryAwardRequest, QueryAwardResponse,
        QueryLeaseRequest, QueryLeaseResponse, QueryOrderRequest, QueryOrderResponse, TenantReason,
    },
    provider::v1::{
        MsgRegisterProvider, MsgRegisterProviderResponse, MsgSetCapacity, MsgSetCapacityResponse,
        QueryProviderRequest, QueryProviderResponse,
    },
};
use underbid::execute::execute;

use sim::*;

const ZONE: &str = "de/he/fra";
/// 100 ucredit a second for one unit, times 10^18.
const HUNDRED_A_SECOND: u128 = 100_000_000_000_000_000_000;
const WINDOW_BLOCKS: u32 = 12;

/// A chain on which `ada` and `eve` offer 16 units each.
pub fn with_providers() -> TestChain {
    let mut chain = TestChain::new();
    for name in ["ada", "eve"] {
        let register = MsgRegisterProvider {
            owner: text(name),
            endpoints: vec![format!("https://{name}.example")],
            encryption_key: vec![1; 32],
            operators: vec![],
            stake: "20000000000".into(),
        };
        chain.ok::<_, MsgRegisterProviderResponse>(name, &register);
        let capacity = MsgSetCapacity {
            signer: text(name),
            provider: text(name),
            class_id: 1,
            zone: ZONE.into(),
            total: 16,
        };
        chain.ok::<_, MsgSetCapacityResponse>(name, &capacity);
    }
    chain
}

fn order() -> MsgCreateOrder {
    MsgCreateOrder {
        tenant: text("tom"),
        class_id: 1,
        count: 2,
        zones: vec!["de".into()],
        max_unit_rate: HUNDRED_A_SECOND.to_string(),
        window_blocks: WINDOW_BLOCKS,
        ttl_s: 60,
        start_timeout_s: 30,
        reclaim_min_s: 10,
        manifest_hash: vec![7; 32],
        rounds: 1,
        deposit: "1000000".into(),
        ..Default::default()
    }
}

fn bid(by: &str, order_id: u64, unit_rate: u128) -> MsgCreateBid {
    MsgCreateBid {
        signer: text(by),
        provider: text(by),
        order_id,
        zone: ZONE.into(),
        unit_rate: unit_rate.to_string(),
        reclaim_s: 10,
    }
}

/// An order with two bids, of which `ada`'s is far the better.
pub fn order_with_bids(chain: &mut TestChain) -> u64 {
    let created: MsgCreateOrderResponse = chain.ok("tom", &order());
    let first: MsgCreateBidResponse = chain.ok("eve", &bid("eve", created.order_id, HUNDRED_A_SECOND));
    assert!(first.leads);
    let second: MsgCreateBidResponse = chain.ok("ada", &bid("ada", created.order_id, HUNDRED_A_SECOND / 2));
    assert!(second.leads);
    created.order_id
}

/// A lease of `tom` that `ada` has just started.
pub fn active_lease(chain: &mut TestChain) -> u64 {
    let order = order_with_bids(chain);
    chain.blocks(u64::from(WINDOW_BLOCKS));
    chain.ok::<_, MsgConfirmStartResponse>("ada", &MsgConfirmStart { signer: text("ada"), order_id: order });
    order
}

pub fn state_of(chain: &TestChain, order_id: u64) -> OrderState {
    let request = QueryOrderRequest { order_id };
    let response: QueryOrderResponse = chain.query("/underbid.market.v1.Query/Order", &request).unwrap();
    response.order.unwrap().state()
}

fn close(order_id: u64) -> MsgCloseLease {
    MsgCloseLease { tenant: text("tom"), order_id, reason: TenantReason::Done.into() }
}

fn amount(text: &str) -> u128 {
    text.parse().unwrap()
}

#[test]
fn a_market_from_order_to_refund() {
    let mut chain = with_providers();
    let before = ["tom", "ada", "eve"].map(|name| chain.credit(&address(name)));
    let order = order_with_bids(&mut chain);
    assert_eq!(state_of(&chain, order), OrderState::Bidding);
    chain.blocks(u64::from(WINDOW_BLOCKS));

    let award: QueryAwardResponse = chain
        .query("/underbid.market.v1.Query/Award", &QueryAwardRequest { order_id: order, round: 0 })
        .unwrap();
    let award = award.award.unwrap();
    assert_eq!((award.winner, award.bidders), (text("ada"), 2));
    assert_eq!(state_of(&chain, order), OrderState::Leased);
    let info = |chain: &TestChain, name: &str| {
        let request = QueryProviderRequest { provider: text(name) };
        let response: QueryProviderResponse =
            chain.query("/underbid.provider.v1.Query/Provider", &request).unwrap();
        response.info.unwrap().provider.unwrap()
    };
    assert_eq!(info(&chain, "eve").stake_locked, "0", "the loser's stake is free");
    assert_ne!(info(&chain, "ada").stake_locked, "0");

    let started: MsgConfirmStartResponse =
        chain.ok("ada", &MsgConfirmStart { signer: text("ada"), order_id: order });
    assert_eq!(started.started_at, chain.time_s);
    chain.ok::<_, MsgTopUpResponse>(
        "tim",
        &MsgTopUp { signer: text("tim"), order_id: order, amount: "50000".into() },
    );
    chain.blocks(8);
    let settled: MsgSettleResponse = chain.ok("eve", &MsgSettle { signer: text("eve"), order_id: order });
    // Two units at 50 ucredit a second.
    assert_eq!(amount(&settled.paid), u128::from(chain.time_s - started.started_at) * 100);
    let account: QueryAccountResponse =
        chain.query("/underbid.escrow.v1.Query/Account", &QueryAccountRequest { order_id: order }).unwrap();
    assert_eq!(amount(&account.balance), 1_050_000 - amount(&settled.paid));

    chain.blocks(3);
    let closed: MsgCloseLeaseResponse = chain.ok("tom", &close(order));
    let gross = u128::from(chain.time_s - started.started_at) * 100;
    let fee = gross * 20_000 / 1_000_000;
    assert_eq!((amount(&closed.gross), amount(&closed.fee), amount(&closed.fined)), (gross, fee, 0));
    assert_eq!(closed.order_state(), OrderState::Closed);
    let after = ["tom", "ada", "eve"].map(|name| chain.credit(&address(name)));
    assert_eq!(before[0] - after[0], gross + 2_400, "the tenant paid the lease and the order's fee");
    assert_eq!(after[1] - before[1], gross - fee);
    assert_eq!(after[2], before[2]);
    assert_eq!(chain.credit(&address("tim")), u128::from(PURSE), "what was not used went back");
    assert_eq!(info(&chain, "ada").stake_locked, "0");
    let lease: QueryLeaseResponse = chain
        .query("/underbid.market.v1.Query/Lease", &QueryLeaseRequest { order_id: order, round: 0 })
        .unwrap();
    assert_eq!(lease.lease.unwrap().state(), LeaseState::Closed);
}

#[test]
fn a_tenant_may_do_it_all_in_one_transaction_or_nothing() {
    let mut chain = with_providers();
    let second = MsgCreateOrder { class_id: 99, ..order() };
    let before = chain.credit(&address("tom"));
    let result = chain.run(chain.sign(&draft([&order(), &second]), &["tom"]));
    assert_ne!(result.code, 0);
    assert_eq!(chain.credit(&address("tom")), before);
    assert_eq!(chain.export()["market"]["orders"], serde_json::json!([]));
}

#[test]
fn what_a_bid_reads_and_writes_is_pinned() {
    let mut chain = with_providers();
    let created: MsgCreateOrderResponse = chain.ok("tom", &order());
    chain.ok::<_, MsgCreateBidResponse>("eve", &bid("eve", created.order_id, HUNDRED_A_SECOND));
    let tx = chain.sign(&draft([&bid("ada", created.order_id, HUNDRED_A_SECOND / 2)]), &["ada"]);
    let app = chain.app();
    let counters = |txs: &[Vec<u8>]| {
        let checks = app.signatures().checks();
        let block = chain.raw_block(txs);
        let candidate =
            execute(&app.committed().base, app.store().as_ref(), &block, app.signatures()).unwrap();
        assert!(candidate.tx_results.iter().all(|result| result.code == 0));
        (candidate.counters, app.signatures().checks() - checks, candidate.gas_used)
    };
    let (without, _, _) = counters(&[]);
    let (with, checks, gas) = counters(&[tx]);
    let found = [
        ("reads", with.reads - without.reads),
        ("view reads", with.view_reads - without.view_reads),
        ("writes", with.writes - without.writes),
        ("derived", with.derived - without.derived),
        ("scans", with.scans - without.scans),
        ("signature checks", checks),
        ("gas", gas),
    ];
    assert_eq!(found.map(|(_, count)| count), [27, 12, 12, 1, 0, 1, 93_937], "{found:?}");
}

#[test]
fn a_paused_module_refuses_its_messages_and_nothing_else() {
    let mut chain = with_providers();
    let order = active_lease(&mut chain);
    chain.tamper(|ctx| chain::pause(ctx, "market", "a test").unwrap());
    let held = chain.credit(&escrow::module_account());
    let settle = MsgSettle { signer: text("tim"), order_id: order };
    let result = chain.run(chain.sign(&draft([&settle]), &["tim"]));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 18));
    assert!(result.log.contains("market is paused: a test"), "{}", result.log);
    assert_eq!(chain.run(chain.sign(&draft([&send("tim", "bob", 5)]), &["tim"])).code, 0);
    // Long after the money would have run out nothing has moved.
    chain.blocks(30);
    assert_eq!(chain.credit(&escrow::module_account()), held);
    let paused: QueryPausedResponse =
        chain.query("/underbid.kernel.v1.Query/Paused", &QueryPausedRequest::default()).unwrap();
    assert_eq!(paused.paused.iter().map(|pause| pause.target.as_str()).collect::<Vec<_>>(), ["market"]);
}

#[test]
fn a_paused_message_type_is_refused_alone() {
    let mut chain = with_providers();
    chain.tamper(|ctx| chain::pause(ctx, "/underbid.market.v1.MsgCreateOrder", "a test").unwrap());
    let result = chain.run(chain.sign(&draft([&order()]), &["tom"]));
    assert_eq!((result.codespace.as_str(), result.code), ("sdk", 18));
    assert_eq!(chain.run(chain.sign(&draft([&send("tom", "bob", 5)]), &["tom"])).code, 0);
}

#[test]
fn a_broken_escrow_stops_all_that_moves_its_money_in_the_same_block() {
    let mut chain = with_providers();
    let order = active_lease(&mut chain);
    let five = kernel::Amount::from(5);
    chain.tamper(|ctx| {
        bank::transfer(ctx, address("alice"), escrow::module_account(), &bank::ucredit(), five).unwrap();
    });
    let said = |done: &Done| {
        done.events.iter().filter(|event| event.kind == "underbid.kernel.v1.EventModulePaused").count()
    };
    let done = chain.apply(&chain.raw_block(&[]));
    assert_eq!(said(&done), 2, "{done:?}");
    let held = chain.credit(&escrow::module_account());
    let first: Vec<_> = paused(&chain);
    assert_eq!(first.iter().map(|(target, _)| target.as_str()).collect::<Vec<_>>(), ["escrow", "market"]);
    assert_eq!(first[0].1, chain.height);

    // The lease's money stays; what has nothing to do with it goes on.
    let closing = chain.sign(&draft([&close(order)]), &["tom"]);
    let sending = chain.sign(&draft([&send("tim", "bob", 5)]), &["tim"]);
    let done = chain.apply(&chain.raw_block(&[closing, sending]));
    assert_eq!(done.results.iter().map(|result| result.code).collect::<Vec<_>>(), [18, 0]);
    assert_eq!(said(&done), 0, "it is said once: {:?}", done.events);
    assert_eq!(chain.credit(&escrow::module_account()), held);
    assert_eq!(paused(&chain), first);
}

fn paused(chain: &TestChain) -> Vec<(String, u64)> {
    let response: QueryPausedResponse =
        chain.query("/underbid.kernel.v1.Query/Paused", &QueryPausedRequest::default()).unwrap();
    response.paused.into_iter().map(|pause| (pause.target, pause.height)).collect()
}
