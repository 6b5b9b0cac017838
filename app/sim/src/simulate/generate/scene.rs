//! What the chain holds at a moment: whom and what a plausible message can name.

use kernel::{Address, Amount, Ctx};
use market::types::{Auction, Order, OrderState};
use provider::{Provider, Status, Zone};

use crate::{
    TestChain,
    simulate::{
        cast::{OWNERS, name_of, person},
        random::Random,
        world::Scale,
    },
};

/// Where machines are in these histories.
pub const ZONES: [&str; 4] = ["de/he/fra", "de/be/ber", "de/he/wie", "us/ca/sfo"];
/// The classes that there are sooner or later.
pub const CLASSES: [u32; 3] = [1, 2, 3];

/// The state after the last block.
pub struct Scene {
    pub ctx: Ctx,
    pub scale: Scale,
    pub market: market::Params,
    pub stake: provider::Params,
    pub escrow: escrow::Params,
    pub orders: Vec<(u64, Order)>,
    /// Providers by the name of their owner.
    pub providers: Vec<(&'static str, Provider)>,
    /// The classes that can be offered and ordered.
    pub classes: Vec<u32>,
}

impl Scene {
    pub fn of(chain: &TestChain, scale: Scale) -> Self {
        let ctx = chain.ctx();
        let mut orders = Vec::new();
        let each = |id, order| {
            orders.push((id, order));
            Ok(())
        };
        market::ORDERS.for_each(&ctx, each).unwrap();
        let offered = |id: &u32| provider::class(&ctx, *id).is_ok_and(|class| class.active);
        let known = |name| Some((name, provider::get(&ctx, &person(name).address).unwrap()?));
        Self {
            scale,
            market: market::params(&ctx).unwrap(),
            stake: provider::params(&ctx).unwrap(),
            escrow: escrow::params(&ctx).unwrap(),
            orders,
            providers: OWNERS.into_iter().filter_map(known).collect(),
            classes: CLASSES.into_iter().filter(offered).collect(),
            ctx,
        }
    }

    /// An order in one of these states; seldom any.
    pub fn order(&self, random: &mut Random, states: &[OrderState]) -> Option<&(u64, Order)> {
        self.order_that(random, |order| states.contains(&order.state()))
    }

    /// An order that fits, rather one whose queue is late than another; seldom any.
    pub fn order_that(&self, random: &mut Random, fits: impl Fn(&Order) -> bool) -> Option<&(u64, Order)> {
        if random.chance(1, 24) {
            return random.find(&self.orders);
        }
        let now = self.ctx.block.billing;
        let is_late = |order: &Order| order.next().is_some_and(|(at, _)| at <= now);
        let fitting: Vec<_> = self.orders.iter().filter(|(_, order)| fits(order)).collect();
        let late: Vec<_> = fitting.iter().filter(|(_, order)| is_late(order)).copied().collect();
        let first = if random.chance(1, 2) { random.find(&late) } else { None };
        first.or_else(|| random.find(&fitting)).copied()
    }

    /// How many orders have not ended.
    pub fn live(&self) -> usize {
        self.orders.iter().filter(|(_, order)| order.state() != OrderState::Closed).count()
    }

    /// A class that is offered; seldom any other.
    pub fn class(&self, random: &mut Random) -> u32 {
        match random.find(&self.classes) {
            Some(class) if !random.chance(1, 24) => *class,
            _ => random.pick(&[1, 2, 3, 99]),
        }
    }

    pub fn auction(&self, id: u64) -> Option<Auction> {
        market::AUCTIONS.get(&self.ctx, &id).unwrap()
    }

    /// The order with the most bids, so that a book is full now and then.
    pub fn most_contested(&self) -> Option<&(u64, Order)> {
        let bids = |id: &u64| self.auction(*id).map(|auction| auction.bid_count);
        self.orders.iter().filter(|(id, _)| bids(id).is_some()).max_by_key(|(id, _)| bids(id))
    }

    /// The owners that are active providers.
    pub fn active(&self) -> Vec<&(&'static str, Provider)> {
        self.providers.iter().filter(|(_, provider)| provider.status == Status::Active).collect()
    }

    /// The bids of an order: the owner's name and the price.
    pub fn bids(&self, id: u64) -> Vec<(&'static str, u128)> {
        let bid = |name: &&'static str| market::BIDS.get(&self.ctx, &(id, person(name).address)).unwrap();
        OWNERS.iter().filter_map(|name| Some((*name, bid(name)?.unit_rate))).collect()
    }

    /// The zones in which a provider has enough free units of a class.
    pub fn zones_with(&self, owner: Address, class_id: u32, count: u32) -> Vec<&'static str> {
        let free = |zone: &&str| {
            let line = provider::line(&self.ctx, owner, class_id, &Zone::parse(zone).unwrap()).unwrap();
            line.is_some_and(|line| line.free() >= count)
        };
        ZONES.into_iter().filter(free).collect()
    }

    /// Who acts for a provider: its owner or an operator.
    pub fn actor(&self, random: &mut Random, owner: &Address) -> &'static str {
        let operators = self.providers.iter().find(|(_, provider)| provider.owner == *owner);
        let operators = operators.map_or(&[][..], |(_, provider)| &provider.operators);
        match random.find(operators) {
            Some(operator) if random.chance(1, 2) => name_of(operator),
            _ => name_of(owner),
        }
    }

    /// The least deposit of an order with this ceiling, which has so many windows to pay after the first one.
    pub fn least_deposit(&self, rate_max: u128, further: u32, window_blocks: u32) -> u128 {
        let seconds = |seconds: u32| (rate_max * u128::from(seconds)).div_ceil(kernel::E18);
        let reserve = seconds(self.market.runway_s + self.market.grace_s);
        let windows = u128::from(further) * seconds(window_blocks * self.market.window_block_s);
        (reserve + windows).max(self.escrow.deposit_min.units())
    }

    /// What transactions pay for this much gas: enough, whatever the last block made of the price.
    pub fn fee(&self, gas_limit: u64) -> u64 {
        let base = auth::fees::base(&self.ctx).unwrap();
        let due = auth::fees::required(base, gas_limit).unwrap_or(Amount::ZERO).units();
        u64::try_from(due * 3 + 1).unwrap_or(u64::MAX)
    }
}
