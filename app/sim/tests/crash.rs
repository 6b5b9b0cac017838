//! A bounded share of the crash cycles; the program itself is run for longer, see its help.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

#[test]
fn a_node_that_ends_in_any_way_goes_on_or_says_why_not() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_crash")).args(["--cycles", "1", "--seed", "7"]).output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(table.lines().count() > 50, "{table}");
}

#[test]
fn a_selection_of_nothing_is_refused() {
    for arguments in [["--only", "typo"], ["--cycles", "0"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_crash")).args(arguments).output().unwrap();
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
    }
}
