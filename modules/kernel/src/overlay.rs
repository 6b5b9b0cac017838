//! What a block has read and written so far, over an immutable view, with an undo journal.

use std::{
    collections::{BTreeMap, btree_map},
    iter::Peekable,
};

use bytes::Bytes;

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

#[derive(Debug, Default)]
pub(crate) struct Overlay {
    slots: BTreeMap<Space, BTreeMap<KeyBuf, Slot>>,
    journal: Vec<(Space, KeyBuf, Option<Bytes>)>,
}

/// A place in the journal to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(usize);

impl Overlay {
    /// The value of a key, and whether the view had to be asked.
    pub fn get(&mut self, view: &dyn View, space: Space, key: &[u8]) -> Result<(Option<Bytes>, bool), Fatal> {
        let slots = self.slots.entry(space).or_default();
        if let Some(slot) = slots.get(key) {
            return Ok((slot.now.clone(), false));
        }
        let base = view.get(space, key)?;
        slots.insert(KeyBuf::from_slice(key), Slot { base: base.clone(), now: base.clone() });
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
        let slots = self.slots.entry(space).or_default();
        let before = match slots.get_mut(key) {
            Some(slot) => std::mem::replace(&mut slot.now, value),
            None => {
                let base = view.get(space, key)?;
                slots.insert(KeyBuf::from_slice(key), Slot { base: base.clone(), now: value });
                base
            }
        };
        self.journal.push((space, KeyBuf::from_slice(key), before));
        Ok(())
    }

    /// Writes or removes an index entry: the caller knows from the record whether it is in the view.
    pub fn put_derived(&mut self, space: Space, key: &[u8], present: bool) {
        let marker = |present: bool| present.then(Bytes::new);
        let slots = self.slots.entry(space).or_default();
        let before = match slots.get_mut(key) {
            Some(slot) => std::mem::replace(&mut slot.now, marker(present)),
            None => {
                slots.insert(KeyBuf::from_slice(key), Slot { base: marker(!present), now: marker(present) });
                marker(!present)
            }
        };
        self.journal.push((space, KeyBuf::from_slice(key), before));
    }

    pub fn mark(&self) -> Mark {
        Mark(self.journal.len())
    }

    /// Undoes what was written since the mark.
    pub fn rewind(&mut self, mark: Mark) {
        while self.journal.len() > mark.0 {
            let Some((space, key, before)) = self.journal.pop() else { return };
            if let Some(slot) = self.slots.get_mut(&space).and_then(|slots| slots.get_mut(&key)) {
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
        &self,
        view: &dyn View,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
    ) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        let Some(slots) = self.slots.get(&space) else { return view.scan(space, range, limit) };
        if range.end.is_some_and(|end| end <= range.start) {
            return Ok(Vec::new());
        }
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let upper = range.end.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut mine = slots.range::<[u8], _>((std::ops::Bound::Included(range.start), upper)).peekable();
        let mut theirs = Pages::new(view, space, range, limit);
        while found.len() < wanted {
            match (mine.peek().map(|(key, _)| key.as_slice()), theirs.peek()?) {
                (None, None) => break,
                (Some(my_key), Some(their_key)) if my_key == their_key.as_ref() => {
                    theirs.next();
                    take(&mut mine, &mut found);
                }
                (Some(my_key), Some(their_key)) if my_key > their_key.as_ref() => found.extend(theirs.next()),
                (Some(_), _) => take(&mut mine, &mut found),
                (None, Some(_)) => found.extend(theirs.next()),
            }
        }
        Ok(found)
    }

    /// What changed, with the values before.
    pub fn finish(self) -> Changes {
        // In order, so the tree is built at once and not key by key.
        let change = |space: Space, key: &[u8], Slot { base, now }| {
            (base != now).then(|| ((space, Bytes::copy_from_slice(key)), Change { old: base, new: now }))
        };
        let changed = |(space, slots): (Space, BTreeMap<KeyBuf, Slot>)| {
            slots.into_iter().filter_map(move |(key, slot)| change(space, &key, slot))
        };
        self.slots.into_iter().flat_map(changed).collect()
    }
}

fn take(mine: &mut Peekable<btree_map::Range<'_, KeyBuf, Slot>>, found: &mut Vec<(Bytes, Bytes)>) {
    if let Some((key, Slot { now: Some(value), .. })) = mine.next() {
        found.push((Bytes::copy_from_slice(key), value.clone()));
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
