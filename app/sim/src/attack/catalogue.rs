//! What an attack is, and the list of all.

use super::{added, listed, scene::Scene, seller::Runs};

/// A number that a strategy can choose.
#[derive(Clone, Copy)]
pub struct Knob {
    pub name: &'static str,
    pub low: u64,
    pub high: u64,
    /// What it is where nobody searches.
    pub usual: u64,
}

/// What is said of an attack's profit.
#[derive(Clone, Copy, PartialEq)]
pub enum Claim {
    /// It loses on every seed.
    Loses,
    /// It changes who wins by chance: over seeds its mean is no further above 0 than three standard errors, and
    /// than a hundredth of what the scene turns over.
    LosesOnAverage,
    /// The rules of this release leave a profit; the text says which rule, and what bounds it.
    Open(&'static str),
}

/// A strategy of a coalition.
pub struct Attack {
    pub name: &'static str,
    /// Whether the market's specification lists it.
    pub listed: bool,
    pub claim: Claim,
    pub knobs: &'static [Knob],
    /// Puts the coalition into the scene, honest.
    pub join: fn(&mut Scene, &[u64]),
    /// Makes it attack.
    pub turn: fn(&mut Scene, &[u64]),
}

impl Attack {
    /// The usual values of its knobs.
    pub fn usual(&self) -> Vec<u64> {
        self.knobs.iter().map(|knob| knob.usual).collect()
    }
}

/// A knob.
pub const fn knob(name: &'static str, low: u64, high: u64, usual: u64) -> Knob {
    Knob { name, low, high, usual }
}

/// How one who won only to keep others from winning gets out of the lease.
pub const EXIT: Knob = knob("exit: no start, fake, notice", 0, 2, 0);

/// The way out of that number.
pub const fn exit(number: u64) -> Runs {
    match number {
        0 => Runs::NoStart,
        1 => Runs::Fake,
        _ => Runs::Reclaim { after_s: 0 },
    }
}

/// All attacks: those that the specification lists, in its order, then the others.
pub fn all() -> impl Iterator<Item = &'static Attack> {
    listed::ATTACKS.iter().chain(added::ATTACKS)
}
