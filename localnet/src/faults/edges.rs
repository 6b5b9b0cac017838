//! Transactions at the edge of what is allowed: by their signatures (M3), and by their amounts (E4).

use kernel::Address;
use prost::Message;
use prost_types::Any;
use proto::cosmos::bank::v1beta1::{Input, MsgMultiSend, MsgSend, Output};
use proto::cosmos::base::v1beta1::Coin;
use proto::cosmos::tx::v1beta1::TxRaw;
use proto::underbid::bank::v1::MsgBurn;
use proto::underbid::market::v1::{MsgCreateBid, MsgCreateOrder, MsgImproveBid, MsgTopUp};
use proto::underbid::provider::v1::{MsgAddStake, MsgRegisterProvider, MsgUnstake};
use underbid::client::chain::{self, Client, Gas, SendOptions};
use underbid::client::rpc::Broadcast;
use underbid::client::tx::{SignedTx, any};

use super::bed::{Bed, Options, PATIENCE};
use super::checks::{Check, Code, UNAUTHORIZED, WRONG_SEQUENCE};
use super::{Error, Played, conclude};
use crate::demo::Stage;
use crate::demo::bot::RECLAIM_S;
use crate::demo::cast::Member;
use crate::demo::plot::{self, Fate, Plan};
use crate::demo::stage::order_message;

// Why else these transactions are refused.
const TX_DECODE: Code = ("sdk", 2);
const INSUFFICIENT_FUNDS: Code = ("sdk", 5);
const INVALID_COINS: Code = ("sdk", 10);
const INVALID_REQUEST: Code = ("sdk", 18);
const UNEQUAL: Code = ("bank", 4);
const SEND_DISABLED: Code = ("bank", 5);
const COUNT_OUT_OF_RANGE: Code = ("market", 2);
const RATE_OUT_OF_RANGE: Code = ("market", 3);
const DURATION_OUT_OF_RANGE: Code = ("market", 9);
pub(super) const DEPOSIT_TOO_SMALL: Code = ("market", 12);
const STEP_TOO_SMALL: Code = ("market", 27);
const STAKE_BELOW_MINIMUM: Code = ("provider", 7);
/// What CometBFT says of a transaction that it has seen.
const KNOWN_TRANSACTION: &str = "tx already exists in cache";
/// The node that has forgotten what it has seen.
const FORGETFUL: usize = 3;

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
    let elsewhere = Client::new(client.rpc().clone(), "another-chain");
    let cases = [
        ("no signature", UNAUTHORIZED, changed(&good, |raw| raw.signatures.clear())),
        ("an empty signature", UNAUTHORIZED, changed(&good, |raw| raw.signatures[0].clear())),
        ("2 signatures", UNAUTHORIZED, copied(&good, 2)),
        ("255 signatures", UNAUTHORIZED, copied(&good, 255)),
        ("256 signatures", UNAUTHORIZED, copied(&good, 256)),
        ("257 signatures", UNAUTHORIZED, copied(&good, 257)),
        ("a high s", UNAUTHORIZED, changed(&good, |raw| raise(&mut raw.signatures[0]))),
        (
            "another chain's id",
            UNAUTHORIZED,
            elsewhere.prepare(&[&payer.key], messages, &SendOptions::default()).await?,
        ),
        ("a byte more", TX_DECODE, SignedTx::new([good.bytes.as_slice(), &[0]].concat())),
    ];
    let mut checks = Vec::new();
    for (name, code, tx) in &cases {
        checks.push(refused("M3", name, *code, client.broadcast_and_wait(tx, PATIENCE).await));
    }
    let height = client.broadcast_and_wait(&good, PATIENCE).await?.height;
    bed.net.node(FORGETFUL)?.restart().await?;
    for node in bed.net.validators() {
        node.wait_height(height, PATIENCE).await?;
        let answer = node.rpc().broadcast_tx_sync(&good.bytes).await;
        let (is_refused, told) = match &answer {
            Ok(Broadcast { codespace, code, .. }) => {
                ((codespace.as_str(), *code) == WRONG_SEQUENCE, format!("with {codespace}/{code}"))
            }
            Err(error) => {
                let told = error.to_string();
                (node.index() != FORGETFUL && told.contains(KNOWN_TRANSACTION), told)
            }
        };
        checks.push(Check::new(
            "M3",
            is_refused,
            format!("a replay at node{}: refused {told}", node.index()),
        ));
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

/// What is to be refused: what it is, with which code, whose it is, and the message.
type Case<'a> = (&'static str, Code, &'a Member, Any);

/// E4. Amounts that no pool may take, and gifts to pools.
pub async fn amounts(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    // Who sends does not trade, so that no sequence is taken by another transaction; what is a provider's is refused before.
    let payer = bed.stage.cast().member("authority")?;
    let market = market_cases(&bed.stage, payer).await?;
    let cases = [bank_cases(&bed.stage, payer)?, market, provider_cases(&bed.stage, payer)?].concat();
    let mut checks = Vec::new();
    for ((what, code, signer, message), client) in cases.into_iter().zip(bed.stage.clients().iter().cycle()) {
        checks.push(refusal("E4", what, code, client, signer, message).await);
    }
    let cycles = u32::try_from(checks.len()).unwrap_or(u32::MAX);
    conclude(bed, cycles, checks, Vec::new()).await
}

/// 2^128 - 1, and ten times as much.
fn extremes() -> (String, String) {
    (u128::MAX.to_string(), format!("{}0", u128::MAX))
}

fn bank_cases<'a>(stage: &Stage, payer: &'a Member) -> Result<Vec<Case<'a>>, Error> {
    let other = stage.cast().member("aurora")?.address();
    let ((max, more), from) = (extremes(), payer.address());
    let coins = |denom: &str, amount: &str| vec![Coin { denom: denom.to_owned(), amount: amount.to_owned() }];
    let gift = |to: &str, denom: &str, amount: &str| {
        let (from_address, to_address) = (from.clone(), to.to_owned());
        any(&MsgSend { from_address, to_address, amount: coins(denom, amount) })
    };
    let module = |name: &str| Address::of_module(name).to_string();
    let pool = |name: &str| gift(&module(name), "uflop", "1");
    let many = |to: &str, given: &str, got: &str| {
        let inputs = vec![Input { address: from.clone(), coins: coins("uflop", given) }];
        let output = Output { address: to.to_owned(), coins: coins("uflop", got) };
        any(&MsgMultiSend { inputs, outputs: vec![output.clone(), output] })
    };
    let burn = |denom: &str, amount: &str| {
        any(&MsgBurn { from_address: from.clone(), amount: coins(denom, amount) })
    };
    let cases = [
        ("a gift to the stake pool", UNAUTHORIZED, pool("stake_pool")),
        ("a gift to the escrow", UNAUTHORIZED, pool("escrow")),
        ("a gift to the fee collector", UNAUTHORIZED, pool("fee_collector")),
        ("a gift to the market's fees", UNAUTHORIZED, pool("market_fees")),
        ("a gift of CREDIT", SEND_DISABLED, gift(&other, "ucredit", "1")),
        ("a transfer of 2^128 - 1", INVALID_COINS, gift(&other, "uflop", &max)),
        ("a transfer beyond 128 bits", INVALID_COINS, gift(&other, "uflop", &more)),
        ("a transfer of nothing", INVALID_COINS, gift(&other, "uflop", "0")),
        ("a transfer of less than nothing", INVALID_COINS, gift(&other, "uflop", "-1")),
        ("two gifts to the stake pool", UNAUTHORIZED, many(&module("stake_pool"), "2", "1")),
        ("two transfers of 2^128 - 1", INVALID_COINS, many(&other, &max, &max)),
        ("two transfers of nothing", INVALID_COINS, many(&other, "0", "0")),
        ("two transfers of more than is given", UNEQUAL, many(&other, "1", "1")),
        ("a burning of 2^128 - 1", INVALID_COINS, burn("uflop", &max)),
        ("a burning of nothing", INVALID_COINS, burn("uflop", "0")),
        ("a burning of more than there is", INSUFFICIENT_FUNDS, burn("uflop", "1000000000000000")),
        ("a burning of CREDIT", SEND_DISABLED, burn("ucredit", "1")),
    ];
    Ok(cases.map(|(what, code, message)| (what, code, payer, message)).into())
}

/// Two orders are placed for them: one that is served, and one so cheap that only the row itself bids.
async fn market_cases<'a>(stage: &'a Stage, payer: &'a Member) -> Result<Vec<Case<'a>>, Error> {
    let ((max, _), [aurora, delta]) = (extremes(), ["aurora", "delta"].map(|name| stage.cast().member(name)));
    let (aurora, delta) = (aurora?, delta?);
    let plan = plot::plans().remove(0);
    let long = Plan { deposit_s: 3_600, fate: Fate::Served, ..plan.clone() };
    let order_id = stage.place(&long).await?;
    let cheap = Plan { ceiling_hourly: 300_000, window_blocks: 600, ..long };
    let cheap_id = stage.place(&cheap).await?;
    let ceiling = cheap.max_unit_rate();
    let bid = |bidder: &Member, unit_rate: &str| MsgCreateBid {
        signer: bidder.address(),
        provider: bidder.address(),
        order_id: cheap_id,
        zone: "us/va/ashburn".to_owned(),
        unit_rate: unit_rate.to_owned(),
        reclaim_s: RECLAIM_S,
    };
    let zone = "fi/uusimaa/helsinki".to_owned();
    stage.sender("aurora", 0)?.send(&MsgCreateBid { zone, ..bid(aurora, &ceiling.to_string()) }).await?;
    let improve = |unit_rate: &str| {
        let (signer, provider, unit_rate) = (aurora.address(), aurora.address(), unit_rate.to_owned());
        any(&MsgImproveBid { signer, provider, order_id: cheap_id, unit_rate })
    };
    let order = |change: &dyn Fn(&mut MsgCreateOrder)| {
        let mut order = order_message(&plan, &payer.address());
        change(&mut order);
        any(&order)
    };
    let top_up =
        |amount: &str| any(&MsgTopUp { signer: payer.address(), order_id, amount: amount.to_owned() });
    Ok(vec![
        ("a bid of 2^128 - 1", INVALID_REQUEST, delta, any(&bid(delta, &max))),
        ("a bid of nothing", RATE_OUT_OF_RANGE, delta, any(&bid(delta, "0"))),
        ("a bid above the ceiling", RATE_OUT_OF_RANGE, delta, any(&bid(delta, &(ceiling + 1).to_string()))),
        ("an improvement to 2^128 - 1", INVALID_REQUEST, aurora, improve(&max)),
        ("an improvement to nothing", RATE_OUT_OF_RANGE, aurora, improve("0")),
        ("an improvement by nothing", STEP_TOO_SMALL, aurora, improve(&ceiling.to_string())),
        ("a deposit of 2^128 - 1", INVALID_REQUEST, payer, order(&|order| order.deposit = max.clone())),
        ("a deposit of nothing", DEPOSIT_TOO_SMALL, payer, order(&|order| order.deposit = "0".to_owned())),
        ("a ceiling of 2^128 - 1", INVALID_REQUEST, payer, order(&|order| order.max_unit_rate = max.clone())),
        (
            "a ceiling of nothing",
            RATE_OUT_OF_RANGE,
            payer,
            order(&|order| order.max_unit_rate = "0".to_owned()),
        ),
        ("2^32 - 1 units", COUNT_OUT_OF_RANGE, payer, order(&|order| order.count = u32::MAX)),
        ("a duration of 2^32 - 1", DURATION_OUT_OF_RANGE, payer, order(&|order| order.duration_s = u32::MAX)),
        ("a top-up of 2^128 - 1", INVALID_REQUEST, payer, top_up(&max)),
        ("a top-up of nothing", DEPOSIT_TOO_SMALL, payer, top_up("0")),
        ("a top-up of dust", DEPOSIT_TOO_SMALL, payer, top_up("9999")),
    ])
}

fn provider_cases<'a>(stage: &'a Stage, payer: &'a Member) -> Result<Vec<Case<'a>>, Error> {
    let ((max, _), aurora) = (extremes(), stage.cast().member("aurora")?);
    let register = |stake: &str| {
        any(&MsgRegisterProvider {
            owner: payer.address(),
            endpoints: Vec::new(),
            encryption_key: vec![1; 32],
            operators: Vec::new(),
            stake: stake.to_owned(),
        })
    };
    let stake = |amount: &str| any(&MsgAddStake { owner: aurora.address(), amount: amount.to_owned() });
    let unstake = |amount: &str| any(&MsgUnstake { owner: aurora.address(), amount: amount.to_owned() });
    Ok(vec![
        ("a first stake of 2^128 - 1", INVALID_REQUEST, payer, register(&max)),
        ("a first stake of nothing", INVALID_REQUEST, payer, register("0")),
        ("a first stake of dust", STAKE_BELOW_MINIMUM, payer, register("1")),
        ("a stake of 2^128 - 1", INVALID_REQUEST, aurora, stake(&max)),
        ("a stake of nothing", INVALID_REQUEST, aurora, stake("0")),
        ("an unstaking of 2^128 - 1", INVALID_REQUEST, aurora, unstake(&max)),
        ("an unstaking of nothing", INVALID_REQUEST, aurora, unstake("0")),
    ])
}

/// Sends a message that is to be refused. Without a simulation, which would refuse before the chain is asked.
pub async fn refusal(
    id: &'static str,
    what: &str,
    expected: Code,
    client: &Client,
    signer: &Member,
    message: Any,
) -> Check {
    let options = SendOptions { gas: Gas::Limit(400_000), ..SendOptions::default() };
    refused(id, what, expected, client.send(&[&signer.key], vec![message], &options).await)
}

/// Whether the chain refused for this reason, and not only some node's ear.
fn refused<T>(id: &'static str, what: &str, expected: Code, sent: Result<T, chain::Error>) -> Check {
    let (ok, detail) = match sent {
        Ok(_) => (false, "it was taken".to_owned()),
        Err(chain::Error::Refused(refusal)) => {
            let place = if refusal.outcome.is_some() { "in a block" } else { "by the mempool" };
            let is_expected = (refusal.codespace.as_str(), refusal.code) == expected;
            let wish = if is_expected { String::new() } else { format!(", expected {expected:?}") };
            (is_expected, format!("{place}, {refusal}{wish}"))
        }
        Err(error) => (false, error.to_string()),
    };
    Check::new(id, ok, format!("{what}: {detail}"))
}
