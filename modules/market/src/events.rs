//! What the market tells. The names and numbers are those of `underbid/market/v1/events.proto`, which documents the fields.

use kernel::{Address, Amount, At, Billing, Height};
use provider::{Zone, ZonePattern};

use crate::{
    params::Params,
    types::{LeaseEnd, OrderEnd, OrderId, Parts, Round},
};

kernel::event! {
    "underbid.market.v1"
    /// An order was created; its fee is paid and its deposit is in escrow.
    pub struct OrderCreated as EventOrderCreated {
        order_id: OrderId = 1, tenant: Address = 2, class_id: u32 = 3, count: u32 = 4, zones: Vec<ZonePattern> = 5,
        near: Option<Zone> = 6, max_unit_rate: u128 = 7, duration_s: u32 = 8, window_blocks: u32 = 9, ttl_s: u32 = 10,
        start_timeout_s: u32 = 11, reclaim_min_s: u32 = 12, min_uptime_ppm: u32 = 13, weights: Parts = 14,
        manifest_hash: [u8; 32] = 15, rounds: u32 = 16, deposit: Amount = 17, order_fee: Amount = 18,
        fee_ppm: u32 = 19, expires_at: At<Billing> = 20,
    }
    /// A bid was placed.
    pub struct BidCreated as EventBidCreated {
        order_id: OrderId = 1, round: Round = 2, provider: Address = 3, zone: Zone = 4, unit_rate: u128 = 5,
        reclaim_s: u32 = 6, parts: Parts = 7, multiplier_ppm: u32 = 8, eff: u128 = 9, seq: u64 = 10, leads: bool = 11,
        close_height: At<Height> = 12, lock: Amount = 13, bond: Amount = 14,
    }
    /// The price of a bid was lowered.
    pub struct BidImproved as EventBidImproved {
        order_id: OrderId = 1, round: Round = 2, provider: Address = 3, unit_rate: u128 = 4, eff: u128 = 5,
        seq: u64 = 6, leads: bool = 7, close_height: At<Height> = 8, lock: Amount = 9,
    }
    /// The last bid in rank made room for a better one.
    pub struct BidEvicted as EventBidEvicted { order_id: OrderId = 1, round: Round = 2, provider: Address = 3 }
    /// A bid that could not win any more was taken back; what it held is free.
    pub struct BidWithdrawn as EventBidWithdrawn { order_id: OrderId = 1, round: Round = 2, provider: Address = 3 }
    /// A bid did not win; what it held is free.
    pub struct BidLost as EventBidLost { order_id: OrderId = 1, round: Round = 2, provider: Address = 3 }
    /// A bid near its end extended an auction.
    pub struct AuctionExtended as EventAuctionExtended {
        order_id: OrderId = 1, round: Round = 2, extensions: u32 = 3, close_height: At<Height> = 4,
    }
    /// An auction was decided.
    pub struct OrderAwarded as EventOrderAwarded {
        order_id: OrderId = 1, round: Round = 2, winner: Address = 3, unit_rate: u128 = 4, seed: [u8; 32] = 5,
        bidders: u32 = 6, start_deadline: At<Billing> = 7,
    }
    /// A lease started; it is paid from now on.
    pub struct LeaseStarted as EventLeaseStarted {
        order_id: OrderId = 1, round: Round = 2, provider: Address = 3, rate: u128 = 4, started_at: At<Billing> = 5,
        end_at: At<Billing> = 6, dry_at: At<Billing> = 7,
    }
    /// Money was added to an order.
    pub struct Deposited as EventDeposited {
        order_id: OrderId = 1, depositor: Address = 2, amount: Amount = 3, dry_at: Option<At<Billing>> = 4,
    }
    /// The money of a lease is about to run out.
    pub struct LeaseLowFunds as EventLeaseLowFunds { order_id: OrderId = 1, round: Round = 2, dry_at: At<Billing> = 3 }
    /// A provider gave notice that it takes its machines back.
    pub struct ReclaimStarted as EventReclaimStarted {
        order_id: OrderId = 1, round: Round = 2, deadline: At<Billing> = 3,
    }
    /// A lease ended.
    pub struct LeaseClosed as EventLeaseClosed {
        order_id: OrderId = 1, round: Round = 2, provider: Address = 3, reason: LeaseEnd = 4, gross: Amount = 5,
        fee: Amount = 6, served_s: u64 = 7, closed_at: At<Billing> = 8,
    }
    /// An order is open again.
    pub struct OrderReopened as EventOrderReopened {
        order_id: OrderId = 1, round: Round = 2, expires_at: At<Billing> = 3,
    }
    /// An order ended; its money is back with the depositors.
    pub struct OrderClosed as EventOrderClosed {
        order_id: OrderId = 1, reason: OrderEnd = 2, refunded: Amount = 3, closed_at: At<Billing> = 4,
    }
    /// An order, with its leases, awards and account, was deleted.
    pub struct OrderPruned as EventOrderPruned { order_id: OrderId = 1 }
    /// The parameters were replaced.
    pub struct ParamsUpdated as EventParamsUpdated { params: Params = 1 }
}
