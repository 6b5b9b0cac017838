//! Rules of the tree that no lint knows.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    reason = "a test stops where its assumption fails"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file longer than this is two, apart from tests.
const FILE_LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every source file of the workspace, its path from the root, and its text.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["app", "modules", "localnet", "proto"] {
        walk(&root().join(folder), &mut files);
    }
    assert!(files.len() > 100, "the tree was found");
    files
}

fn walk(folder: &Path, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            files.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn is_test(name: &str) -> bool {
    name.contains("/tests") || name.contains("/benches/") || name.ends_with("tests.rs")
}

/// The files whose text matches, apart from those that may.
fn offenders(allowed: &[&str], matches: impl Fn(&str) -> bool) -> Vec<String> {
    let is_allowed = |name: &str| is_test(name) || allowed.iter().any(|prefix| name.starts_with(prefix));
    sources()
        .into_iter()
        .filter(|(name, text)| !is_allowed(name) && matches(text))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn only_one_place_names_what_is_its_own() {
    let rules: &[(&str, &[&str])] = &[
        // ABCI's types: everybody else speaks of blocks and results. The simulator and the fuzz targets drive them, as
        // CometBFT does.
        ("tendermint_abci", &["app/src/abci/", "app/sim/", "app/fuzz/"]),
        ("v0_38::abci", &["app/src/abci/", "app/sim/", "app/fuzz/"]),
        // Consent is made where signatures are checked, and nowhere else.
        ("authority::signed", &["app/src/execute.rs", "modules/kernel/src/authority.rs"]),
        // The state machine is synchronous.
        (
            "tokio::",
            &[
                "app/src/node.rs",
                "app/src/grpc.rs",
                "app/src/listener.rs",
                "app/src/client/",
                "app/src/cli/",
                "localnet/",
            ],
        ),
        ("rocksdb::", &["app/store/src/rocks/"]),
    ];
    for (word, allowed) in rules {
        assert_eq!(
            offenders(allowed, |text| text.contains(word)),
            Vec::<String>::new(),
            "{word} belongs to {allowed:?}"
        );
    }
}

/// What runs under consensus: the modules, the store, and the application but for its front ends, without their tests.
fn consensus_sources() -> Vec<(String, String)> {
    let outside = [
        "app/benches/",
        "app/fuzz/",
        "app/model/",
        "app/sim/",
        "app/src/abci/server",
        "app/src/allocator.rs",
        "app/src/cli/",
        "app/src/client/",
        "app/src/compare.rs",
        "app/src/config.rs",
        "app/src/grpc.rs",
        "app/src/listener.rs",
        "app/src/main.rs",
        "app/src/metrics.rs",
        "app/src/node.rs",
    ];
    let is_consensus = |name: &str| {
        (name.starts_with("app/") || name.starts_with("modules/"))
            && !is_test(name)
            && !outside.iter().any(|prefix| name.starts_with(prefix))
    };
    // A module of tests within the file is its end; one in a file of its own is left out by its name.
    let without_tests = |text: String| {
        let ends = text.match_indices("#[cfg(test)]\nmod ").map(|(at, _)| at);
        let within = |at: &usize| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{'));
        text[..ends.into_iter().find(within).unwrap_or(text.len())].to_owned()
    };
    let sources = sources().into_iter().filter(|(name, _)| is_consensus(name));
    let sources: Vec<_> = sources.map(|(name, text)| (name, without_tests(text))).collect();
    assert!(sources.len() > 80, "the consensus code was found");
    sources
}

/// Whether a text has a word, and not only as a part of another one.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| character.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let goes_on_before =
            word.starts_with(char::is_alphanumeric) && is_part(text[..at].chars().next_back());
        let rest = &text[at + word.len()..];
        let goes_on_behind = word.ends_with(char::is_alphanumeric) && is_part(rest.chars().next());
        !goes_on_before && !goes_on_behind
    })
}

/// Beside what lints deny. Where a word is allowed, what comes of it reaches no result: order is restored, or nobody sees it.
#[test]
fn t2_i_01_i_23_nothing_that_differs_between_machines_is_in_consensus_code() {
    let rules: &[(&[&str], &[&str])] = &[
        // Clocks and chance.
        (&["SystemTime", "Instant", "UNIX_EPOCH", "rand", "thread_rng", "getrandom"], &[]),
        // The order of a hash table, the place of an object, the identity of a thread or a process.
        (&["HashMap", "HashSet", "DefaultHasher", "{:p}", ".as_ptr(", "addr_of", "unsafe"], &[]),
        // A hash table in the order in which its keys came, whatever its seed, and what leaves it is sorted.
        (&["IndexMap", "IndexSet", "RandomState"], &["modules/kernel/src/overlay.rs"]),
        (&["thread::current", "ThreadId", "process::id", "static mut"], &[]),
        // A text that a thread keeps is the one that it would make.
        (&["thread_local"], &["modules/kernel/src/address.rs"]),
        // Floating point: RocksDB wants one for the size of its filters.
        (&["f32", "f64"], &["app/store/src/rocks/database.rs"]),
        // What the machine's owner has set, and what lies on its disk.
        (&["std::env", "env::var", "locale", "chrono"], &[]),
        (&["fs::", "File::"], &["app/store/src/rocks/"]),
        // Threads: hashing and the pipeline put their results in the order of their inputs; pruning has no result.
        (
            &["available_parallelism", "thread::scope", "thread::Builder", "thread::spawn"],
            &["app/src/pipeline.rs", "app/store/src/hash.rs", "app/store/src/rocks/prune.rs"],
        ),
        // What letters are changes with Unicode's tables, and so with the compiler.
        (&[".to_lowercase(", ".to_uppercase(", ".is_alphanumeric(", ".is_alphabetic(", ".is_numeric("], &[]),
        (&["is_whitespace(", ".trim()", "split_whitespace("], &[]),
        // JSON is for genesis documents and their export.
        (&["serde_json"], &["app/src/genesis.rs"]),
    ];
    let sources = consensus_sources();
    for (words, allowed) in rules {
        for word in *words {
            let found: Vec<&str> = sources
                .iter()
                .filter(|(name, text)| {
                    !allowed.iter().any(|prefix| name.starts_with(prefix)) && has_word(text, word)
                })
                .map(|(name, _)| name.as_str())
                .collect();
            assert_eq!(found, Vec::<&str>::new(), "{word}");
        }
    }
}

/// Records are the same on every machine: no field has the width of a pointer.
#[test]
fn t2_no_record_has_a_field_of_the_machines_width() {
    let mut records = 0;
    for (name, text) in consensus_sources() {
        for block in text.split("record! {").skip(1) {
            // To the brace that closes the block, by its indentation.
            let block = block.split("\n}").next().unwrap_or_default();
            records += 1;
            for word in ["usize", "isize", "f32", "f64"] {
                assert!(!has_word(block, word), "{name}: {word} in a record");
            }
        }
    }
    assert!(records > 10, "{records} blocks of records");
}

/// A transaction that Commit submits waits for the mempool, which waits for Commit.
#[test]
fn a1_19_nothing_under_consensus_calls_the_node_that_calls_it() {
    for (name, text) in consensus_sources() {
        for word in ["client::", "reqwest", "broadcast_tx", "TcpStream", "UnixStream"] {
            assert!(!has_word(&text, word), "{name}: {word}");
        }
    }
}

/// Every line of the lists has a row, and every test that a row names is there, and is one.
#[test]
fn i_15_the_tests_that_the_table_of_reliability_names_exist() {
    let read = |file: &str| fs::read_to_string(root().join("docs").join(file)).unwrap();
    let (table, faults) = (read("reliability.md"), read("faults.md"));
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).collect();
    let expected = (1..=31).map(|line| format!("A1.{line}")).chain((1..=40).map(|line| format!("I.{line}")));
    for id in expected {
        assert_eq!(rows.iter().filter(|row| row.starts_with(&format!("| {id} |"))).count(), 1, "{id}");
    }
    let texts: Vec<String> = sources().into_iter().map(|(_, text)| text).collect();
    let mut named = 0;
    for row in rows.into_iter().chain(faults.lines().filter(|line| line.starts_with("| "))) {
        for name in row.split('`').skip(1).step_by(2) {
            // A sentence is a test's name; with one or two words it is something else's.
            let is_lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            if name.matches('_').count() > 2 && name.bytes().all(is_lower) {
                named += 1;
                assert!(texts.iter().any(|text| has_test(text, name)), "{name} of\n{row}");
            }
        }
    }
    assert!(named > 80, "{named} tests are named");
}

/// Whether a function of this name has an attribute that makes it a test.
fn has_test(text: &str, name: &str) -> bool {
    text.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let before = text[..at].rfind('\n').map_or("", |line| &text[..line]);
        let mut attributes = before.lines().rev().take_while(|line| !line.trim().is_empty());
        attributes.any(|line| line.trim_start().starts_with("#[") && line.contains("test"))
    })
}

#[test]
fn no_file_is_too_long() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(name, text)| (text.lines().count(), name))
        .filter(|(lines, name)| *lines > FILE_LINES_MAX && !is_test(name))
        .collect();
    assert_eq!(long, []);
}

#[test]
fn nothing_is_left_for_later() {
    // Spelled apart, so that this file does not find itself.
    for word in [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["XX", "X"].concat(), ["todo", "!("].concat()]
    {
        let found: Vec<_> = sources().into_iter().filter(|(_, text)| text.contains(&word)).collect();
        assert!(found.is_empty(), "{word} in {:?}", found.first().map(|(name, _)| name));
    }
}

#[test]
fn every_crate_under_consensus_takes_the_lints_of_the_workspace() {
    let mut manifests = vec![root().join("app/Cargo.toml"), root().join("app/store/Cargo.toml")];
    for entry in fs::read_dir(root().join("modules")).unwrap() {
        manifests.push(entry.unwrap().path().join("Cargo.toml"));
    }
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
    }
}

#[test]
fn a_module_uses_only_those_before_it() {
    const ORDER: [&str; 7] = ["proto", "kernel", "auth", "bank", "escrow", "provider", "market"];
    for (place, module) in ORDER.iter().enumerate().skip(1) {
        let manifest = fs::read_to_string(root().join("modules").join(module).join("Cargo.toml")).unwrap();
        let uses = manifest.split("[dev-dependencies]").next().unwrap();
        for later in &ORDER[place..] {
            assert!(!uses.contains(&format!("\n{later}.workspace")), "{module} uses {later}");
        }
    }
}
