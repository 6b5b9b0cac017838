//! Who takes part, and the messages and transactions that they make.

use kernel::Address;
use prost::Message;
use prost_types::Any;
use proto::cosmos::{
    bank::v1beta1::MsgSend,
    base::v1beta1::Coin,
    tx::v1beta1::{SignDoc, SignerInfo, Tx, TxRaw},
};
use sha2::{Digest as _, Sha256};
use underbid::client::{
    keys::Key,
    tx::{Draft, any},
};

/// Everybody with an account, in the order of their numbers; `poor` can't pay a fee.
pub const PEOPLE: [&str; 11] =
    ["alice", "bob", "carol", "dave", "erin", "tom", "tim", "ada", "eve", "poor", "bot"];

/// A person's key; `bot` has another kind, see [`bot`].
pub fn key(name: &str) -> Key {
    Key::from_secret(Sha256::digest(name.as_bytes()).into()).unwrap()
}

/// The ed25519 key of `bot`.
pub fn bot() -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&[9; 32])
}

pub fn bot_key() -> auth::PublicKey {
    auth::PublicKey::ed25519(bot().verifying_key().as_bytes()).unwrap()
}

pub fn address(name: &str) -> Address {
    if name == "bot" { bot_key().address() } else { key(name).address() }
}

pub fn text(name: &str) -> String {
    address(name).to_string()
}

pub fn coin(denom: &str, amount: u64) -> Coin {
    Coin { denom: denom.into(), amount: amount.to_string() }
}

/// uflop from one to another.
pub fn send(from: &str, to: &str, amount: u64) -> MsgSend {
    MsgSend { from_address: text(from), to_address: text(to), amount: vec![coin("uflop", amount)] }
}

pub fn any_send(from: &str, to: &str, amount: u64) -> Any {
    any(&send(from, to, amount))
}

/// A transaction that is changed after the library made it, and signed by `sign` over what it then says.
pub fn forged(
    draft: &Draft,
    infos: Vec<SignerInfo>,
    change: impl FnOnce(&mut Tx),
    sign: impl FnOnce(&[u8], &[u8]) -> Vec<Vec<u8>>,
) -> Vec<u8> {
    let mut tx = draft.unsigned_tx(&[]);
    tx.auth_info.as_mut().unwrap().signer_infos = infos;
    change(&mut tx);
    let body_bytes = tx.body.unwrap().encode_to_vec();
    let auth_info_bytes = tx.auth_info.unwrap().encode_to_vec();
    let signatures = sign(&body_bytes, &auth_info_bytes);
    TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec()
}

/// What a signer of an account number signs.
pub fn sign_bytes(body: &[u8], auth_info: &[u8], chain_id: &str, account_number: u64) -> Vec<u8> {
    let document = SignDoc {
        body_bytes: body.to_vec(),
        auth_info_bytes: auth_info.to_vec(),
        chain_id: chain_id.into(),
        account_number,
    };
    document.encode_to_vec()
}

/// The signer infos of a signed transaction, to be changed.
pub fn infos_of(tx: &[u8]) -> Vec<SignerInfo> {
    use proto::cosmos::tx::v1beta1::AuthInfo;
    let raw = TxRaw::decode(tx).unwrap();
    AuthInfo::decode(raw.auth_info_bytes.as_slice()).unwrap().signer_infos
}
