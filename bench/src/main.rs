//! Measures Sigkeep on this machine and prints a table: each figure beside the limit that the same
//! machine sets, measured in the same run.
//!
//! Closed loop: every client sends its next request when the last was answered. Client, service and
//! database share the machine's cores.

mod limits;
mod load;
mod report;
mod stack;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::report::Report;
use crate::stack::Stack;

/// Measures start-up, memory, log writes and certificates of a real `sigkeep up`.
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary to measure.
    #[arg(long, default_value = "target/release/sigkeep")]
    sigkeep: PathBuf,
    /// URLs of empty PostgreSQL databases, one a run; SQLite is always measured.
    #[arg(long)]
    postgres: Vec<String>,
    /// Seconds that each load runs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    clients: Vec<usize>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Why a measurement ended early.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The stack did not start, or could not be asked.
    #[error("{0}")]
    Stack(String),
    /// A request failed; a benchmark with failures has no figures.
    #[error("a request failed: {0}")]
    Request(String),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match measure(&arguments).await {
        Ok(report) => {
            report.print(arguments.json);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments) -> Result<Report, Error> {
    let time = Duration::from_secs(arguments.seconds);
    let mut report = Report::new(limits::measure(time / 5)?);
    let stores = std::iter::once(None).chain(arguments.postgres.iter().map(Some));
    for database in stores {
        let store = if database.is_some() {
            "PostgreSQL"
        } else {
            "SQLite"
        };
        let stack = Stack::start(&arguments.sigkeep, database.map(String::as_str)).await?;
        report.start(store, stack.ready, stack.resident_bytes()?);
        for &clients in &arguments.clients {
            let ping = load::run(&stack.rekor, clients, time / 5, work::pings(clients)).await?;
            let writes = load::run(&stack.rekor, clients, time, work::log_entries(clients)).await?;
            report.writes(store, clients, &writes, &ping);
        }
        for &clients in &arguments.clients {
            let token = stack.token()?;
            let certificates = load::run(
                &stack.fulcio,
                clients,
                time,
                work::certificates(clients, &token),
            )
            .await?;
            report.certificates(store, clients, &certificates);
        }
        report.loaded(store, stack.resident_bytes()?);
        stack.stop().await?;
    }
    Ok(report)
}
