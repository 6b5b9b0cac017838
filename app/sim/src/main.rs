//! The program `sim`: long runs of what the tests run shortly.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The allocator of the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Runs the state machine without consensus around it, and looks for what is wrong")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Random histories, each from one seed.
    Simulate(sim::simulate::Options),
    /// The economy under attack: what each strategy gains, costs and harms.
    Attack(sim::attack::Options),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Simulate(options) => sim::simulate::main(&options),
        Command::Attack(options) => sim::attack::main(&options),
    }
}
