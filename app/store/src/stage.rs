//! A block's changes applied to a trie, without touching it: new nodes, the nodes that they replace, and a root.

use bytes::Bytes;

use crate::{
    Broken, bits,
    hash::{self, Hash},
    slab::Slab,
    trie::{Child, Inner, Leaf, Link, Root, Trie},
};

/// One key's new leaf.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// The index of its store.
    pub(crate) store: usize,
    pub(crate) hash: Hash,
    pub(crate) key: Bytes,
    /// The hash of the leaf; `None`: the key is removed.
    pub(crate) leaf: Option<Hash>,
}

/// Places of nodes that a newer state does not use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replaced {
    pub(crate) inners: Vec<u32>,
    pub(crate) leaves: Vec<u32>,
}

/// A candidate state of one trie.
#[derive(Debug)]
pub(crate) struct StagedTrie {
    pub(crate) root: Root,
    part: Part,
}

/// A staged subtree: its top, its new nodes, and those that they replace.
#[derive(Debug)]
struct Part {
    child: Option<Child>,
    inners: Slab<Inner>,
    leaves: Slab<Leaf>,
    replaced: Replaced,
}

/// A node that is to have a place in the new state.
#[derive(Clone, Copy)]
struct Node {
    child: Child,
    /// The distance to the furthest new inner node below, which is when the hash can be known; 0: it is known.
    level: usize,
}

/// A node with a key hash from below it.
struct Placed {
    below: Hash,
    node: Node,
}

/// Inner nodes that are hashed in one call.
const HASHED_AT_ONCE: usize = 1024;

/// How often the work is halved: four parts. Most of it is waiting for memory, so parts gain even where cores are
/// few.
const SPLITS: u8 = 2;
/// Fewer updates than this are staged faster than a thread starts.
const SPLIT_MIN: usize = 1024;

struct Stager<'a> {
    trie: &'a Trie,
    inners: Slab<Inner>,
    leaves: Slab<Leaf>,
    replaced: Replaced,
    /// New inner nodes by level, from 1.
    levels: Vec<Vec<u32>>,
}

impl Trie {
    /// The state after `updates`, which are in the order of their hashes and name each key once.
    pub(crate) fn stage(&self, root: &Root, updates: &[Update]) -> Result<StagedTrie, Broken> {
        let part = self.stage_halves(root.child, updates, SPLITS)?;
        let removed = u64::try_from(part.replaced.leaves.len()).unwrap_or(u64::MAX);
        let keys = root.keys.saturating_add(part.leaves.used()).saturating_sub(removed);
        Ok(StagedTrie { root: Root { child: part.child, keys }, part })
    }

    /// Stages both sides of a node at once, while there are enough updates for it.
    fn stage_halves(&self, child: Option<Child>, updates: &[Update], splits: u8) -> Result<Part, Broken> {
        let whole = || Stager::new(self).run(child, updates);
        if splits == 0 || updates.len() < SPLIT_MIN {
            return whole();
        }
        let [first, .., last] = updates else { return whole() };
        let (bit, below, sides) = match child {
            None => {
                (bits::first_difference(&first.hash, &last.hash).ok_or(Broken)?, first.hash, (None, None))
            }
            Some(child) if child.link.is_leaf() => return whole(),
            Some(child) => {
                let inner = self.inner(child.link)?;
                let below = self.representative(child.link)?;
                let outside = |update: &Update| bits::compare_prefix(&update.hash, &below, inner.bit).is_ne();
                if outside(first) || outside(last) {
                    return whole();
                }
                (inner.bit, below, (Some(inner.left), Some(inner.right)))
            }
        };
        let middle = updates.partition_point(|update| !bits::is_set(&update.hash, bit));
        let (to_left, to_right) = updates.split_at(middle);
        let left = || self.stage_halves(sides.0, to_left, splits.saturating_sub(1));
        let right = || self.stage_halves(sides.1, to_right, splits.saturating_sub(1));
        let (left, right) = hash::both(updates.len(), left, right);
        left?.join(right?, bit, &below, child, sides)
    }

    /// Takes a candidate's nodes in. Returns its root, and the places that only older states use.
    pub(crate) fn adopt(&mut self, staged: StagedTrie) -> Result<(Root, Replaced), Broken> {
        let StagedTrie { mut root, part: Part { mut inners, leaves, replaced, .. } } = staged;
        if self.inners.places() == 0 && self.leaves.places() == 0 {
            for inner in inners.nodes_mut() {
                inner.left.link = inner.left.link.settled();
                inner.right.link = inner.right.link.settled();
            }
            root.child = root.child.map(|child| Child { link: child.link.settled(), ..child });
            *self = Self { inners, leaves };
            return Ok((root, replaced));
        }
        let mut leaf_ids = Vec::with_capacity(usize::try_from(leaves.places()).unwrap_or_default());
        for leaf in leaves.into_nodes() {
            leaf_ids.push(self.leaves.insert(leaf).ok_or(Broken)?);
        }
        let mut inner_ids = Vec::with_capacity(usize::try_from(inners.places()).unwrap_or_default());
        // A node is made after its children, so their places are known when it comes.
        for mut inner in inners.into_nodes() {
            inner.left.link = settle(inner.left.link, &leaf_ids, &inner_ids)?;
            inner.right.link = settle(inner.right.link, &leaf_ids, &inner_ids)?;
            inner_ids.push(self.inners.insert(inner).ok_or(Broken)?);
        }
        if let Some(child) = &mut root.child {
            child.link = settle(child.link, &leaf_ids, &inner_ids)?;
        }
        Ok((root, replaced))
    }

    /// Makes the places of nodes that no state uses free again.
    pub(crate) fn release(&mut self, replaced: &Replaced) {
        for id in &replaced.leaves {
            if let Some(leaf) = self.leaves.get_mut(*id) {
                *leaf = Leaf::default();
            }
        }
        self.leaves.release(&replaced.leaves);
        self.inners.release(&replaced.inners);
    }
}

impl StagedTrie {
    /// How many nodes were hashed: one a new inner node.
    pub(crate) fn inners_hashed(&self) -> u64 {
        self.part.inners.used()
    }
}

impl Replaced {
    /// The memory that the nodes hold, with a leaf's key at its usual size.
    pub(crate) fn bytes(&self) -> u64 {
        let count = |ids: &[u32]| u64::try_from(ids.len()).unwrap_or(u64::MAX);
        count(&self.inners)
            .saturating_mul(INNER_BYTES)
            .saturating_add(count(&self.leaves).saturating_mul(LEAF_BYTES))
    }
}

/// An inner node.
pub(crate) const INNER_BYTES: u64 = 80;
/// A leaf with the allocation of a key of up to 40 bytes.
pub(crate) const LEAF_BYTES: u64 = 64;

fn settle(link: Link, leaves: &[u32], inners: &[u32]) -> Result<Link, Broken> {
    if !link.is_fresh() {
        return Ok(link);
    }
    let ids = if link.is_leaf() { leaves } else { inners };
    let id = *ids.get(usize::try_from(link.index()).map_err(|_| Broken)?).ok_or(Broken)?;
    Ok(if link.is_leaf() { Link::leaf(id) } else { Link::inner(id) })
}

impl Part {
    /// Puts another part beside this one, under the node of `bit` that held `sides`.
    fn join(
        mut self,
        right: Self,
        bit: u8,
        below: &Hash,
        replaces: Option<Child>,
        sides: (Option<Child>, Option<Child>),
    ) -> Result<Self, Broken> {
        let right = self.absorb(right)?;
        if replaces.is_some() && (self.child, right) == sides {
            self.child = replaces;
            return Ok(self);
        }
        self.replaced.inners.extend(replaces.map(|child| child.link.index()));
        self.child = match (self.child, right) {
            (Some(left), Some(right)) => {
                let hash = hash::sha256([left.hash, right.hash].as_flattened());
                let id = self.inners.insert(Inner::new(bit, below, left, right)).ok_or(Broken)?;
                Some(Child { hash, link: Link::inner(id).fresh() })
            }
            (one, None) | (None, one) => one,
        };
        Ok(self)
    }

    /// Takes the nodes of another part, which get numbers behind its own; returns that part's top.
    fn absorb(&mut self, other: Self) -> Result<Option<Child>, Broken> {
        let (inners, leaves) = (self.inners.places(), self.leaves.places());
        let moved = |child: Child| {
            let by = if child.link.is_leaf() { leaves } else { inners };
            Ok(Child { link: child.link.moved(by).ok_or(Broken)?, ..child })
        };
        for leaf in other.leaves.into_nodes() {
            self.leaves.insert(leaf).ok_or(Broken)?;
        }
        for mut inner in other.inners.into_nodes() {
            (inner.left, inner.right) = (moved(inner.left)?, moved(inner.right)?);
            self.inners.insert(inner).ok_or(Broken)?;
        }
        self.replaced.inners.extend(other.replaced.inners);
        self.replaced.leaves.extend(other.replaced.leaves);
        other.child.map(moved).transpose()
    }
}

impl<'a> Stager<'a> {
    const fn new(trie: &'a Trie) -> Self {
        let replaced = Replaced { inners: Vec::new(), leaves: Vec::new() };
        Self { trie, inners: Slab::new(), leaves: Slab::new(), replaced, levels: Vec::new() }
    }

    fn run(mut self, child: Option<Child>, updates: &[Update]) -> Result<Part, Broken> {
        let node = match child {
            Some(child) => self.apply(child, updates)?,
            None => {
                let placed = self.put_all(updates)?;
                self.join(&placed)?
            }
        };
        let child = self.hash_levels(node)?;
        Ok(Part { child, inners: self.inners, leaves: self.leaves, replaced: self.replaced })
    }

    /// The subtree of `child` with `updates`, all of which belong below its parent on this side.
    fn apply(&mut self, child: Child, updates: &[Update]) -> Result<Option<Node>, Broken> {
        if updates.is_empty() {
            return Ok(Some(Node { child, level: 0 }));
        }
        if child.link.is_leaf() {
            return self.apply_to_leaf(child, updates);
        }
        let inner = self.trie.inner(child.link)?;
        let below = self.trie.representative(child.link)?;
        let order = |update: &Update| bits::compare_prefix(&update.hash, &below, inner.bit);
        let (before, rest) = updates.split_at(updates.partition_point(|update| order(update).is_lt()));
        let (inside, after) = rest.split_at(rest.partition_point(|update| order(update).is_eq()));
        let node = self.apply_inside(child, inner, &below, inside)?;
        if before.is_empty() && after.is_empty() {
            return Ok(node);
        }
        let mut placed = self.put_all(before)?;
        placed.extend(node.map(|node| Placed { below, node }));
        placed.extend(self.put_all(after)?);
        self.join(&placed)
    }

    fn apply_inside(
        &mut self,
        child: Child,
        inner: &Inner,
        below: &Hash,
        updates: &[Update],
    ) -> Result<Option<Node>, Broken> {
        let middle = updates.partition_point(|update| !bits::is_set(&update.hash, inner.bit));
        let (to_left, to_right) = updates.split_at(middle);
        let left = self.apply(inner.left, to_left)?;
        let right = self.apply(inner.right, to_right)?;
        let same = |node: &Option<Node>, child: Child| node.as_ref().is_some_and(|node| node.child == child);
        if same(&left, inner.left) && same(&right, inner.right) {
            return Ok(Some(Node { child, level: 0 }));
        }
        self.replaced.inners.push(child.link.index());
        match (left, right) {
            (Some(left), Some(right)) => self.branch(inner.bit, below, left, right).map(Some),
            (one, None) | (None, one) => Ok(one),
        }
    }

    fn apply_to_leaf(&mut self, child: Child, updates: &[Update]) -> Result<Option<Node>, Broken> {
        let leaf = self.trie.leaf(child.link)?;
        if let [only] = updates
            && *only.key == *leaf.key
        {
            return Ok(self.change_leaf(child, only.leaf));
        }
        let below = hash::sha256(&leaf.key);
        let (before, rest) = updates.split_at(updates.partition_point(|update| update.hash < below));
        let (node, after) = match rest {
            [first, after @ ..] if first.hash == below => (self.change_leaf(child, first.leaf), after),
            _ => (Some(Node { child, level: 0 }), rest),
        };
        let mut placed = self.put_all(before)?;
        placed.extend(node.map(|node| Placed { below, node }));
        placed.extend(self.put_all(after)?);
        self.join(&placed)
    }

    fn change_leaf(&mut self, child: Child, hash: Option<Hash>) -> Option<Node> {
        if hash.is_none() {
            self.replaced.leaves.push(child.link.index());
        }
        hash.map(|hash| Node { child: Child { hash, link: child.link }, level: 0 })
    }

    /// New leaves. The removal of a key that isn't there is nothing.
    fn put_all(&mut self, updates: &[Update]) -> Result<Vec<Placed>, Broken> {
        let mut placed = Vec::with_capacity(updates.len());
        for update in updates {
            let Some(hash) = update.leaf else { continue };
            let id = self.leaves.insert(Leaf { key: update.key.as_ref().into() }).ok_or(Broken)?;
            let node = Node { child: Child { hash, link: Link::leaf(id).fresh() }, level: 0 };
            placed.push(Placed { below: update.hash, node });
        }
        Ok(placed)
    }

    /// A subtree of nodes in order, none of which lies inside another.
    fn join(&mut self, placed: &[Placed]) -> Result<Option<Node>, Broken> {
        match placed {
            [] => Ok(None),
            [only] => Ok(Some(only.node)),
            [first, .., last] => {
                let bit = bits::first_difference(&first.below, &last.below).ok_or(Broken)?;
                let (left, right) =
                    placed.split_at(placed.partition_point(|one| !bits::is_set(&one.below, bit)));
                let left = self.join(left)?.ok_or(Broken)?;
                let right = self.join(right)?.ok_or(Broken)?;
                self.branch(bit, &first.below, left, right).map(Some)
            }
        }
    }

    fn branch(&mut self, bit: u8, below: &Hash, left: Node, right: Node) -> Result<Node, Broken> {
        let higher = left.level.max(right.level);
        let id = self.inners.insert(Inner::new(bit, below, left.child, right.child)).ok_or(Broken)?;
        if self.levels.len() == higher {
            self.levels.push(Vec::new());
        }
        self.levels.get_mut(higher).ok_or(Broken)?.push(id);
        let child = Child { hash: Hash::default(), link: Link::inner(id).fresh() };
        Ok(Node { child, level: higher.saturating_add(1) })
    }

    /// Hashes the new inner nodes level by level, lowest first: the nodes of one level don't depend on one another,
    /// so many of them are hashed at once.
    fn hash_levels(&mut self, root: Option<Node>) -> Result<Option<Child>, Broken> {
        let mut hashes = vec![Hash::default(); usize::try_from(self.inners.places()).map_err(|_| Broken)?];
        let mut input = Vec::with_capacity(HASHED_AT_ONCE.saturating_mul(64));
        let mut output = Vec::with_capacity(HASHED_AT_ONCE.saturating_mul(32));
        for ids in self.levels.iter().flat_map(|level| level.chunks(HASHED_AT_ONCE)) {
            input.clear();
            output.clear();
            for id in ids {
                let inner = self.inners.get_mut(*id).ok_or(Broken)?;
                for child in [&mut inner.left, &mut inner.right] {
                    fill(child, &hashes)?;
                    input.extend_from_slice(&child.hash);
                }
            }
            hash::pairs(&input, &mut output);
            for (id, digest) in ids.iter().zip(output.as_chunks::<32>().0) {
                *hashes.get_mut(usize::try_from(*id).map_err(|_| Broken)?).ok_or(Broken)? = *digest;
            }
        }
        let Some(Node { mut child, .. }) = root else { return Ok(None) };
        fill(&mut child, &hashes)?;
        Ok(Some(child))
    }
}

/// Sets the hash of a child that is a new inner node.
fn fill(child: &mut Child, hashes: &[Hash]) -> Result<(), Broken> {
    if child.link.is_fresh() && !child.link.is_leaf() {
        child.hash = *hashes.get(usize::try_from(child.link.index()).map_err(|_| Broken)?).ok_or(Broken)?;
    }
    Ok(())
}
