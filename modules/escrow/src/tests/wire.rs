//! The bytes: what the records and events are for everyone else.

use kernel::{Event, Fields, codec::Record};
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::*;
use crate::{
    Account, Deposit, Totals,
    events::{AccountFined, DepositRefunded, ParamsUpdated, StreamSettled},
    state::{PARAMS, TOTALS},
};

const PARAMS_BYTES: &str =
    "0a14636363636363636363636363636363636363636310a09c011a10000000000000000000000000000f42402008";
const TOTALS_BYTES: &str = "0a1000000000000000000000000000000009";
const ACCOUNT_BYTES: &str = "\
    0805121401010101010101010101010101010101010101011a280a140101010101010101010101010101010101010101\
    1210000000000000000000000000000000641a280a140202020202020202020202020202020202020202121000000000\
    00000000000000000000003722100000000000000000000000000000009b2a10000000000000000000000000000000c8\
    3210000000000000000000000000000000013a1000000000000000000000000000000002421000000000000000000000\
    00000000002a4a140707070707070707070707070707070707070707521000000000000000f0ef0e928bdd71c71858e8\
    0760940a6a100000000000000000062afbde1181b5c072100000000000000000000000000000002a7a10000000000000\
    000000000000000000038001a09c01";

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

fn account() -> Account {
    Account {
        order: 5,
        owner: address(1),
        deposits: vec![
            Deposit { depositor: address(1), amount: amount(100) },
            Deposit { depositor: address(2), amount: amount(55) },
        ],
        balance: amount(155),
        deposited_total: amount(200),
        refunded_total: amount(1),
        fined_total: amount(2),
        spent_total: amount(42),
        payee: Some(address(7)),
        rate: RATE,
        settled_at: at(1_000),
        hold_until: at(1_300),
        carry: 444_444_444_444_440_000,
        stream_gross: amount(42),
        stream_fee: amount(3),
        fee_ppm: 20_000,
    }
}

#[test]
fn records_are_what_the_store_protos_say() {
    let account = account();
    described("underbid.escrow.store.v1.Account", &account);
    described("underbid.escrow.store.v1.Deposit", &account.deposits[0]);
    described("underbid.escrow.store.v1.Totals", &Totals { balance: amount(9) });
    described("underbid.escrow.store.v1.Params", &Params::new(authority()));
    assert_eq!(Account::from_message(&account.to_message()), Some(account.clone()));
    let text = serde_json::to_string(&account).unwrap();
    assert_eq!(serde_json::from_str::<Account>(&text).unwrap(), account);
}

#[test]
fn events_are_what_the_protos_say() {
    fn event<E: Event>(value: &E) {
        described(E::NAME, value);
    }
    event(&StreamSettled { order_id: 5, payee: address(7), gross: amount(9), fee: amount(1), as_of: at(3) });
    event(&AccountFined { order_id: 5, amount: amount(9) });
    event(&DepositRefunded { order_id: 5, depositor: address(1), amount: amount(9) });
    event(&ParamsUpdated { params: Params::new(authority()) });
}

#[test]
fn the_bytes_of_records_are_fixed() {
    let hex = |record: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        record(&mut bytes);
        hex::encode(bytes)
    };
    assert_eq!((Params::VERSION, Totals::VERSION, Account::VERSION), (1, 1, 1));
    let ours = [
        hex(&|out| Params::new(authority()).encode(out)),
        hex(&|out| Totals { balance: amount(9) }.encode(out)),
        hex(&|out| account().encode(out)),
    ];
    assert_eq!(ours, [PARAMS_BYTES, TOTALS_BYTES, ACCOUNT_BYTES]);
}

#[test]
fn tags_are_fixed() {
    let mut ctx = ctx();
    TOTALS.set(&mut ctx, &Totals { balance: amount(9) }).unwrap();
    PARAMS.set(&mut ctx, &Params { fee_ppm: 7, ..Params::new(authority()) }).unwrap();
    let changes = ctx.finish().changes;
    let tags: Vec<_> = changes
        .keys()
        .filter(|(space, _)| *space == kernel::Space::State(Escrow::STORE))
        .map(|(_, key)| key.to_vec())
        .collect();
    assert_eq!(tags, [vec![0], vec![1], vec![2]], "schema, params, totals");
}
