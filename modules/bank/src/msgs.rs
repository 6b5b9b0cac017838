//! The messages, and every check of them that needs no state.

use kernel::{Address, Message, Reject, Signers, module::canonical};
use proto::{cosmos::bank::v1beta1 as pb, underbid::bank::v1 as own};

use crate::{Coins, Error};

/// The most receivers of a message.
pub const OUTPUTS_MAX: usize = 64;
/// Gas of a send, or of one receiver of many, on top of its reads and writes: wallets expect a send to cost more than
/// 40,000 in all.
const SEND_GAS: u64 = 25_000;

/// A message of the module; the signer comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Msg {
    /// From one account to another.
    Send(Address, Send),
    /// From one account to several.
    MultiSend(Address, MultiSend),
    /// Destroys money for ever.
    Burn(Address, Burn),
}

/// What is sent, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The receiver.
    pub to: Address,
    /// What it receives.
    pub coins: Coins,
}

/// What is sent, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiSend {
    /// The receivers, with what each receives.
    pub outputs: Vec<(Address, Coins)>,
    /// What the sender gives: the sum of it.
    pub total: Coins,
}

/// What is destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burn {
    /// The money.
    pub coins: Coins,
}

impl Message for Msg {
    fn parse(name: &str, body: &[u8], _: u32) -> Result<Self, Reject> {
        match name {
            "cosmos.bank.v1beta1.MsgSend" => parse_send(&canonical(body)?),
            "cosmos.bank.v1beta1.MsgMultiSend" => parse_multi_send(&canonical(body)?),
            "underbid.bank.v1.MsgBurn" => parse_burn(&canonical(body)?),
            _ => Err(Reject::unknown_request(format!("unknown message type {name:?}"))),
        }
    }

    fn signers(&self) -> Signers {
        match self {
            Self::Send(signer, _) | Self::MultiSend(signer, _) | Self::Burn(signer, _) => {
                Signers::one(*signer)
            }
        }
    }

    fn base_gas(&self) -> u64 {
        match self {
            Self::Send(..) | Self::Burn(..) => SEND_GAS,
            Self::MultiSend(_, msg) => SEND_GAS.saturating_mul(kernel::codec::length(msg.outputs.len())),
        }
    }
}

fn parse_send(body: &pb::MsgSend) -> Result<Msg, Reject> {
    let from = Address::parse(&body.from_address)?;
    let to = Address::parse(&body.to_address)?;
    Ok(Msg::Send(from, Send { to, coins: Coins::parse(&body.amount)? }))
}

fn parse_multi_send(body: &pb::MsgMultiSend) -> Result<Msg, Reject> {
    let input = match body.inputs.as_slice() {
        [] => return Err(Error::NoInputs.into()),
        [input] => input,
        _ => return Err(Error::MultipleSenders.into()),
    };
    match body.outputs.len() {
        0 => return Err(Error::NoOutputs.into()),
        1..=OUTPUTS_MAX => {}
        got => return Err(Error::TooManyOutputs { max: OUTPUTS_MAX, got }.into()),
    }
    let from = Address::parse(&input.address)?;
    let total = Coins::parse(&input.coins)?;
    let mut sum = Coins::default();
    let mut outputs = Vec::with_capacity(body.outputs.len());
    for output in &body.outputs {
        let coins = Coins::parse(&output.coins)?;
        sum.add(&coins).map_err(|_| Error::InputOutputMismatch)?;
        outputs.push((Address::parse(&output.address)?, coins));
    }
    if sum != total {
        return Err(Error::InputOutputMismatch.into());
    }
    Ok(Msg::MultiSend(from, MultiSend { outputs, total }))
}

fn parse_burn(body: &own::MsgBurn) -> Result<Msg, Reject> {
    let from = Address::parse(&body.from_address)?;
    Ok(Msg::Burn(from, Burn { coins: Coins::parse(&body.amount)? }))
}
