//! The timestamp authority as a program of its own.

use std::process::ExitCode;

use clap::Parser;

/// RFC 3161 timestamp authority
#[derive(Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 1 serving failed, 2 wrong usage or configuration."
)]
struct Arguments {
    #[command(subcommand)]
    command: timestamp_rs::cli::Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    timestamp_rs::cli::run(Arguments::parse().command).await
}
