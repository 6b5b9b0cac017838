//! The answers of CometBFT's RPC: the types that callers see, and the shapes on the wire where they differ.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

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
    /// The last committed height.
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

impl From<raw::Status> for Status {
    fn from(raw: raw::Status) -> Self {
        let raw::Status { node_info, sync_info, validator_info } = raw;
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

/// The shapes on the wire, as far as they differ from the public ones.
pub(super) mod raw {
    use serde::Deserialize;
    use serde_json::Value;

    use super::{AbciQuery, base64_list, null_default, text_number};

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct Answer {
        #[serde(default)]
        pub(in crate::client::rpc) result: Value,
        pub(in crate::client::rpc) error: Option<Refusal>,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct Refusal {
        pub(in crate::client::rpc) code: i64,
        pub(in crate::client::rpc) message: String,
        #[serde(default)]
        pub(in crate::client::rpc) data: String,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct Status {
        pub(in crate::client::rpc) node_info: NodeInfo,
        pub(in crate::client::rpc) sync_info: SyncInfo,
        pub(in crate::client::rpc) validator_info: ValidatorInfo,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct NodeInfo {
        pub(in crate::client::rpc) id: String,
        pub(in crate::client::rpc) network: String,
        #[serde(default)]
        pub(in crate::client::rpc) moniker: String,
        #[serde(default)]
        pub(in crate::client::rpc) version: String,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct SyncInfo {
        #[serde(deserialize_with = "text_number")]
        pub(in crate::client::rpc) latest_block_height: u64,
        #[serde(default)]
        pub(in crate::client::rpc) latest_app_hash: String,
        pub(in crate::client::rpc) latest_block_time: String,
        #[serde(default, deserialize_with = "text_number")]
        pub(in crate::client::rpc) earliest_block_height: u64,
        pub(in crate::client::rpc) catching_up: bool,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct ValidatorInfo {
        #[serde(deserialize_with = "text_number")]
        pub(in crate::client::rpc) voting_power: i64,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct BlockAnswer {
        pub(in crate::client::rpc) block: Block,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct Block {
        pub(in crate::client::rpc) header: Header,
        pub(in crate::client::rpc) data: Data,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct HeaderAnswer {
        pub(in crate::client::rpc) header: Header,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct Data {
        #[serde(default, deserialize_with = "base64_list")]
        pub(in crate::client::rpc) txs: Vec<Vec<u8>>,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct Header {
        #[serde(deserialize_with = "text_number")]
        pub(in crate::client::rpc) height: u64,
        pub(in crate::client::rpc) time: String,
        pub(in crate::client::rpc) app_hash: String,
        pub(in crate::client::rpc) proposer_address: String,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct CommitAnswer {
        pub(in crate::client::rpc) signed_header: SignedHeader,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct SignedHeader {
        pub(in crate::client::rpc) header: Header,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct Blockchain {
        #[serde(deserialize_with = "null_default")]
        pub(in crate::client::rpc) block_metas: Vec<BlockMeta>,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct BlockMeta {
        pub(in crate::client::rpc) header: Header,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct AbciQueryAnswer {
        pub(in crate::client::rpc) response: AbciQuery,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct ConsensusParams {
        pub(in crate::client::rpc) consensus_params: Value,
    }

    #[derive(Deserialize)]
    pub(in crate::client::rpc) struct NetInfo {
        #[serde(deserialize_with = "text_number")]
        pub(in crate::client::rpc) n_peers: u64,
    }
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
