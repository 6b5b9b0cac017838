//! The query router's ABCI front end: gRPC paths, `store/<module>/key` for records and their proofs, and the few paths
//! that CometBFT itself asks.

use bytes::Bytes;
use kernel::{HeightError, Proof, Reject, Status, StatusCode};
use tendermint_proto::v0_38::{
    abci::ResponseQuery,
    crypto::{ProofOp, ProofOps},
};

use super::signed;
use crate::{
    app::App,
    modules::STORES,
    query::{self, Answer},
};

/// Answers at `height`; 0 is the last committed one. The answer's height is never 0 after the first block.
pub fn answer(app: &App, path: &str, data: &Bytes, height: i64, prove: bool) -> ResponseQuery {
    let asked = u64::try_from(height).unwrap_or_default();
    let bare = path.strip_prefix('/').unwrap_or(path);
    let outcome = match bare.split('/').collect::<Vec<_>>().as_slice() {
        // With filter_peers a non-zero code would refuse every peer.
        ["p2p", "filter", ..] => return ResponseQuery::default(),
        ["app", "version"] => {
            let height = app.committed().height;
            Ok(Answer { value: env!("CARGO_PKG_VERSION").into(), height })
        }
        ["store", store, "key"] => return record(app, store, data, asked, prove),
        _ => query::run(app, &format!("/{bare}"), data, asked),
    };
    match outcome {
        Ok(answer) => {
            ResponseQuery { value: answer.value.into(), height: signed(answer.height), ..Default::default() }
        }
        Err(status) => refusal(app, &status),
    }
}

fn record(app: &App, store: &str, key: &Bytes, height: u64, prove: bool) -> ResponseQuery {
    let asked = (height > 0).then_some(height);
    let answer = if prove { proven(app, store, key, asked) } else { bare(app, store, key, asked) };
    answer.unwrap_or_else(|status| refusal(app, &query::explained(app, height, status)))
}

fn bare(app: &App, store: &str, key: &Bytes, height: Option<u64>) -> Result<ResponseQuery, Status> {
    let (id, _) = STORES.iter().find(|(_, name)| *name == store).ok_or_else(|| unknown_store(store))?;
    let (view, _) = app.state_at(height).map_err(query::no_height)?;
    let value = view.get(kernel::Space::State(*id), key).map_err(|fatal| query::internal(&fatal))?;
    let value = value.unwrap_or_default();
    Ok(ResponseQuery { key: key.clone(), value, height: signed(view.height()), ..Default::default() })
}

fn proven(app: &App, store: &str, key: &Bytes, height: Option<u64>) -> Result<ResponseQuery, Status> {
    let proof = app.store().prove(height, store, key).map_err(|error| match error {
        HeightError::UnknownStore(name) => unknown_store(&name),
        other => query::no_height(other),
    })?;
    Ok(ResponseQuery {
        key: key.clone(),
        value: proof.value.clone().unwrap_or_default(),
        height: signed(proof.height),
        proof_ops: Some(proof_ops(proof)),
        ..Default::default()
    })
}

fn unknown_store(name: &str) -> Status {
    Status::not_found(format!("unknown store {name:?}"))
}

/// A failed query as Cosmos clients read it: the codes of the codespace `sdk`, the gRPC code in words in the text. What
/// tells of a rejection has that one's codespace and code.
fn refusal(app: &App, status: &Status) -> ResponseQuery {
    let (code, name, suffix) = match status.code {
        StatusCode::Unknown => (6, "Unknown", ": unknown request"),
        StatusCode::NotFound => (22, "NotFound", ": key not found"),
        StatusCode::InvalidArgument => (18, "InvalidArgument", ": invalid request"),
        StatusCode::FailedPrecondition => (18, "FailedPrecondition", ": invalid request"),
        StatusCode::OutOfRange => (18, "OutOfRange", ": invalid request"),
        StatusCode::ResourceExhausted => (6, "ResourceExhausted", ": unknown request"),
        StatusCode::Unimplemented => (6, "Unimplemented", ": unknown request"),
        StatusCode::Internal => (6, "Internal", ": unknown request"),
    };
    let (codespace, code, suffix) = match &status.rejection {
        Some((codespace, code)) => (codespace.as_str(), *code, ""),
        None => (Reject::SDK, code, suffix),
    };
    ResponseQuery {
        code,
        codespace: codespace.into(),
        log: format!("rpc error: code = {name} desc = {}{suffix}", status.message),
        height: signed(app.committed().height),
        ..Default::default()
    }
}

/// A proof as ABCI carries it.
fn proof_ops(proof: Proof) -> ProofOps {
    let op = |op: kernel::ProofOp| ProofOp { r#type: op.kind.to_owned(), key: op.key, data: op.data };
    ProofOps { ops: proof.ops.into_iter().map(op).collect() }
}
