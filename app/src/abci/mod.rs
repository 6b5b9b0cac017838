//! ABCI 2.0, translated: the only place that names its types. Every method is implemented; none relies on a default of the trait.

mod query;
pub mod server;

use std::sync::Arc;

use bytes::Bytes;
use kernel::{AbciEvent, Error, Fatal};
use tendermint_abci::Application;
use tendermint_proto::v0_38::abci::{
    Event, EventAttribute, ExecTxResult, RequestApplySnapshotChunk, RequestCheckTx, RequestExtendVote,
    RequestFinalizeBlock, RequestInfo, RequestInitChain, RequestLoadSnapshotChunk, RequestOfferSnapshot,
    RequestPrepareProposal, RequestProcessProposal, RequestQuery, RequestVerifyVoteExtension,
    ResponseApplySnapshotChunk, ResponseCheckTx, ResponseCommit, ResponseExtendVote, ResponseFinalizeBlock,
    ResponseInfo, ResponseInitChain, ResponseListSnapshots, ResponseLoadSnapshotChunk, ResponseOfferSnapshot,
    ResponsePrepareProposal, ResponseProcessProposal, ResponseQuery, ResponseVerifyVoteExtension,
    response_apply_snapshot_chunk, response_offer_snapshot, response_process_proposal::ProposalStatus,
    response_verify_vote_extension::VerifyStatus,
};

use crate::{
    app::App,
    execute::{RawBlock, TxResult},
    genesis,
    proposal::{self, Bounds},
};

/// The check of a transaction that is in the mempool already.
const RECHECK: i32 = 1;
/// The attributes by which clients search; indexing every one costs a node more than executing the transaction.
const INDEXED: [&str; 14] = [
    "acc_seq",
    "action",
    "class_id",
    "fee_payer",
    "module",
    "order_id",
    "owner",
    "provider",
    "receiver",
    "recipient",
    "sender",
    "signature",
    "spender",
    "tenant",
];
/// CometBFT's own limit for a block when the consensus parameters name none.
const BLOCK_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// The application as CometBFT drives it.
#[derive(Clone)]
pub struct Abci {
    app: Arc<App>,
    chain_id: Option<String>,
}

impl Abci {
    /// The ABCI face of an application.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, chain_id: None }
    }

    /// The same for one chain: the genesis of another stops the node.
    pub fn of_chain(self, chain_id: String) -> Self {
        Self { chain_id: Some(chain_id), ..self }
    }

    fn require_chain(&self, found: &str) -> kernel::Result<()> {
        match &self.chain_id {
            Some(expected) if expected != found => {
                let text = format!("it is for the chain {found:?}, not for {expected:?}");
                Err(kernel::Reject::invalid_request(text).into())
            }
            _ => Ok(()),
        }
    }

    fn bounds(&self, bytes: u64) -> Bounds {
        let committed = self.app.committed();
        let ctx = kernel::Ctx::new(committed.base.state(), kernel::Mode::Query, committed.block.clone());
        let gas = or_stop("reading the parameters", auth::params(&ctx)).max_block_gas;
        Bounds { bytes, gas, app_version: committed.block.app_version }
    }
}

impl Application for Abci {
    fn info(&self, _: RequestInfo) -> ResponseInfo {
        let committed = self.app.committed();
        // The genesis state is not a block: until the first commit CometBFT must call InitChain again.
        let last_block_app_hash =
            if committed.height == 0 { Bytes::new() } else { hash_bytes(committed.app_hash) };
        ResponseInfo {
            data: "underbid".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            app_version: u64::from(committed.block.app_version),
            last_block_height: signed(committed.height),
            last_block_app_hash,
        }
    }

    fn init_chain(&self, request: RequestInitChain) -> ResponseInitChain {
        let state = or_stop("reading the genesis document", genesis::parse_state(&request.app_state_bytes));
        or_stop("reading the genesis document", self.require_chain(&request.chain_id));
        let initial_height = u64::try_from(request.initial_height).unwrap_or(1).max(1);
        let (time_s, _) = unix(request.time.map(|time| (time.seconds, time.nanos)));
        let app_hash = self.app.init_chain(&request.chain_id, initial_height, time_s, state);
        let app_hash = hash_bytes(or_stop("writing the genesis state", app_hash));
        tracing::info!(chain_id = request.chain_id, app_hash = %hex::encode_upper(&app_hash), "genesis");
        ResponseInitChain { consensus_params: None, validators: Vec::new(), app_hash }
    }

    fn query(&self, request: RequestQuery) -> ResponseQuery {
        query::answer(&self.app, &request.path, &request.data, request.height, request.prove)
    }

    fn check_tx(&self, request: RequestCheckTx) -> ResponseCheckTx {
        let started = self.app.metrics.start();
        let result =
            or_stop("checking a transaction", self.app.check_tx(&request.tx, request.r#type == RECHECK));
        self.app.metrics.checked(started);
        ResponseCheckTx {
            code: result.code,
            data: Bytes::new(),
            log: result.log,
            info: String::new(),
            gas_wanted: signed(result.gas_wanted),
            gas_used: signed(result.gas_used),
            events: Vec::new(),
            codespace: result.codespace,
        }
    }

    fn prepare_proposal(&self, request: RequestPrepareProposal) -> ResponsePrepareProposal {
        let bytes = u64::try_from(request.max_tx_bytes).unwrap_or(BLOCK_BYTES_MAX);
        let txs = request.txs.iter().map(|tx| tx.to_vec()).collect();
        let (seconds, nanos) = unix(request.time.map(|time| (time.seconds, time.nanos)));
        let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(nanos));
        let txs = proposal::prepare(txs, self.bounds(bytes), nanos);
        ResponsePrepareProposal { txs: txs.into_iter().map(Bytes::from).collect() }
    }

    fn process_proposal(&self, request: RequestProcessProposal) -> ResponseProcessProposal {
        let txs: Vec<Vec<u8>> = request.txs.iter().map(|tx| tx.to_vec()).collect();
        let status = match proposal::acceptable(&txs, self.bounds(BLOCK_BYTES_MAX)) {
            Ok(()) => ProposalStatus::Accept,
            Err(why) => {
                tracing::warn!(height = request.height, why, "a proposal is rejected");
                ProposalStatus::Reject
            }
        };
        ResponseProcessProposal { status: status.into() }
    }

    fn extend_vote(&self, _: RequestExtendVote) -> ResponseExtendVote {
        ResponseExtendVote { vote_extension: Bytes::new() }
    }

    fn verify_vote_extension(&self, request: RequestVerifyVoteExtension) -> ResponseVerifyVoteExtension {
        let status =
            if request.vote_extension.is_empty() { VerifyStatus::Accept } else { VerifyStatus::Reject };
        ResponseVerifyVoteExtension { status: status.into() }
    }

    fn finalize_block(&self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock {
        let (time_s, time_nanos) = unix(request.time.map(|time| (time.seconds, time.nanos)));
        let block = RawBlock {
            height: u64::try_from(request.height).unwrap_or_default(),
            time_s,
            time_nanos,
            hash: request.hash.to_vec(),
            txs: request.txs.iter().map(|tx| tx.to_vec()).collect(),
        };
        let (results, events, app_hash) = or_stop("executing a block", self.app.finalize(&block));
        tracing::debug!(height = block.height, txs = results.len(), app_hash = %hex::encode_upper(app_hash), "executed");
        ResponseFinalizeBlock {
            events: events.into_iter().map(event).collect(),
            tx_results: results.into_iter().map(exec_result).collect(),
            validator_updates: Vec::new(),
            consensus_param_updates: None,
            app_hash: hash_bytes(app_hash),
        }
    }

    fn commit(&self) -> ResponseCommit {
        let height = or_stop("committing a block", self.app.commit());
        tracing::debug!(height, app_hash = %hex::encode_upper(self.app.committed().app_hash), "committed");
        // Blocks are kept: evidence and replays need them, and pruning them is the operator's choice.
        ResponseCommit { retain_height: 0 }
    }

    fn list_snapshots(&self) -> ResponseListSnapshots {
        ResponseListSnapshots { snapshots: Vec::new() }
    }

    fn offer_snapshot(&self, _: RequestOfferSnapshot) -> ResponseOfferSnapshot {
        ResponseOfferSnapshot { result: response_offer_snapshot::Result::Reject.into() }
    }

    fn load_snapshot_chunk(&self, _: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk {
        ResponseLoadSnapshotChunk { chunk: Bytes::new() }
    }

    fn apply_snapshot_chunk(&self, _: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk {
        ResponseApplySnapshotChunk {
            result: response_apply_snapshot_chunk::Result::Abort.into(),
            refetch_chunks: Vec::new(),
            reject_senders: Vec::new(),
        }
    }
}

/// The value, or the end of this process: consensus has no answer for a fault of this machine, and to go on would be to
/// differ from the other validators.
fn or_stop<T>(doing: &str, result: Result<T, impl Into<Stop>>) -> T {
    result.unwrap_or_else(|error| {
        let Stop(reason) = error.into();
        tracing::error!(reason, "stopping: {doing} failed");
        eprintln!("underbid: {doing} failed: {reason}");
        std::process::exit(1)
    })
}

/// Why the process ends.
struct Stop(String);

impl From<Fatal> for Stop {
    fn from(fatal: Fatal) -> Self {
        Self(fatal.to_string())
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<genesis::Error> for Stop {
    fn from(error: genesis::Error) -> Self {
        Self(error.to_string())
    }
}

fn exec_result(result: TxResult) -> ExecTxResult {
    ExecTxResult {
        code: result.code,
        data: result.data.into(),
        log: result.log,
        info: String::new(),
        gas_wanted: signed(result.gas_wanted),
        gas_used: signed(result.gas_used),
        events: result.events.into_iter().map(event).collect(),
        codespace: result.codespace,
    }
}

fn event(event: AbciEvent) -> Event {
    let attribute = |(key, value): (&str, String)| EventAttribute {
        key: key.to_owned(),
        value,
        index: INDEXED.contains(&key),
    };
    Event { r#type: event.kind.to_owned(), attributes: event.attributes.into_iter().map(attribute).collect() }
}

/// Seconds and nanoseconds after 1970; a header has no other times.
fn unix(time: Option<(i64, i32)>) -> (u64, u32) {
    let (seconds, nanos) = time.unwrap_or_default();
    (u64::try_from(seconds).unwrap_or_default(), u32::try_from(nanos).unwrap_or_default())
}

/// ABCI's heights and gas are signed.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn hash_bytes(hash: kernel::AppHash) -> Bytes {
    Bytes::copy_from_slice(&hash)
}
