//! The files of a net: keys, genesis, configuration, and the manifest that describes it.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::{AppConfig, NodeConfig, Timing};
use super::node::ABCI_SOCKET;
use super::ports::PortBlock;
use super::{App, Error, NodePorts, Spec};

const MANIFEST: &str = "net.json";
/// What a directory's name ends with while the net in it is not complete yet, or not any more.
const UNFINISHED: &str = "unfinished";
const MANIFEST_VERSION: u32 = 2;
/// The release line whose blocks, messages and settings this net is made for.
const COMET_VERSION: &str = "0.38.";
/// Equal power for each validator; the number itself means nothing.
const VALIDATOR_POWER: &str = "10";

/// What a net is; the content of its `net.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub version: u32,
    /// The chain.
    pub chain_id: String,
    /// The application.
    pub app: App,
    /// The CometBFT program.
    pub comet: PathBuf,
    /// The consensus timing.
    pub timing: Timing,
    /// The soft limit of each CometBFT's heap in bytes.
    pub comet_memory_bytes: u64,
    /// The first port of the net's block.
    pub port_base: u16,
    /// How many of the nodes vote: the first ones.
    pub validators: usize,
    /// The nodes, in order.
    pub nodes: Vec<NodeIdentity>,
}

/// One node of a net.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeIdentity {
    /// Its id in the peer-to-peer network.
    pub node_id: String,
    /// Its consensus address, in upper-case hex.
    pub address: String,
    /// Its ed25519 consensus key, in base64.
    pub public_key: String,
    /// Its ports on 127.0.0.1.
    pub ports: NodePorts,
}

impl Manifest {
    /// Reads the manifest of the net in `dir`.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let absent = |reason: String| Error::NoNet { dir: dir.to_owned(), reason };
        let text = std::fs::read_to_string(dir.join(MANIFEST)).map_err(|error| absent(error.to_string()))?;
        let manifest: Self = serde_json::from_str(&text).map_err(|error| absent(error.to_string()))?;
        if manifest.version != MANIFEST_VERSION {
            return Err(absent(format!("format {}, expected {MANIFEST_VERSION}", manifest.version)));
        }
        Ok(manifest)
    }
}

/// The home of node `index`.
pub fn node_dir(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("node{index}"))
}

/// Makes what is above a directory.
pub fn make_parent(dir: &Path) -> Result<(), Error> {
    let whole = std::path::absolute(dir).map_err(|source| Error::File { path: dir.to_owned(), source })?;
    whole.parent().map_or(Ok(()), make_private_dir)
}

/// The directory, which may not exist, by its one absolute name, whatever it was called.
pub fn resolve(dir: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::File { path: dir.to_owned(), source };
    match std::fs::canonicalize(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => return found.map_err(failed),
    }
    let whole = std::path::absolute(dir).map_err(failed)?;
    let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
        return Err(failed(ErrorKind::InvalidFilename.into()));
    };
    Ok(std::fs::canonicalize(parent).map_err(failed)?.join(name))
}

/// The path next to a directory's that has `suffix` after a dot.
pub fn beside(dir: &Path, suffix: &str) -> Result<PathBuf, Error> {
    let name = dir.file_name();
    let mut name = name
        .map(OsStr::to_owned)
        .ok_or_else(|| Error::File { path: dir.to_owned(), source: ErrorKind::InvalidFilename.into() })?;
    name.push(".");
    name.push(suffix);
    Ok(dir.with_file_name(name))
}

/// Writes all files of a new net into `dir`, a resolved path, or none. They get there by one renaming, so that a creation
/// that was interrupted is in nobody's way.
pub fn create(spec: &Spec, dir: &Path, ports: &PortBlock) -> Result<Manifest, Error> {
    if has_entries(dir)? {
        return Err(Error::DirNotEmpty { dir: dir.to_owned() });
    }
    if std::env::current_dir().is_ok_and(|current| current.starts_with(dir)) {
        return Err(Error::WorkingDir { dir: dir.to_owned() });
    }
    let unfinished = beside(dir, UNFINISHED)?;
    remove_all(&unfinished)?;
    let put_in_place = |manifest| {
        std::fs::rename(&unfinished, dir).map_err(|source| Error::File { path: dir.to_owned(), source })?;
        Ok(manifest)
    };
    write_net(spec, &unfinished, ports).and_then(put_in_place).inspect_err(|_| {
        if let Err(error) = remove_all(&unfinished) {
            tracing::warn!(%error, "the unfinished net could not be removed");
        }
    })
}

fn write_net(spec: &Spec, dir: &Path, ports: &PortBlock) -> Result<Manifest, Error> {
    let mut nodes = Vec::new();
    for index in 0..spec.validators + spec.observers {
        nodes.push(init_node(&spec.comet, &node_dir(dir, index), ports.node(index))?);
    }
    let genesis = complete_genesis(spec, dir, &nodes)?;
    for (index, node) in nodes.iter().enumerate() {
        let home = node_dir(dir, index);
        write(&home.join("config/genesis.json"), &pretty(&genesis))?;
        write(&home.join("config/config.toml"), &render_config(spec, &nodes, index, node))?;
        if matches!(spec.app, App::Underbid { .. }) {
            let config =
                AppConfig { ports: node.ports, abci_socket: ABCI_SOCKET, memory_mib: spec.app_memory_mib };
            write(&home.join("config/app.toml"), &config.render())?;
        }
    }
    let manifest = Manifest {
        version: MANIFEST_VERSION,
        chain_id: genesis["chain_id"].as_str().unwrap_or_default().to_owned(),
        app: match &spec.app {
            App::Underbid { binary, arguments } => {
                App::Underbid { binary: absolute(binary)?, arguments: arguments.clone() }
            }
            App::Kvstore => App::Kvstore,
        },
        comet: absolute(&spec.comet)?,
        timing: spec.timing.clone(),
        comet_memory_bytes: spec.comet_memory_bytes,
        port_base: ports.base(),
        validators: spec.validators,
        nodes,
    };
    write(&dir.join(MANIFEST), &pretty(&json!(manifest)))?;
    Ok(manifest)
}

/// Whether the directory of a net is there.
pub fn is_net(dir: &Path) -> bool {
    dir.join(MANIFEST).exists()
}

/// Removes the net in `dir`, a resolved path. It is moved out of the way first: what an interruption leaves of it is removed
/// by the next creation.
pub fn remove(dir: &Path) -> Result<(), Error> {
    let unfinished = beside(dir, UNFINISHED)?;
    remove_all(&unfinished)?;
    std::fs::rename(dir, &unfinished).map_err(|source| Error::File { path: dir.to_owned(), source })?;
    remove_all(&unfinished)
}

fn remove_all(dir: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::File { path: dir.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// A directory of its own for nets that nobody needs afterwards; all that is in it is removed with it.
pub struct TemporaryDir {
    path: PathBuf,
    is_kept: bool,
}

impl TemporaryDir {
    /// A path that does not exist, short enough for the sockets in it.
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// The same in another place than the system's.
    pub fn below(parent: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("localnet-{}-{count}", std::process::id()));
            // An earlier process with this number may have left something to look at.
            if !path.exists() {
                return Self { path, is_kept: false };
            }
        }
    }

    /// Leaves everything where it is, for somebody to look at.
    pub fn keep(&mut self) {
        self.is_kept = true;
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Default for TemporaryDir {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        match std::fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(dir = %self.path.display(), %error, "a temporary directory is left");
            }
            _ => {}
        }
    }
}

/// Where CometBFT is: where `localnet/setup` installs it, below the working directory or in the workspace that this was
/// built in, which comes first as in the Makefile's path; or in the path, or where `go install` puts it.
pub fn find_comet() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let roots = std::env::current_dir().into_iter().chain(workspace.map(Path::to_owned));
    let mut dirs: Vec<PathBuf> = roots.map(|root| root.join(".cache/bin")).collect();
    dirs.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    dirs.extend(std::env::var_os("GOBIN").map(PathBuf::from));
    dirs.extend(std::env::var_os("GOPATH").map(|path| Path::new(&path).join("bin")));
    dirs.extend(std::env::home_dir().map(|home| home.join("go/bin")));
    let found = dirs.into_iter().map(|dir| dir.join("cometbft")).find(|program| program.is_file());
    found.unwrap_or_else(|| PathBuf::from("cometbft"))
}

/// The underbid program that was built together with this one: in the same directory, or the one above for a test.
pub fn find_underbid() -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let found =
        own.ancestors().skip(1).take(2).map(|dir| dir.join("underbid")).find(|program| program.is_file());
    found.unwrap_or_else(|| PathBuf::from("underbid"))
}

/// Reads a genesis document from a file.
pub fn read_genesis(path: &Path) -> Result<Value, Error> {
    read_json(path)
}

/// Refuses a CometBFT of another release line, whose settings and messages differ.
pub fn check_comet(program: &Path) -> Result<(), Error> {
    let version = run_comet(program, &["version"])?;
    if version.trim_start_matches('v').starts_with(COMET_VERSION) {
        return Ok(());
    }
    Err(Error::Comet {
        program: program.to_owned(),
        reason: format!("version {version}, expected {COMET_VERSION}x"),
    })
}

fn run_comet(program: &Path, arguments: &[&str]) -> Result<String, Error> {
    let failed = |reason: String| Error::CometFailed {
        program: program.to_owned(),
        arguments: arguments.join(" "),
        reason,
    };
    // In a process group of its own: Ctrl-C in the terminal is for us, who end when the child has.
    let output = Command::new(program).args(arguments).process_group(0).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::Comet { program: program.to_owned(), reason: error.to_string() },
        _ => failed(error.to_string()),
    })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(format!("{}: {text}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn init_node(comet: &Path, home: &Path, ports: NodePorts) -> Result<NodeIdentity, Error> {
    make_private_dir(home)?;
    let home_text = home.display().to_string();
    run_comet(comet, &["init", "--home", &home_text])?;
    let node_id = run_comet(comet, &["show-node-id", "--home", &home_text])?;
    let key = read_json(&home.join("config/priv_validator_key.json"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (address, public_key) = (text(&key["address"]), text(&key["pub_key"]["value"]));
    Ok(NodeIdentity { node_id, address, public_key, ports })
}

fn complete_genesis(spec: &Spec, dir: &Path, nodes: &[NodeIdentity]) -> Result<Value, Error> {
    let mut genesis = spec.genesis.clone();
    let document =
        genesis.as_object_mut().ok_or(Error::Genesis { reason: "expected a JSON object".to_owned() })?;
    if !document.get("chain_id").is_some_and(Value::is_string) {
        return Err(Error::Genesis { reason: "expected a `chain_id`".to_owned() });
    }
    let validator = |(index, node): (usize, &NodeIdentity)| {
        json!({
            "address": node.address,
            "pub_key": { "type": "tendermint/PubKeyEd25519", "value": node.public_key },
            "power": VALIDATOR_POWER,
            "name": format!("node{index}"),
        })
    };
    document.insert(
        "validators".to_owned(),
        nodes.iter().take(spec.validators).enumerate().map(validator).collect(),
    );
    if !document.contains_key("genesis_time") {
        // `cometbft init` has just written a genesis of its own with the time of now.
        let written = read_json(&node_dir(dir, 0).join("config/genesis.json"))?;
        document.insert("genesis_time".to_owned(), written["genesis_time"].clone());
    }
    Ok(genesis)
}

fn render_config(spec: &Spec, nodes: &[NodeIdentity], index: usize, node: &NodeIdentity) -> String {
    // Observers come and go, so nobody dials them.
    let others = nodes.iter().enumerate().take(spec.validators).filter(|(other, _)| *other != index);
    let peer = |(other, identity): (usize, &NodeIdentity)| {
        let port = spec.detours.get(&(index, other)).copied().unwrap_or(identity.ports.p2p);
        format!("{}@127.0.0.1:{port}", identity.node_id)
    };
    let peers: Vec<String> = others.map(peer).collect();
    let proxy_app = match &spec.app {
        App::Underbid { .. } => format!("unix://{ABCI_SOCKET}"),
        App::Kvstore => "kvstore".to_owned(),
    };
    let config = NodeConfig {
        moniker: &format!("node{index}"),
        proxy_app: &proxy_app,
        ports: node.ports,
        peers: &peers,
        timing: &spec.timing,
        log_level: &spec.log_level,
        is_tx_indexed: spec.is_tx_indexed,
    };
    config.render()
}

fn make_private_dir(path: &Path) -> Result<(), Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::File { path: path.to_owned(), source })
}

fn has_entries(path: &Path) -> Result<bool, Error> {
    match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// A program's path from anywhere; a bare name is looked up in `PATH` and stays.
fn absolute(program: &Path) -> Result<PathBuf, Error> {
    if program.components().count() == 1 {
        return Ok(program.to_owned());
    }
    std::path::absolute(program).map_err(|source| Error::File { path: program.to_owned(), source })
}

fn read_json(path: &Path) -> Result<Value, Error> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    serde_json::from_str(&text).map_err(|error| failed(std::io::Error::new(ErrorKind::InvalidData, error)))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|source| Error::File { path: path.to_owned(), source })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
