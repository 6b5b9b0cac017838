//! Messages of providers and of the authority: most of them plausible, some with one thing wrong.

use market::types::Terms;
use proto::underbid::provider::v1::*;
use provider::{Provider, Status};

use super::{
    Said,
    scene::{CLASSES, Scene, ZONES},
};
use crate::simulate::{
    cast::{AUTHORITY, OPERATORS, OWNERS, POOR, STRANGER, person},
    random::Random,
    world,
};

const MILLION: u128 = 1_000_000;

/// An owner whose provider stands so; else anyone.
fn owner_in(random: &mut Random, scene: &Scene, status: Status) -> &'static str {
    let fitting: Vec<_> = scene.providers.iter().filter(|(_, provider)| provider.status == status).collect();
    match random.find(&fitting) {
        Some((name, _)) if !random.chance(1, 12) => name,
        _ => random.pick(&[OWNERS.as_slice(), &[STRANGER, OPERATORS[0]]].concat()),
    }
}

fn record<'a>(scene: &'a Scene, name: &str) -> Option<&'a Provider> {
    scene.providers.iter().find(|(owner, _)| *owner == name).map(|(_, provider)| provider)
}

fn endpoints(random: &mut Random) -> Vec<String> {
    let endpoint = |text: &str| vec![text.to_owned()];
    match random.below(20) {
        0 => vec!["http://a".into(), "http://b".into(), "http://c".into()],
        1 => endpoint("https://much.too.long"),
        2 => endpoint("sp ace"),
        3 => endpoint(""),
        4 => Vec::new(),
        _ => endpoint("https://x:1"),
    }
}

fn encryption_key(random: &mut Random) -> Vec<u8> {
    vec![3; if random.chance(1, 30) { 31 } else { 32 }]
}

fn operators(random: &mut Random, scene: &Scene) -> Vec<String> {
    let most = u64::from(scene.stake.operators_max);
    let count = if random.chance(1, 10) { most + 1 } else { random.between(0, most) };
    let mut names: Vec<&str> = OPERATORS.to_vec();
    random.shuffle(&mut names);
    names.truncate(usize::try_from(count).unwrap());
    if random.chance(1, 12) {
        names.push(random.pick(&OWNERS));
    }
    if random.chance(1, 30) {
        names.extend_from_within(..1.min(names.len()));
    }
    names.into_iter().map(|name| person(name).text.clone()).collect()
}

/// The uflop that count for so many ucredit.
fn stake_for(scene: &Scene, uc: u128) -> u128 {
    (uc * MILLION).div_ceil(scene.stake.stake_price.units())
}

pub fn register(random: &mut Random, scene: &Scene) -> Said {
    let idle: Vec<_> = OWNERS
        .into_iter()
        .filter(|name| record(scene, name).is_none_or(|provider| provider.status == Status::Exited))
        .collect();
    let owner = match random.find(&idle) {
        Some(name) if !random.chance(1, 10) => *name,
        _ => random.pick(&[OWNERS.as_slice(), &[POOR, OPERATORS[0], OPERATORS[1]]].concat()),
    };
    let least = stake_for(scene, scene.stake.tier_min_stake_uc[0].units());
    let stake = match random.below(12) {
        0 => least - 1,
        1 => least,
        2 => 0,
        3 => u128::from(crate::PURSE) + 1,
        _ => least * u128::from(random.between(10, 40)) / 10,
    };
    let message = MsgRegisterProvider {
        owner: person(owner).text.clone(),
        endpoints: endpoints(random),
        encryption_key: encryption_key(random),
        operators: operators(random, scene),
        stake: stake.to_string(),
    };
    Said::by(owner, &message)
}

pub fn update(random: &mut Random, scene: &Scene) -> Said {
    let owner = owner_in(random, scene, Status::Active);
    let (endpoints, encryption_key) = (endpoints(random), encryption_key(random));
    Said::by(owner, &MsgUpdateProvider { owner: person(owner).text.clone(), endpoints, encryption_key })
}

pub fn set_operators(random: &mut Random, scene: &Scene) -> Said {
    let owner = owner_in(random, scene, Status::Active);
    let operators = operators(random, scene);
    Said::by(owner, &MsgSetOperators { owner: person(owner).text.clone(), operators })
}

pub fn add_stake(random: &mut Random, scene: &Scene) -> Said {
    let owner = owner_in(random, scene, Status::Active);
    let amount = match random.below(10) {
        0 => "0".to_owned(),
        1 => (u128::from(crate::PURSE) * 2).to_string(),
        2 => "ten".to_owned(),
        _ => (MILLION * u128::from(random.between(1, 50))).to_string(),
    };
    Said::by(owner, &MsgAddStake { owner: person(owner).text.clone(), amount })
}

pub fn unstake(random: &mut Random, scene: &Scene) -> Said {
    let owner = owner_in(random, scene, Status::Active);
    let (free, spare) = record(scene, owner).map_or((0, 0), |provider| {
        let required = stake_for(scene, provider.required_uc.units());
        (provider.free_stake().units(), provider.stake_total.units().saturating_sub(required))
    });
    let amount = match random.below(8) {
        0 => free + 1,
        1 => free,
        2 => spare + 1,
        3 => spare,
        4 => 0,
        _ => spare.min(free) / u128::from(random.between(2, 20)),
    };
    let amount = if random.chance(1, 60) { "-".into() } else { amount.to_string() };
    Said::by(owner, &MsgUnstake { owner: person(owner).text.clone(), amount })
}

pub fn set_capacity(random: &mut Random, scene: &Scene) -> Said {
    let owner = owner_in(random, scene, Status::Active);
    let actor = scene.actor(random, &person(owner).address);
    let signer = if random.chance(1, 16) { STRANGER } else { actor };
    let total = match random.below(10) {
        0 => 0,
        1 => 1,
        2 => u32::MAX,
        _ => random.within(1, 12),
    };
    let zone = if random.chance(1, 40) { "de//x" } else { random.pick(&ZONES) };
    let message = MsgSetCapacity {
        signer: person(signer).text.clone(),
        provider: person(owner).text.clone(),
        class_id: scene.class(random),
        zone: zone.to_owned(),
        total,
    };
    Said::by(signer, &message)
}

/// Units that an order asks for, by somebody who may offer them.
pub fn capacity_for(random: &mut Random, scene: &Scene, terms: &Terms) -> Said {
    let owner = owner_in(random, scene, Status::Active);
    let signer = scene.actor(random, &person(owner).address);
    let allowed: Vec<_> = ZONES
        .into_iter()
        .filter(|zone| {
            let zone = provider::Zone::parse(zone).unwrap();
            terms.zones.iter().any(|pattern| pattern.matches(&zone))
        })
        .collect();
    let message = MsgSetCapacity {
        signer: person(signer).text.clone(),
        provider: person(owner).text.clone(),
        class_id: terms.class_id,
        zone: random.find(&allowed).copied().unwrap_or(ZONES[0]).to_owned(),
        total: terms.count + random.within(0, 6),
    };
    Said::by(signer, &message)
}

pub fn exit(random: &mut Random, scene: &Scene) -> Said {
    let owner = owner_in(random, scene, Status::Active);
    Said::by(owner, &MsgExitProvider { owner: person(owner).text.clone() })
}

pub fn set_class(random: &mut Random, _: &Scene) -> Said {
    let signer = if random.chance(1, 10) { STRANGER } else { AUTHORITY };
    let mut class = Class {
        id: random.pick(&CLASSES),
        name: "a class".into(),
        vram_mib: 8_192,
        gpus: random.pick(&[0, 1, 8]),
        vcpu_milli: 4_000,
        memory_mib: 16_384,
        disk_gib: 100,
        device_price_usd: random.pick(&[500, 500, 999, 1_000, 2_500, 20_000]),
        ref_price_day: random.pick(&["1", "1000000", "500000", "3000000"]).into(),
        active: random.chance(5, 6),
    };
    match random.below(16) {
        0 => class.id = 0,
        1 => class.name.clear(),
        2 => class.ref_price_day = "0".into(),
        3 => class.gpus = 70_000,
        _ => {}
    }
    let class = if random.chance(1, 40) { None } else { Some(class) };
    Said::by(signer, &MsgSetClass { authority: person(signer).text.clone(), class })
}

pub fn update_params(random: &mut Random, scene: &Scene, signer: &'static str) -> Said {
    let params = world::provider_params(random, scene.scale, person(AUTHORITY).address);
    let mut params = Params::from(&params);
    if random.chance(1, 5) {
        match random.below(3) {
            0 => params.stake_price = "0".into(),
            1 => params.lines_max = 0,
            _ => params.tier_days.truncate(2),
        }
    }
    let params = if random.chance(1, 20) { None } else { Some(params) };
    Said::by(signer, &MsgUpdateParams { authority: person(signer).text.clone(), params })
}
