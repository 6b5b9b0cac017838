//! What a user sees while it plays: a table that is drawn again and again on a terminal, else a line an event.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::sync::Arc;
use std::time::Duration;

use super::board::{Board, Shared};
use super::facts::{per_hour, units};
use super::orders::{OrderView, RoundStage};

/// How often the table is drawn, and how often new lines are printed.
pub const FRAME: Duration = Duration::from_millis(200);
/// How many of the last events stand below the table.
const EVENTS: usize = 6;
const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";

/// Where the play is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// A table on the terminal.
    Table,
    /// Lines on standard output.
    Lines,
    /// Lines on standard error, because standard output is for a document.
    ErrorLines,
}

impl Screen {
    /// What suits standard output.
    pub fn choose(is_json: bool) -> Self {
        match (is_json, std::io::stdout().is_terminal()) {
            (true, _) => Self::ErrorLines,
            (false, true) => Self::Table,
            (false, false) => Self::Lines,
        }
    }

    /// Prints a line now.
    pub fn say(self, line: &str) {
        match self {
            Self::ErrorLines => eprintln!("{line}"),
            _ => println!("{line}"),
        }
    }

    /// Shows what happens until it is dropped.
    pub async fn show(self, shared: Arc<Shared>) {
        let mut seen = 0;
        let mut drawn = 0;
        loop {
            if self == Self::Table {
                drawn = draw(&shared.read(table), drawn);
            } else {
                seen = self.print_lines(&shared, seen);
            }
            tokio::time::sleep(FRAME).await;
        }
    }

    fn print_lines(self, shared: &Shared, seen: usize) -> usize {
        let (lines, count) = shared.read(|board| board.lines_after(seen));
        lines.iter().for_each(|line| self.say(line));
        count
    }
}

/// Draws over the lines of the last frame; returns how many there are now.
fn draw(table: &str, drawn: usize) -> usize {
    let mut out = std::io::stdout().lock();
    let up = if drawn > 0 { format!("\x1b[{drawn}A\x1b[J") } else { String::new() };
    // Without wrapping, a line of the table is a line of the terminal, however narrow it is.
    let written = write!(out, "{up}\x1b[?7l{table}\x1b[?7h").and_then(|()| out.flush());
    if written.is_err() {
        return 0;
    }
    table.lines().count()
}

fn table(board: &Board) -> String {
    let interval =
        board.interval().map_or_else(|| "-".to_owned(), |interval| format!("{} ms", interval.as_millis()));
    let (done, failed) = board.transactions;
    let mut text = format!(
        "\n{BOLD}height {}{RESET}   a block every {interval}   gas {} uflop a million   {done} transactions, {failed} failed\n\n",
        board.height, board.base_fee
    );
    let header = format!(
        "{:<3} {:<7} {:<14} {:<11} {:>9} {:>9} {:>4} {:<9} {:<10} {:>8} {:>11} {:>11} {:>6}",
        "#",
        "tenant",
        "units",
        "state",
        "ceiling",
        "best",
        "bids",
        "leader",
        "until",
        "CREDIT/h",
        "paid",
        "left",
        "dry in"
    );
    writeln_to(&mut text, &format!("{BOLD}{header}{RESET}"));
    for (id, order) in &board.orders {
        writeln_to(&mut text, &row(board, *id, order));
    }
    text.push('\n');
    for line in board.last_lines(EVENTS) {
        writeln_to(&mut text, &format!("{DIM}{line}{RESET}"));
    }
    text
}

fn writeln_to(text: &mut String, line: &str) {
    // Writing to a string can't fail.
    if writeln!(text, "{line}").is_err() {
        text.push('\n');
    }
}

fn row(board: &Board, id: u64, order: &OrderView) -> String {
    let round = order.round();
    let (stage, color) = stage(order);
    let best = round.and_then(|round| round.best());
    let price = round.and_then(|round| round.winner.as_ref()).map(|(_, rate)| *rate);
    let price = price.or(best.map(|offer| offer.unit_rate));
    let leader = round.and_then(|round| round.winner.as_ref().map(|(name, _)| name.as_str()));
    let leader = leader.or(best.map(|offer| offer.provider.as_str())).unwrap_or("-");
    let bids = round.map_or(0, |round| round.bids);
    let until = match round {
        Some(round) if round.stage == RoundStage::Auction && round.close_height > 0 => {
            let left = round.close_height.saturating_sub(board.height);
            format!("{left} blk +{}", round.extensions)
        }
        _ => String::new(),
    };
    let is_paying =
        round.is_some_and(|round| matches!(round.stage, RoundStage::Active | RoundStage::Reclaiming));
    let rate = round.and_then(|round| round.winner.as_ref()).filter(|_| is_paying);
    let rate = rate.map(|(_, unit_rate)| per_hour(unit_rate.saturating_mul(u128::from(order.count))));
    let dry = order.money.lasts_s.filter(|_| is_paying).map(|seconds| format!("{seconds} s"));
    let money = |amount: u128| if amount > 0 { units(amount) } else { String::new() };
    format!(
        "{:<3} {:<7} {:<14} {color}{:<11}{RESET} {:>9} {:>9} {:>4} {:<9} {:<10} {:>8} {:>11} {:>11} {:>6}",
        id,
        order.tenant,
        format!("{} of class {}", order.count, order.class_id),
        stage,
        per_hour(order.ceiling),
        price.map(per_hour).unwrap_or_default(),
        bids,
        leader,
        until,
        rate.unwrap_or_default(),
        money(order.paid()),
        if is_paying { money(order.money.balance) } else { String::new() },
        dry.unwrap_or_default(),
    )
}

fn stage(order: &OrderView) -> (String, &'static str) {
    if let Some((reason, _)) = &order.closed {
        return (reason.clone(), DIM);
    }
    match order.round() {
        None => (String::new(), RESET),
        Some(round) => match &round.stage {
            RoundStage::Auction if round.bids == 0 => ("open".to_owned(), RESET),
            RoundStage::Auction => ("bidding".to_owned(), YELLOW),
            RoundStage::Starting => ("starting".to_owned(), YELLOW),
            RoundStage::Active if round.was_low => ("low funds".to_owned(), YELLOW),
            RoundStage::Active => ("active".to_owned(), GREEN),
            RoundStage::Reclaiming => ("reclaiming".to_owned(), YELLOW),
            RoundStage::Closed(reason) => (reason.clone(), DIM),
        },
    }
}
