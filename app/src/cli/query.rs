//! `underbid query`: any query of any module; and `underbid status`.

use clap::{Arg, ArgMatches, Command, value_parser};
use kernel::num::Dec;
use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::json;

use super::{
    Context, Failure, Format, block_on, fields,
    output::{self, pairs},
    terminal::{print, print_json},
    tx::connect,
};
use crate::client::reflect::Reflection;

/// The command with every query of every module.
pub(super) fn command(reflection: &Reflection) -> Command {
    let root = Command::new("query").visible_alias("q").about("Queries").long_about(
        "Asks the chain, at its last height or at a past one.\n\nExample: underbid query market order 5",
    );
    fields::modules(reflection, root, reflection.queries(), |command| {
        command.arg(
            Arg::new("at-height")
                .long("height")
                .value_name("HEIGHT")
                .value_parser(value_parser!(u64).range(1..))
                .help("The height of the answer [default: the last one]"),
        )
    })
}

/// Runs `query MODULE METHOD`.
pub(super) fn run(
    context: &Context<'_>,
    module: &str,
    name: &str,
    matches: &ArgMatches,
) -> Result<(), Failure> {
    let reflection = context.reflection;
    let queries = reflection.queries();
    let query = queries
        .iter()
        .find(|query| query.module == module && query.name == name)
        .ok_or_else(|| Failure::usage(format!("unknown query {module} {name}")))?;
    let mut request = DynamicMessage::new(query.input.clone());
    fields::apply(reflection, &mut request, &query.input, matches)?;
    let height = matches.get_one::<u64>("at-height").copied();
    let answer = block_on(async {
        let client = connect(context).await?;
        Ok(client.query_bytes(&query.path, &request.encode_to_vec(), height).await?)
    })?;
    let response = reflection.decode(&query.output, &answer.value)?;
    match context.format {
        Format::Json => print_json(&reflection.to_json(&response)?),
        Format::Table => print(&output::message(reflection, &response)),
    }
}

/// Runs `status`.
pub(super) fn status(context: &Context<'_>) -> Result<(), Failure> {
    let (status, peers, base_fee) = block_on(async {
        let client = connect(context).await?;
        let status = client.rpc().status().await?;
        let peers = client.rpc().peer_count().await?;
        Ok((status, peers, client.base_fee().await))
    })?;
    if context.format == Format::Json {
        let mut all = serde_json::to_value(&status)?;
        if let Some(object) = all.as_object_mut() {
            object.insert("peers".into(), json!(peers));
            let base_fee = base_fee
                .ok()
                .map(|fee| json!({ "atto_per_gas": fee.atto_per_gas.to_string(), "denom": fee.denom }));
            object.insert("base_fee".into(), json!(base_fee));
        }
        return print_json(&all);
    }
    // CometBFT may answer while its application does not.
    let price = match base_fee {
        Ok(fee) => format!("{} {} for a unit of gas", short(Dec::from_atomics(fee.atto_per_gas)), fee.denom),
        Err(error) => format!("unknown: {error}"),
    };
    print(&pairs(&[
        ("chain", status.chain_id),
        ("height", status.height.to_string()),
        ("time", status.block_time),
        ("app hash", status.app_hash),
        ("catching up", if status.is_catching_up { "yes" } else { "no" }.into()),
        ("node", format!("{} ({})", status.moniker, status.node_id)),
        ("CometBFT", status.version),
        ("peers", peers.to_string()),
        ("voting power", status.validator_power.to_string()),
        ("first height", status.earliest_height.to_string()),
        ("base fee", price),
    ]))
}

/// A decimal without the zeros at its end.
fn short(decimal: Dec) -> String {
    decimal.to_string().trim_end_matches('0').trim_end_matches('.').to_owned()
}
