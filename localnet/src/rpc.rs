//! A client for CometBFT's JSON-RPC over HTTP: the calls that a local net, its scenarios and its benchmarks make.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
/// The pause between two looks at the height.
const HEIGHT_POLL: Duration = Duration::from_millis(10);
/// CometBFT returns at most this many block headers at once.
const HEADERS_MAX: u64 = 20;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node could not be reached, or stopped answering.
    #[error("{method} at {url}: {source}")]
    Http {
        /// The method that was called.
        method: &'static str,
        /// The node's address.
        url: String,
        /// The reason.
        source: reqwest::Error,
    },
    /// The node answered with an error.
    #[error("{method} at {url}: {message} (code {code}) {data}")]
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
    #[error("{method} at {url}: unexpected answer: {source}")]
    Answer {
        /// The method that was called.
        method: &'static str,
        /// The node's address.
        url: String,
        /// What was expected.
        source: serde_json::Error,
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
        let raw: raw::Status = self.call("status", json!({})).await?;
        let sync = raw.sync_info;
        Ok(Status {
            chain_id: raw.node_info.network,
            node_id: raw.node_info.id,
            height: sync.latest_block_height,
            block_time_ns: time_ns(&sync.latest_block_time),
            is_catching_up: sync.catching_up,
            validator_power: raw.validator_info.voting_power,
        })
    }

    /// The last height that the application has committed, so that its queries show it. [`Status::height`] may be one
    /// ahead: CometBFT stores a block before it has it executed.
    pub async fn height(&self) -> Result<u64, Error> {
        let raw: raw::AbciInfo = self.call("abci_info", json!({})).await?;
        Ok(raw.response.last_block_height)
    }

    /// A block with its transactions; the last one without a height.
    pub async fn block(&self, height: Option<u64>) -> Result<Block, Error> {
        let raw: raw::BlockAnswer = self.call("block", at(height)).await?;
        Ok(Block { header: raw.block.header.into(), transactions: raw.block.data.txs })
    }

    /// What the application answered for a block; the last one without a height.
    pub async fn block_results(&self, height: Option<u64>) -> Result<BlockResults, Error> {
        self.call("block_results", at(height)).await
    }

    /// The same once it is there: a moment passes between a block and its results.
    pub async fn wait_for_results(&self, height: u64, timeout: Duration) -> Result<BlockResults, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.block_results(Some(height)).await {
                Err(Error::Refused { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(HEIGHT_POLL).await
                }
                results => return results,
            }
        }
    }

    /// The header that the validators signed; the last one without a height.
    pub async fn commit(&self, height: Option<u64>) -> Result<Header, Error> {
        let raw: raw::CommitAnswer = self.call("commit", at(height)).await?;
        Ok(raw.signed_header.header.into())
    }

    /// The headers from `first` to `last`, both included, in order of height.
    pub async fn headers(&self, first: u64, last: u64) -> Result<Vec<Header>, Error> {
        let mut headers = Vec::new();
        let mut from = first;
        while from <= last {
            let to = last.min(from + HEADERS_MAX - 1);
            let params = json!({ "minHeight": from.to_string(), "maxHeight": to.to_string() });
            let page: raw::Blockchain = self.call("blockchain", params).await?;
            headers.extend(page.block_metas.into_iter().rev().map(|meta| Header::from(meta.header)));
            from = to + 1;
        }
        Ok(headers)
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
        let answers: Vec<raw::Answer> = match answer {
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
        let raw: raw::AbciQueryAnswer = self.call("abci_query", params).await?;
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
        let raw: raw::ConsensusParams = self.call("consensus_params", at(height)).await?;
        Ok(raw.consensus_params)
    }

    /// The number of peers that the node is connected to.
    pub async fn peer_count(&self) -> Result<u64, Error> {
        let raw: raw::NetInfo = self.call("net_info", json!({})).await?;
        Ok(raw.n_peers)
    }

    /// Waits until the node has committed `height` and returns the height that it is at, which may be later. A node that
    /// does not answer is asked again until the timeout.
    pub async fn wait_for_height(&self, height: u64, timeout: Duration) -> Result<u64, Error> {
        let deadline = Instant::now() + timeout;
        let mut reached = 0;
        loop {
            if let Ok(at) = self.height().await {
                reached = at;
            }
            if reached >= height {
                return Ok(reached);
            }
            if Instant::now() >= deadline {
                return Err(Error::Timeout { url: self.url.clone(), expected: height, reached, timeout });
            }
            tokio::time::sleep(HEIGHT_POLL).await;
        }
    }

    async fn post(&self, method: &'static str, body: &impl Serialize) -> Result<Value, Error> {
        let failed = |source| Error::Http { method, url: self.url.clone(), source };
        let request = self.http.post(&self.url).timeout(REQUEST_TIMEOUT).json(body);
        // CometBFT answers an error with status 500 and a JSON body, so the status says nothing of its own.
        request.send().await.map_err(failed)?.json().await.map_err(failed)
    }

    fn decode<T: DeserializeOwned>(&self, method: &'static str, answer: Value) -> Result<T, Error> {
        serde_json::from_value(answer).map_err(|source| Error::Answer {
            method,
            url: self.url.clone(),
            source,
        })
    }

    fn result<T: DeserializeOwned>(&self, method: &'static str, answer: raw::Answer) -> Result<T, Error> {
        if let Some(error) = answer.error {
            let raw::Refusal { code, message, data } = error;
            return Err(Error::Refused { method, url: self.url.clone(), code, message, data });
        }
        self.decode(method, answer.result)
    }
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The chain.
    pub chain_id: String,
    /// The node's id in the peer-to-peer network.
    pub node_id: String,
    /// The last height in the block store.
    pub height: u64,
    /// The time of that block in nanoseconds since 1970.
    pub block_time_ns: u64,
    /// Whether the node is still fetching blocks and takes no part in consensus.
    pub is_catching_up: bool,
    /// The node's own voting power.
    #[serde(skip)]
    pub validator_power: i64,
}

/// A block's header, as far as a local net needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The height.
    pub height: u64,
    /// The block's time in nanoseconds since 1970.
    pub time_ns: u64,
    /// The application's hash after the block before, in upper-case hex.
    pub app_hash: String,
    /// The proposer's address, in upper-case hex.
    pub proposer: String,
}

impl From<raw::Header> for Header {
    fn from(raw: raw::Header) -> Self {
        let time_ns = time_ns(&raw.time);
        Self { height: raw.height, time_ns, app_hash: raw.app_hash, proposer: raw.proposer_address }
    }
}

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its header.
    pub header: Header,
    /// The bytes of its transactions.
    pub transactions: Vec<Vec<u8>>,
}

/// What the application answered for a block.
#[derive(Clone, Debug, Deserialize)]
pub struct BlockResults {
    /// The height.
    #[serde(deserialize_with = "text_number")]
    pub height: u64,
    /// One result a transaction, in order.
    #[serde(default, deserialize_with = "null_default")]
    pub txs_results: Vec<TxResult>,
    /// The events of the block itself.
    #[serde(default, deserialize_with = "null_default")]
    pub finalize_block_events: Vec<Event>,
    /// The application's hash after this block, as this node computed it.
    #[serde(default, deserialize_with = "base64_bytes")]
    pub app_hash: Vec<u8>,
}

/// The result of one transaction in a block.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TxResult {
    /// 0 for success.
    pub code: u32,
    /// The namespace of the code.
    pub codespace: String,
    /// What the application returned.
    #[serde(deserialize_with = "base64_bytes")]
    pub data: Vec<u8>,
    /// The error in words.
    pub log: String,
    /// The limit of the transaction.
    #[serde(deserialize_with = "text_number")]
    pub gas_wanted: i64,
    /// What it used.
    #[serde(deserialize_with = "text_number")]
    pub gas_used: i64,
    /// What it did.
    #[serde(deserialize_with = "null_default")]
    pub events: Vec<Event>,
}

/// An ABCI event.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its attributes, in order.
    #[serde(default, deserialize_with = "null_default")]
    pub attributes: Vec<Attribute>,
}

/// An attribute of an event.
#[derive(Clone, Debug, Deserialize)]
pub struct Attribute {
    /// The name.
    #[serde(default)]
    pub key: String,
    /// The value.
    #[serde(default)]
    pub value: String,
}

/// The verdict on a submitted transaction.
#[derive(Clone, Debug, Deserialize)]
pub struct Broadcast {
    /// 0 when the mempool has it.
    pub code: u32,
    /// The namespace of the code.
    #[serde(default)]
    pub codespace: String,
    /// The error in words.
    #[serde(default)]
    pub log: String,
    /// The SHA-256 of the transaction.
    #[serde(deserialize_with = "hex_bytes")]
    pub hash: Vec<u8>,
}

/// The application's answer to a query.
#[derive(Clone, Debug, Deserialize)]
pub struct AbciQuery {
    /// 0 for success.
    #[serde(default)]
    pub code: u32,
    /// The namespace of the code.
    #[serde(default)]
    pub codespace: String,
    /// The error in words.
    #[serde(default)]
    pub log: String,
    /// The key, where the query has one.
    #[serde(default, deserialize_with = "base64_bytes")]
    pub key: Vec<u8>,
    /// The answer.
    #[serde(default, deserialize_with = "base64_bytes")]
    pub value: Vec<u8>,
    /// The height that was read.
    #[serde(default, deserialize_with = "text_number")]
    pub height: u64,
    /// The proof operations, as CometBFT writes them.
    #[serde(default, rename = "proofOps")]
    pub proof_ops: Value,
}

/// A transaction in a block.
#[derive(Clone, Debug, Deserialize)]
pub struct Inclusion {
    /// The SHA-256 of the transaction.
    #[serde(deserialize_with = "hex_bytes")]
    pub hash: Vec<u8>,
    /// The block.
    #[serde(deserialize_with = "text_number")]
    pub height: u64,
    /// Its place in the block.
    pub index: u32,
    /// What it did.
    pub tx_result: TxResult,
}

/// What waits in a mempool.
#[derive(Clone, Debug, Deserialize)]
pub struct Unconfirmed {
    /// The number of transactions.
    #[serde(rename = "total", deserialize_with = "text_number")]
    pub count: u64,
    /// Their size.
    #[serde(deserialize_with = "text_number")]
    pub total_bytes: u64,
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

/// The shapes on the wire, as far as they differ from the public ones.
mod raw {
    use serde::Deserialize;
    use serde_json::Value;

    use super::{AbciQuery, base64_list, null_default, text_number};

    #[derive(Deserialize)]
    pub(super) struct Answer {
        #[serde(default)]
        pub(super) result: Value,
        pub(super) error: Option<Refusal>,
    }

    #[derive(Deserialize)]
    pub(super) struct Refusal {
        pub(super) code: i64,
        pub(super) message: String,
        #[serde(default)]
        pub(super) data: String,
    }

    #[derive(Deserialize)]
    pub(super) struct Status {
        pub(super) node_info: NodeInfo,
        pub(super) sync_info: SyncInfo,
        pub(super) validator_info: ValidatorInfo,
    }

    #[derive(Deserialize)]
    pub(super) struct NodeInfo {
        pub(super) id: String,
        pub(super) network: String,
    }

    #[derive(Deserialize)]
    pub(super) struct SyncInfo {
        #[serde(deserialize_with = "text_number")]
        pub(super) latest_block_height: u64,
        pub(super) latest_block_time: String,
        pub(super) catching_up: bool,
    }

    #[derive(Deserialize)]
    pub(super) struct ValidatorInfo {
        #[serde(deserialize_with = "text_number")]
        pub(super) voting_power: i64,
    }

    #[derive(Deserialize)]
    pub(super) struct BlockAnswer {
        pub(super) block: Block,
    }

    #[derive(Deserialize)]
    pub(super) struct Block {
        pub(super) header: Header,
        pub(super) data: Data,
    }

    #[derive(Deserialize)]
    pub(super) struct Data {
        #[serde(default, deserialize_with = "base64_list")]
        pub(super) txs: Vec<Vec<u8>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Header {
        #[serde(deserialize_with = "text_number")]
        pub(super) height: u64,
        pub(super) time: String,
        pub(super) app_hash: String,
        pub(super) proposer_address: String,
    }

    #[derive(Deserialize)]
    pub(super) struct CommitAnswer {
        pub(super) signed_header: SignedHeader,
    }

    #[derive(Deserialize)]
    pub(super) struct SignedHeader {
        pub(super) header: Header,
    }

    #[derive(Deserialize)]
    pub(super) struct Blockchain {
        #[serde(deserialize_with = "null_default")]
        pub(super) block_metas: Vec<BlockMeta>,
    }

    #[derive(Deserialize)]
    pub(super) struct BlockMeta {
        pub(super) header: Header,
    }

    #[derive(Deserialize)]
    pub(super) struct AbciInfo {
        pub(super) response: AbciInfoResponse,
    }

    #[derive(Deserialize)]
    pub(super) struct AbciInfoResponse {
        #[serde(default, deserialize_with = "text_number")]
        pub(super) last_block_height: u64,
    }

    #[derive(Deserialize)]
    pub(super) struct AbciQueryAnswer {
        pub(super) response: AbciQuery,
    }

    #[derive(Deserialize)]
    pub(super) struct ConsensusParams {
        pub(super) consensus_params: Value,
    }

    #[derive(Deserialize)]
    pub(super) struct NetInfo {
        #[serde(deserialize_with = "text_number")]
        pub(super) n_peers: u64,
    }
}

fn at(height: Option<u64>) -> Value {
    height.map_or_else(|| json!({}), |height| json!({ "height": height.to_string() }))
}

/// CometBFT writes 64-bit integers as strings.
fn text_number<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<T, D::Error>
where
    T::Err: std::fmt::Display,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// CometBFT writes an empty list as null.
fn null_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: String = null_default(deserializer)?;
    BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
}

fn base64_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
    let texts: Vec<String> = null_default(deserializer)?;
    texts.iter().map(|text| BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)).collect()
}

fn hex_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// An RFC 3339 time in UTC, in nanoseconds since 1970; 0 for one that is malformed or before.
fn time_ns(text: &str) -> u64 {
    parse_time(text).unwrap_or_default()
}

fn parse_time(text: &str) -> Option<u64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let mut clock = clock.splitn(3, ':').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let nanoseconds: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;

    // Days since 1970 by the civil calendar, with years that begin in March so that the leap day comes last.
    let years = if month <= 2 { year.checked_sub(1)? } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = (years * 365 + years / 4 - years / 100 + years / 400 + day_of_year).checked_sub(719_468)?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::{BlockResults, parse_time};

    #[test]
    fn times_are_read_to_the_nanosecond() {
        assert_eq!(parse_time("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(parse_time("2000-02-29T12:34:56.5Z"), Some(951_827_696_500_000_000));
        assert_eq!(parse_time("2026-11-21T12:34:58.07629225Z"), Some(1_795_264_498_076_292_250));
        assert_eq!(parse_time("0001-01-01T00:00:00Z"), None);
        assert_eq!(parse_time("2026-11-21"), None);
    }

    #[test]
    fn results_are_read_as_cometbft_writes_them() {
        let text = r#"{"height": "7", "txs_results": [{"code": 5, "data": null, "log": "no", "info": "", "gas_wanted": "3",
            "gas_used": "2", "events": [{"type": "x", "attributes": [{"key": "k", "value": "v", "index": true}]}],
            "codespace": "sdk"}], "finalize_block_events": null, "validator_updates": null, "app_hash": "AQI="}"#;
        let results: BlockResults = serde_json::from_str(text).unwrap();
        assert_eq!((results.height, results.app_hash), (7, vec![1, 2]));
        let result = &results.txs_results[0];
        assert_eq!((result.code, result.gas_used, result.codespace.as_str()), (5, 2, "sdk"));
        assert_eq!(result.events[0].attributes[0].value, "v");
    }
}
