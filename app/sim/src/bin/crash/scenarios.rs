//! The list of what is tried.

use rand::{Rng as _, rngs::StdRng};

use crate::plan::{Effect, Fault, Kind, Phase, Place};

/// What a cycle does.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// A fault below or in the process, at most the `u64`th time that its place is met.
    Fault(Fault, u64),
    /// The same after the store's derived entries were lost, so that they are made again at the start.
    Rebuild(Fault, u64),
    /// SIGKILL from outside, at any instant.
    Kill,
    /// The files of a stopped node are damaged.
    Damage(Kind, Damage),
}

/// What happens to a file of a stopped node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit is another.
    Flip,
    /// A sector is zeros.
    Zero,
    /// Its end is missing.
    Cut,
    /// It is missing.
    Delete,
}

/// A named way to end.
pub struct Scenario {
    pub name: String,
    pub action: Action,
    /// What is tried takes away what was synced, so that the node may refuse its home, or go back further than one block.
    pub loses: bool,
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    blocks(&mut all);
    commits(&mut all);
    starts(&mut all);
    disks(&mut all);
    let kinds = [Kind::Log, Kind::Table, Kind::Manifest, Kind::Current, Kind::Options];
    for kind in kinds {
        for damage in [Damage::Flip, Damage::Zero, Damage::Cut, Damage::Delete] {
            let name = format!("at rest: {kind:?} {damage:?}").to_lowercase();
            all.push(Scenario { name, action: Action::Damage(kind, damage), loses: true });
        }
    }
    all
}

/// A fault anywhere.
const fn fault(place: Place, effect: Effect) -> Fault {
    Fault { place, kind: None, phase: None, pruner: false, at: 1, effect, seed: 0 }
}

const fn of(place: Place, kind: Kind, phase: Phase, effect: Effect) -> Fault {
    Fault { kind: Some(kind), phase: Some(phase), ..fault(place, effect) }
}

fn add(all: &mut Vec<Scenario>, name: &str, fault: Fault, at_most: u64) {
    all.push(Scenario { name: name.into(), action: Action::Fault(fault, at_most), loses: false });
}

fn blocks(all: &mut Vec<Scenario>) {
    add(all, "before FinalizeBlock: killed", fault(Place::BeforeFinalize, Effect::KillBefore), 8);
    let in_block = Fault { phase: Some(Phase::Executing), ..fault(Place::State, Effect::KillBefore) };
    add(all, "in FinalizeBlock: killed", in_block, 600);
    add(all, "after FinalizeBlock: killed", fault(Place::AfterFinalize, Effect::KillBefore), 8);
    add(all, "after Commit: killed", fault(Place::AfterCommit, Effect::KillBefore), 8);
    add(all, "after Commit: power cut", fault(Place::AfterCommit, Effect::CutAfter), 8);
    all.push(Scenario {
        name: "any instant: killed from outside".into(),
        action: Action::Kill,
        loses: false,
    });
}

fn commits(all: &mut Vec<Scenario>) {
    let commit = |place, effect| of(place, Kind::Log, Phase::Committing, effect);
    add(all, "Commit, before the write: killed", commit(Place::Write, Effect::KillBefore), 8);
    add(all, "Commit, in the write: killed, torn", commit(Place::Write, Effect::Tear), 8);
    add(all, "Commit, before the sync: killed", commit(Place::Sync, Effect::KillBefore), 8);
    add(all, "Commit, before the sync: power cut", commit(Place::Sync, Effect::CutBefore), 8);
    add(all, "Commit, after the sync: killed", commit(Place::Sync, Effect::KillAfter), 8);
    add(all, "Commit, after the sync: power cut", commit(Place::Sync, Effect::CutAfter), 8);
    let prune = |effect| Fault { pruner: true, kind: Some(Kind::Log), ..fault(Place::Write, effect) };
    add(all, "pruning, before its write: killed", prune(Effect::KillBefore), 6);
    add(all, "pruning, in its write: killed, torn", prune(Effect::Tear), 6);
    add(all, "pruning, after its write: power cut", prune(Effect::CutAfter), 6);
}

fn starts(all: &mut Vec<Scenario>) {
    let start = |place, kind, effect| of(place, kind, Phase::Opening, effect);
    add(all, "start, writing a table: killed", start(Place::Write, Kind::Table, Effect::KillBefore), 4);
    add(all, "start, writing a table: power cut", start(Place::Write, Kind::Table, Effect::CutAfter), 4);
    add(all, "start, syncing a table: power cut", start(Place::Sync, Kind::Table, Effect::CutBefore), 4);
    add(all, "start, writing the manifest: torn", start(Place::Write, Kind::Manifest, Effect::Tear), 4);
    add(
        all,
        "start, syncing the manifest: power cut",
        start(Place::Sync, Kind::Manifest, Effect::CutBefore),
        1,
    );
    add(
        all,
        "start, naming the manifest: killed",
        start(Place::Rename, Kind::Current, Effect::KillBefore),
        1,
    );
    add(all, "start, manifest named: power cut", start(Place::Rename, Kind::Current, Effect::CutAfter), 1);
    add(
        all,
        "start, syncing the directory: power cut",
        start(Place::Sync, Kind::Directory, Effect::CutBefore),
        6,
    );
    add(all, "start, deleting a log: killed", start(Place::Unlink, Kind::Log, Effect::KillBefore), 1);
    add(all, "start, building the tries: killed", start(Place::Read, Kind::Table, Effect::KillBefore), 40);
    for (name, place, effect) in [
        ("start, entries made again: killed", Place::Write, Effect::KillBefore),
        ("start, entries made again: torn", Place::Write, Effect::Tear),
        ("start, entries made again: power cut", Place::Sync, Effect::CutBefore),
    ] {
        let action = Action::Rebuild(start(place, Kind::Log, effect), 1);
        all.push(Scenario { name: name.into(), action, loses: false });
    }
}

fn disks(all: &mut Vec<Scenario>) {
    add(all, "any write: power cut", fault(Place::Write, Effect::CutAfter), 60);
    add(all, "any write: killed, torn", fault(Place::Write, Effect::Tear), 60);
    add(all, "any sync: power cut", fault(Place::Sync, Effect::CutBefore), 20);
    add(all, "any write: the disk is full", fault(Place::Write, Effect::Full), 60);
    add(all, "any write: fails", fault(Place::Write, Effect::Fail), 60);
    add(all, "any sync: fails", fault(Place::Sync, Effect::Fail), 20);
    let read = |effect| Fault { kind: Some(Kind::Table), ..fault(Place::Read, effect) };
    add(all, "any read: fails", read(Effect::Fail), 30);
    add(all, "any read: a bit is flipped", read(Effect::Flip), 30);
    let lie = Action::Fault(fault(Place::Sync, Effect::Lie), 20);
    all.push(Scenario { name: "syncs lie, then power cut".into(), action: lie, loses: true });
}

impl Scenario {
    /// The fault of one cycle.
    pub fn fault(&self, random: &mut StdRng) -> Option<Fault> {
        match self.action {
            Action::Fault(fault, at_most) | Action::Rebuild(fault, at_most) => {
                Some(Fault { at: random.random_range(1..=at_most), seed: random.random(), ..fault })
            }
            Action::Kill | Action::Damage(..) => None,
        }
    }
}
