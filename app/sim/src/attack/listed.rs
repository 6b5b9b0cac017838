//! The attacks that the specification of the market lists.

use proto::underbid::market::v1::TenantReason;
use serde_json::json;

use super::{
    buyer::{Habit, Job},
    catalogue::{Attack, Claim, EXIT, exit, knob},
    scene::{CREDIT_AN_HOUR, Scene},
    seller::{Bids, Runs, Targets},
    squatter::Squatter,
};

/// In the order of the list.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "shield, then no start",
        listed: true,
        claim: Claim::Loses,
        knobs: &[
            knob("price ppm of ceiling", 0, 500_000, 0),
            knob("blocks before close, 0 at once", 0, 30, 7),
            EXIT,
        ],
        join: |scene, _| {
            scene.rogue_seller("low", 8);
            scene.rogue_seller("high", 8);
        },
        turn: |scene, knobs| {
            scene.seller("low").bids = Bids::Once { ppm: knobs[0], before: knobs[1] };
            scene.seller("low").runs = exit(knobs[2]);
            scene.seller("high").bids = Bids::Once { ppm: 1_000_000, before: 0 };
        },
    },
    Attack {
        name: "32 low-balls",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("price ppm of ceiling", 0, 500_000, 0), knob("sellers", 2, 32, 32), EXIT],
        join: |scene, knobs| crowd(scene, knobs[1]),
        turn: |scene, knobs| {
            for name in crowd_names(knobs[1]) {
                scene.seller(&name).bids = Bids::Once { ppm: knobs[0], before: 0 };
                scene.seller(&name).runs = exit(knobs[2]);
            }
        },
    },
    Attack {
        name: "snipe in the last blocks",
        listed: true,
        claim: Claim::LosesOnAverage,
        knobs: &[knob("blocks before close", 1, 12, 1)],
        join: |scene, _| {
            scene.rogue_seller("sniper", 8);
        },
        turn: |scene, knobs| scene.seller("sniper").bids = Bids::Late { before: knobs[0] },
    },
    Attack {
        name: "fill the book",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("price ppm of ceiling", 400_000, 1_000_000, 1_000_000), knob("sellers", 2, 32, 32)],
        join: |scene, knobs| crowd(scene, knobs[1]),
        turn: |scene, knobs| {
            for name in crowd_names(knobs[1]) {
                scene.seller(&name).bids = Bids::Once { ppm: knobs[0], before: 0 };
            }
        },
    },
    Attack {
        name: "two wins on one card",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("declared units a card", 1, 4, 1)],
        join: |scene, _| {
            scene.rogue_seller("double", 3);
        },
        turn: |scene, knobs| {
            let seller = scene.seller("double");
            seller.units *= u32::try_from(knobs[0]).unwrap();
            seller.tricks.overbids = true;
        },
    },
    Attack {
        name: "dust and squatting depositors",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("deposit", 999_999, 3_000_000, 1_000_000), knob("times", 1, 4, 1)],
        join: |scene, _| {
            for n in 0..8 {
                let name = format!("squatter-{n}");
                scene.coalition.insert(name.clone());
                scene.squatters.push(Squatter::new(&name));
            }
        },
        turn: |scene, knobs| {
            for squatter in &mut scene.squatters {
                (squatter.amount, squatter.times) = (knobs[0], knobs[1]);
            }
        },
    },
    Attack {
        name: "settle in every block",
        listed: true,
        claim: Claim::Loses,
        knobs: &[],
        join: |scene, _| {
            scene.rogue_seller("settler", 8);
        },
        turn: |scene, _| scene.seller("settler").tricks.settles = true,
    },
    Attack {
        name: "close after a second",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("seconds", 1, 600, 1), knob("reason: done, not delivered, quality", 0, 2, 0)],
        join: |scene, _| {
            scene.rogue_buyer("nibbler", vec![Job::new(300, 2, 1_800)]);
        },
        turn: |scene, knobs| bites(scene, knobs[0], knobs[1]),
    },
    Attack {
        name: "fake start, reported in time",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("price ppm of ceiling, 1000001 by cost", 0, 1_000_001, 1_000_001)],
        join: |scene, _| {
            scene.rogue_seller("faker", 8);
        },
        turn: |scene, knobs| {
            let seller = scene.seller("faker");
            seller.runs = Runs::Fake;
            if knobs[0] <= 1_000_000 {
                seller.bids = Bids::Once { ppm: knobs[0], before: 0 };
            }
        },
    },
    Attack {
        name: "abandon before the end",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("seconds before the end", 1, 1_200, 1)],
        join: |scene, _| {
            scene.rogue_seller("leaver", 8);
        },
        turn: |scene, knobs| scene.seller("leaver").runs = Runs::Abandon { before_end_s: knobs[0] },
    },
    Attack {
        name: "cancel in the block of the first bid",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("blocks", 0, 8, 1), knob("orders", 1, 12, 6)],
        join: |scene, _| {
            scene.rogue_buyer("canceller", Vec::new());
        },
        turn: |scene, knobs| {
            let buyer = scene.buyer("canceller");
            buyer.habit = Habit::Cancel { blocks: knobs[0] };
            buyer.jobs = (0..knobs[1]).map(|n| Job::new(n * 300, 2, 1_800)).collect();
        },
    },
    Attack {
        name: "late queue with budget 1",
        listed: true,
        claim: Claim::Loses,
        knobs: &[knob("orders of spam", 0, 40, 20), knob("blocks before close", 0, 6, 0)],
        join: |scene, _| {
            scene.market = json!({
                "leases_per_block_max": 1, "auctions_per_block_max": 1, "orders_per_block_max": 1,
            });
            for job in scene.buyers.iter_mut().flat_map(|buyer| &mut buyer.jobs) {
                (job.duration_s, job.paid_s) = (6 * 3_600, 0);
            }
            scene.rogue_seller("late", 8);
            scene.rogue_buyer("spammer", Vec::new());
        },
        turn: |scene, knobs| {
            scene.seller("late").bids = Bids::Late { before: knobs[1] };
            scene.seller("late").tricks.settles = true;
            let spam = |_| Job { ceiling: CREDIT_AN_HOUR, window_blocks: 12, ..Job::new(60, 1, 300) };
            scene.buyer("spammer").jobs = (0..knobs[0]).map(spam).collect();
        },
    },
];

/// The names of a crowd.
pub fn crowd_names(sellers: u64) -> impl Iterator<Item = String> {
    (0..sellers).map(|n| format!("crowd-{n}"))
}

/// Many sellers of one owner, of which the first is an honest one and the others are idle until they turn.
fn crowd(scene: &mut Scene, sellers: u64) {
    for name in crowd_names(sellers) {
        let seller = scene.rogue_seller(&name, 4);
        if name != "crowd-0" {
            seller.bids = Bids::Never;
        }
        seller.targets = Targets::All;
    }
}

/// The job of half an hour in bites of so many seconds, each an order of its own.
pub fn bites(scene: &mut Scene, seconds: u64, reason: u64) {
    let buyer = scene.buyer("nibbler");
    let reason = match reason {
        0 => TenantReason::Done,
        1 => TenantReason::NotDelivered,
        _ => TenantReason::Quality,
    };
    buyer.habit = Habit::CloseAfter { after_s: seconds, reason };
    let orders = (1_800 / seconds).clamp(1, 6);
    buyer.jobs = (0..orders).map(|n| Job::new(300 + n * 600, 2, 1_800)).collect();
}
