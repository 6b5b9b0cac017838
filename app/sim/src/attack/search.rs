//! A random search for values of an attack's knobs that gain more than the usual ones.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    catalogue::{Attack, Claim, Knob},
    report::{Summary, in_parallel, summary},
    trial::run,
};

/// The seeds on which candidates are compared.
const TRIED: u64 = 3;
/// The seeds on which the best of them is judged: others, since the best of many is lucky on its own.
const JUDGED: std::ops::Range<u64> = 1_001..1_011;

/// Tries so many random values; the best, judged on seeds that the search has not seen. The values of an attack that gain
/// most are often nearly those of an honest offer: who is drawn then decides, and no more can be asked than that it
/// loses on average.
pub fn search(attack: &'static Attack, tries: u32) -> Summary {
    let mut draw = StdRng::seed_from_u64(7);
    let mut candidates = vec![attack.usual()];
    if !attack.knobs.is_empty() {
        candidates
            .extend((1..tries).map(|_| attack.knobs.iter().map(|knob| pick(knob, &mut draw)).collect()));
    }
    let gain = |values: &Vec<u64>| -> i128 { (1..=TRIED).map(|seed| run(attack, values, seed).profit).sum() };
    let gains = in_parallel(&candidates, gain);
    let best = gains.iter().enumerate().max_by_key(|(_, gain)| **gain).map_or(0, |(index, _)| index);
    let mut judged = summary(attack, candidates.swap_remove(best), JUDGED);
    if judged.claim == Claim::Loses {
        judged.claim = Claim::LosesOnAverage;
    }
    judged
}

/// A value between the bounds: one of them each tenth time, else anything.
fn pick(knob: &Knob, draw: &mut StdRng) -> u64 {
    match draw.random_range(0..10) {
        0 => knob.low,
        1 => knob.high,
        _ => draw.random_range(knob.low..=knob.high),
    }
}
