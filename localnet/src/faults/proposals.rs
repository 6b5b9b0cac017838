//! A validator that proposes what it must not: B5.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::net::UnixListener;

use super::bed::{Bed, INTERVAL_MAX, Made, Options, PATIENCE, wait_until};
use super::checks::{Check, Code, UNAUTHORIZED, WRONG_SEQUENCE};
use super::relay::{LIES, Liar, Lie, relay};
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
    let first = bed.height().await;
    let rounds: u32 = if options.is_long { 50 } else { 3 };
    let enough = LIES.len() * usize::try_from(rounds).map_err(failed)?;
    wait_until("the liar has told every lie", PATIENCE * rounds, async || liar.told().len() >= enough)
        .await?;
    let intervals = bed.intervals(first, bed.height().await).await?;
    // The honest ones go on, and the liar as one of them.
    node.stop().await;
    node.inject(Injection::default());
    node.start().await?;
    // The last lie's height is decided by then.
    bed.wait_blocks(2, PATIENCE).await?;
    relaying.abort();

    let told = liar.told();
    let executed = executions(&bed).await?;
    let mut checks: Vec<Check> = LIES
        .into_iter()
        .map(|lie| {
            let txs = told.iter().filter(|(kind, _)| *kind == lie).map(|(_, tx)| tx.as_ref());
            judge(lie, &txs.map(|tx| executed.get(tx).map_or(&[][..], Vec::as_slice)).collect::<Vec<_>>())
        })
        .collect();
    let refused = refusals(&bed)?;
    let unfit = told.iter().filter(|(lie, _)| matches!(lie, Lie::Garbage | Lie::MaxGas)).count();
    let detail = format!("the validators voted {refused} times against the {unfit} proposals that are unfit");
    checks.push(Check::new("B5", refused >= unfit, detail));
    let detail = format!(
        "half of the blocks took at most {:.2?} meanwhile, the slowest took {:.2?}",
        intervals.median, intervals.slowest
    );
    checks.push(Check::new("B5", intervals.slowest <= INTERVAL_MAX, detail));
    let cycles = u32::try_from(told.len()).unwrap_or(u32::MAX);
    conclude(bed, cycles, checks, Vec::new()).await
}

/// Why a transaction failed, or the empty codespace and 0.
type Outcome = (String, u32);

/// What became of every transaction, each time that it was in a block.
async fn executions(bed: &Bed) -> Result<BTreeMap<Vec<u8>, Vec<Outcome>>, Error> {
    let rpc = bed.net.node(0)?.rpc();
    let mut executed: BTreeMap<_, Vec<Outcome>> = BTreeMap::new();
    for height in bed.first_height..=rpc.height().await? {
        let results = rpc.wait_for_results(height, PATIENCE).await?.txs_results;
        for (tx, result) in rpc.block(Some(height)).await?.transactions.into_iter().zip(results) {
            executed.entry(tx).or_default().push((result.codespace, result.code));
        }
    }
    Ok(executed)
}

/// Whether all lies of a kind failed as they must, by what became of the transaction of each.
fn judge(lie: Lie, told: &[&[Outcome]]) -> Check {
    let count = |outcomes: &[Outcome], code: Code| {
        outcomes.iter().filter(|(codespace, number)| (codespace.as_str(), *number) == code).count()
    };
    let all = told.concat();
    let (is_lawful, law) = match lie {
        Lie::Garbage | Lie::MaxGas => (all.is_empty(), "none is in a block"),
        Lie::Forgery => {
            (!all.is_empty() && count(&all, UNAUTHORIZED) == all.len(), "each fails for its signature")
        }
        Lie::Duplicate | Lie::Replay => {
            let is_used_once = |outcomes: &&[Outcome]| count(outcomes, WRONG_SEQUENCE) + 1 >= outcomes.len();
            let is_seen = count(&all, WRONG_SEQUENCE) > 0;
            (is_seen && told.iter().all(is_used_once), "all but one of each fail for their sequence")
        }
        Lie::Silence => (true, "a block may be empty"),
    };
    let ok = is_lawful && !told.is_empty();
    let found = if ok { String::new() } else { format!(": {told:?}") };
    Check::new("B5", ok, format!("{lie:?}, {} times, {} in blocks: {law}{found}", told.len(), all.len()))
}

/// How often a validator voted against a proposal.
fn refusals(bed: &Bed) -> Result<usize, Error> {
    let mut refusals = 0;
    for node in bed.net.validators() {
        let log = std::fs::read_to_string(node.home().join("app.log")).map_err(failed)?;
        refusals += log.lines().filter(|line| line.contains("a proposal is rejected")).count();
    }
    Ok(refusals)
}
