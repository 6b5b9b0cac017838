//! Why the module refuses. Codes are consensus data: they are pinned by test and never reused.

use kernel::{Address, Amount, Reject};

use crate::{NAME, types::Status, zone::Zone};

/// A guard's refusal. Stake is in uflop, its requirements in ucredit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's text names its fields")]
pub enum Error {
    #[error("expected the authority {authority}, got {actor}")]
    NotAuthority { authority: Address, actor: Address },
    #[error("class: expected {expected}")]
    BadClass { expected: &'static str },
    #[error("{provider} is a provider already and is {}", status.name())]
    AlreadyRegistered { provider: Address, status: Status },
    #[error("expected at most {operators_max} operators, got {got}")]
    TooManyOperators { got: usize, operators_max: u32 },
    #[error("the stake counts for {stake_uc} ucredit, a provider needs at least {minimum_uc}")]
    StakeBelowMinimum { stake_uc: Amount, minimum_uc: Amount },
    #[error("{provider} is not a provider")]
    UnknownProvider { provider: Address },
    #[error("provider {provider} is {}, not active", status.name())]
    ProviderNotActive { provider: Address, status: Status },
    #[error("{needed} uflop of free stake are needed, {free} are free")]
    InsufficientFreeStake { needed: Amount, free: Amount },
    #[error(
        "expected a stake that counts for the {required_uc} ucredit that the capacity needs, got {stake_uc}"
    )]
    StakeBelowRequired { stake_uc: Amount, required_uc: Amount },
    #[error("a provider can have {unbondings_max} unbondings at a time")]
    TooManyUnbondings { unbondings_max: u32 },
    #[error("{actor} is neither the owner nor an operator of provider {provider}")]
    NotOperator { provider: Address, actor: Address },
    #[error("there is no class {class_id}")]
    UnknownClass { class_id: u32 },
    #[error("class {class_id} is retired")]
    ClassRetired { class_id: u32 },
    #[error("{used} units of class {class_id} in {zone} are reserved or leased, the total can't be {total}")]
    CapacityInUse { class_id: u32, zone: Zone, used: u64, total: u32 },
    #[error("a provider can have {lines_max} lines")]
    TooManyLines { lines_max: u32 },
    #[error("provider {provider} has a live bid or lease for class {class_id} in {zone}")]
    ProviderBusy { provider: Address, class_id: u32, zone: Zone },
    #[error("endpoints: expected at most {endpoints_max} of at most {endpoint_len_max} bytes each")]
    BadEndpoints { endpoints_max: u32, endpoint_len_max: u32 },
}

impl Error {
    /// The code in this module's codespace.
    pub const fn code(&self) -> u32 {
        match self {
            Self::NotAuthority { .. } => 2,
            Self::BadClass { .. } => 3,
            Self::AlreadyRegistered { .. } => 4,
            // 5 says nothing.
            Self::TooManyOperators { .. } => 6,
            Self::StakeBelowMinimum { .. } => 7,
            Self::UnknownProvider { .. } => 8,
            Self::ProviderNotActive { .. } => 9,
            Self::InsufficientFreeStake { .. } => 10,
            Self::StakeBelowRequired { .. } => 11,
            Self::TooManyUnbondings { .. } => 12,
            Self::NotOperator { .. } => 13,
            Self::UnknownClass { .. } => 14,
            Self::ClassRetired { .. } => 15,
            Self::CapacityInUse { .. } => 16,
            Self::TooManyLines { .. } => 17,
            Self::ProviderBusy { .. } => 18,
            Self::BadEndpoints { .. } => 19,
        }
    }
}

impl From<Error> for kernel::Error {
    fn from(error: Error) -> Self {
        Reject::new(NAME, error.code(), error.to_string()).into()
    }
}
