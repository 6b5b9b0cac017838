//! Guards that the market's messages share with this module's.

use kernel::{Address, Amount, Result};

use crate::{
    errors::Error,
    params::Params,
    types::{Class, Provider},
};

/// The actor is the provider's owner or one of its operators; else NotOperator.
pub fn require_operator(provider: &Provider, actor: Address) -> Result<()> {
    if provider.is_operator(&actor) {
        return Ok(());
    }
    Err(Error::NotOperator { provider: provider.owner, actor }.into())
}

/// The provider can offer and bid; else ProviderNotActive.
pub fn require_active(provider: &Provider) -> Result<()> {
    if provider.is_active() {
        return Ok(());
    }
    Err(Error::ProviderNotActive { provider: provider.owner, status: provider.status }.into())
}

/// The class can be offered and ordered; else ClassRetired.
pub fn require_offered(class: &Class) -> Result<()> {
    if class.active {
        return Ok(());
    }
    Err(Error::ClassRetired { class_id: class.id }.into())
}

/// The provider's stake at today's price covers `required_uc` ucredit; else StakeBelowRequired.
pub fn require_stake(provider: &Provider, params: &Params, required_uc: Amount) -> Result<()> {
    let stake_uc = provider.stake_uc(params)?;
    if stake_uc >= required_uc {
        return Ok(());
    }
    Err(Error::StakeBelowRequired { stake_uc, required_uc }.into())
}

/// The provider has `needed` uflop of free stake; else InsufficientFreeStake.
pub fn require_free_stake(provider: &Provider, needed: Amount) -> Result<()> {
    let free = provider.free_stake();
    if free >= needed {
        return Ok(());
    }
    Err(Error::InsufficientFreeStake { needed, free }.into())
}
