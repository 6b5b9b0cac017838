//! The commands for what should never happen: `debug diff`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kernel::AppHash;
use serde_json::{Value, json};
use store::Archive;

use super::{
    Context, Failure, Format,
    terminal::{print, print_json},
};
use crate::{
    client::reflect::Reflection,
    compare::{self, Comparison, Row},
};

/// Looks into what nodes left behind.
#[derive(Subcommand)]
pub(super) enum DebugCommand {
    /// Finds where two homes of one chain differ: the first height, and there the keys
    ///
    /// Both are only read; their nodes must not run. The exit code is 0 where they hold the same, 1 where they differ.
    ///
    /// Example, after a validator stopped with a wrong app hash: stop another one too, and compare
    /// `underbid debug diff /var/lib/validator /var/lib/other`. What differs at the first height was written by its block.
    Diff(DiffArgs),
}

/// What is compared.
#[derive(Args)]
pub(super) struct DiffArgs {
    /// A home, as `underbid start --home` takes it
    home_a: PathBuf,
    /// Another home of the same chain
    home_b: PathBuf,
    /// The height to compare [default: the first with different app hashes, else the last that both have]
    #[arg(long)]
    height: Option<u64>,
    /// The most rows that are shown
    #[arg(long, value_name = "N", default_value_t = 100)]
    rows: usize,
}

pub(super) fn run(context: &Context<'_>, command: &DebugCommand) -> Result<(), Failure> {
    let DebugCommand::Diff(args) = command;
    let (a, b) = (open(&args.home_a)?, open(&args.home_b)?);
    let comparison = compare::compare([&a, &b], args.height, args.rows)?;
    match context.format {
        Format::Json => print_json(&as_json(context.reflection, &comparison))?,
        Format::Table => print(&as_text(context.reflection, &comparison))?,
    }
    // The result says it all; the exit code says it to scripts.
    if comparison.is_same() { Ok(()) } else { Err(Failure { message: String::new(), code: 1 }) }
}

fn open(home: &Path) -> Result<Archive, Failure> {
    let path = home.join("data/application");
    Archive::open(&path).map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// A row with what its module's `.proto` says of it.
struct Shown {
    table: String,
    key: Option<String>,
    values: [Option<Value>; 2],
}

fn shown(reflection: &Reflection, row: &Row) -> Shown {
    let tag = row.key.first().copied().unwrap_or_default();
    if row.is_derived {
        return Shown { table: format!("index or queue {tag:#04x}"), key: None, values: [None, None] };
    }
    let Some(table) = reflection.table(row.module, tag) else {
        return Shown { table: format!("tag {tag}"), key: None, values: [None, None] };
    };
    let value = |value: &Option<bytes::Bytes>| table.value(reflection, value.as_ref()?).ok();
    Shown {
        table: format!("tag {tag}, {}", table.message.name()),
        key: table.key(&row.key),
        values: row.values.each_ref().map(value),
    }
}

fn as_text(reflection: &Reflection, comparison: &Comparison) -> String {
    let Comparison { shared: (oldest, latest), height, app_hashes, modules, rows } = comparison;
    let mut lines = vec![
        format!("shared heights  {oldest} to {latest}"),
        format!("height          {height}"),
        format!("app hash a      {}", hash(&app_hashes[0])),
        format!("app hash b      {}", hash(&app_hashes[1])),
    ];
    if comparison.is_same() {
        lines.push("the homes hold the same".into());
        return lines.join("\n");
    }
    if comparison.may_be_older() {
        lines.push(
            "they differ at the oldest height that both have: the first difference may be older".into(),
        );
    }
    let counts: Vec<String> = modules.iter().map(|(module, count)| format!("{module} {count}")).collect();
    lines.push(format!("rows that differ  {}", counts.join(", ")));
    for row in rows {
        let Shown { table, key, values } = shown(reflection, row);
        lines.push(format!(
            "\n{}, {table}{}",
            row.module,
            key.map(|key| format!(": {key}")).unwrap_or_default()
        ));
        lines.push(format!("  key  {}", hex::encode(&row.key)));
        for ((name, value), shown) in ["a", "b"].into_iter().zip(&row.values).zip(values) {
            let value = value.as_ref().map_or_else(|| "absent".to_owned(), hex::encode);
            lines.push(format!("  {name}    {value}"));
            lines.extend(shown.map(|shown| format!("       {shown}")));
        }
    }
    lines.join("\n")
}

fn as_json(reflection: &Reflection, comparison: &Comparison) -> Value {
    let row = |row: &Row| {
        let Shown { table, key, values: [a, b] } = shown(reflection, row);
        let [hex_a, hex_b] = row.values.each_ref().map(|value| value.as_ref().map(hex::encode));
        json!({
            "module": row.module, "table": table, "key": hex::encode(&row.key), "key_parts": key,
            "a": { "hex": hex_a, "record": a }, "b": { "hex": hex_b, "record": b },
        })
    };
    let Comparison { shared: (oldest, latest), height, app_hashes, modules, rows } = comparison;
    json!({
        "same": comparison.is_same(),
        "may_be_older": comparison.may_be_older(),
        "oldest": oldest.to_string(),
        "latest": latest.to_string(),
        "height": height.to_string(),
        "app_hashes": app_hashes.each_ref().map(hash),
        "modules": modules.iter().map(|(module, count)| json!({ "module": module, "rows": count })).collect::<Vec<_>>(),
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn hash(app_hash: &Option<AppHash>) -> String {
    app_hash.map_or_else(|| "none".to_owned(), hex::encode_upper)
}
