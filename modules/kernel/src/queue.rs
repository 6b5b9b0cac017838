//! Due work: queues whose entries exist only by [`Indexed::derive`](crate::Indexed::derive), drained oldest first under a budget.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::{
    backend::{KeyRange, Space},
    ctx::Ctx,
    error::{Error, Fatal, Reject, Result},
    indexed::{Due, Hold, IndexedMap},
    key::{Key, KeyBuf},
    time::At,
};

/// The gas that one item of due work may use.
pub const ITEM_GAS: u64 = 2_000_000;
/// The first wait of a held item, in blocks; it doubles with every try.
const RETRY_BLOCKS: u64 = 10;
/// The wait doubles at most this often.
const RETRY_DOUBLINGS_MAX: u32 = 12;
const BATCH: u32 = 64;

/// The records of a table by the time at which something is due for them. One entry a record.
pub struct DueQueue<C, K, V> {
    table: IndexedMap<K, V>,
    tag: u8,
    clock: PhantomData<fn() -> C>,
}

/// What a drain did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Items that advanced.
    pub done: u32,
    /// Items that were put on hold.
    pub held: u32,
    /// Whether the budget ended before the due items did.
    pub backlog: bool,
}

impl<C, K: Key, V: Due<K>> DueQueue<C, K, V> {
    /// The queue under a tag of the derived space of a table's store.
    pub const fn new(table: IndexedMap<K, V>, tag: u8) -> Self {
        Self { table, tag, clock: PhantomData }
    }

    pub(crate) const fn tag(&self) -> u8 {
        self.tag
    }

    /// Advances at most `items` records that are due at `now`, oldest first, each in a savepoint and with a gas limit of its
    /// own. One that is rejected or out of gas is put on hold in its record. One that advances must change its record so
    /// that it leaves its place.
    pub fn drain(
        &self,
        ctx: &mut Ctx,
        now: At<C>,
        items: u32,
        advance: fn(&mut Ctx, &K) -> Result<()>,
    ) -> Result<Drained, Fatal> {
        let mut drained = Drained::default();
        let mut left = items;
        loop {
            let due = self.due(ctx, now, BATCH.min(left).saturating_add(1))?;
            if left == 0 {
                drained.backlog = !due.is_empty();
                return Ok(drained);
            }
            if due.is_empty() {
                return Ok(drained);
            }
            for entry in due.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                // An item before it in the batch may have moved it.
                if ctx.has_derived(self.table.store(), entry)? {
                    let advanced = self.step(ctx, entry, advance)?;
                    drained.done = drained.done.saturating_add(u32::from(advanced));
                    drained.held = drained.held.saturating_add(u32::from(!advanced));
                    left = left.saturating_sub(1);
                }
            }
        }
    }

    /// The time at which the first entry is due.
    pub fn first(&self, ctx: &Ctx) -> Result<Option<At<C>>, Fatal> {
        let end = [self.tag.saturating_add(1)];
        let range = KeyRange { start: &[self.tag], end: Some(&end) };
        let entries = ctx.peek_range(Space::Derived(self.table.store()), range, 1)?;
        Ok(entries.first().and_then(|(entry, _)| self.parse(entry)).map(|(at, _)| at))
    }

    /// How many entries are due at `now`, counted up to `limit`.
    pub fn backlog(&self, ctx: &Ctx, now: At<C>, limit: u32) -> Result<u32, Fatal> {
        Ok(u32::try_from(self.due(ctx, now, limit)?.len()).unwrap_or(u32::MAX))
    }

    fn due(&self, ctx: &Ctx, now: At<C>, limit: u32) -> Result<Vec<Bytes>, Fatal> {
        let mut end = KeyBuf::from_slice(&[self.tag]);
        now.saturating_plus(1).write(&mut end);
        let range = KeyRange { start: &[self.tag], end: Some(&end) };
        let entries = ctx.peek_range(Space::Derived(self.table.store()), range, limit)?;
        Ok(entries.into_iter().map(|(entry, _)| entry).collect())
    }

    fn parse(&self, entry: &[u8]) -> Option<(At<C>, K)> {
        let mut rest = entry.get(1..)?;
        let at = At::read(&mut rest)?;
        Some((at, K::from_bytes(rest)?))
    }

    fn step(
        &self,
        ctx: &mut Ctx,
        entry: &Bytes,
        advance: fn(&mut Ctx, &K) -> Result<()>,
    ) -> Result<bool, Fatal> {
        let store = self.table.store();
        let corrupt = || Fatal::Corrupt { store, key: entry.clone() };
        let (_, key) = self.parse(entry).ok_or_else(corrupt)?;
        let result = ctx.attempt(|ctx| {
            ctx.with_gas(ITEM_GAS, |ctx| {
                self.release(ctx, &key)?;
                advance(ctx, &key)?;
                let stuck = Reject::invalid_request("due work left its record as it was");
                if ctx.has_derived(store, entry)? { Err(stuck.into()) } else { Ok(()) }
            })
        });
        let reject = match result {
            Ok(()) => return Ok(true),
            Err(Error::Fatal(fatal)) => return Err(fatal),
            Err(Error::Rejected(reject)) => reject,
            Err(Error::OutOfGas) => Reject::new(Reject::SDK, 11, "out of gas"),
        };
        self.put_on_hold(ctx, &key, reject).map_err(|error| match error {
            Error::Fatal(fatal) => fatal,
            Error::Rejected(_) | Error::OutOfGas => corrupt(),
        })?;
        Ok(false)
    }

    /// Takes a record off hold, so that it stands in the queue of what it waits for.
    fn release(&self, ctx: &mut Ctx, key: &K) -> Result<()> {
        let Some(mut value) = self.table.get(ctx, key)? else { return Ok(()) };
        if value.hold().take().is_some() {
            self.table.update(ctx, key, &value)?;
        }
        Ok(())
    }

    fn put_on_hold(&self, ctx: &mut Ctx, key: &K, reject: Reject) -> Result<()> {
        let Some(mut value) = self.table.get(ctx, key)? else { return Ok(()) };
        let before = value.hold().as_ref().map_or(0, |hold| hold.attempts);
        let wait = RETRY_BLOCKS.saturating_mul(1 << before.min(RETRY_DOUBLINGS_MAX));
        let hold = Hold {
            codespace: reject.codespace.to_owned(),
            code: reject.code,
            attempts: before.saturating_add(1),
            retry_at: ctx.block.height.saturating_plus(wait),
        };
        ctx.emit(&ItemHeld {
            store: u32::from(self.table.store().0),
            key: self.table.key(key).into_vec(),
            codespace: hold.codespace.clone(),
            code: hold.code,
            attempts: hold.attempts,
            retry_at: hold.retry_at.value(),
        });
        *value.hold() = Some(hold);
        self.table.update(ctx, key, &value)
    }
}

crate::event! {
    "underbid.kernel.v1"
    /// Due work on a record failed; it is tried again later.
    pub struct ItemHeld as EventItemHeld {
        store: u32 = 1, key: Vec<u8> = 2, codespace: String = 3, code: u32 = 4, attempts: u32 = 5, retry_at: u64 = 6,
    }
}
