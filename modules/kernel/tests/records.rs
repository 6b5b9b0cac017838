//! The kernel's records are what their proto file says, byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "a test stops where its assumption fails"
)]

use kernel::{Address, At, Event, Fields, Hold, chain, event::AbciEvent, queue::ItemHeld};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

/// Decodes by the published description, encodes again, and gives the field names that were set.
fn described(name: &str, bytes: &[u8]) -> Vec<String> {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let message = DynamicMessage::decode(pool.get_message_by_name(name).unwrap(), bytes).unwrap();
    assert_eq!(message.encode_to_vec(), bytes, "{name} is canonical");
    assert_eq!(message.unknown_fields().count(), 0, "{name} is described in full");
    message.fields().map(|(field, _)| field.name().to_owned()).collect()
}

fn names(record: &impl Fields) -> Vec<String> {
    let mut fields = Vec::new();
    record.render_fields(&mut fields);
    fields.into_iter().map(|(name, _)| name.to_owned()).collect()
}

fn check(name: &str, record: &impl Fields) {
    let full = format!("underbid.kernel.store.v1.{name}");
    assert_eq!(described(&full, &record.to_message()), names(record), "{name}");
}

#[test]
fn records_are_as_described() {
    check("Schema", &chain::Schema { version: 1 });
    check("Params", &chain::Params { max_billing_step_s: 60, bech32_prefix: "underbid".into() });
    check("Clock", &chain::Clock { header: At::new(5), billing: At::new(6) });
    check("EventLog", &chain::EventLog { hash: [1; 32] });
    check("DerivedDigest", &chain::DerivedDigest { sum: [2; 32] });
    check("Upgrade", &chain::Upgrade { name: "v2".into(), height: At::new(7), app_version: 2 });
    check("AppVersion", &chain::AppVersion { version: 1 });
    check("Paused", &chain::Paused { reason: "I2".into(), since: At::new(3) });
    check("Seed", &chain::Seed { seed: [3; 32] });
    check("SeedRange", &chain::SeedRange { oldest: 9 });
    check("Chain", &chain::Chain { id: "underbid-1".into() });
    check("Hold", &Hold { codespace: "market".into(), code: 3, attempts: 1, retry_at: At::new(20) });
}

#[test]
fn events_are_as_described() {
    let held =
        ItemHeld { store: 5, key: vec![1], codespace: "market".into(), code: 2, attempts: 1, retry_at: 30 };
    assert_eq!(described(ItemHeld::NAME, &held.to_message()), names(&held));
    let mut shown: Vec<AbciEvent> = Vec::new();
    held.render(&mut shown);
    assert_eq!(shown[0].kind, "underbid.kernel.v1.EventItemHeld");
    assert_eq!(shown[0].attributes[3], ("code", "2".to_owned()));
    let paused = chain::ModulePaused { name: "market".into(), reason: "I2".into() };
    assert_eq!(described(chain::ModulePaused::NAME, &paused.to_message()), names(&paused));
}

#[test]
fn golden_bytes() {
    let clock = chain::Clock { header: At::new(300), billing: At::new(1) };
    assert_eq!(clock.to_message(), [0x08, 0xac, 0x02, 0x10, 0x01]);
    assert_eq!(Address::of_module("escrow").0[..4], [0xa8, 0x43, 0x78, 0x43]);
}
