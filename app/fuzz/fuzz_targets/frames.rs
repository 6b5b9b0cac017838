//! Any bytes on an ABCI connection: frames, requests, dispatch. Requests that only consensus makes are kept in the order in
//! which consensus makes them, because out of order they rightly end the process.
#![no_main]

use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread,
};

use fuzz::{mutate, rng::Rng, world::World};
use kernel::Depth;
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use prost::{Message as _, encoding::decode_varint};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    RequestApplySnapshotChunk, RequestCheckTx, RequestEcho, RequestExtendVote, RequestFinalizeBlock,
    RequestInfo, RequestInitChain, RequestLoadSnapshotChunk, RequestOfferSnapshot, RequestPrepareProposal,
    RequestProcessProposal, RequestQuery, RequestVerifyVoteExtension, Response, ResponseApplySnapshotChunk,
    ResponseCheckTx, ResponseCommit, ResponseEcho, ResponseExtendVote, ResponseFinalizeBlock, ResponseInfo,
    ResponseInitChain, ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseProcessProposal, ResponseQuery, ResponseVerifyVoteExtension,
};
use underbid::abci::{Abci, server::serve_connection};

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);
/// The bytes of an input fit the buffer of a socket, so that writing them never waits.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// The application behind CometBFT's promises: heights in order, a Commit after a FinalizeBlock, one InitChain.
#[derive(Clone)]
struct InOrder {
    abci: Abci,
    next: Arc<AtomicI64>,
    executed: Arc<AtomicBool>,
}

impl Application for InOrder {
    fn init_chain(&self, _: RequestInitChain) -> ResponseInitChain {
        ResponseInitChain::default()
    }
    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        self.executed.store(true, Ordering::SeqCst);
        let height = self.next.load(Ordering::SeqCst);
        self.abci.finalize_block(RequestFinalizeBlock { height, ..request })
    }
    fn commit(&self) -> ResponseCommit {
        if !self.executed.swap(false, Ordering::SeqCst) {
            return ResponseCommit::default();
        }
        self.next.fetch_add(1, Ordering::SeqCst);
        self.abci.commit()
    }
    fn echo(&self, request: RequestEcho) -> ResponseEcho {
        self.abci.echo(request)
    }
    fn info(&self, request: RequestInfo) -> ResponseInfo {
        self.abci.info(request)
    }
    fn query(&self, request: RequestQuery) -> ResponseQuery {
        self.abci.query(request)
    }
    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        self.abci.check_tx(request)
    }
    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        self.abci.prepare_proposal(request)
    }
    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        self.abci.process_proposal(request)
    }
    fn extend_vote(&self, request: RequestExtendVote) -> ResponseExtendVote {
        self.abci.extend_vote(request)
    }
    fn verify_vote_extension(&self, request: RequestVerifyVoteExtension) -> ResponseVerifyVoteExtension {
        self.abci.verify_vote_extension(request)
    }
    fn list_snapshots(&self) -> ResponseListSnapshots {
        self.abci.list_snapshots()
    }
    fn offer_snapshot(&self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        self.abci.offer_snapshot(request)
    }
    fn load_snapshot_chunk(&self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        self.abci.load_snapshot_chunk(request)
    }
    fn apply_snapshot_chunk(&self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk {
        self.abci.apply_snapshot_chunk(request)
    }
}

/// The bodies of the frames; what is after a broken one is one more.
fn bodies(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while !bytes.is_empty() {
        let mut rest = bytes;
        let length = decode_varint(&mut rest).ok().and_then(|length| usize::try_from(length).ok());
        let Some((body, rest)) = length.and_then(|length| rest.split_at_checked(length)) else {
            bodies.push(bytes.to_vec());
            break;
        };
        bodies.push(body.to_vec());
        bytes = rest;
    }
    bodies
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(seed);
    let mut bodies = bodies(&data[..size]);
    if bodies.is_empty() || rng.one_in(5) {
        return fuzzer_mutate(data, size, max_size);
    }
    let at = rng.below(bodies.len());
    match rng.below(6) {
        0 => bodies.push(bodies[at].clone()),
        1 if bodies.len() > 1 => drop(bodies.remove(at)),
        2 => bodies.swap(at, 0),
        _ => {
            let length = bodies[at].len();
            bodies[at].resize(length + 256, 0);
            let length = fuzzer_mutate(&mut bodies[at], length, length + 256);
            bodies[at].truncate(length);
        }
    }
    let output: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
    mutate::replace(data, size, max_size, &output)
});

fuzz_target!(init: LazyLock::force(&WORLD), |bytes: &[u8]| {
    if bytes.len() > INPUT_BYTES_MAX {
        return;
    }
    let mut world = WORLD.lock().unwrap();
    let next = world.app().committed().height as i64 + 1;
    let next = Arc::new(AtomicI64::new(next));
    let app = InOrder { abci: world.abci(), next, executed: Arc::default() };
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    ours.write_all(bytes).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let server = thread::spawn(move || serve_connection(app, theirs, INPUT_BYTES_MAX));
    let mut output = Vec::new();
    ours.read_to_end(&mut output).unwrap();
    server.join().unwrap();
    let mut answers = output.as_slice();
    while !answers.is_empty() {
        Response::decode_length_delimited(&mut answers).expect("an answer is a whole frame");
    }
    world.check(Depth::Counters);
    world.restore();
});

/// A body with its length before it.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(body.len() as u64, &mut out);
    out.extend_from_slice(body);
    out
}
