//! A validator that proposes what it must not: B5.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;

use super::bed::{Made, Options, PATIENCE, wait_until};
use super::checks::Check;
use super::relay::{LIES, Liar, relay};
use super::{Error, Played, conclude, failed};
use crate::net::Injection;

/// The socket of the relay, relative to the node's home.
const RELAY: &str = "relay.sock";

/// B5.
pub async fn lies(options: &Options) -> Result<Played, Error> {
    let made = Made::new(options, |_| {})?;
    let liar = Arc::new(Liar::default());
    let node = Arc::clone(made.net.node(1)?);
    let front = UnixListener::bind(node.home().join(RELAY)).map_err(failed)?;
    let back = node.home().join("abci.sock");
    let standing = Arc::clone(&liar);
    let relaying = tokio::spawn(async move { relay(front, &back, standing).await });
    node.inject(Injection {
        comet_arguments: vec!["--proxy_app".to_owned(), format!("unix://{RELAY}")],
        ..Injection::default()
    });
    let bed = made.open().await?;
    let rounds = if options.is_long { 50 } else { 3 };
    let enough = async || liar.told().len() >= LIES.len() * rounds;
    wait_until("the liar has told every lie", PATIENCE * 2, enough).await?;
    // The honest ones go on, and the liar as one of them.
    node.stop().await;
    node.inject(Injection::default());
    node.start().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    relaying.abort();

    let told = liar.told();
    let kinds: BTreeSet<_> = told.iter().collect();
    let refused = refusals(&bed)?;
    let detail =
        format!("{} proposals of {} kinds were falsified, {refused} were rejected", told.len(), kinds.len());
    let check = Check::new("B5", kinds.len() == LIES.len() && refused > 0, detail);
    let failed_in_blocks = bed.stage.shared().read(|board| board.transactions.1);
    let findings =
        vec![format!("{failed_in_blocks} transactions failed in blocks, each for its sender's code")];
    let cycles = u32::try_from(told.len()).unwrap_or(u32::MAX);
    conclude(bed, cycles, vec![check], findings).await
}

/// How often node 0 voted against a proposal.
fn refusals(bed: &super::bed::Bed) -> Result<usize, Error> {
    let log = std::fs::read_to_string(bed.net.node(0)?.home().join("app.log")).map_err(failed)?;
    Ok(log.lines().filter(|line| line.contains("a proposal is rejected")).count())
}
