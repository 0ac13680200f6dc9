//! The log service with both stores.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use logstore::{SharedStore, StoreError};

/// Database connections of one process. The batch loop needs one a log; the others read.
const MAX_CONNECTIONS: u32 = 16;

/// Rekor-compatible transparency log.
#[derive(Debug, Parser)]
#[command(name = "rekor-rs", version)]
struct Arguments {
    #[command(subcommand)]
    command: rekor_rs::cli::Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    rekor_rs::cli::run(Arguments::parse().command, open).await
}

async fn open(url: &str) -> Result<SharedStore, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(
            logstore_sqlite::SqliteStore::open(Path::new(path)).await?,
        )),
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(
            logstore_postgres::PostgresStore::connect(url, MAX_CONNECTIONS).await?,
        )),
        _ => Err(StoreError::Address(
            "write sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned(),
        )),
    }
}
