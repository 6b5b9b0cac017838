//! Nodes by number: fixed chunks, so that growing never moves what is there, and a list of free places.

/// Nodes of one kind.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    chunks: Vec<Vec<T>>,
    free: Vec<u32>,
}

/// The nodes of a chunk. The first chunk grows as a vector does, so that a small slab is small.
const CHUNK: usize = 1 << 14;
const CHUNK_MASK: u32 = (1 << 14) - 1;
const CHUNK_BITS: u32 = 14;

/// The most places: a link has two bits for other things.
const PLACES_MAX: u32 = 1 << 30;

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        let (chunk, place) = split(id);
        self.chunks.get(chunk)?.get(place)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        let (chunk, place) = split(id);
        self.chunks.get_mut(chunk)?.get_mut(place)
    }

    /// Puts a node into a free place; `None` when there can be no more.
    pub(crate) fn insert(&mut self, node: T) -> Option<u32> {
        if let Some(id) = self.free.pop() {
            *self.get_mut(id)? = node;
            return Some(id);
        }
        let id = self.places();
        if id >= PLACES_MAX {
            return None;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        self.chunks.last_mut()?.push(node);
        Some(id)
    }

    /// Gives places back; nothing may refer to them any more.
    pub(crate) fn release(&mut self, ids: &[u32]) {
        self.free.extend_from_slice(ids);
    }

    /// How many places there are, free ones included.
    pub(crate) fn places(&self) -> u32 {
        let last = self.chunks.last().map_or(0, Vec::len);
        let full = self.chunks.len().saturating_sub(1).saturating_mul(CHUNK);
        u32::try_from(full.saturating_add(last)).unwrap_or(u32::MAX)
    }

    /// How many places hold a node.
    pub(crate) fn used(&self) -> u64 {
        let free = u32::try_from(self.free.len()).unwrap_or(u32::MAX);
        u64::from(self.places().saturating_sub(free))
    }

    /// All nodes in the order of their places; nothing may have been released.
    pub(crate) fn into_nodes(self) -> impl Iterator<Item = T> {
        self.chunks.into_iter().flatten()
    }

    /// All nodes in the order of their places.
    pub(crate) fn nodes_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.chunks.iter_mut().flatten()
    }
}

fn split(id: u32) -> (usize, usize) {
    let chunk = usize::try_from(id.wrapping_shr(CHUNK_BITS)).unwrap_or(usize::MAX);
    (chunk, usize::try_from(id & CHUNK_MASK).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused_and_stay() {
        let mut slab = Slab::new();
        for i in 0..40_000_u32 {
            assert_eq!(slab.insert(i), Some(i));
        }
        assert_eq!((slab.places(), slab.used()), (40_000, 40_000));
        slab.release(&[5, 20_000]);
        assert_eq!(slab.used(), 39_998);
        assert_eq!((slab.insert(1), slab.insert(2), slab.insert(3)), (Some(20_000), Some(5), Some(40_000)));
        assert_eq!((slab.get(20_000), slab.get(5), slab.get(39_999)), (Some(&1), Some(&2), Some(&39_999)));
        assert_eq!(slab.get(40_001), None);
    }
}
