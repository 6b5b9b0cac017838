//! What there is, in the shape in which a genesis document gives it.
#![allow(missing_docs, reason = "the specification says what each field means")]

use serde::{Deserialize, Serialize};

use crate::{Address, escrow::Account, numbers::text};

/// A kind of bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Class {
    pub id: u32,
    pub name: String,
    pub vram_mib: u32,
    pub gpus: u32,
    pub vcpu_milli: u32,
    pub memory_mib: u32,
    pub disk_gib: u32,
    pub device_price_usd: u32,
    #[serde(with = "text")]
    pub ref_price_day: u128,
    pub active: bool,
}

/// Where a provider stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Exiting,
    Exited,
}

/// Someone who offers machines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provider {
    pub owner: Address,
    pub operators: Vec<Address>,
    pub endpoints: Vec<String>,
    pub encryption_key: String,
    pub status: Status,
    #[serde(with = "text")]
    pub stake_total: u128,
    #[serde(with = "text")]
    pub stake_locked: u128,
    #[serde(with = "text")]
    pub required_uc: u128,
    #[serde(with = "text")]
    pub minimum_uc: u128,
    pub uptime_ppm: u64,
    #[serde(with = "text")]
    pub good: u128,
    #[serde(with = "text")]
    pub bad: u128,
    pub slash_ppm: u64,
    pub scored_at: u64,
    pub created_at: u64,
    pub unbonding_seq: u32,
    #[serde(with = "text")]
    pub shrunk_from_uc: u128,
    pub shrunk_at: u64,
}

/// What a provider offers of a class in a zone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Line {
    pub total: u32,
    pub reserved: u32,
    pub leased: u32,
    #[serde(with = "text")]
    pub unit_required: u128,
    #[serde(with = "text")]
    pub tier_min: u128,
}

/// Stake on its way back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unbonding {
    #[serde(with = "text")]
    pub amount: u128,
    pub due_at: u64,
}

/// An order with all that belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    pub id: u64,
    pub order: Order,
    pub auction: Option<Auction>,
    pub bids: Vec<Placed>,
    pub rounds: Vec<Round>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub tenant: Address,
    pub terms: Terms,
    pub grace_s: u64,
    pub created_at: u64,
    pub round: u32,
    pub phase: Phase,
    pub barred: Vec<Address>,
    pub served_s: u64,
    pub account: Account,
}

/// What a tenant asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Terms {
    pub class_id: u32,
    pub count: u32,
    pub zones: Vec<String>,
    pub near: Option<String>,
    #[serde(with = "text")]
    pub max_unit_rate: u128,
    pub duration_s: u64,
    pub window_blocks: u64,
    pub ttl_s: u64,
    pub start_timeout_s: u64,
    pub reclaim_min_s: u64,
    pub min_uptime_ppm: u64,
    pub weights: Vec<u64>,
    pub manifest_hash: String,
    pub rounds: u32,
}

/// Where an order stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Open { expires_at: u64 },
    Bidding {},
    Leased(Lease),
    Closed { reason: OrderClosed, closed_at: u64, prune_at: u64 },
}

/// Why an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderClosed {
    Cancelled,
    Expired,
    Completed,
    RoundsExhausted,
    Underfunded,
}

/// An auction that runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Auction {
    pub best: Best,
    pub bid_count: u32,
    pub bid_seq: u64,
    pub close_height: u64,
    pub extensions: u64,
}

/// The first bid in rank.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Best {
    #[serde(with = "text")]
    pub eff: u128,
    pub provider: Address,
}

/// A bid and whose it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Placed {
    pub provider: Address,
    pub bid: Bid,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bid {
    pub zone: String,
    #[serde(with = "text")]
    pub unit_rate: u128,
    pub reclaim_s: u64,
    pub parts: Vec<u64>,
    pub multiplier_ppm: u64,
    pub seq: u64,
    #[serde(with = "text")]
    pub lock: u128,
    #[serde(with = "text")]
    pub bond: u128,
    pub placed_height: u64,
}

impl Bid {
    /// The effective price.
    pub fn eff(&self) -> u128 {
        self.unit_rate * u128::from(self.multiplier_ppm)
    }

    /// The smallest comes first.
    pub fn rank(&self) -> (u128, u64) {
        (self.eff(), self.seq)
    }
}

/// A live lease, or what it was at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    pub provider: Address,
    pub zone: String,
    #[serde(with = "text")]
    pub unit_rate: u128,
    pub reclaim_s: u64,
    #[serde(with = "text")]
    pub lock: u128,
    #[serde(with = "text")]
    pub bond: u128,
    pub awarded_at: u64,
    pub stage: Stage,
    pub low_funds: bool,
}

/// Where a lease stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Starting { deadline: u64 },
    Active(Running),
    Reclaiming { running: Running, deadline: u64 },
}

/// A lease that was started.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Running {
    pub started_at: u64,
    pub end_at: Option<u64>,
}

impl Lease {
    /// Since when and until when at most it runs.
    pub fn running(&self) -> Option<Running> {
        match self.stage {
            Stage::Starting { .. } => None,
            Stage::Active(running) | Stage::Reclaiming { running, .. } => Some(running),
        }
    }

    /// When the provider takes its machines back.
    pub fn reclaim_deadline(&self) -> Option<u64> {
        match self.stage {
            Stage::Reclaiming { deadline, .. } => Some(deadline),
            _ => None,
        }
    }
}

/// What is kept of a round: how it was decided, and its lease when that has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Round {
    pub round: u32,
    pub award: Award,
    pub lease: Option<EndedLease>,
}

/// How a round was decided.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Award {
    pub height: u64,
    pub seed: String,
    #[serde(with = "text")]
    pub best_eff: u128,
    #[serde(with = "text")]
    pub limit: u128,
    pub winner: Address,
    pub bidders: u32,
    pub rows: Vec<AwardRow>,
}

/// A bid that took part in a draw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AwardRow {
    pub provider: Address,
    pub zone: String,
    #[serde(with = "text")]
    pub unit_rate: u128,
    pub delta_ppm: u64,
    pub parts: Vec<u64>,
    pub multiplier_ppm: u64,
    #[serde(with = "text")]
    pub weight: u128,
}

/// A lease that has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EndedLease {
    pub tenant: Address,
    pub lease: Lease,
    #[serde(with = "text")]
    pub gross: u128,
    pub closed_at: u64,
    pub reason: LeaseClosed,
}

/// Why a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseClosed {
    TenantDone,
    TenantNotDelivered,
    TenantQuality,
    TenantCancelled,
    EndReached,
    OutOfFunds,
    Reclaimed,
    NoStart,
    Abandoned,
}
