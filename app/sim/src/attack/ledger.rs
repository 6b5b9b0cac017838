//! What everybody has made of a scene, in ucredit.

use std::collections::BTreeMap;

use kernel::{Address, Ctx, E18};
use market::{ENDED_LEASES, ORDERS, types::EndedLease};
use proto::underbid::provider::v1::{QueryUnbondingsRequest, QueryUnbondingsResponse};

use super::{
    arena::Arena,
    scene::{REF_PRICE_DAY, Scene},
    seller::costs,
};
use crate::{TestChain, address, text};

/// What one has in the bank and at stake at the end: all orders are closed, so nothing is in escrow. Stake counts at the
/// stake price of the parameters, as the chain itself counts it.
pub fn wealth(chain: &TestChain, name: &str) -> i128 {
    let (ctx, who) = (chain.ctx(), address(name));
    let provider = provider::get(&ctx, &who).unwrap();
    let staked = provider.map_or(0, |provider| provider.stake_total.units());
    let uflop = chain.flop(&who) + staked + unbonding(chain, name);
    let params = provider::params(&ctx).unwrap();
    let stake_uc = uflop * params.stake_price.units() / 1_000_000;
    i128::try_from(chain.credit(&who) + stake_uc).unwrap()
}

fn unbonding(chain: &TestChain, name: &str) -> u128 {
    let request = QueryUnbondingsRequest { provider: text(name), ..Default::default() };
    let path = "/underbid.provider.v1.Query/Unbondings";
    let response: QueryUnbondingsResponse = chain.query(path, &request).unwrap();
    response.unbondings.iter().map(|unbonding| unbonding.amount.parse::<u128>().unwrap()).sum()
}

/// A lease as it went.
pub struct Run {
    pub tenant: Address,
    pub provider: Address,
    /// Unit-seconds that were delivered.
    pub delivered_s: u64,
    pub unit_rate: u128,
    pub ceiling: u128,
}

/// All leases of the scene.
pub fn runs(arena: &Arena) -> Vec<Run> {
    let ctx = arena.chain.ctx();
    let mut runs = Vec::new();
    for id in 1..=arena.last_order() {
        let order = ORDERS.get(&ctx, &id).unwrap().unwrap();
        for round in 1..=order.round {
            let Some(ended) = ended(&ctx, id, round) else { continue };
            let Some(running) = ended.lease.stage.running() else { continue };
            let (from, to) = (running.started_at.value(), ended.closed_at.value());
            let stopped = arena.stops().get(&(id, round)).copied().unwrap_or(u64::MAX);
            let units = u64::from(order.terms.count);
            runs.push(Run {
                tenant: ended.tenant,
                provider: ended.lease.provider,
                delivered_s: to.min(stopped).saturating_sub(from) * units,
                unit_rate: ended.lease.unit_rate,
                ceiling: order.terms.max_unit_rate,
            });
        }
    }
    runs
}

fn ended(ctx: &Ctx, id: u64, round: u32) -> Option<EndedLease> {
    ENDED_LEASES.get(ctx, &(id, round)).unwrap()
}

/// What a unit-second costs in this market, times 10^18: the mean price of what honest sellers delivered to honest buyers,
/// else the reference price.
pub fn market_price(scene: &Scene, runs: &[Run]) -> u128 {
    let mates = scene.mates();
    let honest = runs.iter().filter(|run| !mates.contains(&run.tenant) && !mates.contains(&run.provider));
    let (mut paid, mut seconds) = (0, 0);
    for run in honest {
        paid += run.unit_rate * u128::from(run.delivered_s);
        seconds += u128::from(run.delivered_s);
    }
    paid.checked_div(seconds).unwrap_or(u128::from(REF_PRICE_DAY) * E18 / 86_400)
}

/// What each has gained: money, less what delivering cost, plus what was received. Compute is worth its price on this
/// market to a member of the coalition, and what it was ready to pay to anybody else. Gas is left out on both sides: an
/// attack must not lose because of it, nor win by sending less.
pub fn gains(
    scene: &Scene,
    arena: &Arena,
    before: &BTreeMap<String, i128>,
    price: u128,
) -> BTreeMap<String, i128> {
    let (mates, costs) = (scene.mates(), costs(&scene.sellers));
    let mut extra: BTreeMap<Address, i128> = BTreeMap::new();
    for run in runs(arena) {
        let cost = costs[&run.provider];
        *extra.entry(run.provider).or_default() -= whole(cost, run.delivered_s);
        let worth = if mates.contains(&run.tenant) { price } else { run.ceiling };
        *extra.entry(run.tenant).or_default() += whole(worth, run.delivered_s);
    }
    let stake_price = provider::params(&arena.chain.ctx()).unwrap().stake_price.units();
    let gain = |name: &String, before: &i128| {
        let more = extra.get(&address(name)).copied().unwrap_or(0);
        let gas = u128::from(arena.gas.get(name).copied().unwrap_or(0)) * stake_price / 1_000_000;
        let gas = i128::try_from(gas).unwrap();
        (name.clone(), wealth(&arena.chain, name) + gas - before + more)
    };
    before.iter().map(|(name, before)| gain(name, before)).collect()
}

fn whole(rate: u128, seconds: u64) -> i128 {
    i128::try_from(rate * u128::from(seconds) / E18).unwrap()
}
