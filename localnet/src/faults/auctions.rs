//! An auction that is griefed, a part of E1: a full book, cancellations of what is bid on, improvements in the last blocks.

use std::sync::Arc;

use proto::cosmos::bank::v1beta1::{Input, MsgMultiSend, Output};
use proto::cosmos::base::v1beta1::Coin;
use proto::underbid::market::v1::{MsgCancelOrder, MsgCreateBid, MsgImproveBid};
use proto::underbid::provider::v1::{MsgRegisterProvider, MsgSetCapacity};
use serde_json::Value;
use tokio::task::JoinSet;
use underbid::client::chain;
use underbid::client::tx::{Outcome, any};

use super::bed::{PATIENCE, POLL};
use super::checks::{Check, Code};
use super::edges::refusal;
use super::{Error, failed};
use crate::demo::Stage;
use crate::demo::bot::RECLAIM_S;
use crate::demo::cast::{Member, Role};
use crate::demo::orders::RoundView;
use crate::demo::plot::{self, Fate, Plan};
use crate::demo::sender::Sender;
use crate::numbered_key;

const ORDER_NOT_OPEN: Code = ("market", 15);
const BOOK_FULL: Code = ("market", 25);
/// Who has the bidders' money.
const FUNDER: &str = "ember";
/// What a bidder gets and stakes, in uflop: the rest pays its fees.
const FUNDS: u128 = 1_000_000_000;
const STAKE: u128 = 900_000_000;
const ZONE: &str = "de/hesse/frankfurt";
/// Blocks enough to fill a book before the auction comes to its ending.
const WINDOW_BLOCKS: u32 = 300;
/// How often the tenant tries to take its order back.
const CANCELS: usize = 8;

/// Grieves one auction to its end, on a chain whose classes are set. Who bids has to be able to: it is a provider with stake.
pub async fn grieve(stage: &Stage, genesis: &Value) -> Result<Vec<Check>, Error> {
    let param = |name: &str| {
        let value = genesis.pointer(&format!("/app_state/market/params/{name}")).and_then(Value::as_u64);
        value.ok_or_else(|| failed(format!("the genesis document has no {name}")))
    };
    let (soft_blocks, extensions_max) = (param("soft_blocks")?, param("extensions_max")?);
    let bids_max = usize::try_from(param("bids_max")?).map_err(failed)?;
    let plan = plot::plans().into_iter().find(|plan| plan.fate == Fate::Served);
    let plan = plan.ok_or_else(|| failed("no plan"))?;
    let plan = Plan { zones: &["de"], window_blocks: WINDOW_BLOCKS, ..plan };
    let bidders = bidders(stage, bids_max + 1, plan.class_id, plan.count).await?;
    let (client, tenant) = (&stage.clients()[0], stage.cast().member(plan.tenant)?);

    let id = stage.place(&plan).await?;
    let ceiling = plan.max_unit_rate();
    let price = |place: usize| ceiling / 1_000 * (1_000 - u128::try_from(place).unwrap_or_default());
    let opening = bidders[0].send(&bid(&bidders[0], id, ceiling)).await?.gas_used;
    let closes = round(stage, id)?.close_height;
    let mut bids = JoinSet::new();
    for (bidder, place) in bidders[1..bids_max].iter().cloned().zip(1..) {
        let message = bid(&bidder, id, price(place));
        bids.spawn(async move { bidder.send(&message).await.map(|outcome| outcome.gas_used) });
    }
    let bids = bids.join_all().await.into_iter().collect::<Result<Vec<u64>, _>>()?;
    let last = &bidders[bids_max];
    let no_better = any(&bid(last, id, ceiling));
    let mut checks = vec![
        flat(&format!("of {bids_max} bids each but the first"), &bids),
        refusal("E1", "one more that is no better", BOOK_FULL, client, last.member(), no_better).await,
    ];
    let evicting = last.send(&bid(last, id, price(bids_max))).await?.gas_used;
    let (cancel, mut cancels) = (MsgCancelOrder { tenant: tenant.address(), order_id: id }, Vec::new());
    let what = format!("each of {CANCELS} cancellations after the first bid");
    for _ in 0..CANCELS {
        cancels.push(refusal("E1", &what, ORDER_NOT_OPEN, client, tenant, any(&cancel)).await);
    }
    checks.extend(cancels.into_iter().min_by_key(|check| check.ok));
    let detail =
        format!("the first bid costs {opening} gas, one that makes another leave a full book {evicting}");
    checks.push(Check::new("E1", evicting < 2 * opening, detail));

    // Who opened has left.
    let snipes = snipe(stage, id, &bidders[1..], price(bids_max), soft_blocks).await?;
    let ended = stage
        .shared()
        .wait("the award of the sniped auction", PATIENCE, |board| {
            let round = board.orders.get(&id)?.round()?;
            round.winner.is_some().then_some((round.extensions, round.close_height))
        })
        .await?;
    checks.push(flat(&format!("of {} improvements in the last blocks each", snipes.len()), &snipes));
    let (extensions, closed) = (u64::from(ended.0), ended.1);
    let is_bounded = (1..=extensions_max).contains(&extensions)
        && closed <= closes + extensions * (soft_blocks + 1)
        && !snipes.is_empty();
    let detail = format!(
        "the auction closed at height {closed} instead of {closes}, after {extensions} extensions of at most {extensions_max}"
    );
    checks.push(Check::new("E1", is_bounded, detail));
    Ok(checks)
}

/// Accounts that become providers with units of the class.
async fn bidders(stage: &Stage, count: usize, class_id: u32, total: u32) -> Result<Vec<Arc<Sender>>, Error> {
    let sender = |number: usize| {
        let key = numbered_key(11, number).map_err(failed)?;
        let member = Member { name: "bidder", role: Role::Provider, index: 0, key, start: (0, 0) };
        Ok(Arc::new(Sender::new(&member, stage.clients(), number, stage.shared(), true)))
    };
    let senders = (0..count).map(sender).collect::<Result<Vec<_>, Error>>()?;
    let coins = |amount: u128| vec![Coin { denom: "uflop".to_owned(), amount: amount.to_string() }];
    let outputs: Vec<Output> = senders
        .iter()
        .map(|sender| Output { address: sender.member().address(), coins: coins(FUNDS) })
        .collect();
    let funder = stage.sender(FUNDER, 0)?;
    let all = FUNDS * u128::try_from(count).map_err(failed)?;
    let inputs = vec![Input { address: funder.member().address(), coins: coins(all) }];
    funder.send(&MsgMultiSend { inputs, outputs }).await?;
    let mut registering = JoinSet::new();
    for sender in &senders {
        let sender = Arc::clone(sender);
        let owner = sender.member().address();
        let capacity = MsgSetCapacity {
            signer: owner.clone(),
            provider: owner.clone(),
            class_id,
            zone: ZONE.to_owned(),
            total,
        };
        let register = MsgRegisterProvider {
            owner,
            endpoints: vec!["https://bidder.example".to_owned()],
            encryption_key: vec![1; 32],
            operators: Vec::new(),
            stake: STAKE.to_string(),
        };
        registering.spawn(async move { sender.send_all(vec![any(&register), any(&capacity)]).await });
    }
    for registered in registering.join_all().await {
        registered?;
    }
    Ok(senders)
}

/// Improves one bid after the other whenever the auction is about to close, until it takes none; returns the gas of each.
async fn snipe(
    stage: &Stage,
    id: u64,
    bidders: &[Arc<Sender>],
    best: u128,
    soft_blocks: u64,
) -> Result<Vec<u64>, Error> {
    let (mut rate, mut snipes) = (best, Vec::new());
    for bidder in bidders.iter().cycle() {
        let height = || stage.shared().read(|board| board.height);
        while round(stage, id)?.close_height > height() + soft_blocks {
            tokio::time::sleep(POLL).await;
        }
        // More than the auction asks of a last bid.
        rate = rate / 10 * 9;
        match bidder.send(&improvement(bidder, id, rate)).await {
            Ok(Outcome { gas_used, .. }) => snipes.push(gas_used),
            Err(chain::Error::Refused(_) | chain::Error::Simulation { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(snipes)
}

fn round(stage: &Stage, id: u64) -> Result<RoundView, Error> {
    let round = stage.shared().read(|board| board.orders.get(&id)?.round().cloned());
    round.ok_or_else(|| failed(format!("order {id} is unknown")))
}

fn bid(bidder: &Sender, order_id: u64, unit_rate: u128) -> MsgCreateBid {
    let address = bidder.member().address();
    MsgCreateBid {
        signer: address.clone(),
        provider: address,
        order_id,
        zone: ZONE.to_owned(),
        unit_rate: unit_rate.to_string(),
        reclaim_s: RECLAIM_S,
    }
}

fn improvement(bidder: &Sender, order_id: u64, unit_rate: u128) -> MsgImproveBid {
    let address = bidder.member().address();
    MsgImproveBid { signer: address.clone(), provider: address, order_id, unit_rate: unit_rate.to_string() }
}

/// Whether the same costs the same each time, up to a tenth.
pub fn flat(what: &str, gas: &[u64]) -> Check {
    let (least, most) = (gas.iter().min().copied().unwrap_or(0), gas.iter().max().copied().unwrap_or(0));
    Check::new("E1", least > 0 && most - least <= least / 10, format!("{what} costs {least} to {most} gas"))
}
