//! Faults and attacks on a net of real processes, and what must hold after each of them.
//!
//! A row is a fault by its id in `docs/faults.md`. It is played on a net of its own: four validators, a market on which
//! tenants and bots trade without end, and an observer that replays the whole chain in the end. [`checks`] says what is
//! verified; [`bed`] makes the net; [`links`] hurts its connections, [`relay`] its proposals.

mod auctions;
pub mod bed;
pub mod checks;
mod crash;
mod edges;
mod floods;
pub mod links;
mod partition;
mod proposals;
mod relay;
mod report;
mod resources;
mod upgrades;

use std::time::Instant;

pub use bed::Options;
pub use checks::Check;
pub use report::{Report, RowReport, Verdict};

use crate::net::TemporaryDir;
use crate::{demo, net};
use underbid::client::{chain, rpc};

/// Why a row could not be played.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The net failed.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// A node did not answer as expected.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
    /// The chain refused what it must not refuse.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// The market could not be played.
    #[error(transparent)]
    Demo(#[from] demo::Error),
    /// Something else was not as it should be.
    #[error("{0}")]
    Failed(String),
    /// This machine can't do what the row needs.
    #[error("{0}")]
    NotPlayed(&'static str),
}

/// Something that is not as it should be.
fn failed(why: impl ToString) -> Error {
    Error::Failed(why.to_string())
}

/// What a row came to.
pub struct Played {
    /// How often the fault was injected.
    pub cycles: u32,
    /// The laws that were checked.
    pub checks: Vec<Check>,
    /// What is worth reading besides.
    pub findings: Vec<String>,
}

/// The rows that there are, with what is injected.
pub const ROWS: [(&str, &str); 22] = [
    (
        "C1",
        "CometBFT ends at each of its own crash points (FAIL_TEST_INDEX), half the time with its application",
    ),
    ("C2", "SIGKILL of an application or of CometBFT alone at random instants"),
    ("C3", "SIGKILL of all processes of all validators at once"),
    ("C4", "SIGKILL after InitChain, before the first Commit"),
    ("C5", "SIGKILL of an application that prunes in every block"),
    ("C6", "SIGSTOP of one validator, and of two"),
    ("D5", "an application with an older backup of its store, and one that is ahead of its CometBFT"),
    ("N1", "partitions: 3 of 4, 2 and 2, a ring, one way; by cut or loss, and by stall"),
    ("N2", "every link delays by 200 +/- 50 ms"),
    ("N3", "every link is cut for a second in every two"),
    ("N4", "nodes that are cut off one by one and come back in another order"),
    ("T2", "other time zones, locales, allocator options and processor features of libc and Go"),
    ("M1", "a flood of garbage, forgeries, gaps in sequences and accounts without money"),
    ("M3", "no, too many, high-s, foreign and repeated signatures"),
    ("E1", "storms of orders and cancellations, a full auction with snipes, and dust"),
    ("E2", "10,000 orders that expire in the same second"),
    (
        "E4",
        "gifts to pools, dust and amounts of 128 bits in every message by which anyone moves or promises money",
    ),
    ("Q1", "questions for the largest pages, and subscribers that never read"),
    ("R1", "an application in a control group with 100, 70, 50 and 30 % of its memory"),
    ("U1", "a restart of each node in turn, and a rollback of one block"),
    ("U2", "export, and a second chain that begins with it"),
    ("B5", "a proposer with garbage, duplicates, replays, forgeries, too much gas, or nothing"),
];

/// Plays rows, all where none is named. `show` is told of each as it ends. The files of a row that failed are left.
pub async fn play(options: &Options, only: &[String], show: impl Fn(&RowReport)) -> Result<Report, Error> {
    if let Some(unknown) = only.iter().find(|id| !ROWS.iter().any(|(known, _)| known == id)) {
        let known: Vec<&str> = ROWS.iter().map(|(id, _)| *id).collect();
        return Err(failed(format!("there is no row {unknown}: expected one of {}", known.join(" "))));
    }
    let mut rows = Vec::new();
    for (id, injected) in
        ROWS.into_iter().filter(|(id, _)| only.is_empty() || only.iter().any(|one| one == id))
    {
        let started = Instant::now();
        let mut dir = TemporaryDir::below(&options.dir);
        let played = play_row(&Options { dir: dir.path().to_owned(), ..options.clone() }, id).await;
        let mut row = RowReport::new(id, injected, played, started.elapsed());
        if row.verdict == Verdict::Failed && dir.path().exists() {
            dir.keep();
            row.findings.push(format!("its files are left in {}", dir.path().display()));
        }
        show(&row);
        rows.push(row);
    }
    Ok(Report::new(rows))
}

async fn play_row(options: &Options, id: &str) -> Result<Played, Error> {
    match id {
        "C1" => crash::fail_points(options).await,
        "C2" => crash::kill_one(options).await,
        "C3" => crash::kill_all(options).await,
        "C4" => crash::before_the_first_commit(options).await,
        "C5" => crash::while_pruning(options).await,
        "C6" => crash::pauses(options).await,
        "D5" => upgrades::older_backups(options).await,
        "N1" => partition::partitions(options).await,
        "N2" => partition::slow_links(options).await,
        "N3" => partition::flapping_links(options).await,
        "N4" => partition::swizzles(options).await,
        "T2" => partition::surroundings(options).await,
        "M1" => floods::mempool(options).await,
        "M3" => edges::signatures(options).await,
        "E1" => floods::orders(options).await,
        "E2" => floods::due_at_once(options).await,
        "E4" => edges::amounts(options).await,
        "Q1" => floods::questions(options).await,
        "R1" => resources::memory(options).await,
        "U1" => upgrades::restarts(options).await,
        "U2" => upgrades::export_and_import(options).await,
        "B5" => proposals::lies(options).await,
        _ => Err(failed(format!("nothing plays row {id}"))),
    }
}

/// Checks a net after its faults.
async fn conclude(
    mut bed: bed::Bed,
    cycles: u32,
    mut own: Vec<Check>,
    findings: Vec<String>,
) -> Result<Played, Error> {
    own.extend(checks::verify(&mut bed).await);
    Ok(Played { cycles, checks: own, findings })
}
