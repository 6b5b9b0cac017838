//! One module's Merkle trie: binary, path-compressed, ordered by key hash, with its nodes in memory.
//!
//! ```text
//! leaf  = SHA256("underbid/leaf/1" || SHA256(key) || SHA256(value))
//! inner = SHA256(left || right)
//! ```
//!
//! An inner node knows the hashes of its children, so a leaf is no more than its key: changing a value replaces the
//! inner nodes above it and no leaf, and a proof reads only the nodes of one path. Nodes that can be reached from a
//! root are never changed; a new state has a new root, and shares with the old one whatever did not change.

use crate::{
    Broken, bits,
    hash::{self, Hash},
    slab::Slab,
};

/// Which node: a leaf or an inner node, of the trie or of a candidate that is not in it yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link(u32);

impl Link {
    const LEAF: u32 = 1 << 31;
    const FRESH: u32 = 1 << 30;

    pub(crate) const fn leaf(index: u32) -> Self {
        Self(index | Self::LEAF)
    }
    pub(crate) const fn inner(index: u32) -> Self {
        Self(index)
    }
    /// The node is a candidate's own.
    pub(crate) const fn fresh(self) -> Self {
        Self(self.0 | Self::FRESH)
    }
    /// The same number as a node of the trie.
    pub(crate) const fn settled(self) -> Self {
        Self(self.0 & !Self::FRESH)
    }
    /// A candidate's own node when `by` others come before it; other links stay.
    pub(crate) fn moved(self, by: u32) -> Option<Self> {
        if !self.is_fresh() {
            return Some(self);
        }
        let index = self.index().checked_add(by).filter(|index| *index < Self::FRESH)?;
        Some(if self.is_leaf() { Self::leaf(index).fresh() } else { Self::inner(index).fresh() })
    }
    pub(crate) const fn is_leaf(self) -> bool {
        self.0 & Self::LEAF != 0
    }
    pub(crate) const fn is_fresh(self) -> bool {
        self.0 & Self::FRESH != 0
    }
    pub(crate) const fn index(self) -> u32 {
        self.0 & !(Self::LEAF | Self::FRESH)
    }
}

/// A node with its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) hash: Hash,
    pub(crate) link: Link,
}

/// An inner node: below it, all key hashes agree before `bit`, and `bit` decides between left and right.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) left: Child,
    pub(crate) right: Child,
    /// The first bytes of a key hash below the node. Only bits before `bit` mean anything.
    prefix: [u8; PREFIX_BYTES],
    pub(crate) bit: u8,
}

/// How much of the prefix a node keeps itself; only hashes that agree in more than that are looked up in a leaf. It
/// is so short in the unit tests that they meet such hashes.
const PREFIX_BYTES: usize = if cfg!(test) { 1 } else { 7 };
const PREFIX_BITS: u8 = if cfg!(test) { 8 } else { 56 };

impl Inner {
    pub(crate) fn new(bit: u8, below: &Hash, left: Child, right: Child) -> Self {
        let prefix = below.first_chunk().copied().unwrap_or_default();
        Self { left, right, prefix, bit }
    }

    pub(crate) const fn side(&self, right: bool) -> &Child {
        if right { &self.right } else { &self.left }
    }
}

/// A leaf: the key of a record. Absence is proven by the keys next to it, so they have to be known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaf {
    pub(crate) key: Box<[u8]>,
}

/// One state of a trie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Root {
    /// The topmost node; `None`: no record.
    pub(crate) child: Option<Child>,
    /// How many records there are.
    pub(crate) keys: u64,
}

impl Root {
    pub(crate) fn hash(&self) -> Hash {
        self.child.map_or_else(hash::empty_root, |child| child.hash)
    }
}

/// The nodes of all states of one trie that are still wanted.
#[derive(Debug)]
pub(crate) struct Trie {
    pub(crate) inners: Slab<Inner>,
    pub(crate) leaves: Slab<Leaf>,
}

/// The hash beside a node on the way from a leaf to the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sibling {
    Left(Hash),
    Right(Hash),
}

/// A key and the siblings from its leaf up to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) key: Vec<u8>,
    pub(crate) siblings: Vec<Sibling>,
}

/// What a trie says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is there.
    Present(Path),
    /// It is not: its neighbours in the order of key hashes, at least one unless the trie is empty.
    Absent { left: Option<Path>, right: Option<Path> },
}

impl Trie {
    pub(crate) const fn new() -> Self {
        Self { inners: Slab::new(), leaves: Slab::new() }
    }

    pub(crate) fn inner(&self, link: Link) -> Result<&Inner, Broken> {
        self.inners.get(link.index()).ok_or(Broken)
    }

    pub(crate) fn leaf(&self, link: Link) -> Result<&Leaf, Broken> {
        self.leaves.get(link.index()).ok_or(Broken)
    }

    /// A key hash as far as all those below the node agree.
    pub(crate) fn representative(&self, link: Link) -> Result<Hash, Broken> {
        if !link.is_leaf() {
            let inner = self.inner(link)?;
            if inner.bit <= PREFIX_BITS {
                let mut below = [0; 32];
                *below.first_chunk_mut().ok_or(Broken)? = inner.prefix;
                return Ok(below);
            }
        }
        Ok(hash::sha256(&self.leaf(self.outermost(link, false)?)?.key))
    }

    /// The first or the last leaf below a node.
    fn outermost(&self, mut link: Link, right: bool) -> Result<Link, Broken> {
        while !link.is_leaf() {
            link = self.inner(link)?.side(right).link;
        }
        Ok(link)
    }

    /// Looks a key up and collects what proves the answer.
    pub(crate) fn find(&self, root: &Root, key: &[u8]) -> Result<Finding, Broken> {
        let hash = hash::sha256(key);
        let (mut left, mut right) = (None, None);
        let Some(mut link) = root.child.map(|child| child.link) else {
            return Ok(Finding::Absent { left: None, right: None });
        };
        loop {
            let below = self.representative(link)?;
            let bits = if link.is_leaf() { None } else { Some(self.inner(link)?) };
            let order = match bits {
                Some(inner) => bits::compare_prefix(&hash, &below, inner.bit),
                None => hash.cmp(&below),
            };
            match (order, bits) {
                (std::cmp::Ordering::Equal, None) => return Ok(Finding::Present(self.path(root, key)?)),
                (std::cmp::Ordering::Equal, Some(inner)) => {
                    let goes_right = bits::is_set(&hash, inner.bit);
                    let passed = if goes_right { &mut left } else { &mut right };
                    *passed = Some(inner.side(!goes_right).link);
                    link = inner.side(goes_right).link;
                }
                (std::cmp::Ordering::Less, _) => {
                    right = Some(link);
                    break;
                }
                (std::cmp::Ordering::Greater, _) => {
                    left = Some(link);
                    break;
                }
            }
        }
        let neighbour = |subtree: Option<Link>, right: bool| {
            subtree.map(|link| self.path(root, &self.leaf(self.outermost(link, right)?)?.key)).transpose()
        };
        Ok(Finding::Absent { left: neighbour(left, true)?, right: neighbour(right, false)? })
    }

    /// The way down to a key that is there.
    fn path(&self, root: &Root, key: &[u8]) -> Result<Path, Broken> {
        let hash = hash::sha256(key);
        let mut siblings = Vec::new();
        let mut link = root.child.ok_or(Broken)?.link;
        while !link.is_leaf() {
            let inner = self.inner(link)?;
            let goes_right = bits::is_set(&hash, inner.bit);
            siblings.push(if goes_right {
                Sibling::Left(inner.left.hash)
            } else {
                Sibling::Right(inner.right.hash)
            });
            link = inner.side(goes_right).link;
        }
        siblings.reverse();
        let leaf = self.leaf(link)?;
        if *leaf.key != *key {
            return Err(Broken);
        }
        Ok(Path { key: key.to_vec(), siblings })
    }
}
