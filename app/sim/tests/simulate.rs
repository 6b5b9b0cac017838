//! A bounded share of what `sim simulate` runs for hours, and proof that it would find something.

use sim::simulate::{
    coverage::Coverage,
    history::{Block, History, Step},
    names, played, replayed, run,
    shrink::shrink,
};
use underbid::execute::RawBlock;

/// The seeds of the share, and the blocks of each.
const SEEDS: std::ops::Range<u64> = 0..96;
const BLOCKS: u64 = 300;

/// What so few blocks need not reach: the parameters must ask for more stake between a bid and its improvement.
/// `sim simulate --require-full` reaches it.
const RARE: [(&str, &str); 1] = [("underbid.market.v1.MsgImproveBid", "provider.InsufficientFreeStake")];

/// Runs the seeds on two threads.
fn run_all() -> Coverage {
    let half = |parity: u64| {
        let mut coverage = Coverage::default();
        for seed in SEEDS.filter(|seed| seed % 2 == parity) {
            let run = run(seed, BLOCKS);
            if let Some(failure) = run.failure {
                panic!("seed {seed}, after height {}: {}", failure.height, failure.what);
            }
            coverage.add(&run.coverage);
        }
        coverage
    };
    std::thread::scope(|scope| {
        let even = scope.spawn(|| half(0));
        let mut coverage = half(1);
        coverage.add(&even.join().unwrap());
        coverage
    })
}

#[test]
fn histories_hold_and_reach_everything_that_there_is() {
    let mut coverage = run_all();
    assert_eq!(coverage.blocks, (SEEDS.end - SEEDS.start) * BLOCKS);
    assert!(
        coverage.accepted * 4 > coverage.txs,
        "too little of it is valid: {} of {}",
        coverage.accepted,
        coverage.txs
    );
    coverage.add(&short_ones());
    let (mut missing, unknown) = coverage.gaps();
    missing.retain(|(row, column)| !RARE.contains(&(row.as_str(), column.as_str())));
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "never reached: {missing:#?}\nnot in the table: {unknown:#?}"
    );
}

#[test]
fn every_refusal_of_the_code_is_in_the_table_or_has_a_reason_not_to_be() {
    let known = names::known();
    for ((codespace, code), name) in names::errors() {
        let column = names::error(&codespace, code);
        let reached = known.iter().any(|(_, other)| *other == column);
        let excused = names::NEVER_ERRORS.iter().any(|(error, _)| *error == column);
        assert!(reached != excused, "{codespace} {code} {name}: reached {reached}, excused {excused}");
    }
    assert_eq!(names::errors().len(), 77);
    assert_eq!(names::messages().len(), 25);
}

#[test]
fn a_seed_is_one_history_and_a_history_is_data() {
    let (first, second) = (run(5, 80), run(5, 80));
    assert_eq!(first.history, second.history);
    assert_eq!(first.coverage, second.coverage);
    let text = serde_json::to_string(&first.history).unwrap();
    let read: History = serde_json::from_str(&text).unwrap();
    assert_eq!(read, first.history);
    let again = replayed(&read).map_err(|failure| failure.what).unwrap();
    assert_eq!(again, first.coverage);
    assert_ne!(run(6, 80).history.steps, first.history.steps);
}

/// The second replica never sees an improvement of a bid.
fn without_improvements(plan: &Block, block: &RawBlock) -> RawBlock {
    let improves = |message: &sim::simulate::history::Message| message.name().ends_with("MsgImproveBid");
    let has_one = plan.txs.iter().any(|tx| tx.messages.iter().any(improves));
    RawBlock { txs: if has_one { Vec::new() } else { block.txs.clone() }, ..block.clone() }
}

#[test]
fn a_replica_that_goes_its_own_way_is_found_and_the_history_cut_short() {
    let long = run(2, 150).history;
    let play = |history: &History| played(history, Some(without_improvements));
    let failure = play(&long).unwrap_err();
    assert!(failure.what.starts_with("the replicas differ"), "{}", failure.what);
    let short = shrink(&long, &failure, 500, &play);
    // One transaction is enough: even one that is refused pays its fee.
    assert_eq!((short.blocks(), short.txs(), short.steps.len()), (1, 1, 1), "{:?}", short.steps);
    assert!(play(&short).unwrap_err().what.starts_with("the replicas differ"));
    assert!(replayed(&short).is_ok());
}

/// Plays the histories that are kept: those that once failed, and those that reach what is rare.
fn short_ones() -> Coverage {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("histories");
    let mut coverage = Coverage::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let history: History = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(history.steps.iter().any(|step| matches!(step, Step::Block(_))), "{}", path.display());
        match replayed(&history) {
            Ok(reached) => coverage.add(&reached),
            Err(failure) => panic!("{}, step {}: {}", path.display(), failure.step, failure.what),
        }
    }
    coverage
}

#[test]
fn short_histories_hold() {
    assert!(short_ones().blocks > 0);
}

#[test]
fn a_selection_of_nothing_is_refused() {
    for arguments in [["--seeds", "9..1"], ["--seeds", "3..3"], ["--blocks", "0"]] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sim"));
        let output = command.arg("simulate").args(arguments).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_run_that_must_be_full_fails_where_it_is_not() {
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sim"));
        command.args(["simulate", "--seeds", "0..1", "--blocks", "5"]).args(more).output().unwrap()
    };
    assert!(run(&[]).status.success());
    let full = run(&["--require-full"]);
    assert!(!full.status.success());
    assert!(String::from_utf8_lossy(&full.stdout).contains("never reached: late: "));
}
