//! What a run came to, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Check, Error, Played};

/// All rows that were played.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every law held in every row.
    pub ok: bool,
    /// How long it took.
    pub seconds: f64,
    /// The rows.
    pub rows: Vec<RowReport>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct RowReport {
    /// Its id.
    pub id: &'static str,
    /// What was injected.
    pub injected: &'static str,
    /// Whether it was played to its end and every law held.
    pub ok: bool,
    /// How often it was injected.
    pub cycles: u32,
    /// How long it took.
    pub seconds: f64,
    /// The laws.
    pub checks: Vec<Check>,
    /// What is worth reading besides.
    pub findings: Vec<String>,
}

impl RowReport {
    pub(super) fn new(
        id: &'static str,
        injected: &'static str,
        played: Result<Played, Error>,
        time: Duration,
    ) -> Self {
        let seconds = (time.as_secs_f64() * 10.0).round() / 10.0;
        match played {
            Ok(Played { cycles, checks, findings }) => {
                let ok = checks.iter().all(|check| check.ok);
                Self { id, injected, ok, cycles, seconds, checks, findings }
            }
            Err(error) => {
                let findings = vec![format!("it could not be played to its end: {error}")];
                Self { id, injected, ok: false, cycles: 0, seconds, checks: Vec::new(), findings }
            }
        }
    }
}

impl Report {
    pub(super) fn new(rows: Vec<RowReport>) -> Self {
        let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
        Self { ok: rows.iter().all(|row| row.ok), seconds: (seconds * 10.0).round() / 10.0, rows }
    }
}

impl fmt::Display for RowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, injected, ok, cycles, seconds, checks, findings } = self;
        let verdict = if *ok { "ok" } else { "FAILED" };
        write!(f, "{id:<3} {verdict:<6} {cycles:>4} x  {seconds:>6.1} s  {injected}")?;
        for check in checks {
            let mark = if check.ok { " " } else { "!" };
            write!(f, "\n   {mark} {:<6} {}", check.id, check.detail)?;
        }
        for finding in findings {
            write!(f, "\n     {finding}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.rows.iter().filter(|row| !row.ok).map(|row| row.id).collect::<Vec<_>>();
        write!(f, "{} rows in {:.0} s", self.rows.len(), self.seconds)?;
        match failed.as_slice() {
            [] => write!(f, ": every law held in each of them"),
            failed => write!(f, "; FAILED: {}", failed.join(" ")),
        }
    }
}
