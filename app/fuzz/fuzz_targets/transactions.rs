//! Any bytes as a transaction: decoding, CheckTx, simulation, and a block of it.
#![no_main]

use std::sync::{LazyLock, Mutex};

use fuzz::{mutate, world::World};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use prost::Message as _;
use proto::cosmos::tx::v1beta1::TxRaw;
use underbid::tx::{Purpose, Tx};

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::message("cosmos.tx.v1beta1.TxRaw", data, size, max_size, seed)
});

fuzz_target!(init: LazyLock::force(&WORLD), |bytes: &[u8]| {
    let mut world = WORLD.lock().unwrap();
    let decoded = Tx::decode(bytes, 1, Purpose::Execute);
    if decoded.is_ok() {
        let raw = TxRaw::decode(bytes).unwrap();
        assert_eq!(raw.encode_to_vec(), bytes, "accepted in a form that is not canonical");
    }
    let checked = world.app().check_tx(bytes, false).unwrap();
    assert!(decoded.is_ok() || checked.code != 0);
    let simulated = world.app().simulate(bytes).unwrap();
    world.propose(&[bytes.to_vec()]);
    let result = world.finalize(&world.block(1, vec![bytes.to_vec()])).swap_remove(0);
    assert!(result.gas_used <= result.gas_wanted, "more gas than was paid for");
    // A good transaction is found good beforehand: all three read the same state.
    assert!(result.code != 0 || (checked.code, simulated.code) == (0, 0), "{checked:?} {simulated:?}");
    world.restart();
});
