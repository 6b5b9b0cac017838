//! What a block has read and written so far, over an immutable view, with an undo journal.

use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet, btree_set},
    hash::{Hash, Hasher},
    iter::Peekable,
};

use ahash::RandomState;
use bytes::Bytes;
use indexmap::{Equivalent, IndexMap};

use crate::{
    backend::{Change, Changes, KeyRange, Space, View},
    error::{Fatal, Result},
    heads::Heads,
    key::KeyBuf,
};

#[derive(Debug, Default)]
struct Slot {
    base: Option<Bytes>,
    now: Option<Bytes>,
    /// What `now` says, of a record that is read again and again and was not written: parameters are read by every message.
    decoded: Option<Box<dyn Any + Send + Sync>>,
    written: bool,
}

/// A slot that was looked for.
pub(crate) struct Found<'a> {
    slot: &'a mut Slot,
    /// Whether the view had to be asked.
    pub from_view: bool,
}

impl Slot {
    fn written(base: Option<Bytes>, now: Option<Bytes>) -> Self {
        Self { base, now, decoded: None, written: true }
    }

    /// Returns the value before.
    fn write(&mut self, value: Option<Bytes>) -> Option<Bytes> {
        self.decoded = None;
        self.written = true;
        std::mem::replace(&mut self.now, value)
    }
}

impl Found<'_> {
    /// The value; `None`: absent.
    pub fn bytes(&self) -> Option<&Bytes> {
        self.slot.now.as_ref()
    }

    /// The value decoded, which is done once while nobody writes it.
    pub fn decoded<V: Clone + Send + Sync + 'static>(
        self,
        decode: impl FnOnce(&Bytes) -> Result<V>,
    ) -> Result<Option<V>> {
        if let Some(known) = self.slot.decoded.as_ref().and_then(|known| known.downcast_ref::<V>()) {
            return Ok(Some(known.clone()));
        }
        let value = self.slot.now.as_ref().map(decode).transpose()?;
        if let Some(value) = &value
            && !self.slot.written
        {
            self.slot.decoded = Some(Box::new(value.clone()));
        }
        Ok(value)
    }
}

/// The name of a slot.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    space: Space,
    key: KeyBuf,
}

/// The same, to look for.
struct NameRef<'a>(Space, &'a [u8]);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        NameRef(self.space, &self.key).hash(state);
    }
}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (Space::State(store) | Space::Derived(store)) = self.0;
        state.write_u16(u16::from_be_bytes([u8::from(matches!(self.0, Space::State(_))), store.0]));
        state.write(self.1);
    }
}

impl Equivalent<Name> for NameRef<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        self.0 == name.space && self.1 == name.key.as_slice()
    }
}

/// A block looks up some ten times as often as it sees a new key, and seldom needs an order: slots are found by a hash, which
/// is seeded anew in each process so that nobody can prepare keys that collide. They lie in the order in which they came, so
/// nothing here depends on the seed.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    slots: IndexMap<Name, Slot, RandomState>,
    /// The keys in order, of spaces that were scanned.
    sorted: BTreeMap<Space, Sorted>,
    /// Where queues begin now: what was drained before in this block is not stepped over again.
    heads: Heads,
    /// A slot's place and its value before.
    journal: Vec<(usize, Option<Bytes>)>,
}

/// The keys of a space in order, as of the last scan: what came since is sorted in by the next.
#[derive(Debug, Default)]
struct Sorted {
    keys: BTreeSet<KeyBuf>,
    /// The slots that were looked at.
    seen: usize,
}

/// A place in the journal to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Overlay {
    /// The slot of a key.
    pub fn find(&mut self, view: &dyn View, space: Space, key: &[u8]) -> Result<Found<'_>, Fatal> {
        let known = self.slots.get_index_of(&NameRef(space, key));
        let (place, from_view) = match known {
            Some(place) => (place, false),
            None => {
                let base = view.get(space, key)?;
                (self.insert(space, key, Slot { base: base.clone(), now: base, ..Slot::default() }), true)
            }
        };
        let missing = || Fatal::Storage("a slot of the overlay is gone".into());
        let (_, slot) = self.slots.get_index_mut(place).ok_or_else(missing)?;
        Ok(Found { slot, from_view })
    }

    /// Writes or removes a key whose old value this overlay has not read: the view is asked for it.
    pub fn put(
        &mut self,
        view: &dyn View,
        space: Space,
        key: &[u8],
        value: Option<Bytes>,
    ) -> Result<(), Fatal> {
        let before = match self.slots.get_full_mut(&NameRef(space, key)) {
            Some((place, _, slot)) => (place, slot.write(value)),
            None => {
                let base = view.get(space, key)?;
                (self.insert(space, key, Slot::written(base.clone(), value)), base)
            }
        };
        self.journal.push(before);
        Ok(())
    }

    /// Writes or removes an index entry: the caller knows from the record whether it is in the view.
    pub fn put_derived(&mut self, space: Space, key: &[u8], present: bool) {
        let marker = |present: bool| present.then(Bytes::new);
        if present {
            self.heads.lower(space, key);
        }
        let before = match self.slots.get_full_mut(&NameRef(space, key)) {
            Some((place, _, slot)) => (place, slot.write(marker(present))),
            None => {
                let slot = Slot::written(marker(!present), marker(present));
                (self.insert(space, key, slot), marker(!present))
            }
        };
        self.journal.push(before);
    }

    /// A slot for a key that has none; returns its place.
    fn insert(&mut self, space: Space, key: &[u8], slot: Slot) -> usize {
        self.slots.insert_full(Name { space, key: KeyBuf::from_slice(key) }, slot).0
    }

    pub fn mark(&self) -> Mark {
        Mark(self.journal.len())
    }

    /// Undoes what was written since the mark.
    pub fn rewind(&mut self, mark: Mark) {
        while self.journal.len() > mark.0 {
            let Some((place, before)) = self.journal.pop() else { return };
            if let Some((name, slot)) = self.slots.get_index_mut(place) {
                if before.is_some() {
                    self.heads.lower(name.space, &name.key);
                }
                slot.now = before;
            }
        }
    }

    /// Nothing before this point will be undone.
    pub fn forget(&mut self) {
        self.journal.clear();
    }

    /// At most `limit` entries of a range, the overlay's and the view's together. `page` reads so many of the view's.
    pub fn scan<E>(
        &mut self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
        page: impl FnMut(KeyRange<'_>, u32) -> Result<Vec<(Bytes, Bytes)>, E>,
    ) -> Result<Vec<(Bytes, Bytes)>, E> {
        if range.end.is_some_and(|end| end <= range.start) {
            return Ok(Vec::new());
        }
        let Self { slots, sorted, heads, .. } = self;
        let start = heads.start(space, range.start).cloned();
        let from = KeyRange { start: start.as_deref().unwrap_or(range.start), end: range.end };
        if limit == 0 || from.end.is_some_and(|end| end <= from.start) {
            return Ok(Vec::new());
        }
        let sorted = sorted.entry(space).or_default();
        let new = slots.get_range(sorted.seen..).into_iter().flat_map(|slots| slots.keys());
        sorted.keys.extend(new.filter(|name| name.space == space).map(|name| name.key.clone()));
        sorted.seen = slots.len();
        let now = |key: &KeyBuf| slots.get(&NameRef(space, key)).and_then(|slot| slot.now.clone());
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let upper = range.end.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut mine =
            sorted.keys.range::<[u8], _>((std::ops::Bound::Included(from.start), upper)).peekable();
        let mut theirs = Pages::new(page, from, limit);
        while found.len() < wanted {
            match (mine.peek().map(|key| key.as_slice()), theirs.peek()?) {
                (None, None) => break,
                (Some(my_key), Some(their_key)) if my_key == their_key.as_ref() => {
                    theirs.next();
                    take(&mut mine, now, &mut found);
                }
                (Some(my_key), Some(their_key)) if my_key > their_key.as_ref() => found.extend(theirs.next()),
                (Some(_), _) => take(&mut mine, now, &mut found),
                (None, Some(_)) => found.extend(theirs.next()),
            }
        }
        heads.learn(space, range, found.first().map(|(key, _)| &**key));
        Ok(found)
    }

    /// What changed, with the values before.
    pub fn finish(mut self) -> Changes {
        // Slots are large: they stay where they are.
        let mut changed: Vec<((Space, u128), usize)> = Vec::with_capacity(self.slots.len());
        let slots = self.slots.iter().enumerate();
        changed.extend(
            slots
                .filter(|(_, (_, slot))| slot.written && slot.base != slot.now)
                .map(|(place, (name, _))| (rank(name), place)),
        );
        let name = |place: usize| self.slots.get_index(place).map(|(name, _)| name);
        changed
            .sort_unstable_by(|(left, a), (right, b)| left.cmp(right).then_with(|| name(*a).cmp(&name(*b))));
        let mut changes = Vec::with_capacity(changed.len());
        changes.extend(changed.into_iter().filter_map(|(_, place)| {
            let (name, slot) = self.slots.get_index_mut(place)?;
            let change = Change { old: slot.base.take(), new: slot.now.take() };
            Some(((name.space, Bytes::copy_from_slice(&name.key)), change))
        }));
        // In order, so the tree is built at once and not key by key.
        changes.into_iter().collect()
    }
}

/// What tells most names apart without a look at the whole.
fn rank(name: &Name) -> (Space, u128) {
    let mut head = [0; 16];
    head.iter_mut().zip(&name.key).for_each(|(to, from)| *to = *from);
    (name.space, u128::from_be_bytes(head))
}

fn take(
    mine: &mut Peekable<btree_set::Range<'_, KeyBuf>>,
    now: impl Fn(&KeyBuf) -> Option<Bytes>,
    found: &mut Vec<(Bytes, Bytes)>,
) {
    if let Some(key) = mine.next()
        && let Some(value) = now(key)
    {
        found.push((Bytes::copy_from_slice(key), value));
    }
}

/// A page grows up to this.
const PAGE_MAX: u32 = 256;

/// A view's range, a page at a time, each twice as long as the one before: all of a page may be removed in the overlay.
struct Pages<'a, P> {
    read: P,
    start: KeyBuf,
    end: Option<&'a [u8]>,
    rows: u32,
    page: std::vec::IntoIter<(Bytes, Bytes)>,
    done: bool,
}

impl<'a, P> Pages<'a, P> {
    fn new(read: P, range: KeyRange<'a>, rows: u32) -> Self {
        let page = Vec::new().into_iter();
        Self { read, start: KeyBuf::from_slice(range.start), end: range.end, rows, page, done: false }
    }

    fn peek<E>(&mut self) -> Result<Option<&Bytes>, E>
    where
        P: FnMut(KeyRange<'_>, u32) -> Result<Vec<(Bytes, Bytes)>, E>,
    {
        if self.page.as_slice().is_empty() && !self.done {
            let entries = (self.read)(KeyRange { start: &self.start, end: self.end }, self.rows)?;
            self.done = u32::try_from(entries.len()).unwrap_or(u32::MAX) < self.rows;
            self.rows = self.rows.max(self.rows.saturating_mul(2).min(PAGE_MAX));
            if let Some((last, _)) = entries.last() {
                self.start = KeyBuf::from_slice(last);
                self.start.push(0);
            }
            self.page = entries.into_iter();
        }
        Ok(self.page.as_slice().first().map(|(key, _)| key))
    }

    fn next(&mut self) -> Option<(Bytes, Bytes)> {
        self.page.next()
    }
}
