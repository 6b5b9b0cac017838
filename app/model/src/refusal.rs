//! Why a message is refused.

/// A guard that failed, by the name that the specification gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the specification says what each means")]
#[rustfmt::skip]
pub enum Refusal {
    // Every Cosmos client knows these.
    Unauthorized, InsufficientFunds, Overflow, BadParams,
    // Bank.
    SendDisabled,
    // Escrow: what it guards itself has its own codespace.
    NotAuthorityOfEscrow, TooManyDepositors,
    // Provider.
    NotAuthority, BadClass, AlreadyRegistered, TooManyOperators, StakeBelowMinimum, UnknownProvider,
    ProviderNotActive, InsufficientFreeStake, StakeBelowRequired, TooManyUnbondings, NotOperator, UnknownClass,
    ClassRetired, CapacityInUse, TooManyLines, ProviderBusy, BadEndpoints,
    // Market.
    CountOutOfRange, RateOutOfRange, TooManyZones, WindowOutOfRange, TtlOutOfRange, StartTimeoutOutOfRange,
    ReclaimOutOfRange, DurationOutOfRange, WeightOutOfRange, RoundsOutOfRange, DepositTooSmall, UnknownOrder, NotTenant,
    OrderNotOpen, OrderNotBiddable, OwnOrder, Barred, BidExists, ZoneNotAllowed, UptimeTooLow, InsufficientCapacity,
    NotLeading, AuctionEnding, BookFull, UnknownBid, StepTooSmall, NoLease, LeaseNotStarting, OrderClosed,
    LeaseNotActive, NotOwner, NothingToDo, BidBinding,
}

use Refusal::*;

/// The codes of a codespace count from 2 in the order in which the specification first names them; provider has no 5.
#[rustfmt::skip]
const PROVIDER: &[Refusal] = &[
    NotAuthority, BadClass, AlreadyRegistered, TooManyOperators, StakeBelowMinimum, UnknownProvider,
    ProviderNotActive, InsufficientFreeStake, StakeBelowRequired, TooManyUnbondings, NotOperator, UnknownClass,
    ClassRetired, CapacityInUse, TooManyLines, ProviderBusy, BadEndpoints,
];
#[rustfmt::skip]
const MARKET: &[Refusal] = &[
    CountOutOfRange, RateOutOfRange, TooManyZones, WindowOutOfRange, TtlOutOfRange, StartTimeoutOutOfRange,
    ReclaimOutOfRange, DurationOutOfRange, WeightOutOfRange, RoundsOutOfRange, DepositTooSmall, UnknownOrder, NotTenant,
    OrderNotOpen, OrderNotBiddable, OwnOrder, Barred, BidExists, ZoneNotAllowed, UptimeTooLow, InsufficientCapacity,
    NotLeading, AuctionEnding, BookFull, UnknownBid, StepTooSmall, NoLease, LeaseNotStarting, OrderClosed,
    LeaseNotActive, NotOwner, NothingToDo, BidBinding,
];

impl Refusal {
    /// The codespace and the code in it.
    pub fn code(self) -> (&'static str, u32) {
        let place =
            |list: &[Self]| list.iter().position(|other| *other == self).map(|place| place as u32 + 2);
        match self {
            Unauthorized => ("sdk", 4),
            InsufficientFunds => ("sdk", 5),
            Overflow | BadParams => ("sdk", 18),
            SendDisabled => ("bank", 5),
            NotAuthorityOfEscrow => ("escrow", 2),
            TooManyDepositors => ("escrow", 3),
            _ => match place(PROVIDER) {
                Some(code) => ("provider", if code < 5 { code } else { code + 1 }),
                None => ("market", place(MARKET).unwrap()),
            },
        }
    }
}

/// A guard: what must hold, and the refusal where it does not.
pub fn guard(holds: bool, otherwise: Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(otherwise) }
}
