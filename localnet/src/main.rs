//! `localnet`: a net of real validators on this machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand, ValueEnum};
use localnet::bench::{self, BidLoad, KvSource, LoadOptions, TxSource};
use localnet::demo::cast::{Cast, MNEMONIC};
use localnet::demo::{self, Screen, Summary};
use localnet::faults;
use localnet::net::control::{self, Answer, Control, NodeStatus, Request};
use localnet::net::{App, Error, Net, PORT_BASE_DEFAULT, Spec, TemporaryDir, Timing};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};
use underbid::client::chain::Client;

/// Where a demo's net is. No default lies in another: a net is removed with all that is in its directory.
const DEMO_DIR: &str = ".localnet/demo";
/// Where any other net is.
const NET_DIR: &str = ".localnet/net";

#[derive(Parser)]
#[command(version, about = "A net of real CometBFT validators on this machine")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a net, or the one that is in the directory already, and keep it running until Ctrl-C or `down`.
    Up(UpArgs),
    /// Show what each node of the running net does.
    Status(DirArgs),
    /// Kill both processes of a node with SIGKILL.
    Kill(NodeArgs),
    /// Start a node again.
    Restart(NodeArgs),
    /// Stop the running net.
    Down(DirArgs),
    /// Play a market on a new net, sum it up, and keep the net running until Ctrl-C.
    Demo(DemoArgs),
    /// Hurt nets in every way that is known, and check what must hold all the same.
    Faults(FaultArgs),
    /// Measure a new net, which is removed afterwards.
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Subcommand)]
enum BenchCommand {
    /// How often an idle net makes a block.
    Interval {
        #[command(flatten)]
        net: NetArgs,
        /// How long to watch.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// How many transactions a net commits.
    Load {
        #[command(flatten)]
        net: NetArgs,
        /// How long to send.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        /// Senders, spread over the nodes.
        #[arg(long, default_value_t = 4)]
        senders: usize,
        /// How many bids are signed before the measurement; it ends when all are sent.
        #[arg(long, default_value_t = 60_000)]
        bids: usize,
        /// The size of a transaction of the key-value store.
        #[arg(long, default_value_t = 250)]
        tx_bytes: usize,
        /// A sender waits while its node's mempool holds more than this.
        #[arg(long, default_value_t = LoadOptions::default().pending_max)]
        pending_max: u64,
        /// Print one JSON document.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct DemoArgs {
    /// The net's directory; a net of an earlier demo in it is removed.
    #[arg(long, default_value = DEMO_DIR)]
    dir: PathBuf,
    #[command(flatten)]
    net: NetArgs,
    /// The first port; if those are taken, the net gets others.
    #[arg(long, default_value_t = PORT_BASE_DEFAULT, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port_base: u16,
    /// Stop after the summary, with exit code 1 if anything was not as it should be.
    #[arg(long)]
    exit: bool,
    /// Print the summary as one JSON document on standard output, and everything else on standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct FaultArgs {
    /// The rows to play, by their ids in docs/faults.md; all of them where none is named.
    rows: Vec<String>,
    /// Play the full counts, which takes hours.
    #[arg(long)]
    long: bool,
    /// The underbid program; by default the one next to this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The genesis document.
    #[arg(long, default_value = "genesis/localnet.json")]
    genesis: PathBuf,
    /// Print one JSON document on standard output, and the rows on standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct DirArgs {
    /// The net's directory; that of a demo is `.localnet/demo` by default.
    #[arg(long, default_value = NET_DIR)]
    dir: PathBuf,
}

#[derive(Args)]
struct NodeArgs {
    /// The node, from 0.
    node: usize,
    #[command(flatten)]
    dir: DirArgs,
}

#[derive(Args)]
struct UpArgs {
    #[command(flatten)]
    dir: DirArgs,
    #[command(flatten)]
    net: NetArgs,
    /// Remove the net that is in the directory first.
    #[arg(long)]
    reset: bool,
    /// The first port; if those are taken, the net gets others.
    #[arg(long, default_value_t = PORT_BASE_DEFAULT, value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    port_base: u16,
}

#[derive(Args)]
struct NetArgs {
    /// The number of validators.
    #[arg(long, default_value_t = 4)]
    validators: usize,
    /// The application.
    #[arg(long, value_enum, default_value_t = AppName::Underbid)]
    app: AppName,
    /// The underbid program; by default the one next to this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// The genesis document of underbid.
    #[arg(long, default_value = "genesis/localnet.json")]
    genesis: PathBuf,
    /// How fast blocks are made.
    #[arg(long, value_enum, default_value_t = Profile::Fast)]
    profile: Profile,
    /// Overrides the profile's two waits of the peer-to-peer network, in milliseconds.
    #[arg(long)]
    gossip_ms: Option<u32>,
    /// CometBFT's log level.
    #[arg(long, default_value = "error")]
    log_level: String,
    /// Keep no index of transactions by hash.
    #[arg(long)]
    no_tx_index: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum AppName {
    Underbid,
    Kvstore,
}

#[derive(Clone, Copy, ValueEnum)]
enum Profile {
    Fast,
    Public,
}

type Failure = Box<dyn std::error::Error>;
type Outcome = Result<(), Failure>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(tracing::Level::WARN).init();
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Outcome {
    match command {
        Command::Up(args) => up(args).await,
        Command::Status(DirArgs { dir }) => print_answer(&control::send(&dir, &Request::Status).await?),
        Command::Kill(NodeArgs { node, dir }) => {
            print_answer(&control::send(&dir.dir, &Request::Kill { node }).await?)
        }
        Command::Restart(NodeArgs { node, dir }) => {
            print_answer(&control::send(&dir.dir, &Request::Restart { node }).await?)
        }
        Command::Down(DirArgs { dir }) => {
            let answer = control::send(&dir, &Request::Down).await?;
            control::wait_until_down(&dir).await?;
            print_answer(&answer)
        }
        Command::Demo(args) => demo(args).await,
        Command::Faults(args) => faults(args).await,
        Command::Bench(command) => run_bench(command).await,
    }
}

async fn faults(args: FaultArgs) -> Outcome {
    let FaultArgs { rows, long: is_long, binary, genesis, json } = args;
    let binary = std::path::absolute(binary.unwrap_or_else(localnet::net::find_underbid))?;
    let genesis = localnet::net::read_genesis(&genesis)?;
    let options = faults::Options { binary, genesis, is_long, dir: std::env::temp_dir() };
    let show = |row: &faults::RowReport| match json {
        true => eprintln!("{row}"),
        false => println!("{row}"),
    };
    let report = unless_interrupted(faults::play(&options, &rows, show)).await?;
    print_report(&report, json)?;
    if report.ok { Ok(()) } else { Err("a law did not hold".into()) }
}

async fn up(args: UpArgs) -> Outcome {
    let UpArgs { dir: DirArgs { dir }, net, reset, port_base } = args;
    let start = async {
        if reset {
            Net::remove(&dir)?;
        }
        match dir.join("net.json").exists() {
            true => Net::open(&dir).await,
            false => Net::up(Spec { port_base: Some(port_base), ..net.spec(&dir)? }).await,
        }
    };
    let net = unless_interrupted(start).await?;
    let manifest = net.manifest();
    println!("{} runs in {}", manifest.chain_id, net.dir().display());
    for node in net.nodes() {
        println!("node{}  RPC {}  gRPC {}", node.index(), node.rpc().url(), node.grpc_url());
    }
    println!("Ctrl-C or `localnet down` stops it.");
    keep(&dir, net).await
}

async fn demo(args: DemoArgs) -> Outcome {
    let DemoArgs { dir, net: net_args, port_base, exit, json } = args;
    if matches!(net_args.app, AppName::Kvstore) {
        return Err("the demo plays on --app underbid".into());
    }
    if net_args.no_tx_index {
        return Err(
            "the demo looks its transactions up by hash, which takes the index: expected no --no-tx-index"
                .into(),
        );
    }
    let screen = Screen::choose(json);
    let started = Instant::now();
    let spec = Spec { port_base: Some(port_base), ..net_args.spec(&dir)? };
    let genesis = Cast::new()?.complete(spec.genesis)?;
    let work = async {
        Net::remove(&dir)?;
        screen.say(&format!(
            "starting {} validators, each CometBFT and underbid, in {}",
            net_args.validators,
            dir.display()
        ));
        let made = Net::make(Spec { genesis: genesis.clone(), ..spec })?;
        let with_logs = |error| format!("{error}\nthe nodes' logs: {}/node*/*.log", dir.display());
        Ok::<_, Failure>(play(made, &genesis, screen, started).await.map_err(with_logs)?)
    };
    let (net, summary) = unless_interrupted(work).await?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&summary)?),
        false => println!("{summary}"),
    }
    if exit {
        stop(net).await?;
    } else {
        print_addresses(screen, &net);
        keep(&dir, net).await?;
    }
    if !summary.ok {
        return Err(
            format!("not everything happened as it should; the net is left in {}", dir.display()).into()
        );
    }
    // What was left running may be looked at afterwards, or started again.
    if exit {
        Net::remove(&dir)?;
    }
    Ok(())
}

async fn play(
    made: Net,
    genesis: &Value,
    screen: Screen,
    started: Instant,
) -> Result<(Net, Summary), Failure> {
    let net = made.started().await?;
    screen.say(&format!("first block after {:.1} s; the market opens", started.elapsed().as_secs_f64()));
    let summary = demo::play(&net, genesis, screen, started).await?;
    Ok((net, summary))
}

fn print_addresses(screen: Screen, net: &Net) {
    screen.say(&format!("\n{} goes on:", net.manifest().chain_id));
    for node in net.nodes() {
        let (index, rpc, grpc) = (node.index(), node.rpc().url(), node.grpc_url());
        screen.say(&format!("node{index}  RPC {rpc}  gRPC {grpc}  home {}", node.home().display()));
    }
    let home = net.nodes().first().map(|node| node.home().display().to_string()).unwrap_or_default();
    screen.say("\nAct as one of the accounts (alice is the key at index 1, aurora the one at 5; all 13 have the same words):");
    screen.say(&format!(
        "  echo '{MNEMONIC}' | underbid --home {home} keys add alice --index 1 --mnemonic-file -"
    ));
    screen.say(&format!("  underbid --home {home} query market orders"));
    screen.say("\nCtrl-C stops it.");
}

/// Runs a net until Ctrl-C, or `localnet down`, or the death of a process.
async fn keep(dir: &Path, net: Net) -> Outcome {
    let control = Control::open(dir)?;
    let death = tokio::select! {
        () = control.serve(&net) => None,
        () = interrupted() => None,
        death = net.died() => Some(death),
    };
    // Before the net, by whose lock the socket is ours to remove.
    drop(control);
    let stopped = stop(net).await;
    death.map_or(stopped, |death| Err(Error::Died(Box::new(death)).into()))
}

/// Ends a net, which fails when a process ended in another way than it should.
async fn stop(net: Net) -> Outcome {
    net.stop().await;
    let ends = net.unwanted_ends();
    if ends.is_empty() { Ok(()) } else { Err(ends.join("\n").into()) }
}

async fn run_bench(command: BenchCommand) -> Outcome {
    let work = async {
        match command {
            BenchCommand::Interval { net, seconds, json } => {
                let (_dir, net) = net.temporary().await?;
                let report = bench::measure_interval(&net, Duration::from_secs(seconds)).await?;
                print_report(&report, json)?;
                stop(net).await?;
            }
            BenchCommand::Load { net, seconds, senders, bids, tx_bytes, pending_max, json } => {
                let duration = Duration::from_secs(seconds);
                let options = LoadOptions { duration, pending_max, ..LoadOptions::default() };
                let load = BidLoad::new(senders, bids)?;
                let (_dir, net) = match net.app {
                    AppName::Kvstore => net.temporary().await?,
                    AppName::Underbid => net.temporary_with(|genesis| Ok(load.genesis(genesis)?)).await?,
                };
                let sources: Vec<Box<dyn TxSource>> = match net.manifest().app {
                    App::Kvstore => {
                        (0..senders).map(|sender| boxed(KvSource::new(sender, tx_bytes))).collect()
                    }
                    App::Underbid { .. } => {
                        let client = Client::connect(net.node(0)?.rpc().url()).await?;
                        load.sign(&client).await?.into_iter().map(boxed).collect()
                    }
                };
                let report = bench::measure_load(&net, sources, &options).await?;
                print_report(&report, json)?;
                stop(net).await?;
            }
        }
        Ok::<_, Failure>(())
    };
    unless_interrupted(work).await
}

impl NetArgs {
    fn spec(&self, dir: &Path) -> Result<Spec, Error> {
        let mut timing = match self.profile {
            Profile::Fast => Timing::fast(),
            Profile::Public => Timing::public(),
        };
        if let Some(gossip_ms) = self.gossip_ms {
            (timing.flush_throttle_ms, timing.gossip_sleep_ms) = (gossip_ms, gossip_ms);
        }
        let spec = match self.app {
            AppName::Kvstore => Spec::kvstore(dir),
            AppName::Underbid => {
                let binary = self.binary.clone().unwrap_or_else(localnet::net::find_underbid);
                let genesis = localnet::net::read_genesis(&self.genesis)?;
                Spec::new(dir, App::Underbid { binary, arguments: Vec::new() }, genesis)
            }
        };
        Ok(Spec {
            validators: self.validators,
            timing,
            log_level: self.log_level.clone(),
            is_tx_indexed: !self.no_tx_index,
            ..spec
        })
    }

    /// A net in a directory of its own. The net comes second, so that it is dropped before its files are.
    async fn temporary(&self) -> Result<(TemporaryDir, Net), Failure> {
        self.temporary_with(Ok).await
    }

    /// The same with another genesis document.
    async fn temporary_with(
        &self,
        change: impl FnOnce(Value) -> Result<Value, Failure>,
    ) -> Result<(TemporaryDir, Net), Failure> {
        let dir = TemporaryDir::new();
        let spec = self.spec(dir.path())?;
        let genesis = change(spec.genesis)?;
        let net = Net::up(Spec { genesis, ..spec }).await?;
        Ok((dir, net))
    }
}

fn boxed(source: impl TxSource) -> Box<dyn TxSource> {
    Box::new(source)
}

fn print_answer(answer: &Answer) -> Outcome {
    match answer {
        Answer::Done => println!("done"),
        Answer::Failed { reason } => return Err(reason.clone().into()),
        Answer::Status { chain_id, nodes } => {
            println!("{chain_id}");
            nodes.iter().for_each(print_node);
        }
    }
    Ok(())
}

fn print_node(node: &NodeStatus) {
    let NodeStatus { index, height, app_hash, peers, resident_bytes: (comet, app), rpc, grpc, .. } = node;
    let state = match (height, peers) {
        (Some(height), Some(peers)) => {
            let app_hash = app_hash.as_deref().unwrap_or_default();
            format!("height {height}  app hash {app_hash:.16}  {peers} peers")
        }
        _ if node.is_running => "does not answer".to_owned(),
        _ => "down".to_owned(),
    };
    println!("node{index}  {state}  {}+{} MB  RPC {rpc}  gRPC {grpc}", comet >> 20, app >> 20);
}

fn print_report<T: std::fmt::Display + serde::Serialize>(report: &T, json: bool) -> Outcome {
    match json {
        true => println!("{}", serde_json::to_string_pretty(report)?),
        false => println!("{report}"),
    }
    Ok(())
}

/// Drives work to its end, or drops it on Ctrl-C. The signals are listened for before the work begins: they end a process that
/// does not listen on the spot, with all that it was about to remove or to say.
async fn unless_interrupted<T, E: Into<Failure>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = interrupted() => Err("interrupted".into()),
        done = work => done.map_err(Into::into),
    }
}

/// Completes on Ctrl-C and on SIGTERM.
async fn interrupted() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
