//! `log create|freeze|next|rotate|list`: logs in the database.

use std::path::{Path, PathBuf};

use clock::SystemClock;
use keys::KeyUri;
use logstore::{LogId, LogKind, LogRecord, LogState, SharedStore, StoreError};
use serde::Serialize;
use wire::trust::{LogMaterial, TimeRange, Timestamp, TransparencyLog};

use super::{CommandError, open_existing, print_json};
use crate::config::{Config, Kind, LogConfig};
use crate::{Error, Rotation, service};

/// Commands on logs in the database.
#[derive(Debug, clap::Subcommand)]
pub enum LogCommand {
    /// Create a log and print its id.
    Create {
        /// The configuration: database and passphrase.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// What speaks over it.
        #[arg(long, value_enum)]
        kind: Kind,
        /// Its name; the configured hostname if left out.
        #[arg(long)]
        origin: Option<String>,
        /// The key that signs its heads.
        #[arg(long, value_name = "URI")]
        key: KeyUri,
        /// Its id; random if left out.
        #[arg(long)]
        id: Option<i64>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a log read-only for ever. A Rekor log that is to go on in a new shard is rotated
    /// instead.
    Freeze {
        /// The configuration: database.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The log's id.
        id: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what `rotate` would do, with the key of the next shard and its entry for the trusted
    /// root. Changes nothing.
    ///
    /// The next shard is the entry of `logs` in the configuration after the shard that takes entries.
    /// Clients must know its key before it signs: publish the entry in the trusted root first.
    Next {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Public URL of the log, for the trusted root; https://HOSTNAME if left out.
        #[arg(long)]
        url: Option<String>,
        /// Print JSON: the trusted root's entry is its member `transparencyLog`.
        #[arg(long)]
        json: bool,
    },
    /// Freeze the shard of the Rekor log that takes entries, and begin the next one.
    ///
    /// One transaction: services that run on the database (PostgreSQL) follow by themselves, and no
    /// write is lost. Every replica needs the next shard and its key in its configuration; one that
    /// has not says so at /readyz and takes no entries until it has. SQLite's file has one user at a
    /// time: stop the service, rotate, start it again.
    Rotate {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List the logs, oldest first.
    List {
        /// The configuration: database.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// A log, for programs. Ids are text: JSON's numbers are not exact enough for all of them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    kind: &'static str,
    origin: String,
    state: &'static str,
    size: u64,
    /// SHA-256 of the DER key, hex: what Rekor calls the log id.
    key_id: String,
}

impl Line {
    fn new(record: &LogRecord, size: u64) -> Self {
        Self {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            origin: record.origin.clone(),
            state: record.state.as_str(),
            size,
            key_id: hex::encode(crypto::sha256(&record.public_key)),
        }
    }

    async fn of(store: &SharedStore, record: &LogRecord) -> Result<Self, StoreError> {
        Ok(Self::new(record, store.head(record.id).await?.size))
    }
}

/// What `next` says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NextShard<'a> {
    from: Line,
    key_id: String,
    public_key: &'a str,
    transparency_log: &'a TransparencyLog,
}

/// What `rotate` says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RotatedShards {
    frozen: Line,
    active: Line,
}

pub(super) async fn run(
    command: LogCommand,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<(), CommandError> {
    match command {
        LogCommand::Create {
            config,
            kind,
            origin,
            key,
            id,
            json,
        } => {
            let config = Config::load(&config)?;
            let store = open(&config.server.database).await?;
            let log = LogConfig {
                id,
                kind,
                origin,
                key,
                passphrase: None,
            };
            let record = create(&config, &store, &log).await?;
            if json {
                print_json(&Line::new(&record, 0));
            } else {
                println!("{}", record.id);
            }
        }
        LogCommand::Freeze { config, id, json } => {
            let store = open_existing(&config, open).await?;
            store.set_state(LogId(id), LogState::Frozen).await?;
            if json {
                let records = store.logs().await?;
                for record in records.iter().filter(|record| record.id.0 == id) {
                    print_json(&Line::of(&store, record).await?);
                }
            }
        }
        LogCommand::Next { config, url, json } => next(&config, url, json, open).await?,
        LogCommand::Rotate { config, json } => rotate(&config, json, open).await?,
        LogCommand::List { config, json } => {
            let store = open_existing(&config, open).await?;
            let mut lines = Vec::new();
            for record in store.logs().await? {
                lines.push(Line::of(&store, &record).await?);
            }
            if json {
                print_json(&lines);
            } else {
                for line in &lines {
                    let Line {
                        id,
                        kind,
                        origin,
                        state,
                        size,
                        ..
                    } = line;
                    println!("{id}\t{kind}\t{origin}\t{state}\t{size}");
                }
            }
        }
    }
    Ok(())
}

async fn create(
    config: &Config,
    store: &SharedStore,
    log: &LogConfig,
) -> Result<LogRecord, CommandError> {
    let origin = log.origin.as_deref().unwrap_or(&config.hostname);
    let records = store.logs().await?;
    let at_work = records.iter().find(|record| {
        log.kind == Kind::RekorV1
            && record.kind == LogKind::RekorV1
            && record.state == LogState::Active
            && record.origin == origin
    });
    if let Some(record) = at_work {
        return Err(Error::Mismatch(format!(
            "log {} takes the entries of {origin}; add the next shard to `logs` in the \
             configuration, and create it with `log rotate`",
            record.id
        ))
        .into());
    }
    let signer = match service::open_key(config, log, 0).await {
        // It is not in the configuration yet.
        Err(Error::Key { source, .. }) => return Err(CommandError::NewKey(source)),
        other => other?,
    };
    let now_ms = SystemClock::shared().now_ms();
    let key = signer.public_key().spki_der();
    Ok(service::create(store, log, origin, key, now_ms).await?)
}

async fn next(
    path: &Path,
    url: Option<String>,
    json: bool,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<(), CommandError> {
    let config = Config::load(path)?;
    let store = open_existing(path, open).await?;
    let clock = SystemClock::shared();
    let rotation = Rotation::plan(&config, &store, &clock).await?;
    let key = rotation.public_key();
    let log = Timestamp::from_secs(clock.now_secs())
        .map_err(|error| error.to_string())
        .and_then(|start| {
            let material = LogMaterial {
                url: url.unwrap_or_else(|| format!("https://{}", config.hostname)),
                key: key.clone(),
                valid_for: TimeRange::since(start),
            };
            material
                .transparency_log()
                .map_err(|error| error.to_string())
        })
        .map_err(CommandError::TrustEntry)?;
    let from = Line::of(&store, rotation.from()).await?;
    let pem = key.to_pem();
    let key_id = hex::encode(key.key_id());
    if json {
        print_json(&NextShard {
            from,
            key_id,
            public_key: &pem,
            transparency_log: &log,
        });
        return Ok(());
    }
    println!(
        "`log rotate` will freeze log {} ({} entries now).",
        from.id, from.size
    );
    println!("The next shard's key has the log id {key_id}:\n{pem}");
    println!("Its entry in the trusted root (tlogs), which clients need before it signs:");
    print_json(&log);
    Ok(())
}

async fn rotate(
    path: &Path,
    json: bool,
    open: impl AsyncFn(&str) -> Result<SharedStore, StoreError>,
) -> Result<(), CommandError> {
    let config = Config::load(path)?;
    let store = open_existing(path, open).await?;
    let rotation = Rotation::plan(&config, &store, &SystemClock::shared()).await?;
    let from = LogRecord {
        state: LogState::Frozen,
        ..rotation.from().clone()
    };
    let to = rotation.to().clone();
    let done = rotation.perform(&store).await?;
    let shards = RotatedShards {
        frozen: Line::new(&from, done.frozen_size),
        active: Line::new(&to, done.size),
    };
    if json {
        print_json(&shards);
        return Ok(());
    }
    println!(
        "Log {} is frozen with {} entries. Log {} takes entries.",
        from.id, done.frozen_size, to.id
    );
    println!(
        "Running services follow within a second. Keep both in `logs`, in this order: the numbers of \
         the entries depend on it. Keep both keys in the trusted root."
    );
    Ok(())
}
