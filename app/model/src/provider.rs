//! Providers, their stake, their capacity and their scores.

use proto::underbid::provider::v1::*;

use crate::{
    Address, Model,
    bank::{UFLOP, module},
    numbers::{ONE, ceil, floor, hex},
    refusal::{Refusal, guard},
    state::{Class, Line, Provider, Status, Unbonding},
};

const DAY_S: u64 = 86_400;

/// What a record is for.
pub(crate) enum Score {
    Good(u128),
    Bad(u128),
    Nothing,
}

/// Good, bad and slash rate after the whole days since they were written, and up to when that is.
pub(crate) fn decayed(provider: &Provider, now: u64, decay_day_ppm: u64) -> (u128, u128, u64, u64) {
    let days = (now - provider.scored_at) / DAY_S;
    let decay = |score: u128| match days {
        0..=365 => (0..days).fold(score, |left, _| floor(left, decay_day_ppm, ONE).unwrap()),
        _ => 0,
    };
    let slash_ppm = decay(provider.slash_ppm.into()) as u64;
    (decay(provider.good), decay(provider.bad), slash_ppm, provider.scored_at + days * DAY_S)
}

impl Provider {
    pub(crate) fn free_stake(&self) -> u128 {
        self.stake_total - self.stake_locked
    }

    pub(crate) fn acts(&self, who: &Address) -> bool {
        self.owner == *who || self.operators.contains(who)
    }
}

// The messages.
impl Model {
    pub(crate) fn set_class(&mut self, msg: MsgSetClass) -> Result<MsgSetClassResponse, Refusal> {
        guard(msg.authority == self.provider.authority, Refusal::NotAuthority)?;
        let class = msg.class.unwrap();
        let ref_price_day = class.ref_price_day.parse().unwrap();
        guard(!class.name.is_empty() && class.id > 0 && ref_price_day > 0, Refusal::BadClass)?;

        let tier = self.tier(class.device_price_usd);
        let class = Class {
            id: class.id,
            name: class.name,
            vram_mib: class.vram_mib,
            gpus: class.gpus,
            vcpu_milli: class.vcpu_milli,
            memory_mib: class.memory_mib,
            disk_gib: class.disk_gib,
            device_price_usd: class.device_price_usd,
            ref_price_day,
            active: class.active,
        };
        self.classes.insert(class.id, class);
        Ok(MsgSetClassResponse { tier: tier as u32 })
    }

    pub(crate) fn register_provider(
        &mut self,
        msg: MsgRegisterProvider,
    ) -> Result<MsgRegisterProviderResponse, Refusal> {
        let stake: u128 = msg.stake.parse().unwrap();
        let former = self.providers.get(&msg.owner).cloned();
        guard(
            former.as_ref().is_none_or(|former| former.status == Status::Exited),
            Refusal::AlreadyRegistered,
        )?;
        self.require_operators(&msg.operators)?;
        let minimum_uc = self.provider.tier_min_stake_uc[0];
        let stake_uc = self.in_ucredit(stake)?;
        guard(stake_uc >= minimum_uc, Refusal::StakeBelowMinimum)?;
        self.require_endpoints(&msg.endpoints)?;
        self.bank.transfer(&msg.owner, &module("stake_pool"), UFLOP, stake)?;

        let anew = Provider {
            owner: msg.owner.clone(),
            operators: Vec::new(),
            endpoints: Vec::new(),
            encryption_key: String::new(),
            status: Status::Active,
            stake_total: 0,
            stake_locked: 0,
            required_uc: 0,
            minimum_uc: 0,
            uptime_ppm: self.provider.uptime_start_ppm,
            good: 0,
            bad: 0,
            slash_ppm: 0,
            scored_at: self.now,
            created_at: self.now,
            unbonding_seq: 0,
            shrunk_from_uc: 0,
            shrunk_at: self.now,
        };
        let registered = Provider {
            operators: msg.operators,
            endpoints: msg.endpoints,
            encryption_key: hex(&msg.encryption_key),
            status: Status::Active,
            stake_total: stake,
            required_uc: minimum_uc,
            minimum_uc,
            ..former.unwrap_or(anew)
        };
        self.providers.insert(msg.owner, registered);
        Ok(MsgRegisterProviderResponse {
            stake_uc: stake_uc.to_string(),
            required_uc: minimum_uc.to_string(),
        })
    }

    pub(crate) fn update_provider(
        &mut self,
        msg: MsgUpdateProvider,
    ) -> Result<MsgUpdateProviderResponse, Refusal> {
        self.active_provider(&msg.owner)?;
        self.require_endpoints(&msg.endpoints)?;

        let provider = self.provider_mut(&msg.owner);
        (provider.endpoints, provider.encryption_key) = (msg.endpoints, hex(&msg.encryption_key));
        Ok(MsgUpdateProviderResponse {})
    }

    pub(crate) fn set_operators(&mut self, msg: MsgSetOperators) -> Result<MsgSetOperatorsResponse, Refusal> {
        self.active_provider(&msg.owner)?;
        self.require_operators(&msg.operators)?;

        self.provider_mut(&msg.owner).operators = msg.operators;
        Ok(MsgSetOperatorsResponse {})
    }

    pub(crate) fn add_stake(&mut self, msg: MsgAddStake) -> Result<MsgAddStakeResponse, Refusal> {
        let amount: u128 = msg.amount.parse().unwrap();
        self.active_provider(&msg.owner)?;
        self.bank.transfer(&msg.owner, &module("stake_pool"), UFLOP, amount)?;

        let provider = self.provider_mut(&msg.owner);
        provider.stake_total += amount;
        Ok(MsgAddStakeResponse {
            stake_total: provider.stake_total.to_string(),
            free_stake: provider.free_stake().to_string(),
        })
    }

    pub(crate) fn unstake(&mut self, msg: MsgUnstake) -> Result<MsgUnstakeResponse, Refusal> {
        let amount: u128 = msg.amount.parse().unwrap();
        let provider = self.active_provider(&msg.owner)?;
        guard(provider.free_stake() >= amount, Refusal::InsufficientFreeStake)?;
        let after_uc = self.in_ucredit(provider.stake_total - amount)?;
        guard(after_uc >= provider.required_uc, Refusal::StakeBelowRequired)?;
        let unbondings = self.unbondings.keys().filter(|(provider, _)| *provider == msg.owner).count() as u64;
        guard(unbondings < self.provider.unbondings_max, Refusal::TooManyUnbondings)?;

        self.provider_mut(&msg.owner).stake_total -= amount;
        let (seq, due_at) = self.unbond(&msg.owner, amount);
        Ok(MsgUnstakeResponse { seq, due_at })
    }

    pub(crate) fn set_capacity(&mut self, msg: MsgSetCapacity) -> Result<MsgSetCapacityResponse, Refusal> {
        let key = (msg.provider.clone(), msg.class_id, msg.zone.clone());
        let known = self.lines.contains_key(&key);
        let before = self.lines.get(&key).cloned().unwrap_or_default();
        let grows = msg.total > before.total;
        let provider = self.known_provider(&msg.provider)?;
        guard(provider.acts(&msg.signer), Refusal::NotOperator)?;
        guard(provider.status == Status::Active, Refusal::ProviderNotActive)?;
        let class = self.classes.get(&msg.class_id).ok_or(Refusal::UnknownClass)?.clone();
        guard(class.active || !grows, Refusal::ClassRetired)?;
        guard(msg.total >= before.reserved + before.leased, Refusal::CapacityInUse)?;
        let lines = self.lines.keys().filter(|other| other.0 == msg.provider).count() as u64;
        guard(known || msg.total == 0 || lines < self.provider.lines_max, Refusal::TooManyLines)?;

        // What follows is taken back with the transaction if the stake is too low for it.
        let mut line = Line { total: msg.total, ..before };
        if grows {
            let tier = self.tier(class.device_price_usd);
            line.unit_required = floor(class.ref_price_day, self.provider.tier_days[tier], 1u32)?;
            line.tier_min = self.provider.tier_min_stake_uc[tier];
        }
        match line.total {
            0 => self.lines.remove(&key),
            _ => self.lines.insert(key, line),
        };
        let required_uc = self.required_uc(&provider)?;
        let stake_uc = self.in_ucredit(provider.stake_total)?;
        guard(!grows || stake_uc >= required_uc, Refusal::StakeBelowRequired)?;
        let (now, measured_uc) = (self.now, self.measured_uc(&provider));
        let changed = self.provider_mut(&msg.provider);
        if required_uc < changed.required_uc {
            (changed.shrunk_from_uc, changed.shrunk_at) = (measured_uc, now);
        }
        changed.required_uc = required_uc;
        Ok(MsgSetCapacityResponse { stake_uc: stake_uc.to_string(), required_uc: required_uc.to_string() })
    }

    pub(crate) fn exit_provider(&mut self, msg: MsgExitProvider) -> Result<MsgExitProviderResponse, Refusal> {
        let provider = self.active_provider(&msg.owner)?;
        let mut lines = self.lines.iter().filter(|(key, _)| key.0 == msg.owner);
        guard(lines.all(|(_, line)| line.reserved + line.leased == 0), Refusal::ProviderBusy)?;

        self.lines.retain(|key, _| key.0 != msg.owner);
        let left = self.provider_mut(&msg.owner);
        (left.status, left.stake_total, left.required_uc) = (Status::Exiting, 0, provider.minimum_uc);
        left.operators.clear();
        let (seq, due_at) = self.unbond(&msg.owner, provider.stake_total);
        Ok(MsgExitProviderResponse { seq, due_at, amount: provider.stake_total.to_string() })
    }
}

// The guards and formulas.
impl Model {
    pub(crate) fn known_provider(&self, owner: &Address) -> Result<Provider, Refusal> {
        self.providers.get(owner).cloned().ok_or(Refusal::UnknownProvider)
    }

    fn active_provider(&self, owner: &Address) -> Result<Provider, Refusal> {
        let provider = self.known_provider(owner)?;
        guard(provider.status == Status::Active, Refusal::ProviderNotActive)?;
        Ok(provider)
    }

    pub(crate) fn provider_mut(&mut self, owner: &Address) -> &mut Provider {
        self.providers.get_mut(owner).unwrap()
    }

    fn require_endpoints(&self, endpoints: &[String]) -> Result<(), Refusal> {
        let few = endpoints.len() as u64 <= self.provider.endpoints_max;
        let short = endpoints.iter().all(|each| each.len() as u64 <= self.provider.endpoint_len_max);
        guard(few && short, Refusal::BadEndpoints)
    }

    fn require_operators(&self, operators: &[Address]) -> Result<(), Refusal> {
        guard(operators.len() as u64 <= self.provider.operators_max, Refusal::TooManyOperators)
    }

    fn tier(&self, device_price_usd: u32) -> usize {
        self.provider.tier_bounds_usd.iter().filter(|bound| **bound <= device_price_usd.into()).count()
    }

    /// What stake counts for.
    pub(crate) fn in_ucredit(&self, stake: u128) -> Result<u128, Refusal> {
        floor(stake, self.provider.stake_price, ONE)
    }

    /// The stake that counts for an amount.
    pub(crate) fn in_uflop(&self, amount_uc: u128) -> Result<u128, Refusal> {
        ceil(amount_uc, ONE, self.provider.stake_price)
    }

    fn required_uc(&self, provider: &Provider) -> Result<u128, Refusal> {
        let lines = || self.lines.iter().filter(|(key, _)| key.0 == provider.owner).map(|(_, line)| line);
        let least = lines().map(|line| line.tier_min).max().unwrap_or(provider.minimum_uc);
        let mut sum = 0u128;
        for line in lines() {
            let part = floor(line.unit_required, line.total, 1u32)?;
            sum = sum.checked_add(part).ok_or(Refusal::Overflow)?;
        }
        Ok(least.max(sum))
    }

    /// What a provider's stake and use are measured by: what its capacity asks for, and for as long as stake unbonds what
    /// it asked for before it shrank.
    pub(crate) fn measured_uc(&self, provider: &Provider) -> u128 {
        let recent = self.now < provider.shrunk_at + self.provider.unbonding_s;
        if recent { provider.required_uc.max(provider.shrunk_from_uc) } else { provider.required_uc }
    }

    pub(crate) fn reputation_ppm(&self, provider: &Provider, good: u128, bad: u128) -> Result<u64, Refusal> {
        let stakes = self.measured_uc(provider) * u128::from(self.provider.reputation_prior_stakes);
        let least = self.provider.reputation_prior;
        let prior = if good > bad { least.max(stakes) } else { least };
        Ok(floor(good + prior, ONE, good + bad + 2 * prior)? as u64)
    }

    fn unbond(&mut self, owner: &Address, amount: u128) -> (u32, u64) {
        let due_at = self.now + self.provider.unbonding_s;
        let provider = self.provider_mut(owner);
        provider.unbonding_seq += 1;
        let seq = provider.unbonding_seq;
        self.unbondings.insert((owner.clone(), seq), Unbonding { amount, due_at });
        (seq, due_at)
    }
}

// For the market, and for time.
impl Model {
    pub(crate) fn line_mut(&mut self, provider: &Address, class_id: u32, zone: &str) -> &mut Line {
        self.lines.get_mut(&(provider.clone(), class_id, zone.to_owned())).unwrap()
    }

    /// A provider loses a part of what was locked, and the lock ends.
    pub(crate) fn slash(
        &mut self,
        owner: &Address,
        lock: u128,
        amount: u128,
        harmed: Option<(&Address, u128)>,
    ) -> Result<(), Refusal> {
        let harm = harmed.map_or(0, |(_, at_most)| amount.min(at_most));
        let to_harmed = floor(harm, self.provider.harmed_ppm, ONE)?;
        let pool = module("stake_pool");
        if let Some((harmed, _)) = harmed {
            self.bank.transfer(&pool, harmed, UFLOP, to_harmed)?;
        }
        self.bank.burn(&pool, UFLOP, amount - to_harmed)?;

        self.decay(owner);
        let provider = self.provider_mut(owner);
        let more = ceil(ONE as u64 - provider.slash_ppm, amount, provider.stake_total)? as u64;
        provider.slash_ppm = (provider.slash_ppm + more).min(ONE as u64);
        provider.stake_total -= amount;
        provider.stake_locked -= lock;
        Ok(())
    }

    pub(crate) fn record(&mut self, owner: &Address, score: Score) {
        let (good, bad) = match score {
            Score::Nothing => return,
            Score::Good(value) => (value, 0),
            Score::Bad(value) => (0, value),
        };
        self.decay(owner);
        let provider = self.provider_mut(owner);
        provider.good += good;
        provider.bad += bad;
    }

    fn decay(&mut self, owner: &Address) {
        let (now, decay_day_ppm) = (self.now, self.provider.decay_day_ppm);
        let provider = self.provider_mut(owner);
        (provider.good, provider.bad, provider.slash_ppm, provider.scored_at) =
            decayed(provider, now, decay_day_ppm);
    }

    /// T9: stake goes back to its owner.
    pub(crate) fn pay_unbonding(&mut self, owner: &Address, seq: u32) -> Result<(), Refusal> {
        let unbonding = self.unbondings.remove(&(owner.clone(), seq)).unwrap();
        self.bank.transfer(&module("stake_pool"), owner, UFLOP, unbonding.amount)?;
        let more = self.unbondings.keys().any(|(other, _)| other == owner);
        let provider = self.provider_mut(owner);
        if provider.status == Status::Exiting && !more {
            provider.status = Status::Exited;
        }
        Ok(())
    }
}
