//! Every query with any request, and every record with its proof, at heights that are there and that are not. The first
//! three bytes choose the path, the height and whether to prove; the rest is the request.
#![no_main]

use std::sync::{LazyLock, Mutex};

use fuzz::{mutate, proofs, rng::Rng, world::World};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::RequestQuery;
use underbid::modules::{ROUTES, STORES};

static WORLD: LazyLock<Mutex<World>> = LazyLock::new(Mutex::default);
static KEYS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| WORLD.lock().unwrap().keys());

/// The path that a byte stands for: a method, or a store's records.
fn path(choice: u8) -> String {
    let routes: Vec<&str> = ROUTES.iter().flat_map(|routes| routes.iter().map(|(path, _)| *path)).collect();
    let choice = usize::from(choice);
    match routes.get(choice).copied().or_else(|| (choice == routes.len()).then_some(SIMULATE)) {
        Some(path) => path.to_owned(),
        None => format!("/store/{}/key", STORES[choice % STORES.len()].1),
    }
}

const SIMULATE: &str = "/cosmos.tx.v1beta1.Service/Simulate";

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(seed);
    if size < 3 || rng.one_in(10) {
        return fuzzer_mutate(data, size, max_size);
    }
    let path = path(data[0]);
    if path.starts_with("/store/") && rng.one_in(2) {
        let key = &rng.pick(&KEYS).1;
        let output = [&data[..3], key].concat();
        return mutate::replace(data, size, max_size, &output);
    }
    let mut parts = path.split('/').skip(1);
    let service = mutate::pool().get_service_by_name(parts.next().unwrap_or_default());
    let method = parts.next().unwrap_or_default();
    let input =
        service.and_then(|service| Some(service.methods().find(|found| found.name() == method)?.input()));
    let (head, body) = data.split_at_mut(3);
    if rng.one_in(6) {
        head[rng.below(3)] = rng.next_u64() as u8;
        return size;
    }
    3 + match input {
        Some(input) => {
            mutate::message(input.full_name(), body, size - 3, max_size - 3, rng.next_u64() as u32)
        }
        None => fuzzer_mutate(body, size - 3, max_size - 3),
    }
});

fuzz_target!(init: LazyLock::force(&KEYS), |bytes: &[u8]| {
    let Some(([choice, height, prove], data)) = bytes.split_first_chunk() else { return };
    let path = path(*choice);
    let world = WORLD.lock().unwrap();
    let request = RequestQuery {
        data: data.to_vec().into(),
        path: path.clone(),
        height: i64::from(*height as i8),
        prove: prove % 2 == 1,
    };
    let response = world.abci().query(request);
    let Some(ops) = response.proof_ops else { return };
    let ops: Vec<_> = ops.ops.into_iter().map(|op| op.data).collect();
    let root = world.hashes[&u64::try_from(response.height).unwrap()];
    let store = path.split('/').nth(2).unwrap();
    let claimed = (!response.value.is_empty()).then_some(&*response.value);
    assert!(proofs::verifies(&ops, store, data, claimed, &root), "an own proof does not verify");
});
