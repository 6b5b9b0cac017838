//! `underbid tx` where the chain says no, or where somebody else was faster.

use std::process::{Command, Output, Stdio};

use crate::node::Running;
use sim::*;

/// The program with alice's key, against a node.
struct Sender {
    home: tempfile::TempDir,
    node: Running,
}

impl Sender {
    fn new(rivals: u64) -> Self {
        let sender = Self { home: tempfile::tempdir().unwrap(), node: Running::new(rivals) };
        let file = sender.home.path().join("secret");
        std::fs::write(&file, hex::encode(key("alice").secret())).unwrap();
        let imported = sender.run(&["keys", "import", "alice", file.to_str().unwrap()]);
        assert!(imported.status.success(), "{}", stderr(&imported));
        sender
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_underbid"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("UNDERBID_") {
                command.env_remove(name);
            }
        }
        let home = self.home.path().to_str().unwrap();
        let globals = ["--home", home, "--keyring", "test", "--node", &self.node.url];
        command.args(arguments).args(globals).stdin(Stdio::null()).output().unwrap()
    }

    fn send(&self, amount: &str, flags: &[&str]) -> Output {
        let message = ["tx", "bank", "send", &text("bob"), amount, "--from", "alice", "--yes"];
        self.run(&[&message[..], flags].concat())
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_transaction_that_was_overtaken_is_signed_again_once() {
    let sender = Sender::new(1);
    let output = sender.send("5uflop", &["--output", "json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("signing again after the next block"), "{}", stderr(&output));
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["code"], 0);
    assert_eq!(sender.node.refused(), [32]);
    assert_eq!(sender.node.sequence("alice"), 2);
}

#[test]
fn one_that_is_overtaken_again_says_what_to_do() {
    let sender = Sender::new(u64::MAX);
    let output = sender.send("5uflop", &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.contains("account sequence mismatch") && error.contains("--unordered"), "{error}");
    assert_eq!(sender.node.refused(), [32, 32], "it was tried twice");
    // What it says helps.
    let output = sender.send("5uflop", &["--unordered"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn what_a_block_would_refuse_is_not_sent_and_named_by_module_and_code() {
    let sender = Sender::new(0);
    let too_much = format!("{}uflop", 2 * PURSE);
    for flags in [&["--dry-run"][..], &[]] {
        let output = sender.send(&too_much, flags);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("a block would refuse it: sdk 5: "), "{}", stderr(&output));
        let close = ["tx", "market", "close-lease", "7", "--reason", "done", "--from", "alice", "--yes"];
        let output = sender.run(&[&close[..], flags].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("a block would refuse it: market 13: "), "{}", stderr(&output));
        assert!(!stderr(&output).contains("gas used"), "{}", stderr(&output));
    }
    assert_eq!(sender.node.sequence("alice"), 0);
    let output = sender.send("5uflop", &["--dry-run"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("gas used"));
}

#[test]
fn two_equal_payments_in_one_block_are_not_both_reported_as_made() {
    let sender = Sender::new(0);
    sender.node.stand_still();
    let flags = ["--broadcast", "sync", "--gas", "200000"];
    let output = sender.send("5uflop", &flags);
    assert!(output.status.success(), "{}", stderr(&output));
    let output = sender.send("5uflop", &flags);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nothing new was sent"), "{}", stderr(&output));
}

#[test]
fn a_node_that_can_not_say_what_became_of_a_transaction_does_not_hide_its_hash() {
    let sender = Sender::new(0);
    sender.node.index_nothing();
    let output = sender.send("5uflop", &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    let words = [
        "what became of the transaction ",
        "transaction indexing is disabled",
        "it may still get into a block",
    ];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}
