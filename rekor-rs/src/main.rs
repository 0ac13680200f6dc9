//! The log service with both stores.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use logstore::{SharedStore, StoreError};
use logstore_sqlite::SqliteStore;

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
    // Clients of other services choose their TLS library through this.
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    rekor_rs::cli::run(Arguments::parse().command, open).await
}

/// Opens `sqlite:PATH`, with `?mode=ro` for reading beside the service, or `postgres://…`.
async fn open(url: &str) -> Result<SharedStore, StoreError> {
    match url.split_once(':') {
        Some(("sqlite", path)) => Ok(Arc::new(match path.strip_suffix("?mode=ro") {
            None => SqliteStore::open(Path::new(path)).await?,
            Some(path) => SqliteStore::open_read_only(Path::new(path)).await?,
        })),
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(
            logstore_postgres::PostgresStore::connect(url, MAX_CONNECTIONS).await?,
        )),
        _ => Err(StoreError::Address(
            "write sqlite:PATH or postgres://USER@HOST/DATABASE".to_owned(),
        )),
    }
}
