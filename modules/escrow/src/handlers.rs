//! One function a message.

use kernel::{Authorized, Ctx, Result};
use proto::underbid::escrow::v1::MsgUpdateParamsResponse;

use crate::{errors::Error, events::ParamsUpdated, msgs::UpdateParams, state::PARAMS};

/// Replaces the parameters.
pub(crate) fn update_params(ctx: &mut Ctx, msg: Authorized<UpdateParams>) -> Result<MsgUpdateParamsResponse> {
    let (authority, actor) = (PARAMS.load(ctx)?.authority, msg.actor());
    if actor != authority {
        return Err(Error::NotAuthority { authority, actor }.into());
    }

    // From here on nothing may fail but storage.
    PARAMS.set(ctx, &msg.params)?;
    ctx.emit(&ParamsUpdated { params: msg.params.clone() });
    Ok(MsgUpdateParamsResponse {})
}
