//! Records, indexes, queues and savepoints over the in-memory store.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "a test stops where its assumption fails"
)]

use std::{collections::BTreeMap, sync::Arc};

use kernel::{
    Address, Amount, At, Backend, Billing, Block, Ctx, Derived, DerivedSink, Due, DueQueue, Error, Height,
    Hold, Indexed, IndexedMap, Item, Key, Map, Mode, Reject, Result, StoreId, View, chain,
};
use proptest::prelude::*;
use store::MemoryBackend;

const STORE: StoreId = StoreId(1);

kernel::record! {
    #[derive(Clone, Debug, PartialEq)]
    struct Task { owner: Address = 1, due: At<Billing> = 2, runs: u32 = 3, poison: bool = 4, hold: Option<Hold> = 5 }
    #[derive(Clone, Debug, PartialEq)]
    struct Cell { value: Amount = 1 }
}

const TASKS: IndexedMap<u64, Task> = IndexedMap::new(STORE, 1);
const DUE: DueQueue<Billing, u64, Task> = DueQueue::new(TASKS, 0x10);
const HELD: DueQueue<Height, u64, Task> = DueQueue::new(TASKS, 0x11);
const BY_OWNER: u8 = 0x12;
const CELLS: Map<u64, Cell> = Map::new(STORE, 2);
const TOTAL: Item<Cell> = Item::new(STORE, 3);

impl Indexed<u64> for Task {
    fn derive(&self, _: &u64, out: &mut Derived) {
        out.index(BY_OWNER, &self.owner);
        match &self.hold {
            Some(hold) => out.due(&HELD, hold.retry_at),
            None => out.due(&DUE, self.due),
        }
    }
}

impl Due<u64> for Task {
    fn hold(&mut self) -> &mut Option<Hold> {
        &mut self.hold
    }
}

fn backend() -> MemoryBackend {
    MemoryBackend::new(&[(chain::STORE, chain::NAME), (STORE, "tasks")])
}

fn ctx(backend: &MemoryBackend) -> Ctx {
    let block = Block { height: At::new(100), billing: At::new(1_000), app_version: 1, ..Block::default() };
    Ctx::new(backend.view(None).unwrap(), Mode::Deliver, block)
}

fn commit(backend: &MemoryBackend, ctx: Ctx) -> Arc<dyn View> {
    let view = backend.view(None).unwrap();
    let height = view.height() + 1;
    let staged = backend.stage(view.as_ref(), ctx.finish().changes).unwrap();
    backend.commit(staged, height).unwrap()
}

fn task(owner: u8, due: u64) -> Task {
    Task { owner: Address([owner; 20]), due: At::new(due), runs: 0, poison: false, hold: None }
}

/// Runs a task: it is due again an hour later. A poisoned one fails after it has written.
fn run(ctx: &mut Ctx, id: &u64) -> Result<()> {
    let mut task = TASKS.get(ctx, id)?.ok_or_else(|| Reject::invalid_request("gone"))?;
    task.runs += 1;
    task.due = task.due.saturating_plus(3_600);
    TASKS.update(ctx, id, &task)?;
    if task.poison { Err(Reject::new("tasks", 7, "poisoned").into()) } else { Ok(()) }
}

/// An item is decoded once while it is only read: what writes it or takes a write back is seen at once.
#[test]
fn an_item_that_is_read_again_is_what_was_written_last() {
    let backend = backend();
    let mut first = ctx(&backend);
    let cell = |value: u64| Cell { value: Amount::from(value) };
    TOTAL.set(&mut first, &cell(1)).unwrap();
    commit(&backend, first);
    let mut ctx = ctx(&backend);
    let read = |ctx: &Ctx| TOTAL.get(ctx).unwrap();
    assert_eq!((read(&ctx), read(&ctx)), (Some(cell(1)), Some(cell(1))));
    let undone: Result<()> = ctx.attempt(|ctx| {
        TOTAL.set(ctx, &cell(2))?;
        assert_eq!(read(ctx), Some(cell(2)));
        Err(Reject::invalid_request("planted").into())
    });
    assert!(undone.is_err());
    assert_eq!(read(&ctx), Some(cell(1)));
    TOTAL.remove(&mut ctx).unwrap();
    assert_eq!(read(&ctx), None);
    TOTAL.set(&mut ctx, &cell(3)).unwrap();
    assert_eq!((read(&ctx), read(&ctx)), (Some(cell(3)), Some(cell(3))));
}

#[test]
fn a_queue_is_drained_oldest_first_within_its_budget() {
    let backend = backend();
    let mut ctx = ctx(&backend);
    for (id, due) in [(1, 900), (2, 500), (3, 1_000), (4, 1_001)] {
        TASKS.create(&mut ctx, &id, &task(1, due)).unwrap();
    }
    let now = ctx.block.billing;
    let drained = DUE.drain(&mut ctx, now, 2, run).unwrap();
    assert_eq!((drained.done, drained.held, drained.backlog), (2, 0, true));
    let runs = |ctx: &Ctx| [1, 2, 3, 4].map(|id| TASKS.get(ctx, &id).unwrap().unwrap().runs);
    assert_eq!(runs(&ctx), [1, 1, 0, 0], "the two oldest");
    assert_eq!(DUE.drain(&mut ctx, now, 10, run).unwrap().done, 1, "1001 is not due at 1000");
    assert_eq!(runs(&ctx), [1, 1, 1, 0]);
    assert_eq!(DUE.first(&ctx).unwrap(), Some(At::new(1_001)));
    assert_eq!(DUE.backlog(&ctx, At::new(5_000), 10).unwrap(), 4);
}

#[test]
fn an_item_that_fails_is_held_and_tried_again() {
    let backend = backend();
    let mut ctx = ctx(&backend);
    TASKS.create(&mut ctx, &1, &Task { poison: true, ..task(1, 10) }).unwrap();
    TASKS.create(&mut ctx, &2, &task(2, 20)).unwrap();
    let now = ctx.block.billing;
    let drained = DUE.drain(&mut ctx, now, 10, run).unwrap();
    assert_eq!((drained.done, drained.held), (1, 1), "one bad item does not stop the others");
    let held = TASKS.get(&ctx, &1).unwrap().unwrap();
    assert_eq!(held.runs, 0, "what it wrote is undone");
    let hold = held.hold.clone().unwrap();
    assert_eq!(
        (hold.codespace.as_str(), hold.code, hold.attempts, hold.retry_at.value()),
        ("tasks", 7, 1, 110)
    );
    assert_eq!(ctx.take_events().len(), 1);

    let retry = |ctx: &mut Ctx, height: u64| HELD.drain(ctx, At::new(height), 10, run).unwrap();
    assert_eq!(retry(&mut ctx, 109).held, 0, "not yet");
    assert_eq!(retry(&mut ctx, 110).held, 1);
    assert_eq!(TASKS.get(&ctx, &1).unwrap().unwrap().hold.unwrap().attempts, 2);
    let cured = Task { poison: false, ..TASKS.get(&ctx, &1).unwrap().unwrap() };
    TASKS.update(&mut ctx, &1, &cured).unwrap();
    assert_eq!(retry(&mut ctx, 10_000).done, 1);
    let freed = TASKS.get(&ctx, &1).unwrap().unwrap();
    assert_eq!((freed.runs, freed.hold), (1, None));
}

#[test]
fn an_item_that_stays_in_its_place_is_held() {
    let backend = backend();
    let mut ctx = ctx(&backend);
    TASKS.create(&mut ctx, &1, &task(1, 10)).unwrap();
    let now = ctx.block.billing;
    let drained = DUE.drain(&mut ctx, now, 10, |_, _| Ok(())).unwrap();
    assert_eq!((drained.done, drained.held), (0, 1));
}

#[test]
fn the_derived_entries_follow_the_records_and_their_digest_shows_it() {
    let backend = backend();
    let mut first = ctx(&backend);
    for id in 0..50u64 {
        TASKS.create(&mut first, &id, &task(u8::try_from(id % 5).unwrap(), id)).unwrap();
    }
    commit(&backend, first);
    let mut second = ctx(&backend);
    for id in 0..50u64 {
        match id % 3 {
            0 => TASKS.remove(&mut second, &id).unwrap(),
            1 => TASKS.update(&mut second, &id, &task(9, 7_000 + id)).unwrap(),
            _ => {}
        }
    }
    let nines = TASKS.by(&second, BY_OWNER, &Address([9; 20]), None, 5).unwrap();
    assert_eq!(nines.items.iter().map(|(id, ())| *id).collect::<Vec<_>>(), [1, 4, 7, 10, 13]);
    let rest = TASKS.by(&second, BY_OWNER, &Address([9; 20]), nines.next.as_deref(), 100).unwrap();
    assert_eq!((rest.items.len(), rest.next), (12, None));
    let view = commit(&backend, second);
    let mut sink = DerivedSink::default();
    TASKS.rebuild(view.as_ref(), &mut sink).unwrap();
    assert_eq!(chain::derived_sum(view.as_ref(), [STORE]).unwrap(), sink.digest());
    assert_eq!(sink.entries().len(), 2 * 33);
}

#[test]
fn out_of_gas_half_way_leaves_nothing_but_the_gas() {
    let backend = backend();
    let mut ctx = ctx(&backend);
    let result = ctx.with_gas(10_000, |ctx| {
        ctx.attempt(|ctx| {
            for id in 0..100 {
                CELLS.set(ctx, &id, &Cell { value: Amount::from(1) })?;
            }
            Ok(())
        })
    });
    assert_eq!(result, Err(Error::OutOfGas));
    assert_eq!(ctx.gas_used(), 10_000, "never more than the limit");
    assert!(ctx.finish().changes.is_empty());
}

#[test]
fn gas_does_not_depend_on_what_is_cached() {
    let backend = backend();
    let mut first = ctx(&backend);
    CELLS.set(&mut first, &1, &Cell { value: Amount::from(5) }).unwrap();
    commit(&backend, first);
    let ctx = ctx(&backend);
    CELLS.get(&ctx, &1).unwrap();
    let once = ctx.gas_used();
    CELLS.get(&ctx, &1).unwrap();
    assert_eq!(ctx.gas_used(), 2 * once);
    assert_eq!((ctx.counters().reads, ctx.counters().view_reads), (2, 1));
}

/// In each of 256 blocks a record comes and the one before it goes: a scan at a height before them steps over all of it.
#[test]
fn a_query_of_a_past_height_pays_for_what_its_scans_step_over() {
    const BLOCKS: u64 = 256;
    let backend = backend();
    commit(&backend, ctx(&backend));
    for id in 1..=BLOCKS {
        let mut ctx = ctx(&backend);
        TASKS.create(&mut ctx, &id, &task(1, 10)).unwrap();
        if id > 1 {
            TASKS.remove(&mut ctx, &(id - 1)).unwrap();
        }
        commit(&backend, ctx);
    }
    let scan = |mode, height, gas| {
        let mut ctx = Ctx::new(backend.view(Some(height)).unwrap(), mode, Block::default());
        let page = ctx.with_gas(gas, |ctx| TASKS.by(ctx, BY_OWNER, &Address([1; 20]), None, 1));
        (page.map(|page| page.items), ctx.gas_used())
    };
    let (found, gas) = scan(Mode::Query, 1, u64::MAX);
    assert_eq!(found, Ok(vec![]));
    assert!(gas > 1_000 * BLOCKS, "{gas}");
    assert_eq!(scan(Mode::Query, 1, 100_000), (Err(Error::OutOfGas), 100_000));
    // The last height costs what it costs a block.
    let (found, gas) = scan(Mode::Query, BLOCKS + 1, u64::MAX);
    assert_eq!(found, Ok(vec![(BLOCKS, ())]));
    assert_eq!(scan(Mode::Deliver, BLOCKS + 1, u64::MAX), (found, gas));
    assert!(gas < 3_000, "{gas}");
}

#[derive(Clone, Debug)]
enum Op {
    Set(u64, u64),
    Remove(u64),
    Scan(u64, u32),
    Begin,
    Undo,
    Commit,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..20u64, 0..9u64).prop_map(|(key, value)| Op::Set(key, value)),
        2 => (0..20u64).prop_map(Op::Remove),
        2 => (0..20u64, 1..7u32).prop_map(|(from, limit)| Op::Scan(from, limit)),
        1 => Just(Op::Begin),
        1 => Just(Op::Undo),
        1 => Just(Op::Commit),
    ]
}

/// Applies operations up to the end of the innermost attempt; the model is a plain map.
fn apply(ctx: &mut Ctx, model: &mut BTreeMap<u64, u64>, ops: &mut std::slice::Iter<'_, Op>) -> Result<()> {
    while let Some(op) = ops.next() {
        match op {
            Op::Set(key, value) => {
                CELLS.set(ctx, key, &Cell { value: Amount::from(*value) })?;
                if model.insert(*key, *value).is_none() {
                    TASKS.create(ctx, key, &task(1, *value))?;
                } else {
                    TASKS.update(ctx, key, &task(1, *value))?;
                }
            }
            Op::Remove(key) => {
                CELLS.remove(ctx, key)?;
                if model.remove(key).is_some() {
                    TASKS.remove(ctx, key)?;
                }
            }
            Op::Scan(from, limit) => {
                let page = CELLS.page(ctx, &(), Some(&from.to_bytes()), *limit)?;
                let found: Vec<_> =
                    page.items.iter().map(|(key, cell)| (*key, cell.value.units() as u64)).collect();
                let expected: Vec<_> =
                    model.range(from..).take(*limit as usize).map(|(key, value)| (*key, *value)).collect();
                assert_eq!(found, expected);
                assert_eq!(page.next.is_some(), model.range(from..).count() > *limit as usize);
                // The queue, whose head moves on and back.
                let now = At::new(from % 9);
                let due = model.values().filter(|due| **due <= now.value()).count();
                assert_eq!(DUE.backlog(ctx, now, *limit), Ok(*limit.min(&(due as u32))));
                assert_eq!(DUE.first(ctx), Ok(model.values().min().map(|due| At::new(*due))));
            }
            Op::Begin => {
                let mut inner = model.clone();
                if ctx.attempt(|ctx| apply(ctx, &mut inner, ops)).is_ok() {
                    *model = inner;
                }
            }
            Op::Undo => return Err(Reject::invalid_request("undo").into()),
            Op::Commit => return Ok(()),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn savepoints_and_scans_agree_with_a_plain_map(blocks in prop::collection::vec(prop::collection::vec(op(), 0..60), 1..4)) {
        let backend = backend();
        let mut model = BTreeMap::new();
        for ops in blocks {
            let mut ctx = ctx(&backend);
            let mut inner = model.clone();
            if ctx.attempt(|ctx| apply(ctx, &mut inner, &mut ops.iter())).is_ok() {
                model = inner;
            }
            let changes = ctx.finish().changes;
            prop_assert!(changes.values().all(|change| change.old != change.new));
            let view = backend.view(None).unwrap();
            let staged = backend.stage(view.as_ref(), changes).unwrap();
            backend.commit(staged, view.height() + 1).unwrap();
        }
        let ctx = ctx(&backend);
        let mut found = BTreeMap::new();
        CELLS.for_each(&ctx, |key, cell| { found.insert(key, cell.value.units() as u64); Ok(()) }).unwrap();
        prop_assert_eq!(found, model);
    }
}
