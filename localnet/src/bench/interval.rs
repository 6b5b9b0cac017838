//! How often an idle net makes a block.

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Cores, CpuTimes, Distribution, round};
use crate::net::{Error, Net};

const SETTLED_HEIGHT: u64 = 20;
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Intervals {
    /// How many blocks were made.
    pub blocks: u64,
    /// How long was measured, by our clock.
    pub seconds: f64,
    /// That time a block.
    pub mean_ms: f64,
    /// The intervals between the headers.
    pub intervals: Distribution,
    /// What it cost.
    pub cores: Cores,
}

/// Watches a net for a while without sending anything.
pub async fn measure_interval(net: &Net, duration: Duration) -> Result<Intervals, Error> {
    let rpc = net.node(0)?.rpc();
    // The first blocks of a net wait for its connections.
    rpc.wait_for_height(SETTLED_HEIGHT, SETTLE_TIMEOUT).await?;
    let (first, cpu_before, start) = (rpc.height().await?, CpuTimes::of(net), Instant::now());
    tokio::time::sleep(duration).await;
    let (last, cpu_after, elapsed) = (rpc.height().await?, CpuTimes::of(net), start.elapsed());
    net.check()?;
    let headers = rpc.headers(first, last).await?;
    let blocks = last.saturating_sub(first);
    let count = u32::try_from(blocks).unwrap_or(u32::MAX).max(1);
    Ok(Intervals {
        blocks,
        seconds: round(elapsed.as_secs_f64()),
        mean_ms: round(elapsed.as_secs_f64() * 1000.0 / f64::from(count)),
        intervals: Distribution::of(&headers),
        cores: cpu_after.cores_since(&cpu_before, elapsed),
    })
}

impl fmt::Display for Intervals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blocks, seconds, mean_ms, intervals, cores } = self;
        let Distribution { min_ms, median_ms, p90_ms, max_ms } = intervals;
        writeln!(f, "{blocks} empty blocks in {seconds} s: one every {mean_ms} ms")?;
        writeln!(f, "interval: median {median_ms} ms, min {min_ms}, 90% below {p90_ms}, max {max_ms}")?;
        write!(f, "cores in use: CometBFT {}, application {}", cores.comet, cores.app)
    }
}
