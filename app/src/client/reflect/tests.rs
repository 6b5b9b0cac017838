//! Descriptors, flags and JSON against the generated types.

use proto::{
    cosmos::{
        bank::v1beta1::{MsgMultiSend, MsgSend},
        base::v1beta1::Coin,
    },
    underbid::{
        market::v1::{MsgCloseLease, MsgCreateOrder, QueryLeaseResponse, TenantReason},
        provider::v1::{Class, MsgRegisterProvider, MsgSetClass},
    },
};

use super::*;

fn reflection() -> Reflection {
    Reflection::new().unwrap()
}

/// The message that these words make, decoded as its generated type.
fn from_words<M: Message + prost::Name + Default>(words: &[(&str, &[&str])]) -> M {
    let reflection = reflection();
    let descriptor = reflection.message(&M::full_name()).unwrap();
    let mut message = DynamicMessage::new(descriptor.clone());
    for (field, words) in words {
        let field = descriptor.get_field_by_name(field).unwrap();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        reflection.set_field(&mut message, &field, &words).unwrap();
    }
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

#[test]
fn an_order_is_made_from_words_as_people_write_them() {
    let order: MsgCreateOrder = from_words(&[
        ("tenant", &["underbid1tenant"]),
        ("class_id", &["3"]),
        ("count", &["8"]),
        ("zones", &["eu/de", "eu/nl/ams"]),
        ("max_unit_rate", &["2CREDIT/h"]),
        ("duration_s", &["2h"]),
        ("ttl_s", &["600"]),
        ("weights", &["300000,200000", "300000,50000,50000"]),
        ("manifest_hash", &[&"ab".repeat(32)]),
        ("deposit", &["24CREDIT"]),
    ]);
    let expected = MsgCreateOrder {
        tenant: "underbid1tenant".into(),
        class_id: 3,
        count: 8,
        zones: vec!["eu/de".into(), "eu/nl/ams".into()],
        max_unit_rate: "555555555555555555555".into(),
        duration_s: 7_200,
        ttl_s: 600,
        weights: vec![300_000, 200_000, 300_000, 50_000, 50_000],
        manifest_hash: vec![0xab; 32],
        deposit: "24000000".into(),
        ..MsgCreateOrder::default()
    };
    assert_eq!(order, expected);
}

#[test]
fn coins_enums_bytes_and_messages_are_read() {
    let coin = |amount: &str, denom: &str| Coin { amount: amount.into(), denom: denom.into() };
    let send: MsgSend = from_words(&[("amount", &["5uflop,1.5CREDIT"])]);
    assert_eq!(send.amount, [coin("1500000", "ucredit"), coin("5", "uflop")]);
    let send: MsgSend = from_words(&[("amount", &["5uflop", "7ucredit"])]);
    assert_eq!(send.amount, [coin("7", "ucredit"), coin("5", "uflop")]);
    let multi: MsgMultiSend = from_words(&[("outputs", &["a=1uflop", "b=2uflop,3ucredit"])]);
    assert_eq!(multi.outputs[1].address, "b");
    assert_eq!(multi.outputs[1].coins, [coin("3", "ucredit"), coin("2", "uflop")]);
    for word in ["not-delivered", "NOT_DELIVERED", "TENANT_REASON_NOT_DELIVERED", "2"] {
        let close: MsgCloseLease = from_words(&[("reason", &[word])]);
        assert_eq!(close.reason(), TenantReason::NotDelivered, "{word}");
    }
    let register: MsgRegisterProvider =
        from_words(&[("encryption_key", &["base64:AQI="]), ("stake", &["7FLOP"])]);
    assert_eq!((register.encryption_key, register.stake), (vec![1, 2], "7000000".into()));
    let set: MsgSetClass =
        from_words(&[("class", &[r#"{"id": 1, "name": "H100", "ref_price_day": "48000000"}"#])]);
    let class = Class { id: 1, name: "H100".into(), ref_price_day: "48000000".into(), ..Class::default() };
    assert_eq!(set.class, Some(class));
}

#[test]
fn a_word_that_is_no_value_is_refused_with_what_was_expected() {
    let reflection = reflection();
    for (message, field, words, expected) in [
        ("underbid.market.v1.MsgCreateOrder", "class_id", &["-1"][..], "a number from 0"),
        ("underbid.market.v1.MsgCreateOrder", "class_id", &["4294967296"], "a number from 0"),
        ("underbid.market.v1.MsgCreateOrder", "class_id", &["1", "2"], "a number from 0"),
        ("underbid.market.v1.MsgCreateOrder", "duration_s", &["2 hours"], "seconds, or as 90s"),
        ("underbid.market.v1.MsgCreateOrder", "deposit", &["24FLOP"], "1.5CREDIT"),
        ("underbid.market.v1.MsgCreateOrder", "max_unit_rate", &["2CREDIT"], "1.5CREDIT/h"),
        ("underbid.market.v1.MsgCreateOrder", "manifest_hash", &["xyz"], "hexadecimal"),
        ("underbid.market.v1.MsgCloseLease", "reason", &["bored"], "done, not-delivered, quality"),
        (
            "underbid.provider.v1.MsgSetClass",
            "class",
            &["{\"nome\": 1}"],
            "JSON or @FILE with the fields id, name",
        ),
        ("cosmos.bank.v1beta1.MsgSend", "amount", &["5"], "100uflop"),
        ("cosmos.bank.v1beta1.MsgSend", "amount", &["5uflop", "6uflop"], "100uflop"),
        ("cosmos.bank.v1beta1.MsgMultiSend", "outputs", &["a=5"], "ADDRESS=COINS"),
    ] {
        let descriptor = reflection.message(message).unwrap();
        let field = descriptor.get_field_by_name(field).unwrap();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let error = reflection.set_field(&mut DynamicMessage::new(descriptor), &field, &words).unwrap_err();
        assert!(error.expected.contains(expected), "{words:?}: {error}");
        assert_eq!(error.field, field.name());
    }
}

#[test]
fn json_has_original_names_zero_values_and_text_for_64_bits() {
    let reflection = reflection();
    let descriptor = reflection.message("underbid.market.v1.QueryLeaseResponse").unwrap();
    let response = QueryLeaseResponse { lease: Some(Default::default()) };
    let json =
        reflection.to_json(&reflection.decode(&descriptor, &response.encode_to_vec()).unwrap()).unwrap();
    let lease = &json["lease"];
    assert_eq!(lease["order_id"], "0");
    assert_eq!(lease["low_funds"], false);
    assert_eq!(lease["state"], "LEASE_STATE_UNSPECIFIED");
    assert_eq!(lease["count"], 0);
    let read = reflection.from_json(&descriptor, &json.to_string()).unwrap();
    assert_eq!(read.encode_to_vec(), response.encode_to_vec());
    for bad in ["", "[]", "{} {}", r#"{"leese": {}}"#, r#"{"lease": {"order_id": "x"}}"#] {
        assert!(matches!(reflection.from_json(&descriptor, bad), Err(Error::NotJson { .. })), "{bad}");
    }
}

#[test]
fn signers_are_found_also_inside_other_messages() {
    let reflection = reflection();
    let multi: MsgMultiSend = from_words(&[("inputs", &["a=1uflop"]), ("outputs", &["b=1uflop"])]);
    let descriptor = reflection.message("cosmos.bank.v1beta1.MsgMultiSend").unwrap();
    let multi = reflection.decode(&descriptor, &multi.encode_to_vec()).unwrap();
    assert_eq!(reflection.signers(&multi), ["a"]);
    for method in reflection.messages() {
        assert!(!reflection.signer_fields(&method.input).is_empty(), "{} {}", method.module, method.name);
    }
}

#[test]
fn every_method_has_a_name_of_its_own_and_a_comment() {
    let reflection = reflection();
    for methods in [reflection.messages(), reflection.queries()] {
        let names: std::collections::BTreeSet<_> = methods.iter().map(|m| (&m.module, &m.name)).collect();
        assert_eq!(names.len(), methods.len());
        assert!(methods.iter().all(|method| !method.about.is_empty()));
    }
}

/// A unit comes from a field's comment: this pins which field has which, so that no comment changes it unseen.
#[test]
fn the_fields_that_users_write_have_these_units() {
    let reflection = reflection();
    let mut units = Vec::new();
    for method in reflection.messages() {
        for field in method.input.fields().filter(|field| matches!(field.kind(), Kind::String)) {
            if let Some(unit) = units::Unit::of(&reflection.about_field(&field)) {
                units.push(format!("{} {} {unit:?}", method.name, field.name()));
            }
        }
    }
    let expected = [
        "create-order max_unit_rate Rate",
        "create-order deposit Ucredit",
        "create-bid unit_rate Rate",
        "improve-bid unit_rate Rate",
        "top-up amount Ucredit",
        "register-provider stake Uflop",
        "add-stake amount Uflop",
        "unstake amount Uflop",
    ];
    assert_eq!(units, expected);
}
