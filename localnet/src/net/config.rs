//! The nodes' configuration files: every setting that differs from the default, and why.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use super::ports::NodePorts;

/// How fast a net makes blocks, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// The longest time that bytes for a peer wait for more bytes.
    pub flush_throttle_ms: u32,
    /// How long the gossip of consensus messages sleeps when it has nothing to send.
    pub gossip_sleep_ms: u32,
    /// How long validators wait for a proposal in the first round.
    pub propose_ms: u32,
    /// How long they wait for more votes after two thirds voted without agreeing.
    pub vote_ms: u32,
    /// How much longer each further round waits.
    pub delta_ms: u32,
    /// The pause after a block.
    pub commit_ms: u32,
}

impl Timing {
    /// As fast as one machine can: for demos and tests. A block needs three message delays, and each waits for the two
    /// sleeps: four idle validators make a block every 50 ms with both at 10 ms, every 34 ms with both at 5 ms, every 27 ms
    /// with both at 2 ms, and use .5, .6 and .8 cores for it.
    pub fn fast() -> Self {
        Self {
            flush_throttle_ms: 5,
            gossip_sleep_ms: 5,
            propose_ms: 500,
            vote_ms: 300,
            delta_ms: 300,
            commit_ms: 0,
        }
    }

    /// As a public net would run: the pause after a block sets the pace and lets slow validators' votes in.
    pub fn public() -> Self {
        Self {
            flush_throttle_ms: 10,
            gossip_sleep_ms: 10,
            propose_ms: 3000,
            vote_ms: 1000,
            delta_ms: 500,
            commit_ms: 1000,
        }
    }
}

/// What goes into one node's `config.toml`.
pub struct NodeConfig<'a> {
    /// The node's name.
    pub moniker: &'a str,
    /// What CometBFT connects to: a socket, or the name of a builtin application.
    pub proxy_app: &'a str,
    /// The node's ports.
    pub ports: NodePorts,
    /// The other nodes, as `id@host:port`.
    pub peers: &'a [String],
    /// The consensus timing.
    pub timing: &'a Timing,
    /// CometBFT's log level.
    pub log_level: &'a str,
    /// Whether transactions can be looked up by hash.
    pub is_tx_indexed: bool,
}

impl NodeConfig<'_> {
    /// The text of the file.
    pub fn render(&self) -> String {
        let sections =
            [self.base(), self.rpc(), self.p2p(), self.mempool(), self.consensus(), self.storage()];
        sections.join("\n")
    }

    fn base(&self) -> String {
        let Self { moniker, proxy_app, log_level, .. } = self;
        format!(
            r#"# Written by localnet. Settings that are not here have CometBFT's defaults.
moniker = {moniker}
# The application's socket. The path is relative to the node's home, where both processes run, because the operating
# system holds at most 107 bytes of a socket's path.
proxy_app = {proxy_app}
abci = "socket"
# At the level `info` a fast net writes some twenty lines a block, which costs more than making the block.
log_level = {log_level}
"#,
            moniker = quoted(moniker),
            proxy_app = quoted(proxy_app),
            log_level = quoted(log_level),
        )
    }

    fn rpc(&self) -> String {
        let port = self.ports.rpc;
        format!(
            r#"[rpc]
laddr = "tcp://127.0.0.1:{port}"
# The caps on what one client may ask for. A batch of a hundred transactions makes a load generator cheap.
max_body_bytes = 1000000
max_request_batch_size = 100
max_open_connections = 900
max_subscription_clients = 100
max_subscriptions_per_client = 20
# A subscriber that reads too slowly is closed; otherwise it silently misses events.
experimental_close_on_slow_client = true
"#
        )
    }

    fn p2p(&self) -> String {
        let port = self.ports.p2p;
        let peers = quoted(self.peers.join(","));
        let flush = milliseconds(self.timing.flush_throttle_ms);
        format!(
            r#"[p2p]
laddr = "tcp://127.0.0.1:{port}"
# Every node dials every other, so nothing has to be discovered.
persistent_peers = {peers}
pex = false
# All nodes have the same, private address.
addr_book_strict = false
allow_duplicate_ip = true
# Bytes for a peer wait this long for more of them. The default of 100 ms is waited for in every step of every block.
flush_throttle_timeout = {flush}
# A packet carries 1 kB by default, so a full block takes thousands of them; and 5 MB/s would cap the block rate.
max_packet_msg_payload_size = 16384
send_rate = 50000000
recv_rate = 50000000
# A node that is killed and restarted is refused by its peers while they hold the old connection: retry soon.
dial_timeout = "1s"
handshake_timeout = "5s"
"#
        )
    }

    fn mempool(&self) -> String {
        r#"[mempool]
# Room for several full blocks, in number and in bytes; what is more is refused at once, and the sender learns it.
size = 20000
max_txs_bytes = 67108864
max_tx_bytes = 262144
# Known transactions are dropped before the application is asked.
cache_size = 40000
# Each transaction is checked again after each block, so that none which became invalid is proposed.
recheck = true
# A transaction that was refused may become valid, such as by an earlier sequence that arrives late.
keep-invalid-txs-in-cache = false
"#
        .to_owned()
    }

    fn consensus(&self) -> String {
        let Timing { gossip_sleep_ms, propose_ms, vote_ms, delta_ms, commit_ms, .. } = *self.timing;
        format!(
            r#"[consensus]
# Waited for only when the proposer is down, or its proposal late: with one of four validators down, at every fourth block.
timeout_propose = {propose}
timeout_propose_delta = {delta}
# Waited for only when two thirds have voted and don't agree.
timeout_prevote = {vote}
timeout_prevote_delta = {delta}
timeout_precommit = {vote}
timeout_precommit_delta = {delta}
# The pause after each block. It paces a public net; 0 makes blocks as fast as messages travel.
timeout_commit = {commit}
# Leases are paid by block time, so there is a block even when there is no transaction.
create_empty_blocks = true
create_empty_blocks_interval = "0s"
# The gossip of votes and block parts sleeps this long when a peer has all that it has. The default of 100 ms is waited for
# in every step of every block, unless the flush above waits anyway: only both together make blocks fast.
peer_gossip_sleep_duration = {gossip}
"#,
            propose = milliseconds(propose_ms),
            delta = milliseconds(delta_ms),
            vote = milliseconds(vote_ms),
            commit = milliseconds(commit_ms),
            gossip = milliseconds(gossip_sleep_ms),
        )
    }

    fn storage(&self) -> String {
        let indexer = quoted(if self.is_tx_indexed { "kv" } else { "null" });
        format!(
            r#"[storage]
# The results of every block are kept: block_results serves them, and a restart compares with them.
discard_abci_responses = false

[tx_index]
# `kv` lets a client find its transaction by hash; it costs about a fifth of the throughput under full load.
indexer = {indexer}
"#
        )
    }
}

/// What goes into Underbid's `app.toml`.
pub struct AppConfig {
    /// The node's ports.
    pub ports: NodePorts,
    /// The socket for CometBFT, relative to the node's home.
    pub abci_socket: &'static str,
    /// The bound on each of the two large memories.
    pub memory_mib: u64,
}

impl AppConfig {
    /// The text of the file.
    pub fn render(&self) -> String {
        let Self { abci_socket, memory_mib, ports: NodePorts { rpc, grpc, metrics, .. } } = self;
        format!(
            r#"# Written by localnet. `underbid config --home .` shows every setting in force.
# Relative to the directory that the node runs in, like `proxy_app` in config.toml.
abci = "unix://{abci_socket}"
grpc = "127.0.0.1:{grpc}"
metrics = "127.0.0.1:{metrics}"
# So that `underbid --home` with this directory asks this node.
node = "http://127.0.0.1:{rpc}"
# The keys of a net on one machine protect nothing.
keyring = "test"
# Several nodes share one machine.
cache_memory_mib = {memory_mib}
history_memory_mib = {memory_mib}
"#
        )
    }
}

fn milliseconds(value: u32) -> String {
    quoted(format!("{value}ms"))
}

/// A TOML string.
fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

#[cfg(test)]
mod tests {
    use super::{NodeConfig, Timing};
    use crate::net::ports::PortBlock;

    #[test]
    fn the_file_is_toml_whatever_the_strings_hold() {
        let ports = PortBlock::take(1, None).unwrap().node(0);
        let config = NodeConfig {
            moniker: "no\"de\\",
            proxy_app: "unix://abci.sock",
            ports,
            peers: &["a@127.0.0.1:1".into(), "b@127.0.0.1:2".into()],
            timing: &Timing::public(),
            log_level: "error",
            is_tx_indexed: false,
        };
        let table: toml::Table = config.render().parse().unwrap();
        assert_eq!(table["moniker"].as_str(), Some("no\"de\\"));
        assert_eq!(table["p2p"]["persistent_peers"].as_str(), Some("a@127.0.0.1:1,b@127.0.0.1:2"));
        assert_eq!(table["consensus"]["timeout_commit"].as_str(), Some("1000ms"));
        assert_eq!(table["tx_index"]["indexer"].as_str(), Some("null"));
    }
}
