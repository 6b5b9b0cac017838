//! Transactions at the edge of what is allowed: by their signatures (M3), and by their amounts (E4).

use prost::Message;
use prost_types::Any;
use proto::cosmos::bank::v1beta1::MsgSend;
use proto::cosmos::base::v1beta1::Coin;
use proto::cosmos::tx::v1beta1::TxRaw;
use proto::underbid::market::v1::{MsgCreateOrder, MsgTopUp};
use proto::underbid::provider::v1::{MsgAddStake, MsgUnstake};
use underbid::client::chain::{self, Gas, SendOptions};
use underbid::client::tx::{SignedTx, any};

use super::bed::{Bed, Options, PATIENCE};
use super::checks::Check;
use super::floods::module;
use super::{Error, Played, conclude, failed};
use crate::demo::plot;
use crate::demo::stage::order_message;

/// The order of secp256k1's group.
const GROUP_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xba,
    0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

/// M3.
pub async fn signatures(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let client = bed.stage.clients()[0].clone();
    let (payer, payee) = (bed.stage.cast().member("authority")?, bed.stage.cast().member("alice")?);
    let coin = Coin { denom: "uflop".to_owned(), amount: "1".to_owned() };
    let message = MsgSend { from_address: payer.address(), to_address: payee.address(), amount: vec![coin] };
    let messages = vec![any(&message)];
    let good = client.prepare(&[&payer.key], messages.clone(), &SendOptions::default()).await?;
    let elsewhere = chain::Client::new(client.rpc().clone(), "another-chain");
    let cases = [
        ("no signature", changed(&good, |raw| raw.signatures.clear())),
        ("an empty signature", changed(&good, |raw| raw.signatures[0].clear())),
        ("2 signatures", copied(&good, 2)),
        ("255 signatures", copied(&good, 255)),
        ("256 signatures", copied(&good, 256)),
        ("257 signatures", copied(&good, 257)),
        ("a high s", changed(&good, |raw| raise(&mut raw.signatures[0]))),
        ("another chain's id", elsewhere.prepare(&[&payer.key], messages, &SendOptions::default()).await?),
        ("a byte more", SignedTx::new([good.bytes.as_slice(), &[0]].concat())),
    ];
    let mut checks = Vec::new();
    for (name, tx) in &cases {
        checks.push(refused("M3", name, client.broadcast_and_wait(tx, PATIENCE).await));
    }
    client.broadcast_and_wait(&good, PATIENCE).await?;
    // The node knows these bytes; the others would have to forget that they executed them.
    for (index, client) in bed.stage.clients().iter().enumerate() {
        let answer = client.rpc().broadcast_tx_sync(&good.bytes).await;
        let is_refused = answer.map_or(true, |answer| answer.code != 0);
        checks.push(Check::new("M3", is_refused, format!("a replay at node{index} is refused")));
    }
    let cycles = u32::try_from(checks.len()).unwrap_or(u32::MAX);
    conclude(bed, cycles, checks, Vec::new()).await
}

fn changed(tx: &SignedTx, change: impl FnOnce(&mut TxRaw)) -> SignedTx {
    let mut raw = TxRaw::decode(tx.bytes.as_slice()).unwrap_or_default();
    change(&mut raw);
    SignedTx::new(raw.encode_to_vec())
}

fn copied(tx: &SignedTx, count: usize) -> SignedTx {
    changed(tx, |raw| raw.signatures = vec![raw.signatures[0].clone(); count])
}

/// Makes of a signature the other one that plain ECDSA accepts: its s becomes the group's order minus s.
fn raise(signature: &mut [u8]) {
    let mut borrow = 0;
    for (digit, order) in signature.iter_mut().skip(32).zip(GROUP_ORDER).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = u8::try_from(difference.rem_euclid(256)).unwrap_or_default();
    }
}

/// E4. Amounts that no pool may take, and gifts to pools.
pub async fn amounts(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let (alice, aurora) = (bed.stage.cast().member("bruno")?, bed.stage.cast().member("aurora")?);
    let (max, more) = (u128::MAX.to_string(), format!("{}0", u128::MAX));
    let gift = |to: String, denom: &str, amount: &str| {
        let coin = Coin { denom: denom.to_owned(), amount: amount.to_owned() };
        any(&MsgSend { from_address: alice.address(), to_address: to, amount: vec![coin] })
    };
    let plan = plot::plans().remove(0);
    let order = order_message(&plan, &alice.address());
    let order = |change: &dyn Fn(&mut MsgCreateOrder)| {
        let mut order = order.clone();
        change(&mut order);
        any(&order)
    };
    let top_up =
        |amount: &str| any(&MsgTopUp { signer: alice.address(), order_id: 1, amount: amount.to_owned() });
    let stake = |amount: &str| any(&MsgAddStake { owner: aurora.address(), amount: amount.to_owned() });
    let unstake = |amount: &str| any(&MsgUnstake { owner: aurora.address(), amount: amount.to_owned() });
    let cases: Vec<(&str, &str, Any)> = vec![
        ("alice", "a gift to the stake pool", gift(module("stake_pool"), "uflop", "1")),
        ("alice", "a gift to the escrow", gift(module("escrow"), "uflop", "1")),
        ("alice", "a gift to the fee collector", gift(module("fee_collector"), "uflop", "1")),
        ("alice", "a gift of CREDIT", gift(aurora.address(), "ucredit", "1")),
        ("alice", "a transfer of 2^128 - 1", gift(aurora.address(), "uflop", &max)),
        ("alice", "a transfer beyond 128 bits", gift(aurora.address(), "uflop", &more)),
        ("alice", "a transfer of nothing", gift(aurora.address(), "uflop", "0")),
        ("alice", "a transfer of less than nothing", gift(aurora.address(), "uflop", "-1")),
        ("alice", "a deposit of 2^128 - 1", order(&|order| order.deposit = max.clone())),
        ("alice", "a deposit of nothing", order(&|order| order.deposit = "0".to_owned())),
        ("alice", "a ceiling of 2^128 - 1", order(&|order| order.max_unit_rate = max.clone())),
        ("alice", "a ceiling of nothing", order(&|order| order.max_unit_rate = "0".to_owned())),
        ("alice", "2^32 - 1 units", order(&|order| order.count = u32::MAX)),
        ("alice", "a duration of 2^32 - 1", order(&|order| order.duration_s = u32::MAX)),
        ("alice", "a top-up of 2^128 - 1", top_up(&max)),
        ("alice", "a top-up of nothing", top_up("0")),
        ("aurora", "a stake of 2^128 - 1", stake(&max)),
        ("aurora", "a stake of nothing", stake("0")),
        ("aurora", "an unstaking of 2^128 - 1", unstake(&max)),
        ("aurora", "an unstaking of nothing", unstake("0")),
    ];
    // Without a simulation, which would refuse before the chain is asked.
    let options = SendOptions { gas: Gas::Limit(400_000), ..SendOptions::default() };
    let mut checks = Vec::new();
    for ((who, what, message), client) in cases.into_iter().zip(bed.stage.clients().iter().cycle()) {
        let member = if who == "alice" { alice } else { aurora };
        checks.push(refused("E4", what, client.send(&[&member.key], vec![message], &options).await));
    }
    let cycles = u32::try_from(checks.len()).unwrap_or(u32::MAX);
    conclude(bed, cycles, checks, Vec::new()).await
}

/// Whether the chain refused, and not only some node's ear.
fn refused<T>(id: &'static str, what: &str, sent: Result<T, chain::Error>) -> Check {
    match sent {
        Ok(_) => Check::new(id, false, format!("{what} was taken")),
        Err(chain::Error::Refused(refusal)) => {
            let place = if refusal.outcome.is_some() { "in a block" } else { "by the mempool" };
            Check::new(
                id,
                true,
                format!("{what}: refused {place} with {}/{}", refusal.codespace, refusal.code),
            )
        }
        Err(error) => Check::new(id, false, failed(format!("{what}: {error}")).to_string()),
    }
}
