//! What goes into a block. A proposer keeps what fits; a validator rejects only what the bytes alone prove wrong, so
//! that all of them decide alike.

use std::collections::BTreeSet;

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

/// The transactions of a mempool that a block takes at `nanos`, in its order: not what is over by then, and not what waits for
/// one of the same account that is left out.
pub fn prepare(txs: Vec<Vec<u8>>, bounds: Bounds, nanos: u64) -> Vec<Vec<u8>> {
    let (mut room, mut waiting) = (bounds, BTreeSet::new());
    let mut keep = |bytes: &Vec<u8>| {
        let Some(tx) = room.decode(bytes) else { return false };
        // An unordered one waits too if it relies on another to have brought its signer's key.
        let waits = tx
            .signers
            .iter()
            .any(|signer| (!tx.unordered || signer.key.is_none()) && waiting.contains(&signer.address));
        let keep = !waits && !tx.is_over(nanos) && room.take(bytes, &tx);
        if !keep && !tx.unordered {
            waiting.extend(tx.signers.iter().map(|signer| signer.address));
        }
        keep
    };
    txs.into_iter().filter(|bytes| keep(bytes)).collect()
}

/// Whether a block may be voted for.
pub fn acceptable<'a>(txs: impl IntoIterator<Item = &'a Vec<u8>>, bounds: Bounds) -> Result<(), String> {
    let mut room = bounds;
    for (index, bytes) in txs.into_iter().enumerate() {
        if !room.decode(bytes).is_some_and(|tx| room.take(bytes, &tx)) {
            return Err(format!("transaction {index} is undecodable or over the block's bounds"));
        }
    }
    Ok(())
}

impl Bounds {
    fn decode(&self, bytes: &[u8]) -> Option<Tx> {
        Tx::decode(bytes, self.app_version, Purpose::Execute).ok()
    }

    /// Takes a transaction's share, if it fits.
    fn take(&mut self, bytes: &[u8], tx: &Tx) -> bool {
        let Some(bytes_left) = self.bytes.checked_sub(wire_length(bytes.len())) else { return false };
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
