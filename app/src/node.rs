//! A node: the store of a home, the application over it, and its front ends, until a signal ends them.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, routing::get};
use kernel::{AppHash, Backend, Ctx, Fatal, HeightError, Mode, chain};
use serde_json::{Value, json};
use store::{OpenError, Options, RocksBackend};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    abci::{Abci, server},
    allocator,
    app::App,
    config::{self, Config},
    grpc,
    listener::{self, Listener},
    metrics::Metrics,
    modules::{self, STORES},
};

/// Connections that read metrics; one more waits until another one ends.
const METRICS_CONNECTIONS_MAX: usize = 16;

/// Why a node does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration does not say what is needed.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The home is not one.
    #[error("{}: {source}", path.display())]
    Open {
        /// The directory of the store.
        path: PathBuf,
        /// What is wrong with it.
        source: OpenError,
    },
    /// The home is of another chain.
    #[error("{}: the store belongs to chain {found:?}, not to {expected:?}", path.display())]
    Chain {
        /// The directory of the store.
        path: PathBuf,
        /// The chain that this process was told.
        expected: String,
        /// What the state says.
        found: String,
    },
    /// The home is of a chain whose addresses look otherwise.
    #[error("the chain's addresses begin with {chain:?}, the configured prefix is {configured:?}")]
    Prefix {
        /// What the state says.
        chain: String,
        /// What this process was told.
        configured: String,
    },
    /// The socket for CometBFT.
    #[error(transparent)]
    Abci(#[from] server::Error),
    /// The gRPC server.
    #[error(transparent)]
    Grpc(#[from] grpc::Error),
    /// An address for gRPC or metrics can't be bound.
    #[error("{what} on {address}: {source}")]
    Bind {
        /// `gRPC` or `metrics`.
        what: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system refused threads or signals.
    #[error("starting: {0}")]
    System(#[from] std::io::Error),
    /// A fault of this machine.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// A height that is not kept.
    #[error(transparent)]
    Height(#[from] HeightError),
    /// The state can't be read as a genesis document.
    #[error("exporting: {0}")]
    Export(kernel::Error),
    /// The state can't be written as JSON.
    #[error("exporting: {0}")]
    Json(#[from] serde_json::Error),
}

fn open(config: &Config) -> Result<Arc<RocksBackend>, Error> {
    let path = config.home.join("data/application");
    let options = Options {
        history: u64::from(config.history_heights),
        proof_bytes: config.history_memory_mib.saturating_mul(1024 * 1024),
        cache_bytes: usize::try_from(config.cache_memory_mib.saturating_mul(1024 * 1024))
            .unwrap_or(usize::MAX),
        ..Options::new(STORES)
    };
    let store =
        RocksBackend::open(&path, options).map_err(|source| Error::Open { path: path.clone(), source })?;
    let view = store.view(None)?;
    let last = chain::last_block(&view)?;
    if !last.chain_id.is_empty() {
        let expected = config.chain_id()?;
        if last.chain_id != expected {
            return Err(Error::Chain { path, expected, found: last.chain_id });
        }
        check_prefix(Arc::clone(&view))?;
        check_derived(&store, view.as_ref())?;
    }
    Ok(Arc::new(store))
}

/// The prefix decides which addresses are read, so one that is not the chain's own would execute other blocks than the
/// other validators.
fn check_prefix(view: Arc<dyn kernel::View>) -> Result<(), Error> {
    let ctx = Ctx::new(view, Mode::Query, kernel::Block::default());
    let chain = chain::PARAMS.load(&ctx).map_err(Error::Export)?.bech32_prefix;
    let configured = kernel::address::prefix_of();
    if chain == configured { Ok(()) } else { Err(Error::Prefix { chain, configured }) }
}

/// The derived entries must be those of the records: where they are not, they are made again from them.
pub fn check_derived(store: &RocksBackend, view: &dyn kernel::View) -> Result<(), Error> {
    let ctx = |view| Ctx::new(view, Mode::Query, kernel::Block::default());
    let expected = chain::DERIVED_DIGEST.load(&ctx(store.view(None)?)).map_err(Error::Export)?.sum;
    if chain::derived_sum(view, STORES.iter().map(|(id, _)| *id))? == expected {
        return Ok(());
    }
    tracing::warn!("the indexes and queues differ from the records: they are made again");
    let rebuilt = modules::rebuild(view)?;
    if rebuilt.digest() != expected {
        return Err(Fatal::DerivedDigest.into());
    }
    store.replace_derived(rebuilt.entries().iter().map(|(store, key)| (*store, key.as_slice())))?;
    Ok(())
}

/// Runs a node until SIGINT or SIGTERM.
pub fn start(config: &Config) -> Result<(), Error> {
    let store = open(config)?;
    let app = Arc::new(App::open(store.clone(), Metrics::default())?);
    // From here on: what opening has freed need not stay.
    allocator::keep_freed_memory();
    let server = server::Server::bind(&config.abci, server::Options::default())?;
    let committed = app.committed();
    tracing::info!(
        height = committed.height,
        app_hash = %hex::encode_upper(committed.app_hash),
        abci = %server.local_address(),
        "underbid {} is ready for CometBFT",
        env!("CARGO_PKG_VERSION")
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (stop, stopped) = watch::channel(false);
    let front_ends =
        runtime.spawn(serve(Arc::clone(&app), store, config.grpc, config.metrics, stopped, server.handle()));
    let abci = Abci::new(app);
    server.run(match &config.chain_id {
        Some(chain_id) => abci.of_chain(chain_id.clone()),
        None => abci,
    });
    stop.send_replace(true);
    runtime.block_on(front_ends).map_err(std::io::Error::other)?
}

/// gRPC, metrics and signals; the first of them that ends, ends the node.
async fn serve(
    app: Arc<App>,
    store: Arc<RocksBackend>,
    grpc_address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    stopped: watch::Receiver<bool>,
    abci: server::Handle,
) -> Result<(), Error> {
    let (grpc_stop, metrics_stop) = (until(stopped.clone()), until(stopped.clone()));
    let grpc = async {
        match grpc_address {
            Some(address) => {
                let listener = bind("gRPC", address).await?;
                Ok(grpc::serve(Arc::clone(&app), listener, grpc::Limits::default(), grpc_stop).await?)
            }
            None => {
                grpc_stop.await;
                Ok(())
            }
        }
    };
    let metrics = async {
        match metrics_address {
            Some(address) => serve_metrics(Arc::clone(&app), store, address, metrics_stop).await,
            None => {
                metrics_stop.await;
                Ok(())
            }
        }
    };
    let result = tokio::select! {
        result = async { tokio::try_join!(grpc, metrics).map(|((), ())| ()) } => result,
        result = signalled() => result.map_err(Error::from),
    };
    abci.shutdown();
    result
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { what, address, source })
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender is gone only when the node is, which is a stop too.
    let ended = stopped.wait_for(|stopped| *stopped).await;
    drop(ended);
}

async fn signalled() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    Ok(())
}

async fn serve_metrics(
    app: Arc<App>,
    store: Arc<RocksBackend>,
    address: SocketAddr,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let render = move || {
        let (app, store) = (Arc::clone(&app), Arc::clone(&store));
        async move {
            measure(&app, &store);
            app.metrics.render()
        }
    };
    let listener = Listener::new(bind("metrics", address).await?, METRICS_CONNECTIONS_MAX, listener::IDLE);
    let router = Router::new().route("/metrics", get(render));
    Ok(axum::serve(listener, router).with_graceful_shutdown(stop).await?)
}

/// Sizes and backlogs are read when somebody asks.
fn measure(app: &App, store: &RocksBackend) {
    match store.sizes() {
        Ok(sizes) => {
            app.metrics.figure("trie_nodes", sizes.trie_nodes);
            app.metrics.figure("trie_bytes", sizes.trie_bytes);
            app.metrics.figure("undo_rows", sizes.undo_rows);
            app.metrics.figure("disk_bytes", sizes.disk_bytes);
            app.metrics.figure("records", sizes.keys.iter().map(|(_, keys)| keys).sum());
        }
        Err(error) => tracing::warn!(%error, "the store's sizes can't be read"),
    }
    let committed = app.committed();
    let ctx = Ctx::new(committed.base.state(), Mode::Query, committed.block.clone());
    match (market::block::backlogs(&ctx), provider::block::backlog(&ctx)) {
        (Ok(backlogs), Ok(unbondings)) => backlogs
            .into_iter()
            .chain([("unbondings_due", unbondings)])
            .for_each(|(queue, due)| app.metrics.figure(queue, u64::from(due))),
        (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "the backlogs can't be read"),
    }
    if let Ok(base) = auth::fees::base(&ctx) {
        app.metrics.set_base_fee(base.atomics());
    }
    app.metrics.figure("signature_checks", app.signatures().checks());
}

/// The state as a genesis document that a new chain can start from, once it has validators and a time. CometBFT's parameters
/// are those of this home's genesis, since the application changes none; without that file only the limit of gas is known.
pub fn export(config: &Config, height: Option<u64>) -> Result<Value, Error> {
    let store = open(config)?;
    let view = store.view(height)?;
    let block = chain::last_block(&view)?;
    let mut document = json!({
        "chain_id": block.chain_id,
        "initial_height": block.height.saturating_plus(1).to_string(),
        "exported": { "height": block.height.to_string(), "time_s": block.time.to_string() },
    });
    let ctx = Ctx::new(view, Mode::Query, block);
    let state = modules::export_genesis(&ctx).map_err(Error::Export)?;
    let gas = state.auth.params.max_block_gas;
    if let Some(fields) = document.as_object_mut() {
        fields.insert("consensus_params".into(), consensus_params(config, gas)?);
        fields.insert("app_state".into(), serde_json::to_value(state)?);
    }
    Ok(document)
}

fn consensus_params(config: &Config, gas: u64) -> Result<Value, Error> {
    let mut params = match std::fs::read(config.genesis_file()) {
        Ok(text) => serde_json::from_slice::<Value>(&text)?.get("consensus_params").cloned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(config::Error::Unreadable { path: config.genesis_file(), source }.into()),
    }
    .filter(|params| params.get("block").is_some_and(Value::is_object))
    .unwrap_or_else(|| json!({ "block": {} }));
    if let Some(block) = params.get_mut("block").and_then(Value::as_object_mut) {
        block.insert("max_gas".into(), gas.to_string().into());
    }
    Ok(params)
}

/// Takes the last block back: the node is then at the height before, with that height's app hash.
pub fn rollback(config: &Config) -> Result<(u64, AppHash), Error> {
    let store = open(config)?;
    let height = store.rollback()?;
    let hash = store.last().map_or([0; 32], |(_, hash)| hash);
    Ok((height, hash))
}
