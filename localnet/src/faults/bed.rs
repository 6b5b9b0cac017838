//! The net that faults are played on: four validators with a market on which tenants and bots trade without end, and an
//! observer that waits to replay everything.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prost::Message;
use proto::cosmos::bank::v1beta1::QuerySupplyOfRequest;
use serde_json::Value;

use super::{Error, failed};
use crate::bench::intervals;
use crate::demo::cast::Cast;
use crate::demo::{Stage, stage::first_height};
use crate::grammar::RECORDING;
use crate::net::{App, Net, Node, Spec};

/// How long a node may take to catch up, and a halted chain to go on.
pub const HEAL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long anything may take that only has to end some time.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The pause between two looks at what is waited for.
pub const POLL: Duration = Duration::from_millis(20);

/// Where the application is asked for its time.
pub const CLOCK_PATH: &str = "/underbid.kernel.v1.Query/Clock";
/// Where it is asked for its orders.
pub const ORDERS_PATH: &str = "/underbid.market.v1.Query/Orders";
const SUPPLY_PATH: &str = "/cosmos.bank.v1beta1.Query/SupplyOf";

/// How long a block may take while the net is attacked, on a busy machine.
pub const INTERVAL_MAX: Duration = Duration::from_secs(5);

/// How long blocks took.
#[derive(Clone, Copy, Debug)]
pub struct BlockTimes {
    /// Half of them took no longer.
    pub median: Duration,
    /// No block took longer.
    pub slowest: Duration,
}

/// What all nets of a run have in common.
#[derive(Clone, Debug)]
pub struct Options {
    /// The underbid program.
    pub binary: PathBuf,
    /// The genesis document, without accounts.
    pub genesis: Value,
    /// Whether the full counts are played.
    pub is_long: bool,
    /// Where the nets are made.
    pub dir: PathBuf,
}

/// A net before it is started.
pub struct Made {
    /// The net.
    pub net: Net,
    genesis: Value,
    binary: PathBuf,
}

/// A net with trade on it.
pub struct Bed {
    // Fields are dropped in this order: who asks, and then the processes.
    /// The market, and who watches it.
    pub stage: Stage,
    /// The processes.
    pub net: Net,
    /// The first height of the chain.
    pub first_height: u64,
    /// Whether tenants and bots trade, or else there are only transfers.
    pub has_market: bool,
    binary: PathBuf,
}

impl Made {
    /// Makes a net. `change` is given the usual one: four validators, an observer, and the demo's accounts.
    pub fn new(options: &Options, change: impl FnOnce(&mut Spec)) -> Result<Self, Error> {
        let genesis = Cast::new()?.complete(options.genesis.clone())?;
        let app =
            App::Underbid { binary: options.binary.clone(), arguments: RECORDING.map(str::to_owned).into() };
        let mut spec = Spec { observers: 1, ..Spec::new(options.dir.join("net"), app, genesis) };
        change(&mut spec);
        let genesis = spec.genesis.clone();
        Ok(Self { net: Net::make(spec)?, genesis, binary: options.binary.clone() })
    }

    /// Starts the validators, and the trade.
    pub async fn open(self) -> Result<Bed, Error> {
        let mut bed = self.open_quiet().await?;
        bed.stage.prepare().await?;
        bed.trade().await?;
        Ok(bed)
    }

    /// Starts the validators of a chain that has a market of its own, and transfers without end.
    pub async fn open_crowded(self) -> Result<Bed, Error> {
        let mut bed = self.open_quiet().await?;
        bed.stage.start_transfers()?;
        Ok(bed)
    }

    /// Starts the validators alone.
    pub async fn open_quiet(self) -> Result<Bed, Error> {
        let Self { net, genesis, binary } = self;
        let net = net.started().await?;
        let stage = Stage::open(&net, &genesis)?;
        let first_height = first_height(&genesis);
        Ok(Bed { stage, net, first_height, has_market: false, binary })
    }
}

impl Bed {
    /// The usual net, with trade on it.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        Made::new(options, |_| {})?.open().await
    }

    /// Lets bots and tenants loose on providers that are registered.
    pub async fn trade(&mut self) -> Result<(), Error> {
        self.stage.start_bots().await?;
        self.has_market = true;
        Ok(self.stage.start_tenants()?)
    }

    /// The greatest height that a validator has committed.
    pub async fn height(&self) -> u64 {
        let heights = self.net.heights().await;
        heights.into_iter().flatten().max().unwrap_or_default()
    }

    /// Waits until every running validator is `blocks` further than the furthest is now; returns how long that took.
    pub async fn wait_blocks(&self, blocks: u64, timeout: Duration) -> Result<Duration, Error> {
        let started = Instant::now();
        let goal = self.height().await + blocks;
        for node in self.net.validators().iter().filter(|node| node.is_running()) {
            node.wait_height(goal, timeout.saturating_sub(started.elapsed())).await?;
        }
        Ok(started.elapsed())
    }

    /// By how many blocks the chain grows in this time.
    pub async fn growth(&self, time: Duration) -> u64 {
        let before = self.height().await;
        tokio::time::sleep(time).await;
        self.height().await.saturating_sub(before)
    }

    /// The times between the blocks of these heights, by their headers.
    pub async fn intervals(&self, first: u64, last: u64) -> Result<BlockTimes, Error> {
        let times = intervals(&self.net.node(0)?.rpc().headers(first, last).await?);
        let slowest = times.last().ok_or_else(|| failed(format!("no blocks from {first} to {last}")))?;
        Ok(BlockTimes { median: times[times.len() / 2], slowest: *slowest })
    }

    /// What `underbid` prints for this home, when it ends well.
    pub async fn underbid(&self, home: &Path, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        run(&self.binary, home, arguments).await
    }

    /// The state of a node that is stopped, as a genesis document.
    pub async fn export(&self, node: &Node, height: Option<u64>) -> Result<Value, Error> {
        let height = height.map(|height| height.to_string());
        let mut arguments = vec!["export"];
        if let Some(height) = &height {
            arguments.extend(["--height", height]);
        }
        serde_json::from_slice(&self.underbid(node.home(), &arguments).await?).map_err(failed)
    }
}

/// Runs a program of a home to its end.
pub async fn run(program: &Path, home: &Path, arguments: &[&str]) -> Result<Vec<u8>, Error> {
    let mut command = Command::new(program);
    command.arg("--home").arg(home).args(arguments).current_dir(home).stdin(Stdio::null());
    let output =
        tokio::task::spawn_blocking(move || command.output()).await.map_err(failed)?.map_err(failed)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("{} {}: {}", program.display(), arguments.join(" "), text.trim())));
    }
    Ok(output.stdout)
}

/// What the application of a node answers about a height: its time, its orders, and how much FLOP there was. Each block of the
/// trade changes some of it. (A proof of all would not do: a node has none of heights before its start.)
pub async fn told_at(node: &Node, height: u64) -> Result<Vec<Vec<u8>>, Error> {
    node.wait_height(height, PATIENCE).await?;
    let supply = QuerySupplyOfRequest { denom: "uflop".to_owned() }.encode_to_vec();
    let questions = [(CLOCK_PATH, Vec::new()), (ORDERS_PATH, Vec::new()), (SUPPLY_PATH, supply)];
    let mut answers = Vec::new();
    for (path, data) in questions {
        let answer = node.rpc().abci_query(path, &data, height, false).await?;
        if answer.code != 0 || answer.height != height || answer.value.is_empty() {
            return Err(failed(format!("node{}: {path} at height {height}: {answer:?}", node.index())));
        }
        answers.push(answer.value);
    }
    Ok(answers)
}

/// Waits until something is so.
pub async fn wait_until(
    what: &str,
    timeout: Duration,
    is_so: impl AsyncFn() -> bool,
) -> Result<Duration, Error> {
    let started = Instant::now();
    while !is_so().await {
        if started.elapsed() >= timeout {
            return Err(failed(format!("within {timeout:?} it did not come that {what}")));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(started.elapsed())
}
