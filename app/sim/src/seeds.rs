//! The seeds of a run, as the command line gives them.

use std::ops::Range;

/// Reads `FROM..TO`; none at all would be a run that tries nothing.
pub(crate) fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let bounds = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    let seeds = bounds.filter(|seeds: &Range<u64>| !seeds.is_empty());
    seeds.ok_or_else(|| format!("expected FROM..TO with FROM below TO, got {text:?}"))
}
