//! Attacks that the specification does not list.

use proto::underbid::market::v1::TenantReason;

use super::{
    buyer::{Habit, Job},
    catalogue::{Attack, Claim, exit, knob},
    listed::bites,
    scene::{CREDIT_AN_HOUR, HOME, Scene},
    seller::{Bids, Runs, Targets},
};
use crate::address;

/// A place where only one seller is.
const ALONE: &str = "de/he/alone";

/// Orders that the coalition's own `lows` win at no price, for as long as they hold the rivals' units, while its seller bids
/// for those of others. Knobs: the window, how many orders, the units of each, the seller's price, extensions.
fn decoys(scene: &mut Scene, knobs: &[u64], lows: impl IntoIterator<Item = String>, runs: Runs) {
    let seller = scene.seller("seller");
    (seller.bids, seller.targets) = (Bids::Once { ppm: knobs[3], before: 0 }, Targets::Others);
    for name in lows {
        let low = scene.seller(&name);
        (low.bids, low.targets, low.runs) = (Bids::Once { ppm: 1, before: 7 }, Targets::Mates, runs);
        low.tricks.stretches = u32::try_from(knobs[4]).unwrap();
    }
    let (blocks, count) = (u32::try_from(knobs[0]).unwrap(), u32::try_from(knobs[2]).unwrap());
    let job = |_| Job { window_blocks: blocks, reclaim_min_s: 300, ..Job::new(0, count, 3_600) };
    scene.buyer("decoy").jobs = (0..knobs[1]).map(job).collect();
}

/// What an attacker thinks of beyond the list.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "decoy orders hold the rivals' units",
        listed: false,
        claim: Claim::LosesOnAverage,
        knobs: &[
            knob("window in blocks", 12, 600, 600),
            knob("decoys", 1, 16, 8),
            knob("units each", 1, 4, 2),
            knob("price ppm of ceiling", 600_000, 1_000_000, 1_000_000),
            knob("extensions by the low bidder itself", 0, 20, 20),
        ],
        join: |scene, _| {
            scene.rogue_seller("seller", 8);
            scene.rogue_seller("low", 32).bids = Bids::Never;
            scene.rogue_buyer("decoy", Vec::new());
        },
        turn: |scene, knobs| {
            decoys(scene, knobs, ["low".to_owned()], Runs::NoStart);
            scene.buyer("decoy").habit = Habit::CloseStarting;
        },
    },
    Attack {
        name: "decoy orders with further rounds",
        listed: false,
        claim: Claim::LosesOnAverage,
        knobs: &[
            knob("window in blocks", 12, 600, 12),
            knob("decoys", 1, 16, 8),
            knob("units each", 1, 4, 2),
            knob("price ppm of ceiling", 600_000, 1_000_000, 1_000_000),
            knob("extensions by the low bidders themselves", 0, 20, 20),
            knob("rounds", 2, 4, 4),
            knob("exit: no start, fake, notice", 0, 2, 2),
        ],
        join: |scene, knobs| {
            scene.rogue_seller("seller", 8);
            for n in 0..knobs[5] {
                scene.rogue_seller(&format!("low-{n}"), 32).bids = Bids::Never;
            }
            scene.rogue_buyer("decoy", Vec::new());
        },
        turn: |scene, knobs| {
            // One a round: who has ended one is out of the order.
            let lows = (0..knobs[5]).map(|n| format!("low-{n}"));
            decoys(scene, knobs, lows, exit(knobs[6]));
        },
    },
    Attack {
        name: "order spam, closed before the start",
        listed: false,
        claim: Claim::Loses,
        knobs: &[knob("window in blocks", 12, 600, 600), knob("orders", 1, 16, 8)],
        join: |scene, _| {
            scene.rogue_buyer("spammer", Vec::new());
        },
        turn: |scene, knobs| {
            let blocks = u32::try_from(knobs[0]).unwrap();
            let buyer = scene.buyer("spammer");
            buyer.habit = Habit::CloseStarting;
            let job = |_| Job { window_blocks: blocks, ..Job::new(0, 2, 3_600) };
            buyer.jobs = (0..knobs[1]).map(job).collect();
        },
    },
    Attack {
        name: "declare few units while bidding",
        listed: false,
        claim: Claim::LosesOnAverage,
        knobs: &[],
        join: |scene, _| {
            scene.rogue_seller("shrinker", 16);
            scene.level();
        },
        turn: |scene, _| scene.seller("shrinker").tricks.shrinks = true,
    },
    Attack {
        name: "stake around the bid",
        listed: false,
        claim: Claim::LosesOnAverage,
        knobs: &[knob("ppm of stake", 100_000, 5_000_000, 3_000_000)],
        join: |scene, knobs| {
            scene.rogue_seller("staker", 8);
            scene.level();
            scene.seller("staker").stake_ppm += 2 * knobs[0];
        },
        turn: |scene, knobs| {
            let seller = scene.seller("staker");
            seller.stake_ppm -= 2 * knobs[0];
            seller.tricks.restakes_ppm = knobs[0];
        },
    },
    Attack {
        name: "leases to oneself for reputation",
        listed: false,
        claim: Claim::Loses,
        knobs: &[knob("credits an hour", 100, 2_000, 1_000), knob("minutes", 10, 240, 60)],
        join: |scene, _| {
            scene.enlarge(200);
            scene.repeat(3, 3_600);
            scene.delay(4 * 3_600 + 600);
            scene.rogue_seller("washer", 1_601).zone = ALONE.into();
            scene.level();
            scene.rogue_buyer("mate", Vec::new());
        },
        turn: |scene, knobs| {
            let ceiling = CREDIT_AN_HOUR * u128::from(knobs[0]);
            let job = Job::new(0, 1, u32::try_from(knobs[1] * 60).unwrap());
            scene.buyer("mate").jobs = vec![Job { ceiling, zone: ALONE.into(), window_blocks: 12, ..job }];
            scene.seller("washer").gives_mates_the_ceiling = true;
        },
    },
    Attack {
        name: "many sellers in one draw",
        listed: false,
        claim: Claim::Open("a draw counts bids, not stake; the band bounds it"),
        knobs: &[knob("sellers", 2, 8, 4)],
        join: |scene, knobs| {
            // An honest one offers by itself what all of them offer; a job needs up to three units.
            let all = 3 * u32::try_from(knobs[0]).unwrap();
            for n in 0..knobs[0] {
                let seller = scene.rogue_seller(&format!("twin-{n}"), if n == 0 { all } else { 3 });
                if n > 0 {
                    seller.bids = Bids::Never;
                }
            }
            scene.level();
        },
        turn: |scene, knobs| {
            for n in 0..knobs[0] {
                let seller = scene.seller(&format!("twin-{n}"));
                (seller.units, seller.true_units) = (3, 3);
                seller.bids = if n == 0 { Bids::Compete } else { Bids::Echo };
            }
        },
    },
    Attack {
        name: "the proposer picks among hashes",
        listed: false,
        claim: Claim::Open("the seed is the block's hash; the band bounds it"),
        knobs: &[],
        join: |scene, _| {
            scene.rogue_seller("proposer", 8);
            scene.level();
        },
        turn: |scene, _| scene.grinder = Some(address("proposer")),
    },
    Attack {
        name: "bait: a ceiling far above the market",
        listed: false,
        claim: Claim::Loses,
        knobs: &[
            knob("times the market", 2, 200, 50),
            knob("orders", 1, 40, 40),
            knob("failures ppm", 0, 100_000, 20_000),
        ],
        join: |scene, knobs| {
            for seller in &mut scene.sellers {
                seller.fails_ppm = knobs[2];
            }
            scene.rogue_buyer("baiter", Vec::new());
        },
        turn: |scene, knobs| {
            let ceiling = CREDIT_AN_HOUR * u128::from(knobs[0]);
            let buyer = scene.buyer("baiter");
            buyer.habit = Habit::CloseAfter { after_s: 1, reason: TenantReason::Done };
            buyer.jobs = (0..knobs[1]).map(|n| Job { ceiling, ..Job::new(n * 60, 1, 900) }).collect();
        },
    },
    Attack {
        name: "the buyer's own seller pushes the price",
        listed: false,
        claim: Claim::LosesOnAverage,
        knobs: &[knob("down to ppm of a credit an hour", 300_000, 900_000, 550_000)],
        join: |scene, _| {
            scene.rogue_seller("shill", 8).bids = Bids::Never;
            let jobs = (0..6).map(|n| Job::new(n * 600, 2, 1_800)).collect();
            scene.rogue_buyer("pusher", jobs);
        },
        turn: |scene, knobs| {
            let shill = scene.seller("shill");
            (shill.bids, shill.targets, shill.runs) = (Bids::Compete, Targets::Mates, Runs::NoStart);
            shill.floor = CREDIT_AN_HOUR * u128::from(knobs[0]) / 1_000_000;
            scene.buyer("pusher").habit = Habit::UseUnlessOf { seller: address("shill") };
        },
    },
    Attack {
        name: "stop delivering after the trial",
        listed: false,
        claim: Claim::Open("after the trial nothing is held back"),
        knobs: &[knob("seconds", 1, 1_200, 301)],
        join: |scene, _| {
            scene.rogue_seller("quitter", 8);
        },
        turn: |scene, knobs| scene.seller("quitter").runs = Runs::Quit { after_s: knobs[0] },
    },
    Attack {
        name: "notice right after the award",
        listed: false,
        claim: Claim::LosesOnAverage,
        knobs: &[knob("seconds", 0, 1_200, 0)],
        join: |scene, _| {
            scene.rogue_seller("reclaimer", 8);
        },
        turn: |scene, knobs| scene.seller("reclaimer").runs = Runs::Reclaim { after_s: knobs[0] },
    },
    Attack {
        name: "the zone that the order is near",
        listed: false,
        claim: Claim::Open("a zone is what its provider says"),
        knobs: &[],
        join: |scene, _| {
            for job in scene.buyers.iter_mut().flat_map(|buyer| &mut buyer.jobs) {
                job.near = Some(HOME.into());
            }
            scene.rogue_seller("mover", 8).zone = "de/by/muc".into();
            scene.level();
        },
        turn: |scene, _| scene.seller("mover").zone = HOME.into(),
    },
    Attack {
        name: "false reports of no delivery",
        listed: false,
        claim: Claim::Loses,
        knobs: &[knob("seconds", 1, 299, 299)],
        join: |scene, _| {
            scene.rogue_buyer("nibbler", vec![Job::new(300, 2, 1_800)]);
        },
        turn: |scene, knobs| bites(scene, knobs[0], 1),
    },
    Attack {
        name: "leave before the slash",
        listed: false,
        claim: Claim::Loses,
        knobs: &[],
        join: |scene, _| {
            scene.rogue_seller("fugitive", 8);
        },
        turn: |scene, _| {
            scene.seller("fugitive").runs = Runs::NoStart;
            scene.seller("fugitive").tricks.flees = true;
        },
    },
    Attack {
        name: "extend by a unit",
        listed: false,
        claim: Claim::LosesOnAverage,
        knobs: &[],
        join: |scene, _| {
            scene.rogue_seller("extender", 8);
        },
        turn: |scene, _| scene.seller("extender").bids = Bids::Nibble,
    },
    Attack {
        name: "fees of many tiny leases",
        listed: false,
        claim: Claim::Loses,
        knobs: &[knob("orders", 2, 12, 8)],
        join: |scene, _| {
            scene.rogue_seller("friend", 8).zone = ALONE.into();
            let job = Job { zone: ALONE.into(), ceiling: CREDIT_AN_HOUR, ..Job::new(60, 2, 3_600) };
            scene.rogue_buyer("mate", vec![job]);
            scene.seller("friend").gives_mates_the_ceiling = true;
        },
        turn: |scene, knobs| {
            // 49 ucredit a lease: two parts in a hundred of it are less than one.
            let seconds = 3_600 / knobs[0];
            let job = |n| Job {
                zone: ALONE.into(),
                ceiling: kernel::E18 * 24 / u128::from(seconds),
                window_blocks: 12,
                ..Job::new(60 + n * (seconds + 120), 2, u32::try_from(seconds).unwrap())
            };
            scene.buyer("mate").jobs = (0..knobs[0]).map(job).collect();
        },
    },
    Attack {
        name: "pay beside the chain",
        listed: false,
        claim: Claim::Open("nobody has to pay on the chain; worth the fee"),
        knobs: &[knob("units", 1, 8, 4)],
        join: |scene, knobs| {
            scene.rogue_seller("friend", 8).zone = ALONE.into();
            let count = u32::try_from(knobs[0]).unwrap();
            let job = Job { zone: ALONE.into(), ceiling: CREDIT_AN_HOUR, ..Job::new(60, count, 6 * 3_600) };
            scene.rogue_buyer("mate", vec![job]);
            scene.seller("friend").gives_mates_the_ceiling = true;
        },
        turn: |scene, _| scene.buyer("mate").jobs[0].ceiling = 1,
    },
    Attack {
        name: "sell more than one has",
        listed: false,
        claim: Claim::Loses,
        knobs: &[knob("declared units a card", 2, 6, 3)],
        join: |scene, _| {
            scene.rogue_seller("seller", 3);
        },
        turn: |scene, knobs| scene.seller("seller").units *= u32::try_from(knobs[0]).unwrap(),
    },
    Attack {
        name: "fake start at a price of 1, let go",
        listed: false,
        claim: Claim::Loses,
        knobs: &[],
        join: |scene, _| {
            scene.rogue_seller("faker", 16);
        },
        turn: |scene, _| {
            let seller = scene.seller("faker");
            (seller.bids, seller.runs) = (Bids::Once { ppm: 0, before: 0 }, Runs::Fake);
            // The cheapest way out for a buyer: it pays the minimal charge at a price of 1.
            scene.buyers.iter_mut().for_each(|buyer| buyer.on_trial = TenantReason::Done);
        },
    },
    Attack {
        name: "false reports to bring rivals down",
        listed: false,
        claim: Claim::Loses,
        knobs: &[knob("times the market", 1, 50, 10), knob("orders", 1, 12, 6)],
        join: |scene, _| {
            scene.rogue_seller("rival", 8);
            scene.rogue_buyer("reporter", Vec::new());
        },
        turn: |scene, knobs| {
            scene.seller("rival").targets = Targets::Others;
            let ceiling = CREDIT_AN_HOUR * u128::from(knobs[0]);
            let buyer = scene.buyer("reporter");
            buyer.habit = Habit::CloseAfter { after_s: 1, reason: TenantReason::NotDelivered };
            buyer.jobs = (0..knobs[1]).map(|_| Job { ceiling, ..Job::new(0, 1, 900) }).collect();
        },
    },
];
