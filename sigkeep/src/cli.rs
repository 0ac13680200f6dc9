//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{token, up};

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
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let Cli { command } = Cli::parse();
    match command {
        Command::Token(arguments) => token::run(arguments),
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
