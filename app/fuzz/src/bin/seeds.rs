//! Writes the seeds of all targets: transactions, blocks, queries, proofs and records of a recorded market.
//! `cargo fuzz run seeds` runs it; arguments are ignored.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use fuzz::{mutate, world::World};
use kernel::{Backend as _, Space};
use prost::Message as _;
use proto::cosmos::tx::v1beta1::{SimulateRequest, TxBody, TxRaw};
use serde_json::json;
use sim::Traffic;
use tendermint_proto::v0_38::abci::{
    Request, RequestCheckTx, RequestCommit, RequestEcho, RequestExtendVote, RequestFinalizeBlock,
    RequestFlush, RequestInfo, RequestListSnapshots, RequestPrepareProposal, RequestProcessProposal,
    RequestQuery, RequestVerifyVoteExtension, request::Value,
};
use underbid::{
    modules::{ROUTES, STORES},
    tx::{Purpose, Tx},
};

fn main() {
    let world = World::new();
    let blocks = Traffic::record(60);
    let txs: Vec<Vec<u8>> = blocks.iter().flat_map(|recorded| recorded.block.txs.clone()).collect();
    transactions(&txs, &world);
    messages(&txs, &world);
    queries(&world);
    frames(&world);
    genesis();
    proofs(&world);
    rows(&world);
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

/// One of each type, and one block of good ones.
fn transactions(txs: &[Vec<u8>], world: &World) {
    let mut seen = BTreeSet::new();
    for bytes in world.next.iter().chain(txs) {
        let actions = Tx::decode(bytes, 1, Purpose::Execute).map(|tx| tx.actions).unwrap_or_default();
        if seen.insert(actions.clone()) {
            let name = actions.first().map_or("none", |action| action.rsplit('.').next().unwrap());
            write("transactions", &format!("{}-{name}", seen.len()), bytes);
        }
    }
    write("block", "empty", &mutate::join(&[Vec::new()]));
    write("block", "good", &mutate::join(&world.next));
    write("block", "late", &mutate::join(&txs[txs.len() - 8..]));
    write("block", "first", &mutate::join(&txs[..8]));
}

/// Bodies of several messages: what is good next, and each type once.
fn messages(txs: &[Vec<u8>], world: &World) {
    let messages = |txs: &[Vec<u8>]| {
        let raw = txs.iter().filter_map(|tx| TxRaw::decode(tx.as_slice()).ok());
        raw.flat_map(|raw| TxBody::decode(raw.body_bytes.as_slice()).unwrap().messages).collect::<Vec<_>>()
    };
    let mut once = BTreeMap::new();
    for message in messages(txs).into_iter().chain(messages(&world.next)) {
        once.insert(message.type_url.clone(), message);
    }
    for (index, chunk) in messages(&world.next).chunks(12).enumerate() {
        let body = TxBody { messages: chunk.to_vec(), timeout_height: 7, ..TxBody::default() };
        write("messages", &format!("next-{index}"), &body.encode_to_vec());
    }
    for (index, message) in once.into_values().enumerate() {
        let body = TxBody { messages: vec![message; 2], timeout_height: 40, ..TxBody::default() };
        write("messages", &format!("twice-{index}"), &body.encode_to_vec());
    }
}

fn queries(world: &World) {
    let routes = ROUTES.iter().flat_map(|routes| routes.iter());
    let count = routes.clone().count();
    for (index, (path, _)) in routes.enumerate() {
        let index = u8::try_from(index).unwrap();
        let name = path.trim_start_matches('/').replace('/', "-");
        // A request whose first field is a person or a number is a good one for most.
        let text = [[10, 47].as_slice(), sim::text("ada").as_bytes()].concat();
        for (kind, request) in [("empty", Vec::new()), ("text", text), ("number", vec![8, 3])] {
            write("queries", &format!("{name}-{kind}"), &[&[index, 0, 0], request.as_slice()].concat());
        }
    }
    let simulate = SimulateRequest { tx_bytes: world.next[0].clone(), ..Default::default() }.encode_to_vec();
    write("queries", "simulate", &[&[u8::try_from(count).unwrap(), 0, 0], simulate.as_slice()].concat());
    for (index, (_, key)) in world.keys().iter().enumerate().step_by(23) {
        let choice = u8::try_from(250 + index % 6).unwrap();
        write(
            "queries",
            &format!("key-{index}"),
            &[&[choice, u8::from(index % 2 == 0) * 40, 1], key.as_slice()].concat(),
        );
    }
}

fn frames(world: &World) {
    let txs: Vec<bytes::Bytes> = world.next.iter().take(4).cloned().map(Into::into).collect();
    let query = RequestQuery {
        path: "/underbid.market.v1.Query/Orders".into(),
        data: bytes::Bytes::new(),
        height: 0,
        prove: false,
    };
    let block =
        RequestFinalizeBlock { txs: txs.clone(), hash: vec![1; 32].into(), height: 61, ..Default::default() };
    let requests = [
        Value::Echo(RequestEcho { message: "hello".into() }),
        Value::Info(RequestInfo::default()),
        Value::Query(query),
        Value::CheckTx(RequestCheckTx { tx: txs[0].clone(), r#type: 0 }),
        Value::CheckTx(RequestCheckTx { tx: txs[1].clone(), r#type: 1 }),
        Value::PrepareProposal(RequestPrepareProposal {
            txs: txs.clone(),
            max_tx_bytes: 4096,
            ..Default::default()
        }),
        Value::ProcessProposal(RequestProcessProposal { txs, ..Default::default() }),
        Value::ExtendVote(RequestExtendVote::default()),
        Value::VerifyVoteExtension(RequestVerifyVoteExtension::default()),
        Value::ListSnapshots(RequestListSnapshots {}),
        Value::FinalizeBlock(block),
        Value::Commit(RequestCommit {}),
        Value::Flush(RequestFlush {}),
    ];
    let mut all = Vec::new();
    for (index, value) in requests.into_iter().enumerate() {
        let frame = Request { value: Some(value) }.encode_length_delimited_to_vec();
        write("frames", &format!("request-{index}"), &frame);
        all.extend(frame);
    }
    write("frames", "all", &all);
}

fn genesis() {
    let mut document: serde_json::Value = serde_json::from_str(sim::LOCALNET).unwrap();
    document["app_state"] = sim::traffic_state();
    write("genesis", "traffic", document.to_string().as_bytes());
    let mut traffic = Traffic::new();
    while traffic.chain.height < 40 {
        traffic.next_block();
    }
    document["app_state"] = traffic.chain.export();
    document["initial_height"] = json!("41");
    write("genesis", "exported", document.to_string().as_bytes());
}

fn proofs(world: &World) {
    let keys = world.keys();
    for (index, (store, key)) in keys.iter().enumerate().step_by(keys.len() / 12) {
        for (kind, key) in [("present", key.clone()), ("absent", [key.as_slice(), b"x"].concat())] {
            let proof = world.stores[0].prove(None, store, &key).unwrap();
            let value = proof.value.unwrap_or_default().to_vec();
            let mut parts = vec![store.as_bytes().to_vec(), key, value];
            parts.extend(proof.ops.into_iter().map(|op| op.data));
            write("proofs", &format!("{kind}-{index}"), &mutate::join(&parts));
        }
    }
}

/// A record and a key of every table.
fn rows(world: &World) {
    let view = world.app().committed().base.state();
    let mut seen = BTreeSet::new();
    for (index, (store, key)) in world.keys().iter().enumerate() {
        let (id, _) = STORES.iter().find(|(_, name)| name == store).unwrap();
        let value = view.get(Space::State(*id), key).unwrap().unwrap();
        if seen.insert((store.to_owned(), key[0])) {
            write("records", &format!("{store}-{}", key[0]), &value);
            write("records", &format!("{store}-{}-key", key[0]), &key[1..]);
        }
        if index % 7 == 0 {
            let row = u16::try_from(index).unwrap().to_le_bytes();
            write("rows", &format!("{store}-{index}"), &[&row, value.as_ref()].concat());
        }
    }
}
