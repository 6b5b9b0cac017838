//! Where it is played: the accounts on a running net, whoever watches it, and the steps of the play. Scenario tests use the
//! steps one by one.

use std::sync::Arc;
use std::time::Duration;

use prost_types::Any;
use proto::cosmos::bank::v1beta1::MsgSend;
use proto::cosmos::base::v1beta1::Coin;
use proto::underbid::market::v1 as market;
use proto::underbid::provider::v1 as provider;
use serde_json::Value;
use tokio::task::JoinSet;
use underbid::client::chain::Client;
use underbid::client::rpc::Rpc;
use underbid::client::tx::any;

use super::board::{Board, Shared};
use super::bot::{Bot, RECLAIM_S};
use super::cast::{Cast, Member};
use super::ledger::Ledger;
use super::orders::{Money, RoundStage};
use super::plot::{self, Fate, Persona, Plan};
use super::sender::Sender;
use super::{Error, queries};
use crate::net::Net;

/// How long to wait between two looks at the height, and at the money.
const FOLLOW_POLL: Duration = Duration::from_millis(15);
const MONEY_POLL: Duration = Duration::from_millis(250);
/// How long the results of a block may lag behind the block.
const RESULTS_TIMEOUT: Duration = Duration::from_secs(10);
/// How long anything of an order may take: a machine that is busy with other things is slow.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// The pause of a tenant whose order failed.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long a lease runs before its tenant closes it.
const CLOSE_AFTER: Duration = Duration::from_secs(6);
/// What a provider takes back of its stake in the beginning, in uflop.
pub const UNSTAKED: u128 = 1_000_000_000;
/// Who does.
const UNSTAKER: &str = "boreal";
/// Who pays where there is no market.
const PAYER: &str = "bruno";

/// A net with accounts on it, which is being watched.
pub struct Stage {
    cast: Cast,
    clients: Vec<Client>,
    shared: Arc<Shared>,
    /// Who watches, and who plays without end.
    watchers: JoinSet<()>,
    players: JoinSet<()>,
}

/// The height of the first block: a chain that begins with the state of another begins after its height.
pub fn first_height(genesis: &Value) -> u64 {
    let stated: Option<u64> = genesis["initial_height"].as_str().and_then(|height| height.parse().ok());
    stated.unwrap_or_default().max(1)
}

impl Stage {
    /// Begins to watch a net that was made from this genesis document, from its first block on.
    pub fn open(net: &Net, genesis: &Value) -> Result<Self, Error> {
        let first_height = first_height(genesis);
        let cast = Cast::new()?;
        let mut board = Board::new(cast.clone(), Ledger::new(genesis)?);
        board.height = first_height.saturating_sub(1);
        let shared = Arc::new(Shared::new(board));
        let chain_id = &net.manifest().chain_id;
        let client = |url: &str| Client::new(Rpc::new(url), chain_id.clone());
        let clients: Vec<Client> = net.validators().iter().map(|node| client(node.rpc().url())).collect();
        let mut watchers = JoinSet::new();
        watchers.spawn(follow(net.node(0)?.rpc().clone(), Arc::clone(&shared)));
        watchers.spawn(watch_money(clients[0].clone(), Arc::clone(&shared)));
        Ok(Self { cast, clients, shared, watchers, players: JoinSet::new() })
    }

    /// What has happened.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The accounts.
    pub fn cast(&self) -> &Cast {
        &self.cast
    }

    /// A client of each node.
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Who sends for an account, first through node `first`.
    pub fn sender(&self, name: &str, first: usize) -> Result<Sender, Error> {
        Ok(Sender::new(self.cast.member(name)?, &self.clients, first, &self.shared, false))
    }

    /// Who sends for an account through this node and no other.
    pub fn sender_through(&self, name: &str, node: usize) -> Result<Sender, Error> {
        Ok(Sender::new(self.cast.member(name)?, &self.clients[node..=node], 0, &self.shared, false))
    }

    /// Sets the classes, and registers the providers with their stake and capacity.
    pub async fn prepare(&self) -> Result<(), Error> {
        let authority = self.sender("authority", 0)?;
        let address = authority.member().address();
        let set = |class| any(&provider::MsgSetClass { authority: address.clone(), class: Some(class) });
        authority.send_all(plot::classes().into_iter().map(set).collect()).await?;
        let mut registrations = JoinSet::new();
        for (persona, index) in plot::personas().into_iter().zip(0..) {
            let sender = self.sender(persona.name, index)?;
            registrations.spawn(async move {
                let messages = registration(&persona, &sender.member().address());
                sender.send_all(messages).await
            });
        }
        for registered in registrations.join_all().await {
            registered?;
        }
        Ok(())
    }

    /// Lets the providers' bots loose, spread over the nodes.
    pub async fn start_bots(&mut self) -> Result<(), Error> {
        for (persona, index) in plot::personas().into_iter().zip(0..) {
            let member = self.cast.member(persona.name)?;
            let sender = Sender::new(member, &self.clients, index, &self.shared, true);
            self.players.spawn(Bot::new(persona, sender, &self.shared).await?.run());
        }
        Ok(())
    }

    /// Lets the tenants order without end: each has one order at a time, and another when that one is closed. What fails is
    /// written down as refused and tried again with the next order.
    pub fn start_tenants(&mut self) -> Result<(), Error> {
        for (plan, index) in plot::brief_plans().into_iter().zip(0..) {
            let (tenant, shared) = (self.sender(plan.tenant, index)?, Arc::clone(&self.shared));
            self.players.spawn(async move {
                loop {
                    if live(&tenant, &shared, &plan).await.is_err() {
                        tokio::time::sleep(AGAIN_AFTER).await;
                    }
                }
            });
        }
        Ok(())
    }

    /// Lets one account pay another without end, through each node in turn: for a net without a market.
    pub fn start_transfers(&mut self) -> Result<(), Error> {
        let message = transfer(self.cast.member(PAYER)?, self.cast.member("alice")?);
        let through = |node| self.sender_through(PAYER, node);
        let senders = (0..self.clients.len()).map(through).collect::<Result<Vec<_>, _>>()?;
        self.players.spawn(async move {
            for sender in senders.iter().cycle() {
                if sender.send(&message).await.is_err() {
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        });
        Ok(())
    }

    /// Places an order; returns its number.
    pub async fn place(&self, plan: &Plan) -> Result<u64, Error> {
        place(&self.sender(plan.tenant, 0)?, &self.shared, plan).await
    }

    /// Plays all orders to their end.
    pub async fn play(&self) -> Result<(), Error> {
        let mut stories = JoinSet::new();
        for (plan, index) in plot::plans().into_iter().zip(0..) {
            let tenant = self.sender(plan.tenant, index)?;
            let shared = Arc::clone(&self.shared);
            stories.spawn(async move { live(&tenant, &shared, &plan).await });
        }
        let unstaker = self.sender(UNSTAKER, 1)?;
        let owner = unstaker.member().address();
        unstaker.send(&provider::MsgUnstake { owner, amount: UNSTAKED.to_string() }).await?;
        while let Some(story) = stories.join_next().await {
            story.map_err(|error| Error::Cast(format!("a tenant's task ended: {error}")))??;
        }
        let is_paid = |board: &Board| (board.unbonded >= UNSTAKED).then_some(());
        self.shared.wait("the payment of unbonded stake", PATIENCE, is_paid).await
    }

    /// Ends all play, and goes on to watch.
    pub async fn pause(&mut self) {
        self.players.shutdown().await;
    }

    /// Ends all play, and waits until all blocks up to now are counted; returns the last one.
    pub async fn finish(&mut self) -> Result<u64, Error> {
        let last = self.clients[0].rpc().height().await.map_err(underbid::client::chain::Error::from)?;
        let is_counted = |board: &Board| (board.height >= last).then_some(());
        self.shared.wait("the results of the last block", PATIENCE, is_counted).await?;
        self.watchers.shutdown().await;
        self.players.shutdown().await;
        Ok(self.shared.read(|board| board.height))
    }
}

/// A transfer of one uflop.
pub fn transfer(from: &Member, to: &Member) -> MsgSend {
    let coin = Coin { denom: "uflop".to_owned(), amount: "1".to_owned() };
    MsgSend { from_address: from.address(), to_address: to.address(), amount: vec![coin] }
}

fn registration(persona: &Persona, address: &str) -> Vec<Any> {
    let register = provider::MsgRegisterProvider {
        owner: address.to_owned(),
        endpoints: vec![format!("https://{}.example", persona.name)],
        encryption_key: [persona.name.as_bytes(), &[0; 32]].concat()[..32].to_vec(),
        operators: Vec::new(),
        stake: (persona.stake_flop * 1_000_000).to_string(),
    };
    let capacity = |(class_id, total): &(u32, u32)| {
        any(&provider::MsgSetCapacity {
            signer: address.to_owned(),
            provider: address.to_owned(),
            class_id: *class_id,
            zone: persona.zone.to_owned(),
            total: *total,
        })
    };
    std::iter::once(any(&register)).chain(persona.lines.iter().map(capacity)).collect()
}

/// The order of a plan, as the tenant at this address sends it.
pub fn order_message(plan: &Plan, tenant: &str) -> market::MsgCreateOrder {
    market::MsgCreateOrder {
        tenant: tenant.to_owned(),
        class_id: plan.class_id,
        count: plan.count,
        zones: plan.zones.iter().map(|zone| (*zone).to_owned()).collect(),
        near: plan.near.to_owned(),
        max_unit_rate: plan.max_unit_rate().to_string(),
        duration_s: plan.duration_s,
        window_blocks: plan.window_blocks,
        ttl_s: if plan.fate == Fate::Expires { 5 } else { 30 },
        start_timeout_s: if plan.fate == Fate::NeverStarted { 5 } else { 30 },
        reclaim_min_s: RECLAIM_S,
        min_uptime_ppm: 0,
        weights: Vec::new(),
        manifest_hash: vec![7; 32],
        rounds: plan.rounds,
        deposit: plan.deposit().to_string(),
    }
}

async fn place(tenant: &Sender, shared: &Shared, plan: &Plan) -> Result<u64, Error> {
    let order = order_message(plan, &tenant.member().address());
    let outcome = tenant.send(&order).await?;
    let response: market::MsgCreateOrderResponse =
        outcome.response(0).map_err(underbid::client::chain::Error::from)?;
    shared.write(|board| board.fates.insert(response.order_id, plan.fate));
    Ok(response.order_id)
}

/// A tenant's part in the story of an order, until the order is closed.
async fn live(tenant: &Sender, shared: &Shared, plan: &Plan) -> Result<(), Error> {
    tokio::time::sleep(Duration::from_millis(plan.after_ms)).await;
    let id = place(tenant, shared, plan).await?;
    let address = tenant.member().address();
    match plan.fate {
        Fate::ToppedUp => {
            let is_low = |board: &Board| board.orders.get(&id)?.round()?.was_low.then_some(());
            shared.wait(&format!("the warning of low funds of order {id}"), PATIENCE, is_low).await?;
            let amount = plan.deposit().to_string();
            tenant.send(&market::MsgTopUp { signer: address, order_id: id, amount }).await?;
        }
        Fate::ClosedEarly => {
            wait_until_active(shared, id).await?;
            tokio::time::sleep(CLOSE_AFTER).await;
            let mut close = market::MsgCloseLease { tenant: address, order_id: id, ..Default::default() };
            close.set_reason(market::TenantReason::Done);
            tenant.send(&close).await?;
        }
        _ => {}
    }
    let is_closed = |board: &Board| board.orders.get(&id)?.closed.as_ref().map(drop);
    shared.wait(&format!("the end of order {id}"), PATIENCE, is_closed).await
}

/// Waits until the lease of an order runs.
pub async fn wait_until_active(shared: &Shared, id: u64) -> Result<(), Error> {
    let is_active =
        |board: &Board| (board.orders.get(&id)?.round()?.stage == RoundStage::Active).then_some(());
    shared.wait(&format!("the start of the lease of order {id}"), PATIENCE, is_active).await
}

/// Counts every block, from the first on. A node that does not answer is asked again.
async fn follow(rpc: Rpc, shared: Arc<Shared>) {
    loop {
        let counted = shared.read(|board| board.height);
        let last = rpc.height().await.unwrap_or_default();
        for height in counted + 1..=last {
            let Ok(results) = rpc.wait_for_results(height, RESULTS_TIMEOUT).await else { break };
            shared.write(|board| board.apply(&results));
        }
        tokio::time::sleep(FOLLOW_POLL).await;
    }
}

/// Keeps the money of the running leases, and the price of gas, up to date.
async fn watch_money(client: Client, shared: Arc<Shared>) {
    loop {
        let running = shared.read(|board| {
            let is_running = |id: &&u64| {
                let stage = board.orders[*id].round().map(|round| &round.stage);
                matches!(stage, Some(RoundStage::Active | RoundStage::Reclaiming))
            };
            board.orders.keys().filter(is_running).copied().collect::<Vec<u64>>()
        });
        for id in running {
            if let Ok(account) = queries::account(&client, id).await {
                let money = money(&account);
                shared.write(|board| {
                    if let Some(order) = board.orders.get_mut(&id) {
                        order.money = money;
                    }
                });
            }
        }
        if let Ok(fee) = client.base_fee().await {
            let for_a_million = fee.atto_per_gas / 1_000_000_000_000;
            shared.write(|board| board.base_fee = for_a_million.to_string());
        }
        tokio::time::sleep(MONEY_POLL).await;
    }
}

/// The money of an order as the chain answers it.
pub fn money(answer: &proto::underbid::escrow::v1::QueryAccountResponse) -> Money {
    let number = |text: &str| text.parse::<u128>().unwrap_or_default();
    let spent = answer.account.as_ref().map_or(0, |account| number(&account.spent_total));
    Money {
        paid: spent + number(&answer.owed),
        balance: number(&answer.balance),
        lasts_s: answer.dry_at.map(|dry_at| dry_at.saturating_sub(answer.as_of)),
    }
}
