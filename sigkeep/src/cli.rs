//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{key, store, token, up};

/// A private Sigstore in one binary
#[derive(Debug, Parser)]
#[command(
    name = "sigkeep",
    version,
    arg_required_else_help = true,
    after_help = "\
Exit codes: 0 done, 1 the check or the service failed, 2 wrong usage or configuration."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Arguments),
    Token(token::Arguments),
    /// Keys: create
    #[command(subcommand)]
    Key(key::Command),
    /// The certificate authority: serve, make it, check its configuration, explain a token, search what it issued
    #[command(subcommand)]
    Fulcio(fulcio_rs::cli::Command),
    /// The transparency logs: serve, search, create, freeze, list, check and copy, check a configuration
    #[command(subcommand)]
    Rekor(rekor_rs::cli::Command),
    /// The timestamp authority: serve, make its certificates, check its configuration
    #[command(subcommand)]
    Timestamp(timestamp_rs::cli::Command),
    /// The trust root: create, sign, publish, verify, export
    #[command(subcommand)]
    Tuf(tuf_root::cli::Command),
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { command } = Cli::parse();
    match command {
        Command::Token(arguments) => token::run(arguments),
        Command::Key(command) => in_runtime(key::run(command)),
        Command::Fulcio(command) => in_runtime(fulcio_rs::cli::run(command)),
        Command::Rekor(command) => in_runtime(rekor_rs::cli::run(command, store::open)),
        Command::Timestamp(command) => in_runtime(timestamp_rs::cli::run(command)),
        Command::Tuf(command) => in_runtime(tuf_root::cli::run(command, "sigkeep tuf")),
        Command::Up(arguments) => in_runtime(async {
            serve::logging::init(serve::logging::Format::detect(), "warn");
            match up::run(arguments).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: {error}");
                    error.exit_code()
                }
            }
        }),
    }
}

fn in_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    // Clients of other services choose their TLS library through this.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            eprintln!("error: no threads could be started: {error}");
            ExitCode::from(1)
        }
    }
}
