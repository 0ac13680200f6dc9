//! `tuf-root`: see the library's command line.

use std::process::ExitCode;

use clap::Parser;

/// The trust root of a private Sigstore: a TUF repository that every client accepts and that does
/// not expire unnoticed
#[derive(Debug, Parser)]
#[command(name = "tuf-root", version)]
struct Arguments {
    #[command(subcommand)]
    command: tuf_root::cli::Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    tuf_root::cli::run(Arguments::parse().command, "tuf-root").await
}
