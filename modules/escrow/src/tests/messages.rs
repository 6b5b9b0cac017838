//! The one message, the parameters, genesis and the query.

use kernel::{Error as KernelError, Message as _, Reject, authority, chain::Schema};
use prost::{Message as _, Name};
use proto::underbid::escrow::v1 as wire;

use super::*;
use crate::{Error, Msg};

fn update(signer: Address, params: &Params) -> wire::MsgUpdateParams {
    wire::MsgUpdateParams { authority: signer.to_string(), params: Some(params.into()) }
}

fn parse(msg: &wire::MsgUpdateParams) -> Result<Msg, Reject> {
    Msg::parse(&wire::MsgUpdateParams::full_name(), &msg.encode_to_vec(), 1)
}

fn run(ctx: &mut Ctx, msg: Msg) -> kernel::Result<kernel::Reply> {
    let actor = msg.signers().as_slice()[0];
    Escrow::handle(ctx, authority::signed(msg, actor))
}

#[test]
fn the_authority_replaces_the_parameters() {
    let mut ctx = ctx();
    let params = Params { fee_ppm: 1, authority: address(98), ..Params::new(authority()) };
    let stranger = run(&mut ctx, parse(&update(address(1), &params)).unwrap());
    let refused = Error::NotAuthority { authority: super::authority(), actor: address(1) };
    assert_eq!(stranger, Err(refused.into()));
    let reply = run(&mut ctx, parse(&update(super::authority(), &params)).unwrap()).unwrap();
    assert_eq!(reply.type_url, "/underbid.escrow.v1.MsgUpdateParamsResponse");
    assert_eq!(crate::params(&ctx).unwrap(), params);
    assert_eq!(ctx.take_events().last().unwrap().name, "underbid.escrow.v1.EventParamsUpdated");
    let again = run(&mut ctx, parse(&update(super::authority(), &params)).unwrap());
    assert!(again.is_err(), "there is another authority now");
}

#[test]
fn parameters_are_in_range() {
    let at_the_bounds: [fn(&mut Params); 5] = [
        |params| params.fee_ppm = 0,
        |params| params.fee_ppm = 1_000_000,
        |params| params.deposit_min = amount(1),
        |params| params.depositors_max = 1,
        |params| params.depositors_max = 64,
    ];
    let beyond: [Break<Params>; 4] = [
        ("params.fee_ppm", |params| params.fee_ppm = 1_000_001),
        ("params.deposit_min", |params| params.deposit_min = Amount::ZERO),
        ("params.depositors_max", |params| params.depositors_max = 0),
        ("params.depositors_max", |params| params.depositors_max = 65),
    ];
    for change in at_the_bounds {
        let mut params = Params::new(authority());
        change(&mut params);
        parse(&update(authority(), &params)).unwrap();
    }
    for (field, change) in beyond {
        let mut params = Params::new(authority());
        change(&mut params);
        let error = parse(&update(authority(), &params)).unwrap_err();
        assert!(error.message.starts_with(field), "{}", error.message);
        let mut ctx = ctx();
        assert!(Escrow::init_genesis(&mut ctx, Genesis { params }).is_err());
    }
}

#[test]
fn only_the_canonical_form_is_read() {
    let good = update(authority(), &Params::new(authority()));
    assert!(parse(&good).is_ok());
    assert!(parse(&wire::MsgUpdateParams { params: None, ..good.clone() }).is_err());
    assert!(parse(&wire::MsgUpdateParams { authority: "underbid1".into(), ..good.clone() }).is_err());
    let mut bytes = good.encode_to_vec();
    bytes.extend([0x78, 1]);
    assert!(Msg::parse(&wire::MsgUpdateParams::full_name(), &bytes, 1).is_err(), "an unknown field");
    assert!(Msg::parse("underbid.escrow.v1.MsgOther", &good.encode_to_vec(), 1).is_err());
}

#[test]
fn codes_are_fixed() {
    let errors = [
        Error::NotAuthority { authority: address(1), actor: address(2) },
        Error::TooManyDepositors { order: 1, depositors_max: 8 },
    ];
    for (error, code) in errors.into_iter().zip(2..) {
        let KernelError::Rejected(reject) = error.into() else { panic!("a rejection") };
        assert_eq!((reject.codespace, reject.code), ("escrow", code));
    }
}

#[test]
fn genesis_gives_back_what_it_takes() {
    let ctx = ctx();
    let genesis = Escrow::export_genesis(&ctx).unwrap();
    assert_eq!(genesis.params, Params::new(authority()));
    let text = serde_json::to_string(&genesis).unwrap();
    assert_eq!(serde_json::from_str::<Genesis>(&text).unwrap(), genesis);
    assert!(text.contains("\"deposit_min\":\"1000000\""), "{text}");
    assert!(serde_json::from_str::<Genesis>(&text.replace("fee_ppm", "fee")).is_err());
    assert_eq!(chain::schema(Escrow::STORE).load(&ctx).unwrap(), Schema { version: 1 });
}

#[test]
fn an_account_of_a_genesis_document_is_counted() {
    let mut ctx = ctx();
    let mut account = crate::Account::new(1, address(1), 20_000);
    account.add(address(1), amount(7)).unwrap();
    crate::import(&mut ctx, &account).unwrap();
    assert!(Escrow::invariants(&ctx, kernel::Depth::Full).is_err(), "the bank does not hold it");
    bank::mint(&mut ctx, module_account(), &bank::ucredit(), amount(7)).unwrap();
    Escrow::invariants(&ctx, kernel::Depth::Full).unwrap();
}

#[test]
fn the_parameters_can_be_asked_for() {
    let ctx = ctx();
    let [(path, query)] = crate::queries::ROUTES else { panic!("one query") };
    assert_eq!(*path, "/underbid.escrow.v1.Query/Params");
    let response = wire::QueryParamsResponse::decode(query(&ctx, &[]).unwrap().as_slice()).unwrap();
    assert_eq!(response.params.unwrap().deposit_min, "1000000");
    assert!(query(&ctx, &[0xff]).is_err());
}
