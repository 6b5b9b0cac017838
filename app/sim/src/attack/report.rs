//! Figures over seeds, and the table of them.

use std::{
    fmt::Write as _,
    ops::Range,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    catalogue::{Attack, Claim},
    trial::{Figures, run},
};

/// A mean above this is a profit however much the seeds differ, in ucredit: a hundredth of what a scene turns over.
const AVERAGE_MAX: i128 = 150_000;

/// The figures of one attack on several seeds.
pub struct Summary {
    pub attack: &'static Attack,
    /// What is said of its profit.
    pub claim: Claim,
    pub values: Vec<u64>,
    pub figures: Vec<Figures>,
}

/// Runs jobs on all cores, in any order; the results are in theirs.
pub fn in_parallel<T: Sync, R: Send>(jobs: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { return };
                    let result = work(job);
                    done.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// An attack with these values on each of the seeds.
pub fn summary(attack: &'static Attack, values: Vec<u64>, seeds: Range<u64>) -> Summary {
    let seeds: Vec<u64> = seeds.collect();
    let figures = in_parallel(&seeds, |seed| run(attack, &values, *seed));
    Summary { attack, claim: attack.claim, values, figures }
}

impl Summary {
    /// Whether the figures bear out what the catalogue claims, and the attack was played at all.
    pub fn holds(&self) -> bool {
        let mean = self.mean(|figures| figures.profit);
        let claim = match self.claim {
            Claim::Loses => self.figures.iter().all(|figures| figures.profit <= 0),
            Claim::LosesOnAverage => mean <= AVERAGE_MAX && mean <= 3 * self.error_of_profit(),
            Claim::Open(_) => mean > 0,
        };
        claim && self.figures.iter().any(|figures| figures.shows)
    }

    /// The mean of a figure.
    pub fn mean(&self, of: impl Fn(&Figures) -> i128) -> i128 {
        let sum: i128 = self.figures.iter().map(of).sum();
        sum / i128::try_from(self.figures.len().max(1)).unwrap()
    }

    /// The standard error of the mean profit.
    pub fn error_of_profit(&self) -> i128 {
        let mean = self.mean(|figures| figures.profit);
        let squares: u128 = self.figures.iter().map(|one| (one.profit - mean).unsigned_abs().pow(2)).sum();
        let seeds = self.figures.len() as u128;
        let variance = squares / (seeds * seeds.saturating_sub(1)).max(1);
        i128::try_from(variance.isqrt()).unwrap()
    }

    /// The sum of a count: transactions of the coalition that were executed, or refused.
    fn sum(&self, of: impl Fn(&Figures) -> u32) -> u32 {
        self.figures.iter().map(of).sum()
    }

    fn sorted(&self, of: impl Fn(&Figures) -> i128) -> Vec<i128> {
        let mut sorted: Vec<_> = self.figures.iter().map(of).collect();
        sorted.sort_unstable();
        sorted
    }

    /// What the coalition pays for a credit of harm, in ppm; `None`: it harms nobody.
    fn cost_of_harm_ppm(&self) -> Option<i128> {
        let (profit, harm) = (self.mean(|figures| figures.profit), self.mean(|figures| figures.harm));
        (harm > 0).then(|| -profit * 1_000_000 / harm)
    }

    /// Its line of the table.
    pub fn line(&self) -> String {
        let middle = |sorted: &[i128]| sorted[sorted.len() / 2];
        let profit = self.sorted(|figures| figures.profit);
        let claim = match self.claim {
            _ if !self.holds() => "BROKEN",
            Claim::Loses => "loses",
            Claim::LosesOnAverage => "on average",
            Claim::Open(_) => "OPEN",
        };
        let mut line = format!("{:<38} {claim:<10}", self.attack.name);
        let figures = [
            middle(&self.sorted(|figures| figures.absolute)),
            profit[0],
            middle(&profit),
            profit[profit.len() - 1],
            self.mean(|figures| figures.profit),
            self.error_of_profit(),
            middle(&self.sorted(|figures| figures.harm)),
        ];
        for figure in figures {
            write!(line, " {:>9}", credits(figure)).unwrap();
        }
        let cost = self.cost_of_harm_ppm().map_or("-".into(), credits);
        write!(line, " {cost:>8} {:>6} {:>7}", self.sum(|one| one.done), self.sum(|one| one.refused))
            .unwrap();
        line
    }
}

/// The head of the table.
pub fn head() -> String {
    let mut head = format!("{:<38} {:<10}", "attack (credits)", "claim");
    for column in ["absolute", "min", "median", "max", "mean", "+-", "harm"] {
        write!(head, " {column:>9}").unwrap();
    }
    write!(head, " {:>8} {:>6} {:>7}", "per harm", "done", "refused").unwrap();
    head
}

/// An amount of ucredit in credits, to a thousandth.
pub fn credits(ucredit: i128) -> String {
    let sign = if ucredit <= -500 { "-" } else { "" };
    let thousandths = (ucredit.abs() + 500) / 1_000;
    format!("{sign}{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}
