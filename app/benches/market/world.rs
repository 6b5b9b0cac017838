//! A chain to measure: providers with stake and capacity, open orders, live leases, and bids signed by the providers.

use std::{path::Path, sync::Arc};

use auth::GenesisAccount;
use bank::{Balances, Coin};
use kernel::{Address, Amount, At, Dec, chain};
use market::{
    BidRow, OrderRow, RoundRow,
    types::{Award, AwardRow, Lease, Open, Order, Phase, Running, Stage, Terms},
};
use proto::{cosmos::base::v1beta1 as wire, underbid::market::v1::MsgCreateBid};
use provider::{Class, Line, LineRow, Provider, Status, Zone, ZonePattern};
use store::{Options, RocksBackend};
use underbid::{
    app::App,
    client::{
        keys::Key,
        tx::{Draft, Signer, any},
    },
    execute::{RawBlock, TxResult},
    metrics::Metrics,
    modules::{AppState, STORES},
    pipeline,
};

pub const CHAIN_ID: &str = "bench-1";
pub const PROVIDERS: u64 = 1_000;
const GENESIS_S: u64 = 1_800_000_000;
const YEAR_S: u64 = 31_536_000;
const ZONE: &str = "de/hesse/fra";
/// One ucredit a second.
const RATE: u128 = 1_000_000_000_000_000_000;
const GAS: u64 = 400_000;
const STAKE: u64 = 1_000_000_000_000_000;
const UNITS: u32 = 1_000_000;
const DEPOSIT: u64 = 1_000_000_000;

/// What the genesis document holds besides the providers.
#[derive(Clone, Copy, Default)]
pub struct Size {
    pub open_orders: u64,
    pub leases: u64,
}

/// A bid before it is signed.
pub struct Offer {
    pub provider: u64,
    pub sequence: u64,
    pub order: u64,
}

/// An application on a store of its own.
pub struct World {
    pub app: App,
    pub store: Arc<RocksBackend>,
    pub height: u64,
    keys: Vec<Key>,
    sequences: Vec<u64>,
}

impl World {
    /// The chain after its first block, which brings the genesis state to disk.
    pub fn new(directory: &Path, size: Size) -> Self {
        let numbers: Vec<u64> = (1..=PROVIDERS).collect();
        let keys: Vec<Key> = in_parallel(&numbers, |number| key(*number));
        let store = open(directory, Options::new(STORES).cache_bytes);
        let app = App::open(store.clone(), Metrics::default()).unwrap();
        app.init_chain(CHAIN_ID, 1, GENESIS_S, genesis(&keys, size)).unwrap();
        let sequences = vec![0; keys.len()];
        let mut world = Self { app, store, height: 0, keys, sequences };
        let first = world.next_block(Vec::new());
        world.run(&first);
        world
    }

    /// The next block, a second after the last one.
    pub fn next_block(&self, txs: Vec<Vec<u8>>) -> RawBlock {
        let height = self.height + 1;
        let hash = height.to_be_bytes().repeat(4);
        RawBlock { height, time_s: GENESIS_S + height, time_nanos: 0, hash, txs }
    }

    /// Finalizes and commits a block; nothing in it may fail.
    pub fn run(&mut self, block: &RawBlock) {
        let (results, ..) = self.app.finalize(block).unwrap();
        self.height = self.app.commit().unwrap();
        let failed: Vec<&TxResult> = results.iter().filter(|result| result.code != 0).collect();
        assert!(failed.is_empty(), "{} of {} failed: {:?}", failed.len(), results.len(), failed.first());
    }

    /// Signed bids: in round `round` the next provider of each order, from `start` on, offers a price of its own.
    pub fn bids(&mut self, round: u64, start: u64, count: u64) -> Vec<Vec<u8>> {
        let mut offers = Vec::new();
        for order in start..start + count {
            let provider = (order + round) % PROVIDERS;
            let sequence = &mut self.sequences[provider as usize];
            offers.push(Offer { provider, sequence: *sequence, order: order + 1 });
            *sequence += 1;
        }
        in_parallel(&offers, |offer| self.sign(offer, u128::from(round)))
    }

    fn sign(&self, offer: &Offer, round: u128) -> Vec<u8> {
        let key = &self.keys[offer.provider as usize];
        let address = key.address().to_string();
        let mut draft = Draft::new(vec![any(&MsgCreateBid {
            signer: address.clone(),
            provider: address,
            order_id: offer.order,
            zone: ZONE.into(),
            unit_rate: (RATE - round * RATE / 1_000).to_string(),
            reclaim_s: 3_600,
        })]);
        draft.gas_limit = GAS;
        draft.fee = vec![wire::Coin { denom: "uflop".into(), amount: GAS.to_string() }];
        let signer = Signer { key, account_number: offer.provider, sequence: offer.sequence };
        draft.sign(CHAIN_ID, &[signer]).bytes
    }
}

/// The store of a home, with this much block cache.
pub fn open(directory: &Path, cache_bytes: usize) -> Arc<RocksBackend> {
    let options = Options { cache_bytes, ..Options::new(STORES) };
    Arc::new(RocksBackend::open(directory, options).unwrap())
}

fn key(number: u64) -> Key {
    let mut secret = [7; 32];
    secret[24..].copy_from_slice(&number.to_be_bytes());
    Key::from_secret(secret).unwrap()
}

fn tenant(number: u64) -> Address {
    let mut bytes = [9; 20];
    bytes[12..].copy_from_slice(&(number / 10).to_be_bytes());
    Address(bytes)
}

fn genesis(keys: &[Key], size: Size) -> AppState {
    let owners: Vec<Address> = keys.iter().map(Key::address).collect();
    let authority = Address::of_module("authority");
    let orders = size.open_orders + size.leases;
    let mut auth_params = auth::Params::default();
    // The bids of a block cost more gas than its target: their fee is enough at any price up to the ceiling.
    auth_params.fee.base_ceiling = Dec::from_atomics(RATE);
    let account = |key: &Key| GenesisAccount {
        address: key.address(),
        key: Some(auth::PublicKey::secp256k1(&key.public_key()).unwrap()),
        number: None,
        sequence: 0,
    };
    AppState {
        kernel: chain::Genesis::new(chain::Params {
            max_billing_step_s: 60,
            bech32_prefix: "underbid".into(),
        }),
        auth: auth::Genesis {
            params: auth_params,
            accounts: keys.iter().map(account).collect(),
            ..auth::Genesis::default()
        },
        bank: bank::Genesis { balances: balances(&owners, orders), ..bank::Genesis::default() },
        escrow: escrow::Genesis { params: escrow::Params::new(authority) },
        provider: providers(&owners, authority, size.leases),
        market: market::Genesis {
            params: market::Params { ttl_s_max: u32::MAX, ..market::Params::default() },
            last_order: orders,
            orders: (1..=orders).map(|id| order(id, size, &owners)).collect(),
        },
    }
}

fn balances(owners: &[Address], orders: u64) -> Vec<Balances> {
    let stake = Amount::new(u128::from(STAKE) * owners.len() as u128).unwrap();
    let escrowed = Amount::new(u128::from(DEPOSIT) * u128::from(orders)).unwrap();
    let of = |address, denom, amount| Balances { address, coins: vec![Coin { denom, amount }] };
    let mut all: Vec<_> =
        owners.iter().map(|owner| of(*owner, bank::uflop(), Amount::from(10_000_000_000_000))).collect();
    all.push(of(provider::stake_pool(), bank::uflop(), stake));
    if orders > 0 {
        all.push(of(escrow::module_account(), bank::ucredit(), escrowed));
    }
    all
}

/// The stake that a lease locks, in uflop.
fn lock() -> Amount {
    Amount::from(2_000_000)
}

/// How many of the leases, numbered from 1 and dealt round, the provider at a place has.
fn leases_of(place: u64, leases: u64) -> u64 {
    let first = if place == 0 { PROVIDERS } else { place };
    (leases + PROVIDERS - first) / PROVIDERS
}

fn providers(owners: &[Address], authority: Address, leases: u64) -> provider::Genesis {
    let params = provider::Params::new(authority);
    let class = Class {
        id: 1,
        name: "bench".into(),
        vram_mib: 0,
        gpus: 0,
        vcpu_milli: 1_000,
        memory_mib: 1_024,
        disk_gib: 10,
        device_price_usd: 0,
        ref_price_day: Amount::from(1),
        active: true,
    };
    let (unit_required, tier_min) =
        (params.unit_required(0, class.ref_price_day).unwrap(), params.tier_min(0));
    let mut genesis = provider::Genesis::new(params);
    genesis.classes.push(class);
    for (index, owner) in owners.iter().enumerate() {
        let leased = leases_of(index as u64, leases);
        genesis.providers.push(Provider {
            owner: *owner,
            operators: Vec::new(),
            endpoints: vec!["https://provider.example".into()],
            encryption_key: [1; 32],
            status: Status::Active,
            stake_total: Amount::from(STAKE),
            stake_locked: Amount::new(lock().units() * u128::from(leased)).unwrap(),
            required_uc: tier_min,
            minimum_uc: tier_min,
            uptime_ppm: 900_000,
            good: Amount::ZERO,
            bad: Amount::ZERO,
            slash_ppm: 0,
            scored_at: At::new(GENESIS_S),
            created_at: At::new(GENESIS_S),
            unbonding_seq: 0,
            shrunk_from_uc: Amount::ZERO,
            shrunk_at: At::new(GENESIS_S),
        });
        let line = Line { total: UNITS, reserved: 0, leased: leased as u32, unit_required, tier_min };
        genesis.lines.push(LineRow { provider: *owner, class_id: 1, zone: zone(), line });
    }
    genesis
}

fn zone() -> Zone {
    Zone::parse(ZONE).unwrap()
}

/// The first orders are open, the others have leases.
fn order(id: u64, size: Size, owners: &[Address]) -> OrderRow {
    let tenant = tenant(id);
    let now = At::new(GENESIS_S);
    let amount = Amount::from(DEPOSIT);
    let mut account = escrow::Account {
        order: id,
        owner: tenant,
        deposits: vec![escrow::Deposit { depositor: tenant, amount }],
        balance: amount,
        deposited_total: amount,
        refunded_total: Amount::ZERO,
        fined_total: Amount::ZERO,
        spent_total: Amount::ZERO,
        payee: None,
        rate: 0,
        settled_at: now,
        hold_until: now,
        carry: 0,
        stream_gross: Amount::ZERO,
        stream_fee: Amount::ZERO,
        fee_ppm: 20_000,
    };
    let (mut phase, mut rounds) = (Phase::Open(Open { expires_at: At::new(GENESIS_S + YEAR_S) }), Vec::new());
    if id > size.open_orders {
        let lease_number = id - size.open_orders;
        let provider = owners[(lease_number % PROVIDERS) as usize];
        (account.payee, account.rate) = (Some(provider), RATE);
        // Ends are spread over a year, so that the queue is as it would be, and none is due while the bench runs.
        let end_at = Some(At::new(GENESIS_S + YEAR_S / 2 + lease_number % (YEAR_S / 2)));
        phase = Phase::Leased(lease(provider, end_at));
        rounds.push(RoundRow { round: 1, award: award(provider), lease: None });
    }
    let order = Order {
        tenant,
        terms: terms(),
        grace_s: 1_800,
        created_at: now,
        round: 1,
        phase,
        barred: Vec::new(),
        served_s: 0,
        account,
        hold: None,
    };
    OrderRow { id, order, auction: None, bids: Vec::<BidRow>::new(), rounds }
}

fn terms() -> Terms {
    Terms {
        class_id: 1,
        count: 1,
        zones: vec![ZonePattern::parse("de").unwrap()],
        near: None,
        max_unit_rate: RATE,
        duration_s: 0,
        window_blocks: 600,
        ttl_s: 604_800,
        start_timeout_s: 600,
        reclaim_min_s: 3_600,
        min_uptime_ppm: 0,
        weights: market::Params::default().weights,
        manifest_hash: [3; 32],
        rounds: 4,
    }
}

fn lease(provider: Address, end_at: Option<At<kernel::Billing>>) -> Lease {
    Lease {
        provider,
        zone: zone(),
        unit_rate: RATE,
        reclaim_s: 3_600,
        lock: lock(),
        bond: lock(),
        awarded_at: At::new(GENESIS_S),
        stage: Stage::Active(Running { started_at: At::new(GENESIS_S), end_at }),
        low_funds: false,
    }
}

fn award(winner: Address) -> Award {
    let row = AwardRow {
        provider: winner,
        zone: zone(),
        unit_rate: RATE,
        delta_ppm: 0,
        parts: [100_000, 500_000, 0, 500_000, 0],
        multiplier_ppm: 1_155_000,
        weight: 1,
    };
    Award {
        height: At::new(1),
        seed: [5; 32],
        best_eff: RATE * 1_155_000,
        limit: RATE * 1_160_000,
        winner,
        bidders: 1,
        rows: vec![row],
    }
}

fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    pipeline::run(items, work, |done, give| done.for_each(give), |result| result).1
}
