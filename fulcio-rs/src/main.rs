//! The certificate authority as a program of its own.

use std::process::ExitCode;

use clap::Parser;

/// A Fulcio-compatible certificate authority
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: fulcio_rs::cli::Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    fulcio_rs::cli::run(Arguments::parse().command).await
}
