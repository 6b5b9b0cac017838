//! The simulator: from one seed a whole history of the chain, with everything in it that can happen to one, checked at
//! every block.
//!
//! ```text
//! seed -> generate (looks at the chain, thinks of the next step) -> history (data) -> play (signs, executes, checks)
//!                                                                       |                |
//!                                                                       +-- shrink <-----+ a failure
//! ```
//!
//! After every block: both replicas have the same results, events and app hash; the running totals agree; no money came to be
//! or was lost; nothing is on hold. Every 32 blocks and at the end: every invariant, and indexes and queues are what the
//! records give. A restart, a rollback, other rounds of the same height, a replay of all blocks and an import change
//! nothing. What was reached is counted in a table that must be full.

pub mod cast;
pub mod coverage;
pub mod generate;
pub mod history;
pub mod names;
pub mod play;
pub mod random;
mod report;
pub mod shrink;
pub mod sign;
pub mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use report::{Options, main};

use self::{coverage::Coverage, generate::Generator, history::History, play::Play};
use crate::Observer;

/// Who watches every history besides the checks of the simulator itself.
pub fn observers() -> Vec<Box<dyn Observer>> {
    vec![Box::new(crate::Opinion::every(8))]
}

/// What went wrong in a history.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The step in which it did.
    pub step: usize,
    /// The height of the last block before it.
    pub height: u64,
    /// What does not hold.
    pub what: String,
}

impl Failure {
    /// What went wrong, without the numbers that are another one's in a shorter history.
    pub fn kind(&self) -> String {
        let words = self.what.lines().next().unwrap_or_default().chars();
        words.filter(|letter| !letter.is_ascii_digit()).take(60).collect()
    }
}

/// A history that was made and played.
#[derive(Debug)]
pub struct Run {
    /// What happened.
    pub history: History,
    /// What was reached.
    pub coverage: Coverage,
    /// What went wrong.
    pub failure: Option<Failure>,
}

/// Makes and plays the history of a seed. Every 16th seed keeps one replica on disk.
pub fn run(seed: u64, blocks: u64) -> Run {
    let (mut generator, genesis) = Generator::new(seed);
    let origin = format!("seed {seed}");
    let on_disk = seed % 16 == 15;
    let mut history = History { origin, on_disk, genesis, steps: Vec::new() };
    let mut coverage = Coverage::default();
    let mut height = 0;
    let played = guarded(|| {
        let mut play = Play::begin(&history.genesis, on_disk, observers())?;
        while play.coverage.blocks < blocks {
            report::now_at(seed, play.chain.height);
            height = play.chain.height;
            let step = generator.next(&play.chain, play.length());
            history.steps.push(step);
            let made = play.step(&history.steps[history.steps.len() - 1]);
            coverage.clone_from(&play.coverage);
            made?;
        }
        play.finish()
    });
    let step = history.steps.len().saturating_sub(1);
    let failure = played.err().map(|what| Failure { step, height, what });
    Run { history, coverage, failure }
}

/// Plays a history again.
pub fn replayed(history: &History) -> Result<Coverage, Failure> {
    played(history, None)
}

/// The same with a fault in the second replica.
pub fn played(history: &History, plant: Option<play::Plant>) -> Result<Coverage, Failure> {
    let (mut step, mut height) = (0, 0);
    let result = guarded(|| {
        let mut play = Play::begin(&history.genesis, history.on_disk, observers())?;
        play.plant = plant;
        for (at, next) in history.steps.iter().enumerate() {
            (step, height) = (at, play.chain.height);
            play.step(next)?;
        }
        play.finish()?;
        Ok(play.coverage)
    });
    result.map_err(|what| Failure { step, height, what })
}

/// A panic is a finding like any other.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}
