//! The bytes: what the records and events are for everyone else.

use kernel::{Event, Fields, Hold, Key, Space, codec::Record};
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::*;
use crate::{
    Class, SlashReason, Status, Totals, Unbonding, ZonePattern,
    events::*,
    indexes::Offer,
    state::{CLASSES, LINES, PROVIDERS, UNBONDINGS},
};

/// The message of the protos reads the bytes, knows all of them, and has the same field names.
fn described<T: Fields>(name: &str, value: &T) {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let descriptor = pool.get_message_by_name(name).unwrap_or_else(|| panic!("{name} is not described"));
    let bytes = value.to_message();
    let message = DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).unwrap();
    assert_eq!(message.unknown_fields().count(), 0, "{name}");
    assert_eq!(prost::Message::encode_to_vec(&message), bytes, "{name}");
    let mut rendered = Vec::new();
    value.render_fields(&mut rendered);
    let ours: Vec<_> = rendered.iter().map(|(name, _)| (*name).to_owned()).collect();
    let theirs: Vec<_> = descriptor.fields().map(|field| field.name().to_owned()).collect();
    assert_eq!(ours, theirs, "{name}");
    assert_eq!(message.fields().count(), ours.len(), "{name}: the sample sets every field");
}

fn hold() -> Hold {
    Hold { codespace: "sdk".into(), code: 5, attempts: 1, retry_at: At::new(10) }
}

fn sample_class() -> Class {
    Class {
        id: 1,
        name: "rtx-4090".into(),
        vram_mib: 24_576,
        gpus: 1,
        vcpu_milli: 8_000,
        memory_mib: 32_768,
        disk_gib: 500,
        device_price_usd: 1_800,
        ref_price_day: amount(9_600_000),
        active: true,
    }
}

fn sample_provider() -> Provider {
    Provider {
        owner: address(1),
        operators: vec![address(2), address(3)],
        endpoints: vec!["https://a.example".into()],
        encryption_key: [7; 32],
        status: Status::Active,
        stake_total: amount(1_000),
        stake_locked: amount(10),
        required_uc: amount(400),
        minimum_uc: amount(50),
        uptime_ppm: 900_000,
        good: amount(16),
        bad: amount(2),
        slash_ppm: 3,
        scored_at: at(86_400),
        created_at: at(5),
        unbonding_seq: 1,
        shrunk_from_uc: amount(500),
        shrunk_at: at(6),
    }
}

fn sample_line() -> Line {
    Line { total: 8, reserved: 2, leased: 1, unit_required: amount(7), tier_min: amount(9) }
}

#[test]
fn records_are_what_the_store_protos_say() {
    described("underbid.provider.store.v1.Params", &params());
    described("underbid.provider.store.v1.Class", &sample_class());
    described("underbid.provider.store.v1.Provider", &sample_provider());
    described("underbid.provider.store.v1.Line", &sample_line());
    let totals = Totals { staked: amount(1), locked: amount(2), unbonding: amount(3) };
    described("underbid.provider.store.v1.Totals", &totals);
    let unbonding = Unbonding { amount: amount(1), due_at: at(2), hold: Some(hold()) };
    described("underbid.provider.store.v1.Unbonding", &unbonding);
    assert_eq!(Provider::from_message(&sample_provider().to_message()), Some(sample_provider()));
    assert_eq!(Params::from_message(&params().to_message()), Some(params()));
}

#[test]
fn events_are_what_the_protos_say() {
    fn event<E: Event>(value: &E) {
        described(E::NAME, value);
    }
    let (provider, class) = (address(1), sample_class());
    event(&ClassSet::from(&class));
    event(&ProviderRegistered {
        provider,
        endpoints: vec!["a".into()],
        encryption_key: [1; 32],
        operators: vec![address(2)],
        stake: amount(1),
        minimum_uc: amount(2),
    });
    event(&ProviderUpdated { provider, endpoints: vec!["a".into()], encryption_key: [1; 32] });
    event(&OperatorsSet { provider, operators: vec![address(2)] });
    event(&StakeAdded { provider, amount: amount(1) });
    event(&UnbondingStarted { provider, seq: 1, amount: amount(1), due_at: at(2) });
    event(&CapacitySet { provider, class_id: 1, zone: zone(FRA), total: 1, required_uc: amount(1) });
    event(&ExitStarted { provider, seq: 1, amount: amount(1), due_at: at(2) });
    event(&UnbondingPaid { provider, seq: 1, amount: amount(1) });
    event(&ProviderExited { provider });
    event(&StakeSlashed {
        provider,
        reason: SlashReason::Abandoned,
        harmed: Some(address(2)),
        to_harmed: amount(1),
        burned: amount(2),
        slash_ppm: 3,
    });
    event(&ReputationRecorded { provider, good: amount(1), bad: amount(2) });
    event(&ParamsUpdated { params: params() });
}

#[test]
fn numbers_of_states_and_reasons_are_those_of_the_protos() {
    let same = |ours: u32, theirs: i32| assert_eq!(i64::from(ours), i64::from(theirs));
    same(Status::Active.number(), pb::ProviderStatus::Active as i32);
    same(Status::Exiting.number(), pb::ProviderStatus::Exiting as i32);
    same(Status::Exited.number(), pb::ProviderStatus::Exited as i32);
    same(SlashReason::NoStart.number(), pb::SlashReason::NoStart as i32);
    same(SlashReason::Abandoned.number(), pb::SlashReason::Abandoned as i32);
    same(SlashReason::NotDelivered.number(), pb::SlashReason::NotDelivered as i32);
}

fn bytes<R: Record>(record: &R) -> String {
    let mut bytes = vec![R::VERSION];
    record.encode(&mut bytes);
    hex::encode(bytes)
}

#[test]
fn the_bytes_of_records_are_fixed() {
    let totals = Totals { staked: amount(1), locked: amount(2), unbonding: amount(3) };
    let unbonding = Unbonding { amount: amount(1), due_at: at(2), hold: None };
    let ours = [
        bytes(&params()),
        bytes(&totals),
        bytes(&sample_class()),
        bytes(&sample_provider()),
        bytes(&sample_line()),
        bytes(&unbonding),
    ];
    assert_eq!(ours, GOLDEN);
}

#[test]
fn keys_and_tags_are_fixed() {
    let owner = "01".repeat(20);
    let line = (address(1), 2, zone(FRA));
    assert_eq!(hex::encode(CLASSES.key(&7)), "0300000007");
    assert_eq!(hex::encode(PROVIDERS.key(&address(1))), format!("04{owner}"));
    assert_eq!(hex::encode(LINES.key(&line)), format!("05{owner}00000002{}", hex::encode(FRA)));
    assert_eq!(hex::encode(UNBONDINGS.key(&(address(1), 3))), format!("06{owner}00000003"));

    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 1)).unwrap();
    chain.run(unstake(1, 1)).unwrap();
    let changes = chain.ctx.finish().changes;
    let tags = |space| {
        let mut tags: Vec<_> = changes.keys().filter(|(s, _)| *s == space).map(|(_, key)| key[0]).collect();
        tags.dedup();
        tags
    };
    assert_eq!(tags(Space::State(ProviderModule::STORE)), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(tags(Space::Derived(ProviderModule::STORE)), [0x10, 0x12, 0x20]);
}

#[test]
fn an_offer_reads_back_from_its_key() {
    for zone in [None, Some("de"), Some("de/hessen"), Some(FRA)] {
        let offer = Offer { class_id: 7, zone: zone.map(|text| ZonePattern::parse(text).unwrap()) };
        assert_eq!(Offer::from_bytes(&offer.to_bytes()), Some(offer));
    }
    assert_eq!(Offer::from_bytes(b"\0\0\0\x07de"), None);
}

/// Parameters, totals, class, provider, line, unbonding.
const GOLDEN: [&str; 6] = [
    "010a14636363636363636363636363636363636363636312100000000000000000000000000007a1201880df6e2208e807d0\
     0f882798752a1000000000000000000000000002faf0802a1000000000000000000000000005f5e1002a1000000000000000\
     00000000001dcd65002a10000000000000000000000000773594002a100000000000000000000000012a05f200320507070a\
     0e0e384040084804508001580860a0f7366a10000000000000000000000000773594007088d23b7880b5188001c80188010e",
    "010a10000000000000000000000000000000011210000000000000000000000000000000021a100000000000000000000000\
     0000000003",
    "01080112087274782d343039301880c001200128c03e3080800238f40340880e4a1000000000000000000000000000927c00\
     5001",
    "010a140101010101010101010101010101010101010101121402020202020202020202020202020202020202021214030303\
     03030303030303030303030303030303031a1168747470733a2f2f612e6578616d706c652220070707070707070707070707\
     070707070707070707070707070707070707070728013210000000000000000000000000000003e83a100000000000000000\
     000000000000000a4210000000000000000000000000000001904a100000000000000000000000000000003250a0f7365a10\
     0000000000000000000000000000001062100000000000000000000000000000000268037080a30578058001018a01\
     10000000000000000000000000000001f4900106",
    "010808100218012210000000000000000000000000000000072a1000000000000000000000000000000009",
    "010a10000000000000000000000000000000011002",
];
