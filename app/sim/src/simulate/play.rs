//! Plays a history on a chain of two replicas and checks after every step what must hold.

use std::collections::BTreeMap;

use kernel::Depth;
use serde_json::Value;
use tendermint_abci::Application as _;
use tendermint_proto::v0_38::abci::{
    RequestPrepareProposal, RequestProcessProposal, response_process_proposal::ProposalStatus,
};
use underbid::{execute::RawBlock, query};

use super::{
    coverage::Coverage,
    history::{Block, Step},
    random::Random,
    sign::Signing,
};
use crate::{Done, Home, Observer, START_S, TestChain, attribute};

/// Every so many blocks all records are checked.
const FULL_EVERY: u64 = 32;
/// Queries that are asked between the calls of consensus; none may fail for a fault of the node.
const QUERIES: [&str; 6] = [
    "/underbid.market.v1.Query/Orders",
    "/underbid.market.v1.Query/Params",
    "/underbid.market.v1.Query/Held",
    "/underbid.provider.v1.Query/Providers",
    "/underbid.provider.v1.Query/Classes",
    "/cosmos.bank.v1beta1.Query/TotalSupply",
];

/// What the second replica is given instead of a block: a fault that the checks must find.
pub type Plant = fn(plan: &Block, block: &RawBlock) -> RawBlock;

/// A history while it is played.
pub struct Play {
    /// The chain.
    pub chain: TestChain,
    /// What was reached.
    pub coverage: Coverage,
    /// A planted fault.
    pub plant: Option<Plant>,
    on_disk: bool,
    start: Start,
    blocks: Vec<RawBlock>,
    last: Option<Done>,
    supply: BTreeMap<&'static str, u128>,
    observers: Vec<Box<dyn Observer>>,
}

/// Where the chain began.
struct Start {
    state: Value,
    height: u64,
    time_s: u64,
}

impl Play {
    /// Two replicas that have run this genesis: of a history on disk one is there, so that both kinds of store must agree.
    pub fn begin(state: &Value, on_disk: bool, observers: Vec<Box<dyn Observer>>) -> Result<Self, String> {
        let start = Start { state: state.clone(), height: 1, time_s: START_S };
        let chain = start.chain(on_disk)?;
        let ctx = chain.ctx();
        let units = |denom| bank::supply(&ctx, &denom).unwrap().units();
        let supply = BTreeMap::from([("uflop", units(bank::uflop())), ("ucredit", units(bank::ucredit()))]);
        let mut play = Self {
            chain,
            coverage: Coverage::default(),
            plant: None,
            on_disk,
            start,
            blocks: Vec::new(),
            last: None,
            supply,
            observers,
        };
        play.tell_genesis()?;
        Ok(play)
    }

    /// How many blocks the chain has since its genesis.
    pub fn length(&self) -> usize {
        self.blocks.len()
    }

    /// Makes a step. The error says what does not hold.
    pub fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Block(block) => return self.block(block),
            // A chain without a block has nothing to stop, to take back or to continue.
            _ if self.blocks.is_empty() => return Ok(()),
            Step::Restart => self.chain.restart(),
            Step::Rollback => self.roll_back()?,
            Step::Import { gap_s } => self.import(*gap_s)?,
            Step::Replay => self.replay()?,
        }
        self.coverage.step(step);
        Ok(())
    }

    /// What must hold at the end.
    pub fn finish(&mut self) -> Result<(), String> {
        self.chain.try_check(Depth::Full)
    }

    fn block(&mut self, plan: &Block) -> Result<(), String> {
        let (order, block) = self.signed(plan);
        if plan.rounds > 0 {
            self.rounds(plan.rounds, &block)?;
        }
        let given = self.plant.map(|plant| plant(plan, &block));
        let done = match &given {
            Some(other) => {
                self.chain.try_apply_each(&block, |replica| if replica == 1 { other } else { &block })?
            }
            None => self.chain.try_apply(&block)?,
        };
        self.coverage.block(plan, &order, &done)?;
        self.check_supply(&done)?;
        let full = block.height.is_multiple_of(FULL_EVERY);
        self.chain.try_check(Depth::Counters)?;
        if full {
            self.chain.try_check(Depth::Full)?;
        }
        for observer in &mut self.observers {
            observer.block(&self.chain, &block, &done)?;
        }
        self.blocks.push(block);
        self.last = Some(done);
        Ok(())
    }

    /// The block with its transactions signed, and for each of them its place in the plan.
    fn signed(&self, plan: &Block) -> (Vec<usize>, RawBlock) {
        let ctx = self.chain.ctx();
        let mut signing = Signing::on(&ctx);
        let mut txs = Vec::new();
        for (index, tx) in plan.txs.iter().enumerate() {
            let bytes = signing.sign(tx);
            txs.extend(std::iter::repeat_n((index, bytes), 1 + tx.repeats as usize));
        }
        if plan.shuffle > 0 {
            Random::new(plan.shuffle).shuffle(&mut txs);
        }
        let (order, txs) = txs.into_iter().unzip();
        let mut hash = Random::new(plan.hash);
        let block = RawBlock {
            height: self.chain.height + 1,
            time_s: self.chain.time_s + plan.after_s,
            time_nanos: plan.nanos,
            hash: (0..4).flat_map(|_| hash.next().to_be_bytes()).collect(),
            txs,
        };
        (order, block)
    }

    /// What a node of a chain with several rounds a height sees before the block is decided: other proposals, transactions
    /// that ask to enter the mempool, queries, blocks that are executed and not committed. Only the first replica does it, so
    /// that the comparison with the other one shows that nothing of it is left.
    fn rounds(&mut self, seed: u64, block: &RawBlock) -> Result<(), String> {
        let mut random = Random::new(seed);
        let abci = self.chain.abci();
        for _ in 0..random.between(1, 3) {
            let mut txs = block.txs.clone();
            random.shuffle(&mut txs);
            txs.truncate(random.index(txs.len() + 1));
            for tx in &txs {
                let checked = self.chain.app().check_tx(tx, random.chance(1, 3));
                self.coverage.checked(&checked.map_err(|fatal| fatal.to_string())?);
                self.chain.app().simulate(tx).map_err(|fatal| fatal.to_string())?;
            }
            let max_tx_bytes = random.pick(&[300, 3_000, 4 << 20]);
            let txs = txs.into_iter().map(Into::into).collect();
            let txs =
                abci.prepare_proposal(RequestPrepareProposal { txs, max_tx_bytes, ..Default::default() }).txs;
            let request = RequestProcessProposal { txs: txs.clone(), ..Default::default() };
            if abci.process_proposal(request).status != ProposalStatus::Accept as i32 {
                return Err("a validator rejects what an honest proposer made".into());
            }
            let path = random.pick(&QUERIES);
            query::run(self.chain.app(), path, &[], 0).map_err(|status| format!("{path}: {status}"))?;
            let txs = txs.into_iter().map(|tx| tx.to_vec()).collect();
            let hash = random.next().to_be_bytes().repeat(4);
            let other = RawBlock { txs, hash, time_s: block.time_s + random.below(3), ..block.clone() };
            self.chain.app().finalize(&other).map_err(|fatal| fatal.to_string())?;
        }
        if random.chance(1, 2) {
            // The same block twice before the commit: as after a crash in between.
            self.chain.app().finalize(block).map_err(|fatal| fatal.to_string())?;
        }
        self.coverage.rounds();
        Ok(())
    }

    fn check_supply(&mut self, done: &Done) -> Result<(), String> {
        for event in done.all_events().filter(|event| event.kind == "underbid.bank.v1.EventBurned") {
            let amount: u128 = attribute(event, "amount").unwrap_or_default().parse().unwrap();
            let denom = attribute(event, "denom").unwrap_or_default();
            *self.supply.get_mut(denom).unwrap() -= amount;
        }
        let ctx = self.chain.ctx();
        for (denom, expected) in [("uflop", bank::uflop()), ("ucredit", bank::ucredit())]
            .map(|(name, denom)| (denom, self.supply[name]))
        {
            let supply = bank::supply(&ctx, &denom).unwrap().units();
            if supply != expected {
                return Err(format!("there are {supply}{denom}, genesis less what was burned is {expected}"));
            }
        }
        Ok(())
    }

    fn roll_back(&mut self) -> Result<(), String> {
        // The first block brings the genesis with it: there is nothing before it.
        if self.blocks.len() < 2 {
            return Ok(());
        }
        let (Some(block), Some(before)) = (self.blocks.last(), self.last.take()) else { return Ok(()) };
        self.chain.rollback();
        let again = self.chain.try_apply(block)?;
        if let Some(difference) = before.difference(&again) {
            return Err(format!("after a rollback the block gives something else: {difference}"));
        }
        self.last = Some(again);
        Ok(())
    }

    fn import(&mut self, gap_s: u64) -> Result<(), String> {
        let state = self.chain.export();
        let height = self.chain.height + 1;
        let start = Start { state, height, time_s: self.chain.time_s + gap_s };
        let next = start.chain(self.on_disk)?;
        let (expected, again) = (as_imported(&start), next.export());
        if again != expected {
            return Err(format!("the export of an import differs: {}", first_difference(&expected, &again)));
        }
        (self.chain, self.start, self.last) = (next, start, None);
        self.blocks.clear();
        self.tell_genesis()
    }

    fn replay(&self) -> Result<(), String> {
        let Start { state, height, time_s } = &self.start;
        let mut chain = TestChain::at_genesis(vec![Home::memory()], state, *height, *time_s)?;
        for block in &self.blocks {
            chain.try_apply(block)?;
        }
        if chain.app_hash() == self.chain.app_hash() {
            return Ok(());
        }
        Err("a node that executes every block since the genesis has another app hash".into())
    }

    fn tell_genesis(&mut self) -> Result<(), String> {
        let Self { observers, chain, start, .. } = self;
        observers.iter_mut().try_for_each(|observer| observer.genesis(chain, &start.state))
    }
}

impl Start {
    fn chain(&self, on_disk: bool) -> Result<TestChain, String> {
        let homes = vec![if on_disk { Home::disk() } else { Home::memory() }, Home::memory()];
        TestChain::at_genesis(homes, &self.state, self.height, self.time_s)
    }
}

/// What a chain exports right after it began with `start`: an auction that the old chain had not decided is decided in the
/// new one, whose seeds are other ones.
fn as_imported(start: &Start) -> Value {
    let mut state = start.state.clone();
    for order in state["market"]["orders"].as_array_mut().into_iter().flatten() {
        if let Some(close) = order.pointer_mut("/auction/close_height") {
            *close = close.as_u64().unwrap().max(start.height).into();
        }
    }
    state
}

/// Where two documents differ first.
fn first_difference(one: &Value, other: &Value) -> String {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys());
            let key = keys.into_iter().find(|key| left.get(*key) != right.get(*key));
            key.map_or_else(String::new, |key| format!("{key}.{}", first_difference(&one[key], &other[key])))
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let index = left.iter().zip(right).position(|(left, right)| left != right);
            index.map_or_else(String::new, |at| format!("[{at}].{}", first_difference(&left[at], &right[at])))
        }
        _ => format!(": {one} and {other}"),
    }
}
