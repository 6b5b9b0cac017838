//! The queries. A list is read by the narrowest index of its filters; none reads more than the page that it shows.

use kernel::{Address, Ctx, Error, Key, Page, Result, Route, Status, codec::length, query};
use prost::Message as _;
use proto::underbid::provider::v1 as wire;

use crate::{
    indexes::Offer,
    pb,
    state::{
        CLASSES, LINES, OFFERS, PROVIDERS, STATUSES, UNBONDINGS, class as load_class, get, lines_of,
        params as load,
    },
    types::{Line, LineKey, Provider, Status as ProviderStatus},
    zone::ZonePattern,
};

/// The module's queries.
pub const ROUTES: &[Route] = &[
    ("/underbid.provider.v1.Query/Params", params),
    ("/underbid.provider.v1.Query/Class", class),
    ("/underbid.provider.v1.Query/Classes", classes),
    ("/underbid.provider.v1.Query/Provider", provider),
    ("/underbid.provider.v1.Query/Providers", providers),
    ("/underbid.provider.v1.Query/Capacity", capacity),
    ("/underbid.provider.v1.Query/Unbondings", unbondings),
];

fn params(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    query::request::<wire::QueryParamsRequest>(request)?;
    Ok(wire::QueryParamsResponse { params: Some((&load(ctx)?).into()) }.encode_to_vec())
}

fn class(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: wire::QueryClassRequest = query::request(request)?;
    let class = match load_class(ctx, asked.class_id) {
        Err(Error::Rejected(reject)) => return Err(Status::not_found(reject.message)),
        other => other?,
    };
    let tier = u32::try_from(load(ctx)?.tier(class.device_price_usd)).unwrap_or(u32::MAX);
    Ok(wire::QueryClassResponse { class: Some((&class).into()), tier }.encode_to_vec())
}

fn classes(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: wire::QueryClassesRequest = query::request(request)?;
    let (rows, page) = query::paged(asked.pagination, |from, limit| CLASSES.page(ctx, &(), from, limit))?;
    let classes = rows.iter().map(|(_, class)| class.into()).collect();
    Ok(wire::QueryClassesResponse { classes, pagination: Some(page) }.encode_to_vec())
}

fn provider(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: wire::QueryProviderRequest = query::request(request)?;
    let owner = Address::parse(&asked.provider)?;
    let provider =
        get(ctx, &owner)?.ok_or_else(|| Status::not_found(format!("{owner} is not a provider")))?;
    let info = Some(pb::info(&provider, &load(ctx)?, ctx.block.billing)?);
    Ok(wire::QueryProviderResponse { info }.encode_to_vec())
}

fn providers(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: wire::QueryProvidersRequest = query::request(request)?;
    let status = ProviderStatus::asked(asked.status)?;
    let offer = offer(asked.class_id, &asked.zone)?;
    let (rows, page) = query::paged(asked.pagination, |from, limit| match (&offer, status) {
        (None, None) => PROVIDERS.page(ctx, &(), from, limit),
        (None, Some(status)) => {
            with_records(ctx, PROVIDERS.by(ctx, STATUSES, &status.number(), from, limit)?)
        }
        // Only an active provider has lines.
        (Some(offer), None | Some(ProviderStatus::Active)) => {
            with_records(ctx, offering(ctx, offer, from, limit)?)
        }
        (Some(_), Some(_)) => Ok(Page { items: Vec::new(), next: None }),
    })?;
    let (params, now) = (load(ctx)?, ctx.block.billing);
    let infos = rows.iter().map(|(_, provider)| pb::info(provider, &params, now)).collect::<Result<_>>()?;
    Ok(wire::QueryProvidersResponse { providers: infos, pagination: Some(page) }.encode_to_vec())
}

fn capacity(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: wire::QueryCapacityRequest = query::request(request)?;
    let offer = offer(asked.class_id, &asked.zone)?;
    let provider = match asked.provider.as_str() {
        "" => None,
        text => Some(Address::parse(text)?),
    };
    let (rows, page) = query::paged(asked.pagination, |from, limit| match (&offer, &provider) {
        (None, None) => LINES.page(ctx, &(), from, limit),
        (None, Some(provider)) => LINES.page(ctx, provider, from, limit),
        (Some(offer), None) => lines_by(ctx, offer, from, limit),
        (Some(offer), Some(provider)) => lines_of_one(ctx, provider, offer, from, limit),
    })?;
    let lines = rows.iter().map(|(key, line)| pb::line(key, line)).collect();
    Ok(wire::QueryCapacityResponse { lines, pagination: Some(page) }.encode_to_vec())
}

fn unbondings(ctx: &Ctx, request: &[u8]) -> Result<Vec<u8>, Status> {
    let asked: wire::QueryUnbondingsRequest = query::request(request)?;
    let owner = Address::parse(&asked.provider)?;
    let (rows, page) =
        query::paged(asked.pagination, |from, limit| UNBONDINGS.page(ctx, &owner, from, limit))?;
    let unbondings = rows.iter().map(|(key, unbonding)| pb::unbonding(key, unbonding)).collect();
    Ok(wire::QueryUnbondingsResponse { unbondings, pagination: Some(page) }.encode_to_vec())
}

/// What a question's class and zone say; `None`: anything anywhere.
fn offer(class_id: u32, zone: &str) -> Result<Option<Offer>, Status> {
    let zone = match zone {
        "" => None,
        text => Some(ZonePattern::parse(text)?),
    };
    Ok((class_id > 0 || zone.is_some()).then_some(Offer { class_id, zone }))
}

/// A page of the providers that have lines of an offer, each once. A provider's lines stand together in the index, and
/// there are few of them, so a page reads a bounded number of entries.
fn offering(ctx: &Ctx, offer: &Offer, from: Option<&[u8]>, limit: u32) -> Result<Page<Address, ()>> {
    let mut items: Vec<(Address, ())> = Vec::new();
    let mut at = from.map(<[u8]>::to_vec);
    loop {
        let page = LINES.by(ctx, OFFERS, offer, at.as_deref(), limit)?;
        for ((owner, ..), ()) in page.items {
            if items.last().is_some_and(|(last, ())| *last == owner) {
                continue;
            }
            if length(items.len()) == u64::from(limit) {
                return Ok(Page { items, next: Some(owner.to_bytes().into_vec()) });
            }
            items.push((owner, ()));
        }
        let Some(next) = page.next else { return Ok(Page { items, next: None }) };
        at = Some(next);
    }
}

/// The records of a page of keys.
fn with_records(ctx: &Ctx, page: Page<Address, ()>) -> Result<Page<Address, Provider>> {
    let record = |owner: Address| Ok(PROVIDERS.get(ctx, &owner)?.map(|provider| (owner, provider)));
    let items =
        page.items.into_iter().filter_map(|(owner, ())| record(owner).transpose()).collect::<Result<_>>()?;
    Ok(Page { items, next: page.next })
}

/// A page of the lines of an offer.
fn lines_by(ctx: &Ctx, offer: &Offer, from: Option<&[u8]>, limit: u32) -> Result<Page<LineKey, Line>> {
    let page = LINES.by(ctx, OFFERS, offer, from, limit)?;
    let record = |key: LineKey| Ok(LINES.get(ctx, &key)?.map(|line| (key, line)));
    let items =
        page.items.into_iter().filter_map(|(key, ())| record(key).transpose()).collect::<Result<_>>()?;
    Ok(Page { items, next: page.next })
}

/// A page of one provider's lines of an offer: it has few lines, all are read.
fn lines_of_one(
    ctx: &Ctx,
    provider: &Address,
    offer: &Offer,
    from: Option<&[u8]>,
    limit: u32,
) -> Result<Page<LineKey, Line>> {
    let asked = |(_, class_id, zone): &LineKey| {
        (offer.class_id == 0 || offer.class_id == *class_id)
            && offer.zone.as_ref().is_none_or(|pattern| pattern.matches(zone))
    };
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut items: Vec<_> = lines_of(ctx, provider)?
        .into_iter()
        .filter(|(key, _)| asked(key) && from.is_none_or(|from| key.to_bytes().as_slice() >= from))
        .collect();
    let next = items.get(wanted).map(|(key, _)| key.to_bytes().into_vec());
    items.truncate(wanted);
    Ok(Page { items, next })
}
