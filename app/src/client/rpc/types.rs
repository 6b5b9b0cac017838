//! What calls return.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::wire::{self, base64_bytes, hex_bytes, null_default, text_number, time_ns};

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The chain.
    pub chain_id: String,
    /// The node's id in the peer-to-peer network.
    pub node_id: String,
    /// The node's own name for itself.
    pub moniker: String,
    /// The version of CometBFT.
    pub version: String,
    /// The last height in the block store.
    pub height: u64,
    /// The application's hash in the header of that block, in upper-case hex.
    pub app_hash: String,
    /// The time of that block in nanoseconds since 1970.
    pub block_time_ns: u64,
    /// The same as CometBFT writes it.
    pub block_time: String,
    /// The first height that the node still has.
    pub earliest_height: u64,
    /// Whether the node is still fetching blocks and takes no part in consensus.
    pub is_catching_up: bool,
    /// The node's own voting power.
    pub validator_power: i64,
}

impl From<wire::Status> for Status {
    fn from(raw: wire::Status) -> Self {
        let wire::Status { node_info, sync_info, validator_info } = raw;
        Self {
            chain_id: node_info.network,
            node_id: node_info.id,
            moniker: node_info.moniker,
            version: node_info.version,
            height: sync_info.latest_block_height,
            app_hash: sync_info.latest_app_hash,
            block_time_ns: time_ns(&sync_info.latest_block_time),
            block_time: sync_info.latest_block_time,
            earliest_height: sync_info.earliest_block_height,
            is_catching_up: sync_info.catching_up,
            validator_power: validator_info.voting_power,
        }
    }
}

/// A block's header, as far as clients need it.
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

impl From<wire::Header> for Header {
    fn from(raw: wire::Header) -> Self {
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its attributes, in order.
    #[serde(default, deserialize_with = "null_default")]
    pub attributes: Vec<Attribute>,
}

/// An attribute of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
