//! A market on a net: eight providers' bots bid one another down for seven orders of four tenants, whose leases end in five
//! ways. All of it is signed transactions over the nodes' RPC; what the table and the summary show is read from the blocks.
//!
//! [`plot`] says what is played, [`cast`] who plays; [`stage`] plays it, with a [`bot`] a provider; [`board`] follows the
//! blocks, [`screen`] shows it, [`summary`] says what it came to, and whether the [`ledger`] of all events agrees with the
//! bank.

pub mod board;
pub mod bot;
pub mod cast;
pub mod facts;
pub mod ledger;
pub mod orders;
pub mod plot;
mod queries;
mod report;
pub mod screen;
pub mod sender;
pub mod stage;
pub mod summary;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use underbid::client::rpc;

pub use screen::Screen;
pub use stage::Stage;
pub use summary::Summary;

use crate::net::{self, Net};

/// Why the play could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The net failed.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// A node did not answer as expected.
    #[error(transparent)]
    Rpc(#[from] rpc::Error),
    /// The chain did not do what the play needs.
    #[error(transparent)]
    Chain(#[from] underbid::client::chain::Error),
    /// The accounts or the genesis document are not what the play needs.
    #[error("{0}")]
    Cast(String),
    /// Something did not happen.
    #[error("{what} did not come within {timeout:?}; the chain is at height {height}")]
    Overdue {
        /// What was waited for.
        what: String,
        /// How long.
        timeout: Duration,
        /// The last block.
        height: u64,
    },
}

/// Plays everything on a net that was made from this genesis document at `started`, and counts it together.
pub async fn play(net: &Net, genesis: &Value, screen: Screen, started: Instant) -> Result<Summary, Error> {
    let mut stage = Stage::open(net, genesis)?;
    let shown = tokio::spawn(screen.show(Arc::clone(stage.shared())));
    let played = async {
        stage.prepare().await?;
        stage.start_bots().await?;
        stage.play().await?;
        stage.finish().await
    };
    let height = tokio::select! {
        height = played => height,
        death = net.died() => Err(net::Error::Died(Box::new(death)).into()),
    };
    // The last frame, and then nothing more, so that it does not cut into what follows.
    tokio::time::sleep(screen::FRAME * 2).await;
    shown.abort();
    Summary::of(&stage, net, height?, started.elapsed().as_secs_f64()).await
}
