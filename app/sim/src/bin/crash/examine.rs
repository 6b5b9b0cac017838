//! What a home holds, compared with the history by every way there is to read it.

use std::{fs, path::Path};

use kernel::{AppHash, Backend, Change, Changes, Ctx, Depth, Fatal, KeyRange, Mode, Space, chain};
use sim::small_store;
use store::{MemoryBackend, OpenError, RocksBackend};
use underbid::modules::{self, STORES};

use crate::{history::History, node::HISTORY};

/// What a home that can be read holds.
pub struct Found {
    pub height: u64,
    /// Its derived entries are those of its records.
    pub has_entries: bool,
}

/// Said of a home that has no reason to be without its derived entries.
pub const NO_ENTRIES: &str = "the derived entries are not those of the records";

/// What a home holds, or why it can't be opened or read. An error is a state that is not the history's.
pub fn examine(home: &Path, history: &History) -> Result<Result<Found, String>, String> {
    let store = match open(home) {
        Ok(store) => store,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let Some((last, hash)) = store.last() else {
        return Ok(Ok(Found { height: 0, has_entries: true }));
    };
    if hash != history.hash(last) {
        return Err(format!("height {last} has another app hash"));
    }
    let oldest = last.saturating_sub(HISTORY).max(1);
    for height in oldest..=last {
        match hash_of(&store, height) {
            Ok(hash) if hash != history.hash(height) => {
                return Err(format!("the records of height {height} at {last} have another hash"));
            }
            Ok(_) => {}
            Err(fatal) => return Ok(Err(fatal.to_string())),
        }
    }
    check_laws(&store)
}

fn open(home: &Path) -> Result<RocksBackend, OpenError> {
    RocksBackend::open(home, small_store(HISTORY))
}

/// The app hash that the records of a height give by themselves.
fn hash_of(store: &RocksBackend, height: u64) -> Result<AppHash, Fatal> {
    let view = store.view(Some(height)).map_err(|error| Fatal::Storage(error.to_string()))?;
    let mut changes = Changes::new();
    for (id, _) in STORES {
        let space = Space::State(*id);
        for (key, value) in view.scan(space, KeyRange { start: &[], end: None }, u32::MAX)? {
            changes.insert((space, key), Change { old: None, new: Some(value) });
        }
    }
    let empty = MemoryBackend::new(STORES);
    let nothing = empty.view(None).map_err(|error| Fatal::Storage(error.to_string()))?;
    Ok(empty.stage(nothing.as_ref(), changes)?.app_hash)
}

/// The invariants, and the derived entries, which no hash of the store covers.
fn check_laws(store: &RocksBackend) -> Result<Result<Found, String>, String> {
    let read = || {
        let view = store.view(None).map_err(|error| Fatal::Storage(error.to_string()))?;
        let block = chain::last_block(&view)?;
        let ctx = Ctx::new(view.clone(), Mode::Query, block);
        let sum = chain::derived_sum(view.as_ref(), STORES.iter().map(|(id, _)| *id))?;
        let stated = chain::DERIVED_DIGEST.load(&ctx).map_err(|error| Fatal::Storage(error.to_string()))?.sum;
        let has_entries = sum == stated;
        let broken = if has_entries {
            modules::invariants(&ctx, Depth::Full).err().map(|broken| broken.to_string())
        } else {
            // Invariants read them, so those wait for a node to make them again; it can if the records give them.
            (modules::rebuild(view.as_ref())?.digest() != stated).then(|| NO_ENTRIES.into())
        };
        Ok::<_, Fatal>((Found { height: view.height(), has_entries }, broken))
    };
    match read() {
        Err(fatal) => Ok(Err(fatal.to_string())),
        Ok((found, None)) => Ok(Ok(found)),
        Ok((found, Some(broken))) => Err(format!("height {}: {broken}", found.height)),
    }
}

/// Takes away one derived entry of a home.
pub fn lose_entries(home: &Path) {
    let store = open(home).unwrap();
    let view = store.view(None).unwrap();
    let sink = modules::rebuild(view.as_ref()).unwrap();
    let entries = sink.entries().iter().skip(1).map(|(store, key)| (*store, key.as_slice()));
    store.replace_derived(entries).unwrap();
}

/// Copies the files of a stopped node to where there is nothing.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
