//! Each message: what it writes, and each guard once in its order.

use super::*;
use crate::Status;

#[test]
fn the_authority_sets_classes() {
    let mut chain = Chain::new();
    let reply = chain.run(set_class(1, 2_000, 5)).unwrap();
    assert_eq!(reply.type_url, "/underbid.provider.v1.MsgSetClassResponse");
    assert_eq!(reply.value, [8, 2], "tier 2");
    assert_eq!(chain.events(), ["ClassSet"]);
    let class = crate::class(&chain.ctx, 1).unwrap();
    assert_eq!((class.gpus, class.ref_price_day, class.active), (1, amount(5), true));

    let stranger = pb::MsgSetClass { authority: address(1).to_string(), ..set_class(0, 0, 0) };
    chain.refuses(stranger, Error::NotAuthority { authority: address(99), actor: address(1) });
    let changed = |change: fn(&mut pb::Class)| {
        let mut msg = set_class(1, 500, 5);
        msg.class.as_mut().map(change).unwrap();
        msg
    };
    let named = "a name of 1 to 64 bytes";
    chain.refuses(changed(|class| class.name.clear()), Error::BadClass { expected: named });
    chain.refuses(changed(|class| class.name = "x".repeat(65)), Error::BadClass { expected: named });
    chain.refuses(changed(|class| class.id = 0), Error::BadClass { expected: "an id above 0" });
    let priced = Error::BadClass { expected: "a ref_price_day above 0" };
    chain.refuses(changed(|class| class.ref_price_day = "0".into()), priced);
    assert!(chain.run(changed(|class| class.gpus = 65_536)).is_err());
    chain.run(changed(|class| class.gpus = 65_535)).unwrap();
    chain.run(changed(|class| (class.gpus, class.name) = (0, "x".repeat(64)))).unwrap();
}

#[test]
fn a_class_has_the_tier_of_its_device() {
    let rows = [
        (0, 0),
        (999, 0),
        (1_000, 1),
        (1_999, 1),
        (2_000, 2),
        (4_999, 2),
        (5_000, 3),
        (14_999, 3),
        (15_000, 4),
    ];
    for (price, tier) in rows {
        assert_eq!(params().tier(price), tier, "{price} USD");
    }
}

#[test]
fn a_provider_registers_with_its_stake() {
    let mut chain = Chain::new();
    // The minimum: 50 USD at half a USD for a million uflop.
    chain.refuses(
        register(1, 99_999_999, &[]),
        Error::StakeBelowMinimum { stake_uc: amount(49_999_999), minimum_uc: amount(50_000_000) },
    );
    chain.run(register(1, 100_000_000, &[11, 12])).unwrap();
    assert_eq!(chain.events(), ["ProviderRegistered"]);
    assert_eq!((chain.flop(address(1)), chain.pool()), (u128::from(FUNDS) - 100_000_000, 100_000_000));
    let provider = chain.provider(1);
    assert_eq!(provider.status, Status::Active);
    assert_eq!((provider.required_uc, provider.minimum_uc), (amount(50_000_000), amount(50_000_000)));
    assert_eq!((provider.uptime_ppm, provider.slash_ppm), (900_000, 0));
    assert_eq!((provider.created_at, provider.scored_at), (at(NOW), at(NOW)));
    assert!(
        provider.is_operator(&address(1))
            && provider.is_operator(&address(11))
            && !provider.is_operator(&address(2))
    );

    chain.refuses(
        register(1, 1, &[]),
        Error::AlreadyRegistered { provider: address(1), status: Status::Active },
    );
    let nine: Vec<u8> = (50..59).collect();
    chain.refuses(register(2, STAKE, &nine), Error::TooManyOperators { got: 9, operators_max: 8 });
    let rich = chain.run(register(2, FUNDS + 1, &[])).unwrap_err();
    assert!(matches!(rich, KernelError::Rejected(reject) if (reject.codespace, reject.code) == ("sdk", 5)));
    chain.run(register(2, FUNDS, &nine[..8])).unwrap();
    assert_eq!(chain.flop(address(2)), 0);
}

#[test]
fn endpoints_are_few_and_short() {
    let mut chain = Chain::with_provider();
    let refused = || Error::BadEndpoints { endpoints_max: 4, endpoint_len_max: 128 };
    chain.run(update(1, &vec!["x".repeat(128); 4])).unwrap();
    assert_eq!(chain.provider(1).endpoints.len(), 4);
    assert_eq!(chain.provider(1).encryption_key, [7; 32]);
    assert_eq!(chain.events(), ["ProviderUpdated"]);
    chain.refuses(update(1, &vec!["x".into(); 5]), refused());
    chain.refuses(update(1, &["x".repeat(129)]), refused());
    chain.refuses(
        pb::MsgRegisterProvider { endpoints: vec!["x".repeat(129)], ..register(2, STAKE, &[]) },
        refused(),
    );
    chain.run(update(1, &[])).unwrap();
    for bad in ["", "a b", "a\n", "ä"] {
        assert!(chain.run(update(1, &[bad.to_owned()])).is_err(), "{bad:?}");
    }
    for length in [0, 31, 33] {
        assert!(
            chain.run(pb::MsgUpdateProvider { encryption_key: vec![1; length], ..update(1, &[]) }).is_err()
        );
    }
    chain.refuses(update(2, &[]), Error::UnknownProvider { provider: address(2) });
}

#[test]
fn operators_are_replaced_as_a_whole() {
    let mut chain = Chain::with_provider();
    chain.run(register(2, STAKE, &[12])).unwrap();
    chain.events();
    chain.run(set_operators(1, &[13, 11])).unwrap();
    assert_eq!(chain.events(), ["OperatorsSet"]);
    assert_eq!(chain.provider(1).operators, [address(13), address(11)]);
    let stranger = |provider| Error::NotOperator { provider: address(provider), actor: address(13) };
    chain.refuses(capacity(13, 2, 1, FRA, 1), stranger(2));
    chain.run(set_operators(1, &[])).unwrap();
    chain.refuses(capacity(13, 1, 1, FRA, 1), stranger(1));
    let nine: Vec<u8> = (50..59).collect();
    chain.refuses(set_operators(1, &nine), Error::TooManyOperators { got: 9, operators_max: 8 });
    assert!(chain.run(set_operators(1, &[50, 50])).is_err(), "each once");
    chain.refuses(set_operators(3, &[]), Error::UnknownProvider { provider: address(3) });
}

/// A provider names whom it likes: whoever is named, in one set or in several, loses nothing by it.
#[test]
fn being_named_as_an_operator_harms_nobody() {
    let mut chain = Chain::with_provider();
    // 2 and 12 have asked for nothing.
    chain.run(set_operators(1, &[2, 12])).unwrap();
    chain.run(register(2, STAKE, &[12])).unwrap();
    chain.run(set_operators(1, &[])).unwrap();
    chain.run(set_operators(1, &[2, 12])).unwrap();
    chain.run(set_operators(2, &[12, 13])).unwrap();
    chain.run(capacity(2, 2, 1, FRA, 1)).unwrap();
    chain.run(capacity(12, 2, 1, FRA, 2)).unwrap();
    chain.run(capacity(12, 1, 1, FRA, 3)).unwrap();
    // It works one way: who names an operator may not act for it.
    let stranger = Error::NotOperator { provider: address(2), actor: address(1) };
    chain.refuses(capacity(1, 2, 1, FRA, 4), stranger);
    // To name its own owner changes nothing.
    chain.run(set_operators(2, &[2])).unwrap();
    chain.run(capacity(2, 2, 1, FRA, 0)).unwrap();
    chain.run(exit(2)).unwrap();
}

#[test]
fn stake_is_added() {
    let mut chain = Chain::with_provider();
    chain.run(add_stake(1, 5)).unwrap();
    assert_eq!(chain.events(), ["StakeAdded"]);
    assert_eq!((chain.stake(1), chain.pool()), ((u128::from(STAKE) + 5, 0), u128::from(STAKE) + 5));
    assert!(chain.run(add_stake(1, 0)).is_err());
    assert!(chain.run(add_stake(1, FUNDS)).is_err(), "more than it has");
    chain.refuses(add_stake(11, 5), Error::UnknownProvider { provider: address(11) });
}

#[test]
fn capacity_is_backed_by_stake() {
    let mut chain = Chain::with_provider();
    // Class 2 asks for 14 days of 10 USD a unit, and for 5_000 USD at least; the stake counts for 4_000.
    let below = |required| Error::StakeBelowRequired {
        stake_uc: amount(4_000_000_000),
        required_uc: amount(required),
    };
    chain.refuses(capacity(1, 1, 2, FRA, 1), below(5_000_000_000));
    // Class 1 asks for 7 USD a unit: 571 units are 3_997 USD.
    chain.run(capacity(11, 1, 1, FRA, 571)).unwrap();
    assert_eq!(chain.events(), ["CapacitySet"]);
    assert_eq!(chain.provider(1).required_uc, amount(3_997_000_000));
    chain.refuses(capacity(1, 1, 1, FRA, 572), below(4_004_000_000));
    chain.refuses(capacity(1, 1, 1, "us/east/nyc", 1), below(4_004_000_000));
    chain.run(add_stake(1, 2_000_000_000)).unwrap();
    chain.run(capacity(1, 1, 2, FRA, 1)).unwrap();
    assert_eq!(chain.provider(1).required_uc, amount(5_000_000_000), "the larger one of minimum and sum");
    let line = chain.line(1, 2, FRA).unwrap();
    assert_eq!((line.unit_required, line.tier_min), (amount(140_000_000), amount(5_000_000_000)));

    chain.run(capacity(1, 1, 1, FRA, 0)).unwrap();
    chain.run(capacity(1, 1, 2, FRA, 0)).unwrap();
    assert_eq!(chain.line(1, 1, FRA), None);
    assert_eq!(chain.provider(1).required_uc, amount(50_000_000), "without lines the own minimum");
    chain.run(capacity(1, 1, 2, FRA, 0)).unwrap();
}

#[test]
fn what_a_unit_asks_for_is_frozen_until_the_total_grows() {
    let mut chain = Chain::with_provider();
    chain.run(capacity(1, 1, 1, FRA, 10)).unwrap();
    chain.run(set_class(1, 1_000, 2_000_000)).unwrap();
    chain.run(capacity(1, 1, 1, FRA, 9)).unwrap();
    assert_eq!(chain.provider(1).required_uc, amount(63_000_000));
    chain.run(capacity(1, 1, 1, FRA, 9)).unwrap();
    assert_eq!(chain.provider(1).required_uc, amount(63_000_000));
    chain.run(capacity(1, 1, 1, FRA, 10)).unwrap();
    assert_eq!(chain.provider(1).required_uc, amount(140_000_000));
    assert_eq!(chain.line(1, 1, FRA).unwrap().tier_min, amount(100_000_000));
}

#[test]
fn capacity_has_its_guards_in_order() {
    let mut chain = Chain::with_provider();
    chain.refuses(capacity(1, 5, 9, FRA, 1), Error::UnknownProvider { provider: address(5) });
    chain
        .refuses(capacity(12, 1, 9, FRA, 1), Error::NotOperator { provider: address(1), actor: address(12) });
    chain.refuses(capacity(1, 1, 9, FRA, 1), Error::UnknownClass { class_id: 9 });
    chain.run(capacity(1, 1, 1, FRA, 10)).unwrap();
    reserve(&mut chain.ctx, address(1), 1, &zone(FRA), 3, amount(1)).unwrap();
    crate::commit(&mut chain.ctx, address(1), 1, &zone(FRA), 1).unwrap();
    let mut retired = set_class(1, 500, 1_000_000);
    retired.class.as_mut().unwrap().active = false;
    chain.run(retired).unwrap();
    chain.refuses(capacity(1, 1, 1, FRA, 11), Error::ClassRetired { class_id: 1 });
    let in_use = Error::CapacityInUse { class_id: 1, zone: zone(FRA), used: 3, total: 2 };
    chain.refuses(capacity(1, 1, 1, FRA, 2), in_use);
    chain.run(capacity(1, 1, 1, FRA, 3)).unwrap();
    assert!(chain.run(capacity(1, 1, 1, "de/hessen", 3)).is_err(), "not a zone");
}

#[test]
fn lines_are_few() {
    let mut chain = Chain::with_provider();
    for number in 0..64 {
        chain.run(capacity(1, 1, 1, &format!("de/hessen/m{number}"), 1)).unwrap();
    }
    chain.refuses(capacity(1, 1, 1, FRA, 1), Error::TooManyLines { lines_max: 64 });
    chain.run(capacity(1, 1, 1, FRA, 0)).unwrap();
    chain.run(capacity(1, 1, 1, "de/hessen/m0", 2)).unwrap();
    chain.run(capacity(1, 1, 1, "de/hessen/m0", 0)).unwrap();
    chain.run(capacity(1, 1, 1, FRA, 1)).unwrap();
}

#[test]
fn sums_beyond_the_largest_amount_are_refused() {
    let mut chain = Chain::with_provider();
    let mut priceless = set_class(3, 500, 1);
    priceless.class.as_mut().unwrap().ref_price_day = Amount::MAX.to_string();
    chain.run(priceless.clone()).unwrap();
    assert!(chain.run(capacity(1, 1, 3, FRA, 1)).is_err());
    priceless.class.as_mut().unwrap().ref_price_day = (Amount::MAX.units() / 7).to_string();
    chain.run(priceless).unwrap();
    assert!(chain.run(capacity(1, 1, 3, FRA, u32::MAX)).is_err());
    assert!(chain.run(capacity(1, 1, 3, FRA, 1)).is_err(), "much more than is staked");
    assert_eq!(chain.provider(1).required_uc, amount(50_000_000));
    chain.run(capacity(1, 1, 1, FRA, 1)).unwrap();
}

#[test]
fn the_authority_replaces_the_parameters() {
    let mut chain = Chain::new();
    let msg = |signer: Address, params: &Params| pb::MsgUpdateParams {
        authority: signer.to_string(),
        params: Some(params.into()),
    };
    let changed = Params { stake_price: amount(1), ..params() };
    chain.refuses(
        msg(address(1), &changed),
        Error::NotAuthority { authority: address(99), actor: address(1) },
    );
    chain.run(msg(address(99), &changed)).unwrap();
    assert_eq!(crate::params(&chain.ctx).unwrap(), changed);
    assert_eq!(chain.events(), ["ParamsUpdated"]);
    let beyond: [Break<Params>; 15] = [
        ("params.stake_price", |p| p.stake_price = Amount::ZERO),
        ("params.tier_bounds_usd", |p| p.tier_bounds_usd = [1, 1, 2, 3]),
        ("params.tier_min_stake_uc", |p| p.tier_min_stake_uc[0] = Amount::ZERO),
        ("params.lines_max", |p| p.lines_max = 0),
        ("params.lines_max", |p| p.lines_max = 1_025),
        ("params.endpoint_len_max", |p| p.endpoint_len_max = 0),
        // 4 x 131 bytes of endpoints and 8 x 22 of operators by default: 100 are left of 800.
        ("params.endpoints_max", |p| p.operators_max = 13),
        ("params.endpoints_max", |p| p.endpoints_max = 5),
        ("params.endpoints_max", |p| p.endpoint_len_max = 154),
        ("params.endpoints_max", |p| (p.endpoints_max, p.endpoint_len_max) = (u32::MAX, u32::MAX)),
        ("params.unbondings_max", |p| p.unbondings_max = 0),
        ("params.uptime_start_ppm", |p| p.uptime_start_ppm = 1_000_001),
        ("params.reputation_prior", |p| p.reputation_prior = Amount::ZERO),
        ("params.decay_day_ppm", |p| p.decay_day_ppm = 1_000_001),
        ("params.harmed_ppm", |p| p.harmed_ppm = 1_000_001),
    ];
    for (field, change) in beyond {
        let mut bad = params();
        change(&mut bad);
        let error = chain.run(msg(address(99), &bad)).unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
    }
    let longest: [fn(&mut Params); 3] =
        [|p| p.operators_max = 12, |p| p.endpoints_max = 4, |p| p.endpoint_len_max = 153];
    for change in longest {
        let mut most = params();
        change(&mut most);
        chain.run(msg(address(99), &most)).unwrap();
    }
    let mut short = msg(address(99), &params());
    short.params.as_mut().unwrap().tier_days.pop();
    assert!(chain.run(short).unwrap_err().to_string().starts_with("params.tier_days"));
}

#[test]
fn out_of_gas_half_way_leaves_nothing() {
    let mut chain = Chain::with_provider();
    let msg = register(2, STAKE, &[12]);
    let msg =
        Msg::parse(&pb::MsgRegisterProvider::full_name(), &prost::Message::encode_to_vec(&msg), 1).unwrap();
    let registering = |ctx: &mut Ctx| ProviderModule::handle(ctx, authority::signed(msg.clone(), address(2)));
    let mut limit = 1_000;
    while chain.ctx.attempt(|ctx| ctx.with_gas(limit, registering)) == Err(KernelError::OutOfGas) {
        assert_eq!(crate::get(&chain.ctx, &address(2)).unwrap(), None, "gas {limit}");
        assert_eq!((chain.flop(address(2)), chain.events().len()), (u128::from(FUNDS), 0));
        chain.check();
        limit += 1_000;
    }
    assert!(limit > 10_000);
    chain.check();
    assert_eq!(chain.stake(2).0, u128::from(STAKE));
}

#[test]
fn codes_are_fixed() {
    let (provider, actor, class_id, zone) = (address(1), address(2), 1, zone(FRA));
    let (status, none) = (Status::Active, Amount::ZERO);
    let errors = [
        Error::NotAuthority { authority: provider, actor },
        Error::BadClass { expected: "" },
        Error::AlreadyRegistered { provider, status },
        Error::TooManyOperators { got: 9, operators_max: 8 },
        Error::StakeBelowMinimum { stake_uc: none, minimum_uc: none },
        Error::UnknownProvider { provider },
        Error::ProviderNotActive { provider, status },
        Error::InsufficientFreeStake { needed: none, free: none },
        Error::StakeBelowRequired { stake_uc: none, required_uc: none },
        Error::TooManyUnbondings { unbondings_max: 8 },
        Error::NotOperator { provider, actor },
        Error::UnknownClass { class_id },
        Error::ClassRetired { class_id },
        Error::CapacityInUse { class_id, zone: zone.clone(), used: 1, total: 0 },
        Error::TooManyLines { lines_max: 64 },
        Error::ProviderBusy { provider, class_id, zone },
        Error::BadEndpoints { endpoints_max: 4, endpoint_len_max: 128 },
    ];
    for (error, code) in errors.into_iter().zip((2..).filter(|code| *code != 5)) {
        let KernelError::Rejected(reject) = error.into() else { panic!("a rejection") };
        assert_eq!((reject.codespace, reject.code), ("provider", code), "{}", reject.message);
    }
}

#[test]
fn only_the_canonical_form_is_read() {
    let mut bytes = prost::Message::encode_to_vec(&exit(1));
    let name = pb::MsgExitProvider::full_name();
    assert!(Msg::parse(&name, &bytes, 1).is_ok());
    bytes.extend([0x78, 1]);
    assert!(Msg::parse(&name, &bytes, 1).is_err());
    assert!(Msg::parse("underbid.provider.v1.MsgOther", &[], 1).is_err());
    assert!(Msg::parse("underbid.market.v1.MsgExitProvider", &bytes, 1).is_err());
    for number in 0..=u8::MAX {
        assert!(Msg::parse(&name, &[number], 1).is_err());
    }
}
