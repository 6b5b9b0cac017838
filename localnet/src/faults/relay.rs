//! A proposer that lies: between CometBFT and its application stands a relay that replaces the transactions of proposals.
//!
//! More bytes than a block holds can not be told: the liar's own CometBFT ends its consensus over them.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use prost::bytes::{Buf, Bytes, BytesMut};
use proto::cosmos::tx::v1beta1::{AuthInfo, TxRaw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

/// How a proposal is falsified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// Bytes that are no transaction.
    Garbage,
    /// A transaction twice.
    Duplicate,
    /// A transaction that was in a proposal before.
    Replay,
    /// A transaction with another signature, before the true one.
    Forgery,
    /// A transaction that asks for more gas than a block has.
    MaxGas,
    /// Nothing, whatever waits.
    Silence,
}

/// All of them, in the order in which they are told.
pub const LIES: [Lie; 6] =
    [Lie::Garbage, Lie::Duplicate, Lie::Replay, Lie::Forgery, Lie::MaxGas, Lie::Silence];

/// What was told, and the material for more.
#[derive(Default)]
pub struct Liar {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    told: Vec<(Lie, Bytes)>,
    seen: Option<Bytes>,
}

impl Liar {
    /// The lies that were told, in order, each with the transaction that it is about.
    pub fn told(&self) -> Vec<(Lie, Bytes)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).told.clone()
    }

    /// Replaces the transactions of a proposal.
    fn falsify(&self, honest: Vec<Bytes>) -> Vec<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(fresh) = honest.first().cloned() else { return honest };
        let Some(seen) = state.seen.replace(fresh.clone()) else { return honest };
        let lie = LIES[state.told.len() % LIES.len()];
        let tx = match lie {
            Lie::Garbage => Bytes::from_static(b"no transaction"),
            Lie::Duplicate | Lie::Silence => fresh,
            Lie::Replay => seen,
            Lie::Forgery => forged(&fresh, |raw| flip(&mut raw.signatures)),
            Lie::MaxGas => forged(&fresh, ask_for_all),
        };
        state.told.push((lie, tx.clone()));
        match lie {
            Lie::Silence => Vec::new(),
            // It has the sequence of the honest one, which must not have been used yet.
            Lie::Forgery => [vec![tx], honest].concat(),
            _ => [honest, vec![tx]].concat(),
        }
    }
}

/// ABCI's response, as far as it is falsified: all others are passed on as they are.
#[derive(prost::Message)]
struct Answer {
    #[prost(message, optional, tag = "17")]
    proposal: Option<Proposal>,
}

/// ABCI's response to PrepareProposal.
#[derive(prost::Message)]
struct Proposal {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    txs: Vec<Bytes>,
}

fn forged(tx: &[u8], change: impl FnOnce(&mut TxRaw)) -> Bytes {
    let mut raw = TxRaw::decode(tx).unwrap_or_default();
    change(&mut raw);
    raw.encode_to_vec().into()
}

fn flip(signatures: &mut [Vec<u8>]) {
    if let Some(byte) = signatures.first_mut().and_then(|signature| signature.get_mut(40)) {
        *byte ^= 1;
    }
}

fn ask_for_all(raw: &mut TxRaw) {
    let mut auth = AuthInfo::decode(raw.auth_info_bytes.as_slice()).unwrap_or_default();
    auth.fee.get_or_insert_default().gas_limit = u64::MAX;
    raw.auth_info_bytes = auth.encode_to_vec();
}

/// Relays every connection on `front` to the socket `back`, until the task is dropped.
pub async fn relay(front: UnixListener, back: &Path, liar: Arc<Liar>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((comet, _)) = front.accept().await else { continue };
        let Ok(app) = UnixStream::connect(back).await else { continue };
        let liar = Arc::clone(&liar);
        connections.spawn(async move {
            let (mut comet_read, comet_write) = comet.into_split();
            let (app_read, mut app_write) = app.into_split();
            tokio::select! {
                ended = tokio::io::copy(&mut comet_read, &mut app_write) => drop(ended),
                ended = answers(app_read, comet_write, &liar) => drop(ended),
            }
        });
    }
}

/// Passes the application's answers on, but for those that are proposals.
async fn answers(mut app: OwnedReadHalf, mut comet: OwnedWriteHalf, liar: &Liar) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    while app.read_buf(&mut buffer).await? > 0 {
        while let Some(frame) = next_frame(&mut buffer) {
            let answer = Answer::decode(frame.as_ref()).map_err(io::Error::other)?;
            let passed = match answer.proposal {
                None => frame,
                Some(Proposal { txs }) => {
                    let proposal = Some(Proposal { txs: liar.falsify(txs) });
                    BytesMut::from(Answer { proposal }.encode_to_vec().as_slice())
                }
            };
            let mut length = BytesMut::new();
            prost::encode_length_delimiter(passed.len(), &mut length).map_err(io::Error::other)?;
            comet.write_all(&[length, passed].concat()).await?;
        }
    }
    Ok(())
}

/// Takes a whole frame out of the buffer, without its length.
fn next_frame(buffer: &mut BytesMut) -> Option<BytesMut> {
    let mut rest: &[u8] = buffer;
    let length = prost::decode_length_delimiter(&mut rest).ok()?;
    let prefix = buffer.len() - rest.len();
    if rest.len() < length {
        return None;
    }
    buffer.advance(prefix);
    Some(buffer.split_to(length))
}
