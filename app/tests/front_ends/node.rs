//! A node without consensus: the few methods of CometBFT's RPC that a sender needs, over a chain that makes a block of what
//! waits whenever it is asked for its status.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{Json, Router, extract::State, routing::post};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{RequestCheckTx, RequestQuery};

use sim::*;

const ACCOUNT: &str = "/cosmos.auth.v1beta1.Query/Account";

/// What a node has.
pub struct Node {
    chain: TestChain,
    pending: Vec<Vec<u8>>,
    included: BTreeMap<Vec<u8>, Value>,
    /// How many transactions of alice another program sends, each right after she has looked at her account.
    rivals: u64,
    /// Transactions that the mempool refused, by code.
    refused: Vec<u32>,
    /// It makes no block of what waits.
    stands_still: bool,
    /// Why it can't say where a transaction is.
    unindexed: Option<&'static str>,
}

/// A node that answers on loopback until it is dropped.
pub struct Running {
    node: Arc<Mutex<Node>>,
    pub url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Running {
    pub fn new(rivals: u64) -> Self {
        // A client's timeouts are by its clock, so the chain's time is of today.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let node = Node {
            chain: TestChain::from_genesis(vec![Home::memory()], &genesis_state(), 1, now),
            pending: Vec::new(),
            included: BTreeMap::new(),
            rivals,
            refused: Vec::new(),
            stands_still: false,
            unindexed: None,
        };
        let node = Arc::new(Mutex::new(node));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&node));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { node, url, _runtime: runtime }
    }

    /// From now on it makes no block.
    pub fn stand_still(&self) {
        self.node.lock().unwrap().stands_still = true;
    }

    /// From now on it can't say where a transaction is.
    pub fn index_nothing(&self) {
        self.node.lock().unwrap().unindexed = Some("transaction indexing is disabled");
    }

    /// The codes of what the mempool refused.
    pub fn refused(&self) -> Vec<u32> {
        self.node.lock().unwrap().refused.clone()
    }

    /// How many transactions of a person are in blocks.
    pub fn sequence(&self, name: &str) -> u64 {
        self.node.lock().unwrap().chain.account(name).sequence
    }
}

async fn answer(State(node): State<Arc<Mutex<Node>>>, Json(call): Json<Value>) -> Json<Value> {
    let mut node = node.lock().unwrap();
    let params = &call["params"];
    let result = match call["method"].as_str().unwrap() {
        "status" => Ok(node.status()),
        "abci_info" => Ok(node.info()),
        "abci_query" => Ok(node.query(params)),
        "broadcast_tx_sync" => node.broadcast(&bytes(&params["tx"])),
        "tx" => node.inclusion(&bytes(&params["hash"])),
        other => panic!("{other} is not answered here"),
    };
    let (field, value) = match result {
        Ok(result) => ("result", result),
        Err(data) => ("error", json!({ "code": -32603, "message": "Internal error", "data": data })),
    };
    Json(json!({ "jsonrpc": "2.0", "id": call["id"], field: value }))
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

impl Node {
    /// Where the chain is; then it goes on if something waits.
    fn status(&mut self) -> Value {
        let status = json!({
            "node_info": { "network": CHAIN_ID, "id": "node" },
            "sync_info": {
                "latest_block_height": self.chain.height.to_string(),
                "latest_block_time": "2026-01-01T00:00:00Z",
                "catching_up": false,
            },
            "validator_info": { "voting_power": "0" },
        });
        self.go_on();
        status
    }

    /// What the application has committed; then the chain goes on if something waits.
    fn info(&mut self) -> Value {
        let info = json!({ "response": { "last_block_height": self.chain.height.to_string() } });
        self.go_on();
        info
    }

    /// Where a transaction is; then the chain goes on if something waits.
    fn inclusion(&mut self, hash: &[u8]) -> Result<Value, &'static str> {
        if let Some(why) = self.unindexed {
            return Err(why);
        }
        let inclusion = self.included.get(hash).cloned();
        self.go_on();
        inclusion.ok_or("tx not found")
    }

    /// A block of what waits.
    fn go_on(&mut self) {
        if self.stands_still || self.pending.is_empty() {
            return;
        }
        let txs = std::mem::take(&mut self.pending);
        let results = self.chain.block(&txs).results;
        for (index, (tx, result)) in txs.iter().zip(results).enumerate() {
            let hash = Sha256::digest(tx).to_vec();
            let tx_result = json!({
                "code": result.code, "codespace": result.codespace, "log": result.log,
                "data": BASE64_STANDARD.encode(&result.data),
                "gas_wanted": result.gas_wanted.to_string(), "gas_used": result.gas_used.to_string(),
            });
            let inclusion = json!({
                "hash": hex::encode_upper(&hash), "height": self.chain.height.to_string(), "index": index,
                "tx_result": tx_result,
            });
            self.included.insert(hash, inclusion);
        }
    }

    fn query(&mut self, params: &Value) -> Value {
        let path = params["path"].as_str().unwrap();
        let request = RequestQuery {
            path: path.to_owned(),
            data: hex::decode(params["data"].as_str().unwrap()).unwrap().into(),
            ..Default::default()
        };
        let response = self.chain.abci().query(request);
        if path == ACCOUNT && self.rivals > 0 {
            self.rivals -= 1;
            let rival = self.chain.sign(&draft([&send("alice", "carol", 1)]), &["alice"]);
            assert_eq!(self.broadcast(&rival).unwrap()["code"], 0);
        }
        json!({ "response": {
            "code": response.code, "codespace": response.codespace, "log": response.log,
            "value": BASE64_STANDARD.encode(&response.value), "height": response.height.to_string(),
        }})
    }

    fn broadcast(&mut self, tx: &[u8]) -> Result<Value, &'static str> {
        if self.pending.iter().any(|pending| pending == tx) {
            return Err("tx already exists in cache");
        }
        let checked = self.chain.abci().check_tx(RequestCheckTx { tx: tx.to_vec().into(), r#type: 0 });
        if checked.code == 0 {
            self.pending.push(tx.to_vec());
        } else {
            self.refused.push(checked.code);
        }
        let hash = hex::encode_upper(Sha256::digest(tx));
        Ok(json!({ "code": checked.code, "codespace": checked.codespace, "log": checked.log, "hash": hash }))
    }
}
