//! The same blocks in processes that differ in all that a machine may differ in give the same hashes.

use std::process::Command;

use sha2::{Digest as _, Sha256};

use sim::*;

use crate::market;

/// Tells a process that it is a child of the test below.
const CHILD: &str = "CHAIN_TEST_CHILD";
/// At this step the child does what depends on its environment.
const PLANT: &str = "CHAIN_TEST_PLANT";
/// What stands before a child's steps; the test runner may write in front of it.
const LINE: &str = "history: ";

/// The state after every step of a history: a market, transactions of many people at once, refusals, waiting.
fn history() -> Vec<(&'static str, String)> {
    let plant = std::env::var(PLANT).unwrap_or_default();
    let mut steps = Vec::new();
    let mut chain = market::with_providers();
    let mut note = |chain: &mut TestChain, step: &'static str, results: String| {
        if step == plant {
            let reason = std::env::var("LANG").unwrap_or_default();
            chain.tamper(|ctx| kernel::chain::pause(ctx, "nothing", &reason).unwrap());
        }
        let results = hex::encode(Sha256::digest(results));
        steps.push((step, format!("{} {} {results}", chain.height, hex::encode(chain.app_hash()))));
    };
    note(&mut chain, "providers", String::new());
    market::active_lease(&mut chain);
    note(&mut chain, "lease", String::new());
    market::order_with_bids(&mut chain);
    note(&mut chain, "bids", String::new());
    // Enough at once for every processor to have its share of the signatures and of the hashing.
    let send = |by: &str, ahead| chain.sign_ahead(&draft([&send(by, "bob", 5)]), &[by], ahead);
    let people = ["alice", "carol", "dave", "erin"];
    let txs: Vec<_> = (0..100)
        .flat_map(|ahead| people.map(|by| send(by, ahead)))
        .chain([send("poor", 0), vec![7]])
        .collect();
    let done = chain.forced(&txs);
    let results = format!("{:?} {:?}", done.results, done.events);
    note(&mut chain, "crowd", results);
    chain.restart();
    chain.blocks(20);
    note(&mut chain, "waiting", String::new());
    steps
}

#[test]
#[ignore = "the child of a1_11_t2_the_same_blocks_give_the_same_hashes_on_every_machine"]
fn child_tells_its_history() {
    if std::env::var_os(CHILD).is_some() {
        history().iter().for_each(|(step, state)| println!("{LINE}{step} {state}"));
    }
}

/// The history as a process tells it that runs on these processors, with these variables.
fn told(processors: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new("taskset");
    command.args(["-c", processors]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "determinism::child_tells_its_history", "--ignored", "--nocapture"]);
    command.env(CHILD, "1").envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| Some(line.split_once(LINE)?.1.to_owned())).collect()
}

/// The processors that this process may use, as `taskset` takes them.
fn processors() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

#[test]
fn a1_11_t2_the_same_blocks_give_the_same_hashes_on_every_machine() {
    let all = processors();
    let one: String = all.chars().take_while(char::is_ascii_digit).collect();
    let expected: Vec<String> = history().iter().map(|(step, state)| format!("{step} {state}")).collect();
    assert_eq!(expected.len(), 5);
    let machines: [(&str, &[(&str, &str)]); 4] = [
        // One processor: everything in the order in which it stands.
        (&one, &[]),
        // A locale with other letters, digits and separators, and a day that has begun elsewhere.
        (&all, &[("LANG", "tr_TR.UTF-8"), ("LC_ALL", "ar_EG.UTF-8"), ("TZ", "Pacific/Kiritimati")]),
        // An allocator that gives memory which is not zero, and elsewhere.
        (&all, &[("MALLOC_PERTURB_", "165"), ("MALLOC_ARENA_MAX", "1"), ("MALLOC_TOP_PAD_", "1")]),
        // Variables that programs listen to.
        (
            &one,
            &[
                ("RAYON_NUM_THREADS", "7"),
                ("RUST_MIN_STACK", "16777216"),
                ("RUST_LOG", "trace"),
                ("HOME", "/nonexistent"),
                ("UNDERBID_HISTORY_HEIGHTS", "3"),
                ("UNDERBID_PREFIX", "other"),
            ],
        ),
    ];
    for (processors, variables) in machines {
        assert_eq!(told(processors, variables), expected, "{processors} {variables:?}");
    }
}

/// The test above can fail: what depends on a variable is found, and at its step.
#[test]
fn b8_what_depends_on_the_machine_is_found_at_its_step() {
    let all = processors();
    let [one, other] = ["C", "tr_TR.UTF-8"].map(|lang| told(&all, &[("LANG", lang), (PLANT, "bids")]));
    let first = one.iter().zip(&other).find(|(one, other)| one != other);
    assert!(first.is_some_and(|(one, _)| one.starts_with("bids ")), "{first:?}");
}
