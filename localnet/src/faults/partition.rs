//! Links that break: N1 to N4; and surroundings that differ from node to node: T2.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::bed::{Bed, HEAL_TIMEOUT, Made, Options};
use super::checks::{Check, seconds};
use super::links::{Flow, Links};
use super::{Error, Played, conclude, failed};
use crate::net::Injection;

const VALIDATORS: usize = 4;
/// How long N4 waits between two nodes.
const STEP: Duration = Duration::from_millis(500);
/// How many more file descriptors a CometBFT, or an application, may have after its links flapped: a handful of requests in
/// flight, and of the database's files.
const DESCRIPTORS_MORE_MAX: usize = 40;
/// How much more memory each may hold then, in bytes: what some hundred blocks take.
const MEMORY_MORE_MAX: u64 = 128 << 20;

/// A net whose validators dial one another through links. The observer dials them directly.
async fn linked(options: &Options) -> Result<(Bed, Links), Error> {
    let mut links = Links::open(VALIDATORS).await.map_err(failed)?;
    let made = Made::new(options, |spec| spec.detours = links.ports())?;
    links.connect(&made.net)?;
    Ok((made.open().await?, links))
}

/// How links are broken.
type Partition = fn(&Links, Flow);

/// N1.
pub async fn partitions(options: &Options) -> Result<Played, Error> {
    let (bed, links) = linked(options).await?;
    let time = Duration::from_secs(if options.is_long { 30 } else { 4 });
    let rounds = if options.is_long { 10 } else { 1 };
    let mut checks = Vec::new();
    let mut findings = Vec::new();
    for _ in 0..rounds {
        // One way nothing can be cut without the other: bytes are lost instead.
        for (flow, one_way) in [(Flow::Cut, Flow::Lost), (Flow::Stalled, Flow::Stalled)] {
            let shapes: [(&str, bool, Flow, Partition); 4] = [
                ("3 of 4", true, flow, |links, flow| links.set_pairs(flow, |_, high| high == 3)),
                ("2 and 2", false, flow, |links, flow| {
                    links.set_pairs(flow, |low, high| low < 2 && high >= 2);
                }),
                ("a ring", true, flow, |links, flow| links.set_pairs(flow, |low, high| high - low == 2)),
                ("one way", true, one_way, |links, flow| (0..3).for_each(|to| links.set(3, to, flow))),
            ];
            for (shape, goes_on, flow, partition) in shapes {
                partition(&links, flow);
                // What was on its way may still become a block.
                tokio::time::sleep(Duration::from_secs(1)).await;
                let grown = bed.growth(time).await;
                links.heal();
                let healed = bed.wait_blocks(3, HEAL_TIMEOUT).await?;
                let detail = format!("{shape}, {flow:?}: {grown} blocks in {}", seconds(time));
                checks.push(Check::new("N1", (grown > 0) == goes_on, detail));
                findings.push(format!(
                    "{shape}, {flow:?}: 3 blocks everywhere {} after healing",
                    seconds(healed)
                ));
            }
        }
    }
    let cycles = u32::try_from(checks.len()).unwrap_or(u32::MAX);
    conclude(bed, cycles, checks, findings).await
}

/// N2.
pub async fn slow_links(options: &Options) -> Result<Played, Error> {
    let (bed, links) = linked(options).await?;
    let time = Duration::from_secs(if options.is_long { 300 } else { 10 });
    let (mean, jitter) = (Duration::from_millis(200), Duration::from_millis(50));
    links.set_pairs(Flow::Delayed { mean, jitter }, |_, _| true);
    let grown = bed.growth(time).await;
    links.heal();
    let check =
        Check::new("N2", grown > 0, format!("{grown} blocks in {} with 200 +/- 50 ms a link", seconds(time)));
    conclude(bed, 1, vec![check], Vec::new()).await
}

/// N3.
pub async fn flapping_links(options: &Options) -> Result<Played, Error> {
    let (bed, links) = linked(options).await?;
    let time = Duration::from_secs(if options.is_long { 600 } else { 16 });
    let before = usage(&bed);
    let started = Instant::now();
    let mut cycles = 0;
    while started.elapsed() < time {
        links.set_pairs(Flow::Cut, |_, _| true);
        tokio::time::sleep(Duration::from_secs(1)).await;
        links.heal();
        tokio::time::sleep(Duration::from_secs(1)).await;
        cycles += 1;
    }
    let healed = bed.wait_blocks(3, HEAL_TIMEOUT).await?;
    let after = usage(&bed);
    let judge = |(name, before, after): (&str, Usage, Usage)| {
        let detail = format!(
            "{} file descriptors of {name} before and {} after, {} and {} MiB",
            before.descriptors,
            after.descriptors,
            before.bytes >> 20,
            after.bytes >> 20
        );
        let is_even = after.descriptors <= before.descriptors + DESCRIPTORS_MORE_MAX
            && after.bytes <= before.bytes + MEMORY_MORE_MAX;
        Check::new("N3", is_even, detail)
    };
    let [comet, app] = before;
    let [comet_after, app_after] = after;
    let checks = [("a CometBFT", comet, comet_after), ("an application", app, app_after)].map(judge);
    let findings = vec![format!("3 blocks everywhere {} after the last flap", seconds(healed))];
    conclude(bed, cycles, checks.to_vec(), findings).await
}

/// What a process holds.
#[derive(Clone, Copy, Default)]
struct Usage {
    descriptors: usize,
    bytes: u64,
}

/// The most of each that a CometBFT holds, and that an application does.
fn usage(bed: &Bed) -> [Usage; 2] {
    let of = |id: Option<u32>, bytes| {
        let count = |id| Some(std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count());
        Usage { descriptors: id.and_then(count).unwrap_or_default(), bytes }
    };
    let mut most = [Usage::default(); 2];
    for node in bed.net.validators() {
        let (ids, bytes) = (node.process_ids(), node.resident_bytes());
        for (most, one) in most.iter_mut().zip([of(ids.0, bytes.0), of(ids.1, bytes.1)]) {
            most.descriptors = most.descriptors.max(one.descriptors);
            most.bytes = most.bytes.max(one.bytes);
        }
    }
    most
}

/// N4. The nodes are cut off one after the other, and come back in another order.
pub async fn swizzles(options: &Options) -> Result<Played, Error> {
    let (bed, links) = linked(options).await?;
    let rounds = if options.is_long { 50 } else { 4 };
    let (mut slowest, mut is_healed) = (Duration::ZERO, true);
    for round in 0..rounds {
        let flow = if round % 2 == 0 { Flow::Stalled } else { Flow::Cut };
        let mut off = BTreeSet::new();
        for node in shuffled() {
            off.insert(node);
            links.set_pairs(flow, |low, high| off.contains(&low) || off.contains(&high));
            tokio::time::sleep(STEP).await;
        }
        for node in shuffled() {
            off.remove(&node);
            links.set_pairs(Flow::Open, |low, high| !off.contains(&low) && !off.contains(&high));
            tokio::time::sleep(STEP).await;
        }
        match bed.wait_blocks(3, HEAL_TIMEOUT).await {
            Ok(took) => slowest = slowest.max(took),
            Err(_) => is_healed = false,
        }
    }
    let detail = if is_healed {
        format!("3 blocks everywhere {} after the last node came back at the most", seconds(slowest))
    } else {
        format!("no 3 blocks everywhere {} after the last node came back", seconds(HEAL_TIMEOUT))
    };
    conclude(bed, rounds, vec![Check::new("N4", is_healed, detail)], Vec::new()).await
}

/// All nodes, in any order.
fn shuffled() -> [usize; VALIDATORS] {
    let mut nodes = std::array::from_fn(|node| node);
    nodes.shuffle(&mut rand::rng());
    nodes
}

/// T2. Three of four run in surroundings of their own: another time zone, language and home; another allocator of the
/// application, by options of mimalloc's and of libc's, which its C++ uses; and other code for the same functions, in libc by
/// its tunables, in Go's cryptography by its debug setting. Rust's own choice by the processor can't be changed from outside.
/// There is no clock to skew: the application has none, by lint.
pub async fn surroundings(options: &Options) -> Result<Played, Error> {
    let made = Made::new(options, |_| {})?;
    let surroundings: [&[(&str, &str)]; 3] = [
        &[("TZ", "Pacific/Kiritimati"), ("LANG", "tr_TR.UTF-8"), ("LC_ALL", "tr_TR.UTF-8"), ("HOME", "/")],
        &[
            ("TZ", "America/Adak"),
            ("LANG", "C"),
            ("LC_ALL", "C"),
            ("RUST_MIN_STACK", "16777216"),
            ("USER", ""),
            ("MIMALLOC_DISALLOW_ARENA_ALLOC", "1"),
            ("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-BMI2,-ERMS,-FSRM"),
        ],
        &[
            ("TZ", "nowhere"),
            ("MIMALLOC_ARENA_EAGER_COMMIT", "0"),
            ("MIMALLOC_ALLOW_THP", "0"),
            ("MALLOC_ARENA_MAX", "1"),
            ("MALLOC_PERTURB_", "165"),
        ],
    ];
    for (node, variables) in made.net.validators()[1..].iter().zip(surroundings) {
        let app_environment: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let comet_environment = vec![("GODEBUG".to_owned(), "cpu.all=off".to_owned())];
        node.inject(Injection { app_environment, comet_environment, ..Injection::default() });
    }
    let bed = made.open().await?;
    tokio::time::sleep(Duration::from_secs(if options.is_long { 300 } else { 10 })).await;
    conclude(bed, 3, Vec::new(), Vec::new()).await
}
