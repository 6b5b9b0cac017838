//! Reading the past: the value of a key at a height is its first undo entry above that height, else the current
//! value.

use std::{cmp::Ordering, iter::Peekable};

use bytes::Bytes;
use kernel::Fatal;

/// A key with its value.
pub(crate) type Row = (Bytes, Bytes);

/// A key, the height of a block that changed it, and its value before.
pub(crate) type Undo = (Bytes, u64, Option<Bytes>);

/// The rows of a range at `height`, at most `limit`. `current` is in key order; `undo` in the order of (key,
/// height), and read after `current`, so that a block committed between the two changes nothing.
pub(crate) fn rows_at(
    height: u64,
    current: impl Iterator<Item = Result<Row, Fatal>>,
    undo: impl Iterator<Item = Result<Undo, Fatal>>,
    limit: usize,
) -> Result<Vec<Row>, Fatal> {
    let mut current = current.peekable();
    let mut undo = Before { undo: undo.peekable(), height };
    let mut old = undo.next().transpose()?;
    let mut rows = Vec::new();
    while rows.len() < limit {
        let next = match current.peek() {
            Some(Ok((key, _))) => Some(key),
            Some(Err(fatal)) => return Err(fatal.clone()),
            None => None,
        };
        let order = match (next, &old) {
            (Some(key), Some((changed, _))) => key.cmp(changed),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        if order.is_lt() {
            rows.extend(current.next().transpose()?);
            continue;
        }
        if order.is_eq() {
            current.next().transpose()?;
        }
        if let Some((key, Some(value))) = old {
            rows.push((key, value));
        }
        old = undo.next().transpose()?;
    }
    Ok(rows)
}

/// Of each key the first entry above a height.
struct Before<I: Iterator> {
    undo: Peekable<I>,
    height: u64,
}

impl<I: Iterator<Item = Result<Undo, Fatal>>> Iterator for Before<I> {
    type Item = Result<(Bytes, Option<Bytes>), Fatal>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, height, old) = match self.undo.next()? {
                Ok(entry) => entry,
                Err(fatal) => return Some(Err(fatal)),
            };
            if height <= self.height {
                continue;
            }
            while self.undo.next_if(|later| matches!(later, Ok((other, _, _)) if *other == key)).is_some() {}
            return Some(Ok((key, old)));
        }
    }
}
