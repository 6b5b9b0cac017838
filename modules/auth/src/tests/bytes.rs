//! The bytes under the app hash: what the store's protos say, and pinned.

use std::fmt::Debug;

use kernel::{Due as _, Fields, Hold, Item, Key as _, Map, Module as _, Record};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::{generator, person};
use crate::{
    Account, Auth, Error, Params, PublicKey,
    fees::BaseFee,
    state::{ACCOUNTS, EXPIRIES, MODULE_NAMES, RETRIES, UNORDERED},
    types::{ModuleName, NextNumber, Unordered},
};

/// A record's bytes are a message of `underbid.auth.store.v1` with the same field names, in its one canonical form.
fn described<R: Record + Fields + PartialEq + Debug>(name: &str, record: &R) -> String {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let message = pool.get_message_by_name(&format!("underbid.auth.store.v1.{name}")).unwrap();
    let mut rendered = Vec::new();
    record.render_fields(&mut rendered);
    let names: Vec<_> = rendered.iter().map(|(name, _)| *name).collect();
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|field| field.number());
    assert_eq!(names, fields.iter().map(|field| field.name()).collect::<Vec<_>>(), "{name}");

    let bytes = record.to_message();
    assert_eq!(R::decode(R::VERSION, &bytes).as_ref(), Some(record));
    assert_eq!(R::decode(R::VERSION + 1, &bytes), None);
    let decoded = DynamicMessage::decode(message, bytes.as_slice()).unwrap();
    assert_eq!(decoded.unknown_fields().count(), 0, "{name}");
    assert_eq!(decoded.encode_to_vec(), bytes, "{name}");
    hex::encode(bytes)
}

fn account() -> Account {
    Account {
        address: person(1),
        key: Some(generator()),
        number: 300,
        sequence: 2,
        unordered_live: 1,
        module: Some("escrow".into()),
    }
}

#[test]
fn records_are_what_the_protos_say() {
    assert_eq!(
        described("Account", &account()),
        "0a140101010101010101010101010101010101010101\
         12230a210279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\
         18ac02200228013206657363726f77"
    );
    let bot = Account { key: Some(PublicKey::Ed25519([9; 32])), module: None, number: 0, ..account() };
    described("Account", &bot);
    described("FeeParams", &Params::default().fee);
    described("Params", &Params::default());
    assert_eq!(described("NextNumber", &NextNumber { number: 7 }), "0807");
    assert_eq!(
        described("ModuleName", &ModuleName { address: person(2) }),
        "0a140202020202020202020202020202020202020202"
    );
    assert_eq!(described("Unordered", &Unordered::default()), "");
    let mut held = Unordered::default();
    *held.hold() =
        Some(Hold { codespace: "sdk".into(), code: 11, attempts: 1, retry_at: kernel::At::new(12) });
    assert_eq!(described("Unordered", &held), "0a0b0a0373646b100b1801200c");
    let price = BaseFee { price: kernel::Dec::from_atomics(5) };
    assert_eq!(described("BaseFee", &price), "0a1000000000000000000000000000000005");
}

#[test]
fn keys_are_pinned() {
    fn map<K: kernel::Key, V: Record>(map: &Map<K, V>, key: K) -> String {
        hex::encode(map.key(&key))
    }
    assert_eq!(map(&ACCOUNTS, person(1)), format!("02{}", "01".repeat(20)));
    assert_eq!(map(&MODULE_NAMES, "escrow".to_owned()), "04657363726f77");
    assert_eq!(
        hex::encode(UNORDERED.key(&(person(1), 258))),
        format!("05{}0000000000000102", "01".repeat(20))
    );

    let mut ctx = super::chain(crate::Genesis::default());
    crate::ensure(&mut ctx, &person(1)).unwrap();
    let account = crate::get(&ctx, &person(1)).unwrap().unwrap();
    crate::unordered::claim(&mut ctx, account, 2_000_000_000).unwrap();
    let keys: Vec<_> =
        ctx.finish().changes.into_keys().map(|(space, key)| (space, hex::encode(key))).collect();
    let state = |key: &str| (kernel::Space::State(Auth::STORE), key.to_owned());
    let expiry =
        format!("01{}{}{}", "0000000000000003", hex::encode(person(1).to_bytes()), "0000000077359400");
    assert_eq!(
        keys,
        [
            state("00"),
            state("01"),
            state(&format!("02{}", "01".repeat(20))),
            state("03"),
            state(&format!("05{}0000000077359400", "01".repeat(20))),
            state("06"),
            (kernel::Space::Derived(Auth::STORE), expiry),
        ]
    );
}

#[test]
fn a_held_record_waits_for_the_height_of_its_next_try() {
    let mut ctx = super::chain(crate::Genesis::default());
    crate::ensure(&mut ctx, &person(1)).unwrap();
    let account = crate::get(&ctx, &person(1)).unwrap().unwrap();
    crate::unordered::claim(&mut ctx, account, 2_000_000_000).unwrap();
    let mut held = Unordered::default();
    let retry_at = kernel::At::new(12);
    *held.hold() = Some(Hold { codespace: "sdk".into(), code: 11, attempts: 1, retry_at });
    UNORDERED.update(&mut ctx, &(person(1), 2_000_000_000), &held).unwrap();
    assert_eq!((EXPIRIES.first(&ctx), RETRIES.first(&ctx)), (Ok(None), Ok(Some(retry_at))));
    ctx.block.height = retry_at;
    crate::block::begin_block(&mut ctx).unwrap();
    assert_eq!((EXPIRIES.first(&ctx), RETRIES.first(&ctx)), (Ok(None), Ok(None)));
    super::sound(&ctx);
}

#[test]
fn codes_are_pinned() {
    let too_many = Error::TooManyUnordered { address: person(1), live: 256 };
    assert_eq!(too_many.code(), 2);
    let item: Item<Params> = crate::state::PARAMS;
    let ctx = super::chain(crate::Genesis::default());
    assert_eq!(item.load(&ctx), Ok(Params::default()));
}
