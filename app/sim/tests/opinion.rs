//! Short histories of everything that the market does, with the second opinion and the ledger beside the chain.

use prost_types::Any;
use proto::{
    cosmos::bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output},
    underbid::{
        bank::v1::MsgBurn,
        escrow::v1 as escrow,
        market::v1::{self as market, *},
        provider::v1::{
            self as supply, Class, MsgAddStake, MsgExitProvider, MsgRegisterProvider, MsgSetCapacity,
            MsgSetClass, MsgSetOperators, MsgUnstake, MsgUpdateProvider,
        },
    },
};
use serde_json::{Value, json};
use sim::*;
use underbid::client::tx::any;

const ZONE: &str = "de/he/fra";
/// 100 ucredit a second, with a fraction of one.
const RATE: u128 = 100_300_000_000_000_000_007;
const WINDOW_BLOCKS: u64 = 12;

/// A chain with the opinion beside it: whatever happens, both must agree.
struct Story {
    chain: TestChain,
    opinion: Opinion,
    /// The notice that bids promise.
    reclaim_s: u32,
}

impl Story {
    fn new(change: impl FnOnce(&mut Value)) -> Self {
        let mut state = genesis_state();
        let authority = json!(text("alice"));
        state["provider"]["params"]["authority"] = authority.clone();
        state["escrow"]["params"]["authority"] = authority;
        state["market"]["params"]["retention_s"] = json!(20);
        change(&mut state);
        let chain = TestChain::at_genesis(vec![Home::memory()], &state, 1, START_S).unwrap();
        let mut opinion = Opinion::every(1);
        opinion.genesis(&chain, &state).unwrap();
        let reclaim_s = state["market"]["params"]["reclaim_s_min"].as_u64().unwrap().max(6) as u32;
        let mut story = Self { chain, opinion, reclaim_s };
        story.wait(1);
        story
    }

    /// A chain on which ada and eve offer machines, and dave too with bob to act for him.
    fn with_providers(change: impl FnOnce(&mut Value)) -> Self {
        let mut story = Self::new(change);
        for name in ["ada", "eve", "dave"] {
            story.ok(name, register(name, if name == "dave" { &["bob"] } else { &[] }));
            story.ok(name, capacity(name, name, 16));
        }
        story
    }

    /// A block of transactions, `seconds` after the last one; the codes that they end with.
    fn block(&mut self, seconds: u64, txs: &[(&str, Vec<Any>)]) -> Vec<(String, u32)> {
        let mut block = self.chain.raw_block(&[]);
        block.time_s = self.chain.time_s + seconds;
        let mut sent = Vec::new();
        for (by, messages) in txs {
            let ahead = sent.iter().filter(|other| *other == by).count() as u64;
            block.txs.push(self.chain.sign_ahead(&draft_of(messages.clone()), &[by], ahead));
            sent.push(*by);
        }
        let done = self.chain.deliver(&block);
        self.opinion
            .block(&self.chain, &block, &done)
            .unwrap_or_else(|what| panic!("height {}: {what}", block.height));
        done.results.into_iter().map(|result| (result.codespace, result.code)).collect()
    }

    fn ok(&mut self, by: &str, message: Any) {
        let url = message.type_url.clone();
        assert_eq!(self.block(1, &[(by, vec![message])]), [(String::new(), 0)], "{url} of {by}");
    }

    fn refused(&mut self, by: &str, message: Any, codespace: &str, code: u32) {
        let url = message.type_url.clone();
        assert_eq!(self.block(1, &[(by, vec![message])]), [(codespace.to_owned(), code)], "{url} of {by}");
    }

    fn bid(&self, by: &str, order_id: u64, unit_rate: u128) -> Any {
        bid_with(by, by, order_id, unit_rate, self.reclaim_s)
    }

    fn wait(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.block(1, &[]);
        }
    }

    /// An order of tom with a lease of ada's that awaits its start.
    fn awarded(&mut self, change: impl FnOnce(&mut MsgCreateOrder)) -> u64 {
        let mut rate = 0;
        self.ok(
            "tom",
            order(|order| {
                change(order);
                rate = order.max_unit_rate.parse().unwrap();
            }),
        );
        let id = self.chain.export()["market"]["last_order"].as_u64().unwrap();
        self.ok("ada", self.bid("ada", id, rate / 2));
        self.ok("eve", self.bid("eve", id, rate));
        self.wait(WINDOW_BLOCKS);
        id
    }

    fn started(&mut self, change: impl FnOnce(&mut MsgCreateOrder)) -> u64 {
        let id = self.awarded(change);
        self.ok("ada", start("ada", id));
        id
    }

    fn params<R: prost::Message + Default>(&self, module: &str) -> R {
        self.chain
            .query(&format!("/underbid.{module}.v1.Query/Params"), &market::QueryParamsRequest {})
            .unwrap()
    }

    fn phase(&self, id: u64) -> String {
        let export = self.chain.export();
        let orders = export["market"]["orders"].as_array().unwrap();
        let order = orders.iter().find(|order| order["id"] == id).expect("the order is there");
        let phase = order["order"]["phase"].as_object().unwrap();
        let (name, body) = phase.iter().next().unwrap();
        match body["reason"].as_str() {
            Some(reason) => format!("{name} {reason}"),
            None => name.clone(),
        }
    }
}

fn register(name: &str, operators: &[&str]) -> Any {
    any(&MsgRegisterProvider {
        owner: text(name),
        endpoints: vec![format!("https://{name}.example")],
        encryption_key: vec![1; 32],
        operators: operators.iter().map(|name| text(name)).collect(),
        stake: "20000000000".into(),
    })
}

fn capacity(by: &str, provider: &str, total: u32) -> Any {
    any(&MsgSetCapacity { signer: text(by), provider: text(provider), class_id: 1, zone: ZONE.into(), total })
}

fn order(change: impl FnOnce(&mut MsgCreateOrder)) -> Any {
    let mut order = MsgCreateOrder {
        tenant: text("tom"),
        class_id: 1,
        count: 2,
        zones: vec!["de".into()],
        near: "de/be/ber".into(),
        max_unit_rate: RATE.to_string(),
        window_blocks: WINDOW_BLOCKS as u32,
        ttl_s: 60,
        start_timeout_s: 10,
        reclaim_min_s: 5,
        manifest_hash: vec![7; 32],
        rounds: 2,
        deposit: "10007".into(),
        ..Default::default()
    };
    change(&mut order);
    any(&order)
}

fn bid(by: &str, provider: &str, order_id: u64, unit_rate: u128) -> Any {
    bid_with(by, provider, order_id, unit_rate, 6)
}

fn bid_with(by: &str, provider: &str, order_id: u64, unit_rate: u128, reclaim_s: u32) -> Any {
    any(&MsgCreateBid {
        signer: text(by),
        provider: text(provider),
        order_id,
        zone: ZONE.into(),
        unit_rate: unit_rate.to_string(),
        reclaim_s,
    })
}

fn improve(by: &str, order_id: u64, unit_rate: u128) -> Any {
    any(&MsgImproveBid { signer: text(by), provider: text(by), order_id, unit_rate: unit_rate.to_string() })
}

fn start(by: &str, order_id: u64) -> Any {
    any(&MsgConfirmStart { signer: text(by), order_id })
}

fn top_up(by: &str, order_id: u64, amount: u64) -> Any {
    any(&MsgTopUp { signer: text(by), order_id, amount: amount.to_string() })
}

fn close(order_id: u64, reason: TenantReason) -> Any {
    any(&MsgCloseLease { tenant: text("tom"), order_id, reason: reason.into() })
}

fn settle(by: &str, order_id: u64) -> Any {
    any(&MsgSettle { signer: text(by), order_id })
}

fn reclaim(by: &str, order_id: u64) -> Any {
    any(&MsgReclaimLease { signer: text(by), order_id })
}

fn abandon(by: &str, order_id: u64) -> Any {
    any(&MsgAbandonLease { owner: text(by), order_id })
}

#[test]
fn money_of_people() {
    let mut story = Story::new(|_| {});
    story.ok("tom", any_send("tom", "tim", 5));
    story.ok("tom", any_send("tom", "tom", 5));
    story.refused("tom", any_send("tom", "tim", PURSE), "sdk", 5);
    let credit = MsgSend { amount: vec![coin("ucredit", 1)], ..send("tom", "tim", 1) };
    story.refused("tom", any(&credit), "bank", 5);
    let pool = kernel::Address::of_module("stake_pool").to_string();
    story.refused("tom", any(&MsgSend { to_address: pool, ..send("tom", "tim", 1) }), "sdk", 4);
    let many = MsgMultiSend {
        inputs: vec![Input { address: text("tom"), coins: vec![coin("uflop", 5)] }],
        outputs: vec![
            Output { address: text("tim"), coins: vec![coin("uflop", 2)] },
            Output { address: text("eve"), coins: vec![coin("uflop", 3)] },
        ],
    };
    story.ok("tom", any(&many));
    story.ok("tom", any(&MsgBurn { from_address: text("tom"), amount: vec![coin("uflop", 7)] }));
    // The second message of the second transaction fails: the first one of it is undone, its fee is not.
    let (some, all) = (any_send("tom", "tim", 1), any_send("tom", "tim", PURSE));
    let codes = story.block(
        1,
        &[("tom", vec![some.clone()]), ("tom", vec![some, all]), ("poor", vec![any_send("poor", "tom", 1)])],
    );
    assert_eq!(codes.iter().map(|(_, code)| *code).collect::<Vec<_>>(), [0, 5, 5]);
}

#[test]
fn what_the_chain_leaves_out_is_found() {
    let mut story = Story::new(|_| {});
    let tx = story.chain.sign(&draft_of(vec![any_send("tom", "tim", 1); 2]), &["tom"]);
    let block = story.chain.raw_block(&[tx]);
    let mut done = story.chain.deliver(&block);
    done.results[0].replies.pop();
    let says = story.opinion.block(&story.chain, &block, &done).unwrap_err();
    assert!(says.contains("chain gives 1 answers, model 2"), "{says}");
    done.results.clear();
    let says = story.opinion.block(&story.chain, &block, &done).unwrap_err();
    assert_eq!(says, "1 transactions, 0 results");
}

#[test]
fn providers_come_and_go() {
    let mut story = Story::new(|state| state["provider"]["params"]["unbondings_max"] = json!(2));
    let class = |change: fn(&mut Class)| {
        let mut class = Class {
            id: 2,
            name: "two large GPUs".into(),
            vram_mib: 163_840,
            gpus: 2,
            vcpu_milli: 32_000,
            memory_mib: 262_144,
            disk_gib: 2_000,
            device_price_usd: 15_000,
            ref_price_day: "48000000".into(),
            active: true,
        };
        change(&mut class);
        any(&MsgSetClass { authority: text("alice"), class: Some(class) })
    };
    story.ok("alice", class(|_| {}));
    story.refused("ada", any(&MsgAddStake { owner: text("ada"), amount: "1".into() }), "provider", 8);
    story.ok("ada", register("ada", &["bob", "carol"]));
    story.refused("ada", register("ada", &[]), "provider", 4);
    story.ok("bob", register("bob", &[]));
    story.ok("ada", any(&MsgSetOperators { owner: text("ada"), operators: vec![text("bob")] }));
    story.ok("eve", register("eve", &["bob", "ada", "eve"]));
    let endpoints = |count: usize| {
        any(&MsgUpdateProvider {
            owner: text("ada"),
            endpoints: (0..count).map(|place| format!("https://{place}.example")).collect(),
            encryption_key: vec![2; 32],
        })
    };
    story.ok("ada", endpoints(2));
    story.refused("ada", endpoints(5), "provider", 19);
    story.refused("eve", capacity("eve", "ada", 3), "provider", 13);
    story.ok("bob", capacity("bob", "ada", 3));
    story.ok("bob", capacity("bob", "ada", 1));
    story.ok("bob", capacity("bob", "ada", 0));
    story.ok("bob", capacity("bob", "ada", 0));
    let large = |total| {
        any(&MsgSetCapacity {
            signer: text("ada"),
            provider: text("ada"),
            class_id: 2,
            zone: "fr/idf/par".into(),
            total,
        })
    };
    story.ok("ada", large(2));
    story.refused("ada", large(1_000_000), "provider", 11);
    story.ok("alice", class(|class| class.active = false));
    story.refused("ada", large(3), "provider", 15);
    story.ok("ada", large(1));
    story.ok("ada", any(&MsgAddStake { owner: text("ada"), amount: "1000000007".into() }));
    let unstake = |amount: u64| any(&MsgUnstake { owner: text("ada"), amount: amount.to_string() });
    story.refused("ada", unstake(20_000_000_000), "provider", 11);
    story.refused("ada", unstake(PURSE), "provider", 10);
    story.ok("ada", unstake(5));
    story.ok("ada", unstake(6));
    story.refused("ada", unstake(7), "provider", 12);
    story.ok("ada", any(&MsgExitProvider { owner: text("ada") }));
    story.refused("ada", any(&MsgExitProvider { owner: text("ada") }), "provider", 9);
    story.refused("ada", register("ada", &[]), "provider", 4);
    story.wait(6);
    story.ok("ada", register("ada", &["bob"]));
    story.block(1, &[("ada", vec![unstake(9), large(1)]), ("ada", vec![capacity("ada", "ada", 4)])]);
}

#[test]
fn an_auction_with_improvements_extensions_and_evictions() {
    let mut story = Story::with_providers(|state| state["market"]["params"]["bids_max"] = json!(2));
    story.refused("ada", bid("ada", "ada", 1, RATE), "market", 13);
    story.ok("tom", order(|_| {}));
    story.refused("bob", bid("bob", "ada", 1, RATE), "provider", 13);
    story.refused("ada", bid("ada", "ada", 1, RATE + 1), "market", 3);
    story.ok("bob", bid("bob", "dave", 1, RATE));
    story.refused("bob", bid("bob", "dave", 1, RATE), "market", 19);
    story.ok("eve", bid("eve", "eve", 1, RATE * 9 / 10));
    story.refused("ada", bid("ada", "ada", 1, RATE), "market", 25);
    story.ok("ada", bid("ada", "ada", 1, RATE * 89 / 100));
    story.refused("eve", improve("eve", 1, RATE * 9 / 10 - 1), "market", 27);
    story.ok("eve", improve("eve", 1, RATE * 8 / 10));
    story.wait(2);
    story.refused("ada", improve("ada", 1, RATE * 79 / 100 + 2_000_000_000_000_000_000), "market", 23);
    for step in 1..=5 {
        let by = if step % 2 == 0 { "eve" } else { "ada" };
        story.ok(by, improve(by, 1, RATE * 8 / 10 * (100 - 8 * step) / 100));
        story.wait(2);
    }
    story.wait(15);
    assert_eq!(story.phase(1), "leased");
    // Nobody starts: it is slashed, the order is open again, and whoever failed can't bid.
    story.wait(10);
    assert_eq!(story.phase(1), "open");
    story.refused("ada", bid("ada", "ada", 1, RATE), "market", 18);
    story.ok("eve", bid("eve", "eve", 1, RATE));
    story.wait(WINDOW_BLOCKS + 10);
    assert_eq!(story.phase(1), "closed rounds_exhausted");
    story.wait(21);
    assert_eq!(story.chain.export()["market"]["orders"], json!([]));
}

#[test]
fn of_equal_prices_the_earlier_leads() {
    let mut story = Story::with_providers(|_| {});
    story.ok("tom", order(|_| {}));
    for name in ["eve", "dave", "ada"] {
        story.ok(name, bid(name, name, 1, RATE / 2));
    }
    story.wait(WINDOW_BLOCKS + 1);
    assert_eq!(story.phase(1), "leased");
}

#[test]
fn orders_that_nobody_serves() {
    let mut story = Story::with_providers(|_| {});
    for (code, change) in [
        (2, (|order| order.count = 1_025) as fn(&mut MsgCreateOrder)),
        (3, |order| order.max_unit_rate = "1000000000000000000000001".into()),
        (5, |order| order.window_blocks = 11),
        (6, |order| order.ttl_s = 4),
        (7, |order| order.start_timeout_s = 61),
        (8, |order| order.reclaim_min_s = 2),
        (9, |order| order.duration_s = 4),
        (10, |order| order.weights = vec![500_001, 0, 0, 0, 0]),
        (11, |order| order.rounds = 5),
        (12, |order| order.deposit = "9999".into()),
    ] {
        story.refused("tom", order(change), "market", code);
    }
    story.ok("tom", order(|order| order.ttl_s = 5));
    story.ok("tom", order(|_| {}));
    story.ok("tim", top_up("tim", 2, 10_000));
    story.refused("tim", top_up("tim", 2, 9_999), "market", 12);
    let cancel = |by: &str| any(&MsgCancelOrder { tenant: text(by), order_id: 2 });
    story.refused("tim", cancel("tim"), "market", 14);
    story.ok("tom", cancel("tom"));
    story.refused("tom", cancel("tom"), "market", 15);
    story.wait(5);
    assert_eq!(story.phase(1), "closed expired");
    story.refused("tim", top_up("tim", 1, 10_000), "market", 30);
    story.wait(25);
}

#[test]
fn leases_that_end_as_they_should() {
    let mut story = Story::with_providers(|_| {});
    let first = story.started(|order| order.duration_s = 30);
    story.refused("ada", start("ada", first), "market", 29);
    story.wait(3);
    let codes = story.block(1, &[("tim", vec![settle("tim", first)]), ("tim", vec![settle("tim", first)])]);
    assert_eq!(codes.iter().map(|(_, code)| *code).collect::<Vec<_>>(), [0, 33]);
    for (by, amount) in [("tim", 10_000), ("tom", 10_001), ("tim", 10_003), ("bob", 17_777)] {
        story.ok(by, top_up(by, first, amount));
    }
    story.wait(40);
    assert_eq!(story.phase(first), "closed completed");

    let second = story.started(|_| {});
    story.wait(7);
    story.ok("tom", close(second, TenantReason::Done));
    let third = story.started(|order| order.deposit = "13007".into());
    story.wait(130);
    assert_eq!(story.phase(third), "closed underfunded");
    story.refused("tom", close(third, TenantReason::Done), "market", 28);
}

#[test]
fn warnings_and_top_ups() {
    let mut story = Story::with_providers(|_| {});
    let id = story.started(|order| order.deposit = "10007".into());
    story.wait(97);
    story.ok("tim", top_up("tim", id, 10_000));
    story.wait(99);
    story.ok("tom", top_up("tom", id, 10_000));
    story.wait(110);
    assert_eq!(story.phase(id), "closed underfunded");
}

#[test]
fn leases_that_do_not() {
    let mut story = Story::with_providers(|_| {});
    // The tenant closes at once, before the start, for quality, and with a report that comes too late.
    let id = story.started(|_| {});
    story.ok("tom", close(id, TenantReason::Done));
    let id = story.awarded(|_| {});
    story.ok("tom", close(id, TenantReason::Quality));
    let id = story.started(|_| {});
    story.wait(5);
    story.ok("tom", close(id, TenantReason::Quality));
    let id = story.started(|_| {});
    story.wait(1);
    story.ok("tom", close(id, TenantReason::NotDelivered));

    // In the first seconds a report costs both, and the order is open again.
    let id = story.started(|_| {});
    story.ok("tom", close(id, TenantReason::NotDelivered));
    assert_eq!(story.phase(id), "open");

    let id = story.started(|_| {});
    story.wait(3);
    story.refused("eve", reclaim("eve", id), "provider", 13);
    story.ok("ada", reclaim("ada", id));
    story.refused("ada", reclaim("ada", id), "market", 31);
    story.wait(8);
    assert_eq!(story.phase(id), "open");

    let id = story.started(|_| {});
    story.wait(3);
    story.refused("eve", abandon("eve", id), "market", 32);
    story.ok("ada", abandon("ada", id));
    let id = story.awarded(|order| order.rounds = 1);
    story.ok("ada", abandon("ada", id));
    assert_eq!(story.phase(id), "closed rounds_exhausted");
    story.wait(80);
}

/// Parameters of a chain whose billing clock takes such steps.
fn slow(state: &mut Value, step_s: u32) {
    state["kernel"]["params"]["max_billing_step_s"] = json!(step_s);
    for name in ["min_charge_s", "reclaim_s_min", "duration_s_min", "runway_s"] {
        state["market"]["params"][name] = json!(2 * step_s);
    }
}

#[test]
fn scores_fade_with_the_days() {
    let mut story = Story::with_providers(|state| {
        slow(state, 100_000);
        state["market"]["params"]["start_timeout_s_min"] = json!(500_000);
        state["market"]["params"]["start_timeout_s_max"] = json!(600_000);
        state["market"]["params"]["retention_s"] = json!(10_000_000);
    });
    let change = |order: &mut MsgCreateOrder| {
        (order.start_timeout_s, order.ttl_s, order.deposit) = (500_000, 604_800, "200600000".into());
        order.reclaim_min_s = 200_000;
    };
    let id = story.started(change);
    for _ in 0..4 {
        story.block(90_000, &[]);
    }
    story.ok("tom", close(id, TenantReason::Done));
    let id = story.awarded(change);
    for _ in 0..7 {
        story.block(90_000, &[]);
    }
    assert_eq!(story.phase(id), "open");
    story.ok("eve", story.bid("eve", id, RATE));

    // A stream that would run for ages, and scores that are older than a year.
    let id = story.started(|order| {
        change(order);
        (order.max_unit_rate, order.deposit) = ("1000000000000".into(), "300000".into());
    });
    for _ in 0..12 {
        story.block(100_000, &[]);
    }
    story.ok("tim", settle("tim", id));
    story.ok("tim", top_up("tim", id, 10_000));
    story.ok("tom", close(id, TenantReason::Done));
    for _ in 0..330 {
        story.block(100_000, &[]);
    }
    let id = story.awarded(change);
    assert_eq!(story.phase(id), "leased");
}

#[test]
fn a_chain_that_is_late() {
    let mut story = Story::with_providers(|state| {
        slow(state, 60);
        state["market"]["params"]["start_timeout_s_min"] = json!(300);
        state["market"]["params"]["start_timeout_s_max"] = json!(300);
        for name in ["leases", "auctions", "orders"] {
            state["market"]["params"][format!("{name}_per_block_max")] = json!(1);
        }
        state["provider"]["params"]["unbondings_per_block_max"] = json!(1);
    });
    let change = |order: &mut MsgCreateOrder| {
        (order.start_timeout_s, order.duration_s, order.reclaim_min_s) = (300, 130, 120);
        order.deposit = "30007".into();
    };
    let orders: Vec<_> = (0..5).map(|_| ("tom", vec![order(change)])).collect();
    story.block(1, &orders);
    for name in ["ada", "eve", "dave"] {
        let bids = (1..=5).map(|id| story.bid(name, id, RATE - u128::from(name == "ada") * (RATE / 3)));
        story.block(1, &[(name, bids.collect())]);
    }
    let unstake = |name: &str| vec![any(&MsgUnstake { owner: text(name), amount: "5".into() })];
    story.block(1, &["ada", "eve", "dave"].map(|name| (name, unstake(name))));
    story.wait(WINDOW_BLOCKS + 2);
    let starts = (1..=5).map(|id| ("ada", vec![start("ada", id)])).collect::<Vec<_>>();
    story.block(1, &starts);
    story.block(60, &[("tom", vec![top_up("tom", 3, 10_000)]), ("ada", vec![reclaim("ada", 2)])]);
    story.block(60, &[("tim", vec![settle("tim", 4)]), ("tom", vec![close(5, TenantReason::Done)])]);
    story.block(
        60,
        &[
            ("tim", vec![top_up("tim", 3, 10_000)]),
            ("tim", vec![settle("tim", 2)]),
            ("eve", vec![story.bid("eve", 3, RATE)]),
        ],
    );
    story.wait(40);
}

#[test]
fn parameters_change_under_way() {
    let mut story = Story::with_providers(|_| {});
    let first = story.started(|_| {});
    let second = story.awarded(|order| order.start_timeout_s = 60);

    let now: escrow::QueryParamsResponse = story.params("escrow");
    let set = |by: &str, change: fn(&mut escrow::Params)| {
        let mut params = now.params.clone().unwrap();
        change(&mut params);
        any(&escrow::MsgUpdateParams { authority: text(by), params: Some(params) })
    };
    let cheaper = |params: &mut escrow::Params| (params.fee_ppm, params.deposit_min) = (50_000, "5".into());
    story.refused("tom", set("tom", cheaper), "escrow", 2);
    story.refused("alice", set("alice", |params| params.fee_ppm = 1_000_001), "sdk", 18);
    story.ok("alice", set("alice", cheaper));

    let now: market::QueryParamsResponse = story.params("market");
    let set = |by: &str, change: fn(&mut market::Params)| {
        let mut params = now.params.clone().unwrap();
        change(&mut params);
        any(&market::MsgUpdateParams { authority: text(by), params: Some(params) })
    };
    let longer =
        |params: &mut market::Params| (params.grace_s, params.runway_s, params.min_charge_s) = (40, 9, 3);
    story.refused("tom", set("tom", longer), "provider", 2);
    story.refused("alice", set("alice", |params| params.soft_blocks = 12), "sdk", 18);

    let now: supply::QueryParamsResponse = story.params("provider");
    let set = |by: &str, change: fn(&mut supply::Params)| {
        let mut params = now.params.clone().unwrap();
        change(&mut params);
        any(&supply::MsgUpdateParams { authority: text(by), params: Some(params) })
    };
    let dearer =
        |params: &mut supply::Params| (params.stake_price, params.harmed_ppm) = ("333333".into(), 123_456);
    story.refused("tom", set("tom", dearer), "provider", 2);

    // What was frozen when an order was made stays, what was not is by the new rules.
    story.ok("ada", start("ada", second));
    story.ok("bob", top_up("bob", first, 6));
    story.wait(120);
}

#[test]
fn a_lease_keeps_the_costs_that_it_began_with() {
    let mut story = Story::with_providers(|state| {
        slow(state, 20);
        state["kernel"]["params"]["max_billing_step_s"] = json!(10);
        state["market"]["params"]["start_timeout_s_min"] = json!(50);
        state["market"]["params"]["start_timeout_s_max"] = json!(60);
    });
    let change = |order: &mut MsgCreateOrder| {
        (order.start_timeout_s, order.reclaim_min_s, order.deposit) = (60, 40, "40007".into());
    };
    let left = story.started(change);
    let done = story.started(change);
    let reported = story.started(change);
    let mut params = story.params::<market::QueryParamsResponse>("market").params.unwrap();
    (params.min_charge_s, params.lock_s) = (20, 10_000_000);
    story.ok("alice", any(&market::MsgUpdateParams { authority: text("alice"), params: Some(params) }));

    story.ok("tom", close(reported, TenantReason::NotDelivered));
    assert_eq!(story.phase(reported), "open");
    story.ok("tom", close(done, TenantReason::Done));
    story.ok("ada", abandon("ada", left));
    assert_eq!(story.phase(left), "open");
    story.wait(80);
}

#[test]
fn a_closed_order_that_is_not_kept_goes_in_the_next_block() {
    let mut story = Story::with_providers(|state| {
        for name in ["leases", "orders"] {
            state["market"]["params"][format!("{name}_per_block_max")] = json!(1);
        }
        state["market"]["params"]["retention_s"] = json!(0);
    });
    let orders: Vec<_> = (0..4).map(|_| ("tom", vec![order(|order| order.ttl_s = 60)])).collect();
    story.block(1, &orders);
    story.ok("ada", story.bid("ada", 1, RATE));
    story.wait(WINDOW_BLOCKS);
    story.ok("ada", start("ada", 1));
    story.wait(120);
    assert_eq!(story.chain.export()["market"]["orders"], json!([]));
}
