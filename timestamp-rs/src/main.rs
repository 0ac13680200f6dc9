//! The timestamp authority as a program of its own.

use std::process::ExitCode;

use clap::Parser;

/// RFC 3161 timestamp authority.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: timestamp_rs::cli::Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    timestamp_rs::cli::run(Arguments::parse().command).await
}
