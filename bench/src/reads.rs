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

/// Fills a log in PostgreSQL with `entries` over its API, then reads at random for `time` with each
/// number of clients, and writes again.
pub(crate) async fn measure(
    sigkeep: &std::path::Path,
    database: &Database,
    entries: u64,
    clients: &[usize],
    time: Duration,
) -> Result<(), Error> {
    let stack = Stack::start(sigkeep, Some(database.url())).await?;
    let mut size = size_of(&stack).await?;
    while size < entries {
        load::run(&stack.rekor, FILLERS, FILL, work::log_entries(FILLERS)).await?;
        size = size_of(&stack).await?;
        eprintln!("{size} of {entries} entries");
    }
    let bytes = database.bytes()? as f64 / size as f64;
    println!("{size} entries of {bytes:.0} bytes each in the database");
    println!();
    println!("what               clients     per s   p50 ms   p99 ms");
    for &clients in clients {
        let run = async |work| load::run(&stack.rekor, clients, time, work).await;
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
    stack.stop().await?;
    Ok(())
}

async fn size_of(stack: &Stack) -> Result<u64, Error> {
    let body = load::get(&stack.rekor, "/api/v1/log").await?;
    let info: LogInfo = serde_json::from_slice(&body)
        .map_err(|error| Error::Request(format!("/api/v1/log: {error}")))?;
    Ok(info.size)
}

fn print(what: &str, clients: usize, outcome: &Outcome) {
    println!("{what:<18} {clients:>7} {}", outcome.figures());
}
