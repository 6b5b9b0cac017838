//! What a node measures of itself, in Prometheus' terms. Nothing here reaches the state.
#![allow(
    clippy::disallowed_types,
    clippy::float_arithmetic,
    reason = "a node's own clock and figures are no consensus data"
)]

use std::{
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Instant,
};

use prometheus_client::{
    encoding::text::encode,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

use crate::execute::{Candidate, TxResult};

/// Counters and times of a node.
pub struct Metrics {
    registry: Mutex<Registry>,
    height: Gauge,
    execute_seconds: Histogram,
    commit_seconds: Histogram,
    txs: Family<Vec<(&'static str, &'static str)>, Counter>,
    gas_used: Counter,
    keys_read: Counter,
    keys_written: Counter,
    check_tx_seconds: Histogram,
    figures: Family<Vec<(&'static str, &'static str)>, Gauge>,
    base_fee: Gauge<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let times = || Histogram::new(exponential_buckets(0.000_1, 2.0, 18));
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("underbid")),
            height: Gauge::default(),
            execute_seconds: times(),
            commit_seconds: times(),
            txs: Family::default(),
            gas_used: Counter::default(),
            keys_read: Counter::default(),
            keys_written: Counter::default(),
            check_tx_seconds: Histogram::new(exponential_buckets(0.000_01, 2.0, 18)),
            figures: Family::default(),
            base_fee: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register("height", "Last committed height", self.height.clone());
        registry.register("execute_seconds", "Time to execute a block", self.execute_seconds.clone());
        registry.register(
            "commit_seconds",
            "Time to commit a block, with its sync",
            self.commit_seconds.clone(),
        );
        registry.register("transactions", "Executed transactions by outcome", self.txs.clone());
        registry.register("gas_used", "Gas used by transactions", self.gas_used.clone());
        registry.register("keys_read", "Keys read by blocks", self.keys_read.clone());
        registry.register("keys_written", "Keys written by blocks", self.keys_written.clone());
        registry.register("check_tx_seconds", "Time to check a transaction", self.check_tx_seconds.clone());
        registry.register("figure", "Sizes and backlogs, by name", self.figures.clone());
        registry.register("base_fee", "Price of one gas, in uflop", self.base_fee.clone());
    }

    /// The start of something that is timed.
    pub fn start(&self) -> Instant {
        Instant::now()
    }

    /// A transaction was checked.
    pub fn checked(&self, started: Instant) {
        self.check_tx_seconds.observe(started.elapsed().as_secs_f64());
    }

    /// A block was executed.
    pub fn executed(&self, started: Instant, candidate: &Candidate, results: &[TxResult]) {
        self.execute_seconds.observe(started.elapsed().as_secs_f64());
        let failed = kernel::codec::length(results.iter().filter(|result| result.code != 0).count());
        let all = kernel::codec::length(results.len());
        self.txs.get_or_create(&vec![("outcome", "ok")]).inc_by(all.saturating_sub(failed));
        self.txs.get_or_create(&vec![("outcome", "failed")]).inc_by(failed);
        self.gas_used.inc_by(candidate.gas_used);
        self.keys_read.inc_by(candidate.counters.reads);
        self.keys_written.inc_by(candidate.counters.writes);
    }

    /// The last committed height is this one.
    pub fn at_height(&self, height: u64) {
        self.height.set(i64::try_from(height).unwrap_or(i64::MAX));
    }

    /// A block was committed.
    pub fn committed(&self, started: Instant, height: u64) {
        self.commit_seconds.observe(started.elapsed().as_secs_f64());
        self.at_height(height);
    }

    /// A size or a backlog.
    pub fn figure(&self, name: &'static str, value: u64) {
        self.figures.get_or_create(&vec![("name", name)]).set(i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// The price of gas, in uflop times 10^18.
    pub fn set_base_fee(&self, atomics: u128) {
        #[allow(clippy::as_conversions, reason = "a gauge is a float, and this one is read by people")]
        self.base_fee.set(atomics as f64 / 1e18);
    }

    /// All of it as Prometheus reads it.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if encode(&mut text, &registry).is_err() {
            text.clear();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{Backend as _, Changes};
    use store::MemoryBackend;

    use super::Metrics;
    use crate::{app::App, modules::STORES};

    #[test]
    fn a_node_that_starts_says_at_which_height_it_is() {
        let store = MemoryBackend::new(STORES);
        let staged = store.stage(&*store.view(None).unwrap(), Changes::new()).unwrap();
        store.commit(staged, 7).unwrap();
        let app = App::open(Arc::new(store), Metrics::default()).unwrap();
        let text = app.metrics.render();
        assert!(text.contains("underbid_height 7\n"), "{text}");
    }
}
