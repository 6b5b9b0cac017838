//! Any text as a genesis document. One that is found valid starts a chain: it has the hash that was foretold, keeps the
//! invariants, runs blocks, and its export is a document of the same kind.
#![no_main]

use std::sync::Arc;

use fuzz::{mutate, rng::Rng};
use kernel::{Ctx, Depth, Mode};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use serde_json::Value;
use store::MemoryBackend;
use underbid::{
    app::App,
    execute::RawBlock,
    genesis,
    metrics::Metrics,
    modules::{self, STORES},
};

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(seed);
    match serde_json::from_slice::<Value>(&data[..size]) {
        Ok(mut document) if !rng.one_in(8) => {
            for _ in 0..=rng.below(3) {
                mutate::json(&mut document, &mut rng);
            }
            mutate::replace(data, size, max_size, document.to_string().as_bytes())
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

fuzz_target!(|bytes: &[u8]| {
    // What the chain's other documents say, so that every input is read with the same prefix.
    kernel::address::set_prefix("underbid").unwrap();
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(summary) = genesis::validate(text) else { return };
    let document: Value = serde_json::from_str(text).unwrap();
    let initial_height =
        document["initial_height"].as_str().map_or(1, |text| text.parse().unwrap_or(1)).max(1);
    // CometBFT's heights are signed.
    if i64::try_from(initial_height).is_err() {
        return;
    }
    let state = document["app_state"].to_string();
    let app = started(&summary.chain_id, initial_height, &state);
    for step in 0..3 {
        let time_s = 1_700_000_000 + step;
        let block =
            RawBlock { height: initial_height + step, time_s, hash: vec![1; 32], ..RawBlock::default() };
        app.finalize(&block).unwrap();
        app.commit().unwrap();
        let committed = app.committed();
        let ctx = Ctx::new(committed.base.state(), Mode::Query, committed.block.clone());
        modules::invariants(&ctx, Depth::Full).unwrap_or_else(|broken| panic!("{broken}"));
    }
    let exported = export(&app);
    let again = started(&summary.chain_id, 1, &exported.to_string());
    assert_eq!(export(&again), exported, "export -> import -> export");
});

fn started(chain_id: &str, initial_height: u64, state: &str) -> App {
    let app = App::open(Arc::new(MemoryBackend::new(STORES)), Metrics::default()).unwrap();
    let state = genesis::parse_state(state.as_bytes()).unwrap();
    app.init_chain(chain_id, initial_height, 1_700_000_000, state).unwrap();
    app
}

fn export(app: &App) -> Value {
    let committed = app.committed();
    let ctx = Ctx::new(committed.base.state(), Mode::Query, committed.block.clone());
    serde_json::to_value(modules::export_genesis(&ctx).unwrap()).unwrap()
}
