//! From a transaction as data to its bytes at a moment of a chain.

use std::collections::BTreeMap;

use kernel::{Amount, Ctx};
use prost::Message as _;
use prost_types::{Any, Timestamp};
use proto::cosmos::{
    base::v1beta1::Coin,
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{AuthInfo, Fee, ModeInfo, SignerInfo, TxBody, TxRaw, mode_info},
    },
};

use underbid::tx::Purpose;

use super::{
    cast::person,
    history::{Flaw, Tx},
    random::Random,
};
use crate::{CHAIN_ID, people::sign_bytes};

const NANOS: u64 = 1_000_000_000;
/// About what the checks of a transaction cost.
const ANTE_GAS: u64 = 25_000;

/// Signs a block's transactions, each with the sequence that its signers have if those before it are taken.
pub struct Signing<'a> {
    ctx: &'a Ctx,
    used: BTreeMap<String, u64>,
}

/// What an account signs with.
struct Place {
    number: u64,
    sequence: u64,
}

impl<'a> Signing<'a> {
    /// On the last committed state.
    pub fn on(ctx: &'a Ctx) -> Self {
        Self { ctx, used: BTreeMap::new() }
    }

    /// The bytes of a transaction.
    pub fn sign(&mut self, tx: &Tx) -> Vec<u8> {
        if let Some(Flaw::Garbage(length)) = tx.flaw {
            let mut random = Random::new(length.into());
            return (0..length).map(|_| random.next().to_le_bytes()[0]).collect();
        }
        let places: Vec<_> = tx.signers.iter().map(|name| self.place(name, tx)).collect();
        let body = self.body(tx).encode_to_vec();
        let infos = tx.signers.iter().zip(&places).map(|(name, place)| info(name, place, tx)).collect();
        let auth_info = AuthInfo { signer_infos: infos, fee: Some(fee(tx)), tip: None }.encode_to_vec();
        let chain_id = if tx.flaw == Some(Flaw::Chain) { "another-1" } else { CHAIN_ID };
        let signatures =
            tx.signers.iter().zip(&places).map(|(name, place)| {
                person(name).sign(&sign_bytes(&body, &auth_info, chain_id, place.number))
            });
        let mut signatures: Vec<_> = signatures.collect();
        match &tx.flaw {
            Some(Flaw::Signature) => signatures[0][7] ^= 1,
            Some(Flaw::MissingSignature) => drop(signatures.pop()),
            _ => {}
        }
        let mut bytes = TxRaw { body_bytes: body, auth_info_bytes: auth_info, signatures }.encode_to_vec();
        if self.is_taken(tx, &bytes) {
            tx.signers.iter().for_each(|name| *self.used.entry(name.clone()).or_default() += 1);
        }
        match &tx.flaw {
            Some(Flaw::Cut) => drop(bytes.pop()),
            // Field 15, of which the transaction knows nothing: one byte.
            Some(Flaw::Padded) => bytes.extend([0x7a, 1, 0]),
            _ => {}
        }
        bytes
    }

    fn place(&self, name: &str, tx: &Tx) -> Place {
        let account = auth::get(self.ctx, &person(name).address).unwrap();
        let (number, next) = account.map_or((0, 0), |account| (account.number, account.sequence));
        let sequence = next + self.used.get(name).copied().unwrap_or_default();
        let sequence = match tx.flaw {
            _ if tx.unordered_ns.is_some() => 0,
            Some(Flaw::Later(by)) => sequence + by,
            Some(Flaw::Earlier) => sequence.saturating_sub(1),
            _ => sequence,
        };
        Place { number, sequence }
    }

    /// Whether the transaction will use its signers' sequences, as far as it can be told: those after it count on it.
    fn is_taken(&self, tx: &Tx, bytes: &[u8]) -> bool {
        let base_fee = auth::fees::base(self.ctx).unwrap();
        let due = auth::fees::required(base_fee, tx.gas_limit).unwrap_or(Amount::MAX);
        let known = |name: &String| auth::get(self.ctx, &person(name).address).unwrap().is_some();
        tx.flaw.is_none()
            && tx.unordered_ns.is_none()
            && Amount::from_u64(tx.fee) >= due
            && tx.gas_limit > ANTE_GAS
            && tx.signers.iter().all(known)
            && underbid::tx::Tx::decode(bytes, 1, Purpose::Execute).is_ok()
    }

    fn body(&self, tx: &Tx) -> TxBody {
        let block = &self.ctx.block;
        let timeout = match (tx.unordered_ns, &tx.flaw) {
            (_, Some(Flaw::TimedOut)) => Some(block.time.value() * NANOS),
            (Some(_), Some(Flaw::NoTimeout)) | (None, _) => None,
            (Some(after_ns), _) => Some(block.time.value() * NANOS + after_ns),
        };
        let timestamp = |nanos: u64| Timestamp {
            seconds: i64::try_from(nanos / NANOS).unwrap(),
            nanos: i32::try_from(nanos % NANOS).unwrap(),
        };
        let memo =
            if let Some(Flaw::Memo(length)) = tx.flaw { "m".repeat(length as usize) } else { String::new() };
        let timeout_height = match tx.flaw {
            Some(Flaw::TimeoutHeight(after)) => block.height.value() + after,
            _ => 0,
        };
        let option = Any { type_url: "/unknown".into(), value: Vec::new() };
        TxBody {
            messages: tx.messages.iter().map(super::history::Message::any).collect(),
            memo,
            timeout_height,
            unordered: tx.unordered_ns.is_some(),
            timeout_timestamp: timeout.map(timestamp),
            extension_options: Vec::from_iter((tx.flaw == Some(Flaw::Extension)).then_some(option)),
            ..TxBody::default()
        }
    }
}

fn info(name: &str, place: &Place, tx: &Tx) -> SignerInfo {
    let public_key = match &tx.flaw {
        Some(Flaw::NoKey) => None,
        Some(Flaw::ForeignKey(other)) => Some(person(other).key.clone()),
        Some(Flaw::OddKey) => Some(Any { type_url: "/odd.PubKey".into(), value: vec![1] }),
        _ => Some(person(name).key.clone()),
    };
    let amino = tx.flaw == Some(Flaw::SignMode);
    let mode = if amino { SignMode::LegacyAminoJson } else { SignMode::Direct };
    let sum = mode_info::Sum::Single(mode_info::Single { mode: mode.into() });
    SignerInfo { public_key, mode_info: Some(ModeInfo { sum: Some(sum) }), sequence: place.sequence }
}

fn fee(tx: &Tx) -> Fee {
    let coin = |denom: &str| Coin { denom: denom.into(), amount: tx.fee.to_string() };
    let amount = match &tx.flaw {
        Some(Flaw::FeeDenom) => vec![coin("ucredit")],
        Some(Flaw::TwoFees) => vec![coin("ucredit"), coin("uflop")],
        _ if tx.fee == 0 => Vec::new(),
        _ => vec![coin("uflop")],
    };
    let (payer, granter) = match &tx.flaw {
        Some(Flaw::Payer(name)) => (person(name).text.clone(), String::new()),
        Some(Flaw::Granter) => (String::new(), person(super::cast::STRANGER).text.clone()),
        _ => (String::new(), String::new()),
    };
    Fee { amount, gas_limit: tx.gas_limit, payer, granter }
}
