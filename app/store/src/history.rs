//! Reading the past: the value of a key at a height is its first undo entry above that height, else the current
//! value.

use std::{cmp::Ordering, iter};

use bytes::Bytes;
use kernel::Fatal;

/// A key with its value.
pub(crate) type Row = (Bytes, Bytes);

/// A key, the height of a block that changed it, and its value before.
pub(crate) type Undo = (Bytes, u64, Option<Bytes>);

/// An undo entry that was looked for.
pub(crate) type Found = Result<Option<Undo>, Fatal>;

/// The rows of a range at `height`, at most `limit`. `current` is in key order from `start` on; `undo` finds the range's
/// first entry at or behind a key and a height, and is read after `current`, so that a block committed between the
/// two changes nothing. `step` is asked before each call of `undo`: what has been removed since is stepped over, however
/// much it is, and an error ends that.
pub(crate) fn rows_at<E: From<Fatal>>(
    height: u64,
    start: &[u8],
    current: impl Iterator<Item = Result<Row, Fatal>>,
    undo: impl FnMut(&[u8], u64) -> Found,
    limit: usize,
    step: impl FnMut() -> Result<(), E>,
) -> Result<Vec<Row>, E> {
    let mut current = current.peekable();
    let mut changed = changed_since(height, start, undo, step).peekable();
    let mut rows = Vec::new();
    while rows.len() < limit {
        let order = match (current.peek(), changed.peek()) {
            (Some(Ok((key, _))), Some(Ok((changed, _)))) => key.cmp(changed),
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        if order.is_le() {
            let row = current.next().transpose()?;
            rows.extend(row.filter(|_| order.is_lt()));
        }
        if order.is_ge()
            && let Some((key, Some(value))) = changed.next().transpose()?
        {
            rows.push((key, value));
        }
    }
    Ok(rows)
}

/// The keys that blocks above `height` have changed, in order, each with its value at `height`. A look for every key, and a
/// second one if older blocks have changed it too: however many have, they are not stepped over.
fn changed_since<E: From<Fatal>>(
    height: u64,
    start: &[u8],
    mut undo: impl FnMut(&[u8], u64) -> Found,
    mut step: impl FnMut() -> Result<(), E>,
) -> impl Iterator<Item = Result<(Bytes, Option<Bytes>), E>> {
    let mut from = (Bytes::copy_from_slice(start), 0);
    let mut next = move || {
        loop {
            step()?;
            let Some((key, changed, old)) = undo(&from.0, from.1)? else { return Ok(None) };
            if changed > height {
                // No key lies between a key and itself with a zero behind it.
                from = ([key.as_ref(), &[0]].concat().into(), 0);
                return Ok(Some((key, old)));
            }
            from = (key, height.saturating_add(1));
        }
    };
    iter::from_fn(move || next().transpose())
}
