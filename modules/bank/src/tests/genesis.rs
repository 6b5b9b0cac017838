//! The genesis document.

use super::*;
use crate::{DenomUnit, Metadata, Params};

fn flop() -> Metadata {
    let unit = |denom: &str, exponent| DenomUnit { denom: denom.into(), exponent, aliases: vec![] };
    Metadata {
        description: "Stake and gas".into(),
        denom_units: vec![unit("uflop", 0), unit("flop", 6)],
        base: uflop(),
        display: "flop".into(),
        name: "Flop".into(),
        symbol: "FLOP".into(),
        uri: String::new(),
        uri_hash: String::new(),
    }
}

#[test]
fn an_export_is_a_genesis_that_exports_the_same() {
    let genesis = Genesis {
        params: Params { default_send_enabled: false },
        balances: vec![
            Balances { address: ALICE, coins: vec![coin("ucredit", 50), coin("uflop", 1_000)] },
            Balances { address: BOB, coins: vec![coin("uflop", 10)] },
            Balances { address: escrow(), coins: vec![coin("ucredit", 9)] },
        ],
        supply: Some(vec![coin("ucredit", 59), coin("uflop", 1_010)]),
        metadata: vec![flop()],
        send_enabled: vec![SendEnabledFlag { denom: uflop(), enabled: true }],
    };
    let mut ctx = blank();
    Bank::init_genesis(&mut ctx, genesis.clone()).unwrap();
    sound(&ctx);
    assert!(ctx.take_events().is_empty());
    assert!(auth::get(&ctx, &BOB).unwrap().is_some());
    assert_eq!((send_enabled(&ctx, &uflop()), send_enabled(&ctx, &crate::ucredit())), (Ok(true), Ok(false)));
    let mut exported = Bank::export_genesis(&ctx).unwrap();
    exported.balances.sort_by_key(|owner| owner.address != ALICE && owner.address != BOB);
    assert_eq!(exported, genesis);

    let text = serde_json::to_string(&Bank::export_genesis(&ctx).unwrap()).unwrap();
    let mut again = blank();
    Bank::init_genesis(&mut again, serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(Bank::export_genesis(&again), Bank::export_genesis(&ctx));
    assert_eq!(again.finish().changes, ctx.finish().changes);
}

#[test]
fn a_wrong_document_is_refused_with_the_name_of_the_field() {
    let balances = |coins: Vec<Coin>| Balances { address: ALICE, coins };
    let with = |list: Vec<Balances>| Genesis { balances: list, ..Genesis::default() };
    let half = Coin { denom: uflop(), amount: Amount::MAX };
    let metadata = |change: fn(&mut Metadata)| {
        let mut wrong = flop();
        change(&mut wrong);
        Genesis { metadata: vec![wrong], ..Genesis::default() }
    };
    let flag = SendEnabledFlag { denom: uflop(), enabled: true };
    let rows = [
        ("balances[0]", with(vec![balances(vec![coin("uflop", 0)])])),
        ("balances[0]", with(vec![balances(vec![coin("uflop", 1), coin("ucredit", 1)])])),
        ("balances[1]", with(vec![balances(vec![coin("uflop", 1)]), balances(vec![coin("uflop", 1)])])),
        (
            "balances[1]",
            with(vec![balances(vec![half]), Balances { address: BOB, coins: vec![coin("uflop", 1)] }]),
        ),
        ("supply", Genesis { supply: Some(vec![]), ..with(vec![balances(vec![coin("uflop", 1)])]) }),
        ("supply", Genesis { supply: Some(vec![coin("uflop", 1)]), ..Genesis::default() }),
        ("metadata[0]", metadata(|it| it.denom_units.clear())),
        ("metadata[0]", metadata(|it| it.denom_units.reverse())),
        ("metadata[0]", metadata(|it| it.denom_units[1].exponent = 0)),
        ("metadata[0]", metadata(|it| it.denom_units[1].denom = "1".into())),
        ("metadata[0]", metadata(|it| it.display = "FLOP".into())),
        ("metadata[1]", Genesis { metadata: vec![flop(), flop()], ..Genesis::default() }),
        ("send_enabled[1]", Genesis { send_enabled: vec![flag.clone(), flag], ..Genesis::default() }),
    ];
    for (field, genesis) in rows {
        let (_, _, message) = refusal(Bank::init_genesis(&mut blank(), genesis));
        assert!(message.starts_with(field), "{field}: {message}");
    }
    for text in [
        r#"{"balance": []}"#,
        r#"{"balances": [{"address": "x", "coins": []}]}"#,
        r#"{"supply": [{"denom": "uflop", "amount": 5}]}"#,
        r#"{"supply": [{"denom": "u", "amount": "5"}]}"#,
        r#"{"supply": [{"denom": "uflop", "amount": "-5"}]}"#,
    ] {
        assert!(serde_json::from_str::<Genesis>(text).is_err(), "{text}");
    }
}
