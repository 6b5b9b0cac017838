//! The commands that work on this home's data: `start`, `export`, `rollback`, `genesis`, `config`.

use std::io::{self, IsTerminal};

use clap::{Args, Subcommand};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use super::{
    Context, Failure, Format,
    output::table,
    terminal::{print, print_json, read_text},
};
use crate::{
    config::{Config, LogFormat},
    genesis,
};

/// Settings of the node, which config/app.toml and UNDERBID_<KEY> can say too.
#[derive(Args)]
pub(super) struct NodeFlags {
    /// Where CometBFT reaches the application: unix://PATH or tcp://HOST:PORT
    #[arg(long, value_name = "ADDRESS")]
    abci: Option<String>,
    /// Where gRPC is served; empty: not at all
    #[arg(long, value_name = "HOST:PORT")]
    grpc: Option<String>,
    /// Where Prometheus reads metrics; empty: not at all
    #[arg(long, value_name = "HOST:PORT")]
    metrics: Option<String>,
    /// What is logged: error, warn, info, debug or trace, also by part, as info,store=debug
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How a log line is written: text or json
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// For how many past heights queries are served, and proofs since the last start
    #[arg(long, value_name = "N")]
    history_heights: Option<String>,
    /// The most memory for proofs at past heights, in MiB
    #[arg(long, value_name = "MIB")]
    history_memory_mib: Option<String>,
    /// The most memory for the database's cache, in MiB
    #[arg(long, value_name = "MIB")]
    cache_memory_mib: Option<String>,
}

impl NodeFlags {
    /// The flags that were given, by the keys of their settings.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let flags = [
            ("abci", &self.abci),
            ("grpc", &self.grpc),
            ("metrics", &self.metrics),
            ("log_level", &self.log_level),
            ("log_format", &self.log_format),
            ("history_heights", &self.history_heights),
            ("history_memory_mib", &self.history_memory_mib),
            ("cache_memory_mib", &self.cache_memory_mib),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

/// Works with genesis files.
#[derive(Subcommand)]
pub(super) enum GenesisCommand {
    /// Checks a genesis file and says what is in it
    Validate {
        /// The file; `-` is standard input
        file: String,
    },
}

pub(super) fn start(context: &Context<'_>) -> Result<(), Failure> {
    start_logging(context.config)?;
    Ok(crate::node::start(context.config)?)
}

/// Logs go to standard error.
fn start_logging(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.log_level)?;
    let is_colored = io::stderr().is_terminal();
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_colored).with_writer(io::stderr);
    let started = match config.log_format {
        LogFormat::Text => logs.try_init(),
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    started.map_err(|e| Failure::failed(format!("logging can't start: {e}")))
}

pub(super) fn export(context: &Context<'_>, height: Option<u64>) -> Result<(), Failure> {
    print_json(&crate::node::export(context.config, height)?)
}

pub(super) fn rollback(context: &Context<'_>) -> Result<(), Failure> {
    let (height, app_hash) = crate::node::rollback(context.config)?;
    let app_hash = hex::encode_upper(app_hash);
    match context.format {
        Format::Json => print_json(&json!({ "height": height.to_string(), "app_hash": app_hash })),
        Format::Table => print(&format!("height    {height}\napp hash  {app_hash}")),
    }
}

pub(super) fn genesis(context: &Context<'_>, command: &GenesisCommand) -> Result<(), Failure> {
    let GenesisCommand::Validate { file } = command;
    let summary =
        genesis::validate(&read_text(file)?).map_err(|e| Failure::failed(format!("{file}: {e}")))?;
    match context.format {
        Format::Json => print_json(&json!({ "valid": true, "summary": summary.to_string() })),
        Format::Table => print(&summary.to_string()),
    }
}

pub(super) fn config(context: &Context<'_>) -> Result<(), Failure> {
    let settings = context.config.provenance();
    match context.format {
        Format::Json => {
            let all: serde_json::Map<_, _> = settings
                .iter()
                .map(|setting| {
                    (setting.key.into(), json!({ "value": setting.value, "source": setting.source }))
                })
                .collect();
            print_json(&all.into())
        }
        Format::Table => {
            let rows = settings
                .iter()
                .map(|setting| {
                    let value = if setting.value.is_empty() { "-" } else { &setting.value };
                    vec![setting.key.to_owned(), value.to_owned(), setting.source.clone()]
                })
                .collect();
            print(&table(&["KEY", "VALUE", "FROM"], rows))
        }
    }
}
