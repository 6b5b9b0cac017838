//! Ports for a net: a block of neighbouring ports on 127.0.0.1 that no other net uses.
//!
//! The blocks lie below the range from which the kernel takes the ports of outgoing connections, so a node finds its port
//! free when it is started again. Whoever listens on the first port of a block owns the block: two nets that start at the
//! same moment can't take the same one.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{Error, POLL};

const FIRST_BLOCK: u16 = 20_000;
const BLOCK_PORTS: u16 = 200;
const BLOCKS: u16 = 60;
const NODE_PORTS: u16 = 10;
/// The first port of a net that somebody looks at, as documents and examples name it.
pub const PORT_BASE_DEFAULT: u16 = 26_600;
const RETAKE_PATIENCE: Duration = Duration::from_secs(2);
/// A block starts with ten ports for the net itself.
pub const NODES_MAX: usize = 19;

/// The ports of one node, all on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePorts {
    /// CometBFT's RPC.
    pub rpc: u16,
    /// The application's gRPC.
    pub grpc: u16,
    /// The application's metrics.
    pub metrics: u16,
    /// CometBFT's peer-to-peer network.
    pub p2p: u16,
}

impl NodePorts {
    fn all(self) -> [u16; 4] {
        [self.rpc, self.grpc, self.metrics, self.p2p]
    }
}

/// A block of ports that is ours until this is dropped.
pub struct PortBlock {
    base: u16,
    _owner: TcpListener,
}

impl PortBlock {
    /// Takes a free block with room for `nodes` nodes, `preferred` if it is free.
    pub fn take(nodes: usize, preferred: Option<u16>) -> Result<Self, Error> {
        let mut bases = pool();
        bases.shuffle(&mut rand::rng());
        let mut candidates = preferred.into_iter().chain(bases);
        candidates.find_map(|base| Self::try_take(base, nodes)).ok_or(Error::NoPorts)
    }

    /// Takes the very block that a net had before. A port may be held for a moment after its owner is gone, by a child that
    /// some other thread is just starting and that has yet to close what it inherited.
    pub async fn retake(base: u16, nodes: usize) -> Result<Self, Error> {
        let deadline = Instant::now() + RETAKE_PATIENCE;
        loop {
            if let Some(block) = Self::try_take(base, nodes) {
                return Ok(block);
            }
            if Instant::now() >= deadline {
                return Err(Error::PortsTaken { base });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn try_take(base: u16, nodes: usize) -> Option<Self> {
        let owner = TcpListener::bind((Ipv4Addr::LOCALHOST, base)).ok()?;
        let block = Self { base, _owner: owner };
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        (0..nodes).flat_map(|index| block.node(index).all()).all(is_free).then_some(block)
    }

    /// The first port of the block.
    pub fn base(&self) -> u16 {
        self.base
    }

    /// The ports of a node.
    pub fn node(&self, index: usize) -> NodePorts {
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        let first = self.base.saturating_add(NODE_PORTS.saturating_mul(index.saturating_add(1)));
        let port = |offset: u16| first.saturating_add(offset);
        NodePorts { rpc: port(0), grpc: port(1), metrics: port(2), p2p: port(3) }
    }
}

/// The blocks for nets that don't care. The default is not among them: a test must not take it from a demo.
fn pool() -> Vec<u16> {
    let bases = (0..BLOCKS).map(|block| FIRST_BLOCK + block * BLOCK_PORTS);
    bases.filter(|base| base.abs_diff(PORT_BASE_DEFAULT) >= BLOCK_PORTS).collect()
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_PORTS, NODES_MAX, PORT_BASE_DEFAULT, PortBlock, pool};

    #[test]
    fn nobody_gets_a_port_of_the_default_block_by_chance() {
        let default = PORT_BASE_DEFAULT..PORT_BASE_DEFAULT + BLOCK_PORTS;
        let all = pool().into_iter().flat_map(|base| base..base + BLOCK_PORTS);
        assert_eq!(all.filter(|port| default.contains(port)).count(), 0);
        assert!(pool().len() >= 58);
    }

    #[tokio::test]
    async fn two_nets_never_share_a_port() {
        let first = PortBlock::take(NODES_MAX, None).unwrap();
        assert!(PortBlock::retake(first.base(), 4).await.is_err());
        let second = PortBlock::take(NODES_MAX, Some(first.base())).unwrap();
        let ports = |block: &PortBlock| -> Vec<u16> {
            (0..NODES_MAX).flat_map(|index| block.node(index).all()).collect()
        };
        let mut all = [ports(&first), ports(&second)].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2 * 4 * NODES_MAX);

        let base = first.base();
        drop(first);
        assert_eq!(PortBlock::retake(base, 4).await.unwrap().base(), base);
    }
}
