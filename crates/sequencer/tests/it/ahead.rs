//! A key that is far away signs without the lock, and nothing else changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use keys::{Algorithm, FileSigner, SharedSigner, SignError, Signer};
use logstore::{LogState, SharedStore};
use sequencer::{AppendError, Appended, Log};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::faulty::{Fault, Faulty};
use crate::support::{
    LOG, Place, Plain, Setup, append_numbers, check, check_whole, on_every_store,
};

on_every_store!(
    the_lock_is_free_while_a_remote_key_signs,
    an_overtaken_batch_starts_again_and_lands,
    what_another_replica_added_meanwhile_is_a_duplicate,
    a_log_that_is_frozen_meanwhile_takes_nothing,
    a_remote_key_that_fails_writes_nothing,
    remote_keys_under_load_never_fork,
    interrupted_commits_are_resolved,
);

/// A key that is far away: it can be held up and made to fail.
#[derive(Debug)]
pub(crate) struct Remote {
    key: Arc<FileSigner>,
    /// Taken by each signature; closed while signatures are held up.
    gate: Semaphore,
    held: AtomicBool,
    failing: AtomicBool,
    begun: AtomicU32,
    delay: Duration,
}

impl Remote {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_delay(Duration::ZERO)
    }

    fn with_delay(delay: Duration) -> Arc<Self> {
        Self::over(
            Arc::new(FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap()),
            delay,
        )
    }

    fn over(key: Arc<FileSigner>, delay: Duration) -> Arc<Self> {
        Arc::new(Self {
            key,
            gate: Semaphore::new(0),
            held: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            begun: AtomicU32::new(0),
            delay,
        })
    }

    /// The same key, near.
    fn near(&self) -> SharedSigner {
        self.key.clone()
    }

    /// Signatures that were asked for.
    pub(crate) fn signatures(&self) -> u32 {
        self.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    /// Lets this many signatures go on.
    fn release(&self, count: usize) {
        self.gate.add_permits(count);
    }

    async fn until_signing(&self, signatures: u32) {
        while self.signatures() < signatures {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[async_trait::async_trait]
impl Signer for Remote {
    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    fn public_key(&self) -> &crypto::PublicKey {
        self.key.public_key()
    }

    fn is_remote(&self) -> bool {
        true
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.delay).await;
        if self.held.load(Ordering::SeqCst) {
            self.gate.acquire().await.unwrap().forget();
        }
        if self.failing.load(Ordering::SeqCst) {
            return Err(SignError::Unavailable("planned".to_owned()));
        }
        self.key.sign(message).await
    }
}

/// A log with a remote key, and a replica with the same key near it.
struct Two {
    remote: Arc<Remote>,
    setup: Setup,
    store: SharedStore,
    log: Arc<Log<Plain>>,
    near: Arc<Log<Plain>>,
}

async fn two(place: &Place) -> Two {
    let remote = Remote::new();
    let setup = Setup::with_signer(remote.clone());
    let (store, log) = setup.start(place).await;
    append_numbers(&log, 0..3).await;
    let near = Setup::with_signer(remote.near())
        .open(&store, &place.path("near guard"))
        .await
        .unwrap();
    Two {
        remote,
        setup,
        store,
        log,
        near,
    }
}

fn spawn(log: &Arc<Log<Plain>>, body: &[u8]) -> JoinHandle<Result<Appended, AppendError>> {
    let (log, body) = (Arc::clone(log), body.to_vec());
    tokio::spawn(async move { log.append(body).await })
}

async fn the_lock_is_free_while_a_remote_key_signs(place: Place) {
    let two = two(&place).await;
    let before = two.remote.signatures();
    two.remote.hold();
    let slow = spawn(&two.log, b"slow");
    two.remote.until_signing(before + 1).await;
    for number in 0..5 {
        let appended = two.near.append(vec![number]).await.unwrap();
        assert_eq!(appended.index, 3 + u64::from(number));
    }
    assert!(!slow.is_finished(), "acknowledged without a signature");
    assert_eq!(two.store.head(LOG).await.unwrap().size, 8);
    two.remote.release(10);
    let appended = slow.await.unwrap().unwrap();
    assert_eq!(appended.index, 8);
    check(&two.setup, b"slow", &appended);
    assert_eq!(check_whole(&two.store).await.len(), 9);
}

async fn an_overtaken_batch_starts_again_and_lands(place: Place) {
    let two = two(&place).await;
    let before = two.remote.signatures();
    two.remote.hold();
    let slow: Vec<_> = (0..4).map(|n| spawn(&two.log, &[9, n % 3])).collect();
    // Two signatures are lost to the other replica; the third is made under the lock.
    for round in 0..2 {
        two.remote
            .until_signing(before + 1 + u32::from(round))
            .await;
        two.near.append(vec![round]).await.unwrap();
        two.remote.release(1);
    }
    two.remote.until_signing(before + 3).await;
    let waiting = spawn(&two.near, b"waits");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished(), "the lock was free the third time");
    two.remote.release(10);
    let mut firsts = 0;
    for (number, slow) in (0_u8..).zip(slow) {
        let appended = slow.await.unwrap().unwrap();
        check(&two.setup, &[9, number % 3], &appended);
        firsts += u32::from(!appended.duplicate);
    }
    assert_eq!(firsts, 3);
    waiting.await.unwrap().unwrap();
    assert_eq!(check_whole(&two.store).await.len(), 3 + 2 + 3 + 1);
}

async fn what_another_replica_added_meanwhile_is_a_duplicate(place: Place) {
    let two = two(&place).await;
    let before = two.remote.signatures();
    two.remote.hold();
    let slow = spawn(&two.log, b"same");
    two.remote.until_signing(before + 1).await;
    let first = two.near.append(b"same".to_vec()).await.unwrap();
    two.remote.release(10);
    let second = slow.await.unwrap().unwrap();
    assert!(second.duplicate);
    assert_eq!(
        (second.index, second.timestamp_ms),
        (first.index, first.timestamp_ms)
    );
    check(&two.setup, b"same", &second);
    assert_eq!(check_whole(&two.store).await.len(), 4);
}

async fn a_log_that_is_frozen_meanwhile_takes_nothing(place: Place) {
    let two = two(&place).await;
    let before = two.remote.signatures();
    two.remote.hold();
    let slow = spawn(&two.log, b"late");
    two.remote.until_signing(before + 1).await;
    two.store.set_state(LOG, LogState::Frozen).await.unwrap();
    two.remote.release(10);
    let refused = slow.await.unwrap();
    assert!(matches!(refused, Err(AppendError::Frozen)), "{refused:?}");
    assert_eq!(check_whole(&two.store).await.len(), 3);
}

async fn a_remote_key_that_fails_writes_nothing(place: Place) {
    let two = two(&place).await;
    let before = two.store.head(LOG).await.unwrap();
    two.remote.fail(true);
    let failed = two.log.append(b"x".to_vec()).await;
    assert!(
        matches!(failed, Err(AppendError::Unavailable(_))),
        "{failed:?}"
    );
    assert_eq!(two.store.head(LOG).await.unwrap(), before);
    two.remote.fail(false);
    let appended = two.log.append(b"x".to_vec()).await.unwrap();
    assert_eq!((appended.index, appended.duplicate), (3, false));
}

async fn remote_keys_under_load_never_fork(place: Place) {
    let key = Arc::new(FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap());
    let mut setups = Vec::new();
    let mut logs = Vec::new();
    let store = place.store().await;
    for replica in 0..3_u64 {
        let remote = Remote::over(key.clone(), Duration::from_millis(2 + 2 * replica));
        let setup = Setup::with_signer(remote);
        setup.create(&store).await;
        let guard = place.path(&format!("guard {replica}"));
        logs.push(setup.open(&store, &guard).await.unwrap());
        setups.push(setup);
    }
    let setup = Arc::new(setups.remove(0));
    let mut clients = Vec::new();
    for client in 0..12_u32 {
        let log = Arc::clone(&logs[client as usize % logs.len()]);
        let setup = Arc::clone(&setup);
        clients.push(tokio::spawn(async move {
            let mut seen = Vec::new();
            for number in 0..15_u32 {
                // Every third body is also sent through another replica.
                let sender = if number % 3 == 0 { client / 2 } else { client };
                let body = [sender.to_be_bytes(), number.to_be_bytes()].concat();
                let appended = log.append(body.clone()).await.unwrap();
                check(&setup, &body, &appended);
                seen.push((appended.head.head.size, appended.head.head.root));
            }
            seen
        }));
    }
    let mut roots = std::collections::HashMap::new();
    for client in clients {
        for (size, root) in client.await.unwrap() {
            assert_eq!(*roots.entry(size).or_insert(root), root, "size {size}");
        }
    }
    assert_eq!(check_whole(&store).await.len(), 12 * 10 + 6 * 5);
    for log in &logs {
        assert_eq!(log.refusal(), None);
    }
}

async fn interrupted_commits_are_resolved(place: Place) {
    let remote = Remote::new();
    let setup = Setup::with_signer(remote.clone());
    let faulty = Faulty::new(place.store().await);
    let store: SharedStore = faulty.clone();
    setup.create(&store).await;
    let log = setup.open(&store, &place.guard()).await.unwrap();
    let cases = [
        Fault::CommittedUnknown,
        Fault::LostUnknown,
        Fault::Unavailable,
    ];
    for (number, fault) in (0_u8..).zip(cases) {
        // The first lock of a batch is given back; the second commits.
        faulty.plan_after(1, fault);
        let appended = log.append(vec![number]).await.unwrap();
        assert_eq!(
            (appended.index, appended.duplicate),
            (u64::from(number), false)
        );
        check(&setup, &[number], &appended);
    }
    assert_eq!(check_whole(&store).await.len(), 3);
}
