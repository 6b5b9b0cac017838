//! The program `underbid start` on a machine that fails: it stops, says why, and leaves no half of a block.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use prost::Message as _;
use sim::{CHAIN_ID, START_S, Traffic, traffic_state};
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::abci::{
        Request, RequestCommit, RequestFinalizeBlock, RequestFlush, RequestInfo, RequestInitChain, Response,
        ResponseFinalizeBlock, ResponseInfo, request, response,
    },
};

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing happens to one that has ended.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A running node, and CometBFT's end of its socket.
struct Node {
    process: Process,
    socket: UnixStream,
}

/// How a node ended.
struct Ended {
    code: Option<i32>,
    errors: String,
}

/// The program, without the variables of whoever runs the tests; `limit` is the shell's for the size of a file.
fn program(home: &Path, limit: Option<u32>) -> Command {
    let limit = limit.map(|blocks| format!("ulimit -f {blocks};")).unwrap_or_default();
    // Exceeding the limit is an error, as a full disk is, not a signal.
    let script = format!("trap '' XFSZ; {limit} exec \"$0\" \"$@\"");
    let abci = format!("unix://{}", home.join("abci.sock").display());
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_underbid"), "start", "--home"]).arg(home);
    command.args(["--abci", &abci, "--grpc", "", "--metrics", "", "--chain-id", CHAIN_ID]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("UNDERBID_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Node {
    fn start(home: &Path, limit: Option<u32>) -> Self {
        let mut process = Process(program(home, limit).spawn().unwrap());
        for _ in 0..600 {
            if let Ok(socket) = UnixStream::connect(home.join("abci.sock")) {
                return Self { process, socket };
            }
            thread::sleep(Duration::from_millis(50));
        }
        process.0.kill().unwrap();
        panic!("the node does not listen: {}", ended(process).errors);
    }

    /// The answer, or nothing where the node has ended.
    fn ask(&mut self, value: request::Value) -> Option<response::Value> {
        for value in [value, request::Value::Flush(RequestFlush {})] {
            let frame = Request { value: Some(value) }.encode_length_delimited_to_vec();
            self.socket.write_all(&frame).ok()?;
        }
        let answer = self.receive()?;
        assert!(matches!(self.receive()?, response::Value::Flush(_)));
        Some(answer)
    }

    fn receive(&mut self) -> Option<response::Value> {
        let mut head = Vec::new();
        while head.last().is_none_or(|byte| *byte >= 0x80) {
            let mut byte = [0];
            self.socket.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let length = prost::decode_length_delimiter(head.as_slice()).unwrap();
        let mut body = vec![0; length];
        self.socket.read_exact(&mut body).ok()?;
        Response::decode(body.as_slice()).unwrap().value
    }

    fn info(&mut self) -> ResponseInfo {
        match self.ask(request::Value::Info(RequestInfo::default())) {
            Some(response::Value::Info(info)) => info,
            other => panic!("{other:?}"),
        }
    }

    fn init(&mut self, app_state: String) -> Option<response::Value> {
        self.init_of(CHAIN_ID, app_state)
    }

    fn init_of(&mut self, chain_id: &str, app_state: String) -> Option<response::Value> {
        self.ask(request::Value::InitChain(RequestInitChain {
            time: Some(Timestamp { seconds: i64::try_from(START_S).unwrap(), nanos: 0 }),
            chain_id: chain_id.into(),
            app_state_bytes: app_state.into(),
            initial_height: 1,
            ..Default::default()
        }))
    }

    fn finalize(&mut self, block: &RequestFinalizeBlock) -> ResponseFinalizeBlock {
        match self.ask(request::Value::FinalizeBlock(block.clone())) {
            Some(response::Value::FinalizeBlock(outcome)) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self) -> Option<response::Value> {
        self.ask(request::Value::Commit(RequestCommit {}))
    }

    /// Stops it as a supervisor does; it must end well.
    fn stop(self) {
        let id = self.process.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let ended = ended(self.process);
        assert_eq!(ended.code, Some(0), "{}", ended.errors);
    }
}

/// Waits for the end.
fn ended(mut process: Process) -> Ended {
    let mut errors = String::new();
    process.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    Ended { code: process.0.wait().unwrap().code(), errors }
}

fn blocks(count: u64) -> Vec<RequestFinalizeBlock> {
    let request = |recorded: sim::Recorded| RequestFinalizeBlock {
        txs: recorded.block.txs.into_iter().map(Into::into).collect(),
        hash: recorded.block.hash.into(),
        height: i64::try_from(recorded.block.height).unwrap(),
        time: Some(Timestamp { seconds: i64::try_from(recorded.block.time_s).unwrap(), nanos: 0 }),
        ..Default::default()
    };
    Traffic::record(count).into_iter().map(request).collect()
}

fn tables(home: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(home.join("data/application")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "sst")).collect()
}

#[test]
fn a_full_disk_stops_the_node_before_the_block_is_half_there() {
    let home = tempfile::tempdir().unwrap();
    let blocks = blocks(60);
    let mut node = Node::start(home.path(), Some(400));
    node.init(traffic_state().to_string()).unwrap();
    let (mut last, mut failed) = (None, None);
    for block in &blocks {
        let outcome = node.finalize(block);
        if node.commit().is_none() {
            failed = Some((block, outcome));
            break;
        }
        last = Some((block.height, outcome.app_hash));
    }
    let (block, outcome) = failed.expect("the limit on the size of a file is not in force");
    let ended = ended(node.process);
    assert_eq!(ended.code, Some(1));
    assert!(ended.errors.contains("underbid: committing a block failed: storage failed"), "{}", ended.errors);
    assert!(ended.errors.contains("File too large"), "{}", ended.errors);
    // With room again it is where it was, and the block has the same outcome.
    let mut node = Node::start(home.path(), None);
    let info = node.info();
    assert_eq!(Some((info.last_block_height, info.last_block_app_hash)), last);
    assert_eq!(node.finalize(block), outcome);
    node.commit().unwrap();
    assert_eq!(node.info().last_block_app_hash, outcome.app_hash);
    node.stop();
}

#[test]
fn a_corrupt_store_is_not_started_on() {
    let home = tempfile::tempdir().unwrap();
    let mut node = Node::start(home.path(), None);
    node.init(traffic_state().to_string()).unwrap();
    for block in blocks(5) {
        node.finalize(&block);
        node.commit().unwrap();
    }
    node.stop();
    // A start flushes the log into tables.
    let mut node = Node::start(home.path(), None);
    assert_eq!(node.info().last_block_height, 5);
    node.stop();
    let tables = tables(home.path());
    assert!(!tables.is_empty());
    for table in tables {
        let mut bytes = fs::read(&table).unwrap();
        bytes[20] ^= 1;
        fs::write(&table, bytes).unwrap();
    }
    let ended = ended(Process(program(home.path(), None).spawn().unwrap()));
    assert_eq!(ended.code, Some(1));
    let says = |text: &str| assert!(ended.errors.contains(text), "{}", ended.errors);
    says("error: ");
    says("data/application");
    says("Corruption");
    says(".sst");
    assert!(!home.path().join("abci.sock").exists(), "CometBFT finds nobody");
}

#[test]
fn what_consensus_never_asks_stops_the_node_with_the_reason() {
    let home = tempfile::tempdir().unwrap();
    let mut node = Node::start(home.path(), None);
    assert!(node.init("{\"kernel\":{}}".into()).is_none());
    let first = ended(node.process);
    assert_eq!(first.code, Some(1));
    assert!(
        first.errors.contains("underbid: reading the genesis document failed: app_state"),
        "{}",
        first.errors
    );
    // Nothing of it is on the disk: the right document is taken.
    let mut node = Node::start(home.path(), None);
    node.init(traffic_state().to_string()).unwrap();
    assert!(node.commit().is_none(), "there is no block to commit");
    let second = ended(node.process);
    assert_eq!(second.code, Some(1));
    assert!(second.errors.contains("underbid: committing a block failed"), "{}", second.errors);
    assert!(second.errors.contains("no candidate"), "{}", second.errors);
}

#[test]
fn the_genesis_of_another_chain_than_the_configured_one_stops_the_node_at_once() {
    let home = tempfile::tempdir().unwrap();
    let mut node = Node::start(home.path(), None);
    assert!(node.init_of("another-1", traffic_state().to_string()).is_none());
    let ended = ended(node.process);
    assert_eq!(ended.code, Some(1));
    let words = ["another-1", CHAIN_ID];
    assert!(words.iter().all(|word| ended.errors.contains(word)), "{}", ended.errors);
}
