//! Time, with its clock in the type: heights, header time and billing time never mix.

use std::{cmp::Ordering, fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Overflow;

/// The clock of auctions and signing windows: block heights. A halt costs nobody its turn.
#[derive(Debug)]
pub enum Height {}
/// The clock of what the world outside counts: seconds of the block header, Unix time.
#[derive(Debug)]
pub enum Header {}
/// The clock of money and lease terms: seconds that advance with header time, by a bounded step a block, so that a
/// halted chain bills nobody.
#[derive(Debug)]
pub enum Billing {}

/// An instant of the clock `C`.
pub struct At<C>(u64, PhantomData<C>);

impl<C> At<C> {
    /// The clock's origin.
    pub const ZERO: Self = Self::new(0);

    /// An instant.
    pub const fn new(value: u64) -> Self {
        Self(value, PhantomData)
    }

    /// The number of its seconds, or the height.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The instant `span` seconds (or heights) later.
    pub fn plus(self, span: u64) -> Result<Self, Overflow> {
        self.0.checked_add(span).map(Self::new).ok_or(Overflow)
    }

    /// The span since an earlier instant; 0 if that one is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `span` earlier, or the origin.
    pub const fn saturating_minus(self, span: u64) -> Self {
        Self::new(self.0.saturating_sub(span))
    }

    /// The instant `span` later, or the end of time: for closing paths, which never fail.
    pub const fn saturating_plus(self, span: u64) -> Self {
        Self::new(self.0.saturating_add(span))
    }
}

impl<C> Clone for At<C> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C> Copy for At<C> {}
impl<C> PartialEq for At<C> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<C> Eq for At<C> {}
impl<C> PartialOrd for At<C> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<C> Ord for At<C> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<C> Default for At<C> {
    fn default() -> Self {
        Self::ZERO
    }
}
impl<C> fmt::Debug for At<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
impl<C> fmt::Display for At<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<C> Serialize for At<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}
impl<'de, C> Deserialize<'de> for At<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::new)
    }
}

/// What a block is, to the state machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub height: At<Height>,
    /// Its header's time.
    pub time: At<Header>,
    /// The nanoseconds of its header's time: only transactions' timeouts look at them.
    pub time_nanos: u32,
    /// The billing clock after this block's step.
    pub billing: At<Billing>,
    /// The version of the rules.
    pub app_version: u32,
    /// The chain's id.
    pub chain_id: String,
}
