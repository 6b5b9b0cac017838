//! What goes into a block. A proposer keeps what fits; a validator rejects only what the bytes alone prove wrong, so
//! that all of them decide alike.

use crate::tx::{Purpose, Tx};

/// The bounds of a block.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most bytes of all transactions together.
    pub bytes: u64,
    /// The most gas that they may ask for together.
    pub gas: u64,
    /// The version of the rules.
    pub app_version: u32,
}

/// The transactions of a mempool that a block takes, in its order.
pub fn prepare(txs: Vec<Vec<u8>>, bounds: Bounds) -> Vec<Vec<u8>> {
    let mut room = bounds;
    txs.into_iter().filter(|bytes| room.take(bytes)).collect()
}

/// Whether a block may be voted for.
pub fn acceptable<'a>(txs: impl IntoIterator<Item = &'a Vec<u8>>, bounds: Bounds) -> Result<(), String> {
    let mut room = bounds;
    for (index, bytes) in txs.into_iter().enumerate() {
        if !room.take(bytes) {
            return Err(format!("transaction {index} is undecodable or over the block's bounds"));
        }
    }
    Ok(())
}

impl Bounds {
    /// Takes a transaction's share, if it is decodable and fits.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let Some(bytes_left) = self.bytes.checked_sub(wire_length(bytes.len())) else { return false };
        let Ok(tx) = Tx::decode(bytes, self.app_version, Purpose::Execute) else { return false };
        let Some(gas_left) = self.gas.checked_sub(tx.gas_limit) else { return false };
        (self.bytes, self.gas) = (bytes_left, gas_left);
        true
    }
}

/// The bytes of a transaction in a block: as an element of the block's `repeated bytes txs`.
fn wire_length(bytes: usize) -> u64 {
    let length = kernel::codec::length(bytes);
    let prefix = kernel::codec::length(prost::length_delimiter_len(bytes));
    length.saturating_add(prefix).saturating_add(1)
}
