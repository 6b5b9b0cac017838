//! A node that replays a history on a disk that may fail, as CometBFT would drive it: the child of a cycle.

use std::{path::Path, process::ExitCode, sync::Arc};

use bytes::Bytes;
use kernel::{AppHash, Backend, Changes, Fatal, HeightError, KeyRange, Proof, Space, Staged, View};
use sim::small_store;
use store::{OpenError, RocksBackend};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::RequestInfo;
use underbid::{abci::Abci, app::App, metrics::Metrics, node};

use crate::{
    files,
    history::{History, genesis},
    plan::{Phase, Place},
};

/// The heights that the store keeps: few, so that every block prunes.
pub const HISTORY: u64 = 6;
/// The exit code of a node that found another result than the history has.
pub const DIFFERS: u8 = 3;

/// The store as a node opens it.
pub fn open(home: &Path) -> Result<Arc<RocksBackend>, OpenError> {
    let store = RocksBackend::open(home, small_store(HISTORY))?;
    if store.last().is_some() {
        let view = store.view(None).map_err(|error| Fatal::Storage(error.to_string()))?;
        node::check_derived(&store, view.as_ref()).map_err(|error| match error {
            node::Error::Fatal(fatal) => fatal,
            other => Fatal::Storage(other.to_string()),
        })?;
    }
    Ok(Arc::new(store))
}

/// Replays from the last commit on, up to `to`. Every line on standard output says what is done.
pub fn run(home: &Path, history: &History, to: u64) -> ExitCode {
    files::enter(Phase::Opening);
    let app = open(home).and_then(|store| {
        let store: Arc<dyn Backend> = Arc::new(Watched(store));
        Ok(App::open(store, Metrics::default())?)
    });
    let node = match app {
        Ok(app) => Abci::new(Arc::new(app)),
        Err(error) => {
            eprintln!("underbid: {}: {error}", home.display());
            return ExitCode::FAILURE;
        }
    };
    let info = node.info(RequestInfo::default());
    let height = u64::try_from(info.last_block_height).unwrap();
    println!("opened {height}");
    if height == 0 {
        node.init_chain(genesis());
    } else if info.last_block_app_hash != history.block(height).1.app_hash {
        eprintln!("height {height} has another app hash");
        return ExitCode::from(DIFFERS);
    }
    for height in height + 1..=to {
        let (request, expected) = history.block(height);
        files::enter(Phase::Executing);
        files::reach(Place::BeforeFinalize);
        if node.finalize_block(request.clone()) != *expected {
            eprintln!("height {height} has another outcome");
            return ExitCode::from(DIFFERS);
        }
        files::reach(Place::AfterFinalize);
        println!("committing {height}");
        files::enter(Phase::Committing);
        node.commit();
        files::enter(Phase::Idle);
        files::reach(Place::AfterCommit);
        println!("committed {height}");
    }
    ExitCode::SUCCESS
}

/// The store, with a place to fail at every read of a block.
struct Watched(Arc<RocksBackend>);

struct WatchedView(Arc<dyn View>);

impl Backend for Watched {
    fn view(&self, height: Option<u64>) -> Result<Arc<dyn View>, HeightError> {
        Ok(Arc::new(WatchedView(self.0.view(height)?)))
    }
    fn stage(&self, base: &dyn View, changes: Changes) -> Result<Staged, Fatal> {
        self.0.stage(base, changes)
    }
    fn commit(&self, staged: Staged, height: u64) -> Result<Arc<dyn View>, Fatal> {
        Ok(Arc::new(WatchedView(self.0.commit(staged, height)?)))
    }
    fn last(&self) -> Option<(u64, AppHash)> {
        self.0.last()
    }
    fn prove(&self, height: Option<u64>, store: &str, key: &[u8]) -> Result<Proof, HeightError> {
        self.0.prove(height, store, key)
    }
    fn rollback(&self) -> Result<u64, Fatal> {
        self.0.rollback()
    }
}

impl View for WatchedView {
    fn height(&self) -> u64 {
        self.0.height()
    }
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal> {
        files::reach(Place::State);
        self.0.get(space, key)
    }
    fn scan(&self, space: Space, range: KeyRange<'_>, limit: u32) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        files::reach(Place::State);
        self.0.scan(space, range, limit)
    }
}
