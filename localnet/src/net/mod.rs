//! A net: N validators on 127.0.0.1, each a CometBFT process and its application; and observers, which follow the chain
//! without a vote.
//!
//! ```text
//! DIR.lock            held by who makes, runs or removes the net: one process at a time
//! DIR.unfinished/     a net that is being made or removed, or what an interruption left of that; nobody needs it
//! DIR/net.json        what the net is: read back by `Net::open`, and by anyone who wants the addresses
//! DIR/control.sock    where a running `localnet up` takes commands
//! DIR/nodeI/          the home of both processes of node I, and the directory they run in: config/, data/,
//!                     abci.sock between the two, comet.log, app.log
//! ```
//!
//! [`Net::up`] makes one and starts it, [`Net::make`] only makes it, [`Net::open`] starts one that was made before. Dropping
//! a net kills its processes; [`Net::stop`] ends them in order. Nothing survives this process, however it ends (see `process.rs`).

mod config;
pub mod control;
mod home;
mod lock;
mod node;
mod ports;
mod process;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use underbid::client::rpc;

pub use config::Timing;
pub use home::{Manifest, NodeIdentity, TemporaryDir, find_comet, find_underbid, read_genesis};
pub use node::{Injection, Node};
pub use ports::{NODES_MAX, NodePorts, PORT_BASE_DEFAULT};
pub use process::{Death, cpu_time_of};

use lock::DirLock;
use ports::PortBlock;

/// The pause between two looks at a net that is waited for.
const POLL: Duration = Duration::from_millis(20);
/// How long a new net may take to its first block.
const FIRST_BLOCK_TIMEOUT: Duration = Duration::from_secs(90);
/// How long the results of a height that was asked for may take.
const RESULTS_TIMEOUT: Duration = Duration::from_secs(30);

/// Why something about a net failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is something in the directory already.
    #[error("{}: the directory is not empty; expected a new one, or the directory of a net to open", dir.display())]
    DirNotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// Somebody makes, runs or removes a net in the directory.
    #[error("a net runs in {0}: stop it with Ctrl-C where it was started or with `localnet down --dir {0}`, or name another directory", dir.display())]
    Running {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory is the working directory or above it, and a new net's takes its place.
    #[error("{}: the working directory is not replaced; expected another one for the net", dir.display())]
    WorkingDir {
        /// The directory.
        dir: PathBuf,
    },
    /// No net is in the directory.
    #[error("{}: no net here: {reason}", dir.display())]
    NoNet {
        /// The directory.
        dir: PathBuf,
        /// What is wrong with its `net.json`.
        reason: String,
    },
    /// Too few or too many nodes.
    #[error(
        "{validators} validators and {observers} observers: expected a validator, and at most {NODES_MAX} nodes"
    )]
    Nodes {
        /// How many validators were asked for.
        validators: usize,
        /// How many observers.
        observers: usize,
    },
    /// There is no such node.
    #[error("node {index}: this net has nodes 0 to {last}")]
    NoNode {
        /// What was asked for.
        index: usize,
        /// The last one.
        last: usize,
    },
    /// The genesis document can't be completed.
    #[error("genesis: {reason}")]
    Genesis {
        /// What was expected.
        reason: String,
    },
    /// Every block of ports is in use.
    #[error("no free block of ports between 20000 and 32000 on 127.0.0.1")]
    NoPorts,
    /// The net's own ports are in use.
    #[error("the net's ports, from {base} on, are taken by other programs")]
    PortsTaken {
        /// The first port of the block.
        base: u16,
    },
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("{name}: {} could not be started: {source}", program.display())]
    Start {
        /// Which process.
        name: String,
        /// The program.
        program: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// CometBFT is missing, or is not the version that this net is made for.
    #[error("{}: {reason}; install it with: go install github.com/cometbft/cometbft/cmd/cometbft@v0.38.25", program.display())]
    Comet {
        /// The program.
        program: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// CometBFT could not do what it was asked to.
    #[error("{} {arguments}: {reason}", program.display())]
    CometFailed {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: String,
        /// What it said.
        reason: String,
    },
    /// A process ended without being asked to.
    #[error("{0}")]
    Died(Box<Death>),
    /// Something did not come about in time.
    #[error("{what} did not come about within {timeout:?}: {state}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        timeout: Duration,
        /// What was there instead.
        state: String,
    },
    /// A node did not answer as expected.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
    /// The net that runs in the directory could not be asked, or refused.
    #[error("{}: {reason}", path.display())]
    Control {
        /// Its control socket.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Which application the validators run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum App {
    /// Underbid, a process of its own beside each CometBFT.
    Underbid {
        /// The program.
        binary: PathBuf,
        /// Arguments added to `start`.
        arguments: Vec<String>,
    },
    /// CometBFT's builtin key-value store, in CometBFT's own process and in memory: what Underbid is compared with.
    Kvstore,
}

/// What a net is made from.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The net's directory, which must be empty or not exist.
    pub dir: PathBuf,
    /// The number of validators, which have equal power.
    pub validators: usize,
    /// The number of nodes after them that have no vote and are not started with the net.
    pub observers: usize,
    /// Where a node dials another, by the numbers of both; what is not here is dialled directly.
    pub detours: BTreeMap<(usize, usize), u16>,
    /// The application.
    pub app: App,
    /// The CometBFT program.
    pub comet: PathBuf,
    /// CometBFT's genesis document. `validators` is written by the net, and `genesis_time` if it is missing.
    pub genesis: Value,
    /// How fast blocks are made.
    pub timing: Timing,
    /// CometBFT's log level, such as `error` or `consensus:info,*:error`.
    pub log_level: String,
    /// Whether transactions can be looked up by hash.
    pub is_tx_indexed: bool,
    /// A soft limit of each CometBFT process' heap in bytes, which its garbage collector keeps to.
    pub comet_memory_bytes: u64,
    /// A bound in MiB on each of the application's two large memories: the database's cache, and proofs at past heights.
    pub app_memory_mib: u64,
    /// The first port of the net; if those are taken or none is given, it gets free ones.
    pub port_base: Option<u16>,
}

impl Spec {
    /// Four fast validators of CometBFT as it is installed; change the fields for anything else.
    pub fn new(dir: impl Into<PathBuf>, app: App, genesis: Value) -> Self {
        Self {
            dir: dir.into(),
            validators: 4,
            observers: 0,
            detours: BTreeMap::new(),
            app,
            comet: find_comet(),
            genesis,
            timing: Timing::fast(),
            log_level: "error".to_owned(),
            is_tx_indexed: true,
            comet_memory_bytes: 512 * 1024 * 1024,
            app_memory_mib: 64,
            port_base: None,
        }
    }

    /// The same with the builtin key-value store.
    pub fn kvstore(dir: impl Into<PathBuf>) -> Self {
        let genesis = json!({
            "chain_id": "localnet-kvstore",
            "consensus_params": {
                "block": { "max_bytes": "4194304", "max_gas": "-1" },
                "evidence": { "max_age_num_blocks": "100000", "max_age_duration": "172800000000000", "max_bytes": "1048576" },
                "validator": { "pub_key_types": ["ed25519"] },
                "version": { "app": "0" },
                "abci": { "vote_extensions_enable_height": "0" },
            },
            "app_hash": "",
        });
        Self::new(dir, App::Kvstore, genesis)
    }
}

/// A running net. All methods take `&self`, so bots, a table and a scenario can share one.
pub struct Net {
    dir: PathBuf,
    manifest: Arc<Manifest>,
    nodes: Vec<Arc<Node>>,
    _ports: PortBlock,
    // Declared last to be dropped last: the directory is ours until its processes are gone.
    _lock: DirLock,
}

impl Net {
    /// Makes a net and starts it. Returns when each validator has committed the first block.
    pub async fn up(spec: Spec) -> Result<Self, Error> {
        Self::make(spec)?.started().await
    }

    /// Makes a net and starts nothing.
    pub fn make(spec: Spec) -> Result<Self, Error> {
        let Spec { validators, observers, .. } = spec;
        let nodes = validators + observers;
        if validators == 0 || nodes > NODES_MAX {
            return Err(Error::Nodes { validators, observers });
        }
        home::check_comet(&spec.comet)?;
        home::make_parent(&spec.dir)?;
        let dir = home::resolve(&spec.dir)?;
        let lock = DirLock::take(&dir)?;
        let ports = PortBlock::take(nodes, spec.port_base)?;
        let manifest = home::create(&spec, &dir, &ports)?;
        Ok(Self::assemble(dir, manifest, ports, lock))
    }

    /// Starts the net that was made in `dir` before, where it left off and with the same addresses.
    pub async fn open(dir: &Path) -> Result<Self, Error> {
        // No lock is left beside a directory that has no net.
        Manifest::read(dir)?;
        let dir = home::resolve(dir)?;
        let lock = DirLock::take(&dir)?;
        let manifest = Manifest::read(&dir)?;
        home::check_comet(&manifest.comet)?;
        let ports = PortBlock::retake(manifest.port_base, manifest.nodes.len()).await?;
        Self::assemble(dir, manifest, ports, lock).started().await
    }

    fn assemble(dir: PathBuf, manifest: Manifest, ports: PortBlock, lock: DirLock) -> Self {
        let manifest = Arc::new(manifest);
        let node = |index| Arc::new(Node::new(index, &dir, &manifest, ports.node(index)));
        let nodes = (0..manifest.nodes.len()).map(node).collect();
        Self { nodes, dir, manifest, _ports: ports, _lock: lock }
    }

    /// Starts the validators and waits until each has committed the first block.
    pub async fn started(self) -> Result<Self, Error> {
        self.start_all().await?;
        self.wait_height(1, FIRST_BLOCK_TIMEOUT).await?;
        Ok(self)
    }

    /// Starts every validator that does not run.
    pub async fn start_all(&self) -> Result<(), Error> {
        let start = |node: &Arc<Node>| {
            let node = Arc::clone(node);
            async move { node.start().await }
        };
        let starts: JoinSet<_> = self.validators().iter().map(start).collect();
        starts.join_all().await.into_iter().collect()
    }

    /// Ends every process in order, CometBFT before its application, and waits for it.
    pub async fn stop(&self) {
        let stops: JoinSet<()> = self.nodes.iter().map(|node| node.stop_detached()).collect();
        stops.join_all().await;
    }

    /// Kills every process at once, as a power cut would.
    pub fn kill_all(&self) {
        // The applications' deaths would otherwise be noticed by a CometBFT that still runs.
        self.nodes.iter().for_each(|node| node.expect_end());
        self.nodes.iter().for_each(|node| node.kill());
    }

    /// Removes the net that was made in `dir`. A directory without one is left alone.
    pub fn remove(dir: &Path) -> Result<(), Error> {
        if !home::is_net(dir) {
            return Ok(());
        }
        let dir = home::resolve(dir)?;
        let _lock = DirLock::take(&dir)?;
        home::remove(&dir)
    }

    /// The net's directory, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the net is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The nodes that vote, in order.
    pub fn validators(&self) -> &[Arc<Node>] {
        self.nodes.get(..self.manifest.validators).unwrap_or(&self.nodes)
    }

    /// All nodes, observers last.
    pub fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// Node `index`, from 0.
    pub fn node(&self, index: usize) -> Result<&Arc<Node>, Error> {
        self.nodes.get(index).ok_or(Error::NoNode { index, last: self.nodes.len() - 1 })
    }

    /// Each node's last committed height; `None` for one that does not answer.
    pub async fn heights(&self) -> Vec<Option<u64>> {
        let ask = |node: &Arc<Node>| {
            let node = Arc::clone(node);
            tokio::spawn(async move { node.height().await })
        };
        let asked: Vec<_> = self.nodes.iter().map(ask).collect();
        let mut heights = Vec::new();
        for height in asked {
            heights.push(height.await.unwrap_or_default());
        }
        heights
    }

    /// The application's hash after `height`, as node `index` computed it itself. Waits until it is there.
    pub async fn app_hash_at(&self, index: usize, height: u64) -> Result<Vec<u8>, Error> {
        let node = self.node(index)?;
        node.wait_height(height, RESULTS_TIMEOUT).await?;
        Ok(node.rpc().wait_for_results(height, RESULTS_TIMEOUT).await?.app_hash)
    }

    /// Waits until every node whose processes run has committed `height`. Fails at once when a process dies.
    pub async fn wait_height(&self, height: u64, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            node.wait_height(height, deadline.saturating_duration_since(Instant::now())).await?;
        }
        self.check()
    }

    /// Fails when a process ended that was not asked to.
    pub fn check(&self) -> Result<(), Error> {
        let death = self.nodes.iter().find_map(|node| node.death());
        death.map_or(Ok(()), |death| Err(Error::Died(Box::new(death))))
    }

    /// What went wrong with the end of a process so far, a line each: it was not asked to end, or it was and had to be
    /// killed. Complete after [`Net::stop`]; without what [`Node::take_death`] was told.
    pub fn unwanted_ends(&self) -> Vec<String> {
        self.nodes.iter().flat_map(|node| node.unwanted_ends()).collect()
    }

    /// Waits until a process ends that was not asked to.
    pub async fn died(&self) -> Death {
        loop {
            if let Some(death) = self.nodes.iter().find_map(|node| node.death()) {
                return death;
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests;
