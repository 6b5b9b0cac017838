//! The genesis document: CometBFT's, with the application's state in `app_state`.

use std::fmt;

use kernel::{At, Backend, Block, View};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    app::APP_VERSION,
    execute::GenesisView,
    modules::{AppState, STORES},
};

/// Why a genesis document is not one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or a field has the wrong form; the path names it.
    #[error("{path}: {why}")]
    Field {
        /// The field.
        path: String,
        /// What was expected.
        why: String,
    },
    /// The state that it describes breaks a rule.
    #[error("{0}")]
    State(kernel::Error),
}

/// What a valid document holds.
#[derive(Debug)]
pub struct Summary {
    /// The chain's id.
    pub chain_id: String,
    /// The app hash of its first header.
    pub app_hash: kernel::AppHash,
    /// How many validators it names.
    pub validators: usize,
    /// How many records it makes.
    pub records: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "chain id    {}", self.chain_id)?;
        writeln!(f, "validators  {}", self.validators)?;
        writeln!(f, "records     {}", self.records)?;
        write!(f, "app hash    {}", hex::encode_upper(self.app_hash))
    }
}

/// The largest `max_bytes` that CometBFT takes.
const BLOCK_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// The parts of CometBFT's document that the application looks at.
#[derive(Deserialize)]
struct Document {
    chain_id: String,
    #[serde(default)]
    genesis_time: Option<String>,
    #[serde(default)]
    initial_height: Option<String>,
    #[serde(default)]
    validators: Vec<Value>,
    #[serde(default)]
    consensus_params: Option<ConsensusParams>,
    app_state: AppState,
}

/// CometBFT's own limits.
#[derive(Deserialize)]
struct ConsensusParams {
    block: BlockParams,
}

/// Numbers as CometBFT writes 64 bits: as text.
#[derive(Deserialize)]
struct BlockParams {
    max_bytes: String,
    max_gas: String,
}

/// Reads `app_state`.
pub fn parse_state(bytes: &[u8]) -> Result<AppState, Error> {
    prepare(&read("app_state", bytes)?)?;
    read("app_state", bytes)
}

/// Checks what must be known before a state is read: a module's part is an object, as a list would pass for one whose
/// fields all have defaults. The prefix of its addresses is set for this process, since all else is read with it.
fn prepare(state: &Value) -> Result<(), Error> {
    let expected = |path: String| Error::Field { path, why: "expected an object".into() };
    let modules = state.as_object().ok_or_else(|| expected("app_state".into()))?;
    if let Some((name, _)) = modules.iter().find(|(_, module)| !module.is_object()) {
        return Err(expected(format!("app_state.{name}")));
    }
    match state.pointer("/kernel/params/bech32_prefix").and_then(Value::as_str) {
        None => Ok(()),
        Some(prefix) => kernel::address::set_prefix(prefix).map_err(|reject| Error::Field {
            path: "app_state.kernel.params.bech32_prefix".into(),
            why: reject.message,
        }),
    }
}

fn read<T: serde::de::DeserializeOwned>(root: &str, bytes: &[u8]) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let inner = error.path().to_string();
        let path = match (root, inner.as_str()) {
            ("", inner) => inner.to_owned(),
            (root, ".") => root.to_owned(),
            (root, inner) => format!("{root}.{inner}"),
        };
        Error::Field { path, why: error.into_inner().to_string() }
    })?;
    // Nothing may follow: another reader would take the text for no document at all.
    let path = if root.is_empty() { "." } else { root };
    json.end().map_err(|error| Error::Field { path: path.into(), why: error.to_string() })?;
    Ok(value)
}

/// Checks a whole document as the first block would: its form, and the state that it makes.
pub fn validate(text: &str) -> Result<Summary, Error> {
    // Twice, so that a field which is given twice is met, and errors name the lines of this text.
    let untyped: Value = read("", text.as_bytes())?;
    prepare(untyped.get("app_state").unwrap_or(&Value::Null))?;
    let document: Document = read("", text.as_bytes())?;
    let field = |path: &str, why: String| Error::Field { path: path.into(), why };
    if document.chain_id.is_empty() || document.chain_id.len() > 50 {
        return Err(field("chain_id", "expected 1 to 50 characters".into()));
    }
    let initial_height = match document.initial_height.as_deref() {
        None | Some("0") => 1,
        // CometBFT's heights are signed.
        Some(text) => match text.parse::<i64>().map(u64::try_from) {
            Ok(Ok(height)) => height,
            _ => return Err(field("initial_height", format!("expected 1 to {}", i64::MAX))),
        },
    };
    let time_s = match &document.genesis_time {
        None => 0,
        Some(text) => {
            let time = tendermint::Time::parse_from_rfc3339(text)
                .map_err(|e| field("genesis_time", e.to_string()))?;
            u64::try_from(time.unix_timestamp())
                .map_err(|_| field("genesis_time", "expected a time after 1970".into()))?
        }
    };
    // CometBFT would take the present time, at each validator another.
    if document.genesis_time.is_none() && !document.validators.is_empty() {
        return Err(field("genesis_time", "expected a time, since validators are named".into()));
    }
    check_limits(document.consensus_params.as_ref(), document.app_state.auth.params.max_block_gas)?;
    let store = store::MemoryBackend::new(STORES);
    let view = store.view(None).map_err(|e| field("app_state", e.to_string()))?;
    let genesis =
        build(&store, view.as_ref(), &document.chain_id, initial_height, time_s, document.app_state)?;
    Ok(Summary {
        chain_id: document.chain_id,
        app_hash: genesis.app_hash,
        validators: document.validators.len(),
        records: genesis.records(),
    })
}

/// A document without limits would get CometBFT's defaults, under which blocks are as large as they are slow; and both
/// limits of gas are one, or blocks that a proposer makes and blocks that a validator takes differ.
fn check_limits(params: Option<&ConsensusParams>, gas: u64) -> Result<(), Error> {
    let field = |name: &str, why: String| Error::Field { path: format!("consensus_params{name}"), why };
    let Some(ConsensusParams { block }) = params else {
        return Err(field("", "expected CometBFT's parameters, as genesis/reference.json has them".into()));
    };
    if !block.max_bytes.parse().is_ok_and(|bytes| (1..=BLOCK_BYTES_MAX).contains(&bytes)) {
        let why = format!("found {:?}, expected 1 to {BLOCK_BYTES_MAX}", block.max_bytes);
        return Err(field(".block.max_bytes", why));
    }
    if block.max_gas != gas.to_string() {
        let why =
            format!("found {:?}, expected \"{gas}\", app_state.auth.params.max_block_gas", block.max_gas);
        return Err(field(".block.max_gas", why));
    }
    Ok(())
}

fn build(
    store: &dyn Backend,
    empty: &dyn View,
    chain_id: &str,
    initial_height: u64,
    time_s: u64,
    state: AppState,
) -> Result<GenesisView, Error> {
    let block = Block {
        height: At::new(initial_height),
        time: At::new(time_s),
        time_nanos: 0,
        billing: At::ZERO,
        app_version: APP_VERSION,
        chain_id: chain_id.to_owned(),
    };
    GenesisView::new(store, empty, block, state).map_err(Error::State)
}
