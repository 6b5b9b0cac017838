//! The module's messages: none. Its parameters are set at genesis.

use kernel::{Message, Reject, Signers};

/// There is no message of this module.
#[derive(Clone, Debug)]
pub enum Msg {}

impl Message for Msg {
    fn parse(name: &str, _: &[u8], _: u32) -> Result<Self, Reject> {
        Err(Reject::unknown_request(format!("unknown message type {name:?}: auth has no messages")))
    }
    fn signers(&self) -> Signers {
        match *self {}
    }
    fn base_gas(&self) -> u64 {
        match *self {}
    }
}
