//! Whether the calls that an application got are ABCI 2.0's, in order: the grammar of its specification, and the heights.
//!
//! ```text
//! start            = Info [InitChain] *height          Info said 0 exactly where InitChain follows
//! height           = *round FinalizeBlock Commit       each height is the one before plus 1
//! round            = *( PrepareProposal / ProcessProposal / ExtendVote / VerifyVoteExtension )
//! ```
//!
//! In the specification every part of a round may be missing and rounds repeat, so their calls come in any order; a round
//! ends with its height. A process may end anywhere; what it says when it starts again must be what it had committed. Calls
//! of snapshots are refused, as nodes here never offer any.

use serde_json::Value;

/// The arguments of `underbid start` by which its log tells every call, in lines that [`read`] reads.
pub const RECORDING: [&str; 4] = ["--log-format", "json", "--log-level", "info,abci=debug"];

/// One call, as the application's log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which of the connections from CometBFT.
    pub connection: u64,
    /// The method, by its ABCI name.
    pub method: String,
    /// The height that it names; 0 where it names none.
    pub height: u64,
}

/// A line of the log that tells of the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The application was started: connections are numbered anew.
    Started,
    /// A call.
    Call(Call),
}

/// What an accepted sequence held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often CometBFT began anew.
    pub starts: u64,
    /// How often the genesis document was run.
    pub inits: u64,
    /// Blocks that were committed, replayed ones included.
    pub commits: u64,
    /// Proposals that were made or judged.
    pub proposals: u64,
}

/// Where a sequence leaves the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("call {place}, {method} at height {height}: {why}")]
pub struct Broken {
    /// Its place among the calls, from 0.
    pub place: usize,
    /// The call.
    pub method: String,
    /// Its height.
    pub height: u64,
    /// What was expected.
    pub why: String,
}

/// Reads an application's log of JSON lines with the target `abci` at `debug`. Other lines are left out.
pub fn read(log: &str) -> Vec<Line> {
    let line = |text: &str| {
        let value: Value = serde_json::from_str(text).ok()?;
        if value["message"] == "ABCI server listens" {
            return Some(Line::Started);
        }
        if value["target"] != "abci" {
            return None;
        }
        let height = value["height"].as_i64().and_then(|height| u64::try_from(height).ok());
        Some(Line::Call(Call {
            connection: value["connection"].as_u64()?,
            method: value["method"].as_str()?.to_owned(),
            height: height.unwrap_or_default(),
        }))
    };
    log.lines().filter_map(line).collect()
}

/// Checks everything that one node's application was called, from its first start on.
pub fn check(lines: &[Line]) -> Result<Tally, Broken> {
    let mut checker = Checker::default();
    let calls = lines.iter().enumerate();
    for (place, line) in calls {
        let Line::Call(call) = line else {
            (checker.phase, checker.consensus) = (Phase::Down, None);
            checker.asked.clear();
            continue;
        };
        checker.apply(call).map_err(|why| Broken {
            place,
            method: call.method.clone(),
            height: call.height,
            why,
        })?;
    }
    Ok(checker.tally)
}

/// Where a run of CometBFT stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// It has not asked for the height yet.
    #[default]
    Down,
    /// It was told that there is no block.
    Empty,
    /// Between two heights, or in the rounds of the next.
    Deciding,
    /// The block is executed.
    Finalized,
}

#[derive(Default)]
struct Checker {
    phase: Phase,
    /// The height that is decided now.
    next: u64,
    /// The height that Info should tell next; 0 before the first Commit.
    committed: u64,
    /// The height that Info may tell as well: the last Commit may have been cut off.
    surely_committed: u64,
    /// The connection of the consensus calls in this run.
    consensus: Option<u64>,
    /// The connections that have asked for Info: a new one is a new run, an old one is somebody's question.
    asked: Vec<u64>,
    tally: Tally,
}

impl Checker {
    fn apply(&mut self, call: &Call) -> Result<(), String> {
        if call.method == "Info" {
            return self.info(call);
        }
        if *self.consensus.get_or_insert(call.connection) != call.connection {
            return Err(format!("it came over connection {}, unlike the calls before", call.connection));
        }
        match (self.phase, call.method.as_str()) {
            (Phase::Down, _) => Err("nobody has asked for Info".to_owned()),
            (Phase::Empty, "InitChain") => {
                (self.phase, self.next) = (Phase::Deciding, call.height);
                self.tally.inits += 1;
                Ok(())
            }
            (Phase::Empty, _) => Err("expected InitChain, as there is no block".to_owned()),
            (Phase::Finalized, "Commit") => {
                (self.phase, self.surely_committed) = (Phase::Deciding, self.committed);
                (self.committed, self.next) = (self.next, self.next + 1);
                self.tally.commits += 1;
                Ok(())
            }
            (Phase::Finalized, _) => Err("expected Commit after FinalizeBlock".to_owned()),
            (Phase::Deciding, "FinalizeBlock") => {
                self.phase = Phase::Finalized;
                self.expect_next(call)
            }
            (Phase::Deciding, "PrepareProposal" | "ProcessProposal") => {
                self.tally.proposals += 1;
                self.expect_next(call)
            }
            (Phase::Deciding, "ExtendVote" | "VerifyVoteExtension") => self.expect_next(call),
            (Phase::Deciding, "Commit") => Err("no block is executed".to_owned()),
            (Phase::Deciding, _) => Err("it has no place after the start".to_owned()),
        }
    }

    fn expect_next(&mut self, call: &Call) -> Result<(), String> {
        // The Commit before was answered.
        self.surely_committed = self.committed;
        let next = self.next;
        if call.height == next { Ok(()) } else { Err(format!("expected height {next}")) }
    }

    fn info(&mut self, call: &Call) -> Result<(), String> {
        if self.asked.contains(&call.connection) {
            return Ok(());
        }
        let (least, most) = (self.surely_committed, self.committed);
        if self.tally.starts > 0 && call.height != most && call.height != least {
            return Err(format!("it had committed {most}, or {least} if it was cut off"));
        }
        self.asked.push(call.connection);
        self.consensus = None;
        (self.committed, self.surely_committed) = (call.height, call.height);
        self.next = call.height + 1;
        self.phase = if call.height == 0 { Phase::Empty } else { Phase::Deciding };
        self.tally.starts += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, Line, Tally, check, read};

    /// Calls as `Method` or `Method:height`; `-` is a start of the application. CometBFT's consensus connection is the one
    /// after that of the last `Info`, unless `Method@connection` says otherwise.
    fn lines(text: &str) -> Vec<Line> {
        let mut query = 0;
        let line = |word: &str| {
            if word == "-" {
                query = 0;
                return Line::Started;
            }
            let (word, connection) = word
                .split_once('@')
                .map_or((word, None), |(word, connection)| (word, Some(connection.parse::<u64>().unwrap())));
            let (method, height) = word.split_once(':').unwrap_or((word, "0"));
            if method == "Info" {
                query = connection.unwrap_or(query + 2);
            }
            let connection = connection.unwrap_or(if method == "Info" { query } else { query + 1 });
            Line::Call(Call { connection, method: method.into(), height: height.parse().unwrap() })
        };
        text.split_whitespace().map(line).collect()
    }

    fn accepted(text: &str) -> Tally {
        check(&lines(text)).unwrap()
    }

    fn refused(text: &str, place: usize, why: &str) {
        let broken = check(&lines(text)).unwrap_err();
        assert_eq!(broken.place, place, "{text}: {broken}");
        assert!(broken.why.contains(why), "{text}: {broken}");
    }

    #[test]
    fn what_cometbft_does_is_accepted() {
        let clean = "- Info:0 InitChain:1 PrepareProposal:1 ProcessProposal:1 FinalizeBlock:1 Commit ProcessProposal:2 \
                     VerifyVoteExtension:2 ProcessProposal:2 ExtendVote:2 FinalizeBlock:2 Commit";
        assert_eq!(accepted(clean), Tally { starts: 1, inits: 1, commits: 2, proposals: 4 });
        // A replay has no rounds; a question over RPC comes at any time.
        accepted("- Info:0 InitChain:1 FinalizeBlock:1 Info:1@2 Commit Info:1@2 FinalizeBlock:2 Commit");
        // The genesis document is run again until a block is committed.
        let twice =
            accepted("- Info:0 InitChain:1 FinalizeBlock:1 - Info:0 InitChain:1 FinalizeBlock:1 Commit");
        assert_eq!((twice.starts, twice.inits), (2, 2));
        // CometBFT alone is started again and has the cut-off block executed again.
        accepted("- Info:0 InitChain:1 FinalizeBlock:1 Commit FinalizeBlock:2 Info:1 FinalizeBlock:2 Commit");
        // The process ended in Commit: before the write, or after it.
        let start = "- Info:0 InitChain:1 FinalizeBlock:1 Commit FinalizeBlock:2 Commit -";
        accepted(&format!("{start} Info:1 FinalizeBlock:2 Commit"));
        accepted(&format!("{start} Info:2 PrepareProposal:3"));
        // A chain that goes on after an export begins later.
        accepted("- Info:0 InitChain:70 FinalizeBlock:70 Commit - Info:70 FinalizeBlock:71");
        accepted("- Info:0 InitChain:70 FinalizeBlock:70 Commit - Info:0 InitChain:70");
    }

    #[test]
    fn what_cometbft_must_not_do_is_refused() {
        let start = "- Info:0 InitChain:1";
        refused("- InitChain:1", 1, "nobody has asked");
        refused("- Info:0 FinalizeBlock:1", 2, "expected InitChain");
        refused("- Info:5 InitChain:1", 2, "no place");
        refused(&format!("{start} InitChain:1"), 3, "no place");
        refused(&format!("{start} Commit"), 3, "no block is executed");
        refused(&format!("{start} FinalizeBlock:2"), 3, "expected height 1");
        refused(&format!("{start} FinalizeBlock:1 FinalizeBlock:1"), 4, "expected Commit");
        refused(&format!("{start} FinalizeBlock:1 ProcessProposal:1 Commit"), 4, "expected Commit");
        refused(&format!("{start} FinalizeBlock:1 Commit FinalizeBlock:1"), 5, "expected height 2");
        refused(&format!("{start} FinalizeBlock:1 Commit Commit"), 5, "no block is executed");
        refused(&format!("{start} FinalizeBlock:1 Commit ProcessProposal:1"), 5, "expected height 2");
        refused(&format!("{start} FinalizeBlock:1 Commit@9"), 4, "over connection 9");
        refused(&format!("{start} OfferSnapshot"), 3, "no place");
        refused("- Info:0 InitChain:1 FinalizeBlock:1 Commit - PrepareProposal:2", 6, "nobody has asked");
    }

    #[test]
    fn a_node_that_forgets_or_runs_ahead_is_refused() {
        let two = "- Info:0 InitChain:1 FinalizeBlock:1 Commit FinalizeBlock:2 Commit";
        refused(&format!("{two} FinalizeBlock:3 - Info:0"), 9, "it had committed 2, or 2");
        refused(&format!("{two} - Info:3"), 8, "it had committed 2, or 1");
        refused(&format!("{two} FinalizeBlock:3 Commit - Info:1"), 10, "it had committed 3, or 2");
    }

    #[test]
    fn logs_are_read_as_the_application_writes_them() {
        let log = r#"{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","message":"ABCI server listens","target":"underbid::abci::server"}
underbid: a line of text
{"timestamp":"2026-01-01T00:00:00Z","level":"DEBUG","connection":1,"method":"Info","height":0,"target":"abci"}
{"timestamp":"2026-01-01T00:00:00Z","level":"DEBUG","height":7,"message":"executed","target":"underbid::abci"}"#;
        let info = Call { connection: 1, method: "Info".into(), height: 0 };
        assert_eq!(read(log), [Line::Started, Line::Call(info)]);
    }
}
