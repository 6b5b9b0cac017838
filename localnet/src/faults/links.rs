//! The links between nodes, to cut, to stall and to slow: a TCP proxy for each node that dials another.
//!
//! Both nodes of a pair dial, so each direction of bytes may travel over two connections; what is said of a direction holds
//! for both. A cut of either direction closes the connections and refuses new ones, as a reset would; a stall holds the bytes
//! of one direction back and delivers them afterwards, as TCP does after packets were lost; a loss drops them and leaves the
//! other direction alone, until it ends and with it the connection, as after a hole that TCP gave up to fill.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::net::Net;

/// The most bytes that travel as one.
const CHUNK_BYTES: usize = 16 * 1024;
/// The most chunks on their way in one direction: what a stalled link holds has a bound.
const CHUNKS_MAX: usize = 256;

/// What happens to the bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    Open,
    /// They pass after so long, plus or minus a part of it that differs from chunk to chunk.
    Delayed {
        /// The mean.
        mean: Duration,
        /// The most by which it differs.
        jitter: Duration,
    },
    /// They wait.
    Stalled,
    /// They are dropped.
    Lost,
    /// There is no connection.
    Cut,
}

/// From which node to which.
type Direction = (usize, usize);

/// All links of a net, open at first.
pub struct Links {
    nodes: usize,
    flows: BTreeMap<Direction, watch::Sender<Flow>>,
    ports: BTreeMap<Direction, u16>,
    listeners: Vec<(Direction, TcpListener)>,
    tasks: JoinSet<()>,
}

impl Links {
    /// Opens a port for each pair of the first `nodes`; nothing passes before [`Links::connect`].
    pub async fn open(nodes: usize) -> io::Result<Self> {
        let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        let pairs: Vec<Direction> = pairs.filter(|(from, to)| from != to).collect();
        let flows = pairs.iter().map(|pair| (*pair, watch::Sender::new(Flow::Open))).collect();
        let (mut ports, mut listeners) = (BTreeMap::new(), Vec::new());
        for pair in pairs {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            ports.insert(pair, listener.local_addr()?.port());
            listeners.push((pair, listener));
        }
        Ok(Self { nodes, flows, ports, listeners, tasks: JoinSet::new() })
    }

    /// Where each node dials each other one.
    pub fn ports(&self) -> BTreeMap<Direction, u16> {
        self.ports.clone()
    }

    /// Lets the bytes through to the nodes of this net.
    pub fn connect(&mut self, net: &Net) -> Result<(), crate::net::Error> {
        for ((from, to), listener) in std::mem::take(&mut self.listeners) {
            let target = SocketAddr::from((Ipv4Addr::LOCALHOST, net.node(to)?.ports().p2p));
            let (there, back) = (self.flow(from, to), self.flow(to, from));
            self.tasks.spawn(accept(listener, target, there, back));
        }
        Ok(())
    }

    fn flow(&self, from: usize, to: usize) -> watch::Receiver<Flow> {
        self.flows
            .get(&(from, to))
            .map_or_else(|| watch::Sender::new(Flow::Open).subscribe(), watch::Sender::subscribe)
    }

    /// Sets one direction.
    pub fn set(&self, from: usize, to: usize, flow: Flow) {
        if let Some(sender) = self.flows.get(&(from, to)) {
            sender.send_replace(flow);
        }
    }

    /// Sets both directions of every pair that `is_meant` names.
    pub fn set_pairs(&self, flow: Flow, is_meant: impl Fn(usize, usize) -> bool) {
        for from in 0..self.nodes {
            for to in (0..self.nodes).filter(|to| *to != from) {
                if is_meant(from.min(to), from.max(to)) {
                    self.set(from, to, flow);
                }
            }
        }
    }

    /// Opens all.
    pub fn heal(&self) {
        self.set_pairs(Flow::Open, |_, _| true);
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    there: watch::Receiver<Flow>,
    back: watch::Receiver<Flow>,
) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((dialer, _)) = listener.accept().await else { continue };
        if is_cut(&there) || is_cut(&back) {
            continue;
        }
        let (there, back) = (there.clone(), back.clone());
        connections.spawn(async move {
            // A node that is down refuses, and so its dialer is refused: by the end of this connection.
            if let Ok(dialled) = TcpStream::connect(target).await {
                join(dialer, dialled, there, back).await;
            }
        });
    }
}

fn is_cut(flow: &watch::Receiver<Flow>) -> bool {
    *flow.borrow() == Flow::Cut
}

/// Passes bytes both ways until either side ends or the link is cut; then both sides are closed.
async fn join(
    dialer: TcpStream,
    dialled: TcpStream,
    there: watch::Receiver<Flow>,
    back: watch::Receiver<Flow>,
) {
    for stream in [&dialer, &dialled] {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a link keeps Nagle's delay");
        }
    }
    let (mut cut_there, mut cut_back) = (there.clone(), back.clone());
    let (dialer_read, dialer_write) = dialer.into_split();
    let (dialled_read, dialled_write) = dialled.into_split();
    tokio::select! {
        () = pump(dialer_read, dialled_write, there) => {}
        () = pump(dialled_read, dialer_write, back) => {}
        _ = cut_there.wait_for(|flow| *flow == Flow::Cut) => {}
        _ = cut_back.wait_for(|flow| *flow == Flow::Cut) => {}
    }
}

async fn pump(from: OwnedReadHalf, to: OwnedWriteHalf, flow: watch::Receiver<Flow>) {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::select! {
        () = receive(from, sender) => {}
        () = deliver(to, receiver, flow) => {}
    }
}

type Chunk = (Instant, Arc<[u8]>);

async fn receive(mut from: OwnedReadHalf, chunks: mpsc::Sender<Chunk>) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let chunk = Arc::from(&buffer[..length]);
        if chunks.send((Instant::now(), chunk)).await.is_err() {
            return;
        }
    }
}

async fn deliver(mut to: OwnedWriteHalf, mut chunks: mpsc::Receiver<Chunk>, mut flow: watch::Receiver<Flow>) {
    let mut is_whole = true;
    loop {
        let next = tokio::select! {
            next = chunks.recv() => next,
            _ = flow.wait_for(|flow| *flow != Flow::Lost), if !is_whole => return,
        };
        let Some((arrived, chunk)) = next else { return };
        let now = flow.wait_for(|flow| *flow != Flow::Stalled).await.map(|flow| *flow);
        let Ok(flow) = now else { return };
        if flow == Flow::Lost {
            is_whole = false;
            continue;
        }
        if let Flow::Delayed { mean, jitter } = flow {
            let factor = rand::random_range(-1.0..=1.0);
            let shift = jitter.mul_f64(f64::abs(factor));
            let delay = if factor < 0.0 { mean.saturating_sub(shift) } else { mean + shift };
            tokio::time::sleep_until(arrived + delay).await;
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::watch;

    use super::{Flow, accept};

    #[tokio::test]
    async fn a_stall_and_a_loss_hit_one_direction_and_a_cut_ends_both() {
        let (front, back) = (
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        );
        let (address, target) = (front.local_addr().unwrap(), back.local_addr().unwrap());
        let (there, back_flow) = (watch::Sender::new(Flow::Open), watch::Sender::new(Flow::Open));
        let proxy = tokio::spawn(accept(front, target, there.subscribe(), back_flow.subscribe()));
        let mut dialer = TcpStream::connect(address).await.unwrap();
        let (mut dialled, _) = back.accept().await.unwrap();

        let mut byte = [0];
        there.send_replace(Flow::Stalled);
        dialer.write_all(b"a").await.unwrap();
        dialled.write_all(b"b").await.unwrap();
        dialer.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, *b"b");
        // The reverse direction went through, while nothing of the stalled one has arrived.
        assert!(dialled.try_read(&mut byte).is_err());
        there.send_replace(Flow::Open);
        dialled.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, *b"a");

        there.send_replace(Flow::Lost);
        dialer.write_all(b"c").await.unwrap();
        dialled.write_all(b"d").await.unwrap();
        dialer.read_exact(&mut byte).await.unwrap();
        assert_eq!(byte, *b"d");
        assert!(dialled.try_read(&mut byte).is_err());
        // What comes after the hole would not fit what came before it.
        there.send_replace(Flow::Open);
        assert_eq!(dialled.read(&mut byte).await.unwrap(), 0);
        let mut dialer = TcpStream::connect(address).await.unwrap();
        let (mut dialled, _) = back.accept().await.unwrap();

        back_flow.send_replace(Flow::Cut);
        assert_eq!(dialer.read(&mut byte).await.unwrap(), 0);
        assert_eq!(dialled.read(&mut byte).await.unwrap(), 0);
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert!(matches!(refused.read(&mut byte).await, Ok(0) | Err(_)));
        proxy.abort();
    }
}
