//! One node without a chain around it, driven call by call as CometBFT does.

use std::sync::Arc;

use bytes::Bytes;
use tendermint_abci::Application as _;
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::abci::{RequestFinalizeBlock, RequestInfo, RequestInitChain, ResponseFinalizeBlock, ResponseInfo},
};
use underbid::{abci::Abci, app::App};

use sim::*;

/// A node without a chain around it.
pub struct Node {
    home: Home,
    pub app: Arc<App>,
    pub abci: Abci,
}

impl Node {
    pub fn new(home: Home) -> Self {
        let app = home.app();
        Self { home, abci: Abci::new(Arc::clone(&app)), app }
    }

    /// The process ends and starts again; what was not written is lost.
    pub fn killed(self) -> Self {
        let Self { home, app, abci } = self;
        drop((app, abci));
        Self::new(home)
    }

    pub fn info(&self) -> ResponseInfo {
        self.abci.info(RequestInfo::default())
    }

    pub fn init(&self) -> Bytes {
        let request = RequestInitChain {
            time: Some(Timestamp { seconds: i64::try_from(START_S).unwrap(), nanos: 0 }),
            chain_id: CHAIN_ID.into(),
            app_state_bytes: genesis_state().to_string().into_bytes().into(),
            initial_height: 1,
            ..Default::default()
        };
        self.abci.init_chain(request).app_hash
    }

    pub fn finalize(&self, block: &(i64, Vec<Bytes>)) -> ResponseFinalizeBlock {
        self.abci.finalize_block(decided(block))
    }

    /// Executes and commits a block.
    pub fn deliver(&self, block: &(i64, Vec<Bytes>)) -> ResponseFinalizeBlock {
        let response = self.finalize(block);
        self.abci.commit();
        response
    }
}

/// Six blocks with good and bad transactions.
pub fn blocks() -> Vec<(i64, Vec<Bytes>)> {
    let chain = TestChain::new();
    let tx = |by: &str, ahead| Bytes::from(chain.sign_ahead(&draft([&send(by, "bob", 5)]), &[by], ahead));
    vec![
        (1, vec![tx("alice", 0), tx("carol", 0)]),
        (2, vec![]),
        (3, vec![tx("alice", 1), tx("alice", 1), Bytes::from_static(b"garbage")]),
        (4, vec![tx("poor", 0), tx("dave", 0)]),
        (5, vec![]),
        (6, vec![tx("alice", 2)]),
    ]
}

/// The same blocks on a node that never stopped.
pub fn uninterrupted() -> (Bytes, Vec<ResponseFinalizeBlock>) {
    let node = Node::new(Home::memory());
    let genesis = node.init();
    (genesis, blocks().iter().map(|block| node.deliver(block)).collect())
}

/// A block that was decided, as CometBFT delivers it.
pub fn decided(block: &(i64, Vec<Bytes>)) -> RequestFinalizeBlock {
    let (height, txs) = block;
    let seconds = i64::try_from(START_S).unwrap() + height;
    RequestFinalizeBlock {
        txs: txs.clone(),
        hash: Bytes::copy_from_slice(&[u8::try_from(*height).unwrap(); 32]),
        height: *height,
        time: Some(Timestamp { seconds, nanos: 500 }),
        ..Default::default()
    }
}
