//! Transactions: from bytes to something that holds no string, no raw key and no unchecked amount.
//!
//! The format is `cosmos.tx.v1beta1.TxRaw`, so that existing wallets sign it unmodified. Only its canonical form is
//! accepted: a transaction has one encoding, hence one hash.

use kernel::{Address, Amount, Reject, excerpt, module::canonical};
use prost::Message as _;
use proto::cosmos::{
    base::v1beta1::Coin,
    tx::{
        signing::v1beta1::SignMode,
        v1beta1::{AuthInfo, ModeInfo, SignDoc, SignerInfo, TxBody, TxRaw, mode_info::Sum},
    },
};
use sha2::{Digest as _, Sha256};

use crate::{
    modules::{self, Msg},
    signatures::Checked,
};

/// The most bytes of a transaction whatever the parameters say; they may allow fewer.
pub const TX_BYTES_MAX: usize = 256 * 1024;
/// The most messages of a transaction.
pub const MESSAGES_MAX: usize = 64;
/// The most signers of a transaction.
pub const SIGNERS_MAX: usize = 4;

/// A decoded transaction: every check that needs no state has passed.
#[derive(Clone, Debug)]
pub struct Tx {
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// The length of its bytes.
    pub size: usize,
    /// Its messages, in order; at least one.
    pub messages: Vec<Msg>,
    /// The type URLs of its messages, for the `message.action` event.
    pub actions: Vec<String>,
    /// Its signers in the order of its messages; the first pays unless `fee_payer` says otherwise.
    pub signers: Vec<Signer>,
    /// Who pays the fee: one of the signers, who may sign for nothing else.
    pub fee_payer: Address,
    /// The fee offered: one coin, or none.
    pub fee: Option<(String, Amount)>,
    /// The most gas it may use.
    pub gas_limit: u64,
    /// The length of its memo in bytes.
    pub memo_length: usize,
    /// It is invalid above this height; 0: no limit.
    pub timeout_height: u64,
    /// It is invalid from this instant on, in Unix nanoseconds; 0: no limit.
    pub timeout_nanos: u64,
    /// Its signers' sequences are not used; the timeout is its nonce.
    pub unordered: bool,
    /// What is known of its signatures.
    pub checked: Option<Checked>,
    body_bytes: Vec<u8>,
    auth_info_bytes: Vec<u8>,
}

/// One signer of a transaction.
#[derive(Clone, Debug)]
pub struct Signer {
    /// Its account.
    pub address: Address,
    /// The key that it says is its own; an account that has signed before may leave it out.
    pub key: Option<auth::PublicKey>,
    /// The sequence that it signed for.
    pub sequence: u64,
    /// Its signature over the sign doc.
    pub signature: Vec<u8>,
}

/// Who reads the transaction: a simulation has no signatures yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be executed.
    Execute,
    /// To estimate its gas.
    Simulate,
}

impl Tx {
    /// Reads a transaction. Every failure is one that no state can mend.
    pub fn decode(bytes: &[u8], app_version: u32, purpose: Purpose) -> Result<Self, Reject> {
        if bytes.len() > TX_BYTES_MAX {
            let text = format!("a transaction has at most {TX_BYTES_MAX} bytes, got {}", bytes.len());
            return Err(Reject::new(Reject::SDK, 21, text));
        }
        let raw: TxRaw = canonical(bytes)?;
        let body: TxBody = canonical(&raw.body_bytes)?;
        let auth_info: AuthInfo = canonical(&raw.auth_info_bytes)?;
        require_no_extensions(&body)?;
        let messages = parse_messages(&body, app_version)?;
        let fee = auth_info.fee.unwrap_or_default();
        if auth_info.tip.is_some() || !fee.granter.is_empty() {
            return Err(Reject::invalid_request("tips and fee grants are not served"));
        }
        let (addresses, fee_payer) = signers_of(&messages, &fee.payer)?;
        let signers = match purpose {
            Purpose::Execute => signed_by(&addresses, &auth_info.signer_infos, raw.signatures)?,
            Purpose::Simulate => simulated_by(&addresses, &auth_info.signer_infos)?,
        };
        let (timeout_nanos, unordered) = timeouts(&body, purpose)?;
        Ok(Self {
            hash: Sha256::digest(bytes).into(),
            size: bytes.len(),
            messages,
            actions: body.messages.iter().map(|any| any.type_url.clone()).collect(),
            signers,
            fee_payer,
            fee: parse_fee(&fee.amount)?,
            gas_limit: fee.gas_limit,
            memo_length: body.memo.len(),
            timeout_height: body.timeout_height,
            timeout_nanos,
            unordered,
            checked: None,
            body_bytes: raw.body_bytes,
            auth_info_bytes: raw.auth_info_bytes,
        })
    }

    /// Whether it is over at a time, in Unix nanoseconds.
    pub const fn is_over(&self, nanos: u64) -> bool {
        self.timeout_nanos > 0 && nanos >= self.timeout_nanos
    }

    /// What a signer signs.
    pub fn sign_bytes(&self, chain_id: &str, account_number: u64) -> Vec<u8> {
        SignDoc {
            body_bytes: self.body_bytes.clone(),
            auth_info_bytes: self.auth_info_bytes.clone(),
            chain_id: chain_id.to_owned(),
            account_number,
        }
        .encode_to_vec()
    }
}

fn require_no_extensions(body: &TxBody) -> Result<(), Reject> {
    match body.extension_options.first() {
        Some(option) => Err(Reject::new(
            Reject::SDK,
            31,
            format!("unknown extension option {}", excerpt(&option.type_url)),
        )),
        None => Ok(()),
    }
}

fn parse_messages(body: &TxBody, app_version: u32) -> Result<Vec<Msg>, Reject> {
    if body.messages.is_empty() {
        return Err(Reject::invalid_request("must contain at least one message"));
    }
    if body.messages.len() > MESSAGES_MAX {
        return Err(Reject::invalid_request(format!("a transaction has at most {MESSAGES_MAX} messages")));
    }
    body.messages.iter().map(|any| modules::decode(any, app_version)).collect()
}

/// Who signs, the messages' own in the order of their first appearance, then a payer who is none of them; and who pays.
fn signers_of(messages: &[Msg], payer: &str) -> Result<(Vec<Address>, Address), Reject> {
    let mut signers: Vec<Address> = Vec::new();
    for message in messages {
        for signer in message.signers().as_slice() {
            if !signers.contains(signer) {
                signers.push(*signer);
            }
        }
    }
    let payer = match payer {
        "" => signers.first().copied().ok_or_else(|| Reject::unauthorized("expected a signer"))?,
        text => Address::parse(text)?,
    };
    if !signers.contains(&payer) {
        signers.push(payer);
    }
    Ok((signers, payer))
}

fn signed_by(
    addresses: &[Address],
    infos: &[SignerInfo],
    signatures: Vec<Vec<u8>>,
) -> Result<Vec<Signer>, Reject> {
    if addresses.len() > SIGNERS_MAX {
        return Err(Reject::invalid_request(format!("a transaction has at most {SIGNERS_MAX} signers")));
    }
    if infos.len() != addresses.len() || signatures.len() != addresses.len() {
        return Err(Reject::unauthorized(format!(
            "expected {} signers, got {} signer infos and {} signatures",
            addresses.len(),
            infos.len(),
            signatures.len()
        )));
    }
    let mut signers = Vec::with_capacity(addresses.len());
    for ((address, info), signature) in addresses.iter().zip(infos).zip(signatures) {
        if mode(info.mode_info.as_ref()) != Some(SignMode::Direct) {
            return Err(Reject::unauthorized("expected the sign mode SIGN_MODE_DIRECT"));
        }
        let key = info.public_key.as_ref().map(|any| auth::PublicKey::from_any(&any.type_url, &any.value));
        let signer = Signer { address: *address, key: key.transpose()?, sequence: info.sequence, signature };
        signers.push(signer);
    }
    Ok(signers)
}

/// A simulation may come with any sign mode, without keys and without signatures.
fn simulated_by(addresses: &[Address], infos: &[SignerInfo]) -> Result<Vec<Signer>, Reject> {
    if infos.len() != addresses.len() {
        return Err(Reject::unauthorized(format!(
            "expected {} signer infos, got {}",
            addresses.len(),
            infos.len()
        )));
    }
    let signer = |(address, info): (&Address, &SignerInfo)| Signer {
        address: *address,
        key: None,
        sequence: info.sequence,
        signature: Vec::new(),
    };
    Ok(addresses.iter().zip(infos).map(signer).collect())
}

fn mode(info: Option<&ModeInfo>) -> Option<SignMode> {
    match info?.sum.as_ref()? {
        Sum::Single(single) => SignMode::try_from(single.mode).ok(),
        Sum::Multi(_) => None,
    }
}

fn timeouts(body: &TxBody, purpose: Purpose) -> Result<(u64, bool), Reject> {
    let nanos = match &body.timeout_timestamp {
        None => 0,
        Some(at) => unix_nanos(at.seconds, at.nanos)
            .ok_or_else(|| Reject::invalid_request("timeout_timestamp: expected a time from 1970 to 2554"))?,
    };
    if body.unordered && nanos == 0 && purpose == Purpose::Execute {
        return Err(Reject::invalid_request("an unordered transaction needs a timeout_timestamp"));
    }
    Ok((nanos, body.unordered))
}

/// Unix nanoseconds of a time after 1970 that fit 64 bits; `None` for any other.
pub fn unix_nanos(seconds: i64, nanos: i32) -> Option<u64> {
    let seconds = u64::try_from(seconds).ok()?;
    let nanos = u64::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    let total = seconds.checked_mul(1_000_000_000)?.checked_add(nanos)?;
    (total > 0).then_some(total)
}

fn parse_fee(coins: &[Coin]) -> Result<Option<(String, Amount)>, Reject> {
    match coins {
        [] => Ok(None),
        [coin] => {
            let amount =
                Amount::parse(&coin.amount).map_err(|reject| Reject::invalid_coins(reject.message))?;
            Ok(Some((coin.denom.clone(), amount)))
        }
        _ => Err(Reject::invalid_coins("a fee is paid in one denom")),
    }
}
