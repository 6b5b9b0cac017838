//! The objects of the market: an order with its lease and its money in one record, an auction while it runs, bids,
//! and what is kept of ended leases and decided rounds.
//!
//! Where an object stands is an enum whose variants hold what exists only there; the ways from one to the next are in
//! `lifecycle`.

use kernel::{Address, Amount, At, Billing, Height, Hold, enumeration, json, one_of, record};
use provider::{Zone, ZonePattern};
use serde::{Deserialize, Serialize};

/// The number of an order, from 1, never reused.
pub type OrderId = u64;
/// The number of a round of an order, from 1.
pub type Round = u32;
/// The five drawbacks of a bidder, or their weights, in ppm: uptime, reputation, slashes, stake, distance.
pub type Parts = [u32; 5];

record! {
    /// What a tenant asks for. It never changes.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Terms {
        /// The class of each unit.
        pub class_id: u32 = 1,
        /// How many units.
        pub count: u32 = 2,
        /// Where they may be.
        pub zones: Vec<ZonePattern> = 3,
        /// The zone to which distance counts.
        pub near: Option<Zone> = 4,
        /// The ceiling for one unit: ucredit a second times 10^18.
        #[serde(with = "json::decimal")]
        pub max_unit_rate: u128 = 5,
        /// For how long, in billing seconds; 0: until it is closed.
        pub duration_s: u32 = 6,
        /// How long the auction runs from the first bid, in blocks.
        pub window_blocks: u32 = 7,
        /// How long a round waits for a first bid, in billing seconds.
        pub ttl_s: u32 = 8,
        /// How long a winner has to confirm the start, in billing seconds.
        pub start_timeout_s: u32 = 9,
        /// The shortest notice of a reclaim that a bid may promise, in billing seconds.
        pub reclaim_min_s: u32 = 10,
        /// The least uptime of a bidder, in ppm.
        pub min_uptime_ppm: u32 = 11,
        /// The weights of the drawbacks, in ppm.
        pub weights: Parts = 12,
        /// SHA-256 of the manifest of the work.
        #[serde(with = "json::hex")]
        pub manifest_hash: [u8; 32] = 13,
        /// The most rounds.
        pub rounds: u32 = 14,
    }

    /// An order, its live lease and its money: one record, so that a live lease is one key under the app hash. What bids
    /// change is not here but in [`Auction`]: a bid reads this record and does not write it.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Order {
        /// Who asks and pays.
        pub tenant: Address = 1,
        /// What it asks for.
        pub terms: Terms = 2,
        /// How long before the money runs out the warning comes, in billing seconds; frozen when the order was created.
        pub grace_s: u32 = 3,
        /// When it was created.
        pub created_at: At<Billing> = 4,
        /// The round that runs or ran last.
        pub round: Round = 5,
        /// Where it stands.
        pub phase: Phase = 6,
        /// Whose bids it takes no more: providers that failed it, fewer than `rounds`.
        pub barred: Vec<Address> = 7,
        /// For how long its ended leases have run, in billing seconds.
        pub served_s: u64 = 8,
        /// Its money.
        pub account: escrow::Account = 9,
        /// Why its due work did not happen. An import tries it again at once.
        #[serde(skip)]
        pub hold: Option<Hold> = 10,
    }

    /// It waits for a first bid.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Open {
        /// Until when.
        pub expires_at: At<Billing> = 1,
    }

    /// Its auction runs: the rest is in [`Auction`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Bidding {}

    /// It has ended.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Closed {
        /// Why.
        pub reason: OrderEnd = 1,
        /// When it ended: the time at which it was due, which may be before the block.
        pub closed_at: At<Billing> = 2,
        /// When it is deleted.
        pub prune_at: At<Billing> = 3,
    }

    /// The live lease of an order. Tenant, class and count are the order's.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Lease {
        /// Who delivers.
        pub provider: Address = 1,
        /// Where the units are.
        pub zone: Zone = 2,
        /// The price of one unit: ucredit a second times 10^18.
        #[serde(with = "json::decimal")]
        pub unit_rate: u128 = 3,
        /// The notice before a reclaim, in billing seconds.
        pub reclaim_s: u32 = 4,
        /// The stake that it locks, in uflop.
        pub lock: Amount = 5,
        /// What not starting costs, in uflop, at most `lock`.
        pub bond: Amount = 6,
        /// When it was awarded.
        pub awarded_at: At<Billing> = 7,
        /// Where it stands.
        pub stage: Stage = 8,
        /// Whether the warning of low funds was given and holds.
        pub low_funds: bool = 9,
    }

    /// The provider must confirm the start.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Starting {
        /// Until when.
        pub deadline: At<Billing> = 1,
    }

    /// It runs and is paid.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Running {
        /// Since when.
        pub started_at: At<Billing> = 1,
        /// When its duration is over; absent: it is open.
        pub end_at: Option<At<Billing>> = 2,
    }

    /// It runs and is paid until the provider takes its machines back.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Reclaiming {
        /// As it ran before the notice.
        pub running: Running = 1,
        /// When the provider takes its machines back.
        pub deadline: At<Billing> = 2,
    }

    /// A lease that has ended, under (order, round).
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct EndedLease {
        /// Who used it.
        pub tenant: Address = 1,
        /// The lease as it stood.
        pub lease: Lease = 2,
        /// What it paid, the fee included, in ucredit.
        pub gross: Amount = 3,
        /// When it ended: the time at which it was due, which may be before the block.
        pub closed_at: At<Billing> = 4,
        /// Why it ended.
        pub reason: LeaseEnd = 5,
    }

    /// What bids change of an order: the row that is written with every bid, so it is small. It exists while the order
    /// is in [`Phase::Bidding`].
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Auction {
        /// The first bid in rank.
        pub best: Best = 1,
        /// How many bids there are.
        pub bid_count: u32 = 2,
        /// The number of the last bid or improvement.
        pub bid_seq: u64 = 3,
        /// The height at which it is decided.
        pub close_height: At<Height> = 4,
        /// How often it was extended.
        pub extensions: u32 = 5,
        /// Why it was not decided when it was due. An import tries it again at once.
        #[serde(skip)]
        pub hold: Option<Hold> = 6,
    }

    /// The first bid in rank.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Best {
        /// Its effective price.
        #[serde(with = "json::decimal")]
        pub eff: u128 = 1,
        /// Its provider.
        pub provider: Address = 2,
    }

    /// A provider's binding offer, under (order, provider).
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Bid {
        /// Where the units are.
        pub zone: Zone = 1,
        /// The price of one unit: ucredit a second times 10^18.
        #[serde(with = "json::decimal")]
        pub unit_rate: u128 = 2,
        /// The notice that it promises before a reclaim, in billing seconds.
        pub reclaim_s: u32 = 3,
        /// Its drawbacks when it was placed, in ppm.
        pub parts: Parts = 4,
        /// What its weighted drawbacks make of its price, in ppm; frozen when it was placed.
        pub multiplier_ppm: u32 = 5,
        /// Its number in the order; an improvement takes a new one.
        pub seq: u64 = 6,
        /// The stake that it locks, in uflop.
        pub lock: Amount = 7,
        /// What not starting would cost, in uflop, at most `lock`.
        pub bond: Amount = 8,
        /// The height at which it was placed.
        pub placed_height: At<Height> = 9,
    }

    /// How a round was decided, under (order, round), with all that repeats the draw.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Award {
        /// The height at which the auction closed.
        pub height: At<Height> = 1,
        /// The seed of that height.
        #[serde(with = "json::hex")]
        pub seed: [u8; 32] = 2,
        /// The best effective price.
        #[serde(with = "json::decimal")]
        pub best_eff: u128 = 3,
        /// The highest effective price in the draw.
        #[serde(with = "json::decimal")]
        pub limit: u128 = 4,
        /// Who won.
        pub winner: Address = 5,
        /// How many bids there were.
        pub bidders: u32 = 6,
        /// The bids in the draw, in rank.
        pub rows: Vec<AwardRow> = 7,
    }

    /// One bid in the draw.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct AwardRow {
        /// Its provider.
        pub provider: Address = 1,
        /// Where its units are.
        pub zone: Zone = 2,
        /// The price of one unit.
        #[serde(with = "json::decimal")]
        pub unit_rate: u128 = 3,
        /// How far below the ceiling it was, in ppm.
        pub delta_ppm: u32 = 4,
        /// Its drawbacks, in ppm.
        pub parts: Parts = 5,
        /// What they made of its price, in ppm.
        pub multiplier_ppm: u32 = 6,
        /// Its weight in the draw: limit - eff + 1.
        #[serde(with = "json::decimal")]
        pub weight: u128 = 7,
    }

    /// Running totals.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Totals {
        /// The number of the last order; 0: there was none yet.
        pub last_order: OrderId = 1,
        /// The stake that all live bids and leases lock, in uflop.
        pub locked: Amount = 2,
    }
}

one_of! {
    /// Where an order stands.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Phase {
        /// It waits for a first bid.
        Open(Open) = 1,
        /// Its auction runs.
        Bidding(Bidding) = 2,
        /// It has a lease.
        Leased(Lease) = 3,
        /// It has ended.
        Closed(Closed) = 4,
    }
}

one_of! {
    /// Where a live lease stands.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Stage {
        /// The provider must confirm the start.
        Starting(Starting) = 1,
        /// It runs and is paid.
        Active(Running) = 2,
        /// It runs and is paid until the provider takes its machines back.
        Reclaiming(Reclaiming) = 3,
    }
}

enumeration! {
    /// Where an order stands, as a number for indexes and queries.
    #[derive(Hash)]
    pub enum OrderState {
        /// It waits for a first bid.
        Open = 1,
        /// Its auction runs.
        Bidding = 2,
        /// It has a lease.
        Leased = 3,
        /// It has ended.
        Closed = 4,
    }
}

enumeration! {
    /// Why an order ended.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum OrderEnd {
        /// The tenant cancelled it before any bid.
        Cancelled = 1,
        /// Nobody bid in time.
        Expired = 2,
        /// Its lease ended as it should, or the tenant closed it.
        Completed = 3,
        /// Its last round failed.
        RoundsExhausted = 4,
        /// The money ran out, or what is left does not carry another round.
        Underfunded = 5,
    }
}

enumeration! {
    /// Why a lease ended.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum LeaseEnd {
        /// The tenant is done.
        TenantDone = 1,
        /// The tenant reported that nothing was delivered.
        TenantNotDelivered = 2,
        /// The tenant was not content.
        TenantQuality = 3,
        /// The tenant closed it before it had started.
        TenantCancelled = 4,
        /// Its duration was over.
        EndReached = 5,
        /// The money ran out.
        OutOfFunds = 6,
        /// The provider took its machines back after notice.
        Reclaimed = 7,
        /// The provider did not start it in time.
        NoStart = 8,
        /// The provider left without notice.
        Abandoned = 9,
    }
}

enumeration! {
    /// What a tenant says when it closes a lease.
    pub enum TenantReason {
        /// The work is done.
        Done = 1,
        /// Nothing was delivered.
        NotDelivered = 2,
        /// What was delivered was not good.
        Quality = 3,
    }
}
