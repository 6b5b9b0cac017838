//! The economy under attack: strategies that try to gain from the rules, and what they gain.
//!
//! A [`scene`] is a market of honest sellers and buyers drawn from a seed, on the real application with the reference
//! network's parameters, and a coalition among them. An attack is played twice on the same seed: once with the coalition
//! honest, once attacking. Its **profit** is the difference of what the coalition gains; what all others gain less is the
//! **harm**. A gain is the change of one's money (credits, and FLOP in the bank, at stake or unbonding, at the stake price),
//! less what delivering compute cost, plus what received compute is worth: its price on this market to the coalition, what
//! they were ready to pay to honest buyers. Gas is left out.
//!
//! `catalogue` says what an attack is, `listed` and `added` are the attacks, `trial` plays one, `report` prints many,
//! `search` looks for better values of an attack's knobs.

mod added;
mod arena;
mod buyer;
mod catalogue;
mod ledger;
mod listed;
mod report;
mod scene;
mod search;
mod seller;
mod squatter;
mod trial;

use std::{ops::Range, process::ExitCode};

pub use catalogue::{Attack, Claim, Knob, all};
pub use report::{Summary, head, summary};
pub use trial::{Figures, run};

use crate::seeds::parse_seeds;

/// What to run.
#[derive(clap::Args)]
pub struct Options {
    /// The seeds, FROM..TO, TO excluded.
    #[arg(long, default_value = "1..13", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Compares so many values of each attack's knobs, the usual ones among them, and judges the best on other seeds.
    #[arg(long, conflicts_with = "seeds")]
    search: Option<u32>,
    /// Values of the knobs of the one attack that `--only` names, in their order, instead of the usual ones.
    #[arg(long, value_delimiter = ',', conflicts_with = "search", requires = "only")]
    values: Option<Vec<u64>>,
    /// Only attacks whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Prints the table. Fails if a claim of the catalogue does not hold.
pub fn main(options: &Options) -> ExitCode {
    let attacks: Vec<_> = all().filter(|attack| attack.name.contains(&options.only)).collect();
    if attacks.is_empty() {
        println!("--only {}: expected a part of an attack's name", options.only);
        return ExitCode::FAILURE;
    }
    println!("{}", report::head());
    let mut broken = 0;
    for attack in attacks {
        let values = options.values.clone().unwrap_or_else(|| attack.usual());
        if values.len() != attack.knobs.len() {
            println!("{}: expected {} values", attack.name, attack.knobs.len());
            return ExitCode::FAILURE;
        }
        let summary = match options.search {
            None => summary(attack, values, options.seeds.clone()),
            Some(tries) => search::search(attack, tries),
        };
        println!("{}", summary.line());
        if let Claim::Open(why) = summary.claim {
            println!("    open: {why}");
        }
        for (knob, value) in attack.knobs.iter().zip(&summary.values).filter(|_| options.search.is_some()) {
            println!("    {}: {value}", knob.name);
        }
        broken += u32::from(!summary.holds());
    }
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
