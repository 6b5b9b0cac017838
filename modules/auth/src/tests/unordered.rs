//! Unordered transactions: once each, and a bounded number at a time.

use std::sync::{Arc, Mutex};

use kernel::{
    Address, At, Backend as _, Ctx, Error as KernelError, Fatal, Hold, KeyRange, Mode, Module as _, Result,
    Space, View,
};
use prost::bytes::Bytes;
use store::MemoryBackend;

use super::{chain, person, refusal, sound};
use crate::{
    Auth, Genesis, Params,
    block::{self, EXPIRIES_MAX},
    ensure, get,
    state::{EXPIRIES, RETRIES, UNORDERED},
    types::Unordered,
    unordered::{self, EXPIRY_GAS},
};

const SECOND: u64 = 1_000_000_000;
/// A timeout one minute after the tests' first second.
const TIMEOUT: u64 = 1_060 * SECOND;

fn chain_with(live_max: u32) -> Ctx {
    let params = Params { unordered_live_max: live_max, ..Params::default() };
    let mut ctx = chain(Genesis { params, ..Genesis::default() });
    ensure(&mut ctx, &person(1)).unwrap();
    ctx
}

fn live(ctx: &Ctx) -> u32 {
    get(ctx, &person(1)).unwrap().unwrap().unordered_live
}

fn block_at(ctx: &mut Ctx, second: u64) {
    ctx.block.time = At::new(second);
    block::begin_block(ctx).unwrap();
    sound(ctx);
}

/// As the ante does.
fn claim(ctx: &mut Ctx, address: &Address, timeout_nanos: u64) -> Result<()> {
    let account = get(ctx, address)?.unwrap();
    unordered::claim(ctx, account, timeout_nanos)
}

#[test]
fn each_account_uses_a_timeout_once() {
    let mut ctx = chain_with(256);
    ensure(&mut ctx, &person(2)).unwrap();
    claim(&mut ctx, &person(1), TIMEOUT).unwrap();
    claim(&mut ctx, &person(2), TIMEOUT).unwrap();
    claim(&mut ctx, &person(1), TIMEOUT + 1).unwrap();
    assert_eq!(refusal(claim(&mut ctx, &person(1), TIMEOUT)), ("sdk", 19));
    assert_eq!(live(&ctx), 2);
    sound(&ctx);
}

#[test]
fn a_record_stays_until_its_timeout_is_past() {
    for timeout in [TIMEOUT, TIMEOUT + 1, TIMEOUT + SECOND - 1] {
        let mut ctx = chain_with(256);
        claim(&mut ctx, &person(1), timeout).unwrap();
        block_at(&mut ctx, 1_060);
        assert_eq!(refusal(claim(&mut ctx, &person(1), timeout)), ("sdk", 19));
        block_at(&mut ctx, 1_061);
        assert_eq!(UNORDERED.has(&ctx, &(person(1), timeout)), Ok(false));
        assert_eq!(live(&ctx), 0);
    }
}

#[test]
fn the_last_timeout_of_time_does_not_overflow() {
    let mut ctx = chain_with(256);
    claim(&mut ctx, &person(1), u64::MAX).unwrap();
    block_at(&mut ctx, u64::MAX / SECOND);
    assert_eq!(live(&ctx), 1);
    block_at(&mut ctx, u64::MAX / SECOND + 1);
    assert_eq!(live(&ctx), 0);
}

#[test]
fn an_account_has_at_most_so_many_at_a_time() {
    let mut ctx = chain_with(3);
    for n in 0..3 {
        claim(&mut ctx, &person(1), TIMEOUT + n * SECOND).unwrap();
    }
    assert_eq!(refusal(claim(&mut ctx, &person(1), TIMEOUT + 9 * SECOND)), ("auth", 2));
    assert_eq!(live(&ctx), 3);
    block_at(&mut ctx, 1_061);
    claim(&mut ctx, &person(1), TIMEOUT + 9 * SECOND).unwrap();
    assert_eq!(live(&ctx), 3);
    sound(&ctx);
}

#[test]
fn what_has_timed_out_does_not_count_though_the_queue_is_late() {
    let mut ctx = chain_with(3);
    for n in 0..3 {
        claim(&mut ctx, &person(1), TIMEOUT + n * SECOND).unwrap();
    }
    ctx.block.time = At::new(1_062);
    claim(&mut ctx, &person(1), TIMEOUT + 10 * SECOND).unwrap();
    claim(&mut ctx, &person(1), TIMEOUT + 11 * SECOND).unwrap();
    sound(&ctx);
    assert_eq!(refusal(claim(&mut ctx, &person(1), TIMEOUT + 12 * SECOND)), ("auth", 2));
    block_at(&mut ctx, 1_063);
    assert_eq!(live(&ctx), 2);
}

/// Scans of records or of queues, where each began, and how many rows it found.
type Scans = Arc<Mutex<Vec<(Space, Vec<u8>, u64)>>>;

/// A view that remembers its scans.
struct Watched {
    view: Arc<dyn View>,
    scans: Scans,
}

impl View for Watched {
    fn height(&self) -> u64 {
        self.view.height()
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal> {
        self.view.get(space, key)
    }

    fn scan(&self, space: Space, range: KeyRange<'_>, limit: u32) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        let rows = self.view.scan(space, range, limit)?;
        self.scans.lock().unwrap().push((space, range.start.to_vec(), rows.len() as u64));
        Ok(rows)
    }
}

/// Three timeouts a second apart are on file. Whoever sends has paid nothing when they are looked at, and what was removed
/// below them is stepped over.
#[test]
fn no_scan_begins_below_what_is_on_file() {
    let timeouts = [TIMEOUT + 5, TIMEOUT + SECOND, TIMEOUT + 2 * SECOND];
    let claim_at = |second: u64, hold: Option<Hold>| {
        let mut ctx = chain_with(3);
        timeouts.iter().for_each(|timeout| claim(&mut ctx, &person(1), *timeout).unwrap());
        if hold.is_some() {
            UNORDERED.update(&mut ctx, &(person(1), timeouts[0]), &Unordered { hold }).unwrap();
        }
        let store = MemoryBackend::new(&[(Auth::STORE, Auth::NAME)]);
        let mut block = ctx.block.clone();
        let staged = store.stage(&*store.view(None).unwrap(), ctx.finish().changes).unwrap();
        let (view, scans) = (store.commit(staged, 1).unwrap(), Scans::default());
        block.time = At::new(second);
        let mut ctx = Ctx::new(Arc::new(Watched { view, scans: Arc::clone(&scans) }), Mode::Deliver, block);
        let claimed = claim(&mut ctx, &person(1), TIMEOUT + 9 * SECOND).is_ok();
        let scans = scans.lock().unwrap().clone();
        let of_records = scans.iter().filter(|(space, ..)| matches!(space, Space::State(_)));
        let began: Vec<_> = of_records.map(|(_, start, _)| start.clone()).collect();
        sound(&ctx);
        (claimed, timeouts.map(|timeout| UNORDERED.has(&ctx, &(person(1), timeout)).unwrap()), began)
    };
    let from = |timeout: u64| UNORDERED.key(&(person(1), timeout)).to_vec();
    assert_eq!(
        claim_at(1_060, None),
        (false, [true; 3], vec![]),
        "none has timed out, so none is looked for"
    );
    assert_eq!(claim_at(1_061, None), (true, [false, true, true], vec![from(TIMEOUT)]));
    assert_eq!(claim_at(1_062, None), (true, [false, true, true], vec![from(TIMEOUT)]));

    // One on hold is in no queue of times.
    let held =
        Some(Hold { codespace: "sdk".to_owned(), code: 11, attempts: 1, retry_at: At::new(1_000_000) });
    assert_eq!(claim_at(1_060, held.clone()), (false, [true; 3], vec![from(0)]));
    assert_eq!(claim_at(1_061, held.clone()), (true, [false, true, true], vec![from(0)]));
    assert_eq!(claim_at(1_062, held), (true, [false, true, true], vec![from(0)]));
}

/// After a halt all that is on file has timed out, and a block forgets as many as it may. Who sends in it has not paid yet
/// when the queue is looked at.
#[test]
fn what_a_block_has_forgotten_is_not_stepped_over_again() {
    let mut ctx = chain_with(10);
    let others = (2..=201).flat_map(|other| (0..10).map(move |n| (person(other), n)));
    let last = (0..10).map(|n| (person(1), 20 + n));
    for (address, n) in others.chain(last) {
        ensure(&mut ctx, &address).unwrap();
        claim(&mut ctx, &address, TIMEOUT + n * SECOND).unwrap();
    }
    let store = MemoryBackend::new(&[(Auth::STORE, Auth::NAME)]);
    let block = ctx.block.clone();
    let staged = store.stage(&*store.view(None).unwrap(), ctx.finish().changes).unwrap();
    let (view, scans) = (store.commit(staged, 1).unwrap(), Scans::default());
    // A look costs something even where it finds nothing.
    let looked = || {
        let scans = std::mem::take(&mut *scans.lock().unwrap());
        let of_queues = scans.iter().filter(|(space, ..)| matches!(space, Space::Derived(_)));
        of_queues.map(|(.., rows)| 1 + rows).sum::<u64>()
    };
    let mut ctx = Ctx::new(Arc::new(Watched { view, scans: Arc::clone(&scans) }), Mode::Deliver, block);
    block_at(&mut ctx, 2_000);
    let drained = looked();
    assert!(drained < u64::from(EXPIRIES_MAX) * 5, "{drained} rows for {EXPIRIES_MAX}");
    for n in 0..8 {
        claim(&mut ctx, &person(1), TIMEOUT + (2_000 + n) * SECOND).unwrap();
    }
    let looked = looked();
    assert!(looked < 8 * 20, "{looked} rows for eight transactions");
}

/// The bound is that of all accounts: another one's older timeouts do not hide this one's.
#[test]
fn the_oldest_of_an_account_need_not_be_the_oldest_of_all() {
    let mut ctx = chain_with(1);
    ensure(&mut ctx, &person(2)).unwrap();
    claim(&mut ctx, &person(2), TIMEOUT).unwrap();
    claim(&mut ctx, &person(1), TIMEOUT + 3 * SECOND).unwrap();
    ctx.block.time = At::new(1_063);
    assert_eq!(refusal(claim(&mut ctx, &person(1), TIMEOUT + 9 * SECOND)), ("auth", 2));
    ctx.block.time = At::new(1_064);
    claim(&mut ctx, &person(1), TIMEOUT + 9 * SECOND).unwrap();
    assert_eq!((live(&ctx), RETRIES.first(&ctx)), (1, Ok(None)));
    claim(&mut ctx, &person(2), TIMEOUT + 9 * SECOND).unwrap();
    sound(&ctx);
}

#[test]
fn a_block_forgets_a_bounded_number_and_the_next_one_goes_on() {
    let mut ctx = chain_with(EXPIRIES_MAX + 10);
    for n in 0..u64::from(EXPIRIES_MAX) + 10 {
        claim(&mut ctx, &person(1), TIMEOUT + n).unwrap();
    }
    block_at(&mut ctx, 2_000);
    assert_eq!(live(&ctx), 10);
    assert_eq!(EXPIRIES.backlog(&ctx, At::new(2_000), 100), Ok(10));
    block_at(&mut ctx, 2_001);
    assert_eq!(live(&ctx), 0);
}

#[test]
fn the_one_who_claims_pays_for_forgetting() {
    let mut ctx = chain_with(256);
    let mut account = ensure(&mut ctx, &person(1)).unwrap();
    account.key = Some(super::generator());
    account.number = u64::MAX / 2;
    account.sequence = u64::MAX;
    crate::set(&mut ctx, &account).unwrap();
    claim(&mut ctx, &person(1), TIMEOUT).unwrap();
    let before = ctx.gas_used();
    ctx.block.time = At::new(1_061);
    block::begin_block(&mut ctx).unwrap();
    let cost = ctx.gas_used() - before;
    assert_eq!(live(&ctx), 0);
    assert!(cost <= EXPIRY_GAS, "forgetting costs {cost}, {EXPIRY_GAS} were paid");
}

#[test]
fn a_claim_that_runs_out_of_gas_leaves_nothing() {
    let mut ctx = chain_with(256);
    let before = ctx.gas_used();
    claim(&mut ctx, &person(1), TIMEOUT).unwrap();
    let cost = ctx.gas_used() - before;
    for limit in (0..cost).step_by(203) {
        let result = ctx.attempt(|ctx| ctx.with_gas(limit, |ctx| claim(ctx, &person(1), TIMEOUT + 1)));
        assert_eq!(result, Err(KernelError::OutOfGas));
        assert_eq!(live(&ctx), 1);
        sound(&ctx);
    }
    claim(&mut ctx, &person(1), TIMEOUT + 1).unwrap();
}
