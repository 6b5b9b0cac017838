//! The blocks of a run as CometBFT keeps them: the requests, and what a node that never stopped answered.

use std::{fs, path::Path};

use bytes::Bytes;
use kernel::AppHash;
use prost::Message as _;
use sim::{CHAIN_ID, Home, START_S, Traffic, traffic_state};
use tendermint_abci::Application as _;
use tendermint_proto::{
    google::protobuf::Timestamp,
    v0_38::abci::{RequestFinalizeBlock, RequestInitChain, ResponseFinalizeBlock},
};
use underbid::abci::Abci;

/// The blocks, the first at height 1.
pub struct History {
    blocks: Vec<(RequestFinalizeBlock, ResponseFinalizeBlock)>,
}

impl History {
    /// Records a market.
    pub fn record(blocks: u64) -> Self {
        let node = Abci::new(Home::memory().app());
        node.init_chain(genesis());
        let run = |recorded: sim::Recorded| {
            let block = recorded.block;
            let request = RequestFinalizeBlock {
                txs: block.txs.into_iter().map(Bytes::from).collect(),
                hash: block.hash.into(),
                height: i64::try_from(block.height).unwrap(),
                time: Some(Timestamp { seconds: i64::try_from(block.time_s).unwrap(), nanos: 0 }),
                ..Default::default()
            };
            let response = node.finalize_block(request.clone());
            node.commit();
            assert_eq!(response.app_hash, recorded.done.app_hash.as_slice());
            (request, response)
        };
        Self { blocks: Traffic::record(blocks).into_iter().map(run).collect() }
    }

    pub fn write(&self, path: &Path) {
        let mut bytes = Vec::new();
        for (request, response) in &self.blocks {
            request.encode_length_delimited(&mut bytes).unwrap();
            response.encode_length_delimited(&mut bytes).unwrap();
        }
        fs::write(path, bytes).unwrap();
    }

    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let (mut rest, mut blocks) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let request = RequestFinalizeBlock::decode_length_delimited(&mut rest).unwrap();
            blocks.push((request, ResponseFinalizeBlock::decode_length_delimited(&mut rest).unwrap()));
        }
        Self { blocks }
    }

    /// The last height.
    pub fn last(&self) -> u64 {
        u64::try_from(self.blocks.len()).unwrap()
    }

    /// The block of a height, and what it must lead to.
    pub fn block(&self, height: u64) -> &(RequestFinalizeBlock, ResponseFinalizeBlock) {
        &self.blocks[usize::try_from(height).unwrap() - 1]
    }

    /// The app hash after a height.
    pub fn hash(&self, height: u64) -> AppHash {
        self.block(height).1.app_hash.as_ref().try_into().unwrap()
    }
}

/// The request that begins the chain.
pub fn genesis() -> RequestInitChain {
    RequestInitChain {
        time: Some(Timestamp { seconds: i64::try_from(START_S).unwrap(), nanos: 0 }),
        chain_id: CHAIN_ID.into(),
        app_state_bytes: traffic_state().to_string().into(),
        initial_height: 1,
        ..Default::default()
    }
}
