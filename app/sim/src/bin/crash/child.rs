//! A node in a process of its own, and how it ended.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{files::TOLD, node::DIFFERS, plan::Fault};

/// A running node.
pub struct Node(Child);

/// What a node did before it ended.
pub struct Ended {
    /// The height at which it found its home.
    pub opened: Option<u64>,
    /// The last height whose commit was made; 0: none.
    pub committed: u64,
    /// The last height whose commit was begun.
    pub begun: u64,
    /// It was told of an error, which it may have survived.
    pub was_told: bool,
    pub how: How,
}

impl Ended {
    /// Whether it ran its blocks as if there was no fault.
    pub fn missed(&self) -> bool {
        matches!(self.how, How::Finished) && !self.was_told
    }
}

/// How a node ended.
pub enum How {
    Killed,
    Finished,
    /// By itself, with a reason.
    Stopped(String),
    /// It found another result than the history has, or crashed.
    Wrong(String),
}

impl Node {
    /// Starts a node on a home; `folder` holds the history, as it was written.
    pub fn start(folder: &Path, home: &Path, fault: Option<Fault>, to: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("node").arg(home).arg(folder.join("history")).arg(to.to_string());
        if let Some(fault) = fault {
            command.arg("--fault").arg(serde_json::to_string(&fault).unwrap());
        }
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Freezes the node, calls `then`, and kills it.
    pub fn frozen_after(self, milliseconds: u64, then: impl FnOnce()) -> Ended {
        thread::sleep(Duration::from_millis(milliseconds));
        let id = self.0.id().to_string();
        let signal = |name: &str| {
            let status = Command::new("kill").args([name, id.as_str()]).status().unwrap();
            assert!(status.success(), "kill {name}");
        };
        signal("-STOP");
        then();
        signal("-KILL");
        self.finished()
    }

    /// Waits for the end.
    pub fn finished(mut self) -> Ended {
        let mut errors = self.0.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).map(|_| text)
        });
        let mut ended = Ended { opened: None, committed: 0, begun: 0, was_told: false, how: How::Killed };
        for line in BufReader::new(self.0.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let number = |name| line.strip_prefix(name).and_then(|rest: &str| rest.parse::<u64>().ok());
            ended.opened = number("opened ").or(ended.opened);
            ended.committed = number("committed ").unwrap_or(ended.committed);
            ended.begun = number("committing ").unwrap_or(ended.begun);
            ended.was_told |= line == TOLD;
        }
        let status = self.0.wait().unwrap();
        let errors = errors.join().unwrap().unwrap();
        ended.how = match (status.code(), status.signal()) {
            (Some(0), _) => How::Finished,
            (Some(1), _) => How::Stopped(errors),
            (None, Some(libc::SIGKILL)) => How::Killed,
            (Some(code), _) if code == i32::from(DIFFERS) => How::Wrong(errors),
            _ => How::Wrong(format!("{status}: {errors}")),
        };
        ended
    }
}
