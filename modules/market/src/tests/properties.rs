//! What holds whatever happens: money by any rhythm, and every invariant through a random history.

use kernel::Message as _;
use proptest::prelude::*;
use proto::underbid::market::v1::TenantReason;

use super::world::*;
use crate::Params;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_rhythm_of_settling_gives_the_same_money(gaps in prop::collection::vec(1u64..400, 0..12), rate in 1u128..TWO_AN_HOUR) {
        let lease = || {
            let world = World::new().order_with(|o| o.duration_s = 3_600).by("tom").ok();
            world.bid(1, "ada", rate).by("ada").ok().decided(1).confirm(1).by("ada").ok()
        };
        let quiet = lease().at("11:00");
        let mut settled = lease();
        let dry_at = settled.order(1).account.dry_at();
        for gap in gaps {
            if settled.now() + gap >= clock("11:00") {
                break;
            }
            settled = settled.after(gap);
            let order = settled.order(1);
            if !order.account.payable(settled.ctx.block.billing).is_zero() {
                settled = settled.settle(1).by("tim").ok();
            }
            prop_assert_eq!(settled.order(1).account.dry_at(), dry_at);
        }
        let settled = settled.at("11:00");
        for name in ["ada", "tom", "market_fees"] {
            prop_assert_eq!(quiet.credit(name), settled.credit(name));
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_a_message_panic(bytes: Vec<u8>, kind in 0usize..12) {
        let kinds = ["CreateOrder", "CancelOrder", "CreateBid", "ImproveBid", "WithdrawBid", "ConfirmStart", "TopUp", "CloseLease",
            "ReclaimLease", "AbandonLease", "Settle", "UpdateParams"];
        let name = format!("underbid.market.v1.Msg{}", kinds[kind]);
        // A canonical form with every field in place never comes out of arbitrary bytes.
        prop_assert!(crate::Msg::parse(&name, &bytes, 1).is_err());
    }
}

/// A generator of choices, the same for one seed.
struct Choices(u64);

impl Choices {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Sends a message that may be refused; the harness checks every invariant after it.
fn attempt(step: Step, by: &str) -> World {
    step.by(by).either()
}

fn history(seed: u64, steps: u32) -> Vec<String> {
    let providers = ["ada", "bob", "eve", "pam"];
    let everybody = ["ada", "bob", "eve", "pam", "tom", "tim"];
    let params = Params { bids_max: 3, retention_s: 3_000, leases_per_block_max: 1, ..Params::default() };
    let mut world = World::with(params, &providers);
    let mut choices = Choices(seed);
    let mut orders = 0;
    for _ in 0..steps {
        let order = choices.next(orders + 2);
        let by = everybody[usize::try_from(choices.next(6)).unwrap()];
        let provider = providers[usize::try_from(choices.next(4)).unwrap()];
        let rate = TWO_AN_HOUR / 100 * u128::from(choices.next(101));
        world = match choices.next(16) {
            0 | 1 => {
                let (duration, deposit) = (choices.next(2) * 1_200, 24_000_000 + choices.next(40_000_000));
                let change = |o: &mut proto::underbid::market::v1::MsgCreateOrder| {
                    (o.duration_s, o.deposit) = (u32::try_from(duration).unwrap(), deposit.to_string());
                    (o.ttl_s, o.reclaim_min_s, o.rounds) = (600, 300, 3);
                };
                let world = attempt(world.order_with(change), by);
                orders += 1;
                world
            }
            2 => attempt(world.cancel(order), by),
            3..=5 => attempt(world.bid(order, provider, rate), provider),
            6 => attempt(world.improve(order, provider, rate), provider),
            7 => attempt(world.confirm(order), provider),
            8 => attempt(world.top_up(order, 1_000_000 + choices.next(5_000_000)), by),
            9 => {
                let reasons = [TenantReason::Done, TenantReason::NotDelivered, TenantReason::Quality];
                attempt(world.close(order, reasons[usize::try_from(choices.next(3)).unwrap()]), by)
            }
            10 => attempt(world.reclaim(order), provider),
            11 => attempt(world.abandon(order), provider),
            12 => attempt(world.settle(order), by),
            13 => world.blocks(1 + choices.next(8)),
            14 => world.queues_late(choices.next(900)),
            _ => world.after(choices.next(900)),
        };
    }
    // Let everything end: no order stays live without money or bids.
    let world = world.after(40_000);
    (1..=orders).map(|id| world.stands(id)).collect()
}

#[test]
fn a_random_history_keeps_every_invariant_and_ends() {
    for seed in 0..12 {
        let ends = history(seed, 300);
        assert!(ends.iter().all(|end| end == "gone" || end.starts_with("closed")), "{seed}: {ends:?}");
        if seed < 2 {
            assert_eq!(ends, history(seed, 300), "one seed is one history");
        }
    }
}
