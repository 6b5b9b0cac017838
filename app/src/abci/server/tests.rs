//! A client of the socket's own bytes against a real server, on unix sockets and TCP.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use prost::Message;
use tempfile::TempDir;
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    Request, RequestCheckTx, RequestEcho, RequestFlush, RequestInfo, RequestQuery, Response, ResponseCheckTx,
    ResponseQuery, request, response,
};

use super::input::split_length;
use super::{Address, Error, Handle, Options, Server, Stream, UNIX_PATH_BYTES_MAX};

/// Answers a transaction with its bytes; a query waits until the test lets it go on.
#[derive(Clone)]
struct Recorder {
    entered: mpsc::Sender<()>,
    released: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Application for Recorder {
    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        assert!(request.tx != b"panic"[..], "the test asked for a panic");
        ResponseCheckTx { data: request.tx, ..Default::default() }
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        self.entered.send(()).unwrap();
        self.released.lock().unwrap().recv().unwrap();
        ResponseQuery { value: request.data, ..Default::default() }
    }
}

struct Running {
    address: Address,
    handle: Handle,
    thread: JoinHandle<()>,
    entered: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
    directory: TempDir,
}

impl Running {
    fn unix(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = Address::Unix(directory.path().join("abci.sock"));
        Self::start(&address, options, directory)
    }

    fn tcp() -> Self {
        let address = "tcp://127.0.0.1:0".parse().unwrap();
        Self::start(&address, Options::default(), tempfile::tempdir().unwrap())
    }

    fn start(address: &Address, options: Options, directory: TempDir) -> Self {
        let (entered_sender, entered) = mpsc::channel();
        let (release, release_receiver) = mpsc::channel();
        let app = Recorder { entered: entered_sender, released: Arc::new(Mutex::new(release_receiver)) };
        let server = Server::bind(address, options).unwrap();
        let (address, handle) = (server.local_address().clone(), server.handle());
        let thread = thread::spawn(move || server.run(app));
        Self { address, handle, thread, entered, release, directory }
    }

    fn connect(&self) -> Client {
        let stream = match &self.address {
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path).unwrap()),
            Address::Tcp(host) => {
                let stream = TcpStream::connect(host.as_str()).unwrap();
                stream.set_nodelay(true).unwrap();
                Stream::Tcp(stream)
            }
        };
        Client { stream, received: Vec::new() }
    }

    fn stop(self) {
        self.handle.shutdown();
        self.thread.join().unwrap();
    }
}

struct Client {
    stream: Stream,
    received: Vec<u8>,
}

impl Client {
    fn send(&mut self, requests: &[request::Value]) {
        self.stream.write_all(&frames(requests)).unwrap();
    }

    /// The next response, or `None` at the end of the stream.
    fn receive(&mut self) -> Option<response::Value> {
        loop {
            if let Some((length, rest)) = split_length(&self.received).unwrap()
                && let Some((frame, rest)) = rest.split_at_checked(usize::try_from(length).unwrap())
            {
                let response = Response::decode(frame).unwrap();
                self.received = rest.to_vec();
                return Some(response.value.unwrap());
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(read) => self.received.extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn exception(&mut self) -> String {
        match self.receive() {
            Some(response::Value::Exception(exception)) => exception.error,
            other => panic!("expected an exception, got {other:?}"),
        }
    }
}

fn frames(requests: &[request::Value]) -> Vec<u8> {
    let framed =
        |value: &request::Value| Request { value: Some(value.clone()) }.encode_length_delimited_to_vec();
    requests.iter().flat_map(framed).collect()
}

fn echo(text: &str) -> request::Value {
    request::Value::Echo(RequestEcho { message: text.to_owned() })
}

fn check_tx(tx: &[u8]) -> request::Value {
    request::Value::CheckTx(RequestCheckTx { tx: tx.to_vec().into(), ..Default::default() })
}

fn flush() -> request::Value {
    request::Value::Flush(RequestFlush {})
}

fn is_echo(response: Option<response::Value>, text: &str) -> bool {
    matches!(response, Some(response::Value::Echo(echo)) if echo.message == text)
}

fn is_tx(response: Option<response::Value>, tx: &[u8]) -> bool {
    matches!(response, Some(response::Value::CheckTx(check)) if check.data == tx)
}

#[test]
fn a_request_that_arrives_byte_by_byte_is_answered() {
    for server in [Running::unix(Options::default()), Running::tcp()] {
        let mut client = server.connect();
        for byte in frames(&[echo(&"long".repeat(100)), echo("short")]) {
            client.stream.write_all(&[byte]).unwrap();
        }
        assert!(is_echo(client.receive(), &"long".repeat(100)));
        assert!(is_echo(client.receive(), "short"));
        server.stop();
    }
}

#[test]
fn requests_of_one_write_are_answered_without_a_flush() {
    for server in [Running::unix(Options::default()), Running::tcp()] {
        let mut client = server.connect();
        client.send(&[request::Value::Info(RequestInfo::default()), check_tx(b"tx"), echo("last")]);
        assert!(matches!(client.receive(), Some(response::Value::Info(_))));
        assert!(is_tx(client.receive(), b"tx"));
        assert!(is_echo(client.receive(), "last"));
        server.stop();
    }
}

#[test]
fn a_complete_request_is_answered_while_the_next_one_is_incomplete() {
    let server = Running::unix(Options::default());
    let mut client = server.connect();
    let second = frames(&[echo("second")]);
    client.send(&[echo("first")]);
    client.stream.write_all(&second[..3]).unwrap();
    assert!(is_echo(client.receive(), "first"));
    client.stream.write_all(&second[3..]).unwrap();
    assert!(is_echo(client.receive(), "second"));
    server.stop();
}

#[test]
fn ten_thousand_pipelined_requests_are_answered_in_order() {
    for server in [Running::unix(Options::default()), Running::tcp()] {
        let mut client = server.connect();
        let mut sender = Client { stream: client.stream.try_clone().unwrap(), received: Vec::new() };
        let writer = thread::spawn(move || {
            for number in 0..10_000_u32 {
                sender.send(&[check_tx(&number.to_be_bytes()), echo(&number.to_string())]);
            }
            sender.send(&[flush()]);
        });
        for number in 0..10_000_u32 {
            assert!(is_tx(client.receive(), &number.to_be_bytes()));
            assert!(is_echo(client.receive(), &number.to_string()));
        }
        assert!(matches!(client.receive(), Some(response::Value::Flush(_))));
        writer.join().unwrap();
        server.stop();
    }
}

#[test]
fn a_large_request_is_answered_and_its_buffer_does_not_disturb_the_next() {
    let server = Running::unix(Options::default());
    let mut client = server.connect();
    let large = vec![7; 5 * 1024 * 1024];
    let mut sender = Client { stream: client.stream.try_clone().unwrap(), received: Vec::new() };
    let transaction = check_tx(&large);
    let writer = thread::spawn(move || sender.send(&[echo("before"), transaction, echo("after")]));
    assert!(is_echo(client.receive(), "before"));
    assert!(is_tx(client.receive(), &large));
    assert!(is_echo(client.receive(), "after"));
    writer.join().unwrap();
    server.stop();
}

#[test]
fn connections_are_served_at_once() {
    let server = Running::unix(Options::default());
    let (mut query, mut mempool) = (server.connect(), server.connect());
    query.send(&[request::Value::Query(RequestQuery::default())]);
    server.entered.recv().unwrap();
    mempool.send(&[echo("meanwhile")]);
    assert!(is_echo(mempool.receive(), "meanwhile"));
    server.release.send(()).unwrap();
    assert!(matches!(query.receive(), Some(response::Value::Query(_))));
    server.stop();
}

#[test]
fn requests_up_to_the_limit_pass_and_longer_ones_are_refused_by_their_prefix_alone() {
    let overhead = frames(&[echo(&"x".repeat(1000))]).len() - 2 - 1000;
    let server = Running::unix(Options { request_bytes_max: 1000 + overhead, ..Options::default() });
    let mut client = server.connect();
    client.send(&[echo(&"x".repeat(1000))]);
    assert!(is_echo(client.receive(), &"x".repeat(1000)));

    let prefix = &frames(&[echo(&"x".repeat(1001))])[..2];
    client.stream.write_all(prefix).unwrap();
    assert_eq!(client.exception(), "request of 1007 bytes: at most 1006 are accepted");
    assert!(client.receive().is_none());
    server.stop();
}

#[test]
fn wrong_bytes_close_their_connection_and_say_why() {
    let server = Running::unix(Options::default());
    let rows: [(&[u8], &str); 7] = [
        (&[0xff; 16], "malformed length prefix"),
        (&[0x80, 0x80, 0x00], "malformed length prefix"),
        (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], "malformed length prefix"),
        (
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            "request of 18446744073709551615 bytes",
        ),
        (&[4, 0xde, 0xad, 0xbe, 0xef], "undecodable request"),
        (&[0], "request without a known value"),
        (&[3, 0x9a, 0x06, 0], "request without a known value"),
    ];
    for (bytes, expected) in rows {
        let mut client = server.connect();
        client.send(&[echo("valid")]);
        client.stream.write_all(bytes).unwrap();
        assert!(is_echo(client.receive(), "valid"), "before {bytes:?}");
        let exception = client.exception();
        assert!(exception.starts_with(expected), "{bytes:?}: {exception}");
        assert!(client.receive().is_none(), "after {bytes:?}");
    }
    let mut client = server.connect();
    client.send(&[echo("still here")]);
    assert!(is_echo(client.receive(), "still here"));
    server.stop();
}

#[test]
fn more_connections_than_the_limit_are_closed_and_a_freed_place_is_taken() {
    let server = Running::unix(Options { connections_max: 1, ..Options::default() });
    let mut first = server.connect();
    first.send(&[echo("first")]);
    assert!(is_echo(first.receive(), "first"));
    assert!(server.connect().receive().is_none());

    drop(first);
    let answered = (0..1000).any(|_| {
        let mut client = server.connect();
        thread::sleep(Duration::from_millis(5));
        client.stream.write_all(&frames(&[echo("again")])).is_ok() && is_echo(client.receive(), "again")
    });
    assert!(answered);
    server.stop();
}

#[test]
fn a_stop_while_idle_closes_every_connection_and_removes_the_socket() {
    let server = Running::unix(Options::default());
    let path = server.directory.path().join("abci.sock");
    let mut clients = [server.connect(), server.connect(), server.connect(), server.connect()];
    for client in &mut clients {
        client.send(&[echo("open")]);
        assert!(is_echo(client.receive(), "open"));
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    server.handle.shutdown();
    server.thread.join().unwrap();
    for client in &mut clients {
        assert!(client.receive().is_none());
    }
    assert!(!path.exists());
}

#[test]
fn a_stop_while_busy_answers_the_request_in_hand_and_no_further_one() {
    for server in [Running::unix(Options::default()), Running::tcp()] {
        let mut client = server.connect();
        client.send(&[
            request::Value::Query(RequestQuery { data: vec![1].into(), ..Default::default() }),
            echo("no"),
        ]);
        server.entered.recv().unwrap();
        server.handle.shutdown();
        server.release.send(()).unwrap();
        assert!(matches!(client.receive(), Some(response::Value::Query(query)) if query.value == vec![1]));
        assert!(client.receive().is_none());
        server.thread.join().unwrap();
    }
}

#[test]
fn a_stop_does_not_wait_for_a_client_that_reads_nothing() {
    let server = Running::unix(Options { shutdown_grace: Duration::ZERO, ..Options::default() });
    let mut client = server.connect();
    client.send(&[check_tx(&vec![0; 16 * 1024 * 1024])]);
    // The answer has begun, and no socket's buffer holds the rest of it: the server waits in its write.
    let mut first = [0];
    client.stream.read_exact(&mut first).unwrap();
    server.stop();
    client.received.extend(first);
    assert!(client.receive().is_none(), "the whole answer went out");
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_or_a_file_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("abci.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let address = Address::Unix(path.clone());
    let server = Server::bind(&address, Options::default()).unwrap();
    assert!(matches!(Server::bind(&address, Options::default()), Err(Error::InUse { .. })));
    drop(server);
    assert!(!path.exists());

    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(Server::bind(&address, Options::default()), Err(Error::NotASocket { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn addresses_are_parsed_and_say_what_is_expected() {
    for text in ["unix:///run/abci.sock", "unix://relative.sock", "tcp://127.0.0.1:26658"] {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
    }
    for text in ["", "/run/abci.sock", "unix://", "tcp://", "http://127.0.0.1:1"] {
        let error = text.parse::<Address>().unwrap_err().to_string();
        assert!(error.ends_with("expected unix://PATH or tcp://HOST:PORT"), "{error}");
    }
    let long = Path::new("/").join("x".repeat(UNIX_PATH_BYTES_MAX));
    let error = Server::bind(&Address::Unix(long), Options::default()).err().unwrap();
    assert!(matches!(error, Error::PathTooLong { bytes: 108, .. }));
}

/// The child of the test below: the panic of a handler must end this whole process.
#[test]
#[ignore = "aborts its process; run by a_panic_of_the_application_aborts_the_process"]
fn panic_child() {
    let server = Running::unix(Options::default());
    let mut client = server.connect();
    client.send(&[check_tx(b"panic")]);
    client.receive();
    client.stream.shutdown(Shutdown::Both).unwrap();
    std::process::exit(0);
}

#[test]
fn a_panic_of_the_application_aborts_the_process() {
    let test = thread::current()
        .name()
        .unwrap()
        .replace("a_panic_of_the_application_aborts_the_process", "panic_child");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--ignored"])
        .output()
        .unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.status), Some(6), "{child:?}");
}
