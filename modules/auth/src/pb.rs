//! Conversions to what clients read. Mechanical.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Name;
use prost_types::Any;
use proto::cosmos::auth::v1beta1 as pb;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Account, Params};

/// What all kinds of accounts have in common.
pub(crate) fn base_account(account: &Account) -> pb::BaseAccount {
    pb::BaseAccount {
        address: account.address.to_string(),
        pub_key: account.key.as_ref().map(crate::PublicKey::to_any),
        account_number: account.number,
        sequence: account.sequence,
    }
}

/// A `BaseAccount`, or a `ModuleAccount` if it is one.
pub(crate) fn account(account: &Account) -> Any {
    let base = base_account(account);
    match &account.module {
        None => any(&base),
        Some(name) => {
            any(&pb::ModuleAccount { base_account: Some(base), name: name.clone(), permissions: Vec::new() })
        }
    }
}

fn any<M: Name>(message: &M) -> Any {
    Any { type_url: format!("/{}", M::full_name()), value: message.encode_to_vec() }
}

pub(crate) fn params(params: &Params) -> pb::Params {
    pb::Params {
        max_memo_characters: params.max_memo_characters.into(),
        tx_sig_limit: params.signatures_max.into(),
        tx_size_cost_per_byte: params.tx_cost_per_byte.into(),
        sig_verify_cost_ed25519: params.ed25519_cost.into(),
        sig_verify_cost_secp256k1: params.secp256k1_cost.into(),
    }
}

/// Bytes that JSON shows in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text.as_bytes());
        bytes.map(Self).map_err(|e| de::Error::custom(format!("expected base64: {e}")))
    }
}
