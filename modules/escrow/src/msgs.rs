//! Escrow's own message. Money enters and leaves accounts by the market's messages.

use kernel::{Address, Message, Reject, Signers, module::canonical};
use proto::underbid::escrow::v1 as wire;

use crate::params::Params;

/// A message, its signer first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Msg {
    /// Replaces the parameters.
    UpdateParams(Address, UpdateParams),
}

/// The new parameters, all of them, in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    /// The parameters.
    pub params: Params,
}

impl Message for Msg {
    fn parse(name: &str, body: &[u8], _app_version: u32) -> Result<Self, Reject> {
        match name {
            "underbid.escrow.v1.MsgUpdateParams" => {
                let msg: wire::MsgUpdateParams = canonical(body)?;
                let params =
                    msg.params.ok_or_else(|| Reject::invalid_request("params: expected the parameters"))?;
                let params = Params::try_from(params)?;
                Ok(Self::UpdateParams(Address::parse(&msg.authority)?, UpdateParams { params }))
            }
            _ => Err(Reject::unknown_request(format!("unknown message {name}"))),
        }
    }

    fn signers(&self) -> Signers {
        match self {
            Self::UpdateParams(signer, _) => Signers::one(*signer),
        }
    }

    fn base_gas(&self) -> u64 {
        0
    }
}
