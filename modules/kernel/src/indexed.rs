//! Records with indexes and deadlines. A record's entries are a pure function of it, so no write can bypass them and
//! they can be rebuilt from the records alone.

use std::{collections::BTreeSet, marker::PhantomData};

use bytes::Bytes;

use crate::{
    backend::{KeyRange, Space, StoreId, View},
    codec::Record,
    ctx::{Ctx, entry_hash},
    error::{Fatal, Result},
    key::{Key, KeyBuf, prefix_end},
    queue::DueQueue,
    table::{Map, PAGE, Page, from_bytes},
    time::{At, Height},
};

crate::record! {
    /// Why due work on a record did not happen, and when it is tried again. Money stays where it is meanwhile.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Hold {
        /// The codespace of the rejection.
        pub codespace: String = 1,
        /// Its code.
        pub code: u32 = 2,
        /// How often it failed.
        pub attempts: u32 = 3,
        /// The height of the next try.
        pub retry_at: At<Height> = 4,
    }
}

/// The entries of one record.
pub struct Derived {
    key: KeyBuf,
    entries: Vec<KeyBuf>,
}

impl Derived {
    /// The entries of a record that has none yet.
    pub fn new(key: &impl Key) -> Self {
        Self { key: key.to_bytes(), entries: Vec::new() }
    }

    /// An index entry: `tag`, the part by which the record is found, the record's key.
    pub fn index(&mut self, tag: u8, part: &impl Key) {
        let mut entry = KeyBuf::new();
        entry.push(tag);
        part.write(&mut entry);
        entry.extend_from_slice(&self.key);
        self.entries.push(entry);
    }

    /// A queue entry: the record is due at `at`.
    pub fn due<C, K: Key, V: Due<K>>(&mut self, queue: &DueQueue<C, K, V>, at: At<C>) {
        self.index(queue.tag(), &at);
    }
}

/// A record with entries of its own.
pub trait Indexed<K>: Record {
    /// Whether the entries follow from the key alone: then they stay when a record is written over.
    const BY_KEY_ALONE: bool = false;

    /// The only source of this record's index and queue entries.
    fn derive(&self, key: &K, out: &mut Derived);
}

/// A record that can stand in a queue.
pub trait Due<K>: Indexed<K> {
    /// Where a failure of its due work is noted.
    fn hold(&mut self) -> &mut Option<Hold>;
}

/// Records by key, with their entries.
pub struct IndexedMap<K, V> {
    map: Map<K, V>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Indexed<K>> IndexedMap<K, V> {
    /// The records under a tag of a store.
    pub const fn new(store: StoreId, tag: u8) -> Self {
        Self { map: Map::new(store, tag), types: PhantomData }
    }

    pub(crate) const fn store(&self) -> StoreId {
        self.map.store()
    }

    /// A record's key in its store.
    pub fn key(&self, key: &K) -> KeyBuf {
        self.map.key(key)
    }

    /// A record.
    pub fn get(&self, ctx: &Ctx, key: &K) -> Result<Option<V>> {
        self.map.get(ctx, key)
    }

    /// Asks a view for a record, so that a later read finds it in the store's memory.
    pub fn read_ahead(&self, view: &dyn View, key: &K) -> Result<(), Fatal> {
        self.map.read_ahead(view, key)
    }

    /// Whether there is such a record.
    pub fn has(&self, ctx: &Ctx, key: &K) -> Result<bool> {
        self.map.has(ctx, key)
    }

    /// Writes a record that may not be there yet, with its entries; returns its encoded length.
    pub fn create(&self, ctx: &mut Ctx, key: &K, value: &V) -> Result<usize> {
        self.write(ctx, key, Some(value))
    }

    /// Writes a record and moves its entries.
    pub fn update(&self, ctx: &mut Ctx, key: &K, value: &V) -> Result<()> {
        self.write(ctx, key, Some(value)).map(drop)
    }

    /// Removes a record and its entries.
    pub fn remove(&self, ctx: &mut Ctx, key: &K) -> Result<()> {
        self.write(ctx, key, None).map(drop)
    }

    fn write(&self, ctx: &mut Ctx, key: &K, value: Option<&V>) -> Result<usize> {
        let store = self.store();
        let row = self.key(key);
        let entries = |value: &V| self.entries(key, value);
        let before = ctx.peek(store, &row, |found| match found.bytes() {
            Some(_) if V::BY_KEY_ALONE && value.is_some() => Ok(None),
            before => Ok(Some(before.map(|bytes| from_bytes(store, &row, bytes)).transpose()?)),
        })?;
        let (before, after) = match before {
            None => Default::default(),
            Some(before) => {
                (before.as_ref().map(entries).unwrap_or_default(), value.map(entries).unwrap_or_default())
            }
        };
        let length = match value {
            Some(value) => ctx.set(store, &row, value)?,
            None => {
                ctx.remove(store, &row)?;
                0
            }
        };
        if before != after {
            for gone in before.iter().filter(|entry| after.binary_search(entry).is_err()) {
                ctx.put_derived(store, gone, false);
            }
            for new in after.iter().filter(|entry| before.binary_search(entry).is_err()) {
                ctx.put_derived(store, new, true);
            }
        }
        Ok(length)
    }

    /// The entries of a record, sorted, each once.
    fn entries(&self, key: &K, value: &V) -> Vec<KeyBuf> {
        let mut derived = Derived::new(key);
        value.derive(key, &mut derived);
        derived.entries.sort_unstable();
        derived.entries.dedup();
        derived.entries
    }

    /// At most `limit` keys of an index in order, of the parts that start with `part`, from the entry bytes `from` (as
    /// the last page's `next` gave them) on.
    pub fn by(
        &self,
        ctx: &Ctx,
        tag: u8,
        part: &impl Key,
        from: Option<&[u8]>,
        limit: u32,
    ) -> Result<Page<K, ()>> {
        let mut start = KeyBuf::from_slice(&[tag]);
        part.write(&mut start);
        let part_length = start.len();
        let end = prefix_end(&start);
        if let Some(from) = from {
            start.extend_from_slice(from);
        }
        let range = KeyRange { start: &start, end: end.as_deref() };
        let mut entries = ctx.scan(Space::Derived(self.store()), range, limit.saturating_add(1))?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let tail = |entry: &Bytes| entry.get(part_length..).map(<[u8]>::to_vec);
        let next = entries.get(wanted).and_then(|(entry, _)| tail(entry));
        entries.truncate(wanted);
        let mut items = Vec::with_capacity(entries.len());
        for (entry, _) in &entries {
            let corrupt = || Fatal::Corrupt { store: self.store(), key: entry.clone() };
            items.push((tail(entry).and_then(|tail| K::from_bytes(&tail)).ok_or_else(corrupt)?, ()));
        }
        Ok(Page { items, next })
    }

    /// At most `limit` records in key order; see [`Map::page`].
    pub fn page(&self, ctx: &Ctx, prefix: &impl Key, from: Option<&[u8]>, limit: u32) -> Result<Page<K, V>> {
        self.map.page(ctx, prefix, from, limit)
    }

    /// Calls `f` for every record; see [`Map::for_each`].
    pub fn for_each(&self, ctx: &Ctx, f: impl FnMut(K, V) -> Result<()>) -> Result<()> {
        self.map.for_each(ctx, f)
    }

    /// All entries that the records of a context give, for a full check against [`entries_of`] their store.
    pub fn collect(&self, ctx: &Ctx, out: &mut DerivedSink) -> Result<()> {
        self.for_each(ctx, |key, value| {
            out.extend(self.store(), self.entries(&key, &value));
            Ok(())
        })
    }

    /// All entries of all records, for a store whose entries are lost or in doubt.
    pub fn rebuild(&self, view: &dyn View, out: &mut DerivedSink) -> Result<(), Fatal> {
        let tag = self.map.key_tag();
        let end = prefix_end(&[tag]);
        let mut start = KeyBuf::from_slice(&[tag]);
        loop {
            let range = KeyRange { start: &start, end: end.as_deref() };
            let rows = view.scan(Space::State(self.store()), range, PAGE)?;
            for (row, bytes) in &rows {
                let corrupt = || Fatal::Corrupt { store: self.store(), key: row.clone() };
                let key = row.get(1..).and_then(K::from_bytes).ok_or_else(corrupt)?;
                let value: V = from_bytes(self.store(), row, bytes)?;
                out.extend(self.store(), self.entries(&key, &value));
            }
            match rows.last() {
                Some((last, _)) => {
                    start = KeyBuf::from_slice(last);
                    start.push(0);
                }
                None => return Ok(()),
            }
        }
    }
}

/// All entries that a store has in a context, a bounded page at a time. For full checks, never in a block.
pub fn entries_of(ctx: &Ctx, store: StoreId) -> Result<BTreeSet<(StoreId, KeyBuf)>> {
    let mut entries = BTreeSet::new();
    let mut start = KeyBuf::new();
    loop {
        let range = KeyRange { start: &start, end: None };
        let page = ctx.scan(Space::Derived(store), range, PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(entries) };
        start = KeyBuf::from_slice(last);
        start.push(0);
        entries.extend(page.iter().map(|(entry, _)| (store, KeyBuf::from_slice(entry))));
    }
}

/// Collects rebuilt entries and their digest.
#[derive(Default)]
pub struct DerivedSink {
    entries: BTreeSet<(StoreId, KeyBuf)>,
    digest: ruint::aliases::U256,
}

impl DerivedSink {
    fn extend(&mut self, store: StoreId, entries: Vec<KeyBuf>) {
        for entry in entries {
            self.digest = self.digest.wrapping_add(entry_hash(store, &entry));
            self.entries.insert((store, entry));
        }
    }

    /// The sum of the entries' hashes, as the state records it.
    pub fn digest(&self) -> [u8; 32] {
        self.digest.to_be_bytes()
    }

    /// The entries.
    pub fn entries(&self) -> &BTreeSet<(StoreId, KeyBuf)> {
        &self.entries
    }
}
