//! What the tests share: a small log format, and logs on every kind of store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::{SharedClock, SystemClock};
use keys::{Algorithm, FileSigner, SharedSigner};
use logstore::{LogId, LogKind, LogRecord, LogState, NewEntry, SharedStore, StoreError};
use logstore_postgres::PostgresStore;
use logstore_postgres::testing::{self, Database};
use logstore_sqlite::SqliteStore;
use sequencer::{Appended, Format, Guard, Log, LogConfig, OpenError, TreeHead};
use tlog::{Hash, leaf_hash};

/// The log that most tests use.
pub(crate) const LOG: LogId = LogId(7);

/// A log of plain bytes; its heads are one line of text and a signature.
pub(crate) struct Plain;

impl Format for Plain {
    type Pending = Vec<u8>;

    fn identity(&self, pending: &Vec<u8>) -> Hash {
        leaf_hash(pending)
    }

    fn entry(&self, pending: Vec<u8>, _index: u64, _timestamp_ms: u64) -> NewEntry {
        let hash = leaf_hash(&pending);
        let key = hash.0[..16].try_into().unwrap();
        NewEntry {
            leaf_hash: hash,
            identity: hash,
            body: pending,
            extra: vec![],
            keys: vec![key],
            promise: vec![],
        }
    }

    fn promise_message(&self, entry: &NewEntry, index: u64, timestamp_ms: u64) -> Option<Vec<u8>> {
        let is_promised = entry.body.starts_with(PROMISED);
        is_promised.then(|| promise_message(&entry.body, index, timestamp_ms))
    }

    fn promise(&self, _index: u64, signature: Vec<u8>) -> Vec<u8> {
        signature
    }

    fn head_message(&self, head: &TreeHead) -> Vec<u8> {
        format!("{} {:?} {}", head.size, head.root, head.timestamp_ms).into_bytes()
    }

    fn signed_head(&self, head: &TreeHead, signature: &[u8]) -> Vec<u8> {
        let mut signed = self.head_message(head);
        signed.push(b'\n');
        signed.extend_from_slice(signature);
        signed
    }
}

/// How entries begin that [`Plain`] promises.
pub(crate) const PROMISED: &[u8] = b"promised";

/// What it signs for that.
pub(crate) fn promise_message(body: &[u8], index: u64, timestamp_ms: u64) -> Vec<u8> {
    [body, format!(" {index} {timestamp_ms}").as_bytes()].concat()
}

/// Runs each test on each kind of store.
macro_rules! on_every_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::support::Place::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::support::Place::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_every_store;

/// A database, and a directory for guards.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) database: Option<Database>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            database: None,
        }
    }

    pub(crate) async fn postgres() -> Self {
        let database = testing::server().await.database().await;
        Self {
            database: Some(database),
            ..Self::sqlite()
        }
    }

    /// Opens the database. SQLite allows this once at a time, and closes in the background.
    pub(crate) async fn store(&self) -> SharedStore {
        if let Some(database) = &self.database {
            return Arc::new(PostgresStore::connect(database.url(), 8).await.unwrap());
        }
        open_sqlite(&self.path("log.db")).await
    }

    /// A copy of the database as a backup would be, with no guards. Nothing may be open.
    pub(crate) async fn backup(&self) -> Self {
        let copy = Self::sqlite();
        match &self.database {
            Some(database) => {
                let server = testing::server().await;
                server.cut_connections(database).await;
                Self {
                    database: Some(server.copy(database).await),
                    ..copy
                }
            }
            None => {
                // Opening waits for the last store to be closed; closing moves everything into the
                // one file.
                self.store().await.close().await.unwrap();
                std::fs::copy(self.path("log.db"), copy.path("log.db")).unwrap();
                copy
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn guard(&self) -> PathBuf {
        self.path("guard")
    }
}

/// Opens an SQLite file that whoever had it open before may be about to close.
pub(crate) async fn open_sqlite(path: &Path) -> SharedStore {
    for _ in 0..300 {
        match SqliteStore::open(path).await {
            Ok(store) => return Arc::new(store),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
    Arc::new(SqliteStore::open(path).await.unwrap())
}

/// Everything needed to open the same log again.
pub(crate) struct Setup {
    pub(crate) record: LogRecord,
    pub(crate) signer: SharedSigner,
    pub(crate) clock: SharedClock,
    pub(crate) config: LogConfig,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self::with_signer(Arc::new(
            FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap(),
        ))
    }

    pub(crate) fn with_signer(signer: SharedSigner) -> Self {
        let record = LogRecord {
            id: LOG,
            kind: LogKind::RekorV1,
            origin: "log.example".to_owned(),
            public_key: signer.public_key().spki_der().to_vec(),
            state: LogState::Active,
            created_ms: 1,
        };
        Self {
            record,
            signer,
            clock: SystemClock::shared(),
            config: LogConfig::default(),
        }
    }

    /// Opens the place's store and the log in it, which is created if need be.
    pub(crate) async fn start(&self, place: &Place) -> (SharedStore, Arc<Log<Plain>>) {
        let store = place.store().await;
        self.create(&store).await;
        let log = self.open(&store, &place.guard()).await.unwrap();
        (store, log)
    }

    /// Creates the log in a store, unless it is there.
    pub(crate) async fn create(&self, store: &SharedStore) {
        match store.create_log(&self.record).await {
            Ok(()) | Err(StoreError::Refused(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn open(
        &self,
        store: &SharedStore,
        guard: &Path,
    ) -> Result<Arc<Log<Plain>>, OpenError> {
        Log::open(
            Arc::clone(store),
            self.record.clone(),
            Plain,
            Arc::clone(&self.signer),
            Guard::open(guard)?,
            Arc::clone(&self.clock),
            self.config,
        )
        .await
    }
}

/// Appends entries made of numbers, one after the other.
pub(crate) async fn append_numbers(log: &Log<Plain>, numbers: std::ops::Range<u32>) {
    for number in numbers {
        log.append(number.to_be_bytes().to_vec()).await.unwrap();
    }
}

/// Checks what an answer claims: proof, head and its signature.
pub(crate) fn check(setup: &Setup, body: &[u8], appended: &Appended) {
    let head = &appended.head.head;
    assert_eq!(appended.leaf_hash, leaf_hash(body));
    assert!(appended.timestamp_ms <= head.timestamp_ms);
    tlog::verify_inclusion(
        appended.index,
        head.size,
        &appended.leaf_hash,
        &appended.proof,
        &head.root,
    )
    .unwrap();
    check_signed(setup, head, &appended.head.signed);
}

/// Checks that stored bytes are a signature over this head.
pub(crate) fn check_signed(setup: &Setup, head: &TreeHead, signed: &[u8]) {
    let message = Plain.head_message(head);
    let signature = signed
        .strip_prefix(message.as_slice())
        .unwrap()
        .strip_prefix(b"\n")
        .unwrap();
    let key = setup.signer.public_key();
    key.verify(crypto::HashAlgorithm::Sha256, &message, signature)
        .unwrap();
}

/// Reads the whole log back, and checks that indices have no gaps, identities do not repeat, and
/// the leaves make the head's root. Returns the bodies.
pub(crate) async fn check_whole(store: &SharedStore) -> Vec<Vec<u8>> {
    let head = store.head(LOG).await.unwrap();
    let mut edge = tlog::Edge::new();
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    let mut last_ms = 0;
    while edge.size() < head.size {
        let entries = store.entries(LOG, edge.size(), head.size).await.unwrap();
        assert!(
            !entries.is_empty(),
            "entries are missing from {}",
            edge.size()
        );
        for entry in entries {
            assert_eq!(entry.index, edge.size());
            assert_eq!(entry.leaf_hash, leaf_hash(&entry.body));
            assert!(
                entry.timestamp_ms >= last_ms,
                "time ran backwards at {}",
                entry.index
            );
            last_ms = entry.timestamp_ms;
            edge.push(entry.leaf_hash, |_, _| {});
            bodies.push(entry.body);
        }
    }
    assert_eq!(edge.root(), head.root);
    let distinct: std::collections::HashSet<_> = bodies.iter().collect();
    assert_eq!(distinct.len(), bodies.len(), "an entry is in the log twice");
    bodies
}
