//! Reading from a long log: entries with their proofs, and consistency proofs.

use std::time::Duration;

use serde::Deserialize;

use crate::database::Database;
use crate::load::{self, Outcome};
use crate::stack::Stack;
use crate::{Error, work};

/// Clients that fill the log.
const FILLERS: usize = 256;
/// How long the log is filled between two looks at its size.
const FILL: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct LogInfo {
    #[serde(rename = "treeSize")]
    size: u64,
}

/// Measures a new log in PostgreSQL, as [`measure_at`], and what its entries take there.
pub(crate) async fn measure(
    sigkeep: &std::path::Path,
    database: &Database,
    entries: u64,
    clients: &[usize],
    time: Duration,
) -> Result<(), Error> {
    let stack = Stack::start(sigkeep, Some(database.url())).await?;
    let size = fill(&stack.rekor, entries).await?;
    let bytes = database.bytes()? as f64 / size as f64;
    println!("{size} entries of {bytes:.0} bytes each in the database");
    println!();
    measure_at(&stack.rekor, size, clients, time).await?;
    stack.stop().await.map(drop)
}

/// Fills the log at `host:port` with `entries` over its API; returns how many it has.
pub(crate) async fn fill(rekor: &str, entries: u64) -> Result<u64, Error> {
    let mut size = size_of(rekor).await?;
    while size < entries {
        load::run(rekor, FILLERS, FILL, work::log_entries(FILLERS)).await?;
        size = size_of(rekor).await?;
        eprintln!("{size} of {entries} entries");
    }
    Ok(size)
}

/// Reads at random below `size` for `time` with each number of clients, and writes.
pub(crate) async fn measure_at(
    rekor: &str,
    size: u64,
    clients: &[usize],
    time: Duration,
) -> Result<(), Error> {
    println!("what               clients     per s   p50 ms   p99 ms");
    for &clients in clients {
        let run = async |work| load::run(rekor, clients, time, work).await;
        print("GET /ping", clients, &run(work::pings(clients)).await?);
        print(
            "entry by index",
            clients,
            &run(work::entry_reads(clients, size)).await?,
        );
        print(
            "consistency proof",
            clients,
            &run(work::consistency_proofs(clients, size)).await?,
        );
        print(
            "log write",
            clients,
            &run(work::log_entries(clients)).await?,
        );
    }
    Ok(())
}

async fn size_of(rekor: &str) -> Result<u64, Error> {
    let body = load::get(rekor, "/api/v1/log").await?;
    let info: LogInfo = serde_json::from_slice(&body)
        .map_err(|error| Error::Request(format!("/api/v1/log: {error}")))?;
    Ok(info.size)
}

fn print(what: &str, clients: usize, outcome: &Outcome) {
    println!("{what:<18} {clients:>7} {}", outcome.figures());
}
