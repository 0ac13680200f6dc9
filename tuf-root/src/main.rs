//! `tuf-root`: see the library's command line.

use std::process::ExitCode;

use clap::Parser;

/// The trust root of a private Sigstore: a TUF repository that clients accept and that does not
/// expire unnoticed
#[derive(Parser)]
#[command(name = "tuf-root", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: tuf_root::cli::Command,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tuf_root::cli::run(Cli::parse().command).await
}
