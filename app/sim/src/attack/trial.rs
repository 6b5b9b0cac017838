//! One attack on one seed: the scene as it goes when the coalition attacks, and as it goes when the same people are honest.

use std::collections::BTreeMap;

use super::{arena::Arena, catalogue::Attack, ledger, scene::Scene};

/// What an attack made, in ucredit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// What the coalition gained by attacking.
    pub absolute: i128,
    /// How much more that is than it gains honestly.
    pub profit: i128,
    /// What all others together gain less than beside an honest coalition.
    pub harm: i128,
    /// How many transactions of the attacking coalition were executed, and how many were refused.
    pub done: u32,
    pub refused: u32,
    /// Whether anything went another way than beside the honest coalition: money, or what the coalition sent.
    pub shows: bool,
}

struct Played {
    arena: Arena,
    before: BTreeMap<String, i128>,
}

/// Runs an attack with these values of its knobs on the scene of a seed.
pub fn run(attack: &Attack, values: &[u64], seed: u64) -> Figures {
    let mut honest = Scene::new(seed);
    (attack.join)(&mut honest, values);
    let mut rogue = Scene::new(seed);
    (attack.join)(&mut rogue, values);
    (attack.turn)(&mut rogue, values);

    let (calm, attacked) = (play(&honest), play(&rogue));
    let price = ledger::market_price(&honest, &ledger::runs(&calm.arena));
    let (ours_before, theirs_before) = sums(&honest, &calm, price);
    let (ours, theirs) = sums(&rogue, &attacked, price);
    let (profit, harm) = (ours - ours_before, theirs_before - theirs);
    let sent_before = sent(&honest, &calm);
    let (done, refused) = sent(&rogue, &attacked);
    let shows = profit != 0 || harm != 0 || (done, refused) != sent_before;
    Figures { absolute: ours, profit, harm, done, refused, shows }
}

/// How many transactions of the coalition were executed, and how many were refused.
fn sent(scene: &Scene, played: &Played) -> (u32, u32) {
    let mates = |name: &String| scene.coalition.contains(name);
    let done = played.arena.done.iter().filter(|(name, _)| mates(name)).map(|(_, done)| done).sum();
    let refused = played.arena.refused.iter().filter(|(_, name, _)| mates(name)).count();
    (done, u32::try_from(refused).unwrap())
}

fn play(scene: &Scene) -> Played {
    let mut arena = Arena::new(scene);
    let before = scene.names().map(|name| (name.to_owned(), ledger::wealth(&arena.chain, name))).collect();
    arena.run(&mut scene.agents());
    Played { arena, before }
}

fn sums(scene: &Scene, played: &Played, price: u128) -> (i128, i128) {
    let gains = ledger::gains(scene, &played.arena, &played.before, price);
    let (ours, theirs): (Vec<_>, Vec<_>) =
        gains.iter().partition(|(name, _)| scene.coalition.contains(*name));
    let sum = |of: Vec<(&String, &i128)>| of.into_iter().map(|(_, gain)| *gain).sum();
    (sum(ours), sum(theirs))
}
