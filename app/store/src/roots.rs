//! The map of roots: module name -> trie root, hashed as CometBFT's simple map, which is what
//! `ics23::tendermint_spec` verifies and what light clients of multistore chains expect.
//!
//! ```text
//! leaf  = SHA256(0x00 || len(name) || name || 32 || SHA256(root))
//! inner = SHA256(0x01 || left || right), the left side holding the greatest power of two below the count
//! ```

use kernel::AppHash;

use crate::{
    hash::{Hash, sha256},
    trie::Sibling,
};

/// The app hash over roots that are sorted by name.
pub(crate) fn app_hash(roots: &[(&str, Hash)]) -> AppHash {
    let leaves: Vec<Hash> = roots.iter().map(|(name, root)| leaf(name, root)).collect();
    merkle(&leaves)
}

/// The siblings of the map's entry `index`, from the leaf up.
pub(crate) fn path(roots: &[(&str, Hash)], index: usize) -> Vec<Sibling> {
    let leaves: Vec<Hash> = roots.iter().map(|(name, root)| leaf(name, root)).collect();
    let mut siblings = Vec::new();
    let (mut part, mut index) = (leaves.as_slice(), index);
    while part.len() > 1 {
        let (left, right) = split(part);
        match index.checked_sub(left.len()) {
            Some(in_right) => {
                siblings.push(Sibling::Left(merkle(left)));
                (part, index) = (right, in_right);
            }
            None => {
                siblings.push(Sibling::Right(merkle(right)));
                part = left;
            }
        }
    }
    siblings.reverse();
    siblings
}

fn leaf(name: &str, root: &Hash) -> Hash {
    let mut image = vec![0];
    for field in [name.as_bytes(), &sha256(root)] {
        prost::encoding::encode_varint(u64::try_from(field.len()).unwrap_or(u64::MAX), &mut image);
        image.extend_from_slice(field);
    }
    sha256(&image)
}

fn merkle(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [only] => *only,
        _ => {
            let (left, right) = split(leaves);
            sha256(&[&[1], merkle(left).as_slice(), &merkle(right)].concat())
        }
    }
}

fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a map entry, as CometBFT's hasher takes them.
    fn entry(name: &str, root: &Hash) -> Vec<u8> {
        let mut out = vec![name.len() as u8];
        out.extend(name.as_bytes());
        out.push(32);
        out.extend(sha256(root));
        out
    }

    #[test]
    fn equals_comet_and_every_path_leads_to_it() {
        let names: Vec<String> = (0..20).map(|i| format!("module{i:02}")).collect();
        for count in 0..=names.len() {
            let roots: Vec<(&str, Hash)> =
                names[..count].iter().map(|n| (n.as_str(), sha256(n.as_bytes()))).collect();
            let entries: Vec<Vec<u8>> = roots.iter().map(|(name, root)| entry(name, root)).collect();
            let expected = tendermint::merkle::simple_hash_from_byte_vectors::<sha2::Sha256>(&entries);
            assert_eq!(app_hash(&roots), expected, "{count} modules");
            for (index, (name, root)) in roots.iter().enumerate() {
                let top = path(&roots, index).iter().fold(leaf(name, root), |hash, sibling| match sibling {
                    Sibling::Left(left) => sha256(&[&[1], left.as_slice(), &hash].concat()),
                    Sibling::Right(right) => sha256(&[&[1], hash.as_slice(), right].concat()),
                });
                assert_eq!(top, expected);
            }
        }
    }
}
