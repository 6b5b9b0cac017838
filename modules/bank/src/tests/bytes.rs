//! The bytes under the app hash: what the protos say, and pinned.

use std::fmt::Debug;

use kernel::{Event, Fields, Record, Space};
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::*;
use crate::{
    DenomUnit, Error, Metadata, Params,
    events::{Burned, Minted, Transferred},
    types::{Balance, SendEnabled, Supply},
};

/// The bytes are a message of that full name with the same field names, in its one canonical form.
fn described<M: Fields + PartialEq + Debug>(name: &str, value: &M) -> String {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let message = pool.get_message_by_name(name).unwrap();
    let mut rendered = Vec::new();
    value.render_fields(&mut rendered);
    let names: Vec<_> = rendered.iter().map(|(name, _)| *name).collect();
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|field| field.number());
    assert_eq!(names, fields.iter().map(|field| field.name()).collect::<Vec<_>>(), "{name}");

    let bytes = value.to_message();
    assert_eq!(M::from_message(&bytes).as_ref(), Some(value));
    let decoded = DynamicMessage::decode(message, bytes.as_slice()).unwrap();
    assert_eq!(decoded.unknown_fields().count(), 0, "{name}");
    assert_eq!(decoded.encode_to_vec(), bytes, "{name}");
    hex::encode(bytes)
}

fn record<R: Record + Fields + PartialEq + Debug>(name: &str, record: &R) -> String {
    assert_eq!(R::VERSION, 1);
    described(&format!("underbid.bank.store.v1.{name}"), record)
}

fn event<E: Event + PartialEq + Debug>(event: &E) -> String {
    described(E::NAME, event)
}

#[test]
fn records_are_what_the_protos_say() {
    let amount = Amount::from(258);
    assert_eq!(record("Balance", &Balance { amount }), "0a1000000000000000000000000000000102");
    assert_eq!(record("Supply", &Supply { amount }), "0a1000000000000000000000000000000102");
    assert_eq!(record("SendEnabled", &SendEnabled { enabled: true }), "0801");
    assert_eq!(record("Params", &Params { default_send_enabled: true }), "0801");
    let unit = DenomUnit { denom: "flop".into(), exponent: 6, aliases: vec!["F".into(), "f".into()] };
    assert_eq!(record("DenomUnit", &unit), "0a04666c6f7010061a01461a0166");
    let metadata = Metadata {
        description: "d".into(),
        denom_units: vec![unit.clone(), unit],
        base: uflop(),
        display: "flop".into(),
        name: "n".into(),
        symbol: "s".into(),
        uri: "u".into(),
        uri_hash: "h".into(),
    };
    record("Metadata", &metadata);
}

#[test]
fn events_are_what_the_protos_say() {
    let (denom, amount) = (uflop(), Amount::from(1));
    assert_eq!(
        event(&Transferred { sender: ALICE, receiver: BOB, denom: denom.clone(), amount }),
        "0a140101010101010101010101010101010101010101\
         12140202020202020202020202020202020202020202\
         1a0575666c6f70221000000000000000000000000000000001"
    );
    event(&Burned { account: ALICE, denom: denom.clone(), amount });
    event(&Minted { account: ALICE, denom, amount });
}

#[test]
fn keys_are_pinned() {
    let genesis = Genesis {
        balances: vec![Balances { address: ALICE, coins: vec![coin("uflop", 1)] }],
        metadata: vec![Metadata {
            description: String::new(),
            denom_units: vec![DenomUnit { denom: "uflop".into(), exponent: 0, aliases: vec![] }],
            base: uflop(),
            display: "uflop".into(),
            name: String::new(),
            symbol: String::new(),
            uri: String::new(),
            uri_hash: String::new(),
        }],
        send_enabled: vec![SendEnabledFlag { denom: uflop(), enabled: true }],
        ..Genesis::default()
    };
    let mut ctx = blank();
    Bank::init_genesis(&mut ctx, genesis).unwrap();
    let changes = ctx.finish().changes;
    let keys = |space| -> Vec<String> {
        changes.keys().filter(|(at, _)| *at == space).map(|(_, key)| hex::encode(key)).collect()
    };
    let (alice, uflop) = ("01".repeat(20), "75666c6f70");
    assert_eq!(
        keys(Space::State(Bank::STORE)),
        [
            "00".to_owned(),
            "01".to_owned(),
            format!("02{alice}{uflop}"),
            format!("03{uflop}"),
            format!("04{uflop}"),
            format!("05{uflop}"),
        ]
    );
    assert_eq!(keys(Space::Derived(Bank::STORE)), [format!("01{uflop}00{alice}{uflop}")]);
}

#[test]
fn codes_are_pinned() {
    let codes = [
        (Error::NoInputs, 2),
        (Error::NoOutputs, 3),
        (Error::InputOutputMismatch, 4),
        (Error::SendDisabled { denom: uflop() }, 5),
        (Error::MultipleSenders, 9),
        (Error::TooManyOutputs { max: 64, got: 65 }, 10),
    ];
    for (error, code) in codes {
        assert_eq!(error.code(), code, "{error}");
    }
}
