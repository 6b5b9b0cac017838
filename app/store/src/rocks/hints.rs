//! Where the queues of the latest version begin: the database steps over what was drained until it compacts it away.

use bytes::Bytes;
use kernel::{Changes, Heads, KeyRange, Space};

/// The heads of the version of a height.
#[derive(Debug, Default)]
pub(super) struct Hints {
    height: u64,
    heads: Heads,
}

impl Hints {
    /// No heads yet, for the version of a height.
    pub(super) fn new(height: u64) -> Self {
        Self { height, heads: Heads::default() }
    }

    /// A later key at which a scan of `space` from `start` may begin, if the scan is of the latest version.
    pub(super) fn start(&self, height: u64, space: Space, start: &[u8]) -> Option<Bytes> {
        let head = self.heads.start(space, start).filter(|_| height == self.height)?;
        Some(Bytes::copy_from_slice(head))
    }

    /// Learns from a finished scan of the version of `height`, whose first row was `first`.
    pub(super) fn learn(&mut self, height: u64, space: Space, range: KeyRange<'_>, first: Option<&Bytes>) {
        if height == self.height {
            self.heads.learn(space, range, first.map(|key| &**key));
        }
    }

    /// Follows a commit.
    pub(super) fn advance(&mut self, height: u64, changes: &Changes) {
        self.height = height;
        for ((space, key), change) in changes {
            if change.new.is_some() {
                self.heads.lower(*space, key);
            }
        }
    }
}
