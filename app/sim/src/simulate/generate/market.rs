//! Messages of the market: most of them for what stands there, some with one thing wrong.

use market::types::{Order, OrderState, Terms};
use proto::underbid::market::v1::*;

use super::{
    Said,
    scene::{Scene, ZONES},
    supply,
};
use crate::simulate::{
    cast::{NEWCOMERS, OPERATORS, OWNERS, POOR, STRANGER, TENANTS, name_of, person},
    random::Random,
    world,
};

/// The number of an order that there is not.
const NO_ORDER: u64 = 1_000_000;

/// An order's number: the one that is meant, and seldom another one.
fn number(random: &mut Random, id: u64) -> u64 {
    if random.chance(1, 25) { random.pick(&[0, NO_ORDER]) } else { id }
}

/// Who signs: the one that should, and seldom somebody else.
fn mostly(random: &mut Random, name: &'static str) -> &'static str {
    if random.chance(1, 16) { random.pick(&[STRANGER, TENANTS[0], OWNERS[0], OPERATORS[0]]) } else { name }
}

pub fn create_order(random: &mut Random, scene: &Scene) -> Said {
    let params = &scene.market;
    let (tenant, owner, operator) = (random.pick(&TENANTS), random.pick(&OWNERS), random.pick(&OPERATORS));
    let tenant = random.weighted(&[(12, tenant), (2, owner), (1, operator), (1, POOR), (1, STRANGER)]);
    let count = random.within(1, params.count_max);
    let part = u128::from(random.between(1, 100));
    let unit_rate =
        scene.scale.unit_rate() * part / 100 + u128::from(random.pick(&[0_u64, 1, 7, 333_333_333]));
    let rounds = random.within(1, params.rounds_max);
    let window_blocks = random.within(params.window_blocks_min, params.window_blocks_max);
    let least = scene.least_deposit(unit_rate * u128::from(count), rounds - 1, window_blocks);
    let deposit = match random.below(4) {
        0 => least,
        1 => least + u128::from(random.below(3)),
        _ => least * u128::from(random.between(1, 4)),
    };
    let patterns = ["de", "de/he", "de/he/fra", "us", "us/ca/sfo"];
    let mut zones = vec![random.pick(&patterns).to_owned()];
    if params.zones_max > 1 && random.chance(1, 2) {
        zones.push(random.pick(&patterns).to_owned());
        zones.dedup();
    }
    let near = if random.chance(1, 2) { random.pick(&ZONES).to_owned() } else { String::new() };
    let open = random.chance(1, 3);
    let weights = match random.below(4) {
        0 => Vec::new(),
        // All bidders count alike, so that equal prices tie.
        1 => vec![0; 5],
        _ => (0..5).map(|_| random.within(0, params.weight_max_ppm)).collect(),
    };
    let mut message = MsgCreateOrder {
        tenant: person(tenant).text.clone(),
        class_id: scene.class(random),
        count,
        zones,
        near,
        max_unit_rate: unit_rate.to_string(),
        duration_s: if open { 0 } else { random.within(params.duration_s_min, params.duration_s_max) },
        window_blocks,
        ttl_s: random.within(params.ttl_s_min, params.ttl_s_max),
        start_timeout_s: random.within(params.start_timeout_s_min, params.start_timeout_s_max),
        reclaim_min_s: random.within(params.reclaim_s_min, params.reclaim_s_max),
        min_uptime_ppm: random.pick(&[0, 0, 0, 0, 900_000, 900_001]),
        weights,
        manifest_hash: vec![7; 32],
        rounds,
        deposit: deposit.to_string(),
    };
    if random.chance(1, 4) {
        spoil_order(random, scene, &mut message, least);
    }
    Said::by(tenant, &message)
}

/// One thing is wrong, at the bound where there is one.
fn spoil_order(random: &mut Random, scene: &Scene, message: &mut MsgCreateOrder, least: u128) {
    let params = &scene.market;
    let low = |bound: u32| bound.wrapping_sub(1);
    match random.below(26) {
        0 => message.class_id = 99,
        1 => message.count = random.pick(&[0, params.count_max + 1]),
        2 => message.max_unit_rate = random.pick(&["0".to_owned(), (params.unit_rate_max + 1).to_string()]),
        3 => message.zones = ["de", "us", "fr"].map(str::to_owned).to_vec(),
        4 => {
            message.window_blocks =
                random.pick(&[low(params.window_blocks_min), params.window_blocks_max + 1])
        }
        5 => message.ttl_s = random.pick(&[low(params.ttl_s_min), params.ttl_s_max + 1]),
        6 => {
            message.start_timeout_s =
                random.pick(&[low(params.start_timeout_s_min), params.start_timeout_s_max + 1]);
        }
        7 => message.reclaim_min_s = random.pick(&[low(params.reclaim_s_min), params.reclaim_s_max + 1]),
        8 => {
            message.duration_s = random.pick(&[low(params.duration_s_min).max(1), params.duration_s_max + 1])
        }
        9 => message.weights = vec![0, 0, params.weight_max_ppm + 1, 0, 0],
        10 => message.rounds = random.pick(&[0, params.rounds_max + 1]),
        11..=13 => message.deposit = (least - 1).to_string(),
        14 => message.deposit = u128::from(crate::PURSE).saturating_mul(2).to_string(),
        15 => message.deposit = random.pick(&["", "-1", "01", "79228162514264337593543950336"]).to_owned(),
        16 => message.min_uptime_ppm = random.pick(&[1_000_000, 1_000_001]),
        17 => message.zones = Vec::new(),
        18 => message.zones = vec!["de".into(), "de".into()],
        19 => message.zones = vec![random.pick(&["", "DE", "de/", "a/b/c/d", "de//x"]).to_owned()],
        20 => message.near = "de/he".into(),
        21 => message.weights = vec![1, 2, 3],
        22 => message.manifest_hash = vec![7; 31],
        23 => message.max_unit_rate = random.pick(&["x", "10000000000000000000000000001"]).to_owned(),
        // The largest of everything that the limits allow.
        24 => (message.count, message.max_unit_rate) = (params.count_max, params.unit_rate_max.to_string()),
        // The cheapest that there is.
        _ => message.max_unit_rate = "1".into(),
    }
}

pub fn cancel_order(random: &mut Random, scene: &Scene) -> Option<Said> {
    let (id, order) = scene.order(random, &[OrderState::Open])?;
    let tenant = mostly(random, name_of(&order.tenant));
    let order_id = number(random, *id);
    Some(Said::by(tenant, &MsgCancelOrder { tenant: person(tenant).text.clone(), order_id }))
}

pub fn create_bid(random: &mut Random, scene: &Scene) -> Option<Said> {
    let contested = if random.chance(1, 4) { scene.most_contested() } else { None };
    let (id, order) = contested.or_else(|| scene.order(random, &[OrderState::Open, OrderState::Bidding]))?;
    let Some((owner, zone)) = offer(random, scene, *id, order) else {
        return Some(supply::capacity_for(random, scene, &order.terms));
    };
    let actor = scene.actor(random, &person(owner).address);
    let signer = mostly(random, actor);
    let mut message = MsgCreateBid {
        signer: person(signer).text.clone(),
        provider: person(owner).text.clone(),
        order_id: number(random, *id),
        zone: zone.to_owned(),
        unit_rate: price(random, scene, *id, &order.terms).to_string(),
        reclaim_s: random.within(order.terms.reclaim_min_s, scene.market.reclaim_s_max),
    };
    if random.chance(1, 10) {
        match random.below(6) {
            0 => message.unit_rate = "0".into(),
            1 => message.unit_rate = (order.terms.max_unit_rate + 1).to_string(),
            2 => message.unit_rate = "1e3".into(),
            3 => {
                let low = order.terms.reclaim_min_s.wrapping_sub(1);
                message.reclaim_s = random.pick(&[low, scene.market.reclaim_s_max + 1]);
            }
            4 => message.provider = person(STRANGER).text.clone(),
            _ => message.zone = random.pick(&["de/he", "zz/zz/zz", "de/he/fra/x", ZONES[3]]).to_owned(),
        }
    }
    Some(Said::by(signer, &message))
}

/// A provider that can bid, and where; seldom one that can't.
fn offer(random: &mut Random, scene: &Scene, id: u64, order: &Order) -> Option<(&'static str, &'static str)> {
    if random.chance(1, 20) {
        let owner = random.find(&scene.providers)?.0;
        return Some((owner, random.pick(&ZONES)));
    }
    let bids = scene.bids(id);
    let mut able = Vec::new();
    for (name, provider) in scene.active() {
        if bids.iter().any(|(other, _)| other == name) {
            continue;
        }
        let zones = scene.zones_with(provider.owner, order.terms.class_id, order.terms.count);
        let wanted = zones.into_iter().filter(|zone| {
            let zone = provider::Zone::parse(zone).unwrap();
            order.terms.zones.iter().any(|pattern| pattern.matches(&zone))
        });
        able.extend(wanted.map(|zone| (*name, zone)));
    }
    random.find(&able).copied()
}

/// A price that may lead, near what leads now if anything does.
fn price(random: &mut Random, scene: &Scene, id: u64, terms: &Terms) -> u128 {
    let ceiling = terms.max_unit_rate;
    let any = ceiling * u128::from(random.between(20, 100)) / 100;
    let Some(auction) = scene.auction(id) else { return any.max(1) };
    // Multipliers go from 1 to 3.5; most are near 1.2.
    let about = auction.best.eff / 1_000 / u128::from(random.between(1_000, 1_500));
    let rate = match random.below(5) {
        0 => any,
        1 => about * u128::from(random.between(50, 100)) / 100,
        2 => about,
        3 => auction.best.eff / 1_000_000,
        _ => ceiling,
    };
    rate.clamp(1, ceiling)
}

pub fn improve_bid(random: &mut Random, scene: &Scene) -> Option<Said> {
    let (id, order) = scene.order(random, &[OrderState::Bidding])?;
    let (id, terms) = (*id, &order.terms);
    let bids = scene.bids(id);
    let (owner, before) = match random.find(&bids) {
        Some(bid) if !random.chance(1, 16) => *bid,
        _ => (random.pick(&OWNERS), terms.max_unit_rate),
    };
    let one = u128::from(kernel::ONE_PPM);
    let enough = before * (one - u128::from(scene.market.step_ppm)) / one;
    let unit_rate = match random.below(8) {
        0 => enough + 1,
        1 => 0,
        2 => terms.max_unit_rate + 1,
        3 | 4 => enough,
        _ => enough * u128::from(random.between(50, 99)) / 100,
    };
    let actor = scene.actor(random, &person(owner).address);
    let signer = mostly(random, actor);
    let stranger = random.chance(1, 40);
    let message = MsgImproveBid {
        signer: person(signer).text.clone(),
        provider: person(if stranger { STRANGER } else { owner }).text.clone(),
        order_id: number(random, id),
        unit_rate: if random.chance(1, 60) { "?".into() } else { unit_rate.to_string() },
    };
    Some(Said::by(signer, &message))
}

pub fn withdraw_bid(random: &mut Random, scene: &Scene) -> Option<Said> {
    let (id, _) = scene.order(random, &[OrderState::Bidding])?;
    let bids = scene.bids(*id);
    let owner = match random.find(&bids) {
        Some((owner, _)) if !random.chance(1, 16) => owner,
        _ => random.pick(&OWNERS),
    };
    let actor = scene.actor(random, &person(owner).address);
    let signer = mostly(random, actor);
    let stranger = random.chance(1, 40);
    let message = MsgWithdrawBid {
        signer: person(signer).text.clone(),
        provider: person(if stranger { STRANGER } else { owner }).text.clone(),
        order_id: number(random, *id),
    };
    Some(Said::by(signer, &message))
}

/// An order with a lease, most often in a stage that fits, and who acts for its provider.
fn leased<'a>(
    random: &mut Random,
    scene: &'a Scene,
    fits: fn(&Order) -> bool,
) -> Option<(&'a (u64, Order), &'static str)> {
    let fits = if random.chance(1, 12) { is_leased } else { fits };
    let found = scene.order_that(random, fits)?;
    let provider = found.1.lease().map(|lease| lease.provider);
    let actor = provider.map_or(STRANGER, |provider| scene.actor(random, &provider));
    Some((found, actor))
}

fn is_starting(order: &Order) -> bool {
    order.lease().is_some_and(|lease| lease.stage.starting().is_some())
}

fn is_active(order: &Order) -> bool {
    order.lease().is_some_and(|lease| lease.stage.active().is_some())
}

fn is_leased(order: &Order) -> bool {
    order.lease().is_some()
}

pub fn confirm_start(random: &mut Random, scene: &Scene) -> Option<Said> {
    let ((id, _), actor) = leased(random, scene, is_starting)?;
    let signer = mostly(random, actor);
    let order_id = number(random, *id);
    Some(Said::by(signer, &MsgConfirmStart { signer: person(signer).text.clone(), order_id }))
}

pub fn reclaim_lease(random: &mut Random, scene: &Scene) -> Option<Said> {
    let ((id, _), actor) = leased(random, scene, is_active)?;
    let signer = mostly(random, actor);
    let order_id = number(random, *id);
    Some(Said::by(signer, &MsgReclaimLease { signer: person(signer).text.clone(), order_id }))
}

pub fn abandon_lease(random: &mut Random, scene: &Scene) -> Option<Said> {
    let ((id, order), actor) = leased(random, scene, is_leased)?;
    let owner = order.lease().map_or(actor, |lease| name_of(&lease.provider));
    let signer = if random.chance(1, 5) { actor } else { owner };
    let order_id = number(random, *id);
    Some(Said::by(signer, &MsgAbandonLease { owner: person(signer).text.clone(), order_id }))
}

pub fn close_lease(random: &mut Random, scene: &Scene) -> Option<Said> {
    let fits = if random.chance(1, 4) { is_starting } else { is_active };
    let ((id, order), _) = leased(random, scene, fits)?;
    let tenant = mostly(random, name_of(&order.tenant));
    let reason = random.pick(&[1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 0, 4]);
    let order_id = number(random, *id);
    Some(Said::by(tenant, &MsgCloseLease { tenant: person(tenant).text.clone(), order_id, reason }))
}

pub fn top_up(random: &mut Random, scene: &Scene) -> Option<Said> {
    let states = [OrderState::Leased, OrderState::Open, OrderState::Bidding];
    let (id, order) = scene.order(random, &states)?;
    let signer = match random.below(8) {
        0..=3 => name_of(&order.tenant),
        4 => POOR,
        5 => random.pick(&NEWCOMERS),
        6 => random.pick(&OPERATORS),
        _ => random.pick(&TENANTS),
    };
    let least = scene.escrow.deposit_min.units();
    let amount = match random.below(6) {
        0 => least.saturating_sub(1),
        1 => least,
        2 => u128::from(crate::PURSE) * 2,
        _ => {
            scene.least_deposit(order.terms.rate_max(), 1, order.terms.window_blocks)
                / u128::from(random.between(1, 8))
                + least
        }
    };
    let amount = if random.chance(1, 60) { "1.5".into() } else { amount.to_string() };
    let order_id = number(random, *id);
    Some(Said::by(signer, &MsgTopUp { signer: person(signer).text.clone(), order_id, amount }))
}

pub fn settle(random: &mut Random, scene: &Scene) -> Option<Said> {
    let any = random.chance(1, 6);
    let found = if any { None } else { leased(random, scene, is_active) };
    let id = found.map_or_else(|| random.find(&scene.orders).map(|(id, _)| *id), |((id, _), _)| Some(*id))?;
    let signer = random.pick(&[STRANGER, TENANTS[0], OPERATORS[1]]);
    let order_id = number(random, id);
    Some(Said::by(signer, &MsgSettle { signer: person(signer).text.clone(), order_id }))
}

/// Other parameters inside the laws; sometimes outside.
pub fn update_params(random: &mut Random, scene: &Scene, signer: &'static str) -> Said {
    let mut params = world::market_params(random, scene.scale);
    if random.chance(1, 5) {
        match random.below(4) {
            0 => params.bids_max = 1,
            1 => params.step_ppm = 0,
            2 => params.start_timeout_s_min = 5 * scene.scale.step_s - 1,
            _ => params.abandon_s = params.lock_s + 1,
        }
    }
    let params = if random.chance(1, 20) { None } else { Some(params.into()) };
    Said::by(signer, &MsgUpdateParams { authority: person(signer).text.clone(), params })
}
