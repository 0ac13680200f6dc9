//! The log engine without HTTP: how fast it appends, and whether that changes while the log grows.
//!
//! Each client waits for its answer (durable, proven) before it sends the next entry: a body of the
//! size of a `hashedrekord` with a bare key, and three search keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clock::SystemClock;
use keys::{Algorithm, FileSigner, SharedSigner};
use logstore::{LogId, LogKind, LogRecord, LogState, NewEntry, SharedStore};
use logstore_postgres::PostgresStore;
use logstore_sqlite::SqliteStore;
use sequencer::{Format, Guard, Log, LogConfig, TreeHead};
use tlog::{Hash, leaf_hash};

use crate::Error;
use crate::database::Database;
use crate::load::Outcome;

/// Bytes of a body.
const BODY: usize = 700;
/// Clients while the log grows.
const GROWERS: usize = 256;
/// Sizes at which a growing log is measured.
const SIZES: &[u64] = &[10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// A log of opaque entries, each with a number of its own.
struct Engine {
    log: Arc<Log<Opaque>>,
    numbers: Arc<AtomicU64>,
}

/// Measures both stores at each number of clients, for `time` each.
pub(crate) async fn measure(postgres: &Database, time: Duration) -> Result<(), Error> {
    let folder = tempfile::tempdir_in(".")?;
    let file = folder.path().join("log.db");
    let stores: [(&str, SharedStore); 2] = [
        ("SQLite", Arc::new(SqliteStore::open(&file).await?)),
        ("PostgreSQL", Arc::new(connect(postgres).await?)),
    ];
    println!("store       clients entries/s   p50 ms   p99 ms");
    for (name, store) in stores {
        let engine = Engine::open(store, &folder.path().join(name)).await?;
        for clients in [1, 16, 64, 256] {
            let outcome = engine
                .run(clients, move |start| start.elapsed() < time)
                .await?;
            println!("{name:<11} {clients:>7} {}", outcome.figures());
        }
    }
    Ok(())
}

/// Lets a log in PostgreSQL grow to `size` entries. At each power of ten: appends for `time` with
/// the same clients, beside what the first of these measurements gave, and the space that an entry
/// takes in the database beyond its body.
pub(crate) async fn grow(postgres: &Database, size: u64, time: Duration) -> Result<(), Error> {
    let folder = tempfile::tempdir_in(".")?;
    let store = Arc::new(connect(postgres).await?);
    let engine = Engine::open(store, &folder.path().join("guard")).await?;
    println!("    entries entries/s   p50 ms   p99 ms  cost to the first  bytes beyond the body");
    let mut first = None;
    for &step in SIZES.iter().filter(|step| **step <= size) {
        let numbers = Arc::clone(&engine.numbers);
        engine
            .run(GROWERS, move |_| numbers.load(Ordering::Relaxed) < step)
            .await?;
        let outcome = engine
            .run(GROWERS, move |start| start.elapsed() < time)
            .await?;
        let first = *first.get_or_insert(outcome.rate());
        let entries = engine.log.head().await?.head.size;
        let beyond = postgres.bytes()? as f64 / entries as f64 - BODY as f64;
        println!(
            "{entries:>11} {} {:>18.2} {beyond:>22.0}",
            outcome.figures(),
            first / outcome.rate()
        );
    }
    Ok(())
}

async fn connect(postgres: &Database) -> Result<PostgresStore, Error> {
    Ok(PostgresStore::connect(postgres.url(), 8).await?)
}

impl Engine {
    async fn open(store: SharedStore, guard: &std::path::Path) -> Result<Self, Error> {
        let signer: SharedSigner = Arc::new(
            FileSigner::generate(Algorithm::EcdsaP256Sha256)
                .map_err(|error| Error::Engine(error.to_string()))?,
        );
        let record = LogRecord {
            id: LogId(1),
            kind: LogKind::RekorV2,
            origin: "load".to_owned(),
            public_key: signer.public_key().spki_der().to_vec(),
            state: LogState::Active,
            created_ms: 0,
        };
        store.create_log(&record).await?;
        let guard = Guard::open(guard).map_err(|error| Error::Engine(error.to_string()))?;
        let clock = SystemClock::shared();
        let config = LogConfig::default();
        let log = Log::open(store, record, Opaque, signer, guard, clock, config)
            .await
            .map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self {
            log,
            numbers: Arc::default(),
        })
    }

    /// Appends with each client for as long as `goes_on` says, which is told when the run began.
    async fn run(
        &self,
        clients: usize,
        goes_on: impl Fn(Instant) -> bool + Clone + Send + 'static,
    ) -> Result<Outcome, Error> {
        let start = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let (log, numbers) = (Arc::clone(&self.log), Arc::clone(&self.numbers));
                let goes_on = goes_on.clone();
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while goes_on(start) {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        let body = format!("{number:0BODY$}").into_bytes();
                        let sent = Instant::now();
                        log.append((leaf_hash(&body), body)).await?;
                        latencies.push(sent.elapsed());
                    }
                    Ok::<_, sequencer::AppendError>(latencies)
                })
            })
            .collect();
        let mut latencies = Vec::new();
        for task in tasks {
            let ended = task
                .await
                .map_err(|error| Error::Engine(error.to_string()))?;
            latencies.extend(ended.map_err(|error| Error::Engine(error.to_string()))?);
        }
        Ok(Outcome::new(latencies, start.elapsed()))
    }
}

struct Opaque;

impl Format for Opaque {
    type Pending = (Hash, Vec<u8>);

    fn identity(&self, pending: &Self::Pending) -> Hash {
        pending.0
    }

    fn entry(&self, (hash, body): Self::Pending, _index: u64, _timestamp_ms: u64) -> NewEntry {
        let keys = (0..3_u8)
            .map(|number| {
                let digest = crypto::sha256(&[&hash.0[..], &[number]].concat());
                let [key, _] = digest.as_chunks().0 else {
                    return [0; 16];
                };
                *key
            })
            .collect();
        NewEntry {
            leaf_hash: hash,
            identity: hash,
            body,
            extra: Vec::new(),
            keys,
            promise: Vec::new(),
        }
    }

    fn promise_message(&self, _: &NewEntry, _: u64, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn promise(&self, _: u64, signature: Vec<u8>) -> Vec<u8> {
        signature
    }

    fn head_message(&self, head: &TreeHead) -> Vec<u8> {
        format!("{} {:?} {}", head.size, head.root, head.timestamp_ms).into_bytes()
    }

    fn signed_head(&self, _head: &TreeHead, signature: &[u8]) -> Vec<u8> {
        signature.to_vec()
    }
}
