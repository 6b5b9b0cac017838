//! `sim simulate`: many seeds side by side, and what they found.

use std::{
    cell::Cell,
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::value_parser;
use serde_json::json;

use super::{Failure, Run, coverage::Coverage, history::History, replayed, run, shrink::shrink};
use crate::seeds::parse_seeds;

/// How often shorter histories are tried for one finding.
const SHRINK_RUNS: u32 = 3_000;
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(20);

thread_local! {
    static NOW: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Tells where this thread is, for a panic that ends the process.
pub(super) fn now_at(seed: u64, height: u64) {
    NOW.set((seed, height));
}

/// What `sim simulate` is asked.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The seeds, the last one excluded.
    #[arg(long, value_parser = parse_seeds, default_value = "0..100")]
    seeds: Range<u64>,
    /// The blocks of each history.
    #[arg(long, default_value_t = 400, value_parser = value_parser!(u64).range(1..))]
    blocks: u64,
    /// How many histories at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Fails if a cell of the table was never reached.
    #[arg(long, conflicts_with = "replay")]
    require_full: bool,
    /// The summary as JSON.
    #[arg(long)]
    json: bool,
    /// Where short histories that fail are written.
    #[arg(long, default_value = "app/sim/histories")]
    histories: PathBuf,
    /// Plays this history instead.
    #[arg(long)]
    replay: Option<PathBuf>,
}

/// A seed that failed.
struct Finding {
    seed: u64,
    failure: Failure,
    shortest: History,
}

/// Runs the command: success if nothing was found, and nothing reached that is not in the table.
pub fn main(options: &Options) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let (seed, height) = NOW.get();
        eprintln!("seed {seed}, after height {height}: {panic}");
    }));
    let found = match &options.replay {
        Some(path) => replay(path),
        None => simulate(options),
    };
    if found { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn replay(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let history: History = serde_json::from_str(&text).expect("a history");
    match replayed(&history) {
        Ok(coverage) => {
            let (_, unknown) = coverage.gaps();
            print!("{}{}", coverage.table(), lines("not in the table", &unknown));
            !unknown.is_empty()
        }
        Err(failure) => {
            println!("step {}, after height {}: {}", failure.step, failure.height, failure.what);
            true
        }
    }
}

fn simulate(options: &Options) -> bool {
    let next = AtomicU64::new(options.seeds.start);
    let total = Mutex::new((Coverage::default(), Vec::<Finding>::new(), 0_u64));
    let started = Instant::now();
    let told = Mutex::new(started);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.seeds.end {
                        return;
                    }
                    let Run { history, coverage, failure } = run(seed, options.blocks);
                    let finding = failure.map(|failure| found(seed, &history, failure, options));
                    let mut total = total.lock().unwrap();
                    total.0.add(&coverage);
                    total.1.extend(finding);
                    total.2 += 1;
                    let mut told = told.lock().unwrap();
                    if told.elapsed() > PROGRESS {
                        *told = Instant::now();
                        eprintln!("{} seeds, {} blocks, {} findings", total.2, total.0.blocks, total.1.len());
                    }
                }
            });
        }
    });
    let (coverage, findings, seeds) = total.into_inner().unwrap();
    let (missing, unknown) = coverage.gaps();
    summarize(options, &coverage, &findings, seeds, started.elapsed());
    !findings.is_empty() || !unknown.is_empty() || options.require_full && !missing.is_empty()
}

/// Makes a failing history short and keeps it.
fn found(seed: u64, history: &History, failure: Failure, options: &Options) -> Finding {
    eprintln!("seed {seed}, after height {}: {}", failure.height, failure.what);
    let mut shortest = shrink(history, &failure, SHRINK_RUNS, &replayed);
    shortest.origin = format!("seed {seed}: {}", failure.kind());
    std::fs::create_dir_all(&options.histories).expect("a folder for histories");
    let path = options.histories.join(format!("seed-{seed}.json"));
    let text = serde_json::to_string_pretty(&shortest).unwrap();
    std::fs::write(&path, text + "\n").expect("a writable folder");
    eprintln!(
        "seed {seed}: {} blocks, {} transactions: {}",
        shortest.blocks(),
        shortest.txs(),
        path.display()
    );
    Finding { seed, failure, shortest }
}

/// The name of a cell.
fn name((row, column): &(String, String)) -> String {
    format!("{row}: {column}")
}

/// One line for each cell.
fn lines(what: &str, cells: &[(String, String)]) -> String {
    cells.iter().map(|cell| format!("{what}: {}\n", name(cell))).collect()
}

fn summarize(options: &Options, coverage: &Coverage, findings: &[Finding], seeds: u64, took: Duration) {
    let rate = coverage.blocks as f64 / took.as_secs_f64();
    let (missing, unknown) = coverage.gaps();
    if options.json {
        let findings = findings.iter().map(|finding| {
            json!({ "seed": finding.seed, "height": finding.failure.height, "what": finding.failure.what })
        });
        let summary = json!({
            "seeds": seeds, "blocks": coverage.blocks, "transactions": coverage.txs, "accepted": coverage.accepted,
            "seconds": took.as_secs_f64(), "blocks_per_second": rate, "findings": findings.collect::<Vec<_>>(),
            "missing": missing.iter().map(name).collect::<Vec<_>>(),
            "unknown": unknown.iter().map(name).collect::<Vec<_>>(),
        });
        println!("{summary:#}");
        return;
    }
    println!("{}", coverage.table());
    print!("{}{}", lines("never reached", &missing), lines("not in the table", &unknown));
    for Finding { seed, failure, shortest } in findings {
        println!("seed {seed}, after height {}: {}", failure.height, failure.what);
        println!("{}", shortest.steps.iter().map(|step| format!("  {step:?}\n")).collect::<String>());
    }
    println!(
        "{seeds} seeds, {} blocks, {} transactions ({} accepted, {} refused), {rate:.0} blocks/s, {} findings",
        coverage.blocks,
        coverage.txs,
        coverage.accepted,
        coverage.txs - coverage.accepted,
        findings.len(),
    );
}
