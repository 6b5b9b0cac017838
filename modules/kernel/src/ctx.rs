//! The one context in which everything of the state machine runs: reads and writes, gas, events, savepoints.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use bytes::Bytes;
use ruint::aliases::U256;
use sha2::{Digest as _, Sha256};

use crate::{
    backend::{Changes, KeyRange, Space, StoreId, View},
    codec::{Record, length},
    error::{Error, Fatal, Result},
    event::{Event, EventBytes},
    gas::{Cost, Counters, price},
    overlay::{Found, Overlay},
    time::Block,
};

/// What a context is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A block.
    Deliver,
    /// A transaction that asks to enter the mempool.
    Check,
    /// A transaction that asks to stay there.
    Recheck,
    /// A transaction whose gas is estimated: its signatures are not checked.
    Simulate,
    /// A query.
    Query,
}

/// A single writer over an immutable view.
pub struct Ctx {
    /// The block that is being executed, or the last one for checks and queries.
    pub block: Block,
    mode: Mode,
    view: Arc<dyn View>,
    overlay: RefCell<Overlay>,
    depth: u32,
    gas_used: Cell<u64>,
    gas_limit: Cell<u64>,
    events: Vec<EventBytes>,
    derived: U256,
    counters: Cell<Counters>,
    /// Where records and events are written before they get bytes of their own.
    scratch: Vec<u8>,
}

/// What a context leaves behind.
#[derive(Debug)]
pub struct Finished {
    /// The changes, sorted.
    pub changes: Changes,
    /// The events that nobody took with [`Ctx::take_events`].
    pub events: Vec<EventBytes>,
    /// All the gas used.
    pub gas_used: u64,
}

impl Ctx {
    /// A context without a gas limit.
    pub fn new(view: Arc<dyn View>, mode: Mode, block: Block) -> Self {
        Self {
            block,
            mode,
            view,
            overlay: RefCell::default(),
            depth: 0,
            gas_used: Cell::new(0),
            gas_limit: Cell::new(u64::MAX),
            events: Vec::new(),
            derived: U256::ZERO,
            counters: Cell::default(),
            scratch: Vec::new(),
        }
    }

    /// What it is for.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The same state for another purpose: a mempool's context checks and rechecks.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Runs `f`; if it is rejected or out of gas, its writes and events are undone and its gas stays used.
    pub fn attempt<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mark = self.overlay.get_mut().mark();
        let (events, derived) = (self.events.len(), self.derived);
        self.depth = self.depth.saturating_add(1);
        let result = f(self);
        self.depth = self.depth.saturating_sub(1);
        if result.is_err() {
            self.overlay.get_mut().rewind(mark);
            self.events.truncate(events);
            self.derived = derived;
        }
        if self.depth == 0 {
            self.overlay.get_mut().forget();
        }
        result
    }

    /// Runs `f` with a gas limit of its own; what it used counts for the caller too.
    pub fn with_gas<T>(&mut self, limit: u64, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (outer_used, outer_limit) = (self.gas_used.replace(0), self.gas_limit.replace(limit));
        let result = f(self);
        self.gas_limit.set(outer_limit);
        self.gas_used.set(outer_used.saturating_add(self.gas_used.get()));
        result
    }

    /// The gas used since the innermost [`Ctx::with_gas`] began.
    pub fn gas_used(&self) -> u64 {
        self.gas_used.get()
    }

    /// Charges for a piece of work.
    pub fn charge(&self, cost: Cost) -> Result<()> {
        let used = self.gas_used.get().saturating_add(price(cost, self.block.app_version));
        self.gas_used.set(used.min(self.gas_limit.get()));
        if used > self.gas_limit.get() { Err(Error::OutOfGas) } else { Ok(()) }
    }

    /// Emits a typed event. Checks and queries show none.
    pub fn emit<E: Event>(&mut self, event: &E) {
        if !matches!(self.mode, Mode::Deliver | Mode::Simulate) {
            return;
        }
        self.scratch.clear();
        event.write_fields(&mut self.scratch);
        self.events.push(EventBytes::of::<E>(&self.scratch));
    }

    /// The events since the last call: one transaction's, or those of the block's own work.
    pub fn take_events(&mut self) -> Vec<EventBytes> {
        std::mem::take(&mut self.events)
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.counters.get()
    }

    /// The sum of the hashes of the derived entries added less those removed, modulo 2^256.
    pub fn derived_delta(&self) -> U256 {
        self.derived
    }

    /// The changes and events.
    pub fn finish(self) -> Finished {
        Finished {
            changes: self.overlay.into_inner().finish(),
            events: self.events,
            gas_used: self.gas_used.get(),
        }
    }

    fn count(&self, f: impl FnOnce(&mut Counters)) {
        let mut counters = self.counters.get();
        f(&mut counters);
        self.counters.set(counters);
    }

    /// Whether there is a record, paid for as if it were read.
    pub(crate) fn has(&self, store: StoreId, key: &[u8]) -> Result<bool> {
        self.read(store, key, |found| Ok(found.bytes().is_some()))
    }

    /// What `decode` makes of a record's slot, paid for before it is called.
    pub(crate) fn read<T>(
        &self,
        store: StoreId,
        key: &[u8],
        decode: impl FnOnce(Found<'_>) -> Result<T>,
    ) -> Result<T> {
        self.peek(store, key, |found| {
            self.charge(Cost::Read { key: key.len(), value: found.bytes().map_or(0, Bytes::len) })?;
            decode(found)
        })
    }

    /// The same, not paid for: for the kernel's own bookkeeping.
    pub(crate) fn peek<T>(
        &self,
        store: StoreId,
        key: &[u8],
        decode: impl FnOnce(Found<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut overlay = self.overlay.borrow_mut();
        let found = overlay.find(self.view.as_ref(), Space::State(store), key)?;
        self.count(|c| {
            c.reads = c.reads.saturating_add(1);
            c.view_reads = c.view_reads.saturating_add(u64::from(found.from_view));
            let bytes = key.len().saturating_add(found.bytes().map_or(0, Bytes::len));
            c.bytes_read = c.bytes_read.saturating_add(length(bytes));
        });
        decode(found)
    }

    /// Writes a record, its version before it, paid for; returns its encoded length.
    pub(crate) fn set<V: Record>(&mut self, store: StoreId, key: &[u8], value: &V) -> Result<usize> {
        self.scratch.clear();
        self.scratch.push(V::VERSION);
        value.encode(&mut self.scratch);
        let length = self.scratch.len();
        self.charge(Cost::Write { key: key.len(), value: length })?;
        let bytes = Bytes::copy_from_slice(&self.scratch);
        self.put(store, key, Some(bytes))?;
        Ok(length)
    }

    /// Removes a record, paid for.
    pub(crate) fn remove(&mut self, store: StoreId, key: &[u8]) -> Result<()> {
        self.charge(Cost::Remove { key: key.len() })?;
        Ok(self.put(store, key, None)?)
    }

    /// Writes or removes a record, not paid for.
    pub(crate) fn put(&mut self, store: StoreId, key: &[u8], value: Option<Bytes>) -> Result<(), Fatal> {
        let bytes = key.len().saturating_add(value.as_ref().map_or(0, Bytes::len));
        self.count(|c| {
            c.writes = c.writes.saturating_add(1);
            c.bytes_written = c.bytes_written.saturating_add(length(bytes));
        });
        self.overlay.get_mut().put(self.view.as_ref(), Space::State(store), key, value)
    }

    /// Adds or removes an entry of an index or a queue.
    pub(crate) fn put_derived(&mut self, store: StoreId, key: &[u8], present: bool) {
        let hash = entry_hash(store, key);
        self.derived =
            if present { self.derived.wrapping_add(hash) } else { self.derived.wrapping_sub(hash) };
        self.count(|c| c.derived = c.derived.saturating_add(1));
        self.overlay.get_mut().put_derived(Space::Derived(store), key, present);
    }

    /// Whether an entry of an index or a queue is there.
    pub(crate) fn has_derived(&self, store: StoreId, key: &[u8]) -> Result<bool, Fatal> {
        let mut overlay = self.overlay.borrow_mut();
        Ok(overlay.find(self.view.as_ref(), Space::Derived(store), key)?.bytes().is_some())
    }

    /// At most `limit` entries of a range, paid for.
    pub(crate) fn scan(&self, space: Space, range: KeyRange<'_>, limit: u32) -> Result<Vec<(Bytes, Bytes)>> {
        self.charge(Cost::Scan)?;
        // A block reads the last height, where there are no steps, and a simulation must cost what the block will.
        let step = || if self.mode == Mode::Query { self.charge(Cost::Scan) } else { Ok(()) };
        let entries = self
            .merge(space, range, limit, |range, rows| self.view.scan_in_steps(space, range, rows, &step))?;
        for (key, value) in &entries {
            self.charge(Cost::Read { key: key.len(), value: value.len() })?;
        }
        Ok(entries)
    }

    /// At most `limit` entries of a range, not paid for.
    pub(crate) fn peek_range(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
    ) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        self.merge(space, range, limit, |range, rows| self.view.scan(space, range, rows))
    }

    /// At most `limit` entries of a range, of which `page` reads the view's.
    fn merge<E>(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
        page: impl FnMut(KeyRange<'_>, u32) -> Result<Vec<(Bytes, Bytes)>, E>,
    ) -> Result<Vec<(Bytes, Bytes)>, E> {
        self.count(|c| c.scans = c.scans.saturating_add(1));
        self.overlay.borrow_mut().scan(space, range, limit, page)
    }
}

/// The hash of one derived entry; their sum is under the app hash.
pub(crate) fn entry_hash(store: StoreId, key: &[u8]) -> U256 {
    let hash: [u8; 32] = Sha256::new().chain_update([store.0]).chain_update(key).finalize().into();
    U256::from_be_bytes(hash)
}
