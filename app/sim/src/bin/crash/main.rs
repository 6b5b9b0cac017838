//! Ends nodes in every way that a machine can end them, and looks at what they leave.
//!
//! `cargo run --release -p sim --bin crash -- --cycles 20` runs each scenario twenty times and prints a table. The exit code
//! is 1 if a node ever came back with another state, lost a commit that was synced, or stopped without a reason; also if a
//! fault can't be met at all, which would try nothing.

mod child;
mod cycles;
mod examine;
mod ext4;
mod files;
mod history;
mod node;
mod plan;
mod scenarios;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, value_parser};

use cycles::{Cycles, Tally};
use history::History;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Ends nodes in every way that a machine can end them, and looks at what they leave
#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    all: All,
    #[command(subcommand)]
    one: Option<One>,
}

#[derive(Args)]
struct All {
    /// How often each scenario is tried
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u32).range(1..))]
    cycles: u32,
    /// What decides everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only scenarios whose name contains this
    #[arg(long, default_value = "")]
    only: String,
}

#[derive(Subcommand)]
enum One {
    /// Cuts the power of a small ext4, and lets it run full; needs root and `mount`
    Ext4 {
        /// How often each of the two
        #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..))]
        samples: u32,
        /// What decides everything that is random
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// A single node, as the cycles start it
    Node {
        /// Its store
        home: PathBuf,
        /// The blocks
        history: PathBuf,
        /// The last height to replay
        to: u64,
        /// What goes wrong, as JSON
        #[arg(long)]
        fault: Option<String>,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.one {
        None => run_all(&cli.all),
        Some(One::Ext4 { samples, seed }) => run_ext4(samples, seed),
        Some(One::Node { home, history, to, fault }) => {
            if let Some(fault) = fault {
                files::install(&home, serde_json::from_str(&fault).unwrap());
            }
            node::run(&home, &History::read(&history), to)
        }
    }
}

/// Blocks in a home's life; then it starts from nothing, so that the first commit is among what fails.
const BLOCKS: u64 = 100;

fn run_all(all: &All) -> ExitCode {
    let scenarios: Vec<_> =
        scenarios::all().into_iter().filter(|scenario| scenario.name.contains(&all.only)).collect();
    if scenarios.is_empty() {
        eprintln!("no scenario has {:?} in its name", all.only);
        return ExitCode::FAILURE;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder_path = folder.path().canonicalize().unwrap();
    let history = History::record(BLOCKS);
    let mut cycles = Cycles::new(&history, &folder_path, all.seed);
    let mut tallies: Vec<_> = scenarios.iter().map(|_| Tally::default()).collect();
    for round in 1..=all.cycles {
        for (scenario, tally) in scenarios.iter().zip(&mut tallies) {
            cycles.run(scenario, tally);
        }
        let found: usize = tallies.iter().map(|tally| tally.violations.len()).sum();
        eprintln!("{round} of {} cycles of each scenario, {found} violations", all.cycles);
    }
    let rows = scenarios.iter().map(|scenario| scenario.name.as_str()).zip(tallies);
    report(folder, rows.collect())
}

fn run_ext4(samples: u32, seed: u64) -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    let history = History::record(BLOCKS);
    history.write(&folder.path().join("history"));
    let cut = ext4::cut_power(&history, folder.path(), samples, seed);
    let filled = ext4::fill(&history, folder.path(), samples, seed);
    report(folder, vec![("ext4, any instant: power cut", cut), ("ext4, the disk is full", filled)])
}

/// Prints the table; the homes stay where something was found.
fn report(folder: tempfile::TempDir, rows: Vec<(&str, Tally)>) -> ExitCode {
    let titles = ["cycles", "missed", "recovered", "earlier", "refused"];
    println!("{:<42}{}  a reason given", "", titles.map(|title| format!("{title:>10}")).concat());
    let mut sums = [0; 5];
    for (name, tally) in &rows {
        let row = [tally.cycles, tally.missed, tally.recovered, tally.earlier, tally.refused];
        sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        print_row(name, row, &tally.reason.replace(&*folder.path().to_string_lossy(), ""));
    }
    print_row("all", sums, "");
    let mut violations =
        rows.iter().flat_map(|(name, tally)| tally.violations.iter().map(move |text| (name, text)));
    if violations.clone().next().is_none() {
        return ExitCode::SUCCESS;
    }
    violations.by_ref().for_each(|(name, violation)| println!("VIOLATION {name}: {violation}"));
    println!("the homes are kept in {}", folder.keep().display());
    ExitCode::FAILURE
}

fn print_row(name: &str, row: [u32; 5], reason: &str) {
    let reason: String = reason.chars().take(150).collect();
    println!("{name:<42}{}  {reason}", row.map(|number| format!("{number:>10}")).concat());
}
