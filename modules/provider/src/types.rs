//! Classes, providers, what they offer, and their stake on its way back.

use kernel::{Address, Amount, At, Billing, Hold, ONE_PPM, Overflow, codec::length};
use serde::{Deserialize, Serialize};

use crate::{
    errors::Error,
    msgs::Contact,
    params::{OPERATOR_BYTES, Params, endpoint_bytes},
    scores::Scores,
    zone::Zone,
};

/// The key of a line: provider, class, zone.
pub type LineKey = (Address, u32, Zone);
/// The key of an unbonding: provider, number.
pub type UnbondingKey = (Address, u32);

kernel::enumeration! {
    /// Where a provider stands in its life.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Status {
        /// It can offer and bid.
        Active = 1,
        /// It has left; its stake is unbonding.
        Exiting = 2,
        /// Its stake is paid out; only its scores are kept.
        Exited = 3,
    }
}

kernel::enumeration! {
    /// For what a provider loses stake.
    pub enum SlashReason {
        /// The lease was not started in time.
        NoStart = 1,
        /// The provider left the lease without notice.
        Abandoned = 2,
        /// The tenant reported, in the first minutes, that nothing was delivered.
        NotDelivered = 3,
    }
}

kernel::record! {
    /// A kind of bundle that providers offer: GPUs with the processors, memory and disk that belong to them. A bundle
    /// without GPUs is a class too.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Class {
        /// Its number, from 1.
        pub id: u32 = 1,
        /// Its name, not empty.
        pub name: String = 2,
        /// Memory of all its GPUs, in MiB.
        pub vram_mib: u32 = 3,
        /// How many GPUs it has; 0: processors only.
        pub gpus: u16 = 4,
        /// Virtual processors, in thousandths.
        pub vcpu_milli: u32 = 5,
        /// Main memory, in MiB.
        pub memory_mib: u32 = 6,
        /// Disk, in GiB.
        pub disk_gib: u32 = 7,
        /// What one device costs, in USD; it decides the tier.
        pub device_price_usd: u32 = 8,
        /// What one unit earns in a day, in ucredit, above 0; it decides the stake.
        pub ref_price_day: Amount = 9,
        /// Whether it can be offered and ordered; else it is retired.
        pub active: bool = 10,
    }

    /// Someone who offers machines, known by the address of its owner. Stake is in uflop, all else in ucredit.
    ///
    /// Always: `stake_locked <= stake_total`; `required_uc > 0` follows from the lines and `minimum_uc`.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Provider {
        /// The owner at registration: the provider's id.
        pub owner: Address = 1,
        /// Who may act for it but not withdraw; their bids bind its stake. None when it has left.
        pub operators: Vec<Address> = 2,
        /// Where tenants reach it.
        pub endpoints: Vec<String> = 3,
        /// The key to which tenants encrypt manifests.
        #[serde(with = "kernel::json::hex")]
        pub encryption_key: [u8; 32] = 4,
        /// Where it stands in its life.
        pub status: Status = 5,
        /// All its stake.
        pub stake_total: Amount = 6,
        /// The part of its stake that bids and leases lock.
        pub stake_locked: Amount = 7,
        /// The stake that its capacity asks for.
        pub required_uc: Amount = 8,
        /// The stake that it needs without any capacity, frozen at registration.
        pub minimum_uc: Amount = 9,
        /// Its uptime in ppm.
        pub uptime_ppm: u32 = 10,
        /// Paid use that ended well, as of `scored_at`.
        pub good: Amount = 11,
        /// Use that its faults cost, as of `scored_at`.
        pub bad: Amount = 12,
        /// The share of its stake that was slashed, in ppm, as of `scored_at`.
        pub slash_ppm: u32 = 13,
        /// Up to when its scores have decayed.
        pub scored_at: At<Billing> = 14,
        /// When it was registered first.
        pub created_at: At<Billing> = 15,
        /// The number of its last unbonding; 0: none yet.
        pub unbonding_seq: u32 = 16,
        /// What its scores were measured by when its capacity last shrank, in ucredit.
        pub shrunk_from_uc: Amount = 17,
        /// When that was.
        pub shrunk_at: At<Billing> = 18,
    }

    /// What a provider offers of one class in one zone, in units. Always: `reserved + leased <= total`.
    #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Line {
        /// All units.
        pub total: u32 = 1,
        /// Units that bids hold.
        pub reserved: u32 = 2,
        /// Units that leases use.
        pub leased: u32 = 3,
        /// The stake that a unit asks for, in ucredit, frozen when the total grew.
        pub unit_required: Amount = 4,
        /// The least stake for a class of this tier, in ucredit, frozen when the total grew.
        pub tier_min: Amount = 5,
    }

    /// Stake on its way back to its owner.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Unbonding {
        /// How much, in uflop.
        pub amount: Amount = 1,
        /// When it is paid.
        pub due_at: At<Billing> = 2,
        /// Why paying it was rejected; tried again later.
        pub hold: Option<Hold> = 3,
    }
}

/// The most bytes of a class's name.
const CLASS_NAME_BYTES_MAX: usize = 64;

impl Class {
    /// Checks the ranges; rejects with BadClass.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let range = |holds: bool, expected: &'static str| {
            if holds { Ok(()) } else { Err(Error::BadClass { expected }) }
        };
        range((1..=CLASS_NAME_BYTES_MAX).contains(&self.name.len()), "a name of 1 to 64 bytes")?;
        range(self.id > 0, "an id above 0")?;
        range(!self.ref_price_day.is_zero(), "a ref_price_day above 0")
    }
}

impl Provider {
    /// A provider without stake, units and history.
    pub(crate) fn new(owner: Address, params: &Params, now: At<Billing>) -> Self {
        Self {
            owner,
            operators: Vec::new(),
            endpoints: Vec::new(),
            encryption_key: [0; 32],
            status: Status::Active,
            stake_total: Amount::ZERO,
            stake_locked: Amount::ZERO,
            required_uc: params.tier_min(0),
            minimum_uc: params.tier_min(0),
            uptime_ppm: params.uptime_start_ppm,
            good: Amount::ZERO,
            bad: Amount::ZERO,
            slash_ppm: 0,
            scored_at: now,
            created_at: now,
            unbonding_seq: 0,
            shrunk_from_uc: Amount::ZERO,
            shrunk_at: now,
        }
    }

    pub(crate) fn set_contact(&mut self, contact: &Contact) {
        self.endpoints.clone_from(&contact.endpoints);
        self.encryption_key = contact.encryption_key;
    }

    /// What its endpoints and operators take in its record.
    pub(crate) fn contact_bytes(&self) -> u64 {
        let operators = OPERATOR_BYTES.saturating_mul(length(self.operators.len()));
        let endpoints = self.endpoints.iter().map(|endpoint| endpoint_bytes(length(endpoint.len())));
        endpoints.fold(operators, u64::saturating_add)
    }

    /// Numbers its next unbonding, of `amount` uflop that begin to unbond now.
    pub(crate) fn next_unbonding(
        &mut self,
        amount: Amount,
        params: &Params,
        now: At<Billing>,
    ) -> Result<(u32, Unbonding), Overflow> {
        let seq = self.unbonding_seq.checked_add(1).ok_or(Overflow)?;
        let due_at = now.plus(u64::from(params.unbonding_s))?;
        self.unbonding_seq = seq;
        Ok((seq, Unbonding { amount, due_at, hold: None }))
    }

    /// Whether it can offer and bid.
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    /// Whether `address` is its owner or one of its operators.
    pub fn is_operator(&self, address: &Address) -> bool {
        self.owner == *address || self.operators.contains(address)
    }

    /// The stake that nothing locks, in uflop.
    pub const fn free_stake(&self) -> Amount {
        self.stake_total.saturating_minus(self.stake_locked)
    }

    /// What its stake counts for at today's price, in ucredit.
    pub fn stake_uc(&self, params: &Params) -> Result<Amount, Overflow> {
        params.stake_uc(self.stake_total)
    }

    /// The stake by which it is measured, in ucredit: what its capacity asks for. Capacity that it gave up counts for as
    /// long as stake unbonds, so that nobody looks smaller for a bid.
    pub fn measured_uc(&self, params: &Params, now: At<Billing>) -> Amount {
        if now.since(self.shrunk_at) < u64::from(params.unbonding_s) {
            return self.required_uc.max(self.shrunk_from_uc);
        }
        self.required_uc
    }

    /// What its record says about how well it served, decayed to `now`.
    pub fn scores(&self, params: &Params, now: At<Billing>) -> Scores {
        Scores::of(self, params, now)
    }

    /// Adds what share of the stake was slashed: of what was not slashed before, `amount` in `total` is now.
    pub(crate) fn add_slash_rate(&mut self, amount: Amount, total: Amount) {
        let left = Amount::from(u64::from(ONE_PPM.saturating_sub(self.slash_ppm)));
        let share = left.mul_ceil(amount.units(), total.units()).unwrap_or(Amount::ZERO);
        let share = u32::try_from(share.units()).unwrap_or(ONE_PPM);
        self.slash_ppm = self.slash_ppm.saturating_add(share).min(ONE_PPM);
    }
}

impl Line {
    /// A line whose total grows to `total`: what a unit asks for is frozen in it anew.
    pub(crate) fn frozen(
        before: Option<Self>,
        total: u32,
        class: &Class,
        params: &Params,
    ) -> Result<Self, Overflow> {
        let tier = params.tier(class.device_price_usd);
        let (reserved, leased) = before.map_or((0, 0), |line| (line.reserved, line.leased));
        let unit_required = params.unit_required(tier, class.ref_price_day)?;
        Ok(Self { total, reserved, leased, unit_required, tier_min: params.tier_min(tier) })
    }

    /// Units that nothing holds.
    pub const fn free(&self) -> u32 {
        self.total.saturating_sub(self.reserved).saturating_sub(self.leased)
    }

    /// Units that bids or leases hold.
    pub fn used(&self) -> u64 {
        u64::from(self.reserved).saturating_add(u64::from(self.leased))
    }
}

/// The stake that lines ask for, in ucredit: the sum over their units, and no less than the largest minimum of a tier among
/// them; `minimum_uc` where there are none.
pub(crate) fn required_uc<'a>(
    minimum_uc: Amount,
    lines: impl IntoIterator<Item = &'a Line>,
) -> Result<Amount, Overflow> {
    let (mut tier_min, mut sum) = (None, Amount::ZERO);
    for line in lines {
        tier_min = tier_min.max(Some(line.tier_min));
        sum = sum.plus(line.unit_required.mul_floor(u128::from(line.total), 1)?)?;
    }
    Ok(sum.max(tier_min.unwrap_or(minimum_uc)))
}
