//! What work costs. The table is chosen by the version of the rules.

/// A piece of work that is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Reading a key whose value has this many bytes; `key` counts the key's bytes.
    Read {
        /// The key's length.
        key: usize,
        /// The value's length.
        value: usize,
    },
    /// Writing a key.
    Write {
        /// The key's length.
        key: usize,
        /// The value's length.
        value: usize,
    },
    /// Removing a key.
    Remove {
        /// The key's length.
        key: usize,
    },
    /// Starting a scan; each entry costs a read besides. A query of a past height pays as much again for each place in the
    /// history that its scan looks at.
    Scan,
    /// A fixed amount, of a message's own.
    Fixed(u64),
}

/// The gas of a piece of work under a version of the rules. Version 1 is on the scale that wallets hard-code for a send.
pub fn price(cost: Cost, _app_version: u32) -> u64 {
    match cost {
        Cost::Read { key, value } => linear(1_000, 3, key, value),
        Cost::Write { key, value } => linear(2_000, 15, key, value),
        Cost::Remove { key } => linear(1_000, 3, key, 0),
        Cost::Scan => 1_000,
        Cost::Fixed(gas) => gas,
    }
}

fn linear(flat: u64, per_byte: u64, key: usize, value: usize) -> u64 {
    let bytes = crate::codec::length(key.saturating_add(value));
    flat.saturating_add(per_byte.saturating_mul(bytes))
}

/// What a context did, for tests that pin it and for metrics. Not consensus data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Keys read, cached or not.
    pub reads: u64,
    /// Keys read from the view.
    pub view_reads: u64,
    /// Bytes of keys and values read.
    pub bytes_read: u64,
    /// Keys written or removed.
    pub writes: u64,
    /// Bytes of keys and values written.
    pub bytes_written: u64,
    /// Index and queue entries added or removed.
    pub derived: u64,
    /// Scans begun.
    pub scans: u64,
}
