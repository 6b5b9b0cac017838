//! The rules that both stores share: what may be committed, which heights may be read, how far history goes back.

use kernel::{AppHash, Changes, Fatal, HeightError, Staged};

use crate::forest::{Forest, StagedForest};

/// A staged candidate as the kernel carries it.
pub(crate) fn staged(nodes: StagedForest, changes: Changes) -> Staged {
    Staged { app_hash: nodes.app_hash, changes, nodes: Box::new(nodes) }
}

/// How many nodes of the tries the candidate hashed: leaves and inner nodes. `None`: another store staged it.
#[must_use]
pub fn nodes_hashed(staged: &Staged) -> Option<u64> {
    staged.nodes.downcast_ref::<StagedForest>().map(|nodes| nodes.nodes_hashed)
}

/// Refuses a candidate that was not staged on the last state, or is not of the next height.
pub(crate) fn checked(
    staged: Staged,
    height: u64,
    last: Option<(u64, AppHash)>,
    forest: &Forest,
) -> Result<(StagedForest, Changes), Fatal> {
    let misuse = |detail: String| Fatal::Invariant { name: "store/commit", detail };
    let next = last.map_or(height.max(1), |(last, _)| last.saturating_add(1));
    if height != next {
        return Err(misuse(format!("height {height} was to be committed, the next is {next}")));
    }
    let nodes = staged.nodes.downcast::<StagedForest>();
    let nodes = nodes.map_err(|_| misuse("another store staged the candidate".into()))?;
    if !forest.fits(&nodes) {
        return Err(misuse(format!("the candidate of height {height} was not staged on the last state")));
    }
    Ok((*nodes, staged.changes))
}

/// The height that is asked for, if it is between the oldest and the latest.
pub(crate) fn in_window(asked: Option<u64>, oldest: u64, latest: u64) -> Result<u64, HeightError> {
    let height = asked.unwrap_or(latest);
    if height < oldest || height > latest {
        return Err(HeightError::OutOfWindow { asked: height, oldest, latest });
    }
    Ok(height)
}

/// The last height and the one to go back to.
pub(crate) fn rollback_target(
    last: Option<(u64, AppHash)>,
    oldest: Option<u64>,
) -> Result<(u64, u64), Fatal> {
    let (last, oldest) = last.zip(oldest).map_or((0, 0), |((last, _), oldest)| (last, oldest));
    if last <= oldest {
        return Err(Fatal::Storage(format!(
            "nothing to go back to: the oldest height is {oldest}, the last {last}"
        )));
    }
    Ok((last, last.saturating_sub(1)))
}

/// Going back must lead to the app hash that was committed.
pub(crate) fn same_hash(height: u64, expected: Option<AppHash>, found: AppHash) -> Result<(), Fatal> {
    if expected == Some(found) {
        return Ok(());
    }
    let hex = |hash: AppHash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let detail = format!(
        "height {height}: stored {}, recomputed {}",
        expected.map(hex).unwrap_or_default(),
        hex(found)
    );
    Err(Fatal::Invariant { name: "store/app_hash", detail })
}

/// A view ends when its height leaves the history, or when history is taken back.
pub(crate) fn still_valid(valid: bool, height: u64) -> Result<(), Fatal> {
    if valid {
        Ok(())
    } else {
        Err(Fatal::Storage(format!("the view of height {height} has left the history")))
    }
}
