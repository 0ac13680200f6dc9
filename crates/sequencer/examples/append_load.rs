//! How fast a log appends, without HTTP: `append_load [SECONDS]`.
//!
//! Each client waits for its answer (durable, proven) before it sends the next entry of 1 KiB with
//! three search keys. PostgreSQL is a server of its own on the same machine, over TCP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clock::SystemClock;
use keys::{Algorithm, FileSigner, SharedSigner};
use logstore::{LogId, LogKind, LogRecord, LogState, NewEntry, SharedStore};
use logstore_postgres::{PostgresStore, testing};
use logstore_sqlite::SqliteStore;
use sequencer::{Format, Guard, Log, LogConfig, TreeHead};
use tlog::{Hash, leaf_hash};

struct Bytes;

impl Format for Bytes {
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
        }
    }

    fn head_message(&self, head: &TreeHead) -> Vec<u8> {
        format!("{} {:?} {}", head.size, head.root, head.timestamp_ms).into_bytes()
    }

    fn signed_head(&self, _head: &TreeHead, signature: &[u8]) -> Vec<u8> {
        signature.to_vec()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = std::env::args()
        .nth(1)
        .map_or(Ok(5), |seconds| seconds.parse())?;
    let directory = tempfile::tempdir()?;
    let database = testing::server().await.database().await;
    let stores: [(&str, SharedStore); 2] = [
        (
            "SQLite",
            Arc::new(SqliteStore::open(&directory.path().join("log.db")).await?),
        ),
        (
            "PostgreSQL",
            Arc::new(PostgresStore::connect(database.url(), 8).await?),
        ),
    ];
    println!("store       clients  entries/s   p50 ms   p99 ms");
    for (name, store) in stores {
        let signer: SharedSigner = Arc::new(FileSigner::generate(Algorithm::EcdsaP256Sha256)?);
        let record = LogRecord {
            id: LogId(1),
            kind: LogKind::RekorV2,
            origin: "load".to_owned(),
            public_key: signer.public_key().spki_der().to_vec(),
            state: LogState::Active,
            created_ms: 0,
        };
        store.create_log(&record).await?;
        let guard = Guard::open(&directory.path().join(name))?;
        let clock = SystemClock::shared();
        let log = Log::open(
            store,
            record,
            Bytes,
            signer,
            guard,
            clock,
            LogConfig::default(),
        )
        .await?;
        for clients in [1, 16, 64, 256] {
            let (rate, p50, p99) = measure(&log, clients, Duration::from_secs(seconds)).await?;
            println!("{name:<11} {clients:>7} {rate:>10.0} {p50:>8.2} {p99:>8.2}");
        }
    }
    Ok(())
}

/// Entries a second, and the median and 99th percentile of the latency in ms.
async fn measure(
    log: &Arc<Log<Bytes>>,
    clients: usize,
    time: Duration,
) -> Result<(f64, f64, f64), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let mut tasks = Vec::new();
    for client in 0..clients {
        let log = Arc::clone(log);
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            let mut body = vec![7; 1024];
            while started.elapsed() < time {
                let name = format!("{clients} {client} {}", latencies.len());
                if let Some(start) = body.get_mut(..name.len()) {
                    start.copy_from_slice(name.as_bytes());
                }
                let sent = Instant::now();
                log.append((leaf_hash(&body), body.clone())).await?;
                latencies.push(sent.elapsed());
            }
            Ok::<_, sequencer::AppendError>(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let elapsed = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: usize| {
        let place = latencies.len() * part / 100;
        latencies
            .get(place)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    #[allow(clippy::cast_precision_loss)]
    let rate = latencies.len() as f64 / elapsed;
    Ok((rate, at(50), at(99)))
}
