//! Measurements on a running net: how often it makes a block, and how many transactions it commits.

mod bids;
mod interval;
mod load;

use std::time::Duration;

use serde::Serialize;
use underbid::client::rpc::Header;

pub use bids::{BIDS_AN_ORDER, BidLoad, BidSource};
pub use interval::{Intervals, measure_interval};
pub use load::{KvSource, LoadOptions, LoadReport, TxSource, measure_load};

use crate::net::{Net, cpu_time_of};

/// Processor cores in use, on average over a measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cores {
    /// By all CometBFT processes.
    pub comet: f64,
    /// By all applications.
    pub app: f64,
    /// By this process.
    pub own: f64,
}

/// The CPU time used up to a moment.
struct CpuTimes {
    comet: Duration,
    app: Duration,
    own: Duration,
}

impl CpuTimes {
    fn of(net: &Net) -> Self {
        let times: Vec<_> = net.validators().iter().map(|node| node.cpu_time()).collect();
        Self {
            comet: times.iter().map(|(comet, _)| *comet).sum(),
            app: times.iter().map(|(_, app)| *app).sum(),
            own: cpu_time_of("self"),
        }
    }

    fn cores_since(&self, earlier: &Self, elapsed: Duration) -> Cores {
        let cores = |now: Duration, then: Duration| {
            round(now.saturating_sub(then).as_secs_f64() / elapsed.as_secs_f64())
        };
        Cores {
            comet: cores(self.comet, earlier.comet),
            app: cores(self.app, earlier.app),
            own: cores(self.own, earlier.own),
        }
    }
}

/// The times between blocks by their headers, in milliseconds.
///
/// CometBFT v0.38 takes a block's time from the votes for the block before, so one interval says when validators voted, and
/// many say how long a block takes.
#[derive(Clone, Debug, Serialize)]
pub struct Distribution {
    /// The least.
    pub min_ms: f64,
    /// Half are below.
    pub median_ms: f64,
    /// Nine of ten are below.
    pub p90_ms: f64,
    /// The greatest.
    pub max_ms: f64,
}

/// The times between consecutive headers, the least first.
pub(crate) fn intervals(headers: &[Header]) -> Vec<Duration> {
    let interval = |pair: &[Header]| pair[1].time_ns.saturating_sub(pair[0].time_ns);
    let mut intervals: Vec<_> = headers.windows(2).map(interval).map(Duration::from_nanos).collect();
    intervals.sort_unstable();
    intervals
}

impl Distribution {
    /// Of the intervals between consecutive headers; zeros when there are fewer than two.
    fn of(headers: &[Header]) -> Self {
        let intervals = intervals(headers);
        let quantile = |tenths: usize| {
            let index = intervals.len().saturating_sub(1) * tenths / 10;
            let interval = intervals.get(index).copied().unwrap_or_default();
            round(interval.as_secs_f64() * 1000.0)
        };
        Self { min_ms: quantile(0), median_ms: quantile(5), p90_ms: quantile(9), max_ms: quantile(10) }
    }
}

/// Two digits after the point are all that is worth printing.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
