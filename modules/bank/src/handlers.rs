//! One function a message.

use kernel::{Address, Authorized, Ctx, Reject, Reply, Result};
use proto::{cosmos::bank::v1beta1 as pb, underbid::bank::v1 as own};

use crate::{Burn, Coins, Error, Msg, MultiSend, Send, burn as destroy, send_enabled, state, transfer};

pub(crate) fn handle(ctx: &mut Ctx, msg: Authorized<Msg>) -> Result<Reply> {
    let (msg, authority) = msg.open();
    match msg {
        Msg::Send(_, msg) => send(ctx, authority.over(msg)).map(|()| Reply::of(&pb::MsgSendResponse {})),
        Msg::MultiSend(_, msg) => {
            multi_send(ctx, authority.over(msg)).map(|()| Reply::of(&pb::MsgMultiSendResponse {}))
        }
        Msg::Burn(_, msg) => burn(ctx, authority.over(msg)).map(|()| Reply::of(&own::MsgBurnResponse {})),
    }
}

fn send(ctx: &mut Ctx, msg: Authorized<Send>) -> Result<()> {
    require_enabled(ctx, &msg.coins)?;
    require_receiver(ctx, &msg.to)?;
    require_funds(ctx, &msg.actor(), &msg.coins)?;

    // From here on nothing may fail but gas and storage.
    give(ctx, msg.actor(), msg.to, &msg.coins)
}

fn multi_send(ctx: &mut Ctx, msg: Authorized<MultiSend>) -> Result<()> {
    require_enabled(ctx, &msg.total)?;
    for (to, _) in &msg.outputs {
        require_receiver(ctx, to)?;
    }
    require_funds(ctx, &msg.actor(), &msg.total)?;

    // From here on nothing may fail but gas and storage.
    msg.outputs.iter().try_for_each(|(to, coins)| give(ctx, msg.actor(), *to, coins))
}

fn burn(ctx: &mut Ctx, msg: Authorized<Burn>) -> Result<()> {
    require_enabled(ctx, &msg.coins)?;
    require_funds(ctx, &msg.actor(), &msg.coins)?;

    // From here on nothing may fail but gas and storage.
    msg.coins.as_slice().iter().try_for_each(|coin| destroy(ctx, msg.actor(), &coin.denom, coin.amount))
}

fn give(ctx: &mut Ctx, from: Address, to: Address, coins: &Coins) -> Result<()> {
    coins.as_slice().iter().try_for_each(|coin| transfer(ctx, from, to, &coin.denom, coin.amount))
}

fn require_enabled(ctx: &Ctx, coins: &Coins) -> Result<()> {
    for coin in coins.as_slice() {
        if !send_enabled(ctx, &coin.denom)? {
            return Err(Error::SendDisabled { denom: coin.denom.clone() }.into());
        }
    }
    Ok(())
}

/// A module account takes money only through its module: what it did not ask for would break its books (ASA-2024-003).
fn require_receiver(ctx: &Ctx, to: &Address) -> Result<()> {
    if auth::is_module_account(ctx, to)? {
        return Err(
            Reject::unauthorized(format!("{to} is not allowed to receive funds: unauthorized")).into()
        );
    }
    Ok(())
}

fn require_funds(ctx: &Ctx, from: &Address, coins: &Coins) -> Result<()> {
    coins.as_slice().iter().try_for_each(|coin| state::spend(ctx, from, &coin.denom, coin.amount).map(drop))
}
