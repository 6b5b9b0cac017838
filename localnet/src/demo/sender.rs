//! How an account sends: through one node, and through the next when that one is down. Every refusal is written down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prost::{Message, Name};
use prost_types::Any;
use proto::underbid::kernel::v1::{QueryClockRequest, QueryClockResponse};
use serde::Serialize;
use underbid::client::chain::{self, Client, SendOptions};
use underbid::client::tx::{Outcome, any};

use super::board::Shared;
use super::cast::Member;

/// How long a node may be behind another before the next one is asked.
const CATCH_UP: Duration = Duration::from_secs(5);
const CATCH_UP_POLL: Duration = Duration::from_millis(10);

/// A transaction that the chain did not carry out.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Who sent it.
    pub account: String,
    /// What it was, such as `MsgCreateBid`.
    pub message: String,
    /// Where it was refused: in its `simulation`, by the `mempool`, or in a `block`.
    pub stage: &'static str,
    /// Whose code it is.
    pub codespace: String,
    /// The code.
    pub code: u32,
    /// What was expected.
    pub log: String,
    /// Whether a bot sent it, which loses races by its nature.
    pub is_bot: bool,
}

/// Sends the messages of one account.
pub struct Sender {
    member: Member,
    clients: Vec<Client>,
    current: AtomicUsize,
    shared: Arc<Shared>,
    is_bot: bool,
}

impl Sender {
    /// A sender that prefers the client at `first`.
    pub fn new(
        member: &Member,
        clients: &[Client],
        first: usize,
        shared: &Arc<Shared>,
        is_bot: bool,
    ) -> Self {
        let (member, clients, shared) = (member.clone(), clients.to_vec(), Arc::clone(shared));
        Self { member, clients, current: AtomicUsize::new(first), shared, is_bot }
    }

    /// The account.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// The client of the node in use.
    pub fn client(&self) -> &Client {
        &self.clients[self.current.load(Ordering::Relaxed) % self.clients.len()]
    }

    /// Turns to the next node if the failure is that this one does not answer.
    pub fn turn_away(&self, error: &chain::Error) {
        if matches!(
            error,
            chain::Error::Rpc(_) | chain::Error::NotIncluded { .. } | chain::Error::OutcomeUnknown { .. }
        ) {
            self.current.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Sends one message and waits for its block.
    pub async fn send<M: Message + Name>(&self, message: &M) -> Result<Outcome, chain::Error> {
        self.send_all(vec![any(message)]).await
    }

    /// Sends messages in one transaction and waits for its block.
    pub async fn send_all(&self, messages: Vec<Any>) -> Result<Outcome, chain::Error> {
        let names: Vec<&str> =
            messages.iter().map(|any| any.type_url.rsplit('.').next().unwrap_or_default()).collect();
        let names = names.join("+");
        self.catch_up().await;
        let sent = self.client().send(&[&self.member.key], messages, &SendOptions::default()).await;
        match &sent {
            Ok(outcome) => self.shared.learn(&outcome.hash, outcome.height),
            Err(error) => {
                self.turn_away(error);
                self.write_down(names, error);
            }
        }
        sent
    }

    /// What this message rests on may be in a block that another node told of: this one must have executed it too. A node
    /// that stays behind is left to answer for itself.
    async fn catch_up(&self) {
        let (started, known) = (Instant::now(), self.shared.known_height());
        while started.elapsed() < CATCH_UP {
            // CometBFT's own height runs ahead of the application's, which is the one that answers.
            let clock: Result<QueryClockResponse, _> =
                self.client().query("/underbid.kernel.v1.Query/Clock", &QueryClockRequest {}, None).await;
            match clock {
                Ok(clock) if clock.height >= known => return,
                Ok(_) => tokio::time::sleep(CATCH_UP_POLL).await,
                Err(error) => {
                    self.turn_away(&error);
                    return;
                }
            }
        }
    }

    fn write_down(&self, message: String, error: &chain::Error) {
        let (stage, codespace, code, log) = match error {
            chain::Error::Refused(refusal) | chain::Error::Dropped(refusal) => {
                let stage = if refusal.outcome.is_some() { "block" } else { "mempool" };
                (stage, refusal.codespace.clone(), refusal.code, refusal.log.clone())
            }
            chain::Error::Simulation { codespace, code, .. }
            | chain::Error::Query { codespace, code, .. } => {
                ("simulation", codespace.clone(), *code, error.to_string())
            }
            other => ("node", String::new(), 0, other.to_string()),
        };
        let account = self.member.name.to_owned();
        let refused = Refused { account, message, stage, codespace, code, log, is_bot: self.is_bot };
        self.shared.write(|board| board.refuse(refused));
    }
}
