//! Messages of the bank and of escrow.

use kernel::Address;
use proto::{
    cosmos::{
        bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output},
        base::v1beta1::Coin,
    },
    underbid::{
        bank::v1::MsgBurn,
        escrow::v1::{MsgUpdateParams, Params},
    },
};

use super::{Said, scene::Scene};
use crate::{
    PURSE, coin,
    simulate::{
        cast::{AUTHORITY, NEWCOMERS, OPERATORS, OWNERS, POOR, STRANGER, TENANTS, person},
        random::Random,
        world,
    },
};

fn anyone(random: &mut Random) -> &'static str {
    random.pick(&[
        STRANGER,
        POOR,
        TENANTS[0],
        TENANTS[4],
        OPERATORS[0],
        OWNERS[1],
        NEWCOMERS[0],
        NEWCOMERS[1],
    ])
}

fn receiver(random: &mut Random) -> String {
    match random.below(10) {
        0 => Address::of_module(random.pick(underbid::modules::MODULE_ACCOUNTS)).to_string(),
        1..=3 => person(random.pick(&NEWCOMERS)).text.clone(),
        _ => person(anyone(random)).text.clone(),
    }
}

fn coins(random: &mut Random) -> Vec<Coin> {
    let amount = random.between(1, 1_000_000);
    match random.below(20) {
        0 => vec![coin("ucredit", amount)],
        1 => vec![coin("uflop", PURSE * 2)],
        2 => vec![coin("ghost", 1)],
        3 => vec![coin("uflop", 0)],
        4 => Vec::new(),
        5 => vec![coin("uflop", 1), coin("ghost", 1)],
        6 => vec![Coin { denom: "uflop".into(), amount: "1.0".into() }],
        _ => vec![coin("uflop", amount)],
    }
}

pub fn send(random: &mut Random, _: &Scene) -> Said {
    let from = anyone(random);
    let to_address = if random.chance(1, 40) { "nobody".into() } else { receiver(random) };
    let amount = coins(random);
    Said::by(from, &MsgSend { from_address: person(from).text.clone(), to_address, amount })
}

pub fn multi_send(random: &mut Random, _: &Scene) -> Said {
    let from = anyone(random);
    let each = coins(random);
    let count = random.pick(&[0, 1, 2, 3, 5, 65]);
    let output = |random: &mut Random| Output { address: receiver(random), coins: each.clone() };
    let outputs: Vec<_> = (0..count).map(|_| output(random)).collect();
    let sum = |coin: &Coin| {
        let one: u128 = coin.amount.parse().unwrap_or(1);
        Coin { denom: coin.denom.clone(), amount: (one * outputs.len() as u128).to_string() }
    };
    let mut total: Vec<_> = each.iter().map(sum).collect();
    if random.chance(1, 10) {
        total = vec![coin("uflop", 17)];
    }
    let input = Input { address: person(from).text.clone(), coins: total };
    let inputs = match random.below(20) {
        0 => Vec::new(),
        1 => vec![input.clone(), input],
        _ => vec![input],
    };
    Said::by(from, &MsgMultiSend { inputs, outputs })
}

pub fn burn(random: &mut Random, _: &Scene) -> Said {
    let from = anyone(random);
    let amount = coins(random);
    Said::by(from, &MsgBurn { from_address: person(from).text.clone(), amount })
}

pub fn update_params(random: &mut Random, _: &Scene, signer: &'static str) -> Said {
    let params = world::escrow_params(random, person(AUTHORITY).address);
    let mut params = Params::from(&params);
    if random.chance(1, 5) {
        match random.below(2) {
            0 => params.fee_ppm = 1_000_001,
            _ => params.depositors_max = 65,
        }
    }
    let params = if random.chance(1, 20) { None } else { Some(params) };
    Said::by(signer, &MsgUpdateParams { authority: person(signer).text.clone(), params })
}
