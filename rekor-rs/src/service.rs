//! The service: its logs, opened and checked against the configuration.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use clock::SharedClock;
use keys::{KeyUri, Passphrase, PublicHalf, SharedSigner};
use logstore::{LogId, LogKind, LogRecord, LogState, SharedStore, StoreError};
use sequencer::Guard;
use serve::{Health, Probe};

use crate::api;
use crate::config::{Config, ConfigError, Kind, LogConfig};
use crate::ct::{CtConfig, CtLog};
use crate::error::Error;
use crate::pem;
use crate::policy;
use crate::search::indexer;
use crate::shard::Shard;
use crate::shards::{Configured, Shards, check_key};

/// A running log service. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    store: SharedStore,
    rekor: Option<Arc<api::Rekor>>,
    ct: Vec<Arc<CtLog>>,
}

/// The configured logs, by what becomes of them.
#[derive(Default)]
struct Logs {
    ct: Vec<(Configured, LogRecord)>,
    /// Shards that exist, oldest first: only the last may take entries.
    shards: Vec<(Configured, LogRecord)>,
    /// Shards that wait for a rotation.
    next: Vec<Configured>,
}

impl Service {
    /// Opens every configured log, creating those that the store does not have.
    pub async fn open(
        config: Config,
        store: SharedStore,
        clock: SharedClock,
    ) -> Result<Self, Error> {
        config.check()?;
        // Before anything is created.
        let rules = policy::open(&config.write_policy, &clock)?;
        create_directory(&config.guard_dir)?;
        let logs = logs(&config, &store, &clock).await?;
        let mut ct: Vec<Arc<CtLog>> = Vec::new();
        for (log, record) in logs.ct {
            let log = open_ct(&config, log.signer, record, &store, &clock).await?;
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
        let shards = Shards::open(
            &config,
            logs.shards,
            logs.next,
            store.clone(),
            clock.clone(),
        );
        let rekor = match shards.await? {
            Some(shards) => {
                tokio::spawn(indexer::run(Arc::downgrade(&store)));
                let rekor = api::Rekor::new(shards, store.clone(), clock, &config, rules);
                Some(Arc::new(rekor))
            }
            None => None,
        };
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

async fn open_ct(
    config: &Config,
    signer: SharedSigner,
    record: LogRecord,
    store: &SharedStore,
    clock: &SharedClock,
) -> Result<Arc<CtLog>, Error> {
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
pub(crate) fn ct_roots(config: &Config) -> Result<Vec<Vec<u8>>, Error> {
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
    if roots.is_empty() {
        let reason = format!("{} holds no PEM certificate", path.display());
        return Err(ConfigError::Value {
            key: "ct-roots",
            reason,
        }
        .into());
    }
    Ok(roots)
}

/// Where the roll-back guard of a log is.
pub(crate) fn guard_path(directory: &Path, id: LogId) -> std::path::PathBuf {
    directory.join(format!("{}.guard", id.0))
}

/// Finds or creates the record of every configured log, in the order of the configuration. A shard
/// after the one that takes entries waits until a rotation creates it.
async fn logs(config: &Config, store: &SharedStore, clock: &SharedClock) -> Result<Logs, Error> {
    let mut logs = Logs::default();
    for (place, log) in config.logs.iter().enumerate() {
        let signer = open_key(config, log, place).await?;
        let shard = Configured {
            log: log.clone(),
            signer,
        };
        let active = logs.shards.last().map(|(_, record)| record);
        let active = active.filter(|record| record.state == LogState::Active);
        let found = find(config, &shard, store).await?;
        let record = match (log.kind, active, found) {
            (Kind::RekorV1, Some(_), None) if shard.signer.can_sign() => {
                check_key(&shard.signer, &format!("logs[{place}]"))?;
                logs.next.push(shard);
                continue;
            }
            // It would renumber everything after it.
            (Kind::RekorV1, Some(active), Some(_)) => {
                return Err(Error::Mismatch(format!(
                    "log {} takes entries and is not the last of kind rekor-v1; freeze it first, or change the order of logs",
                    active.id
                )));
            }
            (_, _, Some(record)) => record,
            (_, _, None) if !shard.signer.can_sign() => {
                return Err(Error::Mismatch(format!(
                    "logs[{place}] has only a public key ({}), and no log of that key is in the \
                     database; import it first",
                    log.key
                )));
            }
            (_, _, None) => {
                let origin = log.origin.as_deref().unwrap_or(&config.hostname);
                if log.kind == Kind::RekorV1 {
                    check_complete(&logs.shards, origin, &store.logs().await?)?;
                }
                let key = shard.signer.public_key().spki_der();
                create(store, log, origin, key, clock.now_ms()).await?
            }
        };
        let all = logs.ct.iter().chain(&logs.shards);
        if all.into_iter().any(|(_, other)| other.id == record.id) {
            return Err(Error::Mismatch(format!(
                "log {} is configured twice",
                record.id
            )));
        }
        match log.kind {
            Kind::Ct => logs.ct.push((shard, record)),
            Kind::RekorV1 => logs.shards.push((shard, record)),
        }
    }
    if let Some((_, newest)) = logs.shards.last() {
        check_complete(&logs.shards, &newest.origin, &store.logs().await?)?;
    }
    Ok(logs)
}

/// Refuses a configuration that leaves out a shard: the numbers of all later entries would be wrong.
fn check_complete(
    shards: &[(Configured, LogRecord)],
    origin: &str,
    records: &[LogRecord],
) -> Result<(), Error> {
    let left_out = records.iter().find(|record| {
        record.kind == LogKind::RekorV1
            && record.origin == origin
            && shards.iter().all(|(_, shard)| shard.id != record.id)
    });
    match left_out {
        None => Ok(()),
        Some(record) => Err(Error::Mismatch(format!(
            "log {} of {} is in the database and not in `logs`; the numbers of entries count those \
             of every shard, so add it in its place (`log list` has the order of creation)",
            record.id, record.origin
        ))),
    }
}

pub(crate) async fn open_key(
    config: &Config,
    log: &LogConfig,
    place: usize,
) -> Result<SharedSigner, Error> {
    let failed = |source| Error::Key {
        log: place,
        source: Box::new(source),
    };
    if let KeyUri::Public(path) = &log.key {
        return Ok(Arc::new(PublicHalf::load(path).map_err(failed)?));
    }
    let source = log.passphrase.as_ref().or(config.passphrase.as_ref());
    let passphrase: Option<Passphrase> = source.map(|source| source.read()).transpose()?;
    keys::open(&log.key, passphrase.as_ref())
        .await
        .map_err(failed)
}

/// The record of a configured log: by its id if it has one, otherwise by kind and key.
pub(crate) async fn find(
    config: &Config,
    configured: &Configured,
    store: &SharedStore,
) -> Result<Option<LogRecord>, Error> {
    let Configured { log, signer } = configured;
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
    let Some(record) = first else {
        return Ok(None);
    };
    let origin = log.origin.as_deref().unwrap_or(&config.hostname);
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
    Ok(Some(record.clone()))
}

/// Creates a log.
pub(crate) async fn create(
    store: &SharedStore,
    log: &LogConfig,
    origin: &str,
    public_key: &[u8],
    created_ms: u64,
) -> Result<LogRecord, Error> {
    let record = new_record(log, origin, public_key, created_ms)?;
    store.create_log(&record).await?;
    tracing::info!(id = record.id.0, origin, "created a log");
    Ok(record)
}

/// The record of a log that is about to be created; its id is random unless configured.
pub(crate) fn new_record(
    log: &LogConfig,
    origin: &str,
    public_key: &[u8],
    created_ms: u64,
) -> Result<LogRecord, Error> {
    Ok(LogRecord {
        id: LogId(match log.id {
            Some(id) => id,
            None => random_id()?,
        }),
        kind: log.kind.into(),
        origin: origin.to_owned(),
        public_key: public_key.to_vec(),
        state: LogState::Active,
        created_ms,
    })
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
        if let Some(rekor) = &self.rekor {
            let refusal = rekor.shards().iter().find_map(Shard::refusal);
            if let Some(reason) = refusal.or_else(|| rekor.behind()) {
                return Err(reason);
            }
        }
        self.ct
            .iter()
            .find_map(|log| log.refusal())
            .map_or(Ok(()), Err)
    }
}
