//! Links that break: N1 to N3; and surroundings that differ from node to node: T2.

use std::time::{Duration, Instant};

use super::bed::{Bed, HEAL_TIMEOUT, Made, Options};
use super::checks::{Check, seconds};
use super::links::{Flow, Links};
use super::{Error, Played, conclude, failed};
use crate::net::Injection;

const VALIDATORS: usize = 4;
/// How many more file descriptors a CometBFT may have after its links flapped: a handful of requests in flight.
const DESCRIPTORS_MORE_MAX: usize = 40;

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
        for flow in [Flow::Cut, Flow::Stalled] {
            let shapes: [(&str, bool, Partition); 4] = [
                ("3 of 4", true, |links, flow| links.set_pairs(flow, |_, high| high == 3)),
                ("2 and 2", false, |links, flow| links.set_pairs(flow, |low, high| low < 2 && high >= 2)),
                ("a ring", true, |links, flow| links.set_pairs(flow, |low, high| high - low == 2)),
                ("one way", true, |links, flow| (0..3).for_each(|to| links.set(3, to, flow))),
            ];
            for (shape, goes_on, partition) in shapes {
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
    let more = after.0.saturating_sub(before.0);
    let detail = format!(
        "{} file descriptors of one CometBFT before and {} after, {} and {} MiB",
        before.0,
        after.0,
        before.1 >> 20,
        after.1 >> 20
    );
    let check = Check::new("N3", more <= DESCRIPTORS_MORE_MAX, detail);
    let findings = vec![format!("3 blocks everywhere {} after the last flap", seconds(healed))];
    conclude(bed, cycles, vec![check], findings).await
}

/// The most file descriptors and the most memory of a CometBFT.
fn usage(bed: &Bed) -> (usize, u64) {
    let nodes = bed.net.validators().iter();
    let descriptors = nodes.clone().filter_map(|node| {
        let id = node.process_ids().0?;
        Some(std::fs::read_dir(format!("/proc/{id}/fd")).ok()?.count())
    });
    let resident = nodes.map(|node| node.resident_bytes().0);
    (descriptors.max().unwrap_or_default(), resident.max().unwrap_or_default())
}

/// T2. Three of four run in surroundings of their own. There is no clock to skew: the application has none, by lint.
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
        ],
        &[
            ("TZ", "nowhere"),
            ("MALLOC_ARENA_MAX", "1"),
            ("MIMALLOC_PAGE_RESET", "1"),
            ("TOKIO_WORKER_THREADS", "1"),
        ],
    ];
    for (node, variables) in made.net.validators()[1..].iter().zip(surroundings) {
        let app_environment: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // Go's cryptography takes other paths without the processor's extensions.
        let comet_environment = vec![("GODEBUG".to_owned(), "cpu.all=off".to_owned())];
        node.inject(Injection { app_environment, comet_environment, ..Injection::default() });
    }
    let bed = made.open().await?;
    tokio::time::sleep(Duration::from_secs(if options.is_long { 300 } else { 10 })).await;
    conclude(bed, 3, Vec::new(), Vec::new()).await
}
