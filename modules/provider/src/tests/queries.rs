//! The questions, over a few providers in a few zones.

use prost::Message;
use proto::cosmos::base::query::v1beta1::PageRequest;

use super::*;
use crate::{Status, queries::ROUTES};

fn ask<Q: Name, A: Message + Default>(chain: &Chain, question: Q) -> Result<A, kernel::Status> {
    let method = Q::NAME.strip_prefix("Query").and_then(|name| name.strip_suffix("Request")).unwrap();
    let path = format!("/underbid.provider.v1.Query/{method}");
    let (_, query) = ROUTES.iter().find(|(route, _)| *route == path).unwrap();
    Ok(A::decode(query(&chain.ctx, &question.encode_to_vec())?.as_slice()).unwrap())
}

/// Four providers: 1 in Frankfurt and Kassel with both classes, 2 in Frankfurt, 3 in New York, 4 leaving.
fn world() -> Chain {
    let mut chain = Chain::with_provider();
    for number in 2..=4 {
        chain.run(register(number, 10 * STAKE, &[])).unwrap();
    }
    chain.run(add_stake(1, 9 * STAKE)).unwrap();
    chain.run(capacity(1, 1, 1, FRA, 5)).unwrap();
    chain.run(capacity(1, 1, 2, FRA, 6)).unwrap();
    chain.run(capacity(1, 1, 1, "de/hessen/kassel", 7)).unwrap();
    chain.run(capacity(2, 2, 1, FRA, 8)).unwrap();
    chain.run(capacity(3, 3, 1, "us/east/nyc", 9)).unwrap();
    chain.run(capacity(4, 4, 1, FRA, 1)).unwrap();
    chain.run(exit(4)).unwrap();
    chain
}

fn page(limit: u64) -> Option<PageRequest> {
    Some(PageRequest { limit, count_total: true, ..Default::default() })
}

/// The answers to a paged question, page by page, as numbers of providers.
fn providers(chain: &Chain, status: i32, class_id: u32, zone: &str, limit: u64) -> Vec<u8> {
    let mut pagination = page(limit);
    let mut numbers = Vec::new();
    loop {
        let question = pb::QueryProvidersRequest { status, class_id, zone: zone.to_owned(), pagination };
        let answer: pb::QueryProvidersResponse = ask(chain, question).unwrap();
        assert!(u64::try_from(answer.providers.len()).unwrap() <= limit);
        for info in answer.providers {
            let owner = Address::parse(&info.provider.unwrap().owner).unwrap();
            numbers.push(owner.0[0]);
        }
        let next = answer.pagination.unwrap().next_key;
        if next.is_empty() {
            return numbers;
        }
        pagination = Some(PageRequest { key: next, limit, ..Default::default() });
    }
}

#[test]
fn providers_are_found_by_status_class_and_zone() {
    let chain = world();
    let active = i32::try_from(Status::Active.number()).unwrap();
    let exiting = i32::try_from(Status::Exiting.number()).unwrap();
    for limit in [1, 2, 3, 100] {
        let rows: [(i32, u32, &str, &[u8]); 13] = [
            (0, 0, "", &[1, 2, 3, 4]),
            (active, 0, "", &[1, 2, 3]),
            (exiting, 0, "", &[4]),
            (3, 0, "", &[]),
            (0, 1, "", &[1, 2, 3]),
            (0, 2, "", &[1]),
            (0, 9, "", &[]),
            (0, 0, "de", &[1, 2]),
            (active, 1, "de/hessen", &[1, 2]),
            (active, 1, "de/hessen/kassel", &[1]),
            (0, 2, "de/hessen/kassel", &[]),
            (exiting, 1, "", &[]),
            (0, 0, "de/hess", &[]),
        ];
        for (status, class_id, zone, expected) in rows {
            let found = providers(&chain, status, class_id, zone, limit);
            assert_eq!(found, expected, "status {status}, class {class_id}, zone {zone:?}, pages of {limit}");
        }
    }
    let bad = |status, zone: &str| {
        let question = pb::QueryProvidersRequest { status, zone: zone.to_owned(), ..Default::default() };
        ask::<_, pb::QueryProvidersResponse>(&chain, question).unwrap_err().code
    };
    assert_eq!([bad(4, ""), bad(-1, ""), bad(0, "DE")], [kernel::StatusCode::InvalidArgument; 3]);
}

#[test]
fn capacity_is_found_by_class_zone_and_provider() {
    let chain = world();
    let find = |class_id, zone: &str, provider: Option<u8>, limit| {
        let mut pagination = page(limit);
        let mut totals = Vec::new();
        loop {
            let provider = provider.map(|number| address(number).to_string()).unwrap_or_default();
            let question = pb::QueryCapacityRequest { class_id, zone: zone.to_owned(), provider, pagination };
            let answer: pb::QueryCapacityResponse = ask(&chain, question).unwrap();
            totals.extend(answer.lines.iter().map(|line| line.total));
            let next = answer.pagination.unwrap().next_key;
            if next.is_empty() {
                return totals;
            }
            pagination = Some(PageRequest { key: next, limit, ..Default::default() });
        }
    };
    for limit in [1, 2, 100] {
        let rows: [(u32, &str, Option<u8>, &[u32]); 10] = [
            (0, "", None, &[5, 7, 6, 8, 9]),
            (1, "", None, &[5, 7, 8, 9]),
            (2, "", None, &[6]),
            (1, "de", None, &[5, 7, 8]),
            (0, "de/hessen/fra", None, &[5, 6, 8]),
            (1, "de/hessen/fra", None, &[5, 8]),
            (0, "", Some(1), &[5, 7, 6]),
            (1, "", Some(1), &[5, 7]),
            (0, "de/hessen/kassel", Some(1), &[7]),
            (1, "us", Some(1), &[]),
        ];
        for (class_id, zone, provider, expected) in rows {
            let found = find(class_id, zone, provider, limit);
            assert_eq!(
                found, expected,
                "class {class_id}, zone {zone:?}, provider {provider:?}, pages of {limit}"
            );
        }
    }
}

#[test]
fn a_page_counts_providers_not_lines() {
    let mut chain = world();
    for number in 0..50 {
        chain.run(capacity(2, 2, 1, &format!("de/bayern/m{number}"), 1)).unwrap();
    }
    let question = pb::QueryProvidersRequest { zone: "de".into(), pagination: page(1), ..Default::default() };
    let answer: pb::QueryProvidersResponse = ask(&chain, question).unwrap();
    assert_eq!((answer.providers.len(), answer.pagination.unwrap().total), (1, 2));
}

#[test]
fn a_provider_is_shown_with_what_follows_from_it() {
    let mut chain = world();
    reserve(&mut chain.ctx, address(1), 1, &zone(FRA), 1, amount(1_000)).unwrap();
    let question = |number| pb::QueryProviderRequest { provider: address(number).to_string() };
    let info = ask::<_, pb::QueryProviderResponse>(&chain, question(1)).unwrap().info.unwrap();
    assert_eq!(info.free_stake, (10 * STAKE - 1_000).to_string());
    assert_eq!((info.stake_uc.as_str(), info.reputation_ppm, info.slash_ppm), ("40000000000", 500_000, 0));
    let provider = info.provider.unwrap();
    assert_eq!((provider.status, provider.stake_locked.as_str()), (1, "1000"));
    assert_eq!(provider.required_uc, "5000000000");
    let missing = ask::<_, pb::QueryProviderResponse>(&chain, question(50)).unwrap_err();
    assert_eq!(missing.code, kernel::StatusCode::NotFound);
}

#[test]
fn classes_parameters_and_unbondings_are_shown() {
    let mut chain = world();
    chain.run(unstake(1, 9)).unwrap();
    let class: pb::QueryClassResponse = ask(&chain, pb::QueryClassRequest { class_id: 2 }).unwrap();
    assert_eq!((class.class.unwrap().id, class.tier), (2, 4));
    let missing =
        ask::<_, pb::QueryClassResponse>(&chain, pb::QueryClassRequest { class_id: 3 }).unwrap_err();
    assert_eq!(missing.code, kernel::StatusCode::NotFound);
    let classes: pb::QueryClassesResponse =
        ask(&chain, pb::QueryClassesRequest { pagination: None }).unwrap();
    assert_eq!(classes.classes.iter().map(|class| class.id).collect::<Vec<_>>(), [1, 2]);
    let shown: pb::QueryParamsResponse = ask(&chain, pb::QueryParamsRequest {}).unwrap();
    assert_eq!(Params::try_from(shown.params.unwrap()), Ok(params()));
    let question = pb::QueryUnbondingsRequest { provider: address(1).to_string(), pagination: None };
    let answer: pb::QueryUnbondingsResponse = ask(&chain, question).unwrap();
    let [unbonding] = answer.unbondings.as_slice() else { panic!("one unbonding") };
    assert_eq!((unbonding.seq, unbonding.amount.as_str(), unbonding.due_at), (1, "9", NOW + 1_814_400));
    assert_eq!(unbonding.hold, None);
}

#[test]
fn arbitrary_questions_are_answered_or_refused() {
    let chain = world();
    for (path, query) in ROUTES {
        for bytes in [&[0xff_u8][..], &[0x0a, 0xff], &[8, 1, 8, 2], &[0x0a, 2, b'd', b'e']] {
            if let Err(status) = query(&chain.ctx, bytes) {
                assert!(status.message.len() < 400, "{path}");
            }
        }
    }
}
