//! What goes wrong in a run, and where.

use serde::{Deserialize, Serialize};

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Phase {
    /// The store is opened: the log is replayed and flushed, the tries are built, the entries checked.
    Opening,
    /// A block is executed.
    Executing,
    /// A block is committed.
    Committing,
    /// Between blocks; the store prunes.
    Idle,
}

/// Where a fault may strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Bytes are appended to a file.
    Write,
    /// A file, or the directory, is synced.
    Sync,
    /// A file takes another's name.
    Rename,
    /// A file is deleted.
    Unlink,
    /// Bytes of a file are read.
    Read,
    /// A block reads a record.
    State,
    /// FinalizeBlock is about to be called.
    BeforeFinalize,
    /// FinalizeBlock has returned.
    AfterFinalize,
    /// Commit has returned.
    AfterCommit,
}

/// The kind of a database's file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `*.log`: what was committed last.
    Log,
    /// `*.sst`: what was flushed.
    Table,
    /// `MANIFEST-*`: which files there are.
    Manifest,
    /// `CURRENT`, or the file that becomes it: which manifest is in force.
    Current,
    /// `OPTIONS-*`.
    Options,
    /// The directory.
    Directory,
    /// Any other.
    Other,
}

impl Kind {
    /// The kind of a file of this name.
    pub fn of(name: &str) -> Self {
        match name.rsplit_once('.').map_or(name, |(_, extension)| extension) {
            "log" => Self::Log,
            "sst" => Self::Table,
            "dbtmp" | "CURRENT" => Self::Current,
            _ if name.starts_with("MANIFEST-") => Self::Manifest,
            _ if name.starts_with("OPTIONS-") => Self::Options,
            _ => Self::Other,
        }
    }
}

/// What happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// The process is killed; what it did not do, nobody does.
    KillBefore,
    /// The process is killed just after.
    KillAfter,
    /// Some whole sectors of the write are made, then the process is killed.
    Tear,
    /// The power is cut before: what is not synced is lost, torn or out of order.
    CutBefore,
    /// The power is cut just after.
    CutAfter,
    /// From here on syncs do nothing and say that they did; a few of them later the power is cut.
    Lie,
    /// From here on the disk is full.
    Full,
    /// The call fails.
    Fail,
    /// A bit of what is read is another.
    Flip,
}

impl Effect {
    /// Whether the process is told, and may stop with a reason; all others end it.
    pub const fn is_an_error(self) -> bool {
        matches!(self, Self::Full | Self::Fail | Self::Flip)
    }
}

/// A fault: the `at`th time that everything matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub place: Place,
    /// In files of this kind; any, if there is none.
    pub kind: Option<Kind>,
    /// In this phase; any, if there is none.
    pub phase: Option<Phase>,
    /// Only in the thread that prunes.
    pub pruner: bool,
    pub at: u64,
    pub effect: Effect,
    /// Decides what a power cut leaves.
    pub seed: u64,
}
