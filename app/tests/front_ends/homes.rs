//! Homes that nodes left behind: of a node whose execution differed, of another chain's settings, of no node at all.

use std::{
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use kernel::{AppHash, Backend, Change, Space};
use serde_json::Value;
use store::RocksBackend;
use underbid::{
    app::App,
    execute::{self, RawBlock},
    metrics::Metrics,
    modules::STORES,
};

use sim::*;

/// A node in a home as `underbid start` has it.
struct Node {
    store: Arc<RocksBackend>,
    app: App,
}

impl Node {
    fn new(home: &Path) -> Self {
        Self::of_chain(home, CHAIN_ID)
    }

    fn of_chain(home: &Path, chain_id: &str) -> Self {
        let path = home.join("data/application");
        std::fs::create_dir_all(&path).unwrap();
        let store = Arc::new(RocksBackend::open(path, small_store(100)).unwrap());
        let app = App::open(store.clone(), Metrics::default()).unwrap();
        if app.committed().height == 0 {
            app.init_chain(chain_id, 1, START_S, parsed(&genesis_state())).unwrap();
        }
        Self { store, app }
    }

    fn deliver(&self, block: &RawBlock) -> AppHash {
        let app_hash = self.app.finalize(block).unwrap().2;
        self.app.commit().unwrap();
        app_hash
    }

    /// Executes a block as a program would in which something depends on the machine: one value comes out otherwise.
    fn deliver_otherwise(&self, block: &RawBlock, alter: impl Fn(Space, &[u8], &mut Change)) -> AppHash {
        let base = &self.app.committed().base;
        let candidate = execute::execute(base, self.store.as_ref(), block, self.app.signatures()).unwrap();
        let mut changes = candidate.staged.changes;
        changes.iter_mut().for_each(|((space, key), change)| alter(*space, key, change));
        let staged = self.store.stage(base.view.as_ref(), changes).unwrap();
        let app_hash = staged.app_hash;
        self.store.commit(staged, block.height).unwrap();
        app_hash
    }
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_underbid"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UNDERBID_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).output().unwrap()
}

fn diff(a: &Path, b: &Path, flags: &[&str]) -> Output {
    let homes = ["debug", "diff", a.to_str().unwrap(), b.to_str().unwrap()];
    run(&[&homes[..], flags].concat())
}

fn as_json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn block(height: u64, txs: &[Vec<u8>]) -> RawBlock {
    let time_s = START_S + height;
    RawBlock { height, time_s, hash: vec![7; 32], txs: txs.to_vec(), ..Default::default() }
}

/// The files of a folder and their bytes, but for RocksDB's log of what it does.
fn files(home: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(home.join("data/application")).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| !name.starts_with("LOG"))
        .collect();
    files.sort();
    files
}

#[test]
fn b8_a_planted_difference_is_found_at_its_height_and_led_to_its_key() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let signer = TestChain::new();
    let send_ahead = |ahead| signer.sign_ahead(&draft([&send("alice", "bob", 5)]), &["alice"], ahead);
    let bobs_balance = [[2].as_slice(), &address("bob").0, b"uflop"].concat();
    {
        let (one, other) = (Node::new(a.path()), Node::new(b.path()));
        for height in 1..=4 {
            let block = block(height, &[send_ahead(height - 1)]);
            assert_eq!(one.deliver(&block), other.deliver(&block));
        }
        // What a map without an order, a clock or a float would do: one record is another.
        let planted = block(5, &[send_ahead(4)]);
        let hits = std::cell::Cell::new(0);
        let honest = one.deliver(&planted);
        let otherwise = other.deliver_otherwise(&planted, |space, key, change| {
            if space == Space::State(bank_store()) && key == bobs_balance {
                let mut value = change.new.as_ref().unwrap().to_vec();
                *value.last_mut().unwrap() ^= 1;
                change.new = Some(value.into());
                hits.set(hits.get() + 1);
            }
        });
        assert_eq!(hits.get(), 1);
        // The alarm: the header of height 6 says the one hash, this node has the other, and CometBFT stops it.
        assert_ne!(honest, otherwise);
        // Before it is looked at, the chain has gone on.
        one.deliver(&block(6, &[]));
        one.deliver(&block(7, &[send_ahead(5)]));
    }

    let before = [files(a.path()), files(b.path())];
    let output = diff(a.path(), b.path(), &["--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = as_json(&output);
    assert_eq!((found["same"].as_bool(), found["height"].as_str()), (Some(false), Some("5")));
    assert_eq!((found["oldest"].as_str(), found["latest"].as_str()), (Some("1"), Some("5")));
    assert_eq!(found["modules"], serde_json::json!([{ "module": "bank", "rows": 1 }]));
    let row = &found["rows"][0];
    assert_eq!(
        (row["module"].as_str(), row["key"].as_str()),
        (Some("bank"), Some(&*hex::encode(bobs_balance)))
    );
    assert_eq!(row["table"], "tag 2, Balance");
    assert_eq!(row["key_parts"], format!("address {}, denom uflop", text("bob")));
    let [one, other] = ["a", "b"].map(|home| hex::decode(row[home]["hex"].as_str().unwrap()).unwrap());
    assert_eq!((one.len(), one.last().unwrap() ^ 1), (other.len(), *other.last().unwrap()));
    assert_ne!(row["a"]["record"], row["b"]["record"]);

    let told = String::from_utf8(diff(a.path(), b.path(), &[]).stdout).unwrap();
    for words in [
        "height          5",
        "rows that differ  bank 1",
        "address underbid1",
        "denom uflop",
        &hex::encode(one),
    ] {
        assert!(told.contains(words), "{words:?} in\n{told}");
    }
    // Before it all was the same, also row by row; heights that one does not have are refused by name.
    let output = diff(a.path(), b.path(), &["--height", "4", "--output", "json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        (as_json(&output)["same"].as_bool(), as_json(&output)["rows"].as_array().unwrap().len()),
        (Some(true), 0)
    );
    let output = diff(a.path(), b.path(), &["--height", "6"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("height 6 is not in both homes: they share 1 to 5"), "{error}");
    // A home is the same as itself, and looking at homes has changed nothing of them.
    assert!(diff(a.path(), a.path(), &[]).status.success());
    assert_eq!([files(a.path()), files(b.path())], before);
}

fn bank_store() -> kernel::StoreId {
    STORES.iter().find(|(_, name)| *name == "bank").unwrap().0
}

#[test]
fn what_can_not_be_compared_says_why() {
    let (empty, missing) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(Node::new(empty.path()));
    for (home, words) in [(&empty, "the store holds no commit"), (&missing, "data/application")] {
        let output = diff(home.path(), home.path(), &[]);
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.starts_with("error: ") && error.contains(words), "{error}");
    }
    assert!(!missing.path().join("data").exists(), "nothing is made where nothing is");
}

#[test]
fn homes_of_two_chains_are_refused_by_name() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Node::new(ours.path()).deliver(&block(1, &[]));
    Node::of_chain(theirs.path(), "theirs-1").deliver(&block(1, &[]));
    let output = diff(ours.path(), theirs.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("the homes are of the chains \"underbid-local-1\" and \"theirs-1\""),
        "{error} {output:?}"
    );
    // Nor does a node of the one chain start in a home of the other.
    let output = run(&["export", "--home", theirs.path().to_str().unwrap(), "--chain-id", CHAIN_ID]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let words = "the store belongs to chain \"theirs-1\", not to \"underbid-local-1\"";
    assert!(error.contains(words), "{error}");
}

/// The prefix decides which addresses are read: one that is not the chain's own would execute other blocks than everybody.
#[test]
fn t2_a_home_is_not_opened_with_another_prefix_than_its_chains() {
    let home = tempfile::tempdir().unwrap();
    Node::new(home.path()).deliver(&block(1, &[]));
    let export = |prefix: &str| {
        run(&["export", "--home", home.path().to_str().unwrap(), "--chain-id", CHAIN_ID, "--prefix", prefix])
    };
    let output = export("other");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        error.contains("the chain's addresses begin with \"underbid\"") && error.contains("\"other\""),
        "{error}"
    );
    assert!(export("underbid").status.success());
}
