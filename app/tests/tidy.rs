//! Rules of the tree that no lint knows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where its assumption fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file longer than this is two.
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
    name.contains("/tests")
        || name.contains("/benches/")
        || name.ends_with("tests.rs")
        || name.ends_with("/tidy.rs")
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
        // ABCI's types: everybody else speaks of blocks and results.
        ("tendermint_abci", &["app/src/abci/"]),
        ("v0_38::abci", &["app/src/abci/"]),
        // Consent is made where signatures are checked, and nowhere else.
        ("authority::signed", &["app/src/execute.rs", "modules/kernel/src/authority.rs"]),
        // The state machine is synchronous.
        ("tokio::", &["app/src/node.rs", "app/src/grpc.rs", "app/src/client/", "app/src/cli/", "localnet/"]),
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
        assert_eq!(offenders(&[], |text| text.contains(&word)), Vec::<String>::new(), "{word}");
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
