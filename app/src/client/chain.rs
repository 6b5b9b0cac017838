//! A chain as a client sees it: accounts, prices, simulation, and a transaction's way into a block.

mod error;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use kernel::{Address, num};
use prost::{Message, Name};
use prost_types::{Any, Timestamp};
use proto::{
    cosmos::{
        auth::v1beta1::{BaseAccount, ModuleAccount, QueryAccountRequest, QueryAccountResponse},
        base::v1beta1::Coin,
        tx::v1beta1::{SimulateRequest, SimulateResponse},
    },
    underbid::kernel::v1::{QueryBaseFeeRequest, QueryBaseFeeResponse},
};

use super::{
    keys::Key,
    rpc::{self, Event, Rpc},
    tx::{Draft, Outcome, SignedTx, Signer},
};
use error::{code, refused_simulation};

pub use error::{Error, Refusal};

/// What a transaction is allowed beyond its simulated gas: the state may change until it runs.
pub const GAS_ADJUSTMENT_PERCENT: u32 = 130;
/// What is offered beyond today's base fee: it may rise by an eighth a block, here for two blocks.
const FEE_HEADROOM_PERCENT: u128 = 127;
/// How often a transaction is signed anew because its sequence or its fee was overtaken.
const ATTEMPTS_MAX: u32 = 4;
/// The pause between two looks for a transaction.
const INCLUSION_POLL: Duration = Duration::from_millis(20);
/// How often a node is asked again about a transaction that it took and that is in no block yet.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// After so many more blocks CometBFT has indexed what was committed before: it hands a block's events to the index one by
/// one before it goes on.
const INDEX_LAG_BLOCKS: u64 = 2;

/// What CometBFT says of a transaction that its mempool or a block has already.
const KNOWN_TRANSACTION: &str = "tx already exists in cache";

/// An account, as its signer needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub address: Address,
    /// Its number, part of what is signed.
    pub number: u64,
    /// How many ordered transactions it has sent.
    pub sequence: u64,
}

/// The price of gas in the next block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseFee {
    /// Units of the denom for one unit of gas, times 10^18.
    pub atto_per_gas: u128,
    /// The denom in which fees are paid.
    pub denom: String,
}

impl BaseFee {
    /// The fee for so much gas, with room for the base fee to rise a little until the transaction runs.
    pub fn fee(&self, gas: u64) -> Result<Vec<Coin>, Error> {
        let overflow = |_| Error::FeeOverflow { gas, atto_per_gas: self.atto_per_gas };
        let now = num::mul_ceil(self.atto_per_gas, u128::from(gas), num::E18).map_err(overflow)?;
        let amount = num::mul_ceil(now, FEE_HEADROOM_PERCENT, 100).map_err(overflow)?;
        if amount == 0 {
            return Ok(Vec::new());
        }
        Ok(vec![Coin { denom: self.denom.clone(), amount: amount.to_string() }])
    }
}

/// What a transaction would do.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// The gas that it used.
    pub gas_used: u64,
    /// The response of each message.
    pub responses: Vec<Any>,
    /// What it would do.
    pub events: Vec<Event>,
}

/// How much gas a transaction may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gas {
    /// What simulation uses, times so many percent.
    Auto {
        /// At least 100.
        percent: u32,
    },
    /// So much.
    Limit(u64),
}

impl Default for Gas {
    fn default() -> Self {
        Self::Auto { percent: GAS_ADJUSTMENT_PERCENT }
    }
}

/// How a transaction is sent.
#[derive(Clone, Debug)]
pub struct SendOptions {
    /// How much gas it may use.
    pub gas: Gas,
    /// What it pays; none: by the base fee.
    pub fee: Option<Vec<Coin>>,
    /// Free text.
    pub memo: String,
    /// The last height at which it is good; 0: no limit.
    pub timeout_height: u64,
    /// Some: it waits for no other transaction of its signer, and is good for so long, at most 10 minutes.
    pub unordered_for: Option<Duration>,
    /// How long to wait for its block.
    pub wait: Duration,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self {
            gas: Gas::default(),
            fee: None,
            memo: String::new(),
            timeout_height: 0,
            unordered_for: None,
            wait: Duration::from_secs(30),
        }
    }
}

/// A client of one chain through one node; clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    rpc: Rpc,
    chain_id: String,
}

impl Client {
    /// A client for a chain whose id is known. Nothing is asked yet.
    pub fn new(rpc: Rpc, chain_id: impl Into<String>) -> Self {
        Self { rpc, chain_id: chain_id.into() }
    }

    /// A client for the chain of the node at `url`.
    pub async fn connect(url: impl Into<String>) -> Result<Self, Error> {
        let rpc = Rpc::new(url);
        let chain_id = rpc.status().await?.chain_id;
        Ok(Self { rpc, chain_id })
    }

    /// The node's RPC.
    pub fn rpc(&self) -> &Rpc {
        &self.rpc
    }

    /// The chain's id.
    pub fn chain_id(&self) -> &str {
        &self.chain_id
    }

    /// Asks a query by its path, as `/underbid.market.v1.Query/Order`, at a height or, with none, at the last one.
    pub async fn query<Q: Message, R: Message + Default>(
        &self,
        path: &str,
        request: &Q,
        height: Option<u64>,
    ) -> Result<R, Error> {
        let answer = self.query_bytes(path, &request.encode_to_vec(), height).await?;
        R::decode(answer.value.as_slice())
            .map_err(|e| Error::Answer { path: path.into(), why: e.to_string() })
    }

    /// The same with an encoded request; the answer's value is the encoded response.
    pub async fn query_bytes(
        &self,
        path: &str,
        request: &[u8],
        height: Option<u64>,
    ) -> Result<rpc::AbciQuery, Error> {
        let answer = self.rpc.abci_query(path, request, height.unwrap_or_default(), false).await?;
        if answer.code != 0 {
            let rpc::AbciQuery { codespace, code, log, .. } = answer;
            return Err(Error::Query { path: path.into(), codespace, code, log });
        }
        Ok(answer)
    }

    /// The account at an address.
    pub async fn account(&self, address: Address) -> Result<Account, Error> {
        let path = "/cosmos.auth.v1beta1.Query/Account";
        let request = QueryAccountRequest { address: address.to_string() };
        let answer: Result<QueryAccountResponse, Error> = self.query(path, &request, None).await;
        let any = match answer {
            Ok(answer) => answer.account.unwrap_or_default(),
            Err(Error::Query { code: code::NOT_FOUND, .. }) => return Err(Error::UnknownAccount(address)),
            Err(error) => return Err(error),
        };
        let wrong = |why: String| Error::Answer { path: path.into(), why };
        let base = match any.type_url.trim_start_matches('/') {
            name if name == BaseAccount::full_name() => BaseAccount::decode(any.value.as_slice()),
            name if name == ModuleAccount::full_name() => ModuleAccount::decode(any.value.as_slice())
                .map(|account| account.base_account.unwrap_or_default()),
            other => return Err(wrong(format!("expected an account, got {other:?}"))),
        };
        let base = base.map_err(|e| wrong(e.to_string()))?;
        Ok(Account { address, number: base.account_number, sequence: base.sequence })
    }

    /// The price of gas.
    pub async fn base_fee(&self) -> Result<BaseFee, Error> {
        let path = "/underbid.kernel.v1.Query/BaseFee";
        let answer: QueryBaseFeeResponse = self.query(path, &QueryBaseFeeRequest {}, None).await?;
        let atto_per_gas = num::parse_u128(&answer.base_fee).ok_or_else(|| Error::Answer {
            path: path.into(),
            why: format!("expected a decimal, got {:?}", answer.base_fee),
        })?;
        Ok(BaseFee { atto_per_gas, denom: answer.denom })
    }

    /// Runs a transaction on the last state without keeping anything. Signatures may be empty, as [`Draft::unsigned`]
    /// makes them.
    pub async fn simulate(&self, tx_bytes: Vec<u8>) -> Result<Simulation, Error> {
        let path = "/cosmos.tx.v1beta1.Service/Simulate";
        let request = SimulateRequest { tx: None, tx_bytes };
        let answer: SimulateResponse = self.query(path, &request, None).await.map_err(refused_simulation)?;
        let result = answer.result.unwrap_or_default();
        Ok(Simulation {
            gas_used: answer.gas_info.unwrap_or_default().gas_used,
            responses: result.msg_responses,
            events: result.events.into_iter().map(event).collect(),
        })
    }

    /// Fills in the gas limit and the fee that the options leave open. The accounts are those of the signers, in order.
    pub async fn price(
        &self,
        draft: &mut Draft,
        accounts: &[Account],
        options: &SendOptions,
    ) -> Result<(), Error> {
        draft.gas_limit = match options.gas {
            Gas::Limit(limit) => limit,
            Gas::Auto { percent } => {
                let sequences: Vec<u64> = accounts.iter().map(|account| account.sequence).collect();
                let unpriced = Draft { gas_limit: 0, fee: Vec::new(), ..draft.clone() };
                let simulation = self.simulate(unpriced.unsigned(&sequences)).await?;
                with_percent(simulation.gas_used, percent)
            }
        };
        draft.fee = match &options.fee {
            Some(fee) => fee.clone(),
            None => self.base_fee().await?.fee(draft.gas_limit)?,
        };
        Ok(())
    }

    /// Submits a transaction. Once it is accepted it waits in the mempool. One that the node has seen before is
    /// [`Error::Known`]: an equal one of the same sequence, so that of two only one is executed.
    pub async fn broadcast(&self, tx: &SignedTx) -> Result<(), Error> {
        let rpc::Broadcast { code, codespace, log, .. } = match self.rpc.broadcast_tx_sync(&tx.bytes).await {
            Err(rpc::Error::Refused { data, .. }) if data.contains(KNOWN_TRANSACTION) => {
                return Err(Error::Known { hash: tx.id() });
            }
            Err(source) if source.may_have_been_heard() => return Err(unknown(tx, source)),
            answer => answer?,
        };
        if code == 0 {
            return Ok(());
        }
        Err(Error::Refused(Box::new(Refusal { hash: tx.id(), codespace, code, log, outcome: None })))
    }

    /// Waits until a transaction that was submitted is in a block, whatever the block made of it. A mempool drops without a
    /// word what another transaction, a rise of the base fee or the time made invalid, so the node is asked again now and
    /// then.
    pub async fn wait(&self, tx: &SignedTx, timeout: Duration) -> Result<Outcome, Error> {
        let started = Instant::now();
        let mut asked = started;
        loop {
            match self.rpc.tx(&tx.hash).await {
                Ok(Some(inclusion)) => return Ok(inclusion.into()),
                // A node that restarts answers again.
                Err(rpc::Error::Http { .. }) if started.elapsed() < timeout => {}
                Err(source) => return Err(unknown(tx, source)),
                Ok(None) => {}
            }
            if started.elapsed() >= timeout {
                return Err(Error::NotIncluded { hash: tx.id(), waited: timeout });
            }
            if asked.elapsed() >= ASK_AGAIN {
                if let Err(Error::Refused(refusal)) = self.broadcast(tx).await {
                    let inclusion = self.included_by_now(tx, timeout).await?;
                    return inclusion.ok_or(Error::Dropped(refusal));
                }
                asked = Instant::now();
            }
            tokio::time::sleep(INCLUSION_POLL).await;
        }
    }

    /// What a block up to the present one made of a transaction; none where it is in none of them.
    async fn included_by_now(&self, tx: &SignedTx, timeout: Duration) -> Result<Option<Outcome>, Error> {
        let look = async {
            let height = self.rpc.height().await?;
            self.rpc.wait_for_height(height.saturating_add(INDEX_LAG_BLOCKS), timeout).await?;
            self.rpc.tx(&tx.hash).await
        };
        look.await.map(|inclusion| inclusion.map(Outcome::from)).map_err(|source| unknown(tx, source))
    }

    /// Submits a transaction and waits for its block. One that fails there is refused, with its outcome.
    pub async fn broadcast_and_wait(&self, tx: &SignedTx, timeout: Duration) -> Result<Outcome, Error> {
        self.broadcast(tx).await?;
        succeeded(self.wait(tx, timeout).await?)
    }

    /// Prices, signs and submits messages, and waits for their block. The keys are those of the messages' signers, in the
    /// order of first appearance. Where another transaction of a signer, or a rise of the base fee, came first, it is
    /// priced and signed anew.
    pub async fn send(
        &self,
        keys: &[&Key],
        messages: Vec<Any>,
        options: &SendOptions,
    ) -> Result<Outcome, Error> {
        let mut attempt = 1;
        loop {
            let accounts = self.accounts(keys).await?;
            let sent = match self.sign(keys, &accounts, messages.clone(), options).await {
                Ok(tx) => match self.broadcast_and_wait(&tx, options.wait).await {
                    Err(Error::Dropped(refusal)) => {
                        self.overtaken(&tx, &accounts, refusal, options.wait).await
                    }
                    sent => sent,
                },
                Err(error) => Err(error),
            };
            match sent {
                Err(error) if attempt < ATTEMPTS_MAX && error.is_sequence_taken() => {
                    self.wait_for_next_block(options.wait).await?;
                }
                Err(error) if attempt < ATTEMPTS_MAX && error.is_fee_overtaken() => {}
                done => return done,
            }
            attempt += 1;
        }
    }

    /// What became of a transaction that was dropped: it may be sent anew, as one that was refused, only if it can never be
    /// executed, because another one used its sequence.
    async fn overtaken(
        &self,
        tx: &SignedTx,
        accounts: &[Account],
        refusal: Box<Refusal>,
        timeout: Duration,
    ) -> Result<Outcome, Error> {
        if !refusal.is_sequence_taken() {
            return Err(Error::Dropped(refusal));
        }
        let mut is_used = false;
        for account in accounts {
            is_used |= self.account(account.address).await?.sequence > account.sequence;
        }
        if !is_used {
            return Err(Error::Dropped(refusal));
        }
        // The use that was just seen may have been its own.
        succeeded(self.included_by_now(tx, timeout).await?.ok_or(Error::Refused(refusal))?)
    }

    /// Waits for another block: until then an account reads as before, whatever of it waits in the mempool.
    pub async fn wait_for_next_block(&self, timeout: Duration) -> Result<(), Error> {
        let height = self.rpc.height().await?;
        self.rpc.wait_for_height(height.saturating_add(1), timeout).await?;
        Ok(())
    }

    /// Prices and signs messages, as [`Client::send`] does, without submitting them.
    pub async fn prepare(
        &self,
        keys: &[&Key],
        messages: Vec<Any>,
        options: &SendOptions,
    ) -> Result<SignedTx, Error> {
        let accounts = self.accounts(keys).await?;
        self.sign(keys, &accounts, messages, options).await
    }

    async fn accounts(&self, keys: &[&Key]) -> Result<Vec<Account>, Error> {
        let mut accounts = Vec::with_capacity(keys.len());
        for key in keys {
            accounts.push(self.account(key.address()).await?);
        }
        Ok(accounts)
    }

    async fn sign(
        &self,
        keys: &[&Key],
        accounts: &[Account],
        messages: Vec<Any>,
        options: &SendOptions,
    ) -> Result<SignedTx, Error> {
        let mut draft = self.draft(messages, options);
        self.price(&mut draft, accounts, options).await?;
        let signers: Vec<Signer<'_>> =
            keys.iter().zip(accounts).map(|(key, account)| account.signer(key)).collect();
        Ok(draft.sign(&self.chain_id, &signers))
    }

    /// A transaction of these messages as the options want it, without gas and fee.
    pub fn draft(&self, messages: Vec<Any>, options: &SendOptions) -> Draft {
        Draft {
            memo: options.memo.clone(),
            timeout_height: options.timeout_height,
            unordered_until: options.unordered_for.map(timeout_timestamp),
            ..Draft::new(messages)
        }
    }
}

impl Account {
    /// This account with its key, as a signer.
    pub fn signer<'a>(&self, key: &'a Key) -> Signer<'a> {
        Signer { key, account_number: self.number, sequence: self.sequence }
    }
}

fn unknown(tx: &SignedTx, source: rpc::Error) -> Error {
    Error::OutcomeUnknown { hash: tx.id(), source: Box::new(source) }
}

/// The outcome of a transaction that did what it should; a failed one is a refusal.
pub fn succeeded(outcome: Outcome) -> Result<Outcome, Error> {
    if outcome.code == 0 {
        return Ok(outcome);
    }
    Err(Error::Refused(Box::new(Refusal {
        hash: outcome.hash.clone(),
        codespace: outcome.codespace.clone(),
        code: outcome.code,
        log: outcome.log.clone(),
        outcome: Some(outcome),
    })))
}

fn with_percent(gas: u64, percent: u32) -> u64 {
    let product = u128::from(gas).saturating_mul(u128::from(percent.max(100)));
    u64::try_from(product.div_ceil(100)).unwrap_or(u64::MAX)
}

/// A moment so far ahead, to the nanosecond, that no other call of this process gets: two unordered transactions with the
/// same bytes would be one.
fn timeout_timestamp(ahead: Duration) -> Timestamp {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wanted = u64::try_from(now.saturating_add(ahead).as_nanos()).unwrap_or(u64::MAX);
    let unique = |last: u64| Some(wanted.max(last.saturating_add(1)));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, unique).unwrap_or_default();
    let nanos = wanted.max(last.saturating_add(1));
    Timestamp {
        seconds: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos % 1_000_000_000).unwrap_or_default(),
    }
}

fn event(event: proto::tendermint::abci::Event) -> Event {
    let attributes = event.attributes.into_iter();
    Event {
        kind: event.r#type,
        attributes: attributes.map(|a| rpc::Attribute { key: a.key, value: a.value }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_has_room_for_two_rises_of_the_base_fee() {
        let base = |atto_per_gas| BaseFee { atto_per_gas, denom: "uflop".into() };
        // 0.01 uflop a unit: 100_000 gas cost 1_000 now, and 1_266 after two rises by an eighth.
        let fee = base(10_000_000_000_000_000).fee(100_000).unwrap();
        assert_eq!(fee, [Coin { denom: "uflop".into(), amount: "1270".into() }]);
        assert_eq!(base(1).fee(1).unwrap()[0].amount, "2");
        assert_eq!(base(0).fee(u64::MAX).unwrap(), []);
        assert!(matches!(base(u128::MAX).fee(u64::MAX), Err(Error::FeeOverflow { .. })));
    }

    #[test]
    fn the_gas_limit_is_rounded_up_and_never_below_what_was_used() {
        assert_eq!(with_percent(100_001, 130), 130_002);
        assert_eq!(with_percent(100, 0), 100);
        assert_eq!(with_percent(u64::MAX, 130), u64::MAX);
    }

    #[test]
    fn no_two_unordered_transactions_share_a_timeout() {
        let ahead = Duration::from_secs(60);
        let times: std::collections::BTreeSet<(i64, i32)> =
            (0..1_000).map(|_| timeout_timestamp(ahead)).map(|time| (time.seconds, time.nanos)).collect();
        assert_eq!(times.len(), 1_000);
    }
}
