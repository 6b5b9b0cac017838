//! A state with one row of any bytes in it, as a broken disk or a wrong migration would leave it: everything that reads
//! the state either does its work or says what is corrupt. The first two bytes choose the row.
#![no_main]

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use fuzz::world::World;
use kernel::{Ctx, Depth, Fatal, KeyRange, Mode, Space, View};
use libfuzzer_sys::fuzz_target;
use store::MemoryBackend;
use underbid::{
    execute::{Base, RawBlock, execute},
    modules,
    signatures::SignatureCache,
};

struct Sound {
    view: Arc<dyn View>,
    store: MemoryBackend,
    block: RawBlock,
    keys: Vec<(Space, Vec<u8>)>,
}

static SOUND: LazyLock<Sound> = LazyLock::new(|| {
    let world = World::new();
    let ids = |store: &str| modules::STORES.iter().find(|(_, name)| *name == store).unwrap().0;
    let keys = world.keys().into_iter().map(|(store, key)| (Space::State(ids(store)), key)).collect();
    let block = world.block(40, world.next.clone());
    Sound { view: world.app().committed().base.state(), store: world.stores[0].clone(), block, keys }
});

/// The state with one row replaced, or removed.
struct Broken<'a> {
    at: &'a (Space, Vec<u8>),
    value: Option<Bytes>,
}

impl View for Broken<'static> {
    fn height(&self) -> u64 {
        SOUND.view.height()
    }
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, Fatal> {
        if (space, key) == (self.at.0, &self.at.1) {
            return Ok(self.value.clone());
        }
        SOUND.view.get(space, key)
    }
    fn scan(&self, space: Space, range: KeyRange<'_>, limit: u32) -> Result<Vec<(Bytes, Bytes)>, Fatal> {
        let mut rows = SOUND.view.scan(space, range, limit)?;
        rows.retain_mut(|(key, value)| {
            if (space, &**key) != (self.at.0, self.at.1.as_slice()) {
                return true;
            }
            self.value.clone().map(|broken| *value = broken).is_some()
        });
        Ok(rows)
    }
}

fuzz_target!(init: LazyLock::force(&SOUND), |bytes: &[u8]| {
    let Some((row, value)) = bytes.split_first_chunk() else { return };
    let at = &SOUND.keys[usize::from(u16::from_le_bytes(*row)) % SOUND.keys.len()];
    let value = (!value.is_empty()).then(|| Bytes::copy_from_slice(value));
    let view: Arc<dyn View> = Arc::new(Broken { at, value });
    let block = kernel::chain::last_block(&view).unwrap_or_default();
    let ctx = Ctx::new(view.clone(), Mode::Query, block);
    // Errors are answers; a panic, or work without an end, is not.
    drop(modules::invariants(&ctx, Depth::Full));
    drop(modules::rebuild(view.as_ref()));
    drop(modules::export_genesis(&ctx));
    let base = Base { view, genesis: None };
    drop(execute(&base, &SOUND.store, &SOUND.block, &SignatureCache::default()));
});
