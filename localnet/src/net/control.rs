//! How a second terminal commands a running net: one JSON request and one JSON answer, a line each, over a unix socket.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::lock::DirLock;
use super::{Error, Net, POLL};

/// The longest request or answer; a status of nineteen nodes has a few kilobytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// How long a client may take to send its line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a net may take to stop: longer than its processes may take, one after the other.
const DOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// A command to a running net.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum Request {
    /// What each node does.
    Status,
    /// Kills both processes of a node with SIGKILL.
    Kill {
        /// The node.
        node: usize,
    },
    /// Starts a node again.
    Restart {
        /// The node.
        node: usize,
    },
    /// Stops the net.
    Down,
}

/// What a net answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum Answer {
    /// It is done, or will be in a moment for `Down`.
    Done,
    /// What each node does.
    Status {
        /// The chain.
        chain_id: String,
        /// The nodes, in order.
        nodes: Vec<NodeStatus>,
    },
    /// It could not be done.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What a node does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its number.
    pub index: usize,
    /// Whether both processes run.
    pub is_running: bool,
    /// The last committed height, if it answers.
    pub height: Option<u64>,
    /// The application's hash in that block's header, in upper-case hex.
    pub app_hash: Option<String>,
    /// How many nodes it is connected to.
    pub peers: Option<u64>,
    /// The memory of CometBFT and of the application, in bytes.
    pub resident_bytes: (u64, u64),
    /// CometBFT's RPC.
    pub rpc: String,
    /// The application's gRPC.
    pub grpc: String,
}

/// What each node does.
pub async fn statuses(net: &Net) -> Vec<NodeStatus> {
    let mut nodes = Vec::new();
    for node in net.nodes() {
        let header = node.rpc().commit(None).await.ok();
        nodes.push(NodeStatus {
            index: node.index(),
            is_running: node.is_running(),
            height: header.as_ref().map(|header| header.height),
            app_hash: header.map(|header| header.app_hash),
            peers: node.rpc().peer_count().await.ok(),
            resident_bytes: node.resident_bytes(),
            rpc: node.rpc().url().to_owned(),
            grpc: node.grpc_url(),
        });
    }
    nodes
}

/// The socket of a running net. It is removed when this is dropped.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Opens the control socket in the net's directory as it was given, which may be relative and so short enough.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = socket_path(dir);
        let failed = |error: std::io::Error| Error::Control { path: path.clone(), reason: error.to_string() };
        // A net holds the lock of its directory, so a socket that is there belongs to nobody alive.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Carries out commands, one at a time, until one is `Down`.
    pub async fn serve(&self, net: &Net) {
        loop {
            match self.serve_one(net).await {
                Ok(Request::Down) => return,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "a command could not be served"),
            }
        }
    }

    async fn serve_one(&self, net: &Net) -> std::io::Result<Request> {
        let (stream, _) = self.listener.accept().await?;
        let mut stream = BufReader::new(stream);
        let read = tokio::time::timeout(REQUEST_TIMEOUT, read_line(&mut stream));
        let request: Request = read.await.map_err(|_| std::io::Error::from(ErrorKind::TimedOut))??;
        let answer = carry_out(net, &request)
            .await
            .unwrap_or_else(|error| Answer::Failed { reason: error.to_string() });
        write_line(&mut stream, &answer).await?;
        Ok(request)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket is gone already");
        }
    }
}

/// Sends a command to the net that runs in `dir`.
pub async fn send(dir: &Path, request: &Request) -> Result<Answer, Error> {
    let path = socket_path(dir);
    let failed = |reason: String| Error::Control { path: path.clone(), reason };
    let exchange = async {
        let mut stream = BufReader::new(UnixStream::connect(&path).await?);
        write_line(&mut stream, request).await?;
        read_line(&mut stream).await
    };
    match exchange.await {
        Ok(Answer::Failed { reason }) => Err(failed(reason)),
        Ok(answer) => Ok(answer),
        Err(_) if DirLock::is_held(dir) => Err(failed(
            "the net that runs here takes no commands: it starts, stops, or plays the demo; Ctrl-C ends it where it was started"
                .to_owned(),
        )),
        Err(error) => Err(failed(format!("no net runs here: {error}"))),
    }
}

/// Waits until the net that ran in `dir` has stopped and left it to the next, after a [`Request::Down`].
pub async fn wait_until_down(dir: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + DOWN_TIMEOUT;
    while DirLock::is_held(dir) {
        if Instant::now() >= deadline {
            return Err(Error::Control {
                path: socket_path(dir),
                reason: format!("the net did not stop within {DOWN_TIMEOUT:?}"),
            });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

async fn carry_out(net: &Net, request: &Request) -> Result<Answer, Error> {
    match request {
        Request::Status => {
            let chain_id = net.manifest().chain_id.clone();
            return Ok(Answer::Status { chain_id, nodes: statuses(net).await });
        }
        Request::Kill { node } => net.node(*node)?.kill(),
        Request::Restart { node } => net.node(*node)?.restart().await?,
        Request::Down => {}
    }
    Ok(Answer::Done)
}

async fn read_line<T: for<'de> Deserialize<'de>>(stream: &mut BufReader<UnixStream>) -> std::io::Result<T> {
    let mut line = String::new();
    stream.take(LINE_BYTES_MAX).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

async fn write_line(stream: &mut BufReader<UnixStream>, value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_string(value)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await
}

fn socket_path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}
