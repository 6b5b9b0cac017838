//! Who is there: honest sellers and buyers drawn from a seed, and those who may turn against them.

use std::collections::BTreeSet;

use kernel::{Address, E18};
use prost_types::Any;
use proto::underbid::provider::v1::{MsgRegisterProvider, MsgSetCapacity};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use underbid::client::tx::any;

use super::{
    arena::Agent,
    buyer::{Buyer, Job},
    seller::Seller,
    squatter::Squatter,
};
use crate::{address, text};

/// The network's parameters.
const REFERENCE: &str = include_str!("../../../../genesis/reference.json");
/// What everybody has of both denoms.
const PURSE: u64 = 1_000_000_000_000_000;
/// The class of machines, and what one of them earns in a day by the book: a credit an hour.
pub const CLASS: u32 = 1;
pub const REF_PRICE_DAY: u64 = 24_000_000;
/// The days of the reference price that a unit of its tier is staked for.
const TIER_DAYS: u64 = 7;
/// The smallest stake of its tier, in ucredit.
const TIER_MIN_UC: u64 = 100_000_000;
/// Where everybody is who does not say otherwise.
pub const HOME: &str = "de/he/fra";
/// One ucredit a second for one unit.
const A_UCREDIT: u128 = E18;
/// A credit an hour for one unit.
pub const CREDIT_AN_HOUR: u128 = A_UCREDIT * 1_000_000 / 3_600;

/// Everybody and everything before the first block.
pub struct Scene {
    pub seed: u64,
    pub sellers: Vec<Seller>,
    pub buyers: Vec<Buyer>,
    pub squatters: Vec<Squatter>,
    /// Who gains together.
    pub coalition: BTreeSet<String>,
    /// Whose wins the proposer of every block picks among hashes.
    pub grinder: Option<Address>,
    /// Other parameters of the market than the reference.
    pub market: Value,
}

impl Scene {
    /// Six honest sellers of unlike cost and eight honest buyers with a job or two each.
    pub fn new(seed: u64) -> Self {
        let mut draw = StdRng::seed_from_u64(seed);
        let sellers = (0..6).map(|n| Seller::drawn(&format!("seller-{n}"), seed, &mut draw)).collect();
        let buyers = (0..8).map(|n| Buyer::drawn(&format!("buyer-{n}"), &mut draw)).collect();
        Self {
            seed,
            sellers,
            buyers,
            squatters: Vec::new(),
            coalition: BTreeSet::new(),
            grinder: None,
            market: json!({}),
        }
    }

    /// Everything so many times as large: what a provider with a hall of machines meets.
    pub fn enlarge(&mut self, times: u32) {
        for seller in &mut self.sellers {
            seller.units *= times;
            seller.true_units *= times;
        }
        for job in self.buyers.iter_mut().flat_map(|buyer| &mut buyer.jobs) {
            job.count *= times;
        }
    }

    /// Everybody's units cost the same and everybody is staked alike: who wins is drawn.
    pub fn level(&mut self) {
        for seller in &mut self.sellers {
            seller.set_cost(CREDIT_AN_HOUR * 6 / 10);
            seller.stake_ppm = 2_000_000;
        }
    }

    /// All jobs again, so many times, each time so much later.
    pub fn repeat(&mut self, times: u64, every_s: u64) {
        for buyer in &mut self.buyers {
            let jobs = std::mem::take(&mut buyer.jobs);
            let again = |n| jobs.iter().map(move |job| Job { at_s: job.at_s + n * every_s, ..job.clone() });
            buyer.jobs = (0..=times).flat_map(again).collect();
        }
    }

    /// All jobs so much later.
    pub fn delay(&mut self, seconds: u64) {
        for job in self.buyers.iter_mut().flat_map(|buyer| &mut buyer.jobs) {
            job.at_s += seconds;
        }
    }

    /// One more seller, honest until it turns, with so many units; cheap enough to win often.
    pub fn rogue_seller(&mut self, name: &str, units: u32) -> &mut Seller {
        let mut draw = StdRng::seed_from_u64(self.seed ^ 0x0005_e11e_5eed);
        let cost_ppm = between(&mut draw, 450_000, 600_000);
        let mut seller = Seller::drawn(name, self.seed, &mut draw);
        seller.units = units;
        seller.true_units = units;
        seller.set_cost(CREDIT_AN_HOUR * u128::from(cost_ppm) / 1_000_000);
        self.coalition.insert(name.to_owned());
        self.sellers.push(seller);
        self.sellers.last_mut().unwrap()
    }

    /// One more buyer, honest until it turns, with these jobs.
    pub fn rogue_buyer(&mut self, name: &str, jobs: Vec<Job>) -> &mut Buyer {
        self.coalition.insert(name.to_owned());
        self.buyers.push(Buyer::new(name, jobs));
        self.buyers.last_mut().unwrap()
    }

    /// The rogue seller of this name.
    pub fn seller(&mut self, name: &str) -> &mut Seller {
        self.sellers.iter_mut().find(|seller| seller.name == name).unwrap()
    }

    /// The rogue buyer of this name.
    pub fn buyer(&mut self, name: &str) -> &mut Buyer {
        self.buyers.iter_mut().find(|buyer| buyer.name == name).unwrap()
    }

    /// The addresses of the coalition.
    pub fn mates(&self) -> BTreeSet<Address> {
        self.coalition.iter().map(|name| address(name)).collect()
    }

    /// Everybody's name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let sellers = self.sellers.iter().map(|seller| seller.name.as_str());
        let buyers = self.buyers.iter().map(|buyer| buyer.name.as_str());
        sellers.chain(buyers).chain(self.squatters.iter().map(|squatter| squatter.name.as_str()))
    }

    /// Everybody as an agent; the coalition first, so that it is first in every block.
    pub fn agents(&self) -> Vec<Box<dyn Agent>> {
        let mates = self.mates();
        let sellers = self.sellers.iter().map(|seller| {
            let mut seller = seller.clone();
            seller.mates.clone_from(&mates);
            (seller.name.clone(), Box::new(seller) as Box<dyn Agent>)
        });
        let buyers = self.buyers.iter().cloned();
        let buyers = buyers.map(|buyer| (buyer.name.clone(), Box::new(buyer) as Box<dyn Agent>));
        let squatters = self.squatters.iter().map(|squatter| {
            let mut squatter = squatter.clone();
            squatter.mates.clone_from(&mates);
            (squatter.name.clone(), Box::new(squatter) as Box<dyn Agent>)
        });
        let all = sellers.chain(buyers).chain(squatters);
        let (rogues, honest): (Vec<_>, Vec<_>) = all.partition(|(name, _)| self.coalition.contains(name));
        rogues.into_iter().chain(honest).map(|(_, agent)| agent).collect()
    }

    /// The application's state at genesis: the reference network's parameters, one class, and money for everybody.
    pub fn genesis(&self) -> Value {
        let mut state: Value = serde_json::from_str::<Value>(REFERENCE).unwrap()["app_state"].take();
        for (name, value) in self.market.as_object().unwrap() {
            state["market"]["params"][name] = value.clone();
        }
        state["auth"]["params"]["fee"]["base_start"] = json!("0.001");
        state["auth"]["accounts"] = self.names().map(|name| json!({ "address": text(name) })).collect();
        let coin = |denom: &str| json!({ "denom": denom, "amount": PURSE.to_string() });
        let balances = self
            .names()
            .map(|name| json!({ "address": text(name), "coins": [coin("ucredit"), coin("uflop")] }));
        state["bank"]["balances"] = balances.collect();
        state["provider"]["classes"] = json!([{
            "id": CLASS, "name": "one GPU", "vram_mib": 24_576, "gpus": 1, "vcpu_milli": 8_000, "memory_mib": 32_768,
            "disk_gib": 200, "device_price_usd": 1_600, "ref_price_day": REF_PRICE_DAY.to_string(), "active": true,
        }]);
        state
    }

    /// What registers the sellers.
    pub fn registrations(&self) -> impl Iterator<Item = (String, Vec<Any>)> {
        self.sellers.iter().filter(|seller| seller.units > 0).map(|seller| {
            let register = MsgRegisterProvider {
                owner: text(&seller.name),
                endpoints: Vec::new(),
                encryption_key: vec![1; 32],
                operators: Vec::new(),
                stake: seller.stake().to_string(),
            };
            (
                seller.name.clone(),
                vec![any(&register), any(&capacity(seller.address, &seller.zone, seller.units))],
            )
        })
    }
}

/// A seller's units in a zone.
pub fn capacity(seller: Address, zone: &str, total: u32) -> MsgSetCapacity {
    let name = seller.to_string();
    MsgSetCapacity { signer: name.clone(), provider: name, class_id: CLASS, zone: zone.into(), total }
}

/// What so many units must be staked with, in uflop, times `ppm`.
pub fn stake_for(units: u32, ppm: u64) -> u64 {
    let required_uc = (u64::from(units) * REF_PRICE_DAY * TIER_DAYS).max(TIER_MIN_UC);
    required_uc / 1_000_000 * ppm * 2
}

/// A number between two, the same for the same seed.
pub fn between(draw: &mut StdRng, low: u64, high: u64) -> u64 {
    draw.random_range(low..=high)
}
