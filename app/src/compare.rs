//! Where two homes of one chain differ: the first height, and there the rows. It reads what nodes left behind and changes
//! nothing; after a fork, or where an alarm names an app hash, it leads to the key.

use std::{iter::Peekable, vec};

use bytes::Bytes;
use kernel::{AppHash, Fatal, Record as _, Space, chain};
use store::{Archive, OpenError};

use crate::modules::STORES;

/// Rows that are read at once.
const PAGE: usize = 1_000;

/// Why two homes can't be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They are of different chains.
    #[error("the homes are of the chains {0:?} and {1:?}")]
    Chains(String, String),
    /// No height is in both.
    #[error("no height is in both homes: one has {} to {}, the other {} to {}", .0.0, .0.1, .1.0, .1.1)]
    Apart((u64, u64), (u64, u64)),
    /// One of them does not have this height.
    #[error("height {asked} is not in both homes: they share {oldest} to {latest}")]
    Height {
        /// What was asked.
        asked: u64,
        /// The oldest height that both have.
        oldest: u64,
        /// The last height that both have.
        latest: u64,
    },
    /// A home can't be read.
    #[error(transparent)]
    Store(#[from] OpenError),
}

impl From<Fatal> for Error {
    fn from(fatal: Fatal) -> Self {
        OpenError::from(fatal).into()
    }
}

/// A row that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its module.
    pub module: &'static str,
    /// Whether it is an entry of an index or a queue, not a record.
    pub is_derived: bool,
    /// Its key.
    pub key: Bytes,
    /// What the first and the second home have.
    pub values: [Option<Bytes>; 2],
}

/// How two homes compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The heights that both have.
    pub shared: (u64, u64),
    /// The height that was compared row by row: the one that was asked for, else the first with another app hash, else
    /// the last shared one.
    pub height: u64,
    /// The app hashes after it.
    pub app_hashes: [Option<AppHash>; 2],
    /// How many rows differ, by module; only modules with such rows.
    pub modules: Vec<(&'static str, u64)>,
    /// The first of those rows.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Whether the homes hold the same.
    pub fn is_same(&self) -> bool {
        self.app_hashes[0] == self.app_hashes[1] && self.modules.is_empty()
    }

    /// They differ at the oldest height that can be looked at: the first difference may be older.
    pub fn may_be_older(&self) -> bool {
        !self.is_same() && self.height == self.shared.0
    }
}

/// Compares two homes at a height, or where they first differ, and names at most `rows_max` rows.
pub fn compare(homes: [&Archive; 2], asked: Option<u64>, rows_max: usize) -> Result<Comparison, Error> {
    let [a, b] = homes;
    if let (Some(one), Some(other)) = (chain_id(a)?, chain_id(b)?)
        && one != other
    {
        return Err(Error::Chains(one, other));
    }
    let (oldest, latest) = (a.heights().0.max(b.heights().0), a.heights().1.min(b.heights().1));
    if oldest > latest {
        return Err(Error::Apart(a.heights(), b.heights()));
    }
    let height = match asked {
        Some(asked) if asked < oldest || asked > latest => {
            return Err(Error::Height { asked, oldest, latest });
        }
        Some(asked) => asked,
        None => first_difference(homes, oldest, latest)?.unwrap_or(latest),
    };
    let (mut modules, mut rows) = (Vec::new(), Vec::new());
    for (store, module) in STORES {
        let mut count: u64 = 0;
        for (space, is_derived) in [(Space::State(*store), false), (Space::Derived(*store), true)] {
            let mut pair = [Rows::new(a, space, height), Rows::new(b, space, height)];
            while let Some((key, values)) = next_difference(&mut pair)? {
                count = count.saturating_add(1);
                if rows.len() < rows_max {
                    rows.push(Row { module, is_derived, key, values });
                }
            }
        }
        if count > 0 {
            modules.push((*module, count));
        }
    }
    let app_hashes = [a.app_hash(height)?, b.app_hash(height)?];
    Ok(Comparison { shared: (oldest, latest), height, app_hashes, modules, rows })
}

/// The chain that a home belongs to; none if the row is broken, which then is one of those that differ.
fn chain_id(home: &Archive) -> Result<Option<String>, Error> {
    let rows = home.rows(Space::State(chain::STORE), home.heights().1, &chain::CHAIN_KEY, 1)?;
    let row = rows.first().filter(|(key, _)| key.as_ref() == chain::CHAIN_KEY);
    let decoded = row.and_then(|(_, row)| {
        let (version, body) = row.split_first()?;
        chain::Chain::decode(*version, body)
    });
    Ok(decoded.map(|chain| chain.id))
}

/// The first shared height with different app hashes.
fn first_difference([a, b]: [&Archive; 2], oldest: u64, latest: u64) -> Result<Option<u64>, Error> {
    for height in oldest..=latest {
        if a.app_hash(height)? != b.app_hash(height)? {
            return Ok(Some(height));
        }
    }
    Ok(None)
}

/// A key, and its values in both.
type Entry = (Bytes, [Option<Bytes>; 2]);

/// The next key that is not in both, or has two values.
fn next_difference(pair: &mut [Rows<'_>; 2]) -> Result<Option<Entry>, Error> {
    let [a, b] = pair;
    loop {
        let (first, second) = (a.peek()?, b.peek()?);
        let key = match (&first, &second) {
            (None, None) => return Ok(None),
            (Some(key), None) | (None, Some(key)) => key.clone(),
            (Some(one), Some(other)) => one.min(other).clone(),
        };
        let values = [a.take(&key), b.take(&key)];
        if values[0] != values[1] {
            return Ok(Some((key, values)));
        }
    }
}

/// The rows of a space at a height, a page at a time.
struct Rows<'a> {
    archive: &'a Archive,
    space: Space,
    height: u64,
    page: Peekable<vec::IntoIter<(Bytes, Bytes)>>,
    /// Where the next page begins; none: this was the last.
    next: Option<Vec<u8>>,
}

impl<'a> Rows<'a> {
    fn new(archive: &'a Archive, space: Space, height: u64) -> Self {
        Self { archive, space, height, page: Vec::new().into_iter().peekable(), next: Some(Vec::new()) }
    }

    /// The key of the next row.
    fn peek(&mut self) -> Result<Option<Bytes>, Error> {
        while self.page.peek().is_none() {
            let Some(start) = self.next.take() else { return Ok(None) };
            let rows = self.archive.rows(self.space, self.height, &start, PAGE)?;
            self.next =
                rows.last().filter(|_| rows.len() == PAGE).map(|(key, _)| [key.as_ref(), &[0]].concat());
            self.page = rows.into_iter().peekable();
        }
        Ok(self.page.peek().map(|(key, _)| key.clone()))
    }

    /// The value of the next row, if that is its key.
    fn take(&mut self, key: &Bytes) -> Option<Bytes> {
        self.page.next_if(|(next, _)| next == key).map(|(_, value)| value)
    }
}
