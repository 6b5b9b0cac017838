//! The summary as text.

use std::collections::BTreeMap;
use std::fmt;

use super::facts::{per_hour, units};
use super::summary::{OrderRow, Summary};

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nOrders (prices in CREDIT an hour for a unit, money in CREDIT)")?;
        for order in &self.orders {
            write_order(f, order)?;
        }
        writeln!(
            f,
            "\nMoney (start + in - out = end, by the events of {} blocks and by the bank)",
            self.height
        )?;
        let header = ["account", "denom", "start", "in", "out", "end"];
        let [account, denom, start, inward, out, end] = header;
        writeln!(f, "  {account:<13} {denom:<7} {start:>18} {inward:>18} {out:>18} {end:>18}")?;
        for row in &self.accounts {
            let mark = if row.matches { "" } else { "  WRONG" };
            writeln!(
                f,
                "  {:<13} {:<7} {:>18} {:>18} {:>18} {:>18}{mark}",
                row.name, row.denom, row.start, row.inward, row.out, row.end
            )?;
        }
        for row in &self.supplies {
            let mark = if row.matches { "" } else { "  WRONG" };
            let (start, burned) = (row.start + row.minted, row.burned);
            writeln!(
                f,
                "  {:<13} {:<7} {start:>18} {:>18} {burned:>18} {:>18}{mark}",
                "(all)", row.denom, "burned", row.end
            )?;
        }
        if self.accounts.iter().all(|row| row.matches) && self.supplies.iter().all(|row| row.matches) {
            writeln!(f, "  every account matches to the unit")?;
        }
        write_refusals(f, self)?;
        writeln!(f, "\nValidators")?;
        for validator in &self.validators {
            let (index, height, hash) = (validator.index, validator.height, &validator.app_hash);
            writeln!(f, "  node{index}  height {height}  app hash at {}: {hash}", validator.common_height)?;
        }
        writeln!(
            f,
            "\n{} transactions in {} blocks, one every {} ms; {} s in all",
            self.transactions + self.failed,
            self.height,
            self.block_interval_ms,
            self.seconds
        )?;
        match self.problems.as_slice() {
            [] => write!(f, "Everything happened as it should."),
            problems => {
                write!(f, "Not as it should be:")?;
                problems.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

fn write_order(f: &mut fmt::Formatter<'_>, order: &OrderRow) -> fmt::Result {
    let OrderRow { id, tenant, count, class_id, story, closed, .. } = order;
    writeln!(
        f,
        "  #{id} {tenant}: {count} of class {class_id}, ceiling {}; {story}",
        per_hour(order.ceiling)
    )?;
    for (round, number) in order.rounds.iter().zip(1..) {
        let Some(winner) = &round.winner else {
            writeln!(f, "     round {number}: {}", round.why)?;
            continue;
        };
        let first = round.first_bid.as_ref().map_or(0, |first| first.unit_rate);
        writeln!(
            f,
            "     round {number}: first bid {}, {} bids of {} bidders, {} extensions; {winner} wins at {}",
            per_hour(first),
            round.bids,
            round.offers.len(),
            round.extensions,
            per_hour(round.unit_rate)
        )?;
        writeln!(f, "              why: {}", round.why)?;
        writeln!(
            f,
            "              lease: {}, paid {} (fee {})",
            round.ended,
            units(round.gross),
            units(round.fee)
        )?;
    }
    writeln!(
        f,
        "     {closed}: {} deposited, {} added, {} paid, {} for further rounds, {} back",
        units(order.deposit),
        units(order.added),
        units(order.paid),
        units(order.fined),
        units(order.refunded)
    )
}

fn write_refusals(f: &mut fmt::Formatter<'_>, summary: &Summary) -> fmt::Result {
    if summary.refusals.is_empty() {
        return Ok(());
    }
    writeln!(f, "\nRefused transactions (bots that were overtaken)")?;
    let mut groups: BTreeMap<(&str, &str, &str, u32), (u32, &str)> = BTreeMap::new();
    for refused in &summary.refusals {
        let key = (refused.message.as_str(), refused.stage, refused.codespace.as_str(), refused.code);
        groups.entry(key).or_insert((0, &refused.log)).0 += 1;
    }
    for ((message, stage, codespace, code), (count, log)) in groups {
        writeln!(f, "  {count} x {message} in {stage}, {codespace}/{code}: {log}")?;
    }
    Ok(())
}
