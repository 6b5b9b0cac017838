//! The shapes of CometBFT's answers, as far as they differ from what callers see, and how CometBFT writes values.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::types::AbciQuery;

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
    #[serde(default)]
    pub(super) moniker: String,
    #[serde(default)]
    pub(super) version: String,
}

#[derive(Deserialize)]
pub(super) struct SyncInfo {
    #[serde(deserialize_with = "text_number")]
    pub(super) latest_block_height: u64,
    #[serde(default)]
    pub(super) latest_app_hash: String,
    pub(super) latest_block_time: String,
    #[serde(default, deserialize_with = "text_number")]
    pub(super) earliest_block_height: u64,
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
pub(super) struct HeaderAnswer {
    pub(super) header: Header,
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
    #[serde(deserialize_with = "text_number")]
    pub(super) num_txs: u64,
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

#[derive(Deserialize)]
pub(super) struct AbciInfo {
    pub(super) response: AbciInfoResponse,
}

#[derive(Deserialize)]
pub(super) struct AbciInfoResponse {
    #[serde(default, deserialize_with = "text_number")]
    pub(super) last_block_height: u64,
}

/// CometBFT writes 64-bit integers as strings.
pub(super) fn text_number<'de, D: Deserializer<'de>, T: std::str::FromStr>(
    deserializer: D,
) -> Result<T, D::Error>
where
    T::Err: std::fmt::Display,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// CometBFT writes an empty list as null.
pub(super) fn null_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

pub(super) fn base64_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: String = null_default(deserializer)?;
    BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
}

pub(super) fn base64_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<u8>>, D::Error> {
    let texts: Vec<String> = null_default(deserializer)?;
    texts.iter().map(|text| BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)).collect()
}

pub(super) fn hex_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    hex::decode(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// An RFC 3339 time in UTC, in nanoseconds since 1970; 0 for one that is malformed or before.
pub(super) fn time_ns(text: &str) -> u64 {
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
    use super::super::BlockResults;
    use super::parse_time;

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
