//! Transactions: what is signed, the signatures, and what a block made of them.

use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use proto::cosmos::{
    base::{abci::v1beta1::TxMsgData, v1beta1::Coin},
    crypto::secp256k1::PubKey,
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{AuthInfo, Fee, ModeInfo, SignDoc, SignerInfo, Tx, TxBody, TxRaw, mode_info},
    },
};
use sha2::{Digest, Sha256};

use super::{
    keys::Key,
    rpc::{self, Event},
};

/// A message as a transaction carries it.
pub fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A transaction before it is signed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// What it does, in order, all or none.
    pub messages: Vec<Any>,
    /// Free text.
    pub memo: String,
    /// The last height at which it is good; 0: no limit.
    pub timeout_height: u64,
    /// The header time after which it is not good, for one that waits for no other of its signer; none: it is ordered.
    pub unordered_until: Option<Timestamp>,
    /// From this time on it is in no block, though it is ordered; not used by one that is unordered.
    pub timeout: Option<Timestamp>,
    /// The most gas that it may use.
    pub gas_limit: u64,
    /// What it pays, whatever gas is used: sorted by denom.
    pub fee: Vec<Coin>,
    /// Who pays instead of the first signer, bech32, and signs too; empty: the first signer.
    pub payer: String,
}

/// One signer, as the transaction names it.
#[derive(Clone, Copy, Debug)]
pub struct Signer<'a> {
    /// Its key.
    pub key: &'a Key,
    /// The number of its account.
    pub account_number: u64,
    /// How many ordered transactions it has sent before.
    pub sequence: u64,
}

/// A transaction that can be broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// An encoded TxRaw.
    pub bytes: Vec<u8>,
    /// Its SHA-256, by which it is found.
    pub hash: [u8; 32],
}

impl SignedTx {
    /// A transaction from its bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        let hash = Sha256::digest(&bytes).into();
        Self { bytes, hash }
    }

    /// Its hash in upper-case hexadecimal, as explorers write it.
    pub fn id(&self) -> String {
        hex::encode_upper(self.hash)
    }
}

impl Draft {
    /// A transaction of these messages, without fee and gas.
    pub fn new(messages: Vec<Any>) -> Self {
        Self { messages, ..Self::default() }
    }

    /// The draft of a transaction that was made elsewhere, its signers and signatures left out. None where it has what this
    /// chain does not accept: extensions, a tip, or a granter.
    pub fn from_tx(tx: Tx) -> Option<Self> {
        let (body, auth_info) = (tx.body?, tx.auth_info?);
        let fee = auth_info.fee.unwrap_or_default();
        let draft = Self {
            messages: body.messages,
            memo: body.memo,
            timeout_height: body.timeout_height,
            unordered_until: body.timeout_timestamp.filter(|_| body.unordered),
            timeout: body.timeout_timestamp.filter(|_| !body.unordered),
            gas_limit: fee.gas_limit,
            fee: fee.amount,
            payer: fee.payer,
        };
        let has_extensions =
            !body.extension_options.is_empty() || !body.non_critical_extension_options.is_empty();
        let is_odd = has_extensions || auth_info.tip.is_some() || !fee.granter.is_empty();
        (!is_odd && body.unordered == draft.unordered_until.is_some()).then_some(draft)
    }

    /// Signs with every key, in the order of the signers: the messages' own in order of first appearance, the payer last.
    pub fn sign(&self, chain_id: &str, signers: &[Signer<'_>]) -> SignedTx {
        let body_bytes = self.body().encode_to_vec();
        let infos = signers.iter().map(|signer| {
            let key = PubKey { key: signer.key.public_key().to_vec() };
            self.signer_info(Some(any(&key)), SignMode::Direct, signer.sequence)
        });
        let auth_info_bytes = self.auth_info(infos.collect()).encode_to_vec();
        let signatures = signers.iter().map(|signer| {
            let document = SignDoc {
                body_bytes: body_bytes.clone(),
                auth_info_bytes: auth_info_bytes.clone(),
                chain_id: chain_id.to_owned(),
                account_number: signer.account_number,
            };
            signer.key.sign(&document.encode_to_vec()).to_vec()
        });
        let signatures = signatures.collect();
        SignedTx::new(TxRaw { body_bytes, auth_info_bytes, signatures }.encode_to_vec())
    }

    /// The same with empty signatures and without keys, for simulation: one sequence a signer.
    pub fn unsigned(&self, sequences: &[u64]) -> Vec<u8> {
        let tx = self.unsigned_tx(sequences);
        let encoded = |body: Option<TxBody>| body.unwrap_or_default().encode_to_vec();
        let auth_info_bytes = tx.auth_info.unwrap_or_default().encode_to_vec();
        TxRaw { body_bytes: encoded(tx.body), auth_info_bytes, signatures: tx.signatures }.encode_to_vec()
    }

    /// The decoded form of [`Draft::unsigned`], which other programs sign.
    pub fn unsigned_tx(&self, sequences: &[u64]) -> Tx {
        let infos =
            sequences.iter().map(|sequence| self.signer_info(None, SignMode::Direct, *sequence)).collect();
        Tx {
            body: Some(self.body()),
            auth_info: Some(self.auth_info(infos)),
            signatures: sequences.iter().map(|_| Vec::new()).collect(),
        }
    }

    fn body(&self) -> TxBody {
        TxBody {
            messages: self.messages.clone(),
            memo: self.memo.clone(),
            timeout_height: self.timeout_height,
            unordered: self.unordered_until.is_some(),
            timeout_timestamp: self.unordered_until.or(self.timeout),
            ..TxBody::default()
        }
    }

    fn auth_info(&self, signer_infos: Vec<SignerInfo>) -> AuthInfo {
        let fee = Fee {
            amount: self.fee.clone(),
            gas_limit: self.gas_limit,
            payer: self.payer.clone(),
            granter: String::new(),
        };
        AuthInfo { signer_infos, fee: Some(fee), tip: None }
    }

    fn signer_info(&self, public_key: Option<Any>, mode: SignMode, sequence: u64) -> SignerInfo {
        let single = mode_info::Single { mode: mode.into() };
        // An unordered transaction has no place in the signer's sequence.
        let sequence = if self.unordered_until.is_some() { 0 } else { sequence };
        SignerInfo {
            public_key,
            mode_info: Some(ModeInfo { sum: Some(mode_info::Sum::Single(single)) }),
            sequence,
        }
    }
}

/// What a block made of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The hash in upper-case hexadecimal.
    pub hash: String,
    /// The block.
    pub height: u64,
    /// Its place in the block, from 0.
    pub index: u32,
    /// 0 on success.
    pub code: u32,
    /// Whose code it is; empty on success.
    pub codespace: String,
    /// The error in words; empty on success.
    pub log: String,
    /// The gas limit.
    pub gas_wanted: u64,
    /// The gas used.
    pub gas_used: u64,
    /// What it did, in order.
    pub events: Vec<Event>,
    /// The response of each message, in order; none where it failed.
    pub responses: Vec<Any>,
}

impl Outcome {
    /// The response of the message at `index`, if it is an `M`.
    pub fn response<M: Message + Name + Default>(&self, index: usize) -> Result<M, ResponseError> {
        let name = M::full_name();
        let any =
            self.responses.get(index).ok_or(ResponseError::Missing { index, expected: name.clone() })?;
        if any.type_url.trim_start_matches('/') != name {
            return Err(ResponseError::Other { index, expected: name, found: any.type_url.clone() });
        }
        M::decode(any.value.as_slice()).map_err(|source| ResponseError::Undecodable {
            index,
            expected: name,
            source,
        })
    }

    /// The events of one type, such as `underbid.market.v1.EventBidCreated`.
    pub fn events_of(&self, kind: &str) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.kind == kind)
    }
}

impl From<rpc::Inclusion> for Outcome {
    fn from(inclusion: rpc::Inclusion) -> Self {
        let rpc::Inclusion { hash, height, index, tx_result: result } = inclusion;
        Self {
            hash: hex::encode_upper(hash),
            height,
            index,
            code: result.code,
            codespace: result.codespace,
            log: result.log,
            gas_wanted: u64::try_from(result.gas_wanted).unwrap_or_default(),
            gas_used: u64::try_from(result.gas_used).unwrap_or_default(),
            events: result.events,
            // What is no TxMsgData is some other application's; its responses are missing when they are asked for.
            responses: TxMsgData::decode(result.data.as_slice()).unwrap_or_default().msg_responses,
        }
    }
}

/// Why there is no such response.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// There are fewer responses.
    #[error("no response at {index}: expected {expected}")]
    Missing {
        /// The message's place.
        index: usize,
        /// The type that was asked for.
        expected: String,
    },
    /// It has another type.
    #[error("response {index} is {found}: expected {expected}")]
    Other {
        /// The message's place.
        index: usize,
        /// The type that was asked for.
        expected: String,
        /// The type that is there.
        found: String,
    },
    /// Its bytes are not what its type says.
    #[error("response {index}: expected {expected}: {source}")]
    Undecodable {
        /// The message's place.
        index: usize,
        /// The type that was asked for.
        expected: String,
        /// The reason.
        source: prost::DecodeError,
    },
}

#[cfg(test)]
mod tests {
    use proto::underbid::market::v1::{MsgSettle, MsgSettleResponse, MsgTopUpResponse};

    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_secret([byte; 32]).unwrap()
    }

    fn settle() -> MsgSettle {
        MsgSettle { signer: key(1).address().to_string(), order_id: 5 }
    }

    #[test]
    fn a_signed_transaction_has_the_bytes_that_other_clients_make() {
        use cosmrs::{crypto::secp256k1::SigningKey, tx as theirs};

        let signer = key(1);
        let mut draft = Draft::new(vec![any(&settle())]);
        draft.memo = "for the record".into();
        draft.timeout_height = 99;
        draft.gas_limit = 100_000;
        draft.fee = vec![Coin { denom: "uflop".into(), amount: "2500".into() }];
        let signed = draft.sign("chain-1", &[Signer { key: &signer, account_number: 7, sequence: 3 }]);

        let their_key = SigningKey::from_slice(&signer.secret()).unwrap();
        let message =
            cosmrs::Any { type_url: "/underbid.market.v1.MsgSettle".into(), value: settle().encode_to_vec() };
        let body = theirs::Body::new([message], "for the record", 99_u32);
        let coin = cosmrs::Coin { denom: "uflop".parse().unwrap(), amount: 2_500 };
        let fee = theirs::Fee::from_amount_and_gas(coin, 100_000_u64);
        let auth_info = theirs::SignerInfo::single_direct(Some(their_key.public_key()), 3).auth_info(fee);
        let document = theirs::SignDoc::new(&body, &auth_info, &"chain-1".parse().unwrap(), 7).unwrap();
        assert_eq!(signed.bytes, document.sign(&their_key).unwrap().to_bytes().unwrap());
        assert_eq!(signed.id().len(), 64);
    }

    #[test]
    fn every_signer_signs_the_same_body_with_its_own_account() {
        let (a, b) = (key(1), key(2));
        let signers = [
            Signer { key: &a, account_number: 1, sequence: 5 },
            Signer { key: &b, account_number: 2, sequence: 6 },
        ];
        let tx =
            TxRaw::decode(Draft::new(vec![any(&settle())]).sign("c", &signers).bytes.as_slice()).unwrap();
        let infos = AuthInfo::decode(tx.auth_info_bytes.as_slice()).unwrap().signer_infos;
        assert_eq!(infos.iter().map(|info| info.sequence).collect::<Vec<_>>(), [5, 6]);
        for (signer, signature) in signers.iter().zip(&tx.signatures) {
            let document = SignDoc {
                body_bytes: tx.body_bytes.clone(),
                auth_info_bytes: tx.auth_info_bytes.clone(),
                chain_id: "c".into(),
                account_number: signer.account_number,
            };
            assert_eq!(signer.key.sign(&document.encode_to_vec()).to_vec(), *signature);
        }
    }

    #[test]
    fn an_unordered_transaction_has_a_timeout_and_no_sequence() {
        let mut draft = Draft::new(vec![any(&settle())]);
        draft.unordered_until = Some(Timestamp { seconds: 1_000, nanos: 5 });
        let signed = draft.sign("c", &[Signer { key: &key(1), account_number: 1, sequence: 5 }]);
        let tx = TxRaw::decode(signed.bytes.as_slice()).unwrap();
        let body = TxBody::decode(tx.body_bytes.as_slice()).unwrap();
        assert!(body.unordered);
        assert_eq!(body.timeout_timestamp, draft.unordered_until);
        assert_eq!(AuthInfo::decode(tx.auth_info_bytes.as_slice()).unwrap().signer_infos[0].sequence, 0);
    }

    #[test]
    fn a_draft_that_was_made_elsewhere_keeps_its_timeouts() {
        let at = Some(Timestamp { seconds: 1_000, nanos: 5 });
        let drafts = [
            Draft { timeout: at, timeout_height: 7, ..Draft::new(vec![any(&settle())]) },
            Draft { unordered_until: at, ..Draft::new(vec![any(&settle())]) },
        ];
        for draft in drafts {
            let body = Draft::from_tx(draft.unsigned_tx(&[4])).unwrap().body();
            assert_eq!(body, draft.body());
            assert_eq!(body.timeout_timestamp, at);
        }
    }

    #[test]
    fn simulation_gets_one_empty_signature_a_signer() {
        let bytes = Draft::new(vec![any(&settle())]).unsigned(&[4]);
        let tx = TxRaw::decode(bytes.as_slice()).unwrap();
        assert_eq!(tx.signatures, [Vec::<u8>::new()]);
        let info = AuthInfo::decode(tx.auth_info_bytes.as_slice()).unwrap();
        assert_eq!((info.signer_infos[0].sequence, info.signer_infos[0].public_key.clone()), (4, None));
    }

    #[test]
    fn a_response_is_read_by_its_type() {
        let response = MsgSettleResponse { paid: "12".into() };
        let data = TxMsgData { data: vec![], msg_responses: vec![any(&response)] }.encode_to_vec();
        let tx_result = rpc::TxResult { data, ..rpc::TxResult::default() };
        let outcome = Outcome::from(rpc::Inclusion { hash: vec![0xab], height: 3, index: 0, tx_result });
        assert_eq!((outcome.hash.as_str(), outcome.height), ("AB", 3));
        assert_eq!(outcome.response::<MsgSettleResponse>(0).unwrap(), response);
        assert!(matches!(outcome.response::<MsgTopUpResponse>(0), Err(ResponseError::Other { .. })));
        assert!(matches!(outcome.response::<MsgSettleResponse>(1), Err(ResponseError::Missing { .. })));
    }
}
