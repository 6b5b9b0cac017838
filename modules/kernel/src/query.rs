//! Queries: a handler takes a read-only context and a request's bytes, and gives the response's. Lists come in pages.

use prost::{Message, Name};
use proto::cosmos::base::query::v1beta1::{PageRequest, PageResponse};

use crate::{
    ctx::Ctx,
    error::{Result, Status},
    table::Page,
};

/// A query's handler.
pub type QueryFn = fn(&Ctx, &[u8]) -> Result<Vec<u8>, Status>;
/// A query's path, `/<service>/<Method>`, and its handler.
pub type Route = (&'static str, QueryFn);

/// The page of a request that names no limit.
pub const PAGE_DEFAULT: u32 = 100;
/// The largest page.
pub const PAGE_MAX: u32 = 1_000;
/// How many entries an offset may skip, and up to how many a total counts.
pub const COUNT_MAX: u64 = 10_000;

/// Reads a request.
pub fn request<R: Message + Name + Default>(bytes: &[u8]) -> Result<R, Status> {
    R::decode(bytes).map_err(|e| Status::invalid_argument(format!("expected a {}: {e}", R::full_name())))
}

/// The page that a request asks for. `fetch(from, limit)` gives the entries from a place on, as tables do.
///
/// Without a request, or without a limit in it, the page has [`PAGE_DEFAULT`] entries and a total; a larger limit than
/// [`PAGE_MAX`] counts as that. An offset and a total beyond [`COUNT_MAX`] are refused and capped: neither may cost more than a few pages.
pub fn paged<K, V>(
    asked: Option<PageRequest>,
    mut fetch: impl FnMut(Option<&[u8]>, u32) -> Result<Page<K, V>>,
) -> Result<(Vec<(K, V)>, PageResponse), Status> {
    let asked = asked.unwrap_or_default();
    if asked.reverse {
        return Err(Status::invalid_argument(
            "pagination.reverse is not served: lists come in ascending order of their keys",
        ));
    }
    if asked.offset > COUNT_MAX {
        return Err(Status::invalid_argument(format!(
            "an offset is at most {COUNT_MAX}: continue with next_key"
        )));
    }
    if asked.offset > 0 && !asked.key.is_empty() {
        return Err(Status::invalid_argument("expected either offset or key, not both"));
    }
    let limit = match u32::try_from(asked.limit).unwrap_or(PAGE_MAX).min(PAGE_MAX) {
        0 => PAGE_DEFAULT,
        limit => limit,
    };
    let mut from = (!asked.key.is_empty()).then_some(asked.key);
    let mut skip = asked.offset;
    while skip > 0 {
        let step = u32::try_from(skip).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        from = match fetch(from.as_deref(), step)?.next {
            Some(next) => Some(next),
            None => return Ok((Vec::new(), PageResponse { next_key: Vec::new(), total: 0 })),
        };
        skip = skip.saturating_sub(u64::from(step));
    }
    let page = fetch(from.as_deref(), limit)?;
    let mut total = 0;
    if asked.count_total || asked.limit == 0 {
        total = asked.offset.saturating_add(crate::codec::length(page.items.len()));
        let mut at = page.next.clone();
        while let (Some(from), true) = (&at, total < COUNT_MAX) {
            let more = fetch(Some(from), PAGE_MAX)?;
            total = total.saturating_add(crate::codec::length(more.items.len()));
            at = more.next;
        }
    }
    Ok((page.items, PageResponse { next_key: page.next.unwrap_or_default(), total }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(from: Option<&[u8]>, limit: u32) -> Result<Page<u8, ()>> {
        let start = from.map_or(0, |from| from[0]);
        let end = (u32::from(start) + limit).min(250) as u8;
        Ok(Page { items: (start..end).map(|n| (n, ())).collect(), next: (end < 250).then(|| vec![end]) })
    }

    fn page(request: PageRequest) -> Result<(Vec<u8>, PageResponse), Status> {
        paged(Some(request), numbers)
            .map(|(items, page)| (items.into_iter().map(|(n, ())| n).collect(), page))
    }

    #[test]
    fn pages_follow_one_another_and_count_as_clients_expect() {
        let (first, response) = page(PageRequest::default()).unwrap();
        assert_eq!((first.len(), response.total, response.next_key), (100, 250, vec![100]));
        let (last, response) = page(PageRequest { key: vec![200], limit: 60, ..Default::default() }).unwrap();
        assert_eq!((last.len(), response.total, response.next_key.len()), (50, 0, 0));
        let (some, response) =
            page(PageRequest { offset: 240, limit: 5, count_total: true, ..Default::default() }).unwrap();
        assert_eq!((some, response.total), ((240..245).collect(), 250));
        assert!(page(PageRequest { offset: 300, ..Default::default() }).unwrap().0.is_empty());
        assert!(page(PageRequest { offset: u64::MAX, ..Default::default() }).is_err());
        assert!(page(PageRequest { reverse: true, ..Default::default() }).is_err());
        assert_eq!(page(PageRequest { limit: u64::MAX, ..Default::default() }).unwrap().0.len(), 250);
    }
}
