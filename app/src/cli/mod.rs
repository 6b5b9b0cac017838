//! The command line. What a user asked for goes to standard output, as a table or as JSON; everything else goes to standard
//! error. The exit code is 0, or 1 where it failed, or 2 where the command was not understood.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_types,
    reason = "the command line is not consensus: it may measure time and compute with lengths"
)]

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::{
    client::reflect::Reflection,
    config::{Config, Flags},
};

mod debug;
mod fields;
mod init;
mod keys;
mod node;
mod offline;
mod output;
mod query;
mod terminal;
mod tx;

/// A chain for GPU compute: the node's application, and a client for it.
#[derive(Parser)]
#[command(name = "underbid", version, arg_required_else_help = true, subcommand_required = true)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Args, Clone)]
struct Globals {
    /// The folder of configuration, keys and data [default: UNDERBID_HOME, else ~/.underbid]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    home: Option<PathBuf>,
    /// The CometBFT RPC to ask [default: http://127.0.0.1:26657]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    node: Option<String>,
    /// The chain's id [default: the node's]
    #[arg(long, global = true, value_name = "ID", help_heading = "Global options")]
    chain_id: Option<String>,
    /// The prefix of the chain's addresses [default: underbid]
    #[arg(long, global = true, value_name = "PREFIX", help_heading = "Global options")]
    prefix: Option<String>,
    /// Where keys are: `encrypted`, or `test`, which stores them READABLE BY ANYONE WHO READS THE FILE, for local nets only
    #[arg(long, global = true, value_name = "KIND", help_heading = "Global options")]
    keyring: Option<String>,
    /// How results are written
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Global options"
    )]
    output: Format,
}

/// How results are written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}

/// Every command but `tx` and `query`, which are made from the descriptors.
#[derive(Subcommand)]
enum Command {
    /// Creates a home: configuration, CometBFT's files and the genesis
    Init(init::InitArgs),
    /// Runs the application that CometBFT drives
    Start(node::NodeFlags),
    /// Manages the keys of accounts
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Shows where the node and its chain are
    Status,
    /// Prints the whole state as JSON, from this home's data; the node must not run
    Export {
        /// The height to export [default: the last one]
        #[arg(long)]
        height: Option<u64>,
    },
    /// Takes the last block back in this home's data; the node must not run
    Rollback,
    /// Works with genesis files
    #[command(subcommand)]
    Genesis(node::GenesisCommand),
    /// Shows the settings in force and where each comes from
    Config(node::NodeFlags),
    /// Looks into what nodes left behind
    #[command(subcommand)]
    Debug(debug::DebugCommand),
}

/// Why a command failed: one line for people, and the exit code.
#[derive(Debug)]
struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// The command can't be understood.
    fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// The command could not be done.
    fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::failed(error.to_string())
    }
}

/// Runs the command that this process was started with.
pub fn main() -> ExitCode {
    match run(std::env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                eprintln!("error: {}", failure.message);
            }
            ExitCode::from(failure.code)
        }
    }
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Failure> {
    let reflection = Reflection::new()?;
    let matches = match command(&reflection).try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are results, not errors; clap knows which is which, and prints to the right place.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            match error.print() {
                // A reader that has left, as `head` does, has what it wanted.
                Err(gone) if gone.kind() == std::io::ErrorKind::BrokenPipe => {}
                printed => printed?,
            }
            return if code == 0 { Ok(()) } else { Err(Failure { message: String::new(), code }) };
        }
    };
    dispatch(&reflection, &matches)
}

/// The whole command line.
fn command(reflection: &Reflection) -> clap::Command {
    Cli::command().subcommand(tx::command(reflection)).subcommand(query::command(reflection))
}

fn dispatch(reflection: &Reflection, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some((name @ ("tx" | "query"), inner)) = matches.subcommand() {
        // Global options may stand anywhere: clap hands them down to the innermost command.
        let Some((module, inner)) = inner.subcommand() else {
            return Err(Failure::usage("expected a module"));
        };
        if name == "tx" && offline::COMMANDS.contains(&module) {
            let (config, format) = context_of(inner)?;
            return offline::run(&Context { reflection, config: &config, format }, module, inner);
        }
        let Some((method, inner)) = inner.subcommand() else {
            return Err(Failure::usage("expected a method"));
        };
        let (config, format) = context_of(inner)?;
        let context = Context { reflection, config: &config, format };
        return match name {
            "tx" => tx::run(&context, module, method, inner),
            _ => query::run(&context, module, method, inner),
        };
    }
    let cli = Cli::from_arg_matches(matches).map_err(|e| Failure::usage(e.to_string()))?;
    let settings = match &cli.command {
        Command::Start(flags) | Command::Config(flags) => flags.settings(),
        _ => Vec::new(),
    };
    let config = load(&cli.globals, settings)?;
    let context = Context { reflection, config: &config, format: cli.globals.output };
    match cli.command {
        Command::Init(args) => init::run(&context, &args),
        Command::Start(_) => node::start(&context),
        Command::Keys(command) => keys::run(&context, command),
        Command::Status => query::status(&context),
        Command::Export { height } => node::export(&context, height),
        Command::Rollback => node::rollback(&context),
        Command::Genesis(command) => node::genesis(&context, &command),
        Command::Config(_) => node::config(&context),
        Command::Debug(command) => debug::run(&context, &command),
    }
}

/// What a command works with.
struct Context<'a> {
    reflection: &'a Reflection,
    config: &'a Config,
    format: Format,
}

/// Configuration and format of a command that is made from the descriptors.
fn context_of(matches: &ArgMatches) -> Result<(Config, Format), Failure> {
    let globals = Globals::from_arg_matches(matches).map_err(|e| Failure::usage(e.to_string()))?;
    Ok((load(&globals, Vec::new())?, globals.output))
}

fn load(globals: &Globals, mut settings: Vec<(&'static str, String)>) -> Result<Config, Failure> {
    let flags = [
        ("node", &globals.node),
        ("chain_id", &globals.chain_id),
        ("prefix", &globals.prefix),
        ("keyring", &globals.keyring),
    ];
    settings.extend(flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));
    let config = Config::load(Flags { home: globals.home.clone(), settings })?;
    kernel::address::set_prefix(&config.prefix)?;
    Ok(config)
}

/// Runs what waits for the network.
fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests;
