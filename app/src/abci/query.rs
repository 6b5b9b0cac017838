//! The query router's ABCI front end: gRPC paths, `store/<module>/key` for records and their proofs, and the few paths
//! that CometBFT itself asks.

use bytes::Bytes;
use kernel::{HeightError, Proof, Status, StatusCode};
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
    let height = (height > 0).then_some(height);
    if !prove {
        let Some((id, _)) = STORES.iter().find(|(_, name)| *name == store) else {
            return refusal(app, &Status::not_found(format!("unknown store {store:?}")));
        };
        let value = app.state_at(height).map_err(query::no_height).and_then(|(view, _)| {
            let value = view.get(kernel::Space::State(*id), key).map_err(|fatal| query::internal(&fatal))?;
            Ok((value.unwrap_or_default(), view.height()))
        });
        return match value {
            Ok((value, height)) => {
                ResponseQuery { key: key.clone(), value, height: signed(height), ..Default::default() }
            }
            Err(status) => refusal(app, &status),
        };
    }
    match app.store().prove(height, store, key) {
        Ok(proof) => ResponseQuery {
            key: key.clone(),
            value: proof.value.clone().unwrap_or_default(),
            height: signed(proof.height),
            proof_ops: Some(proof_ops(proof)),
            ..Default::default()
        },
        Err(HeightError::UnknownStore(name)) => {
            refusal(app, &Status::not_found(format!("unknown store {name:?}")))
        }
        Err(error) => refusal(app, &query::no_height(error)),
    }
}

/// A failed query as Cosmos clients read it: the codes of the codespace `sdk`, the gRPC code in words in the text.
fn refusal(app: &App, status: &Status) -> ResponseQuery {
    let (code, name, suffix) = match status.code {
        StatusCode::NotFound => (22, "NotFound", ": key not found"),
        StatusCode::InvalidArgument => (18, "InvalidArgument", ": invalid request"),
        StatusCode::FailedPrecondition => (18, "FailedPrecondition", ": invalid request"),
        StatusCode::OutOfRange => (18, "OutOfRange", ": invalid request"),
        StatusCode::ResourceExhausted => (6, "ResourceExhausted", ": unknown request"),
        StatusCode::Unimplemented => (6, "Unimplemented", ": unknown request"),
        StatusCode::Internal => (6, "Internal", ": unknown request"),
    };
    ResponseQuery {
        code,
        codespace: "sdk".into(),
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
