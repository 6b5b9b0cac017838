//! The program `underbid`: the node's application and its command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    underbid::cli::main()
}
