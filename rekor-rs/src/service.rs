//! The service: its logs, opened and checked against the configuration.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use clock::SharedClock;
use keys::{Passphrase, SharedSigner};
use logstore::{LogId, LogKind, LogRecord, LogState, SharedStore, StoreError};
use sequencer::{Guard, Log};
use serve::{Health, Probe};

use crate::api;
use crate::config::{Config, ConfigError, Kind, LogConfig};
use crate::ct::{CtConfig, CtLog};
use crate::error::Error;
use crate::format::RekorV1;
use crate::pem;
use crate::shard::Shard;

/// A running log service. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    store: SharedStore,
    rekor: Option<Arc<api::Rekor>>,
    ct: Vec<Arc<CtLog>>,
}

/// A log as configured, with its key and its record in the store.
struct Opened<'a> {
    config: &'a LogConfig,
    signer: SharedSigner,
    record: LogRecord,
}

impl Service {
    /// Opens every configured log, creating those that the store does not have.
    pub async fn open(
        config: Config,
        store: SharedStore,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        config.check()?;
        create_directory(&config.guard_dir)?;
        let mut shards: Vec<Shard> = Vec::new();
        let mut ct: Vec<Arc<CtLog>> = Vec::new();
        let logs = logs(&config, &store, &clock).await?;
        check_order(&logs)?;
        for opened in logs {
            match opened.config.kind {
                Kind::RekorV1 => {
                    let offset = next_offset(&shards).await?;
                    let log = open_rekor_v1(&config, opened, &store, &clock).await?;
                    shards.push(Shard::new(log, store.clone(), offset));
                }
                Kind::Ct => {
                    let log = open_ct(&config, opened, &store, &clock).await?;
                    // Two routes of one path are a panic in the router.
                    if ct
                        .iter()
                        .any(|other| other.record().origin == log.record().origin)
                    {
                        return Err(Error::Mismatch(format!(
                            "two CT logs have the origin {:?}",
                            log.record().origin
                        )));
                    }
                    ct.push(log);
                }
            }
        }
        let rekor = api::Rekor::new(shards, store.clone(), clock, &config).map(Arc::new);
        Ok(Self { store, rekor, ct })
    }

    /// The HTTP interface: Rekor v1 at `/api/v1/`, each CT log at `/<origin>/ct/v1/`, health at
    /// `/healthz` and `/readyz`.
    pub fn router(&self) -> Router {
        let health = Health::default()
            .with(StoreProbe(self.store.clone()))
            .with(LogProbe {
                rekor: self.rekor.clone(),
                ct: self.ct.clone(),
            });
        let router = match &self.rekor {
            Some(rekor) => api::router(rekor.clone()),
            None => Router::new(),
        };
        let router = self.ct.iter().fold(router, |router, log| {
            router.merge(crate::ct::router(log.clone()))
        });
        router.merge(health.router())
    }
}

/// Refuses a shard that still grows before another: it would renumber everything after it.
fn check_order(logs: &[Opened<'_>]) -> Result<(), Error> {
    let shards: Vec<_> = logs
        .iter()
        .filter(|log| log.config.kind == Kind::RekorV1)
        .collect();
    let earlier = shards
        .split_last()
        .map(|(_, earlier)| earlier)
        .unwrap_or_default();
    match earlier
        .iter()
        .find(|log| log.record.state == LogState::Active)
    {
        None => Ok(()),
        Some(log) => Err(Error::Mismatch(format!(
            "log {} takes entries and is not the last of kind rekor-v1; freeze it first, or change the order of logs",
            log.record.id.0
        ))),
    }
}

/// Number of the first entry of the shard after `shards`, all of which are frozen.
async fn next_offset(shards: &[Shard]) -> Result<u64, Error> {
    match shards.last() {
        None => Ok(0),
        Some(shard) => Ok(shard.offset() + shard.head().await?.head.size),
    }
}

async fn open_rekor_v1(
    config: &Config,
    opened: Opened<'_>,
    store: &SharedStore,
    clock: &SharedClock,
) -> Result<Arc<Log<RekorV1>>, Error> {
    let Opened { signer, record, .. } = opened;
    if signer.algorithm() != keys::Algorithm::EcdsaP256Sha256 {
        return Err(Error::Mismatch(format!(
            "the key of log {} is not ECDSA P-256; clients of Rekor v1 take no other",
            record.id.0
        )));
    }
    let id = record.id.0;
    let guard = Guard::open(&guard_path(&config.guard_dir, record.id))?;
    let format = RekorV1::new(&record.origin, id, signer.public_key());
    Log::open(
        store.clone(),
        record,
        format,
        signer,
        guard,
        clock.clone(),
        sequencer::LogConfig::default(),
    )
    .await
    .map_err(|source| Error::Log { id, source })
}

async fn open_ct(
    config: &Config,
    opened: Opened<'_>,
    store: &SharedStore,
    clock: &SharedClock,
) -> Result<Arc<CtLog>, Error> {
    let Opened { signer, record, .. } = opened;
    let id = record.id.0;
    let guard = Guard::open(&guard_path(&config.guard_dir, record.id))?;
    let settings = CtConfig {
        roots: ct_roots(config)?,
        ..CtConfig::default()
    };
    CtLog::open(
        store.clone(),
        record,
        signer,
        guard,
        clock.clone(),
        settings,
    )
    .await
    .map_err(|source| Error::Ct { id, source })
}

/// The DER certificates of the configured file.
fn ct_roots(config: &Config) -> Result<Vec<Vec<u8>>, Error> {
    let path = config
        .ct_roots
        .as_deref()
        .ok_or_else(|| ConfigError::Value {
            key: "ct-roots",
            reason: "a log of kind ct needs a file of accepted roots".to_owned(),
        })?;
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let mut roots = Vec::new();
    let mut rest = text.as_str();
    while let Some((block, after)) = pem::first_block(rest) {
        if block.label == "CERTIFICATE" {
            roots.push(block.der);
        }
        rest = after;
    }
    Ok(roots)
}

/// Where the roll-back guard of a log is.
pub(crate) fn guard_path(directory: &Path, id: LogId) -> std::path::PathBuf {
    directory.join(format!("{}.guard", id.0))
}

/// Finds or creates the record of every configured log, in the order of the configuration.
async fn logs<'a>(
    config: &'a Config,
    store: &SharedStore,
    clock: &SharedClock,
) -> Result<Vec<Opened<'a>>, Error> {
    let mut opened: Vec<Opened<'a>> = Vec::with_capacity(config.logs.len());
    for (place, log) in config.logs.iter().enumerate() {
        let signer = open_key(config, log, place).await?;
        let record = find_or_create(config, log, &signer, store, clock).await?;
        if opened.iter().any(|other| other.record.id == record.id) {
            return Err(Error::Mismatch(format!(
                "log {} is configured twice",
                record.id.0
            )));
        }
        opened.push(Opened {
            config: log,
            signer,
            record,
        });
    }
    Ok(opened)
}

pub(crate) async fn open_key(
    config: &Config,
    log: &LogConfig,
    place: usize,
) -> Result<SharedSigner, Error> {
    let source = log.passphrase.as_ref().or(config.passphrase.as_ref());
    let passphrase: Option<Passphrase> = source.map(|source| source.read()).transpose()?;
    keys::open(&log.key, passphrase.as_ref())
        .await
        .map_err(|source| Error::Key {
            log: place,
            source: Box::new(source),
        })
}

/// The record of a configured log: by its id if it has one, otherwise by kind and key.
async fn find_or_create(
    config: &Config,
    log: &LogConfig,
    signer: &SharedSigner,
    store: &SharedStore,
    clock: &SharedClock,
) -> Result<LogRecord, Error> {
    let key = signer.public_key().spki_der();
    let records = store.logs().await?;
    let matching = |record: &&LogRecord| match log.id {
        Some(id) => record.id.0 == id,
        None => record.kind == log.kind.into() && record.public_key == key,
    };
    let mut found = records.iter().filter(matching);
    let (first, second) = (found.next(), found.next());
    if second.is_some() {
        return Err(Error::Mismatch(
            "several logs have this key; name the one by its id".to_owned(),
        ));
    }
    let origin = log.origin.as_deref().unwrap_or(&config.hostname);
    let Some(record) = first else {
        return create(store, log, origin, key, clock.now_ms()).await;
    };
    let id = record.id.0;
    if record.kind != LogKind::from(log.kind) {
        return Err(Error::Mismatch(format!(
            "log {id} is of another kind than configured"
        )));
    }
    if record.public_key != key {
        return Err(Error::Mismatch(format!(
            "log {id} was created with another key than configured"
        )));
    }
    if record.origin != origin {
        return Err(Error::Mismatch(format!(
            "log {id} was created as {:?}; clients know it by that name, so configure it instead of {origin:?}",
            record.origin
        )));
    }
    Ok(record.clone())
}

/// Creates a log.
pub(crate) async fn create(
    store: &SharedStore,
    log: &LogConfig,
    origin: &str,
    public_key: &[u8],
    created_ms: u64,
) -> Result<LogRecord, Error> {
    let id = LogId(match log.id {
        Some(id) => id,
        None => random_id()?,
    });
    let record = LogRecord {
        id,
        kind: log.kind.into(),
        origin: origin.to_owned(),
        public_key: public_key.to_vec(),
        state: LogState::Active,
        created_ms,
    };
    store.create_log(&record).await?;
    tracing::info!(id = id.0, origin, "created a log");
    Ok(record)
}

/// Positive, and above 2^60 so that all ids print with the same number of digits.
fn random_id() -> Result<i64, Error> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| Error::Mismatch("the system's random number generator failed".to_owned()))?;
    let number = i64::from_be_bytes(bytes) & ((1 << 60) - 1);
    Ok(number | (1 << 60))
}

fn create_directory(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

struct StoreProbe(SharedStore);

#[async_trait::async_trait]
impl Probe for StoreProbe {
    fn name(&self) -> &'static str {
        "database"
    }

    async fn check(&self) -> Result<(), String> {
        self.0
            .ping()
            .await
            .map_err(|error: StoreError| error.to_string())
    }
}

struct LogProbe {
    rekor: Option<Arc<api::Rekor>>,
    ct: Vec<Arc<CtLog>>,
}

#[async_trait::async_trait]
impl Probe for LogProbe {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn check(&self) -> Result<(), String> {
        let shards = self.rekor.iter().flat_map(|rekor| rekor.shards());
        let refusals = shards
            .map(Shard::refusal)
            .chain(self.ct.iter().map(|log| log.refusal()));
        refusals.flatten().next().map_or(Ok(()), Err)
    }
}
