//! A whole block of any bytes: proposed, executed and committed by two replicas, one of which has seen other rounds and
//! all of the transactions before.
#![no_main]

use std::sync::{LazyLock, Mutex};

use fuzz::{mutate, rng::Rng, world::World};
use kernel::Depth;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(seed);
    let mut txs = mutate::split(&data[..size]);
    let at = if txs.is_empty() { 0 } else { rng.below(txs.len()) };
    match rng.below(8) {
        0 => txs.push(rng.pick(&WORLD.lock().unwrap().next).clone()),
        1 if !txs.is_empty() => txs.push(txs[at].clone()),
        2 if !txs.is_empty() => drop(txs.remove(at)),
        3 if !txs.is_empty() => txs.swap(at, 0),
        4 => return libfuzzer_sys::fuzzer_mutate(data, size, max_size),
        _ if txs.is_empty() => txs.push(Vec::new()),
        _ => {
            let mut room = vec![0; txs[at].len() + 512];
            room[..txs[at].len()].copy_from_slice(&txs[at]);
            let length = txs[at].len();
            let limit = room.len();
            let length =
                mutate::message("cosmos.tx.v1beta1.TxRaw", &mut room, length, limit, rng.next_u64() as u32);
            room.truncate(length);
            txs[at] = room;
        }
    }
    mutate::replace(data, size, max_size, &mutate::join(&txs))
});

fuzz_target!(init: LazyLock::force(&WORLD), |bytes: &[u8]| {
    let txs = mutate::split(bytes);
    let mut world = WORLD.lock().unwrap();
    for tx in &txs {
        world.app().check_tx(tx, false).unwrap();
    }
    world.propose(&txs);
    let seconds = 1 + u64::from(bytes.len().is_multiple_of(7)) * 100;
    // Another round: executed, and not decided.
    let other: Vec<_> = txs.iter().rev().cloned().collect();
    world.app().finalize(&world.block(seconds + 1, other)).unwrap();
    world.deliver(&world.block(seconds, txs));
    world.deliver(&world.block(1, Vec::new()));
    world.check(Depth::Full);
    world.restore();
});
