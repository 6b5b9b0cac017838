//! Our definitions of the Cosmos interfaces against those that existing clients are built with.

use cosmrs::{
    Coin,
    bank::MsgSend,
    crypto::secp256k1::SigningKey,
    proto::cosmos as theirs,
    tx::{Body, Fee, Msg, SignDoc, SignerInfo},
};
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use proto::cosmos as ours;

/// Decodes with our type, and expects that nothing is lost.
fn read<M: Message + Default>(bytes: &[u8]) -> M {
    let message = M::decode(bytes).expect("our type reads it");
    assert_eq!(message.encode_to_vec(), bytes);
    message
}

#[test]
fn a_transaction_of_a_client_library_is_read_and_written_back() {
    let key = SigningKey::from_slice(&[7; 32]).unwrap();
    let sender = key.public_key().account_id("underbid").unwrap();
    let coin = Coin { denom: "uflop".parse().unwrap(), amount: 12_345 };
    let send =
        MsgSend { from_address: sender.clone(), to_address: sender.clone(), amount: vec![coin.clone()] };
    let body = Body::new(vec![send.to_any().unwrap()], "memo", 77_u16);
    let auth_info = SignerInfo::single_direct(Some(key.public_key()), 5)
        .auth_info(Fee::from_amount_and_gas(coin, 100_000_u64));
    let document = SignDoc::new(&body, &auth_info, &"underbid-1".parse().unwrap(), 9).unwrap();
    let document_bytes = document.clone().into_bytes().unwrap();
    let bytes = document.sign(&key).unwrap().to_bytes().unwrap();

    let raw: ours::tx::v1beta1::TxRaw = read(&bytes);
    assert_eq!(raw.signatures.len(), 1);
    let tx: ours::tx::v1beta1::Tx = read(&bytes);

    let body: ours::tx::v1beta1::TxBody = read(&raw.body_bytes);
    assert_eq!(tx.body.as_ref(), Some(&body));
    assert_eq!((body.memo.as_str(), body.timeout_height, body.unordered), ("memo", 77, false));
    assert_eq!(body.messages[0].type_url, ours::bank::v1beta1::MsgSend::type_url());
    let message: ours::bank::v1beta1::MsgSend = read(&body.messages[0].value);
    assert_eq!(message.from_address, sender.to_string());
    assert_eq!((message.amount[0].denom.as_str(), message.amount[0].amount.as_str()), ("uflop", "12345"));

    let auth_info: ours::tx::v1beta1::AuthInfo = read(&raw.auth_info_bytes);
    assert_eq!(auth_info.fee.as_ref().unwrap().gas_limit, 100_000);
    let signer = &auth_info.signer_infos[0];
    assert_eq!(signer.sequence, 5);
    let public_key = signer.public_key.as_ref().unwrap();
    assert_eq!(public_key.type_url, ours::crypto::secp256k1::PubKey::type_url());
    let public_key: ours::crypto::secp256k1::PubKey = read(&public_key.value);
    assert_eq!(public_key.key, key.public_key().to_bytes());

    let document: ours::tx::v1beta1::SignDoc = read(&document_bytes);
    assert_eq!((document.chain_id.as_str(), document.account_number), ("underbid-1", 9));
}

#[test]
fn an_unordered_transaction_has_the_field_numbers_of_the_newer_standard() {
    let body = ours::tx::v1beta1::TxBody {
        unordered: true,
        timeout_timestamp: Some(prost_types::Timestamp { seconds: 300, nanos: 1 }),
        ..Default::default()
    };
    let bytes = body.encode_to_vec();
    assert_eq!(bytes, [0x20, 1, 0x2a, 5, 0x08, 0xac, 0x02, 0x10, 1]);
    assert_eq!(read::<ours::tx::v1beta1::TxBody>(&bytes), body);
}

/// A message with every field set, to a value that is not the default.
fn filled(message: &MessageDescriptor, depth: u32) -> DynamicMessage {
    let mut out = DynamicMessage::new(message.clone());
    for field in message.fields() {
        let recursive =
            matches!(field.kind(), Kind::Message(inner) if inner.full_name() == "cosmos.tx.v1beta1.ModeInfo");
        if recursive && depth > 3 {
            continue;
        }
        let value = filled_field(&field, depth);
        out.set_field(&field, if field.is_list() { Value::List(vec![value.clone(), value]) } else { value });
    }
    out
}

fn filled_field(field: &FieldDescriptor, depth: u32) -> Value {
    let number = field.number();
    match field.kind() {
        Kind::String => Value::String(format!("text {number}")),
        Kind::Bytes => Value::Bytes(vec![u8::try_from(number % 251).unwrap(); 3].into()),
        Kind::Bool => Value::Bool(true),
        Kind::Uint32 => Value::U32(number + 1_000),
        Kind::Uint64 => Value::U64(u64::MAX - u64::from(number)),
        Kind::Int64 => Value::I64(-i64::from(number)),
        Kind::Int32 => Value::I32(-1),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Message(inner) => Value::Message(filled(&inner, depth + 1)),
        other => panic!("no Cosmos interface has a field of kind {other:?}"),
    }
}

/// Fills our definition of a message and expects that the clients' type keeps every byte of it, and the reverse.
fn compare<Ours: Message + Name + Default, Theirs: Message + Name + Default>(pool: &DescriptorPool) {
    assert_eq!(Ours::type_url(), Theirs::type_url());
    let descriptor = pool.get_message_by_name(&Ours::full_name()).expect("our descriptor");
    let bytes = filled(&descriptor, 0).encode_to_vec();
    assert_eq!(read::<Ours>(&bytes).encode_to_vec(), bytes, "{}", Ours::full_name());
    let kept =
        Theirs::decode(bytes.as_slice()).unwrap_or_else(|error| panic!("{}: {error}", Ours::full_name()));
    assert_eq!(kept.encode_to_vec(), bytes, "{}", Ours::full_name());
}

macro_rules! compare_all {
    ($pool:expr, $($($segment:ident)::+ { $($name:ident)* })*) => {
        $({
            use ours::$($segment)::+ as left;
            use theirs::$($segment)::+ as right;
            $(compare::<left::$name, right::$name>($pool);)*
        })*
    };
}

#[test]
fn every_interface_has_the_fields_that_clients_know() {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    compare_all! { &pool,
        base::v1beta1 { Coin DecCoin }
        base::query::v1beta1 { PageRequest PageResponse }
        base::abci::v1beta1 {
            TxResponse AbciMessageLog StringEvent Attribute GasInfo Result SimulationResponse MsgData TxMsgData
        }
        tx::v1beta1 { TxRaw SignDoc AuthInfo SignerInfo ModeInfo Fee Tip SimulateResponse }
        crypto::secp256k1 { PubKey }
        crypto::ed25519 { PubKey }
        crypto::multisig { LegacyAminoPubKey }
        crypto::multisig::v1beta1 { MultiSignature CompactBitArray }
        auth::v1beta1 {
            BaseAccount ModuleAccount Params QueryAccountsRequest QueryAccountsResponse QueryAccountRequest
            QueryAccountResponse QueryParamsRequest QueryParamsResponse QueryModuleAccountsRequest
            QueryModuleAccountsResponse QueryModuleAccountByNameRequest QueryModuleAccountByNameResponse
            Bech32PrefixRequest Bech32PrefixResponse AddressBytesToStringRequest AddressBytesToStringResponse
            AddressStringToBytesRequest AddressStringToBytesResponse QueryAccountInfoRequest QueryAccountInfoResponse
        }
        bank::v1beta1 {
            Params SendEnabled Input Output Supply DenomUnit Metadata MsgSend MsgSendResponse MsgMultiSend
            MsgMultiSendResponse QueryBalanceRequest QueryBalanceResponse QueryAllBalancesRequest
            QueryAllBalancesResponse QuerySpendableBalancesRequest QuerySpendableBalancesResponse
            QuerySpendableBalanceByDenomRequest QuerySpendableBalanceByDenomResponse QueryTotalSupplyRequest
            QueryTotalSupplyResponse QuerySupplyOfRequest QuerySupplyOfResponse QueryParamsRequest QueryParamsResponse
            QueryDenomMetadataRequest QueryDenomMetadataResponse QueryDenomsMetadataRequest
            QueryDenomsMetadataResponse QueryDenomOwnersRequest DenomOwner QueryDenomOwnersResponse
            QuerySendEnabledRequest QuerySendEnabledResponse
        }
    }
}

#[test]
fn a_message_has_its_package_as_path_and_type_url() {
    assert_eq!(proto::underbid::market::v1::MsgCreateBid::type_url(), "/underbid.market.v1.MsgCreateBid");
    assert_eq!(proto::underbid::bank::v1::MsgBurn::type_url(), "/underbid.bank.v1.MsgBurn");
}
