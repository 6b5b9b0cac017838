//! Export and import: one state, one document; and what a document may not say.

use kernel::{Backend as _, Ctx, Mode, Module as _, Result, chain};
use proto::underbid::market::v1::TenantReason;
use store::MemoryBackend;

use super::world::*;
use crate::{AUCTIONS, Genesis, Market};

/// All modules' documents, as JSON.
struct Document {
    auth: String,
    bank: String,
    escrow: String,
    provider: String,
    market: String,
}

fn export(ctx: &Ctx) -> Document {
    let json = |value: &dyn erased::Json| value.json();
    Document {
        auth: json(&auth::Auth::export_genesis(ctx).unwrap()),
        bank: json(&bank::Bank::export_genesis(ctx).unwrap()),
        escrow: json(&escrow::Escrow::export_genesis(ctx).unwrap()),
        provider: json(&provider::ProviderModule::export_genesis(ctx).unwrap()),
        market: json(&Market::export_genesis(ctx).unwrap()),
    }
}

mod erased {
    pub trait Json {
        fn json(&self) -> String;
    }
    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string_pretty(self).unwrap()
        }
    }
}

fn import(block: &kernel::Block, document: &Document) -> Result<Ctx> {
    let backend = MemoryBackend::new(&stores());
    let mut ctx = Ctx::new(backend.view(None).unwrap(), Mode::Deliver, block.clone());
    let params = chain::Params { max_billing_step_s: 60, bech32_prefix: "underbid".into() };
    chain::init_genesis(&mut ctx, &chain::Genesis::new(params))?;
    ctx.block.billing = block.billing;
    auth::Auth::init_genesis(&mut ctx, serde_json::from_str(&document.auth).unwrap())?;
    bank::Bank::init_genesis(&mut ctx, serde_json::from_str(&document.bank).unwrap())?;
    escrow::Escrow::init_genesis(&mut ctx, serde_json::from_str(&document.escrow).unwrap())?;
    provider::ProviderModule::init_genesis(&mut ctx, serde_json::from_str(&document.provider).unwrap())?;
    Market::init_genesis(&mut ctx, serde_json::from_str(&document.market).unwrap())?;
    Ok(ctx)
}

/// A running lease that will end, an auction, an order that waits, one that is closed after two rounds.
fn full() -> World {
    let world = active().at("10:30").settle(1).by("tim").ok();
    let world = world
        .order_with(|o| (o.rounds, o.start_timeout_s, o.deposit) = (2, 300, "30000000".into()))
        .by("tim")
        .ok()
        .bid(2, "bob", TWO_AN_HOUR)
        .by("bob")
        .ok();
    let world = world
        .decided(2)
        .after(300)
        .bid(2, "eve", TWO_AN_HOUR)
        .by("eve")
        .ok()
        .decided(2)
        .confirm(2)
        .by("eve")
        .ok();
    let world = world.close(2, TenantReason::Done).by("tim").ok();
    let world = world.order_with(|_| ()).by("tom").ok().bid(3, "eve", TWO_AN_HOUR / 3).by("eve").ok();
    world.bid(3, "bob", TWO_AN_HOUR / 4).by("bob").ok().order_with(|o| o.near = ZONE.into()).by("tim").ok()
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let world = full();
    let document = export(&world.ctx);
    let ctx = import(&world.ctx.block, &document).unwrap();
    let again = export(&ctx);
    assert_eq!(again.market, document.market);
    assert_eq!(
        (again.provider, again.escrow, again.bank),
        (document.provider, document.escrow, document.bank)
    );
    assert!(document.market.contains("\"max_unit_rate\": \"555555555555555555555\""));
    // It goes on as the old chain does.
    let imported = World { ctx, ..World::new() };
    let end = |world: World| {
        let world = world.decided(3).at("15:00");
        let money: Vec<_> =
            ["tom", "tim", "ada", "bob", "eve"].iter().map(|name| world.credit(name)).collect();
        (money, (1..=4).map(|id| world.stands(id)).collect::<Vec<_>>())
    };
    assert_eq!(end(imported), end(world));
}

#[test]
fn an_auction_of_an_older_height_is_decided_by_the_first_block() {
    let world = full();
    let document = export(&world.ctx);
    let mut block = world.ctx.block.clone();
    block.height = kernel::At::new(block.height.value() + 1_000);
    let ctx = import(&block, &document).unwrap();
    assert_eq!(AUCTIONS.get(&ctx, &3).unwrap().unwrap().close_height, block.height);
    // Who could tell the old chain's draw can't change it: no transaction comes before the decision.
    let world = World { ctx, ..World::new() };
    let mut world = world.improve(3, "eve", 1).by("eve").fails(("market", 16));
    world.ctx.block.height = kernel::At::new(block.height.value() - 1);
    world.blocks(1).state(3, "starting 1");
}

#[test]
fn an_auction_of_a_chain_that_begins_again_far_below_runs_for_a_window() {
    let world = full();
    let document = export(&world.ctx);
    let mut block = world.ctx.block.clone();
    block.height = kernel::At::new(3);
    let ctx = import(&block, &document).unwrap();
    assert_eq!(AUCTIONS.get(&ctx, &3).unwrap().unwrap().close_height.value(), 3 + 12);
    World { ctx, ..World::new() }.blocks(12).state(3, "starting 1");
    // No more does a document that was edited.
    let mut genesis: Genesis = serde_json::from_str(&document.market).unwrap();
    genesis.orders[2].auction.as_mut().unwrap().close_height = kernel::At::new(1 << 40);
    let market = serde_json::to_string(&genesis).unwrap();
    let ctx = import(&world.ctx.block, &Document { market, ..document }).unwrap();
    assert_eq!(AUCTIONS.get(&ctx, &3).unwrap().unwrap().close_height.value(), world.height() + 12);
}

#[test]
fn a_document_that_breaks_a_law_is_refused_and_says_where() {
    let world = full();
    let document = export(&world.ctx);
    let refusal = |change: &dyn Fn(&mut Genesis)| {
        let mut genesis: Genesis = serde_json::from_str(&document.market).unwrap();
        change(&mut genesis);
        let market = serde_json::to_string(&genesis).unwrap();
        import(&world.ctx.block, &Document { market, ..export(&world.ctx) }).err().unwrap().to_string()
    };
    type Change = fn(&mut Genesis);
    let rows: &[(&str, Change)] = &[
        ("params.bids_max", |g| g.params.bids_max = 1),
        ("orders[0].id", |g| g.last_order = 0),
        ("orders[1].id", |g| g.orders[1].id = 1),
        ("I5", |g| g.orders[2].bids[0].bid.lock = kernel::Amount::from(1)),
        ("I7", |g| g.orders[2].auction = None),
        ("I7", |g| g.orders[2].auction.as_mut().unwrap().best.eff += 1),
        ("I7", |g| g.orders[2].auction.as_mut().unwrap().bid_count = 1),
        ("I2", |g| g.orders[0].order.account.balance = kernel::Amount::from(1)),
        ("I8", |g| g.orders[0].order.round = 9),
        ("orders[1].rounds[1].round", |g| g.orders[1].rounds[1].round = 3),
        ("orders[1].rounds[1].round", |g| g.orders[1].rounds[1].round = 1),
        ("orders[1].rounds[0].round", |g| g.orders[1].rounds[0].round = 0),
        ("orders[1].rounds[0].award.rows", |g| {
            let rows = &mut g.orders[1].rounds[0].award.rows;
            *rows = vec![rows[0].clone(); 41];
        }),
        ("orders[0].order.terms.rounds", |g| g.orders[0].order.terms.rounds = 65),
        ("orders[0].order.terms.rounds", |g| g.orders[0].order.terms.rounds = 0),
        ("orders[0].order.terms.zones", |g| {
            let zones = &mut g.orders[0].order.terms.zones;
            *zones = vec![zones[0].clone(); 65];
        }),
        ("orders[0].order.terms.count", |g| g.orders[0].order.terms.count = 0),
        ("orders[0].order.terms.max_unit_rate", |g| g.orders[0].order.terms.max_unit_rate = 0),
        ("orders[0].order.terms.max_unit_rate", |g| {
            g.orders[0].order.terms.max_unit_rate = escrow::RATE_MAX / 8 + 1;
        }),
        ("orders[0].order.terms.weights", |g| g.orders[0].order.terms.weights[4] = 1_000_001),
        ("orders[2].bids", |g| {
            let bids = &mut g.orders[2].bids;
            *bids = vec![bids[0].clone(); 41];
        }),
    ];
    for (expected, change) in rows {
        let text = refusal(change);
        assert!(text.contains(expected), "expected {expected}: {text}");
    }
    let mut genesis: Genesis = serde_json::from_str(&document.market).unwrap();
    genesis.orders[0].order.terms.rounds = 64;
    genesis.orders[0].order.terms.max_unit_rate = escrow::RATE_MAX / 8;
    let market = serde_json::to_string(&genesis).unwrap();
    assert!(import(&world.ctx.block, &Document { market, ..export(&world.ctx) }).is_ok());
    let unknown = document.market.replacen("\"last_order\"", "\"latest_order\"", 1);
    assert!(serde_json::from_str::<Genesis>(&unknown).is_err());
}
