//! The durable store on a disk that ends, in processes that are killed, and in homes that are not its own.
#![cfg(feature = "rocksdb")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod support;

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use bytes::Bytes;
use kernel::{Backend, Changes, Fatal, HeightError, KeyRange, Space};
use store::{OpenError, Options, RocksBackend};
use support::*;

/// The home in which a child process of these tests works.
const HOME: &str = "STORE_TEST_HOME";

fn unsynced() -> Options {
    Options { sync: false, ..Options::new(&STORES) }
}

/// `keys` records and entries that all say the height, besides the schema records.
fn rows_at(height: u64, keys: u32) -> Rows {
    let value = Bytes::from(height.to_be_bytes().repeat(4));
    let mut rows = Rows::new();
    for (space, key, value) in genesis() {
        rows.insert((space, key), value.unwrap());
    }
    for number in 0..keys {
        let key: Bytes = [[1].as_slice(), &number.to_be_bytes()].concat().into();
        rows.insert((Space::State(BANK), key.clone()), value.clone());
        rows.insert((Space::Derived(MARKET), key), value.clone());
    }
    rows
}

fn changes_to(height: u64, keys: u32) -> Changes {
    let before = if height == 1 { Rows::new() } else { rows_at(height - 1, keys) };
    changes(&before, rows_at(height, keys).into_iter().map(|((space, key), value)| (space, key, Some(value))))
}

fn commit(store: &RocksBackend, height: u64, keys: u32) -> Result<(), Fatal> {
    let staged = store.stage(&*store.view(None).unwrap(), changes_to(height, keys))?;
    store.commit(staged, height).map(drop)
}

fn raw(path: &Path) -> rocksdb::DB {
    rocksdb::DB::open_cf(&rocksdb::Options::default(), path, ["default", "state", "derived", "undo", "meta"])
        .unwrap()
}

fn refused(path: &Path, options: Options) -> OpenError {
    RocksBackend::open(path, options).err().unwrap()
}

#[test]
fn a_home_of_another_format_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    commit(&RocksBackend::open(home.path(), unsynced()).unwrap(), 1, 3).unwrap();
    let database = raw(home.path());
    database.put_cf(database.cf_handle("meta").unwrap(), "format", 2_u32.to_be_bytes()).unwrap();
    drop(database);
    assert_eq!(refused(home.path(), unsynced()), OpenError::Format { found: 2, supported: 1 });
}

#[test]
fn records_that_were_not_committed_are_found() {
    let home = tempfile::tempdir().unwrap();
    let store = RocksBackend::open(home.path(), unsynced()).unwrap();
    commit(&store, 1, 3).unwrap();
    let (_, stored) = store.last().unwrap();
    assert!(
        matches!(refused(home.path(), unsynced()), OpenError::Fatal(Fatal::Storage(_))),
        "it is open already"
    );
    drop(store);
    let database = raw(home.path());
    database.put_cf(database.cf_handle("state").unwrap(), b"\x01\x01\0\0\0\x02", "flipped").unwrap();
    drop(database);
    let mut rows = rows_at(1, 3);
    rows.insert((Space::State(BANK), Bytes::from_static(b"\x01\0\0\0\x02")), Bytes::from_static(b"flipped"));
    let expected = OpenError::AppHash { height: 1, stored, recomputed: app_hash(&rows) };
    assert_eq!(refused(home.path(), unsynced()), expected);

    let fewer = Options { stores: vec![(BANK, "bank"), (AUTH, "auth")], ..unsynced() };
    assert_eq!(refused(home.path(), fewer), OpenError::UnknownStore(255));
    let twice = Options { stores: vec![(BANK, "bank"), (AUTH, "bank")], ..unsynced() };
    assert_eq!(refused(home.path(), twice), OpenError::Stores);
}

#[test]
fn what_is_out_of_order_is_refused_and_harms_nothing() {
    let home = tempfile::tempdir().unwrap();
    let store = RocksBackend::open(home.path(), unsynced()).unwrap();
    assert_eq!(store.view(None).unwrap().height(), 0);
    assert!(store.rollback().is_err(), "there is nothing to go back to");
    commit(&store, 1, 3).unwrap();
    assert!(store.rollback().is_err(), "nor before the first height");
    for height in [0, 1, 3] {
        let staged = store.stage(&*store.view(None).unwrap(), changes_to(2, 3)).unwrap();
        assert!(store.commit(staged, height).is_err(), "height {height} is not the next");
    }
    let of_empty = |space, key: &'static [u8], value: &'static [u8]| {
        changes(&Rows::new(), [(space, Bytes::from_static(key), Some(Bytes::from_static(value)))])
    };
    let view = store.view(None).unwrap();
    for bad in [
        of_empty(Space::State(BANK), b"", b"x"),
        of_empty(Space::State(BANK), b"x", b""),
        of_empty(Space::State(kernel::StoreId(77)), b"x", b"x"),
        of_empty(Space::Derived(kernel::StoreId(77)), b"x", b"x"),
    ] {
        assert!(matches!(store.stage(&*view, bad), Err(Fatal::Invariant { .. })));
    }
    commit(&store, 2, 3).unwrap();
    assert_shows(&*store.view(None).unwrap(), &rows_at(2, 3), &[]);
}

#[test]
fn undo_outside_the_window_is_deleted() {
    const WINDOW: u64 = 5;
    let home = tempfile::tempdir().unwrap();
    let options = || Options { history: WINDOW, ..unsynced() };
    let store = RocksBackend::open(home.path(), options()).unwrap();
    for height in 1..=40 {
        commit(&store, height, 600).unwrap();
    }
    let outside = HeightError::OutOfWindow { asked: 34, oldest: 35, latest: 40 };
    assert_eq!(store.view(Some(34)).err(), Some(outside));
    assert_shows(&*store.view(Some(35)).unwrap(), &rows_at(35, 600), &[]);
    drop(store);
    // Five blocks of 600 records and 600 entries, each with two rows that list them.
    assert_eq!(undo_rows(home.path()), 5 * (600 * 2 + 2));
    assert_eq!(block_rows(home.path()), 6);
    let store = RocksBackend::open(home.path(), options()).unwrap();
    for height in (35..40).rev() {
        assert_eq!(store.rollback(), Ok(height));
        assert_shows(&*store.view(None).unwrap(), &rows_at(height, 600), &[]);
    }
    assert!(store.rollback().is_err());
    commit(&store, 36, 600).unwrap();
    drop(store);

    // Blocks that change more keys than are worked off after a small one: 18 rows list 9,000 records and 9,000 entries.
    let home = tempfile::tempdir().unwrap();
    let store = RocksBackend::open(home.path(), options()).unwrap();
    for height in 1..=12 {
        commit(&store, height, 9_000).unwrap();
    }
    drop(store);
    assert_eq!(undo_rows(home.path()), 5 * (9_000 * 2 + 18));
}

/// A window that was shortened leaves more heights behind than a block works off; one that is made longer again before that
/// shows what is still there.
#[test]
fn what_a_longer_window_kept_is_worked_off() {
    let home = tempfile::tempdir().unwrap();
    let open = |history| RocksBackend::open(home.path(), Options { history, ..unsynced() }).unwrap();
    let store = open(200);
    (1..=100).for_each(|height| commit(&store, height, 10).unwrap());
    drop(store);
    // Ten records and ten entries a height with the row that lists them; the first height has its three schemas besides.
    assert_eq!((undo_rows(home.path()), block_rows(home.path())), (100 * 21 + 3, 100));
    // To open it changes nothing yet.
    drop(open(5));
    assert_shows(&*open(200).view(Some(1)).unwrap(), &rows_at(1, 10), &[]);

    let store = open(5);
    commit(&store, 101, 10).unwrap();
    drop(store);
    // A block works off 16 rows of the list: heights 17 to 96 are left, beside the five above the oldest that can be read.
    assert_eq!((undo_rows(home.path()), block_rows(home.path())), (85 * 21, 86));
    let store = open(200);
    assert!(store.view(Some(95)).is_err());
    assert_shows(&*store.view(Some(96)).unwrap(), &rows_at(96, 10), &[]);
    assert_eq!(store.rollback(), Ok(100));
    drop(store);

    let store = open(5);
    (101..=110).for_each(|height| commit(&store, height, 10).unwrap());
    drop(store);
    assert_eq!((undo_rows(home.path()), block_rows(home.path())), (5 * 21, 6));
    let store = open(200);
    for height in (105..110).rev() {
        assert_eq!(store.rollback(), Ok(height));
        assert_shows(&*store.view(None).unwrap(), &rows_at(height, 10), &[]);
    }
    assert!(store.rollback().is_err());
    commit(&store, 106, 10).unwrap();
}

/// RocksDB's own log is of bounded length and number, also when a home is only read.
#[test]
fn the_databases_own_log_is_bounded() {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..8 {
        commit_next(&RocksBackend::open(home.path(), unsynced()).unwrap());
        drop(store::Archive::open(home.path()).unwrap());
    }
    let names = || fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let logs = names().filter(|name| name.to_str().unwrap().starts_with("LOG")).count();
    assert!(logs <= 5, "{logs} of them");
    let options = names().filter(|name| name.to_str().unwrap().starts_with("OPTIONS"));
    let options = fs::read_to_string(home.path().join(options.max().unwrap())).unwrap();
    assert!(options.contains("max_log_file_size=16777216\n"));
}

fn commit_next(store: &RocksBackend) {
    let next = store.last().map_or(1, |(height, _)| height + 1);
    commit(store, next, 3).unwrap();
}

/// The heights whose app hash is there.
fn block_rows(home: &Path) -> usize {
    let database = raw(home);
    let rows = database.iterator_cf(database.cf_handle("meta").unwrap(), rocksdb::IteratorMode::Start);
    rows.filter(|row| row.as_ref().unwrap().0.starts_with(b"block/")).count()
}

fn undo_rows(home: &Path) -> usize {
    let database = raw(home);
    database.iterator_cf(database.cf_handle("undo").unwrap(), rocksdb::IteratorMode::Start).count()
}

#[test]
fn proofs_keep_within_their_memory() {
    let home = tempfile::tempdir().unwrap();
    let store = RocksBackend::open(home.path(), Options { proof_bytes: 300_000, ..unsynced() }).unwrap();
    for height in 1..=30 {
        commit(&store, height, 500).unwrap();
    }
    // A block replaces some 500 inner nodes of 80 bytes.
    let Err(HeightError::OutOfWindow { oldest, latest: 30, .. }) = store.prove(Some(1), "bank", SCHEMA)
    else {
        panic!("height 1 was proven");
    };
    assert!((20..28).contains(&oldest), "{oldest}");
    let proof = store.prove(Some(oldest), "bank", SCHEMA).unwrap();
    assert!(verifies(&proof, "bank", SCHEMA, Some(b"bank"), &app_hash(&rows_at(oldest, 500))));
    assert_shows(&*store.view(Some(1)).unwrap(), &rows_at(1, 500), &[]);
    let sizes = store.sizes().unwrap();
    assert_eq!(sizes.keys, [("auth", 1), ("bank", 501), ("market", 1)]);
    assert!(sizes.trie_nodes < 2 * 503 + 300_000 / 80 && sizes.trie_bytes < 600_000, "{sizes:?}");
    assert!(sizes.disk_bytes > 0);
}

/// Readers and provers beside the writer: whatever they see is of one height.
#[test]
fn a_view_never_sees_a_later_block() {
    let home = tempfile::tempdir().unwrap();
    let store = RocksBackend::open(home.path(), unsynced()).unwrap();
    commit(&store, 1, 40).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let view = store.view(None).unwrap();
                    let rows = rows_at(view.height(), 40);
                    for _ in 0..3 {
                        assert_shows(&*view, &rows, &[]);
                    }
                    let key = b"\x01\0\0\0\x07";
                    let proof = store.prove(None, "bank", key).unwrap();
                    let (rows, value) = (rows_at(proof.height, 40), proof.value.clone());
                    assert!(verifies(&proof, "bank", key, value.as_deref(), &app_hash(&rows)));
                }
            });
        }
        for height in 2..150 {
            commit(&store, height, 40).unwrap();
            let queue = KeyRange { start: &[1], end: Some(&[2]) };
            let head = store.view(None).unwrap().scan(Space::Derived(MARKET), queue, 1).unwrap();
            assert_eq!(*head[0].1, *height.to_be_bytes().repeat(4));
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// Copies a closed home with one of its files damaged at a place: a bit flipped, or all after it missing.
fn damaged(home: &Path, file: &OsStr, at: usize, is_cut: bool) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(home).unwrap() {
        let entry = entry.unwrap();
        let mut bytes = fs::read(entry.path()).unwrap();
        if entry.file_name() == file {
            if is_cut { bytes.truncate(at) } else { bytes[at] ^= 1 }
        }
        fs::write(copy.path().join(entry.file_name()), bytes).unwrap();
    }
    copy
}

/// What can be read of the past is as it was.
fn assert_past(store: &RocksBackend, what: &str) {
    let last = store.last().map_or(0, |(height, _)| height);
    for height in 1..=last {
        let Ok(view) = store.view(Some(height)) else { continue };
        let all = KeyRange { start: &[], end: None };
        if let Ok(found) = view.scan(Space::State(BANK), all, u32::MAX) {
            let expected = plain_scan(&rows_at(height, 20), Space::State(BANK), all, u32::MAX);
            assert_eq!(found, expected, "{what}: height {height} at {last}");
        }
    }
}

/// Damage at places all over the log, the tables, the manifest and CURRENT: what opens is a state that was committed, and
/// what does not names what is broken.
#[test]
fn a_damaged_home_shows_a_commit_or_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for heights in [1..=3, 4..=7] {
        let store = RocksBackend::open(home.path(), unsynced()).unwrap();
        heights.for_each(|height| commit(&store, height, 20).unwrap());
    }
    let (mut refused, mut earlier) = (0, 0);
    for entry in fs::read_dir(home.path()).unwrap() {
        let file = entry.unwrap().file_name();
        let name = file.to_str().unwrap();
        let length = fs::read(home.path().join(&file)).unwrap().len();
        if length == 0 || !["log", "sst", "MANIFEST", "CURRENT"].iter().any(|kind| name.contains(kind)) {
            continue;
        }
        // The manifest says which files there are: its end, lost at the right place, takes a file of one family with it.
        let places = if name.contains("MANIFEST") { 60 } else { 6 };
        for (place, is_cut) in (0..places).flat_map(|place| [(place, false), (place, true)]) {
            let copy = damaged(home.path(), &file, length * place / places, is_cut);
            match RocksBackend::open(copy.path(), unsynced()) {
                Ok(store) => {
                    let (height, hash) = store.last().unwrap_or((0, app_hash(&Rows::new())));
                    assert!(
                        height == 0 || hash == app_hash(&rows_at(height, 20)),
                        "{name} {place}: {height}"
                    );
                    earlier += u32::from(height < 7);
                    assert_past(&store, &format!("{name} {place} {is_cut}"));
                }
                Err(OpenError::Fatal(Fatal::Storage(_)) | OpenError::AppHash { .. }) => refused += 1,
                Err(other) => panic!("{name} {place}: {other}"),
            }
        }
    }
    assert!(refused > 20 && earlier > 5, "{refused} refused, {earlier} at an earlier height");
}

/// RocksDB never comes back from a record that seems to be of a recycled file: one flipped bit, in any of them.
#[test]
fn a_record_that_rocksdb_would_not_come_back_from_is_named() {
    const BLOCK: usize = 32 << 10;
    let home = tempfile::tempdir().unwrap();
    let store = RocksBackend::open(home.path(), unsynced()).unwrap();
    (1..=7).for_each(|height| commit(&store, height, 200).unwrap());
    drop(store);
    let mut records = 0;
    for entry in fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("MANIFEST") && !name.ends_with(".log") {
            continue;
        }
        let whole = fs::read(&path).unwrap();
        let (mut at, mut blocks) = (0, 0);
        while at + 7 <= whole.len() {
            assert!((1..=4).contains(&whole[at + 6]), "{name} {at}: the type of a record");
            let mut bytes = whole.clone();
            bytes[at + 6] += 4;
            fs::write(&path, bytes).unwrap();
            let reason = refused(home.path(), unsynced()).to_string();
            let expected = format!("{name}: the record at byte {at} has the type");
            assert!(reason.contains(&expected), "{reason}");
            records += 1;
            at += 7 + usize::from(whole[at + 4]) + 256 * usize::from(whole[at + 5]);
            if BLOCK - at % BLOCK < 7 {
                at = at.next_multiple_of(BLOCK);
            }
            blocks = blocks.max(at / BLOCK);
        }
        assert!(name.starts_with("MANIFEST") || blocks > 0, "a log of several blocks");
        fs::write(&path, whole).unwrap();
    }
    assert!(records > 10, "{records} records");
    RocksBackend::open(home.path(), unsynced()).unwrap();
}

/// Runs one test of this file in a process of its own.
fn child(test: &str, home: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(HOME, home).stdout(Stdio::piped());
    command
}

/// Commits blocks until it is killed, when it is a child.
#[test]
fn child_commits_for_ever() {
    let Ok(home) = env::var(HOME) else { return };
    let store = RocksBackend::open(&home, Options::new(&STORES)).unwrap();
    let mut height = store.last().map_or(0, |(height, _)| height);
    loop {
        height += 1;
        commit(&store, height, 100).unwrap();
        println!("committed {height}");
    }
}

#[test]
fn a_killed_process_loses_no_commit() {
    let home = tempfile::tempdir().unwrap();
    let mut last = 0;
    for round in 1..6 {
        let mut process = child("child_commits_for_ever", home.path()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let heights = lines.filter_map(|line| line.unwrap().strip_prefix("committed ")?.parse::<u64>().ok());
        last = heights.take(7 * round).last().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        let store = RocksBackend::open(home.path(), Options::new(&STORES)).unwrap();
        let (height, hash) = store.last().unwrap();
        assert!(height >= last, "{height} is there, {last} was committed");
        assert_eq!(hash, app_hash(&rows_at(height, 100)));
        assert_shows(&*store.view(None).unwrap(), &rows_at(height, 100), &[]);
        assert_shows(&*store.view(Some(height - 1)).unwrap(), &rows_at(height - 1, 100), &[]);
    }
    assert!(last > 7);
}

/// Commits blocks until the disk is full, when it is a child.
#[test]
fn child_meets_a_full_disk() {
    let Ok(home) = env::var(HOME) else { return };
    let store = RocksBackend::open(&home, Options::new(&STORES)).unwrap();
    let mut height = 0;
    let failure = loop {
        height += 1;
        assert!(height < 1_000, "the limit on the size of a file is not in force");
        if let Err(failure) = commit(&store, height, 500) {
            break failure;
        }
    };
    let Fatal::Storage(reason) = failure else { panic!("{failure}") };
    let last = height - 1;
    assert_eq!(store.last().unwrap().0, last);
    assert_shows(&*store.view(None).unwrap(), &rows_at(last, 500), &[]);
    let Err(Fatal::Storage(again)) = commit(&store, height, 500) else { panic!("a write was retried") };
    assert!(again.contains("nothing is written after a failure") && again.contains(&reason), "{again}");
    assert!(matches!(store.rollback(), Err(Fatal::Storage(_))));
    println!("\nfailed after {last}");
}

#[test]
fn after_a_failed_write_nothing_is_written() {
    let home = tempfile::tempdir().unwrap();
    let child = child("child_meets_a_full_disk", home.path());
    // A limit of some megabytes on every file the process writes; exceeding it is an error, not a signal.
    let script = "trap '' XFSZ; ulimit -f 8000; exec \"$0\" \"$@\"";
    let limited = Command::new("sh")
        .args(["-c", script])
        .arg(child.get_program())
        .args(child.get_args())
        .env(HOME, home.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&limited.stdout);
    let last = output.lines().find_map(|line| line.strip_prefix("failed after ")?.parse::<u64>().ok());
    let last = last.unwrap_or_else(|| panic!("{output}\n{}", String::from_utf8_lossy(&limited.stderr)));
    // With room again the node goes on from the last commit.
    let store = RocksBackend::open(home.path(), Options::new(&STORES)).unwrap();
    assert_eq!(store.last(), Some((last, app_hash(&rows_at(last, 500)))));
    assert_shows(&*store.view(None).unwrap(), &rows_at(last, 500), &[]);
    commit(&store, last + 1, 500).unwrap();
}
