//! Promises are kept with their entries, and hold no entry up.

use std::sync::Arc;
use std::time::Duration;

use keys::{Algorithm, FileSigner, SharedSigner, SignError, Signer};
use logstore::SharedStore;
use sequencer::Appended;

use crate::ahead::Remote;
use crate::faulty::{Fault, Faulty};
use crate::support::{
    LOG, PROMISED, Place, Setup, check, check_whole, on_every_store, promise_message,
};

on_every_store!(
    each_entry_is_stored_with_its_own_promise,
    entries_that_are_not_promised_have_no_promise,
    a_promise_survives_an_interrupted_commit,
    a_key_that_signs_no_promise_holds_up_no_entry,
    an_overtaken_entry_is_promised_the_place_that_it_gets,
);

fn body(number: u32) -> Vec<u8> {
    [PROMISED, &number.to_be_bytes()].concat()
}

/// Checks that what was answered is what is stored, and is signed.
async fn check_promise(setup: &Setup, store: &SharedStore, body: &[u8], appended: &Appended) {
    let entries = store.entries_at(LOG, &[appended.index]).await.unwrap();
    let entry = &entries[0];
    assert_eq!(
        (entry.body.as_slice(), &entry.promise),
        (body, &appended.promise)
    );
    let message = promise_message(body, appended.index, appended.timestamp_ms);
    let key = setup.signer.public_key();
    key.verify(crypto::HashAlgorithm::Sha256, &message, &entry.promise)
        .unwrap();
}

async fn each_entry_is_stored_with_its_own_promise(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let mut tasks = Vec::new();
    for number in 0..200 {
        let log = Arc::clone(&log);
        tasks.push(tokio::spawn(async move {
            (number, log.append(body(number)).await.unwrap())
        }));
    }
    for task in tasks {
        let (number, appended) = task.await.unwrap();
        check(&setup, &body(number), &appended);
        check_promise(&setup, &store, &body(number), &appended).await;
    }
    let again = log.append(body(0)).await.unwrap();
    assert!(again.duplicate && again.promise.is_empty());
    check_whole(&store).await;
}

async fn entries_that_are_not_promised_have_no_promise(place: Place) {
    let setup = Setup::new();
    let (store, log) = setup.start(&place).await;
    let appended = log.append(b"plain".to_vec()).await.unwrap();
    assert!(appended.promise.is_empty());
    assert!(
        store.entries_at(LOG, &[0]).await.unwrap()[0]
            .promise
            .is_empty()
    );
}

async fn a_promise_survives_an_interrupted_commit(place: Place) {
    let setup = Setup::new();
    for (number, fault) in (0..).zip([
        Fault::CommittedUnknown,
        Fault::LostUnknown,
        Fault::Unavailable,
    ]) {
        let faulty = Faulty::new(place.store().await);
        let store: SharedStore = faulty.clone();
        setup.create(&store).await;
        let log = setup.open(&store, &place.guard()).await.unwrap();
        faulty.plan([fault]);
        let appended = log.append(body(number)).await.unwrap();
        assert!(!appended.duplicate, "{fault:?}");
        check_promise(&setup, &store, &body(number), &appended).await;
    }
}

/// A key that signs heads, and for promises has other answers.
#[derive(Debug)]
struct Reluctant {
    key: FileSigner,
    is_remote: bool,
    answers: bool,
}

#[async_trait::async_trait]
impl Signer for Reluctant {
    fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    fn public_key(&self) -> &crypto::PublicKey {
        self.key.public_key()
    }

    fn is_remote(&self) -> bool {
        self.is_remote
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        if !message.starts_with(PROMISED) {
            return self.key.sign(message).await;
        }
        if !self.answers {
            std::future::pending::<()>().await;
        }
        Err(SignError::Unavailable("planned".to_owned()))
    }
}

async fn a_key_that_signs_no_promise_holds_up_no_entry(place: Place) {
    for (is_remote, answers) in [(true, false), (true, true), (false, true)] {
        let key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
        let signer: SharedSigner = Arc::new(Reluctant {
            key,
            is_remote,
            answers,
        });
        let place = match place.database {
            Some(_) => Place::postgres().await,
            None => Place::sqlite(),
        };
        let setup = Setup::with_signer(signer);
        let (store, log) = setup.start(&place).await;
        let tasks: Vec<_> = (0..40)
            .map(|number| {
                let log = Arc::clone(&log);
                tokio::spawn(async move { (number, log.append(body(number)).await.unwrap()) })
            })
            .collect();
        for task in tasks {
            let patience = Duration::from_secs(20);
            let (number, appended) = tokio::time::timeout(patience, task).await.unwrap().unwrap();
            check(&setup, &body(number), &appended);
            assert!(appended.promise.is_empty());
        }
        check_whole(&store).await;
    }
}

/// Two replicas with a key that is far away keep overtaking each other.
async fn an_overtaken_entry_is_promised_the_place_that_it_gets(place: Place) {
    let setup = Setup::with_signer(Remote::new());
    let (store, one) = setup.start(&place).await;
    let guard = place.path("guard of another");
    let two = setup.open(&store, &guard).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..120_u32 {
        let log = Arc::clone(if number % 2 == 0 { &one } else { &two });
        tasks.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(u64::from(number / 4))).await;
            (number, log.append(body(number)).await.unwrap())
        }));
    }
    let mut promised = 0;
    for task in tasks {
        let (number, appended) = task.await.unwrap();
        check(&setup, &body(number), &appended);
        // What was signed under the lock has no promise.
        if !appended.promise.is_empty() {
            check_promise(&setup, &store, &body(number), &appended).await;
            promised += 1;
        }
    }
    assert!(promised > 0);
    check_whole(&store).await;
}
