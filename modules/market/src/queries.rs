//! The queries, and escrow's `Account`, whose records live in the market's orders.

use kernel::{Address, Ctx, Error as KernelError, Page, Result, Route, Status, query};
use prost::Message as _;
use proto::underbid::escrow::v1 as escrow_pb;
use provider::Zone;

use crate::{
    formulas,
    handlers::{
        bids::{appraise, check_create, check_improve},
        leases::charge,
    },
    msgs::{CreateBid, ImproveBid, order_id, unit_rate},
    pb,
    state::{
        self, AUCTIONS, AWARDS, BIDS, BIDS_BY_PROVIDER, ENDED_BY_PROVIDER, ENDED_BY_TENANT, ENDED_LEASES,
        HELD, LEASES_BY_PROVIDER, LEASES_BY_TENANT, ORDERS, ORDERS_BY_CLASS, ORDERS_BY_STATE,
        ORDERS_BY_STATE_AND_CLASS, ORDERS_BY_TENANT,
    },
    types::{Order, OrderId, OrderState, Phase, Round},
};

/// Paths and handlers.
pub const ROUTES: &[Route] = &[
    ("/underbid.market.v1.Query/Params", params),
    ("/underbid.market.v1.Query/Order", order),
    ("/underbid.market.v1.Query/Orders", orders),
    ("/underbid.market.v1.Query/Bids", bids),
    ("/underbid.market.v1.Query/BidsByProvider", bids_by_provider),
    ("/underbid.market.v1.Query/QuoteBid", quote_bid),
    ("/underbid.market.v1.Query/Award", award),
    ("/underbid.market.v1.Query/Lease", lease),
    ("/underbid.market.v1.Query/Leases", leases),
    ("/underbid.market.v1.Query/Held", held),
    ("/underbid.escrow.v1.Query/Account", account),
];

fn params(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    query::request::<pb::QueryParamsRequest>(bytes)?;
    let params = Some(state::params(ctx)?.into());
    Ok(pb::QueryParamsResponse { params }.encode_to_vec())
}

fn load(ctx: &Ctx, id: u64) -> Result<Order, Status> {
    let id = order_id(id)?;
    ORDERS.get(ctx, &id)?.ok_or_else(|| Status::not_found(format!("order {id} does not exist")))
}

fn order(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryOrderRequest = query::request(bytes)?;
    let order = load(ctx, asked.order_id)?;
    let auction = AUCTIONS.get(ctx, &asked.order_id)?;
    let held = order.hold.is_some() || auction.as_ref().is_some_and(|auction| auction.hold.is_some());
    let queue = if held { pb::DueQueue::Unspecified } else { pb::queue(order.state()) };
    let next_due = match &auction {
        Some(auction) => auction.close_height.value(),
        None => pb::seconds(order.next().map(|(at, _)| at)),
    };
    let order = Some(pb::order(asked.order_id, order, auction));
    Ok(pb::QueryOrderResponse { order, queue: queue.into(), next_due }.encode_to_vec())
}

fn orders(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryOrdersRequest = query::request(bytes)?;
    let state = match asked.state {
        0 => None,
        number => Some(
            u32::try_from(number)
                .ok()
                .and_then(OrderState::from_number)
                .ok_or_else(|| Status::invalid_argument("state: expected a state of an order"))?,
        ),
    };
    let tenant = optional_address(&asked.tenant)?;
    let class = asked.class_id;
    let (keys, pagination) = query::paged(asked.pagination, |from, limit| match (&tenant, state) {
        (Some(tenant), _) => ORDERS.by(ctx, ORDERS_BY_TENANT, tenant, from, limit),
        (None, Some(state)) if class > 0 => {
            ORDERS.by(ctx, ORDERS_BY_STATE_AND_CLASS, &(state.number(), class), from, limit)
        }
        (None, Some(state)) => ORDERS.by(ctx, ORDERS_BY_STATE, &state.number(), from, limit),
        (None, None) if class > 0 => ORDERS.by(ctx, ORDERS_BY_CLASS, &class, from, limit),
        (None, None) => keys_of(ORDERS.page(ctx, &(), from, limit)?),
    })?;
    let mut orders = Vec::with_capacity(keys.len());
    for (id, ()) in keys {
        let order = load(ctx, id)?;
        let wanted =
            state.is_none_or(|state| state == order.state()) && [0, order.terms.class_id].contains(&class);
        if wanted {
            orders.push(pb::order(id, order, AUCTIONS.get(ctx, &id)?));
        }
    }
    Ok(pb::QueryOrdersResponse { orders, pagination: Some(pagination) }.encode_to_vec())
}

fn keys_of<K, V>(page: Page<K, V>) -> Result<Page<K, ()>> {
    Ok(Page { items: page.items.into_iter().map(|(key, _)| (key, ())).collect(), next: page.next })
}

fn optional_address(text: &str) -> Result<Option<Address>, Status> {
    if text.is_empty() { Ok(None) } else { Ok(Some(Address::parse(text)?)) }
}

fn bids(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryBidsRequest = query::request(bytes)?;
    load(ctx, asked.order_id)?;
    let (rows, pagination) =
        query::paged(asked.pagination, |from, limit| BIDS.page(ctx, &asked.order_id, from, limit))?;
    let bids = rows.iter().map(|((id, provider), bid)| pb::bid(*id, *provider, bid)).collect();
    Ok(pb::QueryBidsResponse { bids, pagination: Some(pagination) }.encode_to_vec())
}

fn bids_by_provider(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryBidsByProviderRequest = query::request(bytes)?;
    let provider = Address::parse(&asked.provider)?;
    let (keys, pagination) =
        query::paged(asked.pagination, |from, limit| BIDS.by(ctx, BIDS_BY_PROVIDER, &provider, from, limit))?;
    let mut bids = Vec::with_capacity(keys.len());
    for (key, ()) in keys {
        if let Some(bid) = BIDS.get(ctx, &key)? {
            bids.push(pb::bid(key.0, key.1, &bid));
        }
    }
    Ok(pb::QueryBidsByProviderResponse { bids, pagination: Some(pagination) }.encode_to_vec())
}

/// What a bid, or an improvement where the provider has a bid, would be worth, and the first guard that refuses it: the
/// guards are those of the messages, asked in the name of the provider's owner, in the next block, which is the first that
/// can have it.
fn quote_bid(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryQuoteBidRequest = query::request(bytes)?;
    let (id, order) = (asked.order_id, load(ctx, asked.order_id)?);
    let owner = Address::parse(&asked.provider)?;
    let provider =
        provider::get(ctx, &owner)?.ok_or_else(|| Status::not_found(format!("{owner} is not a provider")))?;
    let reclaim_s = if asked.reclaim_s == 0 { order.terms.reclaim_min_s } else { asked.reclaim_s };
    let (params, stake) = (state::params(ctx)?, provider::params(ctx)?);
    let height = ctx.block.height.saturating_plus(1);
    let msg = CreateBid {
        provider: owner,
        order: id,
        zone: Zone::parse(&asked.zone)?,
        unit_rate: unit_rate("unit_rate", &asked.unit_rate)?,
        reclaim_s,
    };
    let book = state::book(ctx, id)?;
    let own = book.iter().find(|(provider, _)| *provider == owner).map(|(_, bid)| bid);
    let mut bid = appraise(ctx, &provider, &order.terms, &msg, &params, &stake)?;
    let checked = match own {
        None => check_create(ctx, owner, &msg, Some(order), height),
        Some(own) => {
            let terms = &order.terms;
            bid.lock =
                formulas::lock(terms, msg.unit_rate, own.bond, &params, &stake).map_err(KernelError::from)?;
            (bid.parts, bid.multiplier_ppm, bid.bond) = (own.parts, own.multiplier_ppm, own.bond);
            let improve = ImproveBid { provider: owner, order: id, unit_rate: msg.unit_rate };
            check_improve(ctx, owner, &improve, Some(order), height)
        }
    };
    let ahead =
        book.iter().filter(|(provider, other)| *provider != owner && other.eff() <= bid.eff()).count();
    let rank = u32::try_from(ahead).unwrap_or(u32::MAX).saturating_add(1);
    Ok(pb::QueryQuoteBidResponse {
        parts: bid.parts.to_vec(),
        multiplier_ppm: bid.multiplier_ppm,
        eff: bid.eff().to_string(),
        rank,
        leads: rank == 1,
        lock: bid.lock.to_string(),
        bond: bid.bond.to_string(),
        refusal: refusal(checked.map(drop))?,
    }
    .encode_to_vec())
}

fn refusal(checked: Result<()>) -> Result<Option<pb::Refusal>, Status> {
    match checked {
        Ok(()) => Ok(None),
        Err(KernelError::Rejected(reject)) => Ok(Some(pb::Refusal {
            codespace: reject.codespace.to_owned(),
            code: reject.code,
            message: reject.message,
        })),
        Err(error) => Err(error.into()),
    }
}

fn award(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryAwardRequest = query::request(bytes)?;
    let order = load(ctx, asked.order_id)?;
    for round in rounds(asked.round, order.round) {
        if let Some(award) = AWARDS.get(ctx, &(asked.order_id, round))? {
            let award = Some(pb::award(asked.order_id, round, &award));
            return Ok(pb::QueryAwardResponse { award }.encode_to_vec());
        }
    }
    Err(Status::not_found(format!("order {} has no such decided round", asked.order_id)))
}

fn lease(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryLeaseRequest = query::request(bytes)?;
    let order = load(ctx, asked.order_id)?;
    for round in rounds(asked.round, order.round) {
        if let Some(lease) = one_lease(ctx, asked.order_id, &order, round)? {
            return Ok(pb::QueryLeaseResponse { lease: Some(lease) }.encode_to_vec());
        }
    }
    Err(Status::not_found(format!("order {} has no such lease", asked.order_id)))
}

/// The round that is asked for, or all from the last.
fn rounds(asked: Round, last: Round) -> impl Iterator<Item = Round> {
    let (low, high) = if asked == 0 { (1, last) } else { (asked, asked) };
    (low..=high).rev()
}

fn one_lease(ctx: &Ctx, id: OrderId, order: &Order, round: Round) -> Result<Option<pb::Lease>> {
    if let (Some(lease), true) = (order.lease(), round == order.round) {
        return Ok(Some(pb::live_lease(id, order, lease)));
    }
    let ended = ENDED_LEASES.get(ctx, &(id, round))?;
    Ok(ended.map(|ended| pb::ended_lease(id, round, &order.terms, &ended)))
}

/// A place in a list of leases: live ones come first. The first byte of a page's key says in which part it starts.
const LIVE: u8 = 0;
const ENDED: u8 = 1;

fn leases(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryLeasesRequest = query::request(bytes)?;
    let (by, live_tag, ended_tag) =
        match (optional_address(&asked.tenant)?, optional_address(&asked.provider)?) {
            (Some(tenant), None) => (tenant, LEASES_BY_TENANT, ENDED_BY_TENANT),
            (None, Some(provider)) => (provider, LEASES_BY_PROVIDER, ENDED_BY_PROVIDER),
            _ => return Err(Status::invalid_argument("expected exactly one of tenant and provider")),
        };
    let (keys, pagination) = query::paged(asked.pagination, |from, limit| {
        let (part, rest) =
            from.and_then(<[u8]>::split_first).map_or((LIVE, None), |(part, rest)| (*part, Some(rest)));
        let mut items = Vec::new();
        if part == LIVE {
            let page = ORDERS.by(ctx, live_tag, &by, rest, limit)?;
            items.extend(page.items.into_iter().map(|(id, ())| ((id, 0), ())));
            if let Some(next) = page.next {
                return Ok(Page { items, next: Some([&[LIVE], next.as_slice()].concat()) });
            }
        }
        if asked.live {
            return Ok(Page { items, next: None });
        }
        let left = limit.saturating_sub(u32::try_from(items.len()).unwrap_or(limit));
        let rest = if part == LIVE { None } else { rest };
        let page = ENDED_LEASES.by(ctx, ended_tag, &by, rest, left)?;
        items.extend(page.items);
        Ok(Page { items, next: page.next.map(|next| [&[ENDED], next.as_slice()].concat()) })
    })?;
    let mut leases = Vec::with_capacity(keys.len());
    for ((id, round), ()) in keys {
        let order = load(ctx, id)?;
        // Round 0 stands for the live lease, which is that of the order's round.
        let round = if round == 0 { order.round } else { round };
        leases.extend(one_lease(ctx, id, &order, round)?);
    }
    Ok(pb::QueryLeasesResponse { leases, pagination: Some(pagination) }.encode_to_vec())
}

fn held(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: pb::QueryHeldRequest = query::request(bytes)?;
    let (keys, pagination) =
        query::paged(asked.pagination, |from, limit| ORDERS.by(ctx, HELD, &(), from, limit))?;
    let mut orders = Vec::with_capacity(keys.len());
    for (id, ()) in keys {
        let order = load(ctx, id)?;
        let queue = pb::queue(order.state()).into();
        let hold = match &order.phase {
            Phase::Bidding(_) => AUCTIONS.get(ctx, &id)?.and_then(|auction| auction.hold),
            _ => order.hold,
        };
        orders.push(pb::HeldOrder { order_id: id, queue, hold: hold.map(pb::hold) });
    }
    Ok(pb::QueryHeldResponse { orders, pagination: Some(pagination) }.encode_to_vec())
}

fn account(ctx: &Ctx, bytes: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: escrow_pb::QueryAccountRequest = query::request(bytes)?;
    let order = load(ctx, asked.order_id)?;
    let now = ctx.block.billing;
    let (as_of, low_at) = (order.counted_until(now), order.low_at());
    let charge = match order.lease() {
        Some(lease) if !order.is_lease_over(now) => {
            charge(&order, lease, order.terms.rate(lease.unit_rate), &state::params(ctx)?)
        }
        _ => kernel::Amount::ZERO,
    };
    Ok(escrow::queries::account_response(&order.account, as_of, low_at, charge).encode_to_vec())
}
