//! Typed records: an item is one key, a map is a tag and a key; every access is paid for.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::{
    backend::{KeyRange, Space, StoreId, View},
    codec::Record,
    ctx::Ctx,
    error::{Fatal, Result},
    key::{Key, KeyBuf, prefix_end},
};

/// A record from its bytes; what this binary can't have written is a corrupt store.
pub(crate) fn from_bytes<V: Record>(store: StoreId, key: &[u8], bytes: &[u8]) -> Result<V, Fatal> {
    let corrupt = || Fatal::Corrupt { store, key: Bytes::copy_from_slice(key) };
    let (version, body) = bytes.split_first().ok_or_else(corrupt)?;
    V::decode(*version, body).ok_or_else(corrupt)
}

/// One record.
pub struct Item<V> {
    store: StoreId,
    tag: u8,
    value: PhantomData<fn() -> V>,
}

impl<V: Record + Clone + Send + Sync + 'static> Item<V> {
    /// The record under a tag of a store.
    pub const fn new(store: StoreId, tag: u8) -> Self {
        Self { store, tag, value: PhantomData }
    }

    /// The record, if it has been written.
    pub fn get(&self, ctx: &Ctx) -> Result<Option<V>> {
        let key = [self.tag];
        ctx.read(self.store, &key, |found| found.decoded(|bytes| Ok(from_bytes(self.store, &key, bytes)?)))
    }

    /// The record, which genesis has written: its absence is a corrupt store.
    pub fn load(&self, ctx: &Ctx) -> Result<V> {
        let missing = || Fatal::Corrupt { store: self.store, key: Bytes::copy_from_slice(&[self.tag]) };
        Ok(self.get(ctx)?.ok_or_else(missing)?)
    }

    /// Writes the record.
    pub fn set(&self, ctx: &mut Ctx, value: &V) -> Result<()> {
        ctx.set(self.store, &[self.tag], value).map(drop)
    }

    /// Removes the record.
    pub fn remove(&self, ctx: &mut Ctx) -> Result<()> {
        ctx.remove(self.store, &[self.tag])
    }
}

/// Records by key.
pub struct Map<K, V> {
    store: StoreId,
    tag: u8,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Record> Map<K, V> {
    /// The records under a tag of a store.
    pub const fn new(store: StoreId, tag: u8) -> Self {
        Self { store, tag, types: PhantomData }
    }

    pub(crate) const fn store(&self) -> StoreId {
        self.store
    }

    pub(crate) const fn key_tag(&self) -> u8 {
        self.tag
    }

    /// A record's key in its store: what a proof proves.
    pub fn key(&self, key: &K) -> KeyBuf {
        let mut bytes = KeyBuf::new();
        bytes.push(self.tag);
        key.write(&mut bytes);
        bytes
    }

    /// A record.
    pub fn get(&self, ctx: &Ctx, key: &K) -> Result<Option<V>> {
        let key = self.key(key);
        ctx.read(self.store, &key, |found| {
            Ok(found.bytes().map(|bytes| from_bytes(self.store, &key, bytes)).transpose()?)
        })
    }

    /// Asks a view for a record, so that a later read finds it in the store's memory.
    pub fn read_ahead(&self, view: &dyn View, key: &K) -> Result<(), Fatal> {
        view.get(Space::State(self.store), &self.key(key)).map(drop)
    }

    /// Whether there is such a record.
    pub fn has(&self, ctx: &Ctx, key: &K) -> Result<bool> {
        ctx.has(self.store, &self.key(key))
    }

    /// Writes a record; returns its encoded length.
    pub fn set(&self, ctx: &mut Ctx, key: &K, value: &V) -> Result<usize> {
        ctx.set(self.store, &self.key(key), value)
    }

    /// Removes a record.
    pub fn remove(&self, ctx: &mut Ctx, key: &K) -> Result<()> {
        ctx.remove(self.store, &self.key(key))
    }

    /// At most `limit` records in key order, of the keys that start with `prefix`, from the key bytes `from` (as the
    /// last page's [`Page::next`] gave them) on.
    pub fn page(&self, ctx: &Ctx, prefix: &impl Key, from: Option<&[u8]>, limit: u32) -> Result<Page<K, V>> {
        let mut start = KeyBuf::from_slice(&[self.tag]);
        prefix.write(&mut start);
        let end = prefix_end(&start);
        if let Some(from) = from {
            let mut at = KeyBuf::from_slice(&[self.tag]);
            at.extend_from_slice(from);
            start = start.max(at);
        }
        let range = KeyRange { start: &start, end: end.as_deref() };
        let mut entries = ctx.scan(Space::State(self.store), range, limit.saturating_add(1))?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = entries.get(wanted).and_then(|(key, _)| key.get(1..)).map(<[u8]>::to_vec);
        entries.truncate(wanted);
        let items =
            entries.iter().map(|(key, value)| self.entry(key, value)).collect::<Result<_, Fatal>>()?;
        Ok(Page { items, next })
    }

    fn entry(&self, key: &[u8], value: &[u8]) -> Result<(K, V), Fatal> {
        let corrupt = || Fatal::Corrupt { store: self.store, key: Bytes::copy_from_slice(key) };
        let parsed = key.get(1..).and_then(K::from_bytes).ok_or_else(corrupt)?;
        Ok((parsed, from_bytes(self.store, key, value)?))
    }

    /// Calls `f` for every record, a bounded page at a time. For exports, rebuilds and full checks, never in a block.
    pub fn for_each(&self, ctx: &Ctx, mut f: impl FnMut(K, V) -> Result<()>) -> Result<()> {
        let mut from = None;
        loop {
            let page = self.page(ctx, &(), from.as_deref(), PAGE)?;
            for (key, value) in page.items {
                f(key, value)?;
            }
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }
}

pub(crate) const PAGE: u32 = 256;

/// A page of records.
#[derive(Debug)]
pub struct Page<K, V> {
    /// The records, in key order.
    pub items: Vec<(K, V)>,
    /// Where the next page starts; `None`: this is the last.
    pub next: Option<Vec<u8>>,
}
