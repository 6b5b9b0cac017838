//! Conversions to and from the wire types.

use kernel::{Address, Amount, At, Billing, Reject, Result};
use proto::underbid::{kernel::v1 as kernel_wire, provider::v1 as wire};

use crate::{
    events::ClassSet,
    params::Params,
    types::{Class, Line, LineKey, Provider, Status, Unbonding, UnbondingKey},
};

impl From<&Params> for wire::Params {
    fn from(params: &Params) -> Self {
        Self {
            authority: params.authority.to_string(),
            stake_price: params.stake_price.to_string(),
            unbonding_s: params.unbonding_s,
            tier_bounds_usd: params.tier_bounds_usd.to_vec(),
            tier_min_stake_uc: params.tier_min_stake_uc.iter().map(Amount::to_string).collect(),
            tier_days: params.tier_days.to_vec(),
            lines_max: params.lines_max,
            operators_max: params.operators_max,
            endpoints_max: params.endpoints_max,
            endpoint_len_max: params.endpoint_len_max,
            unbondings_max: params.unbondings_max,
            uptime_start_ppm: params.uptime_start_ppm,
            reputation_prior: params.reputation_prior.to_string(),
            decay_day_ppm: params.decay_day_ppm,
            harmed_ppm: params.harmed_ppm,
            unbondings_per_block_max: params.unbondings_per_block_max,
            reputation_prior_stakes: params.reputation_prior_stakes,
        }
    }
}

impl TryFrom<wire::Params> for Params {
    type Error = Reject;
    fn try_from(params: wire::Params) -> Result<Self, Reject> {
        let stakes =
            params.tier_min_stake_uc.iter().map(|text| Amount::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let params = Self {
            authority: Address::parse(&params.authority)?,
            stake_price: Amount::parse(&params.stake_price)?,
            unbonding_s: params.unbonding_s,
            tier_bounds_usd: exactly("tier_bounds_usd", params.tier_bounds_usd)?,
            tier_min_stake_uc: exactly("tier_min_stake_uc", stakes)?,
            tier_days: exactly("tier_days", params.tier_days)?,
            lines_max: params.lines_max,
            operators_max: params.operators_max,
            endpoints_max: params.endpoints_max,
            endpoint_len_max: params.endpoint_len_max,
            unbondings_max: params.unbondings_max,
            uptime_start_ppm: params.uptime_start_ppm,
            reputation_prior: Amount::parse(&params.reputation_prior)?,
            decay_day_ppm: params.decay_day_ppm,
            harmed_ppm: params.harmed_ppm,
            unbondings_per_block_max: params.unbondings_per_block_max,
            reputation_prior_stakes: params.reputation_prior_stakes,
        };
        params.check()?;
        Ok(params)
    }
}

fn exactly<T, const N: usize>(field: &str, list: Vec<T>) -> Result<[T; N], Reject> {
    <[T; N]>::try_from(list).map_err(|list| {
        Reject::invalid_request(format!("params.{field}: expected {N} values, got {}", list.len()))
    })
}

impl TryFrom<wire::Class> for Class {
    type Error = Reject;
    fn try_from(class: wire::Class) -> Result<Self, Reject> {
        let gpus = class.gpus;
        Ok(Self {
            id: class.id,
            name: class.name,
            vram_mib: class.vram_mib,
            gpus: u16::try_from(gpus).map_err(|_| {
                Reject::invalid_request(format!("class.gpus: expected at most 65535, got {gpus}"))
            })?,
            vcpu_milli: class.vcpu_milli,
            memory_mib: class.memory_mib,
            disk_gib: class.disk_gib,
            device_price_usd: class.device_price_usd,
            ref_price_day: Amount::parse(&class.ref_price_day)?,
            active: class.active,
        })
    }
}

impl From<&Class> for wire::Class {
    fn from(class: &Class) -> Self {
        Self {
            id: class.id,
            name: class.name.clone(),
            vram_mib: class.vram_mib,
            gpus: u32::from(class.gpus),
            vcpu_milli: class.vcpu_milli,
            memory_mib: class.memory_mib,
            disk_gib: class.disk_gib,
            device_price_usd: class.device_price_usd,
            ref_price_day: class.ref_price_day.to_string(),
            active: class.active,
        }
    }
}

impl From<&Class> for ClassSet {
    fn from(class: &Class) -> Self {
        Self {
            class_id: class.id,
            name: class.name.clone(),
            vram_mib: class.vram_mib,
            gpus: class.gpus,
            vcpu_milli: class.vcpu_milli,
            memory_mib: class.memory_mib,
            disk_gib: class.disk_gib,
            device_price_usd: class.device_price_usd,
            ref_price_day: class.ref_price_day,
            active: class.active,
        }
    }
}

impl Status {
    /// The status of a question; `None`: any.
    pub(crate) fn asked(number: i32) -> Result<Option<Self>, Reject> {
        let unknown =
            || Reject::invalid_request(format!("status: expected a provider's status, got {number}"));
        match u32::try_from(number).map_err(|_| unknown())? {
            0 => Ok(None),
            number => Self::from_number(number).map(Some).ok_or_else(unknown),
        }
    }
}

impl From<&Provider> for wire::Provider {
    fn from(provider: &Provider) -> Self {
        Self {
            owner: provider.owner.to_string(),
            operators: provider.operators.iter().map(Address::to_string).collect(),
            endpoints: provider.endpoints.clone(),
            encryption_key: provider.encryption_key.to_vec(),
            status: i32::try_from(provider.status.number()).unwrap_or_default(),
            stake_total: provider.stake_total.to_string(),
            stake_locked: provider.stake_locked.to_string(),
            required_uc: provider.required_uc.to_string(),
            minimum_uc: provider.minimum_uc.to_string(),
            uptime_ppm: provider.uptime_ppm,
            good: provider.good.to_string(),
            bad: provider.bad.to_string(),
            slash_ppm: provider.slash_ppm,
            scored_at: provider.scored_at.value(),
            created_at: provider.created_at.value(),
            unbonding_seq: provider.unbonding_seq,
            shrunk_from_uc: provider.shrunk_from_uc.to_string(),
            shrunk_at: provider.shrunk_at.value(),
        }
    }
}

/// A provider and what follows from its record now.
pub(crate) fn info(provider: &Provider, params: &Params, now: At<Billing>) -> Result<wire::ProviderInfo> {
    let scores = provider.scores(params, now);
    Ok(wire::ProviderInfo {
        free_stake: provider.free_stake().to_string(),
        stake_uc: provider.stake_uc(params)?.to_string(),
        reputation_ppm: scores.reputation_ppm,
        slash_ppm: scores.slash_ppm,
        provider: Some(provider.into()),
    })
}

/// A line with its key.
pub(crate) fn line((provider, class_id, zone): &LineKey, line: &Line) -> wire::Line {
    wire::Line {
        provider: provider.to_string(),
        class_id: *class_id,
        zone: zone.to_string(),
        total: line.total,
        reserved: line.reserved,
        leased: line.leased,
        unit_required: line.unit_required.to_string(),
        tier_min: line.tier_min.to_string(),
    }
}

/// An unbonding with its key.
pub(crate) fn unbonding((provider, seq): &UnbondingKey, unbonding: &Unbonding) -> wire::Unbonding {
    let hold = unbonding.hold.as_ref().map(|hold| kernel_wire::Hold {
        codespace: hold.codespace.clone(),
        code: hold.code,
        attempts: hold.attempts,
        retry_at: hold.retry_at.value(),
    });
    wire::Unbonding {
        provider: provider.to_string(),
        seq: *seq,
        amount: unbonding.amount.to_string(),
        due_at: unbonding.due_at.value(),
        hold,
    }
}
