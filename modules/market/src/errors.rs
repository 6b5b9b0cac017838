//! Why the market refuses: one error a guard. Codes are consensus data: they are pinned by test and never reused.

use kernel::{Address, Amount, At, Height, Reject};

use crate::{NAME, types::OrderId};

/// A guard's refusal. What other modules know (classes, providers, stake, depositors, money) they refuse themselves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages name the fields")]
pub enum Error {
    /// The number of units.
    #[error("count: expected 1 to {max} units, got {count}")]
    CountOutOfRange { count: u32, max: u32 },
    /// The price of one unit, or its ceiling.
    #[error("unit rate: expected 1 to {max}, got {unit_rate}")]
    RateOutOfRange { unit_rate: u128, max: u128 },
    /// The number of allowed zones.
    #[error("zones: expected at most {max}, got {zones}")]
    TooManyZones { zones: usize, max: u32 },
    /// The length of the auction.
    #[error("window_blocks: expected {min} to {max}, got {got}")]
    WindowOutOfRange { got: u32, min: u32, max: u32 },
    /// The wait for a first bid.
    #[error("ttl_s: expected {min} to {max}, got {got}")]
    TtlOutOfRange { got: u32, min: u32, max: u32 },
    /// The time to start.
    #[error("start_timeout_s: expected {min} to {max}, got {got}")]
    StartTimeoutOutOfRange { got: u32, min: u32, max: u32 },
    /// The notice of a reclaim.
    #[error("reclaim notice: expected {min} to {max} seconds, got {got}")]
    ReclaimOutOfRange { got: u32, min: u32, max: u32 },
    /// The duration.
    #[error("duration_s: expected 0 or {min} to {max}, got {got}")]
    DurationOutOfRange { got: u32, min: u32, max: u32 },
    /// A weight.
    #[error("weights: expected at most {max} ppm each, got {got}")]
    WeightOutOfRange { got: u32, max: u32 },
    /// The number of rounds.
    #[error("rounds: expected 1 to {max}, got {got}")]
    RoundsOutOfRange { got: u32, max: u32 },
    /// A deposit.
    #[error("deposit: expected at least {min} ucredit, got {amount}")]
    DepositTooSmall { amount: Amount, min: Amount },
    /// There is no such order, or it is pruned.
    #[error("order {id} does not exist")]
    UnknownOrder { id: OrderId },
    /// Only the tenant may do this.
    #[error("order {id}: expected its tenant {tenant}, got {actor}")]
    NotTenant { id: OrderId, tenant: Address, actor: Address },
    /// Only an order without bids can be cancelled.
    #[error("order {id} is not open: it has had bids, or it has ended")]
    OrderNotOpen { id: OrderId },
    /// It takes no bids, or none any more.
    #[error("order {id} takes no bid at height {height}")]
    OrderNotBiddable { id: OrderId, height: At<Height> },
    /// A tenant may not bid for its own order.
    #[error("order {id}: its tenant {tenant} acts for the provider {provider}")]
    OwnOrder { id: OrderId, tenant: Address, provider: Address },
    /// A provider that failed the order before.
    #[error("order {id}: the provider {provider} failed an earlier round")]
    Barred { id: OrderId, provider: Address },
    /// One bid a provider.
    #[error("order {id}: the provider {provider} has a bid already, which it can improve")]
    BidExists { id: OrderId, provider: Address },
    /// The order does not want units there.
    #[error("order {id} does not allow the zone {zone}")]
    ZoneNotAllowed { id: OrderId, zone: String },
    /// The order asks for more.
    #[error("uptime: expected at least {min_ppm} ppm, the provider has {uptime_ppm}")]
    UptimeTooLow { uptime_ppm: u32, min_ppm: u32 },
    /// The provider has not that many free units of the class there.
    #[error("capacity: expected {count} free units, there are {free}")]
    InsufficientCapacity { count: u32, free: u32 },
    /// In the ending a bid must lead by the steps so far.
    #[error("the auction is ending: expected a unit rate of at most {max}, got {unit_rate}")]
    NotLeading { unit_rate: u128, max: u128 },
    /// It has been extended as often as it may be.
    #[error("the auction was extended {extensions} times and takes no more bids")]
    AuctionEnding { extensions: u32 },
    /// A full book takes only a bid that is better than its last.
    #[error("the book is full: expected a unit rate of at most {max}, got {unit_rate}")]
    BookFull { unit_rate: u128, max: u128 },
    /// The provider has no bid to improve.
    #[error("order {id}: the provider {provider} has no bid")]
    UnknownBid { id: OrderId, provider: Address },
    /// An improvement must be worth a block.
    #[error("unit rate: expected at most {max}, got {unit_rate}")]
    StepTooSmall { unit_rate: u128, max: u128 },
    /// It is within the band of the draw, so it is binding.
    #[error("order {id}: the bid can still win: expected a unit rate above {limit}, it has {unit_rate}")]
    BidBinding { id: OrderId, unit_rate: u128, limit: u128 },
    /// The order has no live lease.
    #[error("order {id} has no live lease")]
    NoLease { id: OrderId },
    /// Its start was confirmed before.
    #[error("the lease of order {id} is {stage}: expected starting")]
    LeaseNotStarting { id: OrderId, stage: &'static str },
    /// It has ended.
    #[error("order {id} has ended")]
    OrderClosed { id: OrderId },
    /// It has not started, or the notice was given before.
    #[error("the lease of order {id} is {stage}: expected active")]
    LeaseNotActive { id: OrderId, stage: &'static str },
    /// Only the owner of the provider may do this.
    #[error("expected the owner {owner} of the provider, got {actor}")]
    NotOwner { owner: Address, actor: Address },
    /// Nothing is due on the order and nothing would be paid.
    #[error("order {id}: nothing is due and nothing would be paid")]
    NothingToDo { id: OrderId },
}

impl Error {
    /// The code in this module's codespace, in the order in which the errors came to be.
    pub const fn code(&self) -> u32 {
        match self {
            Self::CountOutOfRange { .. } => 2,
            Self::RateOutOfRange { .. } => 3,
            Self::TooManyZones { .. } => 4,
            Self::WindowOutOfRange { .. } => 5,
            Self::TtlOutOfRange { .. } => 6,
            Self::StartTimeoutOutOfRange { .. } => 7,
            Self::ReclaimOutOfRange { .. } => 8,
            Self::DurationOutOfRange { .. } => 9,
            Self::WeightOutOfRange { .. } => 10,
            Self::RoundsOutOfRange { .. } => 11,
            Self::DepositTooSmall { .. } => 12,
            Self::UnknownOrder { .. } => 13,
            Self::NotTenant { .. } => 14,
            Self::OrderNotOpen { .. } => 15,
            Self::OrderNotBiddable { .. } => 16,
            Self::OwnOrder { .. } => 17,
            Self::Barred { .. } => 18,
            Self::BidExists { .. } => 19,
            Self::ZoneNotAllowed { .. } => 20,
            Self::UptimeTooLow { .. } => 21,
            Self::InsufficientCapacity { .. } => 22,
            Self::NotLeading { .. } => 23,
            Self::AuctionEnding { .. } => 24,
            Self::BookFull { .. } => 25,
            Self::UnknownBid { .. } => 26,
            Self::StepTooSmall { .. } => 27,
            Self::NoLease { .. } => 28,
            Self::LeaseNotStarting { .. } => 29,
            Self::OrderClosed { .. } => 30,
            Self::LeaseNotActive { .. } => 31,
            Self::NotOwner { .. } => 32,
            Self::NothingToDo { .. } => 33,
            Self::BidBinding { .. } => 34,
        }
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        Reject::new(NAME, error.code(), error.to_string()).into()
    }
}
