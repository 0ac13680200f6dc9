//! Measures Sigkeep on this machine: each figure beside the limit that the same machine sets,
//! measured in the same run.
//!
//! Closed loop: every client sends its next request when the last was answered. Client, service and
//! database share the machine's cores.

mod custody;
mod database;
mod engine;
mod limits;
mod load;
mod reads;
mod report;
mod stack;
mod work;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::database::Database;
use crate::report::Report;
use crate::stack::Stack;

/// Measures Sigkeep on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The binary to measure.
    #[arg(long, global = true, default_value = "target/release/sigkeep")]
    sigkeep: PathBuf,
    /// URL of an empty PostgreSQL database.
    #[arg(long, global = true, default_value = "")]
    postgres: String,
    /// Seconds that each load runs.
    #[arg(long, global = true, default_value_t = 5)]
    seconds: u64,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A whole `sigkeep up`: start-up, memory, log writes, certificates; on SQLite, and on
    /// PostgreSQL if a database is named.
    Stack {
        /// Numbers of clients.
        #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
        clients: Vec<usize>,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Reads from a long Rekor log: entries by index, consistency proofs; and writes to it.
    Reads {
        /// Entries to fill the log with first.
        #[arg(long, default_value_t = 1_000_000)]
        entries: u64,
        /// Numbers of clients.
        #[arg(long, value_delimiter = ',', default_value = "1,64")]
        clients: Vec<usize>,
        /// The `host:port` of a log that runs already, instead of a new one; entries are written to
        /// it.
        #[arg(long, conflicts_with = "postgres")]
        rekor: Option<String>,
    },
    /// Certificates with the key in a file, in SoftHSM, and in a file that SoftHSM unwraps, with
    /// the share of time of each step.
    Custody {
        /// Numbers of clients.
        #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
        clients: Vec<usize>,
    },
    /// The log engine without HTTP.
    Engine {
        /// Let a log grow to this many entries and measure at each power of ten.
        #[arg(long)]
        grow: Option<u64>,
    },
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
    /// The engine failed.
    #[error("the engine: {0}")]
    Engine(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] logstore::StoreError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Arguments { command, common }: Arguments) -> Result<(), Error> {
    let time = Duration::from_secs(common.seconds);
    let database = Some(common.postgres)
        .filter(|url| !url.is_empty())
        .map(Database::at);
    let named = || {
        let missing = "--postgres is missing: the URL of an empty database (bench/run makes one)";
        database.as_ref().ok_or(Error::Stack(missing.to_owned()))
    };
    match command {
        Command::Stack { clients, json } => {
            stack(&common.sigkeep, database.as_ref(), &clients, time)
                .await?
                .print(json);
            Ok(())
        }
        Command::Reads {
            entries,
            clients,
            rekor: Some(rekor),
        } => {
            let size = reads::fill(&rekor, entries).await?;
            reads::measure_at(&rekor, size, &clients, time).await
        }
        Command::Reads {
            entries,
            clients,
            rekor: None,
        } => reads::measure(&common.sigkeep, named()?, entries, &clients, time).await,
        Command::Custody { clients } => {
            let database = database.as_ref().map(Database::url);
            custody::measure(&common.sigkeep, database, &clients, time).await
        }
        Command::Engine { grow: None } => engine::measure(named()?, time).await,
        Command::Engine { grow: Some(size) } => engine::grow(named()?, size, time).await,
    }
}

async fn stack(
    sigkeep: &Path,
    database: Option<&Database>,
    clients: &[usize],
    time: Duration,
) -> Result<Report, Error> {
    let mut report = Report::new(limits::measure(time / 5)?);
    for database in std::iter::once(None).chain(database.map(Some)) {
        let store = if database.is_some() {
            "PostgreSQL"
        } else {
            "SQLite"
        };
        let stack = Stack::start(sigkeep, database.map(Database::url)).await?;
        report.start(store, stack.ready, stack.resident_bytes()?);
        for &clients in clients {
            let ping = load::run(&stack.rekor, clients, time / 5, work::pings(clients)).await?;
            let writes = load::run(&stack.rekor, clients, time, work::log_entries(clients)).await?;
            report.writes(store, clients, &writes, &ping);
        }
        for &clients in clients {
            let token = stack.token()?;
            let work = work::certificates(clients, &token);
            let certificates = load::run(&stack.fulcio, clients, time, work).await?;
            report.certificates(store, clients, &certificates);
        }
        report.loaded(store, stack.resident_bytes()?);
        stack.stop().await?;
    }
    Ok(report)
}
