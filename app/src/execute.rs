//! The state machine: a block and a view go in, a candidate comes out, and nothing is touched.

use std::sync::Arc;

use kernel::{
    AbciEvent, Address, Amount, AppHash, At, Backend, Block, Change, Changes, Ctx, Error, EventBytes, Fatal,
    KeyRange, Mode, Reject, Reply, Result, Space, Staged, View, authority, chain,
};
use prost::Message as _;
use prost_types::Any;
use proto::cosmos::base::abci::v1beta1::TxMsgData;

use crate::{
    ante::{self, Paid},
    modules::{self, AppState},
    pipeline,
    signatures::{Checked, Facts, SignatureCache},
    tx::{Purpose, Tx},
};

/// A block as consensus delivers it.
#[derive(Clone, Debug, Default)]
pub struct RawBlock {
    /// Its height.
    pub height: u64,
    /// Its header's time, Unix seconds.
    pub time_s: u64,
    /// The nanoseconds of its header's time.
    pub time_nanos: u32,
    /// Its hash.
    pub hash: Vec<u8>,
    /// Its transactions.
    pub txs: Vec<Vec<u8>>,
}

/// What became of a transaction. Code, data, gas wanted and gas used are consensus data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxResult {
    /// 0, or why it failed.
    pub code: u32,
    /// The module that refused.
    pub codespace: String,
    /// An encoded `TxMsgData`; empty if it failed.
    pub data: Vec<u8>,
    /// For a person.
    pub log: String,
    /// Its gas limit.
    pub gas_wanted: u64,
    /// The gas it used, at most the limit.
    pub gas_used: u64,
    /// What happened, as clients search it.
    pub events: Vec<AbciEvent>,
    /// The replies of its messages, for a simulation.
    pub replies: Vec<Reply>,
}

/// A block's outcome, not yet the state.
pub struct Candidate {
    /// Its height.
    pub height: u64,
    /// The app hash after it.
    pub app_hash: AppHash,
    /// What `commit` needs.
    pub staged: Staged,
    /// One result a transaction, in order.
    pub tx_results: Vec<TxResult>,
    /// The events of the block's own work.
    pub events: Vec<AbciEvent>,
    /// The gas that its transactions used.
    pub gas_used: u64,
    /// What the execution read and wrote.
    pub counters: kernel::Counters,
}

/// What a block is executed on: the last committed view, or the genesis state that has not been committed yet.
#[derive(Clone)]
pub struct Base {
    /// The committed view; empty before the first block.
    pub view: Arc<dyn View>,
    /// The genesis state, until the first block is committed.
    pub genesis: Option<Arc<GenesisView>>,
}

impl Base {
    /// The state that a block reads.
    pub fn state(&self) -> Arc<dyn View> {
        match &self.genesis {
            Some(genesis) => genesis.clone(),
            None => Arc::clone(&self.view),
        }
    }
}

/// The genesis state: it lives in memory and goes to disk together with the first block, so that a node which stops in
/// between starts again from nothing.
pub struct GenesisView {
    /// The one before the first block's.
    height: u64,
    changes: Changes,
    /// The app hash that the first header carries.
    pub app_hash: AppHash,
}

impl GenesisView {
    /// Runs the genesis document. `height` is the chain's first height.
    pub fn new(store: &dyn Backend, empty: &dyn View, block: Block, state: AppState) -> Result<Self> {
        let height = block.height.value().saturating_sub(1);
        let nothing: Arc<dyn View> = Arc::new(Self { height, changes: Changes::new(), app_hash: [0; 32] });
        let mut ctx = Ctx::new(nothing, Mode::Deliver, block);
        modules::init_genesis(&mut ctx, state)?;
        chain::seal(&mut ctx, Vec::new())?;
        let changes = ctx.finish().changes;
        bank::check_changes(&changes).map_err(broken)?;
        let app_hash = store.stage(empty, changes.clone())?.app_hash;
        Ok(Self { height, changes, app_hash })
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        self.changes.keys().filter(|(space, _)| matches!(space, Space::State(_))).count()
    }

    /// The genesis state and what the first block made of it, as changes on an empty store.
    fn merged_with(&self, block: Changes) -> Changes {
        let mut all = self.changes.clone();
        for (key, change) in block {
            all.insert(key, Change { old: None, new: change.new });
        }
        all.retain(|_, change| change.new.is_some());
        all
    }
}

impl View for GenesisView {
    fn height(&self) -> u64 {
        self.height
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<bytes::Bytes>, Fatal> {
        let key = (space, bytes::Bytes::copy_from_slice(key));
        Ok(self.changes.get(&key).and_then(|change| change.new.clone()))
    }

    fn scan(
        &self,
        space: Space,
        range: KeyRange<'_>,
        limit: u32,
    ) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, Fatal> {
        let start = (space, bytes::Bytes::copy_from_slice(range.start));
        let entries = self
            .changes
            .range(start..)
            .take_while(|((at, key), _)| *at == space && range.end.is_none_or(|end| key.as_ref() < end));
        let present = entries.filter_map(|((_, key), change)| Some((key.clone(), change.new.clone()?)));
        Ok(present.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }
}

/// Executes a block. Only a fault of this machine, or a broken supply, is an error.
pub fn execute(
    base: &Base,
    store: &dyn Backend,
    block: &RawBlock,
    signatures: &SignatureCache,
) -> Result<Candidate, Fatal> {
    let state = base.state();
    let last = chain::last_block(&state)?;
    let mut ctx = Ctx::new(Arc::clone(&state), Mode::Deliver, next_block(&last, block));
    modules::begin_block(&mut ctx, &block.hash)?;
    let mut block_events = ctx.take_events();
    let run_all = |txs: &mut dyn Iterator<Item = Result<Tx, Reject>>, done: &mut dyn FnMut(Ran)| {
        // All pay before any message runs: no message takes the money that another transaction's place was checked for.
        let begin = |tx: Result<Tx, Reject>| match tx {
            Ok(tx) => begin_tx(&mut ctx, tx, signatures).map(Ok),
            Err(reject) => Ok(Err(reject)),
        };
        let begun: Vec<Result<Begun, Reject>> = txs.map(begin).collect::<Result<_, Fatal>>()?;
        let (mut gas_used, mut gas_paid, mut base_fees) = (0u64, 0u64, Amount::ZERO);
        for begun in begun {
            let one = match begun {
                Ok(begun) => begun.run(&mut ctx)?,
                Err(reject) => Ran::refused(reject),
            };
            gas_used = gas_used.saturating_add(one.result.gas_used);
            if let Some(paid) = one.paid {
                gas_paid = gas_paid.saturating_add(one.result.gas_wanted);
                base_fees = base_fees.plus(paid.base).unwrap_or(Amount::MAX);
            }
            done(one);
        }
        modules::end_block(&mut ctx, gas_paid, base_fees)?;
        Ok::<u64, Fatal>(gas_used)
    };
    let decode = |bytes: &Vec<u8>| decode_and_check(&state, &last, bytes, signatures);
    let (gas_used, shown) = pipeline::run(&block.txs, decode, run_all, Ran::into_result_and_leaf);
    let gas_used = gas_used?;
    block_events.extend(ctx.take_events());
    let (tx_results, leaves): (Vec<_>, Vec<_>) = shown.into_iter().unzip();
    let mut leaves: Vec<[u8; 32]> = leaves.into_iter().flatten().collect();
    leaves.push(chain::event_leaf(&block_events));
    modules::block_work(chain::seal(&mut ctx, leaves))?;

    let counters = ctx.counters();
    let changes = ctx.finish().changes;
    bank::check_changes(&changes)
        .map_err(|broken| Fatal::Invariant { name: "supply", detail: broken.to_string() })?;
    let changes = match &base.genesis {
        Some(genesis) => genesis.merged_with(changes),
        None => changes,
    };
    let staged = store.stage(base.view.as_ref(), changes)?;
    let events = block_events.into_iter().flat_map(|event| event.rendered()).collect();
    Ok(Candidate {
        height: block.height,
        app_hash: staged.app_hash,
        staged,
        tx_results,
        events,
        gas_used,
        counters,
    })
}

fn next_block(last: &Block, block: &RawBlock) -> Block {
    Block {
        height: At::new(block.height),
        time: At::new(block.time_s),
        time_nanos: block.time_nanos,
        ..last.clone()
    }
}

/// Decodes a transaction, asks the store for what it will read, and checks its signatures against the accounts as they are
/// before the block. The ante checks those again whose accounts the block's own earlier transactions have changed.
fn decode_and_check(
    state: &Arc<dyn View>,
    last: &Block,
    bytes: &[u8],
    signatures: &SignatureCache,
) -> Result<Tx, Reject> {
    let mut tx = Tx::decode(bytes, last.app_version, Purpose::Execute)?;
    // A failing read is met again, and reported, when the transaction runs.
    tx.checked = check_ahead(state, last, &tx, signatures).unwrap_or_default();
    Ok(tx)
}

fn check_ahead(
    state: &Arc<dyn View>,
    last: &Block,
    tx: &Tx,
    signatures: &SignatureCache,
) -> Result<Option<Checked>> {
    for message in &tx.messages {
        modules::read_ahead(state.as_ref(), message)?;
    }
    let ctx = Ctx::new(Arc::clone(state), Mode::Query, last.clone());
    let Some(facts) = expected_facts(&ctx, tx)? else { return Ok(None) };
    let good = signatures.check(tx, &facts, &last.chain_id);
    Ok(Some(Checked { facts, good }))
}

fn expected_facts(ctx: &Ctx, tx: &Tx) -> Result<Option<Vec<Facts>>> {
    let mut facts = Vec::with_capacity(tx.signers.len());
    for signer in &tx.signers {
        let Some(account) = auth::get(ctx, &signer.address)? else { return Ok(None) };
        let Some(key) = account.key.or_else(|| signer.key.clone()) else { return Ok(None) };
        facts.push(Facts { account_number: account.number, key });
    }
    Ok(Some(facts))
}

/// What running a transaction left.
pub struct Ran {
    /// `None`: it could not be read.
    tx: Option<Tx>,
    /// Its result, without the events that ABCI shows.
    result: TxResult,
    events: Vec<EventBytes>,
    paid: Option<Paid>,
}

impl Ran {
    fn refused(reject: Reject) -> Self {
        Self { tx: None, result: refused(reject, 0, 0), events: Vec::new(), paid: None }
    }

    /// Its leaf in the block's event log; `None`: nothing happened.
    fn leaf(&self) -> Option<[u8; 32]> {
        (!self.events.is_empty()).then(|| chain::event_leaf(&self.events))
    }

    /// What ABCI shows of it: what it paid and who signed, its typed events, its messages if they were executed.
    fn shown(&self) -> Vec<AbciEvent> {
        let Some(tx) = &self.tx else { return Vec::new() };
        let mut shown = self.paid.as_ref().map(|paid| tx_events(tx, paid)).unwrap_or_default();
        shown.extend(self.events.iter().flat_map(EventBytes::rendered));
        if self.result.code == 0 {
            shown.extend(message_events(tx));
        }
        shown
    }

    /// The whole result.
    pub fn into_result(self) -> TxResult {
        TxResult { events: self.shown(), ..self.result }
    }

    fn into_result_and_leaf(self) -> (TxResult, Option<[u8; 32]>) {
        let leaf = self.leaf();
        (self.into_result(), leaf)
    }
}

/// A transaction after the ante.
struct Begun {
    tx: Tx,
    gas_used: u64,
    events: Vec<EventBytes>,
    /// What it paid, or the result that it ends with.
    paid: Result<Paid, TxResult>,
}

/// Runs a transaction by itself: the ante, then its messages, all or none.
pub fn run_tx(ctx: &mut Ctx, tx: Tx, signatures: &SignatureCache) -> Result<Ran, Fatal> {
    begin_tx(ctx, tx, signatures)?.run(ctx)
}

/// Runs the ante.
fn begin_tx(ctx: &mut Ctx, tx: Tx, signatures: &SignatureCache) -> Result<Begun, Fatal> {
    let before = ctx.gas_used();
    let outcome = ctx.with_gas(tx.gas_limit, |ctx| ctx.attempt(|ctx| ante::run(ctx, &tx, signatures)));
    let gas_used = ctx.gas_used().saturating_sub(before);
    let paid = outcome.map(Ok).or_else(|error| failed(&tx, error, gas_used).map(Err))?;
    Ok(Begun { tx, gas_used, events: ctx.take_events(), paid })
}

impl Begun {
    /// Runs the messages, if it has paid.
    fn run(self, ctx: &mut Ctx) -> Result<Ran, Fatal> {
        let Self { tx, gas_used: used, mut events, paid } = self;
        let paid = match paid {
            Ok(paid) => paid,
            Err(result) => return Ok(Ran { tx: Some(tx), result, events, paid: None }),
        };
        let (before, left) = (ctx.gas_used(), tx.gas_limit.saturating_sub(used));
        let outcome = ctx.with_gas(left, |ctx| ctx.attempt(|ctx| run_messages(ctx, &tx)));
        let gas_used = ctx.gas_used().saturating_sub(before).saturating_add(used);
        let result = outcome
            .map(|replies| succeeded(&tx, gas_used, replies))
            .or_else(|error| failed(&tx, error, gas_used))?;
        events.append(&mut ctx.take_events());
        Ok(Ran { tx: Some(tx), result, events, paid: Some(paid) })
    }
}

/// The result of a transaction that came to an error.
fn failed(tx: &Tx, error: Error, gas_used: u64) -> Result<TxResult, Fatal> {
    match error {
        Error::Fatal(fatal) => Err(fatal),
        Error::Rejected(reject) => Ok(refused(reject, tx.gas_limit, gas_used)),
        Error::OutOfGas => Ok(refused(out_of_gas(tx), tx.gas_limit, gas_used)),
    }
}

fn run_messages(ctx: &mut Ctx, tx: &Tx) -> Result<Vec<Reply>> {
    let mut replies = Vec::with_capacity(tx.messages.len());
    for (index, (message, action)) in tx.messages.iter().zip(&tx.actions).enumerate() {
        ctx.charge(kernel::Cost::Fixed(message.base_gas()))?;
        let actor = message.signers().as_slice().first().copied();
        let actor = actor.ok_or_else(|| Reject::unauthorized("a message needs a signer"))?;
        let reply = modules::handle(ctx, authority::signed(message.clone(), actor), action);
        replies.push(reply.map_err(|error| at_message(error, index))?);
    }
    Ok(replies)
}

fn at_message(error: Error, index: usize) -> Error {
    match error {
        Error::Rejected(reject) => Reject {
            message: format!("failed to execute message; message index: {index}: {}", reject.message),
            ..reject
        }
        .into(),
        other => other,
    }
}

fn succeeded(tx: &Tx, gas_used: u64, replies: Vec<Reply>) -> TxResult {
    let any = |reply: &Reply| Any { type_url: reply.type_url.clone(), value: reply.value.clone() };
    let data = TxMsgData { msg_responses: replies.iter().map(any).collect(), ..Default::default() };
    TxResult { data: data.encode_to_vec(), gas_wanted: tx.gas_limit, gas_used, replies, ..Default::default() }
}

/// The result of a transaction that was refused.
pub fn refused(reject: Reject, gas_wanted: u64, gas_used: u64) -> TxResult {
    TxResult {
        code: reject.code,
        codespace: reject.codespace.to_owned(),
        log: reject.message,
        gas_wanted,
        gas_used,
        ..Default::default()
    }
}

fn out_of_gas(tx: &Tx) -> Reject {
    Reject::new(Reject::SDK, 11, format!("out of gas: the limit of {} is not enough", tx.gas_limit))
}

fn tx_events(tx: &Tx, paid: &ante::Paid) -> Vec<AbciEvent> {
    let fee = AbciEvent {
        kind: "tx",
        attributes: vec![
            ("fee", format!("{}{}", paid.fee, bank::uflop())),
            ("fee_payer", tx.fee_payer.to_string()),
        ],
    };
    let sequences = tx.signers.iter().map(|signer| AbciEvent {
        kind: "tx",
        attributes: vec![("acc_seq", format!("{}/{}", signer.address, signer.sequence))],
    });
    let signatures = tx.signers.iter().map(|signer| AbciEvent {
        kind: "tx",
        attributes: vec![(
            "signature",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &signer.signature),
        )],
    });
    std::iter::once(fee).chain(sequences).chain(signatures).collect()
}

fn message_events(tx: &Tx) -> impl Iterator<Item = AbciEvent> {
    tx.messages.iter().zip(&tx.actions).enumerate().map(|(index, (message, action))| {
        let sender = message.signers().as_slice().first().map(Address::to_string).unwrap_or_default();
        let module = message.module().to_owned();
        let attributes = vec![
            ("action", action.clone()),
            ("sender", sender),
            ("module", module),
            ("msg_index", index.to_string()),
        ];
        AbciEvent { kind: "message", attributes }
    })
}

fn broken(broken: kernel::Broken) -> Error {
    Fatal::Invariant { name: "supply", detail: broken.to_string() }.into()
}
