//! A second opinion on the market: provider, escrow and market once more, from the specification (what the `lib.rs` of those
//! modules and the documents of their parameters and formulas say) and the wire formats alone, to be compared with the
//! chain after every block.
//!
//! It is written to be plain. Everything is in maps by id. There are no queues: what is due is found by looking at all
//! there is. A stream earns second by second; the chain's formulas for whole spans of time do not occur. A transaction that
//! fails is undone by going back to a copy of the whole model. Products have any size. The guards of a message stand in the
//! order of the specification, and a refusal's code is its name's place in the specification.
//!
//! What the model takes as given is what comes before a message runs: whether a transaction passed the checks of its form,
//! signatures and fee, and whether it ran out of gas. It says for every other one whether it is accepted and what it
//! answers, or which guard refuses it.

mod bank;
mod escrow;
mod market;
mod numbers;
mod params;
mod provider;
mod refusal;
mod state;
mod time;

use std::{collections::BTreeMap, sync::Arc};

use prost::{Message, Name};
use prost_types::Any;
use proto::{cosmos::bank::v1beta1 as cosmos, underbid};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use escrow::{Account, Earned};
pub use refusal::Refusal;

use bank::{Bank, UFLOP, module};
use numbers::{E18, ceil};
use state::{Class, Entry, Line, Provider, Unbonding};

/// An account, in bech32.
pub type Address = String;

/// A block, as consensus gives it.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Its height.
    pub height: u64,
    /// The whole seconds of its header's time.
    pub time_s: u64,
    /// Its hash.
    pub hash: &'a [u8],
}

/// A transaction that passed the checks before its messages: its fee is paid.
#[derive(Clone, Debug)]
pub struct Tx {
    /// Who paid the fee.
    pub fee_payer: Address,
    /// The fee, in uflop.
    pub fee: u128,
    /// The gas that it asked for: the base fee of all of it is burned.
    pub gas_limit: u64,
    /// Its messages; none run if it ran out of gas.
    pub messages: Vec<Any>,
    /// Whether the gas was not enough.
    pub out_of_gas: bool,
}

/// What becomes of a transaction: the answers of its messages, or the first guard that fails.
pub type Outcome = Result<Vec<Any>, Refusal>;

/// The whole of it.
#[derive(Clone, Debug)]
pub struct Model {
    chain_id: String,
    height: u64,
    header_s: u64,
    now: u64,
    max_billing_step_s: u64,
    seeds: BTreeMap<u64, [u8; 32]>,
    fees: Fees,
    bank: Bank,
    escrow: params::Escrow,
    provider: params::Provider,
    market: params::Market,
    classes: BTreeMap<u32, Class>,
    providers: BTreeMap<Address, Provider>,
    lines: BTreeMap<(Address, u32, String), Line>,
    unbondings: BTreeMap<(Address, u32), Unbonding>,
    last_order: u64,
    orders: BTreeMap<u64, Arc<Entry>>,
}

/// The price of gas, in 10^-18 uflop.
#[derive(Clone, Debug)]
struct Fees {
    price: u128,
    floor: u128,
    ceiling: u128,
    max_block_gas: u64,
}

impl Model {
    /// A chain that starts from this application state, without any orders or providers yet.
    pub fn genesis(chain_id: &str, state: &Value, time_s: u64) -> Self {
        let parse = |value: &Value| value.as_u64().unwrap();
        let auth = &state["auth"]["params"];
        let classes: Vec<Class> = from(&state["provider"]["classes"]);
        Self {
            chain_id: chain_id.to_owned(),
            height: 0,
            header_s: time_s,
            now: state["kernel"]["billing"].as_u64().unwrap_or(time_s),
            max_billing_step_s: parse(&state["kernel"]["params"]["max_billing_step_s"]),
            seeds: BTreeMap::new(),
            fees: Fees {
                price: decimal(&auth["fee"]["base_start"]),
                floor: decimal(&auth["fee"]["base_floor"]),
                ceiling: decimal(&auth["fee"]["base_ceiling"]),
                max_block_gas: parse(&auth["max_block_gas"]),
            },
            bank: Bank::genesis(&state["bank"]),
            escrow: from(&state["escrow"]["params"]),
            provider: from(&state["provider"]["params"]),
            market: from(&state["market"]["params"]),
            classes: classes.into_iter().map(|class| (class.id, class)).collect(),
            providers: BTreeMap::new(),
            lines: BTreeMap::new(),
            unbondings: BTreeMap::new(),
            last_order: 0,
            orders: BTreeMap::new(),
        }
    }

    /// The chain was exported and starts again at this height and time: nobody is billed for what lies between, and an
    /// auction that has closed undecided is decided by the first seed of the new chain. None runs on for longer than one that
    /// begins with it.
    pub fn restarted(&mut self, height: u64, time_s: u64) {
        self.header_s = time_s;
        for entry in self.orders.values_mut().map(Arc::make_mut) {
            let Some(auction) = &mut entry.auction else { continue };
            let longest = entry.order.terms.window_blocks.max(self.market.soft_blocks + 1);
            auction.close_height = auction.close_height.clamp(height, height + longest);
        }
    }

    /// Runs a block with the transactions that paid.
    pub fn block(&mut self, block: &Block, txs: &[Tx]) -> Vec<Outcome> {
        let step = block.time_s.saturating_sub(self.header_s).min(self.max_billing_step_s);
        self.header_s = self.header_s.max(block.time_s);
        self.height = block.height;
        let seed = Sha256::new().chain_update("underbid/seed/1").chain_update(block.hash).finalize();
        self.seeds.insert(block.height, seed.into());
        for _ in 0..step {
            self.tick();
        }
        self.due_work().unwrap();
        let collector = module("fee_collector");
        let (mut burned, mut gas) = (0, 0);
        for tx in txs {
            self.bank.transfer(&tx.fee_payer, &collector, UFLOP, tx.fee).unwrap();
            burned += ceil(self.fees.price, tx.gas_limit, E18).unwrap();
            gas += tx.gas_limit;
        }
        let mut run = |tx: &Tx| if tx.out_of_gas { Ok(Vec::new()) } else { self.transaction(&tx.messages) };
        let outcomes = txs.iter().map(&mut run).collect();
        self.bank.burn(&collector, UFLOP, burned).unwrap();
        self.fees.follow(gas);
        outcomes
    }

    /// A second passes.
    fn tick(&mut self) {
        self.now += 1;
        for entry in self.orders.values_mut().filter(|entry| entry.order.account.payee.is_some()) {
            Arc::make_mut(entry).tick(self.now);
        }
    }

    /// All messages, or none.
    fn transaction(&mut self, messages: &[Any]) -> Outcome {
        let before = self.clone();
        let outcome: Outcome = messages.iter().map(|message| self.message(message)).collect();
        if outcome.is_err() {
            *self = before;
        }
        outcome
    }

    #[rustfmt::skip]
    fn message(&mut self, any: &Any) -> Result<Any, Refusal> {
        use underbid::{bank::v1::*, escrow::v1 as escrow, market::v1::*, provider::v1 as provider};
        macro_rules! dispatch {
            ($($message:path => $handler:expr),* $(,)?) => {
                $(if any.type_url == <$message>::type_url() {
                    let message = <$message>::decode(any.value.as_slice()).unwrap();
                    return $handler(self, message).map(|answer| Any::from_msg(&answer).unwrap());
                })*
            };
        }
        dispatch! {
            cosmos::MsgSend => Self::send,
            cosmos::MsgMultiSend => Self::multi_send,
            MsgBurn => Self::burn,
            provider::MsgSetClass => Self::set_class,
            provider::MsgRegisterProvider => Self::register_provider,
            provider::MsgUpdateProvider => Self::update_provider,
            provider::MsgSetOperators => Self::set_operators,
            provider::MsgAddStake => Self::add_stake,
            provider::MsgUnstake => Self::unstake,
            provider::MsgSetCapacity => Self::set_capacity,
            provider::MsgExitProvider => Self::exit_provider,
            provider::MsgUpdateParams => Self::update_provider_params,
            escrow::MsgUpdateParams => Self::update_escrow_params,
            MsgCreateOrder => Self::create_order,
            MsgCancelOrder => Self::cancel_order,
            MsgCreateBid => Self::create_bid,
            MsgImproveBid => Self::improve_bid,
            MsgWithdrawBid => Self::withdraw_bid,
            MsgConfirmStart => Self::confirm_start,
            MsgTopUp => Self::top_up,
            MsgCloseLease => Self::close_lease_by_tenant,
            MsgReclaimLease => Self::reclaim_lease,
            MsgAbandonLease => Self::abandon_lease,
            MsgSettle => Self::settle_by_anyone,
            MsgUpdateParams => Self::update_market_params,
        }
        panic!("the model knows no {}", any.type_url);
    }

    /// What a module has, in the form of the chain's export.
    pub fn export(&self, module: &str) -> Value {
        let lines = self.lines.iter().map(|((provider, class_id, zone), line)| {
            json!({ "provider": provider, "class_id": class_id, "zone": zone, "line": line })
        });
        let unbondings = self.unbondings.iter().map(|((provider, seq), Unbonding { amount, due_at })| {
            json!({ "provider": provider, "seq": seq, "amount": amount.to_string(), "due_at": due_at })
        });
        match module {
            "kernel" => json!({ "billing": self.now }),
            "auth" => {
                json!({ "base_fee": format!("{}.{:018}", self.fees.price / E18, self.fees.price % E18) })
            }
            "bank" => self.bank.export(),
            "escrow" => json!({ "params": self.escrow }),
            "provider" => json!({
                "params": self.provider,
                "classes": self.classes.values().collect::<Vec<_>>(),
                "providers": self.providers.values().collect::<Vec<_>>(),
                "lines": lines.collect::<Vec<_>>(),
                "unbondings": unbondings.collect::<Vec<_>>(),
            }),
            "market" => json!({
                "params": self.market,
                "last_order": self.last_order,
                "orders": self.orders.values().map(Arc::as_ref).collect::<Vec<_>>(),
            }),
            _ => panic!("the model knows no module {module}"),
        }
    }

    /// The accounts from which a lease is paid at this second; not those of leases that are over and wait for their turn.
    pub fn streams(&self) -> impl Iterator<Item = &Account> {
        let runs = |entry: &&Arc<Entry>| entry.order.account.payee.is_some() && !entry.is_over(self.now);
        self.orders.values().filter(runs).map(|entry| &entry.order.account)
    }
}

impl Entry {
    /// A second passes for its lease, which is paid for no second after its end.
    fn tick(&mut self, second: u64) {
        if !self.is_over(second.saturating_sub(1)) {
            self.order.account.tick(second);
        }
    }

    /// Whether its lease has come to its end at this time.
    fn is_over(&self, at: u64) -> bool {
        let state::Phase::Leased(lease) = &self.order.phase else { return true };
        let ends = [lease.running().and_then(|running| running.end_at), lease.reclaim_deadline()];
        ends.into_iter().flatten().any(|end| end <= at)
    }
}

impl Fees {
    /// The price moves by how far the block was from half full, by at most an eighth.
    fn follow(&mut self, gas: u64) {
        let target = u128::from(self.max_block_gas / 2).max(1);
        let paid = u128::from(gas).min(2 * target);
        let step = (self.price * paid.abs_diff(target) / (8 * target)).max(1_000_000_000_000);
        let moved = match paid.cmp(&target) {
            std::cmp::Ordering::Greater => self.price + step,
            std::cmp::Ordering::Equal => self.price,
            std::cmp::Ordering::Less => self.price.saturating_sub(step),
        };
        self.price = moved.clamp(self.floor, self.ceiling);
    }
}

fn from<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// A decimal fraction, times 10^18.
fn decimal(value: &Value) -> u128 {
    let text = value.as_str().unwrap();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<18}").parse().unwrap()
}
