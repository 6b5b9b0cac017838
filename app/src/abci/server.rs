//! The ABCI socket server: CometBFT connects to it and drives a [`tendermint_abci::Application`].
//!
//! CometBFT opens four connections (consensus, mempool, query, snapshot) and may use them at once. Each has a thread of
//! its own that reads a request, calls the application and writes the response, so the responses of one connection are in
//! the order of its requests. A request is `length as unsigned varint, protobuf Request`; a response is framed alike.
//!
//! Responses gather in a buffer and leave together: at a Flush request, before the thread waits for input, and when the
//! buffer is full. An asynchronous client is therefore never kept waiting, and a pipelined one costs few system calls.
//!
//! At the level `debug`, the target `abci` records every call that ABCI's grammar orders, with its connection and height.
//!
//! A connection that breaks the protocol gets a `ResponseException` that says how, and is closed. A panic of the
//! application aborts the process: CometBFT would otherwise wait for ever for a response that no thread will write.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prost::Message;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{Request, Response, ResponseException, request, response};
use tracing::{debug, info, warn};

use input::Input;
pub use socket::{Address, UNIX_PATH_BYTES_MAX};
use socket::{Listener, Stream};

mod input;
mod socket;
#[cfg(test)]
mod tests;

/// How often the accepting thread looks for new connections, ended ones and the stop.
const ACCEPT_POLL: Duration = Duration::from_millis(20);
/// The pause after an accept that failed, which is nearly always a passing lack of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);
/// Gathered responses are written when they reach this size, Flush or not.
const OUTPUT_BYTES: usize = 64 * 1024;

/// The limits of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The longest request in bytes. A block is at most 100 MiB in CometBFT whatever the consensus parameters say, and its
    /// request adds the votes; the default of 128 MiB admits every valid block, because a refused one would stop the
    /// chain. The buffer grows with the bytes that arrive, so an announced length alone costs nothing.
    pub request_bytes_max: usize,
    /// How many connections are served at once; CometBFT needs four.
    pub connections_max: usize,
    /// How long a stop waits for requests in hand before it also gives up writing their responses.
    pub shutdown_grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            request_bytes_max: 128 * 1024 * 1024,
            connections_max: 16,
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

/// Why a server can't start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address has no known scheme or nothing after it.
    #[error("ABCI address `{address}`: expected unix://PATH or tcp://HOST:PORT")]
    Address {
        /// The text that was given.
        address: String,
    },
    /// The operating system can't hold the path of the unix socket.
    #[error("ABCI socket {}: the path has {bytes} bytes, at most {UNIX_PATH_BYTES_MAX} fit; use a shorter directory", path.display())]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// Something that is not a socket is in the way, and is left alone.
    #[error("ABCI socket {}: a file that is not a socket is there", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process answers on this socket.
    #[error("ABCI socket {}: another process listens on it", path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// The operating system refused the address.
    #[error("ABCI address {address}: {source}")]
    Bind {
        /// The address.
        address: Address,
        /// The reason.
        source: io::Error,
    },
}

/// Why a connection was closed by the server.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("malformed length prefix: expected an unsigned varint in its shortest form")]
    Length,
    #[error("request of {bytes} bytes: at most {max} are accepted")]
    TooLarge { bytes: u64, max: usize },
    #[error("undecodable request: {0}")]
    Undecodable(#[from] prost::DecodeError),
    #[error("request without a known value: expected one of the ABCI 2.0 requests")]
    Unknown,
    #[error("the connection ended inside a request")]
    Truncated,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl ConnectionError {
    /// Whether the peer is told, as it sent something wrong and can still read.
    fn is_violation(&self) -> bool {
        !matches!(self, Self::Truncated | Self::Io(_))
    }
}

/// A bound server. [`Server::run`] serves until [`Handle::shutdown`].
pub struct Server {
    listener: Listener,
    address: Address,
    options: Options,
    shared: Arc<Shared>,
}

impl Server {
    /// Binds the address. A unix socket has mode 0600; one that a dead process left behind is replaced, one that still
    /// answers and anything that is not a socket is an error.
    pub fn bind(address: &Address, options: Options) -> Result<Self, Error> {
        let (listener, address) = Listener::bind(address)?;
        Ok(Self { listener, address, options, shared: Arc::default() })
    }

    /// The address that is bound, with the actual port for TCP.
    pub fn local_address(&self) -> &Address {
        &self.address
    }

    /// What stops the server from another thread.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Serves `app`, a clone of it for each connection, and blocks until [`Handle::shutdown`]. When it returns, no request
    /// is being executed and the socket file is gone.
    pub fn run<A: Application>(self, app: A) {
        info!(address = %self.address, "ABCI server listens");
        let mut threads = Vec::new();
        let mut next_id: u64 = 0;
        while !self.shared.is_stopping() {
            threads.retain(|thread: &JoinHandle<()>| !thread.is_finished());
            match self.listener.accept() {
                Ok(stream) if threads.len() < self.options.connections_max => {
                    next_id = next_id.saturating_add(1);
                    threads.extend(self.start_connection(next_id, stream, app.clone()));
                }
                Ok(_) => {
                    warn!(max = self.options.connections_max, "ABCI connection refused: too many are open")
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(ACCEPT_POLL),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    warn!(%error, "ABCI connection could not be accepted");
                    thread::sleep(ACCEPT_RETRY);
                }
            }
        }
        self.finish(threads);
        info!(address = %self.address, "ABCI server stopped");
    }

    fn start_connection<A: Application>(&self, id: u64, stream: Stream, app: A) -> Option<JoinHandle<()>> {
        let shared = Arc::clone(&self.shared);
        let request_bytes_max = self.options.request_bytes_max;
        let registered = stream.prepare().and_then(|()| shared.register(id, &stream));
        if let Err(error) = registered {
            warn!(connection = id, %error, "ABCI connection could not be set up");
            return None;
        }
        let body = move || {
            let _abort = AbortOnPanic;
            let mut connection = Connection {
                id,
                app,
                stream,
                input: Input::new(request_bytes_max),
                output: Vec::new(),
                shared,
            };
            info!(connection = id, "ABCI connection opened");
            match connection.serve() {
                Ok(()) => info!(connection = id, "ABCI connection closed"),
                Err(error) => {
                    warn!(connection = id, %error, "ABCI connection closed on an error");
                    connection.report(&error);
                }
            }
            connection.shared.unregister(id);
        };
        match thread::Builder::new().name(format!("abci-{id}")).spawn(body) {
            Ok(thread) => Some(thread),
            Err(error) => {
                warn!(connection = id, %error, "ABCI connection got no thread");
                self.shared.unregister(id);
                None
            }
        }
    }

    /// Waits for the requests in hand. A thread that waits for a client to read its response is released by closing the
    /// connection after the grace period.
    fn finish(&self, threads: Vec<JoinHandle<()>>) {
        let mut waited = Duration::ZERO;
        while waited < self.options.shutdown_grace && !threads.iter().all(JoinHandle::is_finished) {
            thread::sleep(ACCEPT_POLL);
            waited = waited.saturating_add(ACCEPT_POLL);
        }
        self.shared.close_all(Shutdown::Both);
        for thread in threads {
            // Joining fails only after a panic, and a panic has aborted the process.
            if thread.join().is_err() {
                std::process::abort();
            }
        }
    }
}

/// Serves one connection that is open already, in the caller's thread, until the peer ends it or breaks the protocol. Its
/// requests have at most `request_bytes_max` bytes.
pub fn serve_connection<A: Application>(app: A, stream: UnixStream, request_bytes_max: usize) {
    let input = Input::new(request_bytes_max);
    let shared = Arc::default();
    let mut connection =
        Connection { id: 0, app, stream: Stream::Unix(stream), input, output: Vec::new(), shared };
    if let Err(error) = connection.serve() {
        connection.report(&error);
    }
}

/// Stops a running server; clones stop the same one.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Makes [`Server::run`] return: no further connection is accepted and no further request is read, the request in hand
    /// of each connection is executed and answered. Returns at once; calling it again has no effect.
    pub fn shutdown(&self) {
        self.shared.lock().stopping = true;
        self.shared.close_all(Shutdown::Read);
    }
}

/// What the connection threads and the handles share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stopping: bool,
    connections: BTreeMap<u64, Stream>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Keeps a second handle of the stream, by which a stop wakes the thread that reads it.
    fn register(&self, id: u64, stream: &Stream) -> io::Result<()> {
        let second = stream.try_clone()?;
        self.lock().connections.insert(id, second);
        Ok(())
    }

    fn unregister(&self, id: u64) {
        self.lock().connections.remove(&id);
    }

    fn close_all(&self, how: Shutdown) {
        for (id, stream) in &self.lock().connections {
            if let Err(error) = stream.shutdown(how) {
                debug!(connection = id, %error, "ABCI connection was already closed");
            }
        }
    }
}

/// Aborts the process when the thread that holds it panics, in every build profile.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::abort();
        }
    }
}

struct Connection<A> {
    id: u64,
    app: A,
    stream: Stream,
    input: Input,
    output: Vec<u8>,
    shared: Arc<Shared>,
}

impl<A: Application> Connection<A> {
    /// Serves requests until the peer closes the connection, breaks the protocol, or the server stops.
    fn serve(&mut self) -> Result<(), ConnectionError> {
        loop {
            while let Some(frame) = self.input.next_frame()? {
                let request = Request::decode(frame)?.value.ok_or(ConnectionError::Unknown)?;
                let is_flush = matches!(request, request::Value::Flush(_));
                self.record(&request);
                let response = dispatch(&self.app, request);
                if let response::Value::Info(info) = &response {
                    debug!(target: "abci", connection = self.id, method = "Info", height = info.last_block_height);
                }
                self.push(response);
                if is_flush || self.output.len() >= OUTPUT_BYTES {
                    self.flush()?;
                }
                if self.shared.is_stopping() {
                    break;
                }
            }
            self.flush()?;
            if self.shared.is_stopping() {
                return Ok(());
            }
            if self.input.fill(&mut self.stream)? == 0 {
                let is_clean = self.input.is_empty() || self.shared.is_stopping();
                return if is_clean { Ok(()) } else { Err(ConnectionError::Truncated) };
            }
        }
    }

    /// Writes down a call before it is carried out, so that one which ends the process is there too. `Info` has the height
    /// in its answer.
    fn record(&self, request: &request::Value) {
        use request::Value as In;
        let (method, height) = match request {
            In::InitChain(request) => ("InitChain", request.initial_height),
            In::PrepareProposal(request) => ("PrepareProposal", request.height),
            In::ProcessProposal(request) => ("ProcessProposal", request.height),
            In::ExtendVote(request) => ("ExtendVote", request.height),
            In::VerifyVoteExtension(request) => ("VerifyVoteExtension", request.height),
            In::FinalizeBlock(request) => ("FinalizeBlock", request.height),
            In::Commit(_) => ("Commit", 0),
            In::OfferSnapshot(_) => ("OfferSnapshot", 0),
            In::ApplySnapshotChunk(_) => ("ApplySnapshotChunk", 0),
            _ => return,
        };
        debug!(target: "abci", connection = self.id, method, height);
    }

    /// Tells the peer what it did wrong. CometBFT stops its client on an exception and logs the text.
    fn report(&mut self, error: &ConnectionError) {
        if !error.is_violation() {
            return;
        }
        self.push(response::Value::Exception(ResponseException { error: error.to_string() }));
        if let Err(error) = self.flush().and_then(|()| self.stream.shutdown(Shutdown::Write)) {
            debug!(%error, "ABCI exception could not be delivered");
        }
    }

    fn push(&mut self, value: response::Value) {
        let framed = Response { value: Some(value) }.encode_length_delimited_to_vec();
        self.output.extend_from_slice(&framed);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        self.output.shrink_to(OUTPUT_BYTES.saturating_mul(2));
        Ok(())
    }
}

fn dispatch<A: Application>(app: &A, request: request::Value) -> response::Value {
    use request::Value as In;
    use response::Value as Out;
    match request {
        In::Echo(request) => Out::Echo(app.echo(request)),
        In::Flush(_) => Out::Flush(app.flush()),
        In::Info(request) => Out::Info(app.info(request)),
        In::InitChain(request) => Out::InitChain(app.init_chain(request)),
        In::Query(request) => Out::Query(app.query(request)),
        In::CheckTx(request) => Out::CheckTx(app.check_tx(request)),
        In::Commit(_) => Out::Commit(app.commit()),
        In::ListSnapshots(_) => Out::ListSnapshots(app.list_snapshots()),
        In::OfferSnapshot(request) => Out::OfferSnapshot(app.offer_snapshot(request)),
        In::LoadSnapshotChunk(request) => Out::LoadSnapshotChunk(app.load_snapshot_chunk(request)),
        In::ApplySnapshotChunk(request) => Out::ApplySnapshotChunk(app.apply_snapshot_chunk(request)),
        In::PrepareProposal(request) => Out::PrepareProposal(app.prepare_proposal(request)),
        In::ProcessProposal(request) => Out::ProcessProposal(app.process_proposal(request)),
        In::ExtendVote(request) => Out::ExtendVote(app.extend_vote(request)),
        In::VerifyVoteExtension(request) => Out::VerifyVoteExtension(app.verify_vote_extension(request)),
        In::FinalizeBlock(request) => Out::FinalizeBlock(app.finalize_block(request)),
    }
}
