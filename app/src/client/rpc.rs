//! A client for CometBFT's JSON-RPC over HTTP.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

pub use types::{
    AbciQuery, Attribute, Block, BlockResults, Broadcast, Event, Header, Inclusion, Status, TxResult,
    Unconfirmed,
};

mod types;
mod wire;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause between two looks at the height.
const HEIGHT_POLL: Duration = Duration::from_millis(10);
/// CometBFT returns at most this many block headers at once.
const HEADERS_MAX: u64 = 20;
/// The largest answer that is read: a block of 100 MiB in base64, and its envelope.
const ANSWER_BYTES_MAX: usize = 160 * 1024 * 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node could not be reached, or stopped answering.
    #[error("no answer from the node at {url} to {method}: {}", root_cause(source))]
    Http {
        /// The method that was called.
        method: &'static str,
        /// The node's address.
        url: String,
        /// The reason.
        source: reqwest::Error,
    },
    /// The node answered with an error.
    #[error("the node at {url} refuses {method}: {message} (code {code}) {data}")]
    Refused {
        /// The method that was called.
        method: &'static str,
        /// The node's address.
        url: String,
        /// The JSON-RPC error code; CometBFT uses -32603 for nearly everything.
        code: i64,
        /// What kind of error it is.
        message: String,
        /// The details.
        data: String,
    },
    /// The node's answer has another shape than CometBFT v0.38's.
    #[error(
        "unexpected answer of the node at {url} to {method}: {source}; expected CometBFT v0.38's JSON-RPC"
    )]
    Answer {
        /// The method that was called.
        method: &'static str,
        /// The node's address.
        url: String,
        /// What was expected.
        source: serde_json::Error,
    },
    /// The node's answer is longer than any can be.
    #[error("the node at {url} answers {method} with more than {ANSWER_BYTES_MAX} bytes")]
    TooLong {
        /// The method that was called.
        method: &'static str,
        /// The node's address.
        url: String,
    },
    /// The height was not reached in time.
    #[error("{url} is at height {reached}, expected {expected} within {timeout:?}")]
    Timeout {
        /// The node's address.
        url: String,
        /// The height that was waited for.
        expected: u64,
        /// The height at the end; 0 if the node never answered.
        reached: u64,
        /// How long was waited.
        timeout: Duration,
    },
}

impl Error {
    /// The node may have acted on the call, though it did not say so.
    pub fn may_have_been_heard(&self) -> bool {
        match self {
            Self::Http { source, .. } => !source.is_connect(),
            Self::Answer { .. } | Self::TooLong { .. } => true,
            Self::Refused { .. } | Self::Timeout { .. } => false,
        }
    }
}

/// reqwest's own text names the URL again and hides the reason in its sources.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("none within {REQUEST_TIMEOUT:?}");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// A client of one node; clones share its connections.
#[derive(Clone, Debug)]
pub struct Rpc {
    http: reqwest::Client,
    url: String,
}

impl Rpc {
    /// A client of the node at `url`, such as `http://127.0.0.1:26657`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { http: reqwest::Client::new(), url: url.into() }
    }

    /// The node's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls any method and decodes its result.
    pub async fn call<T: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<T, Error> {
        let answer = self.post(method, &Call::new(0, method, params)).await?;
        self.result(method, self.decode(method, answer)?)
    }

    /// Where the node is.
    pub async fn status(&self) -> Result<Status, Error> {
        let raw: wire::Status = self.call("status", json!({})).await?;
        Ok(raw.into())
    }

    /// The last height that the application has committed, so that its queries show it. [`Status::height`] may be one
    /// ahead: CometBFT stores a block before it has it executed.
    pub async fn height(&self) -> Result<u64, Error> {
        let raw: wire::AbciInfo = self.call("abci_info", json!({})).await?;
        Ok(raw.response.last_block_height)
    }

    /// A block with its transactions; the last one without a height.
    pub async fn block(&self, height: Option<u64>) -> Result<Block, Error> {
        let raw: wire::BlockAnswer = self.call("block", at(height)).await?;
        Ok(Block { header: raw.block.header.into(), transactions: raw.block.data.txs })
    }

    /// What the application answered for a block; the last one without a height.
    pub async fn block_results(&self, height: Option<u64>) -> Result<BlockResults, Error> {
        self.call("block_results", at(height)).await
    }

    /// The same once it is there: a moment passes between a block and its results.
    pub async fn wait_for_results(&self, height: u64, timeout: Duration) -> Result<BlockResults, Error> {
        let started = Instant::now();
        loop {
            match self.block_results(Some(height)).await {
                Err(Error::Refused { .. }) if started.elapsed() < timeout => {
                    tokio::time::sleep(HEIGHT_POLL).await;
                }
                results => return results,
            }
        }
    }

    /// A block's header; the last one without a height.
    pub async fn header(&self, height: Option<u64>) -> Result<Header, Error> {
        let raw: wire::HeaderAnswer = self.call("header", at(height)).await?;
        Ok(raw.header.into())
    }

    /// The header that the validators signed; the last one without a height.
    pub async fn commit(&self, height: Option<u64>) -> Result<Header, Error> {
        let raw: wire::CommitAnswer = self.call("commit", at(height)).await?;
        Ok(raw.signed_header.header.into())
    }

    /// The headers from `first` to `last`, both included, in order of height.
    pub async fn headers(&self, first: u64, last: u64) -> Result<Vec<Header>, Error> {
        Ok(self.metas(first, last).await?.into_iter().map(|meta| meta.header.into()).collect())
    }

    /// How many transactions the blocks from `first` to `last` hold, both included, in order of height.
    pub async fn transaction_counts(&self, first: u64, last: u64) -> Result<Vec<u64>, Error> {
        Ok(self.metas(first, last).await?.into_iter().map(|meta| meta.num_txs).collect())
    }

    async fn metas(&self, first: u64, last: u64) -> Result<Vec<wire::BlockMeta>, Error> {
        let mut metas = Vec::new();
        let mut from = first;
        while from <= last {
            let to = last.min(from.saturating_add(HEADERS_MAX - 1));
            let params = json!({ "minHeight": from.to_string(), "maxHeight": to.to_string() });
            let page: wire::Blockchain = self.call("blockchain", params).await?;
            metas.extend(page.block_metas.into_iter().rev());
            from = to.saturating_add(1);
        }
        Ok(metas)
    }

    /// Submits a transaction and returns the verdict of CheckTx.
    pub async fn broadcast_tx_sync(&self, tx: &[u8]) -> Result<Broadcast, Error> {
        self.call("broadcast_tx_sync", json!({ "tx": BASE64_STANDARD.encode(tx) })).await
    }

    /// Submits a transaction without waiting for CheckTx; the code is always 0.
    pub async fn broadcast_tx_async(&self, tx: &[u8]) -> Result<Broadcast, Error> {
        self.call("broadcast_tx_async", json!({ "tx": BASE64_STANDARD.encode(tx) })).await
    }

    /// Submits several transactions in one request without waiting for CheckTx. Returns how many the mempool took: it
    /// refuses one that it knows already, and every one while it is full. A node takes at most its `max_request_batch_size`.
    pub async fn broadcast_txs_async(&self, txs: &[Vec<u8>]) -> Result<usize, Error> {
        let method = "broadcast_tx_async";
        let params = |tx: &Vec<u8>| json!({ "tx": BASE64_STANDARD.encode(tx) });
        let calls: Vec<Call> =
            txs.iter().zip(0..).map(|(tx, id)| Call::new(id, method, params(tx))).collect();
        let answer = self.post(method, &calls).await?;
        // CometBFT answers a batch of one without the brackets.
        let answers: Vec<wire::Answer> = match answer {
            Value::Array(_) => self.decode(method, answer)?,
            single => vec![self.decode(method, single)?],
        };
        Ok(answers.iter().filter(|answer| answer.error.is_none()).count())
    }

    /// Asks the application. `height` 0 is the last one.
    pub async fn abci_query(
        &self,
        path: &str,
        data: &[u8],
        height: u64,
        is_proof_wanted: bool,
    ) -> Result<AbciQuery, Error> {
        let params = json!({
            "path": path, "data": hex::encode(data), "height": height.to_string(), "prove": is_proof_wanted,
        });
        let raw: wire::AbciQueryAnswer = self.call("abci_query", params).await?;
        Ok(raw.response)
    }

    /// A transaction that is in a block; `None` while it is not there, or not indexed yet.
    pub async fn tx(&self, hash: &[u8]) -> Result<Option<Inclusion>, Error> {
        let params = json!({ "hash": BASE64_STANDARD.encode(hash), "prove": false });
        match self.call("tx", params).await {
            Ok(inclusion) => Ok(Some(inclusion)),
            Err(Error::Refused { data, .. }) if data.contains("not found") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What waits in the mempool.
    pub async fn num_unconfirmed_txs(&self) -> Result<Unconfirmed, Error> {
        self.call("num_unconfirmed_txs", json!({})).await
    }

    /// The consensus parameters, as CometBFT writes them, at a height or at the last one.
    pub async fn consensus_params(&self, height: Option<u64>) -> Result<Value, Error> {
        let raw: wire::ConsensusParams = self.call("consensus_params", at(height)).await?;
        Ok(raw.consensus_params)
    }

    /// The number of peers that the node is connected to.
    pub async fn peer_count(&self) -> Result<u64, Error> {
        let raw: wire::NetInfo = self.call("net_info", json!({})).await?;
        Ok(raw.n_peers)
    }

    /// Waits until the node has committed `height` and returns the height that it is at, which may be later. A node that
    /// does not answer is asked again until the timeout.
    pub async fn wait_for_height(&self, height: u64, timeout: Duration) -> Result<u64, Error> {
        let started = Instant::now();
        let mut reached = 0;
        loop {
            if let Ok(at) = self.height().await {
                reached = at;
            }
            if reached >= height {
                return Ok(reached);
            }
            if started.elapsed() >= timeout {
                return Err(Error::Timeout { url: self.url.clone(), expected: height, reached, timeout });
            }
            tokio::time::sleep(HEIGHT_POLL).await;
        }
    }

    async fn post(&self, method: &'static str, body: &impl Serialize) -> Result<Value, Error> {
        let failed = |source| Error::Http { method, url: self.url.clone(), source };
        let request = self.http.post(&self.url).timeout(REQUEST_TIMEOUT).json(body);
        // CometBFT answers an error with status 500 and a JSON body, so the status says nothing of its own.
        let mut response = request.send().await.map_err(failed)?;
        let mut answer = Vec::new();
        while let Some(part) = response.chunk().await.map_err(failed)? {
            answer.extend_from_slice(&part);
            if answer.len() > ANSWER_BYTES_MAX {
                return Err(Error::TooLong { method, url: self.url.clone() });
            }
        }
        serde_json::from_slice(&answer).map_err(|source| Error::Answer {
            method,
            url: self.url.clone(),
            source,
        })
    }

    fn decode<T: DeserializeOwned>(&self, method: &'static str, answer: Value) -> Result<T, Error> {
        serde_json::from_value(answer).map_err(|source| Error::Answer {
            method,
            url: self.url.clone(),
            source,
        })
    }

    fn result<T: DeserializeOwned>(&self, method: &'static str, answer: wire::Answer) -> Result<T, Error> {
        if let Some(error) = answer.error {
            let wire::Refusal { code, message, data } = error;
            return Err(Error::Refused { method, url: self.url.clone(), code, message, data });
        }
        self.decode(method, answer.result)
    }
}

#[derive(Serialize)]
struct Call {
    jsonrpc: &'static str,
    id: u32,
    method: &'static str,
    params: Value,
}

impl Call {
    fn new(id: u32, method: &'static str, params: Value) -> Self {
        Self { jsonrpc: "2.0", id, method, params }
    }
}

fn at(height: Option<u64>) -> Value {
    height.map_or_else(|| json!({}), |height| json!({ "height": height.to_string() }))
}
