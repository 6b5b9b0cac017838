//! The bytes of the column families.
//!
//! ```text
//! state    store, key                                   -> value
//! derived  store, key                                   -> value
//! undo     0, space, store, escaped key, height         -> 0 | 1, old value
//!          1, height, part                              -> changed keys of the height: (length, space, store, key)*
//! meta     "format" | "last" | "block/", height
//! ```
//!
//! Integers are big-endian, heights and counts 8 bytes, parts and lengths 4, spaces and stores 1. A key is escaped
//! so that no key with its height can lie between the heights of another: 0 becomes 0 255, and 0 0 ends it; the
//! order stays.

use bytes::Bytes;
use kernel::{AppHash, KeyBuf, Space, StoreId};

/// The version of this layout. A home of another one is refused by name.
pub(super) const FORMAT: u32 = 1;

pub(super) const STATE: &str = "state";
pub(super) const DERIVED: &str = "derived";
pub(super) const UNDO: &str = "undo";
pub(super) const META: &str = "meta";
pub(super) const FAMILIES: [&str; 4] = [STATE, DERIVED, UNDO, META];

pub(super) const META_FORMAT: &[u8] = b"format";
pub(super) const META_LAST: &[u8] = b"last";

/// How many changed keys a row of the undo list names, which is also how many a step of pruning deletes.
pub(super) const LISTED_KEYS_MAX: usize = 1_000;

const ENTRY: u8 = 0;
const LIST: u8 = 1;

/// The last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) height: u64,
    pub(super) app_hash: AppHash,
    /// The height of the first commit.
    pub(super) first: u64,
    /// Undo at and below this height may be gone.
    pub(super) pruned_to: u64,
}

impl Last {
    pub(super) fn encode(&self) -> Vec<u8> {
        let [height, first, pruned_to] = [self.height, self.first, self.pruned_to].map(u64::to_be_bytes);
        [height.as_slice(), &self.app_hash, &first, &pruned_to].concat()
    }

    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let height = take_u64(&mut bytes)?;
        let app_hash = *take::<32>(&mut bytes)?;
        let (first, pruned_to) = (take_u64(&mut bytes)?, take_u64(&mut bytes)?);
        bytes.is_empty().then_some(Self { height, app_hash, first, pruned_to })
    }

    /// The oldest height that can be read.
    pub(super) fn oldest(&self) -> u64 {
        self.first.max(self.pruned_to)
    }
}

/// The column family of a space, and the key of a record in it.
pub(super) const fn family(space: Space) -> &'static str {
    match space {
        Space::State(_) => STATE,
        Space::Derived(_) => DERIVED,
    }
}

pub(super) fn record(space: Space, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len().saturating_add(1));
    write_record(space, key, &mut out);
    out
}

pub(super) fn write_record(space: Space, key: &[u8], out: &mut Vec<u8>) {
    let (Space::State(StoreId(id)) | Space::Derived(StoreId(id))) = space;
    out.push(id);
    out.extend_from_slice(key);
}

/// A record's name among those of all spaces.
pub(super) fn cached(space: Space, key: &[u8]) -> KeyBuf {
    let mut name = KeyBuf::from_slice(&space_bytes(space));
    name.extend_from_slice(key);
    name
}

/// The first key behind all of a space; `None`: the family ends with it.
pub(super) fn record_end(space: Space) -> Option<Vec<u8>> {
    let (Space::State(StoreId(id)) | Space::Derived(StoreId(id))) = space;
    id.checked_add(1).map(|next| vec![next])
}

/// The row of `meta` that holds the app hash of a height.
pub(super) fn block(height: u64) -> Vec<u8> {
    [b"block/".as_slice(), &height.to_be_bytes()].concat()
}

/// The undo entry of a key that the block of `height` changed.
pub(super) fn undo(space: Space, key: &[u8], height: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len().saturating_add(16));
    write_undo(space, key, height, &mut out);
    out
}

pub(super) fn write_undo(space: Space, key: &[u8], height: u64, out: &mut Vec<u8>) {
    write_undo_from(space, key, out);
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&height.to_be_bytes());
}

/// Where the undo entries of `key` and of all keys after it begin.
pub(super) fn undo_from(space: Space, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write_undo_from(space, key, &mut out);
    out
}

fn write_undo_from(space: Space, key: &[u8], out: &mut Vec<u8>) {
    out.push(ENTRY);
    out.extend_from_slice(&space_bytes(space));
    let mut parts = key.split(|byte| *byte == 0);
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        out.extend_from_slice(&[0, 255]);
        out.extend_from_slice(part);
    }
}

/// The first key behind all undo entries of a space.
pub(super) fn undo_end(space: Space) -> Vec<u8> {
    let [tag, id] = space_bytes(space);
    match id.checked_add(1) {
        Some(next) => vec![ENTRY, tag, next],
        None => vec![ENTRY, tag.saturating_add(1)],
    }
}

/// The key and the height of an undo entry.
pub(super) fn decode_undo(bytes: &[u8]) -> Option<(Bytes, u64)> {
    let (escaped, height) = bytes.get(3..)?.split_last_chunk::<8>()?;
    let escaped = escaped.strip_suffix(&[0, 0])?;
    let mut key = Vec::with_capacity(escaped.len());
    let mut rest = escaped.iter();
    while let Some(byte) = rest.next() {
        key.push(*byte);
        if *byte == 0 && rest.next() != Some(&255) {
            return None;
        }
    }
    Some((key.into(), u64::from_be_bytes(*height)))
}

pub(super) fn write_old(old: Option<&[u8]>, out: &mut Vec<u8>) {
    out.push(u8::from(old.is_some()));
    out.extend_from_slice(old.unwrap_or_default());
}

pub(super) fn decode_old(bytes: &[u8]) -> Option<Option<Bytes>> {
    match bytes {
        [0] => Some(None),
        [1, value @ ..] => Some(Some(Bytes::copy_from_slice(value))),
        _ => None,
    }
}

/// A row of the list of keys that a height changed.
pub(super) fn list(height: u64, part: u32) -> Vec<u8> {
    [[LIST].as_slice(), &height.to_be_bytes(), &part.to_be_bytes()].concat()
}

/// Where the rows of a height's list begin.
pub(super) fn list_from(height: u64) -> Vec<u8> {
    [[LIST].as_slice(), &height.to_be_bytes()].concat()
}

pub(super) fn decode_list_height(key: &[u8]) -> Option<u64> {
    let mut rest = key.strip_prefix(&[LIST])?;
    take_u64(&mut rest)
}

pub(super) fn encode_listed(space: Space, key: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.extend(space_bytes(space));
    out.extend_from_slice(key);
}

pub(super) fn decode_listed(mut bytes: &[u8]) -> Option<Vec<(Space, Bytes)>> {
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        let length = usize::try_from(u32::from_be_bytes(*take::<4>(&mut bytes)?)).ok()?;
        let [tag, id] = *take::<2>(&mut bytes)?;
        let (key, rest) = bytes.split_at_checked(length)?;
        let space = match tag {
            0 => Space::State(StoreId(id)),
            1 => Space::Derived(StoreId(id)),
            _ => return None,
        };
        keys.push((space, Bytes::copy_from_slice(key)));
        bytes = rest;
    }
    Some(keys)
}

const fn space_bytes(space: Space) -> [u8; 2] {
    match space {
        Space::State(StoreId(id)) => [0, id],
        Space::Derived(StoreId(id)) => [1, id],
    }
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(first)
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    take::<8>(bytes).map(|first| u64::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn undo_keys_keep_the_order_of_key_and_height(
            a in proptest::collection::vec(0_u8..3, 0..12), b in proptest::collection::vec(0_u8..3, 0..12),
            h in 0..u64::MAX, g in 0_u64..600,
        ) {
            let space = Space::Derived(StoreId(7));
            let (x, y) = (undo(space, &a, h), undo(space, &b, g));
            prop_assert_eq!(x.cmp(&y), (&a, h).cmp(&(&b, g)));
            prop_assert_eq!(decode_undo(&x), Some((Bytes::from(a.clone()), h)));
            prop_assert_eq!(undo_from(space, &b) <= x, b <= a);
            prop_assert!(x < undo_end(space) && undo_end(Space::State(StoreId(255))) < x);
        }

        #[test]
        fn rows_of_the_list_can_be_read_back(keys in proptest::collection::vec((0..255_u8, any::<Vec<u8>>()), 0..20)) {
            let keys: Vec<(Space, Bytes)> =
                keys.into_iter().map(|(id, key)| (Space::State(StoreId(id)), key.into())).collect();
            let mut row = Vec::new();
            keys.iter().for_each(|(space, key)| encode_listed(*space, key, &mut row));
            prop_assert_eq!(decode_listed(&row), Some(keys));
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(bytes in any::<Vec<u8>>()) {
            let (undo, old, listed) = (decode_undo(&bytes), decode_old(&bytes), decode_listed(&bytes));
            let (last, height) = (Last::decode(&bytes), decode_list_height(&bytes));
            prop_assert!(bytes.len() > 2 || undo.is_none() && last.is_none() && height.is_none());
            prop_assert!(old.is_none() || bytes[0] < 2);
            prop_assert!(bytes.is_empty() || listed.is_none() || bytes.len() > 5);
        }
    }

    #[test]
    fn the_last_commit_can_be_read_back() {
        let last = Last { height: 1 << 40, app_hash: [7; 32], first: 3, pruned_to: 9 };
        assert_eq!(Last::decode(&last.encode()), Some(last));
        assert_eq!(last.oldest(), 9);
    }
}
