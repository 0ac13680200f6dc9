//! The authority's key and certificates change while the service runs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use custody::{Directory, NewKey, Purpose};
use fulcio_rs::identity::{Extensions, Principal};
use fulcio_rs::issuance::{Authority, CtLog, Issuer};
use keys::{Algorithm, FileSigner, KeyUri, Passphrase};
use pki::certificate::Certificate;
use pki::chain::Chain;

use crate::keys::Key;
use crate::log::{Log, Mood};
use crate::stack::{Files, Stack, authority, make_authority};

fn chain(path: &Path) -> Chain {
    Chain::from_pem(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn issued_by(leaf: &[u8], chain: &Chain) -> bool {
    let issuer = Certificate::from_der(chain.first()).unwrap();
    let leaf = Certificate::from_der(leaf).unwrap();
    leaf.check_issued_by(&issuer).is_ok()
}

fn opened(files: &Files) -> Authority {
    let signer = FileSigner::load(&files.key, &Passphrase::new("correct horse")).unwrap();
    Authority::new(chain(&files.chain), Arc::new(signer), SystemTime::now()).unwrap()
}

#[tokio::test]
async fn what_the_old_key_began_it_finishes() {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let old = &authority().await.files;
    let directory = tempfile::tempdir().unwrap();
    let new = make_authority(directory.path()).await;
    let log = Log::start().await;
    let url = log.url.parse().unwrap();
    let ct = CtLog::new(&url, log.public_key.clone(), Duration::from_secs(10)).unwrap();
    let issuer = Issuer::new(opened(old), Some(ct), clock::SystemClock::shared());
    let principal = Principal {
        san: pki::leaf::San::Email("dev@corp.example".to_owned()),
        extensions: Extensions::of_token("https://i.example", "s"),
        challenges: vec![],
        issuer: "https://i.example".to_owned(),
        subject: "s".to_owned(),
    };
    let issue = || {
        let key = crypto::PublicKey::from_spki_der(&Key::p256().spki()).unwrap();
        issuer.issue(&principal, key, fulcio_rs::issuance::LIFETIME)
    };
    // The log makes the certificate wait between its two signatures; meanwhile the key changes.
    log.feel(Mood::Busy(2));
    let (begun, ()) = tokio::join!(issue(), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        issuer.current().set(opened(&new));
    });
    let begun = begun.unwrap();
    assert!(issued_by(&begun.certificate, &chain(&old.chain)));
    let submitted = log.submissions().pop().unwrap();
    assert!(issued_by(&submitted[0], &chain(&old.chain)));
    assert_eq!(begun.authority.chain(), &chain(&old.chain));
    let after = issue().await.unwrap();
    assert!(issued_by(&after.certificate, &chain(&new.chain)));
}

/// The chains that the service publishes.
async fn bundle(stack: &Stack) -> Vec<serde_json::Value> {
    let json = stack.get("/api/v2/trustBundle").await.json();
    json["chains"].as_array().unwrap().clone()
}

/// Waits until so many chains are published, `first` first.
async fn wait_for(stack: &Stack, wanted: usize, first: &Chain) {
    for _ in 0..400 {
        let bundle = bundle(stack).await;
        let is_first = bundle[0]["certificates"][0] == first.to_pem()[0];
        if bundle.len() == wanted && is_first {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the bundle did not change");
}

#[tokio::test]
async fn a_successor_is_published_before_it_signs_and_taken_up_when_it_is_activated() {
    let directory = tempfile::tempdir().unwrap();
    let files = make_authority(directory.path()).await;
    let secret = Passphrase::new("correct horse");
    let key = |name: &str, existing| NewKey {
        uri: KeyUri::file(directory.path().join(name)),
        algorithm: Algorithm::EcdsaP256Sha256,
        existing,
        passphrase: Some(secret.clone()),
    };
    let clock = clock::SystemClock::shared();
    let authority = Directory::open(directory.path(), Purpose::CodeSigning).unwrap();
    let stack = Stack::with(|config| {
        config.authority = Some(files.authority.clone());
        config.certificate_chain = None;
        config.key = None;
    })
    .await;
    let token = || stack.provider.token(&stack.provider.claims());
    let first = chain(&files.chain);
    assert!(issued_by(&stack.ask_email(&token()).await.leaf(), &first));
    assert_eq!(bundle(&stack).await.len(), 1);

    let root = key("root-key.pem", true);
    let year = Duration::from_secs(365 * 86_400);
    authority
        .next(&key("key-2.pem", false), Some(&root), year, &clock, "test")
        .await
        .unwrap();
    let second = chain(&directory.path().join("2/chain.pem"));
    // Prepared: published, so that a trust root can be collected, but it signs nothing.
    wait_for(&stack, 2, &first).await;
    assert!(issued_by(&stack.ask_email(&token()).await.leaf(), &first));
    let pem = stack.get("/api/v1/rootCert").await;
    assert_eq!(pem.text.matches("BEGIN CERTIFICATE").count(), 4);

    let entry = |number: u32| -> serde_json::Value {
        let path = directory
            .path()
            .join(format!("{number}/trust-root-entry.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let published = directory.path().join("trusted_root.json");
    let root = serde_json::json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [], "ctlogs": [], "timestampAuthorities": [],
        "certificateAuthorities": [entry(1), entry(2)],
    });
    std::fs::write(&published, root.to_string()).unwrap();
    authority
        .activate(&published, None, &clock, "test")
        .unwrap();
    wait_for(&stack, 1, &second).await;
    assert!(issued_by(&stack.ask_email(&token()).await.leaf(), &second));
    assert_eq!(stack.get("/readyz").await.status, 200);
}
