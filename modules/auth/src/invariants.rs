//! The laws of the module's state, over every record: for tests and on demand.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Address, Broken, Ctx, DerivedSink, Module as _, entries_of};

use crate::{
    Auth,
    params::params,
    state::{ACCOUNTS, MODULE_NAMES, NEXT_NUMBER, UNORDERED},
};

pub(crate) fn check(ctx: &Ctx) -> Result<(), Broken> {
    let mut live: BTreeMap<Address, u32> = BTreeMap::new();
    UNORDERED.for_each(ctx, |(address, _), _| {
        let count = live.entry(address).or_default();
        *count = count.saturating_add(1);
        Ok(())
    })?;
    let mut names = BTreeMap::new();
    MODULE_NAMES.for_each(ctx, |name, listed| {
        names.insert(listed.address, name);
        Ok(())
    })?;

    let next = NEXT_NUMBER.load(ctx)?.number;
    let live_max = params(ctx)?.unordered_live_max;
    let mut numbers = BTreeSet::new();
    let mut broken = None;
    ACCOUNTS.for_each(ctx, |address, account| {
        let recorded = live.remove(&address).unwrap_or(0);
        let name = names.remove(&address);
        let module_address = account.module.as_deref().map(Address::of_module);
        let laws = [
            ("A1", account.number < next && numbers.insert(account.number)),
            ("A2", account.unordered_live == recorded && recorded <= live_max),
            (
                "A3",
                account.module == name
                    && module_address.is_none_or(|of| of == address && account.key.is_none()),
            ),
            (
                "A4",
                account.address == address && account.key.as_ref().is_none_or(|key| key.address() == address),
            ),
        ];
        for (law, _) in laws.into_iter().filter(|(_, holds)| !holds) {
            broken = Some(Broken::law(
                law,
                format!("account {account:?}; next number {next}, {recorded} unordered"),
            ));
        }
        Ok(())
    })?;
    if let Some((address, count)) = live.first_key_value() {
        return Err(Broken::law(
            "A2",
            format!("{count} unordered transactions of {address}, which has no account"),
        ));
    }
    if let Some((address, name)) = names.first_key_value() {
        return Err(Broken::law(
            "A3",
            format!("the module account {name} at {address} is listed but not there"),
        ));
    }
    let mut expected = DerivedSink::default();
    UNORDERED.collect(ctx, &mut expected)?;
    if *expected.entries() != entries_of(ctx, Auth::STORE)? {
        return Err(Broken::law("A5", "the queues' entries are not those that the records give"));
    }
    broken.map_or(Ok(()), Err)
}
