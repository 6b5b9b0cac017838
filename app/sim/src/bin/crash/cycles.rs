//! One cycle after another: a node is made to end, its home is examined, and the next node goes on in it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{
    child::{Ended, How, Node},
    examine::{self, Found, NO_ENTRIES, examine},
    history::History,
    plan::{Fault, Kind},
    scenarios::{Action, Damage, Scenario},
};

/// Blocks that a node runs at most in one cycle.
const BLOCKS_A_CYCLE: u64 = 12;
/// What a signal that this program did not send is called.
pub const KILLED_BY_NOBODY: &str = "the node was killed by nobody";

/// What became of the cycles of one scenario.
#[derive(Default)]
pub struct Tally {
    pub cycles: u32,
    /// The node did not get to the fault; it ran its blocks, and the next one met the first chance there is.
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
    /// The home's derived entries may be wrong: they were lost, and no node has made them again.
    entries_lost: bool,
    damaged: u32,
}

impl<'a> Cycles<'a> {
    pub fn new(history: &'a History, folder: &'a Path, seed: u64) -> Self {
        history.write(&folder.join("history"));
        let random = StdRng::seed_from_u64(seed);
        Self { history, folder, random, homes: 0, height: 0, entries_lost: false, damaged: 0 }
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
        self.entries_lost = false;
        fs::create_dir(self.home()).unwrap();
    }

    /// One cycle.
    pub fn run(&mut self, scenario: &Scenario, tally: &mut Tally) {
        tally.cycles += 1;
        if self.homes == 0 || self.height + 2 * BLOCKS_A_CYCLE > self.history.last() {
            self.start_again();
        }
        if let Err(violation) = self.cycle(scenario, tally) {
            tally.violations.push(format!("{}: {violation}", self.home().display()));
            // What was found stays, for a person to look at.
            self.homes += 1;
            self.start_again();
        }
    }

    fn cycle(&mut self, scenario: &Scenario, tally: &mut Tally) -> Result<(), String> {
        let needs_blocks = !matches!(scenario.action, Action::Fault(..) | Action::Kill);
        if needs_blocks && self.height == 0 {
            self.without_fault(BLOCKS_A_CYCLE)?;
        }
        match scenario.action {
            Action::Damage(kind, damage) => self.damaged(kind, damage, tally),
            Action::Rebuild(..) => {
                examine::lose_entries(&self.home());
                self.entries_lost = true;
                self.faulty(scenario, tally)
            }
            Action::Fault(..) | Action::Kill => self.faulty(scenario, tally),
        }
    }

    /// A node that nothing hinders: it comes to this height.
    fn without_fault(&mut self, to: u64) -> Result<(), String> {
        let ended = self.node(None, to, None);
        self.height = ended.committed;
        match ended.how {
            How::Finished => {
                self.entries_lost = false;
                Ok(())
            }
            How::Stopped(reason) | How::Wrong(reason) => Err(format!("without a fault: {reason}")),
            How::Killed => Err(KILLED_BY_NOBODY.into()),
        }
    }

    /// A node with a fault, and what it leaves.
    fn faulty(&mut self, scenario: &Scenario, tally: &mut Tally) -> Result<(), String> {
        let fault = scenario.fault(&mut self.random);
        let killed_after = fault.is_none().then(|| self.random.random_range(1..150));
        let mut ended = self.node(fault, self.height + BLOCKS_A_CYCLE, killed_after);
        if ended.missed() {
            tally.missed += 1;
            (self.height, self.entries_lost) = (ended.committed, false);
            let first = fault.map(|fault| Fault { at: 1, ..fault });
            ended = self.node(first, self.height + BLOCKS_A_CYCLE, killed_after.map(|_| 1));
        }
        match &ended.how {
            _ if ended.missed() => return Err("there is no chance for the fault".into()),
            How::Wrong(reason) => return Err(reason.clone()),
            // What only ends the process is no reason to stop by itself.
            How::Stopped(reason) if !fault.is_some_and(|fault| fault.effect.is_an_error()) => {
                return Err(format!("stopped by itself: {reason}"));
            }
            How::Stopped(reason) => tally.reason(reason)?,
            How::Finished | How::Killed => {}
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
            Ok(Found { has_entries: false, .. }) if !loses && !self.entries_lost => Err(NO_ENTRIES.into()),
            Ok(Found { height, .. }) if height > ended.begun => {
                Err(format!("height {height}, begun {}", ended.begun))
            }
            Ok(Found { height, .. }) if height < ended.committed && !loses => {
                Err(format!("height {height}, committed {}", ended.committed))
            }
            Ok(Found { height, has_entries }) => {
                (self.height, self.entries_lost) = (height, !has_entries);
                let is_earlier = height < ended.committed;
                *(if is_earlier { &mut tally.earlier } else { &mut tally.recovered }) += 1;
                Ok(())
            }
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
        self.without_fault(to)?;
        let file = self.pick(kind).ok_or("there is no such file")?;
        self.damaged += 1;
        let home = self.folder.join(format!("damaged-{}", self.damaged));
        examine::copy(&self.home(), &home);
        self.damage(&home.join(file), damage);
        self.told(&home, tally).map_err(|violation| format!("{}: {violation}", home.display()))?;
        fs::remove_dir_all(&home).unwrap();
        Ok(())
    }

    /// What a damaged home does.
    fn told(&mut self, home: &Path, tally: &mut Tally) -> Result<(), String> {
        match examine(home, self.history)? {
            Err(reason) => {
                tally.refused += 1;
                tally.reason(&reason)
            }
            Ok(found) => self.goes_on(home, found.height, tally),
        }
    }

    /// A node on a damaged home that is good as far as was seen: it comes to the same hashes, or stops.
    fn goes_on(&mut self, home: &Path, height: u64, tally: &mut Tally) -> Result<(), String> {
        let ended = self.node_in(home, None, height + BLOCKS_A_CYCLE, None);
        match ended.how {
            How::Finished if height == self.height => tally.recovered += 1,
            How::Finished => tally.earlier += 1,
            How::Stopped(reason) => {
                tally.refused += 1;
                tally.reason(&reason)?;
            }
            How::Wrong(reason) => return Err(reason),
            How::Killed => return Err(KILLED_BY_NOBODY.into()),
        }
        Ok(())
    }

    /// The name of a file of this kind.
    fn pick(&mut self, kind: Kind) -> Option<OsString> {
        let entries = fs::read_dir(self.home()).unwrap().map(|entry| entry.unwrap());
        let filled = entries.filter(|entry| entry.metadata().unwrap().len() > 0);
        let mut names: Vec<_> = filled.map(|entry| entry.file_name()).collect();
        names.retain(|name| Kind::of(name.to_str().unwrap()) == kind);
        names.sort();
        (!names.is_empty()).then(|| names.swap_remove(self.random.random_range(0..names.len())))
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
