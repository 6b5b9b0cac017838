//! Too much of everything: transactions (M1), orders (E1), things that are due at once (E2), questions (Q1).

use std::time::{Duration, Instant};

use prost::Message;
use proto::cosmos::bank::v1beta1::MsgSend;
use proto::cosmos::base::query::v1beta1::PageRequest;
use proto::cosmos::base::v1beta1::Coin;
use proto::underbid::market::v1::{
    MsgCancelOrder, MsgCreateOrder, MsgCreateOrderResponse, QueryOrdersRequest, QueryOrdersResponse,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use underbid::client::chain::{Client, SendOptions};
use underbid::client::keys::Key;
use underbid::client::rpc::Rpc;
use underbid::client::tx::{Draft, Signer, any};

use super::auctions::{flat, grieve};
use super::bed::{Bed, INTERVAL_MAX, Made, ORDERS_PATH, Options, PATIENCE};
use super::checks::{Check, seconds};
use super::edges::{DEPOSIT_TOO_SMALL, refusal};
use super::{Error, Played, conclude, failed};
use crate::bench::{BIDS_AN_ORDER, BidLoad};
use crate::demo::cast::Cast;
use crate::demo::stage::{order_message, transfer};
use crate::demo::{Stage, plot};
use crate::numbered_key;

/// How soon after its broadcast an honest transaction must be in a block: the block that is being voted on, the one that
/// was proposed meanwhile, and its own.
const INCLUSION_BLOCKS_MAX: u64 = 3;
/// Orders a transaction, in the storm of E1.
const STORM_ORDERS: usize = 20;
/// The orders of the genesis document of E2.
const DUE_AT_ONCE: usize = 10_000;
/// When they expire, after the document is made.
const DUE_AFTER_S: u64 = 25;
/// The orders of the genesis document of Q1.
const MANY_ORDERS: usize = 2_000;
/// The clients of Q1 that ask, each one question after the other, and those that listen to nothing they subscribed to.
const ASKERS: usize = 100;
const DEAF: usize = 20;
/// Where the market's records are, and the key of its parameters there.
const RECORD_PATH: &str = "/store/market/key";
const PARAMS_KEY: &[u8] = &[1];
/// How many blocks back the clients of Q1 ask for a past height.
const PAST_BLOCKS: u64 = 20;

/// M1. Everything that a node can be sent at no cost, to all nodes at once, while somebody pays honestly.
pub async fn mempool(options: &Options) -> Result<Played, Error> {
    let bed = Bed::open(options).await?;
    let count = if options.is_long { 100_000 } else { 12_000 };
    let floods = [Flood::Garbage, Flood::Forged, Flood::Ahead, Flood::Poor];
    let client = bed.stage.clients()[0].clone();
    let mut senders = JoinSet::new();
    for (flood, node) in floods.into_iter().zip(bed.net.validators()) {
        let rpc = node.rpc().clone();
        let txs = flood.transactions(&client, &bed.stage, count / floods.len()).await?;
        senders.spawn(async move {
            let mut delivered = 0;
            for batch in txs.chunks(100) {
                // A batch that a node under the flood does not answer is missing below.
                delivered += rpc.broadcast_txs_async(batch).await.unwrap_or_default();
            }
            delivered
        });
    }
    let (payer, payee) = (bed.stage.cast().member("authority")?, bed.stage.cast().member("alice")?);
    let (mut delivered, mut delays) = (0, Vec::new());
    while !senders.is_empty() {
        while let Some(sent) = senders.try_join_next() {
            delivered += sent.map_err(failed)?;
        }
        let node = &bed.stage.clients()[delays.len() % bed.stage.clients().len()];
        let tx =
            node.prepare(&[&payer.key], vec![any(&transfer(payer, payee))], &SendOptions::default()).await?;
        let before = node.rpc().height().await?;
        let outcome = node.broadcast_and_wait(&tx, PATIENCE).await?;
        delays.push(outcome.height.saturating_sub(before));
    }
    let worst = delays.iter().copied().max().unwrap_or_default();
    let detail = format!(
        "{} honest transfers during the flood were in a block after {worst} blocks at the most",
        delays.len()
    );
    let included = Check::new("M1", worst <= INCLUSION_BLOCKS_MAX, detail);
    let detail = format!("{delivered} of {count} transactions of the flood were delivered");
    let flooded = Check::new("M1", delivered * 10 > count * 9, detail);
    let waiting = bed.net.node(0)?.rpc().num_unconfirmed_txs().await?.count;
    let findings = vec![format!("{waiting} transactions wait in a mempool after the flood")];
    conclude(bed, u32::try_from(delivered).unwrap_or(u32::MAX), vec![included, flooded], findings).await
}

/// What a mempool is flooded with.
#[derive(Clone, Copy)]
enum Flood {
    /// Bytes that are no transaction.
    Garbage,
    /// Transactions with a signature for another chain.
    Forged,
    /// Transactions far ahead of their sender's sequence.
    Ahead,
    /// Transactions of accounts that have nothing.
    Poor,
}

impl Flood {
    async fn transactions(self, client: &Client, stage: &Stage, count: usize) -> Result<Vec<Vec<u8>>, Error> {
        let (from, to) = (stage.cast().member("dmitri")?, stage.cast().member("alice")?);
        let account = client.account(from.key.address()).await?;
        let chain_id = client.chain_id();
        let number = |place: usize| u64::try_from(place).unwrap_or_default();
        let signed = |key: &Key, chain_id: &str, sequence: u64| {
            let message = MsgSend { from_address: key.address().to_string(), ..transfer(from, to) };
            let mut draft = Draft::new(vec![any(&message)]);
            draft.gas_limit = 200_000;
            draft.fee = vec![Coin { denom: "uflop".to_owned(), amount: "200000".to_owned() }];
            draft.sign(chain_id, &[Signer { key, account_number: account.number, sequence }]).bytes
        };
        let transaction = |place: usize| match self {
            Self::Garbage => Ok(format!("garbage {place}").into_bytes()),
            Self::Forged => Ok(signed(&from.key, "another-chain", account.sequence + number(place))),
            Self::Ahead => Ok(signed(&from.key, chain_id, account.sequence + 1_000 + number(place))),
            Self::Poor => Ok(signed(&numbered_key(9, place).map_err(failed)?, chain_id, 0)),
        };
        (0..count).map(transaction).collect()
    }
}

/// E1. An auction is griefed; then tenants place many orders and take them back, and somebody tries to place one with dust.
pub async fn orders(options: &Options) -> Result<Played, Error> {
    let mut bed = Made::new(options, |_| {})?.open_quiet().await?;
    bed.stage.prepare().await?;
    // Before the trade: its bots use up the same accounts' sequences.
    let mut checks = grieve(&bed.stage, &options.genesis).await?;
    bed.trade().await?;
    let rounds = if options.is_long { 125 } else { 3 };
    let plan = plot::plans()
        .into_iter()
        .find(|plan| plan.fate == plot::Fate::Expires)
        .ok_or_else(|| failed("no plan"))?;
    let mut storms = JoinSet::new();
    // Providers have FLOP for the fees but no CREDIT; tenants have both, and only their own tasks' orders besides.
    for (name, index) in ["alice", "bruno", "chiara", "dmitri"].into_iter().zip(0..) {
        let sender = bed.stage.sender(name, index)?;
        let order = order_message(&plan, &sender.member().address());
        storms.spawn(async move {
            let mut gas = Vec::new();
            for _ in 0..rounds {
                let placed = sender.send_all(vec![any(&order); STORM_ORDERS]).await?;
                let cancel = |place: usize| {
                    let response: MsgCreateOrderResponse = placed.response(place).map_err(failed)?;
                    Ok(any(&MsgCancelOrder { tenant: order.tenant.clone(), order_id: response.order_id }))
                };
                let cancels = (0..STORM_ORDERS).map(cancel).collect::<Result<Vec<_>, Error>>()?;
                let cancelled = sender.send_all(cancels).await?;
                gas.push((placed.gas_used, cancelled.gas_used));
            }
            Ok::<_, Error>(gas)
        });
    }
    let mut gas = Vec::new();
    for storm in storms.join_all().await {
        gas.extend(storm?);
    }
    let costs: Vec<u64> = gas.iter().map(|(placed, cancelled)| placed + cancelled).collect();
    checks.push(flat(
        &format!("{} times {STORM_ORDERS} orders and their cancellation, each time", costs.len()),
        &costs,
    ));
    // Who has no CREDIT is told of the deposit all the same, and nobody else sends for this account.
    let poor = bed.stage.cast().member("authority")?;
    let dust = MsgCreateOrder { deposit: "9999".to_owned(), ..order_message(&plan, &poor.address()) };
    let what = "an order with one unit less than the least deposit";
    checks.push(refusal("E1", what, DEPOSIT_TOO_SMALL, &bed.stage.clients()[0], poor, any(&dust)).await);
    conclude(bed, rounds * 4, checks, Vec::new()).await
}

/// E2. All orders of the genesis document expire in the same second.
pub async fn due_at_once(options: &Options) -> Result<Played, Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(failed)?.as_secs();
    let mut document = crowded(options, DUE_AT_ONCE)?;
    let rows = document.pointer_mut("/app_state/market/orders").and_then(|rows| rows.as_array_mut());
    for row in rows.into_iter().flatten() {
        row["order"]["phase"] = json!({ "open": { "expires_at": now + DUE_AFTER_S } });
    }
    let per_block =
        document.pointer("/app_state/market/params/orders_per_block_max").and_then(|max| max.as_u64());
    let made = Made::new(options, |spec| spec.genesis = document)?;
    let bed = made.open_crowded().await?;
    let rpc = bed.net.node(0)?.rpc();
    let (mut height, mut closed, mut blocks) = (1, Vec::new(), Vec::new());
    let started = Instant::now();
    while closed.len() < DUE_AT_ONCE && started.elapsed() < PATIENCE {
        rpc.wait_for_height(height, PATIENCE).await?;
        let results = rpc.wait_for_results(height, PATIENCE).await?;
        let ends =
            results.finalize_block_events.iter().filter(|event| event.kind.ends_with("EventOrderClosed"));
        let ids = ends
            .filter_map(|event| event.attributes.iter().find(|a| a.key == "order_id")?.value.parse().ok());
        let before = closed.len();
        closed.extend(ids.collect::<Vec<u64>>());
        if closed.len() > before {
            blocks.push((height, closed.len() - before));
        }
        height += 1;
    }
    let most = blocks.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let is_ordered = closed.windows(2).all(|pair| pair[0] < pair[1]);
    let is_bounded = per_block.is_some_and(|max| u64::try_from(most).is_ok_and(|most| most <= max));
    let detail = format!(
        "{} orders closed in {} blocks, {most} in one at the most, {}",
        closed.len(),
        blocks.len(),
        if is_ordered { "oldest first" } else { "out of order" }
    );
    let check = Check::new("E2", closed.len() == DUE_AT_ONCE && is_ordered && is_bounded, detail);
    let first = blocks.first().map_or(1, |(height, _)| *height);
    let before = bed.intervals(2, first - 1).await?.median;
    let while_due = bed.intervals(first - 1, height - 1).await?;
    let ratio = |time: Duration| time.as_secs_f64() / before.as_secs_f64();
    let detail = format!(
        "a block took {before:.2?} before; while they closed {:.1} times as long, the slowest {:.1} times",
        ratio(while_due.median),
        ratio(while_due.slowest)
    );
    let goes_on = Check::new("E2", while_due.slowest <= INTERVAL_MAX, detail);
    conclude(bed, 1, vec![check, goes_on], Vec::new()).await
}

/// A genesis document with so many open orders, and the demo's accounts.
fn crowded(options: &Options, orders: usize) -> Result<Value, Error> {
    let load = BidLoad::new(1, orders * BIDS_AN_ORDER).map_err(failed)?;
    Ok(Cast::new()?.complete(load.genesis(options.genesis.clone()).map_err(failed)?)?)
}

/// Q1. Clients that ask for as much as they may, on a chain with many orders, and subscribers that never read.
pub async fn questions(options: &Options) -> Result<Played, Error> {
    let document = crowded(options, MANY_ORDERS)?;
    let bed = Made::new(options, |spec| spec.genesis = document)?.open_crowded().await?;
    let time = Duration::from_secs(if options.is_long { 60 } else { 5 });
    let quiet_from = bed.height().await;
    let quiet = bed.growth(time).await;
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        let subscribing = subscribe(bed.net.node(1)?.ports().rpc);
        deaf.push(tokio::time::timeout(PATIENCE, subscribing).await.map_err(failed)?.map_err(failed)?);
    }
    let pagination = Some(PageRequest { limit: u64::MAX, count_total: true, ..PageRequest::default() });
    let request = QueryOrdersRequest { pagination, ..Default::default() }.encode_to_vec();
    let answer = bed.net.node(1)?.rpc().abci_query(ORDERS_PATH, &request, 0, false).await?;
    let page = QueryOrdersResponse::decode(answer.value.as_slice()).map_err(failed)?.orders.len();
    let until = Instant::now() + time;
    let mut askers = JoinSet::new();
    for asker in 0..ASKERS {
        askers.spawn(ask(bed.net.node(1 + asker % 3)?.rpc().clone(), request.clone(), until));
    }
    let asked_from = bed.height().await;
    let asked = bed.growth(time).await;
    let mut answers = Answers::default();
    for asker in askers.join_all().await {
        answers.add(asker?);
    }
    drop(deaf);
    let before = bed.intervals(quiet_from, quiet_from + quiet).await?;
    let meanwhile = bed.intervals(asked_from, bed.height().await).await?;
    let goes_on = Check::new(
        "Q1",
        asked > 0 && meanwhile.slowest <= INTERVAL_MAX,
        format!(
            "{asked} blocks in {}, the slowest took {:.2?}; without questions {quiet}, and {:.2?}",
            seconds(time),
            meanwhile.slowest,
            before.slowest
        ),
    );
    let detail = format!("of {MANY_ORDERS} orders a page has {page}");
    let limited = Check::new("Q1", page > 0 && page < MANY_ORDERS, detail);
    let Answers { pages, past_pages, proofs, none, mut times } = answers;
    let count = pages + past_pages + proofs;
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    let detail = format!(
        "{pages} pages, {past_pages} of a past height and {proofs} proofs were answered, each with code 0, 99 of 100 within \
         {p99:.2?}; {none} calls were not"
    );
    let is_answered = [pages, past_pages, proofs].iter().all(|count| *count > 0) && none <= count / 10;
    let answered = Check::new("Q1", is_answered, detail);
    conclude(bed, count, vec![goes_on, limited, answered], Vec::new()).await
}

/// What questions came to.
#[derive(Default)]
struct Answers {
    pages: u32,
    past_pages: u32,
    proofs: u32,
    /// Calls without an answer of the application: a node under the flood may drop one, or take too long.
    none: u32,
    /// How long each answer took.
    times: Vec<Duration>,
}

impl Answers {
    fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.past_pages += other.past_pages;
        self.proofs += other.proofs;
        self.none += other.none;
        self.times.extend(other.times);
    }
}

/// Asks one question after the other: for a page, for one of a past height, for a record of a past height with its proof.
/// The application has no reason to refuse any.
async fn ask(rpc: Rpc, request: Vec<u8>, until: Instant) -> Result<Answers, Error> {
    let mut answers = Answers::default();
    let mut past = 0;
    for question in 0_u64.. {
        if Instant::now() >= until {
            break;
        }
        let (path, data, height, is_proof_wanted, count) = match question % 3 {
            0 => (ORDERS_PATH, request.as_slice(), 0, false, &mut answers.pages),
            1 => (ORDERS_PATH, request.as_slice(), past, false, &mut answers.past_pages),
            _ => (RECORD_PATH, PARAMS_KEY, past, true, &mut answers.proofs),
        };
        let started = Instant::now();
        let Ok(answer) = rpc.abci_query(path, data, height, is_proof_wanted).await else {
            answers.none += 1;
            continue;
        };
        if answer.code != 0 || answer.value.is_empty() || answer.proof_ops.is_null() == is_proof_wanted {
            return Err(failed(format!("{path} at height {height}: {answer:?}")));
        }
        *count += 1;
        answers.times.push(started.elapsed());
        if height == 0 {
            past = answer.height.saturating_sub(PAST_BLOCKS);
        }
    }
    Ok(answers)
}

/// A websocket that subscribes to every block and transaction, and reads nothing after both are acknowledged.
async fn subscribe(port: u16) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let handshake = format!(
        "GET /websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dW5kZXJiaWQgbG9jYWxuZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).await?;
    // A server that is sent more before it has answered closes the connection.
    let is_upgraded = |told: &str| told.starts_with("HTTP/1.1 101 ") && told.ends_with("\r\n\r\n");
    read_until(&mut stream, is_upgraded).await?;
    for (id, query) in [(1, "tm.event='NewBlock'"), (2, "tm.event='Tx'")] {
        let call = json!({ "jsonrpc": "2.0", "id": id, "method": "subscribe", "params": { "query": query } })
            .to_string();
        // A text frame of less than 126 bytes, masked with zeros.
        let length = u8::try_from(call.len()).map_err(std::io::Error::other)?;
        stream.write_all(&[0x81, 0x80 | length, 0, 0, 0, 0]).await?;
        stream.write_all(call.as_bytes()).await?;
        let acknowledgement = format!(r#""id":{id},"result":{{}}}}"#);
        read_until(&mut stream, |told| told.contains(&acknowledgement)).await?;
    }
    Ok(stream)
}

/// Reads until what was told is enough.
async fn read_until(stream: &mut TcpStream, is_enough: impl Fn(&str) -> bool) -> std::io::Result<()> {
    let mut told = Vec::new();
    while !is_enough(&String::from_utf8_lossy(&told)) {
        if stream.read_buf(&mut told).await? == 0 {
            let told = String::from_utf8_lossy(&told).into_owned();
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, told));
        }
    }
    Ok(())
}
