//! Histories of messages with any values, properly signed, so that the handlers are reached: a body's messages, each in a
//! transaction of its own, in two blocks; its timeout height is the time that passes between them.
#![no_main]

use std::sync::{LazyLock, Mutex};

use fuzz::{mutate, rng::Rng, world::World};
use kernel::Depth;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use prost::Message as _;
use prost_types::{Any, Timestamp};
use proto::cosmos::tx::v1beta1::{TxBody, TxRaw};
use underbid::client::tx::{Draft, Signer};

/// Messages of one input.
const MESSAGES_MAX: usize = 16;
/// The longest time between two blocks: a year.
const GAP_S_MAX: u64 = 31_536_000;

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);

/// Messages that are good in the first block.
static GOOD: LazyLock<Vec<Any>> = LazyLock::new(|| {
    let raw = WORLD
        .lock()
        .unwrap()
        .next
        .iter()
        .filter_map(|tx| TxRaw::decode(tx.as_slice()).ok())
        .collect::<Vec<_>>();
    raw.iter().flat_map(|raw| TxBody::decode(raw.body_bytes.as_slice()).unwrap().messages).collect()
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(seed);
    match TxBody::decode(&data[..size]) {
        Ok(mut body) if rng.one_in(5) => {
            let at = rng.below(body.messages.len() + 1);
            body.messages.insert(at, rng.pick(&GOOD).clone());
            body.messages.truncate(MESSAGES_MAX);
            mutate::replace(data, size, max_size, &body.encode_to_vec())
        }
        _ => mutate::message("cosmos.tx.v1beta1.TxBody", data, size, max_size, seed),
    }
});

fuzz_target!(init: LazyLock::force(&GOOD), |bytes: &[u8]| {
    let Ok(body) = TxBody::decode(bytes) else { return };
    let mut world = WORLD.lock().unwrap();
    let count = body.messages.len().min(MESSAGES_MAX);
    let (first, second) = body.messages[..count].split_at(count / 2);
    for (messages, gap) in [(first, 1), (second, 1 + body.timeout_height % GAP_S_MAX), (&[], 1)] {
        let txs: Vec<_> =
            messages.iter().enumerate().map(|(index, any)| signed(&world, index, any)).collect();
        for tx in &txs {
            world.app().simulate(tx).unwrap();
        }
        world.deliver(&world.block(gap, txs));
    }
    world.check(Depth::Full);
    world.restore();
});

/// The message signed by whom it names; unordered, so that no transaction waits for another.
fn signed(world: &World, index: usize, message: &Any) -> Vec<u8> {
    let time_s = world.app().committed().block.time.value();
    let until = Timestamp { seconds: time_s as i64 + 500, nanos: index as i32 };
    let draft = Draft { unordered_until: Some(until), ..sim::draft_of(vec![message.clone()]) };
    let named = underbid::modules::decode(message, 1).ok().and_then(|message| {
        let signer = *message.signers().as_slice().first()?;
        sim::PEOPLE.into_iter().find(|name| sim::address(name) == signer)
    });
    let name = named.unwrap_or("alice");
    let key = sim::key(name);
    draft.sign(sim::CHAIN_ID, &[Signer { key: &key, account_number: world.numbers[name], sequence: 0 }]).bytes
}
