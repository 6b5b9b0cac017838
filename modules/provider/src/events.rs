//! What happens to classes, providers and their stake.

use kernel::{Address, Amount, At, Billing};

use crate::{params::Params, types::SlashReason, zone::Zone};

kernel::event! {
    "underbid.provider.v1"
    /// A class was added or changed.
    pub struct ClassSet as EventClassSet {
        class_id: u32 = 1, name: String = 2, vram_mib: u32 = 3, gpus: u16 = 4, vcpu_milli: u32 = 5, memory_mib: u32 = 6,
        disk_gib: u32 = 7, device_price_usd: u32 = 8, ref_price_day: Amount = 9, active: bool = 10,
    }
    /// A provider was registered, anew or after it had left.
    pub struct ProviderRegistered as EventProviderRegistered {
        provider: Address = 1, endpoints: Vec<String> = 2, encryption_key: [u8; 32] = 3, operators: Vec<Address> = 4,
        stake: Amount = 5, minimum_uc: Amount = 6,
    }
    /// Where tenants reach a provider was changed.
    pub struct ProviderUpdated as EventProviderUpdated {
        provider: Address = 1, endpoints: Vec<String> = 2, encryption_key: [u8; 32] = 3,
    }
    /// A provider's operators were replaced.
    pub struct OperatorsSet as EventOperatorsSet { provider: Address = 1, operators: Vec<Address> = 2 }
    /// A provider added stake.
    pub struct StakeAdded as EventStakeAdded { provider: Address = 1, amount: Amount = 2 }
    /// A provider took free stake back.
    pub struct UnbondingStarted as EventUnbondingStarted {
        provider: Address = 1, seq: u32 = 2, amount: Amount = 3, due_at: At<Billing> = 4,
    }
    /// What a provider offers of a class in a zone was set.
    pub struct CapacitySet as EventCapacitySet {
        provider: Address = 1, class_id: u32 = 2, zone: Zone = 3, total: u32 = 4, required_uc: Amount = 5,
    }
    /// A provider is leaving.
    pub struct ExitStarted as EventExitStarted {
        provider: Address = 1, seq: u32 = 2, amount: Amount = 3, due_at: At<Billing> = 4,
    }
    /// Stake went back to its owner.
    pub struct UnbondingPaid as EventUnbondingPaid { provider: Address = 1, seq: u32 = 2, amount: Amount = 3 }
    /// A provider has left; its last stake is paid.
    pub struct ProviderExited as EventProviderExited { provider: Address = 1 }
    /// A provider lost stake.
    pub struct StakeSlashed as EventStakeSlashed {
        provider: Address = 1, reason: SlashReason = 2, harmed: Option<Address> = 3, to_harmed: Amount = 4,
        burned: Amount = 5, slash_ppm: u32 = 6,
    }
    /// A provider's scores were written.
    pub struct ReputationRecorded as EventReputationRecorded { provider: Address = 1, good: Amount = 2, bad: Amount = 3 }
    /// The parameters were replaced.
    pub struct ParamsUpdated as EventParamsUpdated { params: Params = 1 }
}
