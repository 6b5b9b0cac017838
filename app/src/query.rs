//! Every query once: a table from path to handler. ABCI, gRPC and, later, REST are front ends to it.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use kernel::{Block, Ctx, Fatal, HeightError, Mode, QueryFn, Status, StatusCode, View};
use prost::Message as _;
use prost_types::Any;
use proto::{
    cosmos::{
        base::abci::v1beta1::{GasInfo, Result as SimulationResult},
        tx::v1beta1::{SimulateRequest, SimulateResponse},
    },
    tendermint::abci::{Event, EventAttribute},
};

use crate::{app::App, execute::TxResult, modules::ROUTES};

/// The gas of a query: enough for a thousand records, too little to hold the node up.
pub const QUERY_GAS_MAX: u64 = 50_000_000;
/// The longest request.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
const SIMULATE: &str = "/cosmos.tx.v1beta1.Service/Simulate";

/// An answer and the height of the state that it was read from.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The encoded response.
    pub value: Vec<u8>,
    /// The height.
    pub height: u64,
}

/// Whether there is such a method.
pub fn is_served(path: &str) -> bool {
    path == SIMULATE || table().contains_key(path)
}

/// The services that are served, by full name.
pub fn services() -> Vec<&'static str> {
    let mut services: Vec<&str> =
        table().keys().chain([&SIMULATE]).filter_map(|path| path.split('/').nth(1)).collect();
    services.sort_unstable();
    services.dedup();
    services
}

fn table() -> &'static BTreeMap<&'static str, QueryFn> {
    static TABLE: OnceLock<BTreeMap<&'static str, QueryFn>> = OnceLock::new();
    TABLE.get_or_init(|| ROUTES.iter().flat_map(|routes| routes.iter().copied()).collect())
}

/// Answers a query of the state at `height`; 0 is the last one.
pub fn run(app: &App, path: &str, request: &[u8], height: u64) -> Result<Answer, Status> {
    if request.len() > REQUEST_BYTES_MAX {
        return Err(Status::invalid_argument(format!("a request has at most {REQUEST_BYTES_MAX} bytes")));
    }
    if path == SIMULATE {
        return simulate(app, request);
    }
    let handler = table().get(path).ok_or_else(|| {
        Status::new(
            StatusCode::Unimplemented,
            format!("unknown query path {:?}", path.chars().take(200).collect::<String>()),
        )
    })?;
    let asked = (height > 0).then_some(height);
    let (view, block) = app.state_at(asked).map_err(|error| explained(app, height, no_height(error)))?;
    run_on(app, *handler, request, view, block)
}

/// Answers a query of a state. Blocks go on meanwhile: a state that leaves the history before the answer is complete is
/// refused like a height that was too old to begin with.
pub fn run_on(
    app: &App,
    handler: QueryFn,
    request: &[u8],
    view: Arc<dyn View>,
    block: Block,
) -> Result<Answer, Status> {
    let height = view.height();
    let mut ctx = Ctx::new(view, Mode::Query, block);
    if ctx.block.chain_id.is_empty() {
        return Err(Status::new(StatusCode::FailedPrecondition, "the chain has not begun"));
    }
    let mut status = None;
    let value = ctx.with_gas(QUERY_GAS_MAX, |ctx| {
        Ok(match handler(ctx, request) {
            Ok(value) => value,
            Err(error) => {
                status = Some(error);
                Vec::new()
            }
        })
    })?;
    status.map_or(Ok(Answer { value, height }), |status| Err(explained(app, height, status)))
}

/// What failed inside the store at a height that is no longer kept, failed because of that; 0 is the last height, which is.
pub(crate) fn explained(app: &App, height: u64, status: Status) -> Status {
    match app.store().view((height > 0).then_some(height)) {
        Err(gone) if status.code == StatusCode::Internal => no_height(gone),
        _ => status,
    }
}

pub(crate) fn no_height(error: HeightError) -> Status {
    match error {
        HeightError::Fatal(fatal) => internal(&fatal),
        other => Status::new(StatusCode::OutOfRange, other.to_string()),
    }
}

pub(crate) fn internal(fatal: &Fatal) -> Status {
    Status::new(StatusCode::Internal, fatal.to_string())
}

fn simulate(app: &App, request: &[u8]) -> Result<Answer, Status> {
    let request: SimulateRequest = kernel::query::request(request)?;
    // Old clients send the transaction itself instead of its bytes.
    let bytes = match (request.tx_bytes, request.tx) {
        (bytes, None) => bytes,
        (bytes, Some(_)) if !bytes.is_empty() => bytes,
        (_, Some(tx)) => tx.encode_to_vec(),
    };
    let result = app.simulate(&bytes).map_err(|fatal| internal(&fatal))?;
    if result.code != 0 {
        // The words and the gRPC code are those of the Cosmos SDK, whose clients search the text.
        let message = format!("{} with gas used: '{}'", result.log, result.gas_used);
        let rejection = Some((result.codespace, result.code));
        return Err(Status { rejection, ..Status::new(StatusCode::Unknown, message) });
    }
    Ok(Answer { value: simulated(result).encode_to_vec(), height: app.committed().height })
}

fn simulated(result: TxResult) -> SimulateResponse {
    let attribute = |(key, value): (&str, String)| EventAttribute { key: key.to_owned(), value, index: true };
    let event = |event: kernel::AbciEvent| Event {
        r#type: event.kind.to_owned(),
        attributes: event.attributes.into_iter().map(attribute).collect(),
    };
    let gas_info = GasInfo { gas_wanted: result.gas_wanted, gas_used: result.gas_used };
    let reply = |reply: kernel::Reply| Any { type_url: reply.type_url, value: reply.value };
    SimulateResponse {
        gas_info: Some(gas_info),
        result: Some(SimulationResult {
            data: result.data,
            log: result.log,
            events: result.events.into_iter().map(event).collect(),
            msg_responses: result.replies.into_iter().map(reply).collect(),
        }),
    }
}
