//! Transactions at the edge of what is allowed: by their signatures (M3), and by their amounts (E4).

use prost::Message;
use prost_types::Any;
use proto::cosmos::bank::v1beta1::MsgSend;
use proto::cosmos::base::v1beta1::Coin;
use proto::cosmos::tx::v1beta1::TxRaw;
use proto::underbid::market::v1::{MsgCreateOrder, MsgTopUp};
use proto::underbid::provider::v1::{MsgAddStake, MsgUnstake};
use underbid::client::chain::{self, Gas, SendOptions};
use underbid::client::rpc::Broadcast;
use underbid::client::tx::{SignedTx, any};

use super::bed::{Bed, Options, PATIENCE};
use super::checks::{Check, Code, UNAUTHORIZED, WRONG_SEQUENCE};
use super::floods::module;
use super::{Error, Played, conclude};
use crate::demo::plot::{self, Fate, Plan};
use crate::demo::stage::order_message;

// Why else these transactions are refused.
const TX_DECODE: Code = ("sdk", 2);
const INVALID_COINS: Code = ("sdk", 10);
const INVALID_REQUEST: Code = ("sdk", 18);
const SEND_DISABLED: Code = ("bank", 5);
const COUNT_OUT_OF_RANGE: Code = ("market", 2);
const RATE_OUT_OF_RANGE: Code = ("market", 3);
const DURATION_OUT_OF_RANGE: Code = ("market", 9);
const DEPOSIT_TOO_SMALL: Code = ("market", 12);
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
    let elsewhere = chain::Client::new(client.rpc().clone(), "another-chain");
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

/// E4. Amounts that no pool may take, and gifts to pools.
pub async fn amounts(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    // Who sends does not trade, so that no sequence is taken by another transaction; what is a provider's is refused before.
    let (payer, aurora) = (bed.stage.cast().member("authority")?, bed.stage.cast().member("aurora")?);
    let (max, more) = (u128::MAX.to_string(), format!("{}0", u128::MAX));
    let gift = |to: String, denom: &str, amount: &str| {
        let coin = Coin { denom: denom.to_owned(), amount: amount.to_owned() };
        any(&MsgSend { from_address: payer.address(), to_address: to, amount: vec![coin] })
    };
    let plan = plot::plans().remove(0);
    let order_id = bed.stage.place(&Plan { deposit_s: 3_600, fate: Fate::Served, ..plan.clone() }).await?;
    let order = order_message(&plan, &payer.address());
    let order = |change: &dyn Fn(&mut MsgCreateOrder)| {
        let mut order = order.clone();
        change(&mut order);
        any(&order)
    };
    let top_up =
        |amount: &str| any(&MsgTopUp { signer: payer.address(), order_id, amount: amount.to_owned() });
    let stake = |amount: &str| any(&MsgAddStake { owner: aurora.address(), amount: amount.to_owned() });
    let unstake = |amount: &str| any(&MsgUnstake { owner: aurora.address(), amount: amount.to_owned() });
    let cases: Vec<(&str, Code, Any)> = vec![
        ("a gift to the stake pool", UNAUTHORIZED, gift(module("stake_pool"), "uflop", "1")),
        ("a gift to the escrow", UNAUTHORIZED, gift(module("escrow"), "uflop", "1")),
        ("a gift to the fee collector", UNAUTHORIZED, gift(module("fee_collector"), "uflop", "1")),
        ("a gift of CREDIT", SEND_DISABLED, gift(aurora.address(), "ucredit", "1")),
        ("a transfer of 2^128 - 1", INVALID_COINS, gift(aurora.address(), "uflop", &max)),
        ("a transfer beyond 128 bits", INVALID_COINS, gift(aurora.address(), "uflop", &more)),
        ("a transfer of nothing", INVALID_COINS, gift(aurora.address(), "uflop", "0")),
        ("a transfer of less than nothing", INVALID_COINS, gift(aurora.address(), "uflop", "-1")),
        ("a deposit of 2^128 - 1", INVALID_REQUEST, order(&|order| order.deposit = max.clone())),
        ("a deposit of nothing", DEPOSIT_TOO_SMALL, order(&|order| order.deposit = "0".to_owned())),
        ("a ceiling of 2^128 - 1", INVALID_REQUEST, order(&|order| order.max_unit_rate = max.clone())),
        ("a ceiling of nothing", RATE_OUT_OF_RANGE, order(&|order| order.max_unit_rate = "0".to_owned())),
        ("2^32 - 1 units", COUNT_OUT_OF_RANGE, order(&|order| order.count = u32::MAX)),
        ("a duration of 2^32 - 1", DURATION_OUT_OF_RANGE, order(&|order| order.duration_s = u32::MAX)),
        ("a top-up of 2^128 - 1", INVALID_REQUEST, top_up(&max)),
        ("a top-up of nothing", DEPOSIT_TOO_SMALL, top_up("0")),
        ("a stake of 2^128 - 1", INVALID_REQUEST, stake(&max)),
        ("a stake of nothing", INVALID_REQUEST, stake("0")),
        ("an unstaking of 2^128 - 1", INVALID_REQUEST, unstake(&max)),
        ("an unstaking of nothing", INVALID_REQUEST, unstake("0")),
    ];
    // Without a simulation, which would refuse before the chain is asked.
    let options = SendOptions { gas: Gas::Limit(400_000), ..SendOptions::default() };
    let mut checks = Vec::new();
    for ((what, code, message), client) in cases.into_iter().zip(bed.stage.clients().iter().cycle()) {
        let is_providers = message.type_url.starts_with("/underbid.provider.");
        let signer = if is_providers { aurora } else { payer };
        checks.push(refused("E4", what, code, client.send(&[&signer.key], vec![message], &options).await));
    }
    let cycles = u32::try_from(checks.len()).unwrap_or(u32::MAX);
    conclude(bed, cycles, checks, Vec::new()).await
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
