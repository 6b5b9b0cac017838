//! Real traffic: a small market in which every message is sent, good ones and refused ones, as a function of the state
//! alone. The same history can be recorded again at any time, so crash tests and fuzz seeds need no files.

use std::collections::BTreeMap;

use kernel::Address;
use market::types::{Lease, Order, OrderId, Phase, Stage};
use prost_types::{Any, Timestamp};
use proto::{
    cosmos::bank::v1beta1::{Input, MsgMultiSend, Output},
    underbid::{
        bank::v1::MsgBurn,
        escrow::v1 as escrow_wire,
        market::v1::{
            self as market_wire, MsgAbandonLease, MsgCancelOrder, MsgCloseLease, MsgConfirmStart,
            MsgCreateBid, MsgCreateOrder, MsgImproveBid, MsgReclaimLease, MsgSettle, MsgTopUp,
            MsgWithdrawBid, TenantReason,
        },
        provider::v1::{
            self as provider_wire, MsgAddStake, MsgExitProvider, MsgRegisterProvider, MsgSetCapacity,
            MsgSetClass, MsgSetOperators, MsgUnstake, MsgUpdateProvider,
        },
    },
};
use serde_json::{Value, json};
use underbid::{
    client::tx::{Draft, Signer, any},
    execute::RawBlock,
};

use crate::{
    CHAIN_ID, Done, Home, PEOPLE, TestChain, address, coin, draft_of, genesis_state, key, send, text,
};

/// Who may change parameters in this market.
pub const AUTHORITY: &str = "erin";
/// Who offers machines.
const PROVIDERS: [&str; 4] = ["ada", "eve", "bob", "dave"];
const ZONE: &str = "de/he/fra";
/// 100 ucredit a second for one unit, times 10^18.
const HUNDRED_A_SECOND: u128 = 100_000_000_000_000_000_000;

/// A block and what it led to.
#[derive(Debug)]
pub struct Recorded {
    pub block: RawBlock,
    pub done: Done,
}

/// A market that makes its own traffic.
pub struct Traffic {
    pub chain: TestChain,
}

/// The genesis state of [`Traffic`]: short times, and an authority that can sign.
pub fn traffic_state() -> Value {
    let mut state = genesis_state();
    state["escrow"]["params"]["authority"] = json!(text(AUTHORITY));
    state["provider"]["params"]["authority"] = json!(text(AUTHORITY));
    state["market"]["params"]["retention_s"] = json!(30);
    state
}

impl Traffic {
    /// The market after its first, empty block.
    pub fn new() -> Self {
        Self::on(vec![Home::memory()])
    }

    /// The same on replicas of these homes.
    pub fn on(homes: Vec<Home>) -> Self {
        Self { chain: TestChain::with(homes, &traffic_state()) }
    }

    /// The first `blocks` blocks, the empty one at height 1 among them.
    pub fn record(blocks: u64) -> Vec<Recorded> {
        let mut traffic = Self::new();
        let hash = 1_u64.to_be_bytes().repeat(4);
        let first = RawBlock { height: 1, time_s: traffic.chain.time_s, hash, ..RawBlock::default() };
        let app_hash = traffic.chain.app_hash();
        let done = Done { results: Vec::new(), events: Vec::new(), app_hash };
        let mut recorded = vec![Recorded { block: first, done }];
        recorded.extend((1..blocks).map(|_| traffic.next_block()));
        recorded
    }

    /// Makes, executes and checks the next block.
    pub fn next_block(&mut self) -> Recorded {
        let block = self.chain.raw_block(&self.next_txs());
        let done = self.chain.deliver(&block);
        Recorded { block, done }
    }

    /// The transactions of the next block.
    pub fn next_txs(&self) -> Vec<Vec<u8>> {
        let mut ahead = BTreeMap::new();
        let mut txs = Vec::new();
        for (by, message) in self.messages() {
            let by_before: &mut u64 = ahead.entry(by).or_default();
            let draft = Draft { memo: by.to_owned(), ..draft_of(vec![message]) };
            txs.push(self.chain.sign_ahead(&draft, &[by], *by_before));
            // One that can't pay leaves its sequence as it was.
            *by_before += u64::from(by != "poor");
        }
        txs.extend(self.odd_ones());
        txs
    }

    /// Transactions that are no plain ones: unordered, repeated, and no transaction at all.
    fn odd_ones(&self) -> Vec<Vec<u8>> {
        let height = self.chain.height + 1;
        let mut txs = Vec::new();
        if height % 4 == 1 {
            let seconds = i64::try_from(self.chain.time_s + 60).unwrap();
            let until = Timestamp { seconds, nanos: i32::try_from(height).unwrap() };
            let message = any(&send("carol", "tom", height));
            let draft = Draft { unordered_until: Some(until), ..draft_of(vec![message]) };
            let account_number = self.chain.account("carol").number;
            let signer = Signer { key: &key("carol"), account_number, sequence: 0 };
            let unordered = draft.sign(CHAIN_ID, &[signer]).bytes;
            txs.extend([unordered.clone(), unordered]);
        }
        if height % 5 == 2 {
            txs.push(b"no transaction".to_vec());
        }
        txs
    }

    fn messages(&self) -> Vec<(&'static str, Any)> {
        let height = self.chain.height + 1;
        let mut messages = provider_messages(height);
        messages.extend(money_messages(height));
        messages.extend(self.authority_messages(height));
        if height > 3 && height.is_multiple_of(4) {
            let tenant = if height.is_multiple_of(8) { "tom" } else { "tim" };
            messages.push((tenant, any(&order(tenant, height))));
        }
        let mut orders = Vec::new();
        let collected = market::ORDERS.for_each(&self.chain.ctx(), |id, order| {
            orders.push((id, order));
            Ok(())
        });
        collected.unwrap();
        for (id, order) in orders {
            messages.extend(order_messages(height, id, &order));
        }
        messages
    }

    /// The authority writes the parameters that are in force, and classes.
    fn authority_messages(&self, height: u64) -> Vec<(&'static str, Any)> {
        let authority = text(AUTHORITY);
        let ctx = self.chain.ctx();
        let message = match height % 24 {
            5 => {
                let params = Some((&escrow::params(&ctx).unwrap()).into());
                any(&escrow_wire::MsgUpdateParams { authority, params })
            }
            11 => {
                let params = Some((&provider::params(&ctx).unwrap()).into());
                any(&provider_wire::MsgUpdateParams { authority, params })
            }
            17 => {
                let params = Some(market::params(&ctx).unwrap().into());
                any(&market_wire::MsgUpdateParams { authority, params })
            }
            23 => {
                any(&MsgSetClass { authority, class: Some(class(2 + u32::try_from(height / 24).unwrap())) })
            }
            _ => return Vec::new(),
        };
        vec![(AUTHORITY, message)]
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self::new()
    }
}

fn class(id: u32) -> provider_wire::Class {
    provider_wire::Class {
        id,
        name: format!("class {id}"),
        vram_mib: 16_384,
        gpus: 1,
        vcpu_milli: 8_000,
        memory_mib: 32_768,
        disk_gib: 200,
        device_price_usd: 1_200,
        ref_price_day: "2000000".into(),
        active: true,
    }
}

fn money_messages(height: u64) -> Vec<(&'static str, Any)> {
    let mut messages = vec![("alice", any(&send("alice", "carol", height)))];
    if height % 6 == 1 {
        let burn = MsgBurn { from_address: text("carol"), amount: vec![coin("uflop", 10)] };
        messages.push(("carol", any(&burn)));
    }
    if height % 7 == 3 {
        let inputs = vec![Input { address: text("alice"), coins: vec![coin("uflop", 30)] }];
        let outputs =
            ["bob", "carol"].map(|to| Output { address: text(to), coins: vec![coin("uflop", 15)] }).to_vec();
        messages.push(("alice", any(&MsgMultiSend { inputs, outputs })));
    }
    if height % 9 == 2 {
        messages.push(("poor", any(&send("poor", "tom", 1))));
        messages.push(("alice", any(&send("alice", "tom", u64::MAX))));
    }
    messages
}

fn provider_messages(height: u64) -> Vec<(&'static str, Any)> {
    let mut messages = Vec::new();
    let register = |name: &str| MsgRegisterProvider {
        owner: text(name),
        endpoints: vec![format!("https://{name}.example")],
        encryption_key: vec![1; 32],
        operators: if name == "dave" { vec![text("carol")] } else { Vec::new() },
        stake: "40000000000".into(),
    };
    let capacity = |name: &str, total| MsgSetCapacity {
        signer: text(name),
        provider: text(name),
        class_id: 1,
        zone: ZONE.into(),
        total,
    };
    match height {
        2 => messages.extend(PROVIDERS.map(|name| (name, any(&register(name))))),
        3 => messages.extend(PROVIDERS.map(|name| (name, any(&capacity(name, 64))))),
        _ => {}
    }
    match height % 16 {
        1 => messages.push(("ada", any(&MsgAddStake { owner: text("ada"), amount: "1000".into() }))),
        3 => messages.push(("eve", any(&MsgUnstake { owner: text("eve"), amount: "2000".into() }))),
        5 => {
            let endpoints = vec![format!("https://eve-{height}.example")];
            let update =
                MsgUpdateProvider { owner: text("eve"), endpoints, encryption_key: vec![height as u8; 32] };
            messages.push(("eve", any(&update)));
        }
        7 => {
            let operators = vec![text(PEOPLE[usize::try_from(height % 3).unwrap()])];
            messages.push(("ada", any(&MsgSetOperators { owner: text("ada"), operators })));
        }
        9 => messages.push(("bob", any(&capacity("bob", if height % 32 == 9 { 0 } else { 8 })))),
        11 if height > 24 => messages.push(("bob", any(&MsgExitProvider { owner: text("bob") }))),
        _ => {}
    }
    messages
}

fn order(tenant: &str, height: u64) -> MsgCreateOrder {
    MsgCreateOrder {
        tenant: text(tenant),
        class_id: 1,
        count: 1 + u32::try_from(height % 3).unwrap(),
        zones: vec!["de".into()],
        near: if height.is_multiple_of(12) { ZONE.into() } else { String::new() },
        max_unit_rate: HUNDRED_A_SECOND.to_string(),
        duration_s: if height.is_multiple_of(20) { 12 } else { 0 },
        window_blocks: 12,
        ttl_s: 20,
        start_timeout_s: 6,
        reclaim_min_s: 3,
        manifest_hash: vec![7; 32],
        rounds: 2,
        deposit: "40000".into(),
        ..Default::default()
    }
}

fn bid(by: &str, order_id: OrderId, unit_rate: u128) -> MsgCreateBid {
    MsgCreateBid {
        signer: text(by),
        provider: text(by),
        order_id,
        zone: ZONE.into(),
        unit_rate: unit_rate.to_string(),
        reclaim_s: 5,
    }
}

fn name_of(of: &Address) -> &'static str {
    PEOPLE.into_iter().find(|name| address(name) == *of).unwrap()
}

/// What is done about an order: its number decides how its story goes.
fn order_messages(height: u64, id: OrderId, order: &Order) -> Vec<(&'static str, Any)> {
    let tenant = name_of(&order.tenant);
    match &order.phase {
        Phase::Open(_) if id % 9 == 8 => {
            vec![(tenant, any(&MsgCancelOrder { tenant: text(tenant), order_id: id }))]
        }
        // Nobody bids: it expires.
        Phase::Open(_) if id % 9 == 7 => Vec::new(),
        Phase::Open(_) => {
            let (dear, cheap) = if id.is_multiple_of(2) { ("ada", "eve") } else { ("eve", "dave") };
            let bids = [(dear, HUNDRED_A_SECOND), (cheap, HUNDRED_A_SECOND / 2)];
            bids.map(|(by, rate)| (by, any(&bid(by, id, rate)))).to_vec()
        }
        Phase::Bidding(_) if height.is_multiple_of(5) => {
            let by = if id.is_multiple_of(2) { "ada" } else { "eve" };
            let unit_rate = (HUNDRED_A_SECOND / 2 - u128::from(height) * 100_000_000_000_000_000).to_string();
            let improve = MsgImproveBid { signer: text(by), provider: text(by), order_id: id, unit_rate };
            vec![(by, any(&improve))]
        }
        // The dear one goes, if it has not improved.
        Phase::Bidding(_) if id % 4 == 1 && height % 5 == 4 => {
            vec![("eve", any(&MsgWithdrawBid { signer: text("eve"), provider: text("eve"), order_id: id }))]
        }
        Phase::Bidding(_) | Phase::Closed(_) => Vec::new(),
        Phase::Leased(lease) => lease_messages(height, id, tenant, lease),
    }
}

fn lease_messages(height: u64, id: OrderId, tenant: &'static str, lease: &Lease) -> Vec<(&'static str, Any)> {
    let provider = name_of(&lease.provider);
    let close =
        |reason: TenantReason| MsgCloseLease { tenant: text(tenant), order_id: id, reason: reason.into() };
    let mut messages = Vec::new();
    match lease.stage {
        // The winner does not start: a fine, and another round.
        Stage::Starting(_) if id % 8 == 7 => {}
        Stage::Starting(_) => {
            messages.push((provider, any(&MsgConfirmStart { signer: text(provider), order_id: id })));
        }
        Stage::Active(_) => {
            if height % 3 == id % 3 {
                messages.push(("carol", any(&MsgSettle { signer: text("carol"), order_id: id })));
            }
            // The others run out of money.
            if height % 4 == id % 4 && id % 6 != 4 {
                let top_up = MsgTopUp { signer: text("tim"), order_id: id, amount: "20000".into() };
                messages.push(("tim", any(&top_up)));
            }
            match (id % 6, height % 4) {
                (1, 0) => {
                    messages.push((provider, any(&MsgReclaimLease { signer: text(provider), order_id: id })))
                }
                (2, 1) => messages.push((tenant, any(&close(TenantReason::Done)))),
                (3, 2) => {
                    messages.push((provider, any(&MsgAbandonLease { owner: text(provider), order_id: id })))
                }
                (5, 3) => messages.push((tenant, any(&close(TenantReason::Quality)))),
                _ => {}
            }
        }
        Stage::Reclaiming(_) => {}
    }
    messages
}
