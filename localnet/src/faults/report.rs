//! What a run came to, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::{Check, Error, Played};

/// All rows that were played.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every law held in every row that was played.
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
    /// What it came to.
    pub verdict: Verdict,
    /// How often it was injected.
    pub cycles: u32,
    /// How long it took.
    pub seconds: f64,
    /// The laws.
    pub checks: Vec<Check>,
    /// What is worth reading besides.
    pub findings: Vec<String>,
}

/// What a row came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was played to its end and every law held.
    Ok,
    /// A law did not hold, or it could not be played to its end.
    Failed,
    /// This machine can't do what it needs: nothing is known.
    NotPlayed,
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
                let is_ok = checks.iter().all(|check| check.ok);
                let verdict = if is_ok { Verdict::Ok } else { Verdict::Failed };
                Self { id, injected, verdict, cycles, seconds, checks, findings }
            }
            Err(error) => {
                let (verdict, finding) = match error {
                    Error::NotPlayed(why) => (Verdict::NotPlayed, why.to_owned()),
                    error => (Verdict::Failed, format!("it could not be played to its end: {error}")),
                };
                Self {
                    id,
                    injected,
                    verdict,
                    cycles: 0,
                    seconds,
                    checks: Vec::new(),
                    findings: vec![finding],
                }
            }
        }
    }
}

impl Report {
    pub(super) fn new(rows: Vec<RowReport>) -> Self {
        let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
        let ok = rows.iter().all(|row| row.verdict != Verdict::Failed);
        Self { ok, seconds: (seconds * 10.0).round() / 10.0, rows }
    }

    fn ids(&self, verdict: Verdict) -> Vec<&'static str> {
        self.rows.iter().filter(|row| row.verdict == verdict).map(|row| row.id).collect()
    }
}

impl fmt::Display for RowReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, injected, verdict, cycles, seconds, checks, findings } = self;
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::NotPlayed => "not played",
        };
        write!(f, "{id:<3} {verdict:<10} {cycles:>4} x  {seconds:>6.1} s  {injected}")?;
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
        let (held, failed, not_played) =
            (self.ids(Verdict::Ok), self.ids(Verdict::Failed), self.ids(Verdict::NotPlayed));
        write!(f, "{} rows in {:.0} s: every law held in {}", self.rows.len(), self.seconds, held.len())?;
        if !failed.is_empty() {
            write!(f, "; FAILED: {}", failed.join(" "))?;
        }
        if !not_played.is_empty() {
            write!(f, "; not played: {}", not_played.join(" "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &'static str, played: Result<Vec<Check>, Error>) -> RowReport {
        let played = played.map(|checks| Played { cycles: 1, checks, findings: Vec::new() });
        RowReport::new(id, "something", played, Duration::from_secs(1))
    }

    #[test]
    fn a_row_that_was_not_played_neither_holds_nor_fails() {
        let good = || row("C1", Ok(vec![Check::new("G1", true, "equal")]));
        let unplayed = || row("R1", Err(Error::NotPlayed("no control group")));
        let report = Report::new(vec![good(), unplayed()]);
        assert!(report.ok);
        assert_eq!(report.to_string(), "2 rows in 2 s: every law held in 1; not played: R1");
        assert_eq!(unplayed().findings, ["no control group"]);

        let broken = row("C2", Ok(vec![Check::new("G1", true, "equal"), Check::new("G6", false, "a panic")]));
        let ended = row("C3", Err(Error::Failed("no answer".to_owned())));
        let report = Report::new(vec![good(), broken, ended, unplayed()]);
        assert!(!report.ok);
        assert_eq!(report.to_string(), "4 rows in 4 s: every law held in 1; FAILED: C2 C3; not played: R1");
    }
}
