//! One function a message: advance the order to now, load, guards in the documented order, the point of no return, writes,
//! event.

pub(crate) mod bids;
pub(crate) mod leases;
mod orders;

use kernel::{Authorized, Ctx, Reply, Result, chain};

use crate::{
    events::ParamsUpdated,
    msgs::{Msg, UpdateParams},
    pb, state,
};

/// Executes a message.
pub(crate) fn handle(ctx: &mut Ctx, msg: Authorized<Msg>) -> Result<Reply> {
    let (msg, authority) = msg.open();
    Ok(match msg {
        Msg::CreateOrder(_, msg) => Reply::of(&orders::create_order(ctx, authority.over(msg))?),
        Msg::CancelOrder(_, msg) => Reply::of(&orders::cancel_order(ctx, authority.over(msg))?),
        Msg::CreateBid(_, msg) => Reply::of(&bids::create_bid(ctx, authority.over(msg))?),
        Msg::ImproveBid(_, msg) => Reply::of(&bids::improve_bid(ctx, authority.over(msg))?),
        Msg::WithdrawBid(_, msg) => Reply::of(&bids::withdraw_bid(ctx, authority.over(msg))?),
        Msg::ConfirmStart(_, msg) => Reply::of(&leases::confirm_start(ctx, authority.over(msg))?),
        Msg::TopUp(_, msg) => Reply::of(&orders::top_up(ctx, authority.over(msg))?),
        Msg::CloseLease(_, msg) => Reply::of(&leases::close_lease(ctx, authority.over(msg))?),
        Msg::ReclaimLease(_, msg) => Reply::of(&leases::reclaim_lease(ctx, authority.over(msg))?),
        Msg::AbandonLease(_, msg) => Reply::of(&leases::abandon_lease(ctx, authority.over(msg))?),
        Msg::Settle(_, msg) => Reply::of(&leases::settle(ctx, authority.over(msg))?),
        Msg::UpdateParams(_, msg) => Reply::of(&update_params(ctx, authority.over(msg))?),
    })
}

/// Replaces the parameters. What orders, bids and leases have frozen stays.
fn update_params(ctx: &mut Ctx, msg: Authorized<UpdateParams>) -> Result<pb::MsgUpdateParamsResponse> {
    let (authority, actor) = (provider::params(ctx)?.authority, msg.actor());
    if actor != authority {
        return Err(provider::Error::NotAuthority { authority, actor }.into());
    }
    msg.params.check(chain::PARAMS.load(ctx)?.max_billing_step_s)?;

    // From here on nothing may fail but storage.
    state::PARAMS.set(ctx, &msg.params)?;
    ctx.emit(&ParamsUpdated { params: msg.params.clone() });
    Ok(pb::MsgUpdateParamsResponse {})
}
