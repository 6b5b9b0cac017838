//! The messages. After `parse` nothing below holds a text for an address, an amount or an id.

use kernel::{Address, Amount, Message, ONE_PPM, Reject, Signers, module::canonical, num::parse_u128};
use provider::{Zone, ZonePattern};

use crate::{
    params::{LIST_LIMIT, Params},
    pb,
    types::{OrderId, Parts, TenantReason, Terms},
};

/// A message of the market with its signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Msg {
    /// Asks for units at a ceiling.
    CreateOrder(Address, CreateOrder),
    /// Takes an order back before any bid.
    CancelOrder(Address, CancelOrder),
    /// Offers units for an order; binding while it may win.
    CreateBid(Address, CreateBid),
    /// Lowers the price of a bid.
    ImproveBid(Address, ImproveBid),
    /// Takes back a bid that can't win any more.
    WithdrawBid(Address, WithdrawBid),
    /// Says that the awarded units are there; payment starts.
    ConfirmStart(Address, ConfirmStart),
    /// Adds money to an order.
    TopUp(Address, TopUp),
    /// Ends a lease as the tenant.
    CloseLease(Address, CloseLease),
    /// Gives notice that the provider takes its machines back.
    ReclaimLease(Address, ReclaimLease),
    /// Ends a lease as the provider, at once, at the price of a slash.
    AbandonLease(Address, AbandonLease),
    /// Does what is due on an order and pays its provider up to now.
    Settle(Address, Settle),
    /// Replaces the parameters.
    UpdateParams(Address, UpdateParams),
}

/// Asks for units at a ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOrder {
    /// What is asked for; its weights count only without `default_weights`.
    pub terms: Terms,
    /// Whether the weights of the parameters are taken.
    pub default_weights: bool,
    /// What is put in at once, in ucredit.
    pub deposit: Amount,
}

/// Takes an order back before any bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelOrder {
    /// The order.
    pub order: OrderId,
}

/// Offers units for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateBid {
    /// The provider.
    pub provider: Address,
    /// The order.
    pub order: OrderId,
    /// Where the units are.
    pub zone: Zone,
    /// The price of one unit: ucredit a second times 10^18.
    pub unit_rate: u128,
    /// The notice before a reclaim, in billing seconds.
    pub reclaim_s: u32,
}

/// Lowers the price of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImproveBid {
    /// The provider.
    pub provider: Address,
    /// The order.
    pub order: OrderId,
    /// The new price of one unit.
    pub unit_rate: u128,
}

/// Takes back a bid that can't win any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawBid {
    /// The provider.
    pub provider: Address,
    /// The order.
    pub order: OrderId,
}

/// Says that the awarded units are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmStart {
    /// The order.
    pub order: OrderId,
}

/// Adds money to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// The order.
    pub order: OrderId,
    /// How much, in ucredit.
    pub amount: Amount,
}

/// Ends a lease as the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseLease {
    /// The order.
    pub order: OrderId,
    /// Why.
    pub reason: TenantReason,
}

/// Gives notice that the provider takes its machines back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReclaimLease {
    /// The order.
    pub order: OrderId,
}

/// Ends a lease as the provider, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbandonLease {
    /// The order.
    pub order: OrderId,
}

/// Does what is due on an order and pays its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settle {
    /// The order.
    pub order: OrderId,
}

/// Replaces the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    /// The new ones.
    pub params: Params,
}

/// What later blocks do for an order whatever becomes of it: its decision without the bids, a start that does not come, its
/// end, its deletion. Every figure here is checked by a test against what the work costs at its largest.
const ORDER_DUE_GAS: u64 = 140_000;
/// What each further round of it does: a decision without the bids, and a start that does not come.
const ROUND_DUE_GAS: u64 = 70_000;
/// What the decision does for each bid: it frees what the bid holds, deletes it and writes its row of the award.
const BID_DUE_GAS: u64 = 40_000;
/// What is due for a running lease: the warning and its end.
const LEASE_DUE_GAS: u64 = 100_000;
/// What the end of an order does for each depositor: a refund.
const REFUND_DUE_GAS: u64 = 20_000;
/// An improvement leaves no work of its own to later blocks; it pays this part of a bid's so that it is not free.
const IMPROVEMENTS_A_BID: u64 = 8;

impl Message for Msg {
    fn parse(name: &str, body: &[u8], _: u32) -> Result<Self, Reject> {
        match name {
            "underbid.market.v1.MsgCreateOrder" => CreateOrder::parse(canonical(body)?),
            "underbid.market.v1.MsgCancelOrder" => {
                let body: pb::MsgCancelOrder = canonical(body)?;
                Ok(Self::CancelOrder(signer(&body.tenant)?, CancelOrder { order: order_id(body.order_id)? }))
            }
            "underbid.market.v1.MsgCreateBid" => CreateBid::parse(canonical(body)?),
            "underbid.market.v1.MsgImproveBid" => ImproveBid::parse(canonical(body)?),
            "underbid.market.v1.MsgWithdrawBid" => WithdrawBid::parse(canonical(body)?),
            "underbid.market.v1.MsgConfirmStart" => {
                let body: pb::MsgConfirmStart = canonical(body)?;
                Ok(Self::ConfirmStart(
                    signer(&body.signer)?,
                    ConfirmStart { order: order_id(body.order_id)? },
                ))
            }
            "underbid.market.v1.MsgTopUp" => TopUp::parse(canonical(body)?),
            "underbid.market.v1.MsgCloseLease" => CloseLease::parse(canonical(body)?),
            "underbid.market.v1.MsgReclaimLease" => {
                let body: pb::MsgReclaimLease = canonical(body)?;
                Ok(Self::ReclaimLease(
                    signer(&body.signer)?,
                    ReclaimLease { order: order_id(body.order_id)? },
                ))
            }
            "underbid.market.v1.MsgAbandonLease" => {
                let body: pb::MsgAbandonLease = canonical(body)?;
                Ok(Self::AbandonLease(signer(&body.owner)?, AbandonLease { order: order_id(body.order_id)? }))
            }
            "underbid.market.v1.MsgSettle" => {
                let body: pb::MsgSettle = canonical(body)?;
                Ok(Self::Settle(signer(&body.signer)?, Settle { order: order_id(body.order_id)? }))
            }
            "underbid.market.v1.MsgUpdateParams" => UpdateParams::parse(canonical(body)?),
            _ => Err(Reject::unknown_request(format!("{name} is not a message of the market"))),
        }
    }

    fn signers(&self) -> Signers {
        Signers::one(match self {
            Self::CreateOrder(signer, _)
            | Self::CancelOrder(signer, _)
            | Self::CreateBid(signer, _)
            | Self::ImproveBid(signer, _)
            | Self::WithdrawBid(signer, _)
            | Self::ConfirmStart(signer, _)
            | Self::TopUp(signer, _)
            | Self::CloseLease(signer, _)
            | Self::ReclaimLease(signer, _)
            | Self::AbandonLease(signer, _)
            | Self::Settle(signer, _)
            | Self::UpdateParams(signer, _) => *signer,
        })
    }

    fn base_gas(&self) -> u64 {
        match self {
            Self::CreateOrder(_, msg) => {
                let further = u64::from(msg.terms.rounds.saturating_sub(1));
                ROUND_DUE_GAS.saturating_mul(further).saturating_add(ORDER_DUE_GAS)
            }
            Self::CreateBid(..) => BID_DUE_GAS,
            Self::ImproveBid(..) => BID_DUE_GAS.checked_div(IMPROVEMENTS_A_BID).unwrap_or_default(),
            Self::ConfirmStart(..) => LEASE_DUE_GAS,
            Self::TopUp(..) => REFUND_DUE_GAS,
            _ => 0,
        }
    }
}

impl Msg {
    /// The order that it is about, if there is one already.
    pub(crate) const fn order(&self) -> Option<OrderId> {
        Some(match self {
            Self::CancelOrder(_, msg) => msg.order,
            Self::CreateBid(_, msg) => msg.order,
            Self::ImproveBid(_, msg) => msg.order,
            Self::WithdrawBid(_, msg) => msg.order,
            Self::ConfirmStart(_, msg) => msg.order,
            Self::TopUp(_, msg) => msg.order,
            Self::CloseLease(_, msg) => msg.order,
            Self::ReclaimLease(_, msg) => msg.order,
            Self::AbandonLease(_, msg) => msg.order,
            Self::Settle(_, msg) => msg.order,
            Self::CreateOrder(..) | Self::UpdateParams(..) => return None,
        })
    }

    /// The provider that bids.
    pub(crate) const fn bidder(&self) -> Option<Address> {
        match self {
            Self::CreateBid(_, msg) => Some(msg.provider),
            Self::ImproveBid(_, msg) => Some(msg.provider),
            Self::WithdrawBid(_, msg) => Some(msg.provider),
            _ => None,
        }
    }
}

impl CreateOrder {
    fn parse(body: pb::MsgCreateOrder) -> Result<Msg, Reject> {
        let weights: Option<Parts> = match body.weights.as_slice() {
            [] => None,
            weights => Some(weights.try_into().map_err(|_| expected("weights", "none or exactly five"))?),
        };
        let near = if body.near.is_empty() { None } else { Some(Zone::parse(&body.near)?) };
        let terms = Terms {
            class_id: body.class_id,
            count: body.count,
            zones: zones(&body.zones)?,
            near,
            max_unit_rate: unit_rate("max_unit_rate", &body.max_unit_rate)?,
            duration_s: body.duration_s,
            window_blocks: body.window_blocks,
            ttl_s: body.ttl_s,
            start_timeout_s: body.start_timeout_s,
            reclaim_min_s: body.reclaim_min_s,
            min_uptime_ppm: body.min_uptime_ppm,
            weights: weights.unwrap_or_default(),
            manifest_hash: hash("manifest_hash", &body.manifest_hash)?,
            rounds: body.rounds,
        };
        if terms.min_uptime_ppm > ONE_PPM {
            return Err(expected("min_uptime_ppm", "at most 1000000"));
        }
        let deposit = Amount::parse(&body.deposit)?;
        let order = Self { terms, default_weights: weights.is_none(), deposit };
        Ok(Msg::CreateOrder(signer(&body.tenant)?, order))
    }
}

impl CreateBid {
    fn parse(body: pb::MsgCreateBid) -> Result<Msg, Reject> {
        let bid = Self {
            provider: Address::parse(&body.provider)?,
            order: order_id(body.order_id)?,
            zone: Zone::parse(&body.zone)?,
            unit_rate: unit_rate("unit_rate", &body.unit_rate)?,
            reclaim_s: body.reclaim_s,
        };
        Ok(Msg::CreateBid(signer(&body.signer)?, bid))
    }
}

impl ImproveBid {
    fn parse(body: pb::MsgImproveBid) -> Result<Msg, Reject> {
        let bid = Self {
            provider: Address::parse(&body.provider)?,
            order: order_id(body.order_id)?,
            unit_rate: unit_rate("unit_rate", &body.unit_rate)?,
        };
        Ok(Msg::ImproveBid(signer(&body.signer)?, bid))
    }
}

impl WithdrawBid {
    fn parse(body: pb::MsgWithdrawBid) -> Result<Msg, Reject> {
        let bid = Self { provider: Address::parse(&body.provider)?, order: order_id(body.order_id)? };
        Ok(Msg::WithdrawBid(signer(&body.signer)?, bid))
    }
}

impl TopUp {
    fn parse(body: pb::MsgTopUp) -> Result<Msg, Reject> {
        let amount = Amount::parse(&body.amount)?;
        Ok(Msg::TopUp(signer(&body.signer)?, Self { order: order_id(body.order_id)?, amount }))
    }
}

impl CloseLease {
    fn parse(body: pb::MsgCloseLease) -> Result<Msg, Reject> {
        let reason = u32::try_from(body.reason)
            .ok()
            .and_then(TenantReason::from_number)
            .ok_or_else(|| expected("reason", "done, not delivered or quality"))?;
        Ok(Msg::CloseLease(signer(&body.tenant)?, Self { order: order_id(body.order_id)?, reason }))
    }
}

impl UpdateParams {
    fn parse(body: pb::MsgUpdateParams) -> Result<Msg, Reject> {
        let params = body.params.ok_or_else(|| expected("params", "the new parameters"))?;
        Ok(Msg::UpdateParams(signer(&body.authority)?, Self { params: Params::try_from(params)? }))
    }
}

pub(crate) fn expected(field: &str, what: &str) -> Reject {
    Reject::invalid_request(format!("{field}: expected {what}"))
}

fn signer(text: &str) -> Result<Address, Reject> {
    Address::parse(text)
}

/// An order's number, from 1.
pub(crate) fn order_id(id: u64) -> Result<OrderId, Reject> {
    if id == 0 { Err(expected("order_id", "a number from 1")) } else { Ok(id) }
}

/// A price of one unit. Zero is left to the guard that knows the ceiling; what no parameter can allow is refused here.
pub(crate) fn unit_rate(field: &str, text: &str) -> Result<u128, Reject> {
    parse_u128(text)
        .filter(|rate| *rate <= escrow::RATE_MAX)
        .ok_or_else(|| expected(field, "a decimal of ucredit a second times 10^18, at most 10^28"))
}

fn zones(texts: &[String]) -> Result<Vec<ZonePattern>, Reject> {
    if texts.is_empty() || texts.len() > usize::try_from(LIST_LIMIT).unwrap_or_default() {
        return Err(expected("zones", "1 to 64 zones"));
    }
    let zones = texts.iter().map(|text| ZonePattern::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let mut distinct: Vec<&ZonePattern> = zones.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() != zones.len() {
        return Err(expected("zones", "distinct zones"));
    }
    Ok(zones)
}

fn hash(field: &str, bytes: &[u8]) -> Result<[u8; 32], Reject> {
    bytes.try_into().map_err(|_| expected(field, "32 bytes"))
}
