//! The messages. After `parse` nothing holds a string for an address, an amount or a zone.

use kernel::{Address, Amount, Message, Reject, Signers, module::canonical};
use proto::underbid::provider::v1 as wire;

use crate::{params::Params, types::Class, zone::Zone};

/// What paying one unbonding in a later block costs.
pub(crate) const UNBONDING_GAS: u64 = 60_000;

/// A message, its signer first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is documented at its message")]
pub enum Msg {
    SetClass(Address, SetClass),
    RegisterProvider(Address, RegisterProvider),
    UpdateProvider(Address, UpdateProvider),
    SetOperators(Address, SetOperators),
    AddStake(Address, AddStake),
    Unstake(Address, Unstake),
    SetCapacity(Address, SetCapacity),
    ExitProvider(Address, ExitProvider),
    UpdateParams(Address, UpdateParams),
}

/// Adds or changes a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetClass {
    /// The whole class.
    pub class: Class,
}

/// Where tenants reach a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Endpoints, none empty.
    pub endpoints: Vec<String>,
    /// The key to which tenants encrypt manifests.
    pub encryption_key: [u8; 32],
}

/// Registers the signer as a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterProvider {
    /// Where tenants reach it.
    pub contact: Contact,
    /// Who may act for it, distinct.
    pub operators: Vec<Address>,
    /// How much to stake, in uflop, above 0.
    pub stake: Amount,
}

/// Changes where tenants reach the signer's provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateProvider {
    /// Where from now on.
    pub contact: Contact,
}

/// Replaces all operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetOperators {
    /// The whole new set, distinct.
    pub operators: Vec<Address>,
}

/// Adds stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddStake {
    /// How much, in uflop, above 0.
    pub amount: Amount,
}

/// Takes free stake back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstake {
    /// How much, in uflop, above 0.
    pub amount: Amount,
}

/// Sets how many units a provider offers of a class in a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCapacity {
    /// The provider.
    pub provider: Address,
    /// The class.
    pub class_id: u32,
    /// The zone.
    pub zone: Zone,
    /// All units from now on.
    pub total: u32,
}

/// Leaves, with all stake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitProvider;

/// Replaces the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateParams {
    /// All of them, in range.
    pub params: Params,
}

impl Message for Msg {
    fn parse(name: &str, body: &[u8], _app_version: u32) -> Result<Self, Reject> {
        match name.strip_prefix("underbid.provider.v1.").unwrap_or_default() {
            "MsgSetClass" => set_class(canonical(body)?),
            "MsgRegisterProvider" => register_provider(canonical(body)?),
            "MsgUpdateProvider" => update_provider(canonical(body)?),
            "MsgSetOperators" => set_operators(canonical(body)?),
            "MsgAddStake" => add_stake(canonical(body)?),
            "MsgUnstake" => unstake(canonical(body)?),
            "MsgSetCapacity" => set_capacity(canonical(body)?),
            "MsgExitProvider" => exit_provider(&canonical(body)?),
            "MsgUpdateParams" => update_params(canonical(body)?),
            _ => Err(Reject::unknown_request(format!("unknown message {name}"))),
        }
    }

    fn signers(&self) -> Signers {
        match self {
            Self::SetClass(signer, _)
            | Self::RegisterProvider(signer, _)
            | Self::UpdateProvider(signer, _)
            | Self::SetOperators(signer, _)
            | Self::AddStake(signer, _)
            | Self::Unstake(signer, _)
            | Self::SetCapacity(signer, _)
            | Self::ExitProvider(signer, _)
            | Self::UpdateParams(signer, _) => Signers::one(*signer),
        }
    }

    fn base_gas(&self) -> u64 {
        match self {
            Self::Unstake(..) | Self::ExitProvider(..) => UNBONDING_GAS,
            _ => 0,
        }
    }
}

fn set_class(msg: wire::MsgSetClass) -> Result<Msg, Reject> {
    let class = msg.class.ok_or_else(|| Reject::invalid_request("class: expected a class"))?;
    Ok(Msg::SetClass(Address::parse(&msg.authority)?, SetClass { class: Class::try_from(class)? }))
}

fn register_provider(msg: wire::MsgRegisterProvider) -> Result<Msg, Reject> {
    let registration = RegisterProvider {
        contact: contact(msg.endpoints, &msg.encryption_key)?,
        operators: operators(&msg.operators)?,
        stake: positive("stake", &msg.stake)?,
    };
    Ok(Msg::RegisterProvider(Address::parse(&msg.owner)?, registration))
}

fn update_provider(msg: wire::MsgUpdateProvider) -> Result<Msg, Reject> {
    let contact = contact(msg.endpoints, &msg.encryption_key)?;
    Ok(Msg::UpdateProvider(Address::parse(&msg.owner)?, UpdateProvider { contact }))
}

fn set_operators(msg: wire::MsgSetOperators) -> Result<Msg, Reject> {
    let operators = operators(&msg.operators)?;
    Ok(Msg::SetOperators(Address::parse(&msg.owner)?, SetOperators { operators }))
}

fn add_stake(msg: wire::MsgAddStake) -> Result<Msg, Reject> {
    let amount = positive("amount", &msg.amount)?;
    Ok(Msg::AddStake(Address::parse(&msg.owner)?, AddStake { amount }))
}

fn unstake(msg: wire::MsgUnstake) -> Result<Msg, Reject> {
    let amount = positive("amount", &msg.amount)?;
    Ok(Msg::Unstake(Address::parse(&msg.owner)?, Unstake { amount }))
}

fn set_capacity(msg: wire::MsgSetCapacity) -> Result<Msg, Reject> {
    let capacity = SetCapacity {
        provider: Address::parse(&msg.provider)?,
        class_id: msg.class_id,
        zone: Zone::parse(&msg.zone)?,
        total: msg.total,
    };
    Ok(Msg::SetCapacity(Address::parse(&msg.signer)?, capacity))
}

fn exit_provider(msg: &wire::MsgExitProvider) -> Result<Msg, Reject> {
    Ok(Msg::ExitProvider(Address::parse(&msg.owner)?, ExitProvider))
}

fn update_params(msg: wire::MsgUpdateParams) -> Result<Msg, Reject> {
    let params = msg.params.ok_or_else(|| Reject::invalid_request("params: expected the parameters"))?;
    let params = Params::try_from(params)?;
    Ok(Msg::UpdateParams(Address::parse(&msg.authority)?, UpdateParams { params }))
}

fn positive(field: &str, text: &str) -> Result<Amount, Reject> {
    let amount = Amount::parse(text)?;
    if amount.is_zero() {
        return Err(Reject::invalid_request(format!("{field}: expected above 0")));
    }
    Ok(amount)
}

/// An endpoint is shown in terminals: it holds no control characters and no spaces.
pub(crate) fn check_endpoints(endpoints: &[String]) -> Result<(), Reject> {
    if endpoints.iter().all(|endpoint| !endpoint.is_empty() && endpoint.bytes().all(|b| b.is_ascii_graphic()))
    {
        return Ok(());
    }
    Err(Reject::invalid_request("endpoints: expected printable ASCII without spaces, none empty"))
}

fn contact(endpoints: Vec<String>, encryption_key: &[u8]) -> Result<Contact, Reject> {
    check_endpoints(&endpoints)?;
    let encryption_key = encryption_key.try_into().map_err(|_| {
        Reject::invalid_request(format!("encryption_key: expected 32 bytes, got {}", encryption_key.len()))
    })?;
    Ok(Contact { endpoints, encryption_key })
}

fn operators(texts: &[String]) -> Result<Vec<Address>, Reject> {
    let operators = texts.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>()?;
    check_operators(&operators)?;
    Ok(operators)
}

pub(crate) fn check_operators(operators: &[Address]) -> Result<(), Reject> {
    let mut sorted = operators.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < operators.len() {
        return Err(Reject::invalid_request("operators: expected each once"));
    }
    Ok(())
}
