//! A load of signed bids: providers with stake and capacity and open orders stand in the genesis document, and every
//! transaction is a first bid of a provider for an order.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use kernel::{Address, E18};
use proto::cosmos::base::v1beta1::Coin;
use proto::underbid::market::v1::MsgCreateBid;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use underbid::client::chain::{self, Client};
use underbid::client::keys::{self, Key};
use underbid::client::tx::{Draft, Signer, any};

use super::TxSource;
use crate::numbered_key;

/// How many bids an order gets: more find the book full.
pub const BIDS_AN_ORDER: usize = 32;
/// Providers a sender: so many bids lie between two of the same provider, which must arrive in order.
const PROVIDERS_A_SENDER: usize = 500;
/// What gas may cost in this net at most, in uflop, and what every bid offers: the price rises while blocks are full.
const GAS_PRICE: u64 = 1;
const ZONE: &str = "de/hesse/frankfurt";
/// The ceiling of every order: one ucredit a second.
const CEILING: u128 = E18;
const STAKE: u128 = 1_000_000_000_000_000;
const DEPOSIT: u128 = 1_000_000_000;
/// No auction closes while it is measured.
const WINDOW_BLOCKS: u32 = 1_000_000;
const RECLAIM_S: u32 = 3_600;
const YEAR_S: u64 = 31_536_000;

/// Why there is no load.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key could not be made.
    #[error(transparent)]
    Key(#[from] keys::Error),
    /// The chain did not answer, or not as expected.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// The genesis document is not one of underbid.
    #[error("genesis: expected {path}")]
    Genesis {
        /// What is missing.
        path: String,
    },
}

/// Who bids for what.
pub struct BidLoad {
    keys: Vec<Key>,
    senders: usize,
    orders_a_sender: usize,
}

/// The bids of one sender, signed.
pub struct BidSource(std::vec::IntoIter<Vec<u8>>);

impl TxSource for BidSource {
    fn next_tx(&mut self) -> Option<Vec<u8>> {
        self.0.next()
    }
}

/// One bid before it is signed: of a provider, its `sequence`th, for an order from 1.
#[derive(Clone, Copy)]
struct Offer {
    provider: usize,
    sequence: usize,
    order: usize,
}

impl BidLoad {
    /// At least `bids` in all, dealt to so many senders.
    pub fn new(senders: usize, bids: usize) -> Result<Self, Error> {
        let senders = senders.max(1);
        let orders_a_sender = bids.div_ceil(senders * BIDS_AN_ORDER).max(1);
        let key = |number| numbered_key(7, number);
        let keys = (0..senders * PROVIDERS_A_SENDER).map(key).collect::<Result<_, _>>()?;
        Ok(Self { keys, senders, orders_a_sender })
    }

    /// A genesis document with the providers, their accounts, and the orders.
    pub fn genesis(&self, mut genesis: Value) -> Result<Value, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let orders = self.senders * self.orders_a_sender;
        let tenant = Address::of_module("bench tenant").to_string();
        let rows: Vec<Value> = (1..=orders).map(|id| order(id, &tenant, now)).collect();
        let accounts: Vec<Value> =
            self.keys.iter().zip(0_u64..).map(|(key, number)| account(key, number)).collect();
        let lines = self.keys.iter().map(|key| {
            json!({ "provider": key.address(), "class_id": 1, "zone": ZONE, "line": {
                "total": 1_000_000, "reserved": 0, "leased": 0, "unit_required": "7", "tier_min": "50000000",
            }})
        });
        let class = json!({
            "id": 1, "name": "bench", "vram_mib": 0, "gpus": 0, "vcpu_milli": 1_000, "memory_mib": 1_024, "disk_gib": 10,
            "device_price_usd": 0, "ref_price_day": "1", "active": true,
        });
        let fees = json!({ "denom": "uflop", "base_start": "0.01", "base_floor": "0.001", "base_ceiling": GAS_PRICE.to_string() });
        for (path, value) in [
            ("auth/params/fee", fees),
            ("auth/accounts", json!(accounts)),
            ("bank/balances", self.balances(orders)),
            ("provider/classes", json!([class])),
            ("provider/providers", self.keys.iter().map(|key| provider(key, now)).collect()),
            ("provider/lines", lines.collect()),
            ("market/params/window_blocks_max", json!(WINDOW_BLOCKS)),
            ("market/last_order", json!(orders)),
            ("market/orders", json!(rows)),
        ] {
            put(&mut genesis, path, value)?;
        }
        Ok(genesis)
    }

    fn balances(&self, orders: usize) -> Value {
        let of = |address: String, denom: &str, amount: u128| json!({ "address": address, "coins": [{ "denom": denom, "amount": amount.to_string() }] });
        let count = |items: usize| u128::try_from(items).unwrap_or_default();
        let module = |name: &str| Address::of_module(name).to_string();
        let owners = self.keys.iter().map(|key| of(key.address().to_string(), "uflop", 10_000_000_000_000));
        let pool = of(module("stake_pool"), "uflop", STAKE * count(self.keys.len()));
        owners.chain([pool, of(module("escrow"), "ucredit", DEPOSIT * count(orders))]).collect()
    }

    /// Signs all bids, on all cores; the gas limit comes from a simulation.
    pub async fn sign(&self, client: &Client) -> Result<Vec<BidSource>, Error> {
        let first = Offer { provider: 0, sequence: 0, order: 1 };
        let gas = client.simulate(self.draft(first, 0).unsigned(&[0])).await?.gas_used;
        // The first bid of an order does the most; an order with more bids reads a little more.
        let gas = gas + gas / 5;
        let mut signing = JoinSet::new();
        for sender in 0..self.senders {
            let drafts: Vec<(Offer, Draft)> =
                self.offers(sender).into_iter().map(|offer| (offer, self.draft(offer, gas))).collect();
            let (keys, chain_id) = (self.keys.clone(), client.chain_id().to_owned());
            signing.spawn_blocking(move || {
                let sign = |(offer, draft): (Offer, Draft)| {
                    let number = |place: usize| u64::try_from(place).unwrap_or_default();
                    let (account_number, sequence) = (number(offer.provider), number(offer.sequence));
                    draft
                        .sign(&chain_id, &[Signer { key: &keys[offer.provider], account_number, sequence }])
                        .bytes
                };
                BidSource(drafts.into_iter().map(sign).collect::<Vec<_>>().into_iter())
            });
        }
        Ok(signing.join_all().await)
    }

    /// A sender's bids: round by round, one for each of its orders by the next of its providers.
    fn offers(&self, sender: usize) -> Vec<Offer> {
        let mut sequences = vec![0; PROVIDERS_A_SENDER];
        let mut offers = Vec::with_capacity(self.orders_a_sender * BIDS_AN_ORDER);
        for round in 0..BIDS_AN_ORDER {
            for order in 0..self.orders_a_sender {
                let place = (order + round) % PROVIDERS_A_SENDER;
                offers.push(Offer {
                    provider: sender * PROVIDERS_A_SENDER + place,
                    sequence: sequences[place],
                    order: sender * self.orders_a_sender + order + 1,
                });
                sequences[place] += 1;
            }
        }
        offers
    }

    fn draft(&self, offer: Offer, gas: u64) -> Draft {
        let address = self.keys[offer.provider].address().to_string();
        let cheaper = CEILING / 10_000 * u128::try_from(offer.sequence).unwrap_or_default();
        let mut draft = Draft::new(vec![any(&MsgCreateBid {
            signer: address.clone(),
            provider: address,
            order_id: u64::try_from(offer.order).unwrap_or_default(),
            zone: ZONE.to_owned(),
            unit_rate: CEILING.saturating_sub(cheaper).max(1).to_string(),
            reclaim_s: RECLAIM_S,
        })]);
        draft.gas_limit = gas;
        draft.fee = vec![Coin { denom: "uflop".to_owned(), amount: (gas * GAS_PRICE).max(1).to_string() }];
        draft
    }
}

/// Sets a field of `app_state`; only the last part of the path may be new.
fn put(genesis: &mut Value, path: &str, value: Value) -> Result<(), Error> {
    let missing = || Error::Genesis { path: format!("app_state/{path}") };
    let (parent, field) = path.rsplit_once('/').ok_or_else(missing)?;
    let parent = genesis.pointer_mut(&format!("/app_state/{parent}")).and_then(Value::as_object_mut);
    parent.ok_or_else(missing)?.insert(field.to_owned(), value);
    Ok(())
}

fn account(key: &Key, number: u64) -> Value {
    let public_key = BASE64_STANDARD.encode(key.public_key());
    json!({
        "address": key.address(), "number": number, "sequence": 0,
        "key": { "@type": "/cosmos.crypto.secp256k1.PubKey", "key": public_key },
    })
}

fn provider(key: &Key, now: u64) -> Value {
    json!({
        "owner": key.address(), "operators": [], "endpoints": ["https://provider.example"], "encryption_key": "01".repeat(32),
        "status": "active", "stake_total": STAKE.to_string(), "stake_locked": "0", "required_uc": "50000000",
        "minimum_uc": "50000000", "uptime_ppm": 900_000, "good": "0", "bad": "0", "slash_ppm": 0, "scored_at": now,
        "created_at": now, "unbonding_seq": 0, "shrunk_from_uc": "0", "shrunk_at": now,
    })
}

fn order(id: usize, tenant: &str, now: u64) -> Value {
    let deposit = DEPOSIT.to_string();
    json!({ "id": id, "order": {
        "tenant": tenant, "grace_s": 4, "created_at": now, "round": 1, "barred": [], "served_s": 0,
        "phase": { "open": { "expires_at": now + YEAR_S } },
        "terms": {
            "class_id": 1, "count": 1, "zones": ["de"], "near": null, "max_unit_rate": CEILING.to_string(), "duration_s": 0,
            "window_blocks": WINDOW_BLOCKS, "ttl_s": 604_800, "start_timeout_s": 60, "reclaim_min_s": RECLAIM_S,
            "min_uptime_ppm": 0, "weights": [300_000, 200_000, 300_000, 50_000, 50_000], "manifest_hash": "03".repeat(32),
            "rounds": 4,
        },
        "account": {
            "order": id, "owner": tenant, "deposits": [{ "depositor": tenant, "amount": deposit }], "balance": deposit,
            "deposited_total": deposit, "refunded_total": "0", "fined_total": "0", "spent_total": "0", "payee": null,
            "rate": "0", "settled_at": now, "hold_until": now, "carry": "0", "stream_gross": "0", "stream_fee": "0",
            "fee_ppm": 20_000,
        },
    }})
}
