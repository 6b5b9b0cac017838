//! One cycle after another: a node is made to end, its home is examined, and the next node goes on in it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    child::{Ended, How, Node},
    examine::{self, examine},
    history::History,
    plan::{Fault, Kind},
    scenarios::{Action, Damage, Scenario},
};

/// Blocks that a node runs at most in one cycle.
const BLOCKS_A_CYCLE: u64 = 12;

/// What became of the cycles of one scenario.
#[derive(Default)]
pub struct Tally {
    pub cycles: u32,
    /// The node did not get to the fault; it ran its blocks.
    pub missed: u32,
    /// The home was good by itself, at the last commit or the one that was being made.
    pub recovered: u32,
    /// The home was good at an earlier height, from which the blocks were replayed.
    pub earlier: u32,
    /// The home, or the node, said what is broken and went no further.
    pub refused: u32,
    /// The first reason that a node gave for stopping.
    pub reason: String,
    /// What must not be.
    pub violations: Vec<String>,
}

/// The cycles of all scenarios, on one home after another.
pub struct Cycles<'a> {
    history: &'a History,
    folder: &'a Path,
    random: StdRng,
    homes: u32,
    height: u64,
}

impl<'a> Cycles<'a> {
    pub fn new(history: &'a History, folder: &'a Path, seed: u64) -> Self {
        history.write(&folder.join("history"));
        Self { history, folder, random: StdRng::seed_from_u64(seed), homes: 0, height: 0 }
    }

    fn home(&self) -> PathBuf {
        self.folder.join(format!("home-{}", self.homes))
    }

    /// A home in which there is nothing.
    fn start_again(&mut self) {
        if self.home().exists() {
            fs::remove_dir_all(self.home()).unwrap();
        }
        self.homes += 1;
        self.height = 0;
        fs::create_dir(self.home()).unwrap();
    }

    /// One cycle.
    pub fn run(&mut self, scenario: &Scenario, tally: &mut Tally) {
        tally.cycles += 1;
        if self.homes == 0 || self.height + 2 * BLOCKS_A_CYCLE > self.history.last() {
            self.start_again();
        }
        let needs_blocks = !matches!(scenario.action, Action::Fault(..) | Action::Kill);
        if needs_blocks && self.height == 0 {
            let to = BLOCKS_A_CYCLE;
            self.height = self.node(None, to, None).committed;
        }
        let outcome = match scenario.action {
            Action::Damage(kind, damage) => self.damaged(kind, damage, tally),
            Action::Rebuild(..) => {
                examine::lose_entries(&self.home());
                self.faulty(scenario, tally)
            }
            Action::Fault(..) | Action::Kill => self.faulty(scenario, tally),
        };
        if let Err(violation) = outcome {
            tally.violations.push(format!("{}: {violation}", self.home().display()));
            // What was found stays, for a person to look at.
            self.homes += 1;
            self.start_again();
        }
    }

    /// A node with a fault, and what it leaves.
    fn faulty(&mut self, scenario: &Scenario, tally: &mut Tally) -> Result<(), String> {
        let fault = scenario.fault(&mut self.random);
        let killed_after = fault.is_none().then(|| self.random.random_range(1..150));
        let ended = self.node(fault, self.height + BLOCKS_A_CYCLE, killed_after);
        match &ended.how {
            How::Wrong(reason) => return Err(reason.clone()),
            How::Stopped(reason) => tally.reason(reason)?,
            How::Finished => tally.missed += 1,
            How::Killed => {}
        }
        self.examined(&ended, scenario.loses, tally)
    }

    /// Whether the home is what it may be after a node ended.
    fn examined(&mut self, ended: &Ended, loses: bool, tally: &mut Tally) -> Result<(), String> {
        // In a copy: what a start makes of the home is left to the next node, which may fail in it.
        let copy = self.folder.join("copy");
        examine::copy(&self.home(), &copy);
        let examined = examine(&copy, self.history);
        fs::remove_dir_all(&copy).unwrap();
        match examined? {
            Ok(height) if height > ended.begun => Err(format!("height {height}, begun {}", ended.begun)),
            Ok(height) if height >= ended.committed => {
                self.height = height;
                tally.recovered += 1;
                Ok(())
            }
            Ok(height) if loses => {
                self.height = height;
                tally.earlier += 1;
                Ok(())
            }
            Ok(height) => Err(format!("height {height}, committed {}", ended.committed)),
            Err(reason) if loses => {
                tally.refused += 1;
                tally.reason(&reason)?;
                self.start_again();
                Ok(())
            }
            Err(reason) => Err(format!("refused: {reason}")),
        }
    }

    /// Damages a copy of the home of a node that has just stopped; whatever a node finds there, it must not go on with a
    /// wrong state.
    fn damaged(&mut self, kind: Kind, damage: Damage, tally: &mut Tally) -> Result<(), String> {
        let to = self.height + self.random.random_range(1..=4);
        self.height = self.node(None, to, None).committed;
        let (whole, home) = (self.home(), self.folder.join("damaged"));
        examine::copy(&whole, &home);
        let Some(file) = self.pick(&home, kind) else {
            tally.missed += 1;
            return Ok(());
        };
        self.damage(&file, damage);
        let committed = self.height;
        let height = examine(&home, self.history)?;
        let outcome = match height {
            Err(reason) => {
                tally.refused += 1;
                tally.reason(&reason)
            }
            Ok(height) => self.goes_on(&home, height, committed, tally),
        };
        fs::remove_dir_all(&home).unwrap();
        outcome
    }

    /// A node on a damaged home that is good as far as was seen: it comes to the same hashes, or stops.
    fn goes_on(&mut self, home: &Path, height: u64, committed: u64, tally: &mut Tally) -> Result<(), String> {
        let ended = self.node_in(home, None, height + BLOCKS_A_CYCLE, None);
        match ended.how {
            How::Finished if height == committed => tally.recovered += 1,
            How::Finished => tally.earlier += 1,
            How::Stopped(reason) => {
                tally.refused += 1;
                tally.reason(&reason)?;
            }
            How::Wrong(reason) => return Err(reason),
            How::Killed => return Err("the node was killed by nobody".into()),
        }
        Ok(())
    }

    fn pick(&mut self, home: &Path, kind: Kind) -> Option<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| Kind::of(path.file_name().unwrap().to_str().unwrap()) == kind);
        files.retain(|path| fs::metadata(path).unwrap().len() > 0);
        files.sort();
        (!files.is_empty()).then(|| files.swap_remove(self.random.random_range(0..files.len())))
    }

    fn damage(&mut self, file: &Path, damage: Damage) {
        let mut bytes = fs::read(file).unwrap();
        let at = self.random.random_range(0..bytes.len());
        match damage {
            Damage::Flip => bytes[at] ^= 1 << self.random.random_range(0..8),
            Damage::Zero => {
                let sector = at / 512 * 512;
                let end = bytes.len().min(sector + 512);
                bytes[sector..end].fill(0);
            }
            Damage::Cut => bytes.truncate(at),
            Damage::Delete => return fs::remove_file(file).unwrap(),
        }
        fs::write(file, bytes).unwrap();
    }

    /// Runs a node until it ends.
    fn node(&self, fault: Option<Fault>, to: u64, killed_after: Option<u64>) -> Ended {
        self.node_in(&self.home(), fault, to, killed_after)
    }

    fn node_in(&self, home: &Path, fault: Option<Fault>, to: u64, killed_after: Option<u64>) -> Ended {
        let node = Node::start(self.folder, home, fault, to.min(self.history.last()));
        let ended = match killed_after {
            Some(after) => node.frozen_after(after, || {}),
            None => node.finished(),
        };
        Ended { committed: ended.committed.max(self.height), begun: ended.begun.max(self.height), ..ended }
    }
}

impl Tally {
    /// A node that stops must say why.
    pub fn reason(&mut self, text: &str) -> Result<(), String> {
        let line = text.lines().find(|line| !line.trim().is_empty());
        let line = line.ok_or("the node stopped without a word")?;
        if self.reason.is_empty() {
            self.reason = line.to_owned();
        }
        Ok(())
    }
}
