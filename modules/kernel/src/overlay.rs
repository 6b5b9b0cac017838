//! What a block has read and written so far, over an immutable view, with an undo journal.

use std::{
    collections::{BTreeMap, BTreeSet, btree_set},
    hash::{Hash, Hasher},
    iter::Peekable,
};

use bytes::Bytes;
use indexmap::{Equivalent, IndexMap};

use crate::{
    backend::{Change, Changes, KeyRange, Space, View},
    error::Fatal,
    key::KeyBuf,
};

#[derive(Debug)]
struct Slot {
    base: Option<Bytes>,
    now: Option<Bytes>,
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
        state.write_u8(store.0);
        state.write_u8(u8::from(matches!(self.0, Space::State(_))));
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
    slots: IndexMap<Name, Slot>,
    /// The keys in order, of spaces that were scanned.
    sorted: BTreeMap<Space, BTreeSet<KeyBuf>>,
    /// A slot's place and its value before.
    journal: Vec<(usize, Option<Bytes>)>,
}

/// A place in the journal to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Overlay {
    /// The value of a key, and whether the view had to be asked.
    pub fn get(&mut self, view: &dyn View, space: Space, key: &[u8]) -> Result<(Option<Bytes>, bool), Fatal> {
        if let Some(slot) = self.slots.get(&NameRef(space, key)) {
            return Ok((slot.now.clone(), false));
        }
        let base = view.get(space, key)?;
        self.insert(space, key, Slot { base: base.clone(), now: base.clone() });
        Ok((base, true))
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
            Some((place, _, slot)) => (place, std::mem::replace(&mut slot.now, value)),
            None => {
                let base = view.get(space, key)?;
                (self.insert(space, key, Slot { base: base.clone(), now: value }), base)
            }
        };
        self.journal.push(before);
        Ok(())
    }

    /// Writes or removes an index entry: the caller knows from the record whether it is in the view.
    pub fn put_derived(&mut self, space: Space, key: &[u8], present: bool) {
        let marker = |present: bool| present.then(Bytes::new);
        let before = match self.slots.get_full_mut(&NameRef(space, key)) {
            Some((place, _, slot)) => (place, std::mem::replace(&mut slot.now, marker(present))),
            None => {
                let slot = Slot { base: marker(!present), now: marker(present) };
                (self.insert(space, key, slot), marker(!present))
            }
        };
        self.journal.push(before);
    }

    /// A slot for a key that has none; returns its place.
    fn insert(&mut self, space: Space, key: &[u8], slot: Slot) -> usize {
        let key = KeyBuf::from_slice(key);
        if let Some(sorted) = self.sorted.get_mut(&space) {
            sorted.insert(key.clone());
        }
        self.slots.insert_full(Name { space, key }, slot).0
    }

    pub fn mark(&self) -> Mark {
        Mark(self.journal.len())
    }

    /// Undoes what was written since the mark.
    pub fn rewind(&mut self, mark: Mark) {
        while self.journal.len() > mark.0 {
            let Some((place, before)) = self.journal.pop() else { return };
            if let Some((_, slot)) = self.slots.get_index_mut(place) {
                slot.now = before;
            }
        }
    }

    /// Nothing before this point will be undone.
    pub fn forget(&mut self) {
        self.journal.clear();
    }

    /// At most `limit` entries of a range, the view's and the overlay's together.
    pub fn scan(
        &mut self,
        view: &dyn View,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
    ) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        if range.end.is_some_and(|end| end <= range.start) {
            return Ok(Vec::new());
        }
        let Self { slots, sorted, .. } = self;
        let sorted = sorted.entry(space).or_insert_with(|| {
            slots.keys().filter(|name| name.space == space).map(|name| name.key.clone()).collect()
        });
        let now = |key: &KeyBuf| slots.get(&NameRef(space, key)).and_then(|slot| slot.now.clone());
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let upper = range.end.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut mine = sorted.range::<[u8], _>((std::ops::Bound::Included(range.start), upper)).peekable();
        let mut theirs = Pages::new(view, space, range, limit);
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
        Ok(found)
    }

    /// What changed, with the values before.
    pub fn finish(self) -> Changes {
        let mut changed: Vec<(&Name, &Slot)> =
            self.slots.iter().filter(|(_, slot)| slot.base != slot.now).collect();
        changed.sort_unstable_by_key(|(name, _)| *name);
        let change = |(name, slot): (&Name, &Slot)| {
            let change = Change { old: slot.base.clone(), new: slot.now.clone() };
            ((name.space, Bytes::copy_from_slice(&name.key)), change)
        };
        // In order, so the tree is built at once and not key by key.
        changed.into_iter().map(change).collect()
    }
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

/// A view's range, a page at a time.
struct Pages<'a> {
    view: &'a dyn View,
    space: Space,
    start: KeyBuf,
    end: Option<&'a [u8]>,
    limit: u32,
    page: std::vec::IntoIter<(Bytes, Bytes)>,
    done: bool,
}

impl<'a> Pages<'a> {
    fn new(view: &'a dyn View, space: Space, range: KeyRange<'a>, limit: u32) -> Self {
        let page = Vec::new().into_iter();
        Self { view, space, start: KeyBuf::from_slice(range.start), end: range.end, limit, page, done: false }
    }

    fn peek(&mut self) -> Result<Option<&Bytes>, Fatal> {
        if self.page.as_slice().is_empty() && !self.done {
            let entries =
                self.view.scan(self.space, KeyRange { start: &self.start, end: self.end }, self.limit)?;
            self.done = u32::try_from(entries.len()).unwrap_or(u32::MAX) < self.limit;
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
