//! Conversions to what clients read. Mechanical.

use kernel::Amount;
use proto::cosmos::{bank::v1beta1 as pb, base::v1beta1 as wire};

use crate::{Denom, Metadata};

pub(crate) fn coin(denom: &Denom, amount: Amount) -> wire::Coin {
    wire::Coin { denom: denom.to_string(), amount: amount.to_string() }
}

pub(crate) fn metadata(metadata: &Metadata) -> pb::Metadata {
    let unit = |unit: &crate::DenomUnit| pb::DenomUnit {
        denom: unit.denom.clone(),
        exponent: unit.exponent,
        aliases: unit.aliases.clone(),
    };
    pb::Metadata {
        description: metadata.description.clone(),
        denom_units: metadata.denom_units.iter().map(unit).collect(),
        base: metadata.base.to_string(),
        display: metadata.display.clone(),
        name: metadata.name.clone(),
        symbol: metadata.symbol.clone(),
        uri: metadata.uri.clone(),
        uri_hash: metadata.uri_hash.clone(),
    }
}
