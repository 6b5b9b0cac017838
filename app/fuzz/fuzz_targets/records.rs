//! Any bytes as every kind of record and key: what is read is written back the same.
#![no_main]

use auth::{Account, fees::BaseFee};
use bytes::Bytes;
use kernel::{Address, At, Height, Hold, Key, Record, chain};
use libfuzzer_sys::fuzz_target;
use market::types::{Auction, Award, AwardRow, Best, Bid, EndedLease, Lease, Order, Terms};
use provider::{Class, Line, LineKey, Provider, Unbonding, UnbondingKey, Zone};

macro_rules! each {
    ($check:ident, $bytes:expr, $($type:ty),* $(,)?) => { $($check::<$type>($bytes);)* };
}

fn record<R: Record>(bytes: &[u8]) {
    let Some((version, body)) = bytes.split_first() else { return };
    let Some(value) = R::decode(*version, body) else { return };
    let mut written = vec![R::VERSION];
    value.encode(&mut written);
    assert_eq!(written, bytes, "{}", std::any::type_name::<R>());
}

fn key<K: Key>(bytes: &[u8]) {
    let Some(key) = K::from_bytes(bytes) else { return };
    assert_eq!(key.to_bytes().as_slice(), bytes, "{}", std::any::type_name::<K>());
}

fuzz_target!(|bytes: &[u8]| {
    each!(
        record,
        bytes,
        chain::Schema,
        chain::Clock,
        chain::EventLog,
        chain::DerivedDigest,
        chain::Seed,
        chain::SeedRange,
        chain::Paused,
        chain::Upgrade,
        chain::AppVersion,
        chain::Params,
        chain::Chain,
        Hold,
        Account,
        BaseFee,
        auth::Params,
        bank::Params,
        bank::Metadata,
        bank::DenomUnit,
        escrow::Account,
        escrow::Deposit,
        escrow::Params,
        Class,
        Provider,
        Line,
        Unbonding,
        provider::Params,
        Terms,
        Order,
        Lease,
        EndedLease,
        Auction,
        Best,
        Bid,
        Award,
        AwardRow,
        market::Params,
    );
    each!(
        key,
        bytes,
        u8,
        u32,
        u64,
        u128,
        String,
        Bytes,
        Address,
        At<Height>,
        bank::Denom,
        Zone,
        LineKey,
        UnbondingKey,
        (u64, Address),
        (u64, u32),
        (Address, bank::Denom),
    );
});
