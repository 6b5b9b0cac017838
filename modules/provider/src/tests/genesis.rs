//! Genesis, export, and the rebuilding of indexes.

use kernel::{Change, DerivedSink, Fatal, KeyRange, Space, View};

use super::*;
use crate::{LineRow, SlashReason, UnbondingRow};

fn lived() -> Chain {
    let mut chain = Chain::with_provider();
    chain.run(register(2, STAKE, &[12, 13])).unwrap();
    chain.run(capacity(1, 1, 1, FRA, 10)).unwrap();
    chain.run(capacity(2, 2, 1, "us/east/nyc", 3)).unwrap();
    reserve(&mut chain.ctx, address(1), 1, &zone(FRA), 4, amount(1_000)).unwrap();
    crate::commit(&mut chain.ctx, address(1), 1, &zone(FRA), 2).unwrap();
    crate::slash(
        &mut chain.ctx,
        address(1),
        amount(400),
        amount(300),
        harmed(5, u64::MAX),
        SlashReason::NoStart,
    )
    .unwrap();
    chain.run(unstake(1, 77)).unwrap();
    chain.run(register(3, STAKE, &[])).unwrap();
    chain.run(exit(3)).unwrap();
    chain.check();
    chain
}

fn imported(genesis: &Genesis, pool: u128) -> Result<Ctx> {
    let mut ctx = empty_ctx();
    bank::mint(&mut ctx, stake_pool(), &bank::uflop(), Amount::new(pool).unwrap()).unwrap();
    ProviderModule::init_genesis(&mut ctx, genesis.clone()).map(|()| ctx)
}

#[test]
fn an_export_gives_back_the_whole_state() {
    let chain = lived();
    let genesis = ProviderModule::export_genesis(&chain.ctx).unwrap();
    assert_eq!((genesis.classes.len(), genesis.providers.len()), (2, 3));
    assert_eq!((genesis.lines.len(), genesis.unbondings.len()), (2, 2));
    let text = serde_json::to_string(&genesis).unwrap();
    let read: Genesis = serde_json::from_str(&text).unwrap();
    assert_eq!(read, genesis);
    let ctx = imported(&read, chain.pool()).unwrap();
    assert_eq!(ProviderModule::export_genesis(&ctx).unwrap(), genesis);
    assert_eq!(crate::totals(&ctx).unwrap(), crate::totals(&chain.ctx).unwrap());
    assert!(serde_json::from_str::<Genesis>(&text.replace("stake_price", "price")).is_err());
    assert!(text.contains("\"encryption_key\":\"0101") && text.contains("\"status\":\"exiting\""));
}

#[test]
fn a_document_that_breaks_a_law_is_refused_by_field() {
    let chain = lived();
    let sound = ProviderModule::export_genesis(&chain.ctx).unwrap();
    let refused = |change: fn(&mut Genesis)| {
        let mut genesis = sound.clone();
        change(&mut genesis);
        match imported(&genesis, chain.pool()) {
            Ok(_) => panic!("it was taken"),
            Err(error) => error.to_string(),
        }
    };
    let rows: [Break<Genesis>; 15] = [
        ("params.stake_price", |g| g.params.stake_price = Amount::ZERO),
        ("classes[1]", |g| g.classes[1].name.clear()),
        ("classes[2].id", |g| g.classes.push(g.classes[0].clone())),
        ("providers[3].owner", |g| g.providers.push(g.providers[0].clone())),
        ("providers[1].endpoints", |g| g.providers[1].endpoints = vec!["x".repeat(800)]),
        ("lines[0].class_id", |g| g.lines[0].class_id = 9),
        ("lines[0].provider", |g| g.lines[0].provider = address(3)),
        ("lines[0].line.total", |g| g.lines[0].line.total = 0),
        ("lines[2]", |g| g.lines.push(g.lines[0].clone())),
        ("unbondings[0].seq", |g| g.unbondings[0].seq = 2),
        ("unbondings[2].seq", |g| g.unbondings.push(g.unbondings[0].clone())),
        ("provider: invariant I11", |g| g.providers[0].required_uc = amount(1)),
        ("provider: invariant I5", |g| g.providers[1].stake_locked = amount(STAKE + 1)),
        ("provider: invariant I6", |g| g.lines[0].line.reserved = 9),
        ("provider: invariant I1", |g| g.unbondings[0].amount = amount(1)),
    ];
    for (start, change) in rows {
        let text = refused(change);
        assert!(text.starts_with(start), "{start}: {text}");
    }
    assert!(refused(|g| g.unbondings.truncate(1)).contains("I1"));
}

#[test]
fn rows_hold_their_keys() {
    let line = r#"{"provider":"PROVIDER","class_id":1,"zone":"de/hessen/fra","line":{"total":1,"reserved":0,"leased":0,
        "unit_required":"7","tier_min":"8"}}"#;
    let line = line.replace("PROVIDER", &address(1).to_string());
    assert_eq!(serde_json::from_str::<LineRow>(&line).unwrap().line.tier_min, amount(8));
    assert!(serde_json::from_str::<LineRow>(&line.replace("de/hessen/fra", "de")).is_err());
    let row = format!(r#"{{"provider":"{}","seq":1,"amount":"5","due_at":9}}"#, address(1));
    assert_eq!(serde_json::from_str::<UnbondingRow>(&row).unwrap().due_at, at(9));
}

/// What a context wrote, as a view.
struct Written(Vec<((Space, bytes::Bytes), bytes::Bytes)>);

impl View for Written {
    fn height(&self) -> u64 {
        1
    }
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<bytes::Bytes>, Fatal> {
        Ok(self.0.iter().find(|((s, k), _)| *s == space && k == key).map(|(_, value)| value.clone()))
    }
    fn scan(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
    ) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, Fatal> {
        let inside = |key: &[u8]| key >= range.start && range.end.is_none_or(|end| key < end);
        let rows = self.0.iter().filter(|((s, key), _)| *s == space && inside(key));
        Ok(rows.map(|((_, key), value)| (key.clone(), value.clone())).take(limit as usize).collect())
    }
}

#[test]
fn indexes_are_rebuilt_from_the_records() {
    let chain = lived();
    let changes = chain.ctx.finish().changes;
    let present = |(key, Change { new, .. }): ((Space, bytes::Bytes), Change)| new.map(|value| (key, value));
    let written = Written(changes.into_iter().filter_map(present).collect());
    let mut sink = DerivedSink::default();
    ProviderModule::rebuild(&written, &mut sink).unwrap();
    let derived = Space::Derived(ProviderModule::STORE);
    let entries: Vec<_> = written
        .0
        .iter()
        .filter(|((space, _), _)| *space == derived)
        .map(|((_, key), _)| key.to_vec())
        .collect();
    let rebuilt: Vec<_> = sink.entries().iter().map(|(_, key)| key.to_vec()).collect();
    assert_eq!(rebuilt, entries);
    // Three providers by status, two lines by seven offers, two unbondings by time.
    assert_eq!(entries.len(), 3 + 14 + 2);
}
