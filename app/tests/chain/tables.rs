//! The state as the `.proto` files describe it: what every key and every record is.

use kernel::{KeyRange, Space};
use underbid::{client::reflect::Reflection, modules::STORES};

use sim::*;

use crate::market;

#[test]
fn every_key_and_every_record_is_what_the_comments_of_the_protos_say() {
    let mut chain = market::with_providers();
    market::active_lease(&mut chain);
    market::order_with_bids(&mut chain);
    let mut unordered = draft([&send("alice", "bob", 1)]);
    let seconds = i64::try_from(chain.time_s + 100).unwrap();
    unordered.unordered_until = Some(prost_types::Timestamp { seconds, nanos: 0 });
    assert_eq!(chain.run(chain.sign(&unordered, &["alice"])).code, 0);

    let reflection = Reflection::new().unwrap();
    let view = chain.app().committed().base.state();
    let mut tables = std::collections::BTreeMap::new();
    for (store, module) in STORES {
        let rows = view.scan(Space::State(*store), KeyRange { start: &[], end: None }, u32::MAX).unwrap();
        for (key, value) in rows {
            let table = reflection.table(module, key[0]).unwrap_or_else(|| panic!("{module} {key:?}"));
            let words = table.key(&key).unwrap_or_else(|| panic!("{module} {key:?}: {table:?}"));
            table.value(&reflection, &value).unwrap_or_else(|error| panic!("{module} {key:?}: {error}"));
            assert!(!table.about.is_empty() || *module == "kernel", "{module} {key:?}");
            // Not one byte longer or shorter is such a key, unless it ends with a name.
            let longer = [key.as_ref(), &[0xff]].concat();
            assert_eq!(table.key(&longer), None, "{module} {words}");
            tables.insert((*module, key[0]), words);
        }
    }
    assert!(tables.len() > 30, "{tables:?}");
    assert_eq!(tables[&("market", 0)], "", "a record of its own");
    assert!(tables[&("market", 5)].starts_with("order 2, provider underbid1"), "{tables:?}");
    assert!(tables[&("provider", 5)].ends_with("class 1, zone de/he/fra"), "{tables:?}");
    let address = text("bob");
    assert!(reflection.table("bank", 99).is_none() && reflection.table("nothing", 1).is_none());
    let balances = reflection.table("bank", 2).unwrap();
    let key = [[2].as_slice(), &kernel::Address::parse(&address).unwrap().0, b"uflop"].concat();
    assert_eq!(balances.key(&key), Some(format!("address {address}, denom uflop")));
    assert_eq!(balances.key(&key[..20]), None);
}
