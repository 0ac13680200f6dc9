//! What the tests share: a small log format, and logs on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clock::SystemClock;
use keys::{Algorithm, FileSigner, SharedSigner};
use logstore::{LogId, LogKind, LogRecord, LogState, NewEntry, SharedStore, StoreError};
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
        }
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

/// Everything needed to open the same log again.
pub(crate) struct Setup {
    pub(crate) record: LogRecord,
    pub(crate) signer: SharedSigner,
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
            config: LogConfig::default(),
        }
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
        let guard = Guard::open(guard)?;
        Log::open(
            Arc::clone(store),
            self.record.clone(),
            Plain,
            Arc::clone(&self.signer),
            guard,
            SystemClock::shared(),
            self.config,
        )
        .await
    }
}

/// A directory with a SQLite file and a guard in it.
pub(crate) struct Place(pub(crate) tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn guard(&self) -> PathBuf {
        self.path("guard")
    }

    pub(crate) async fn sqlite(&self) -> SharedStore {
        Arc::new(SqliteStore::open(&self.path("log.db")).await.unwrap())
    }
}

/// Checks what an answer claims: proof, head and its signature.
pub(crate) fn check(setup: &Setup, body: &[u8], appended: &Appended) {
    let head = &appended.head.head;
    assert_eq!(appended.leaf_hash, leaf_hash(body));
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
