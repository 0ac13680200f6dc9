//! A certificate authority whose key does not sign.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fulcio_rs::identity::{Extensions, Principal};
use fulcio_rs::issuance::{Authority, CtLog, IssueError, Issuer};
use fulcio_rs::{Code, RequestError};
use keys::{Algorithm, FileSigner, Passphrase, SignError, Signer};

use crate::keys::Key;
use crate::log::Log;
use crate::stack::authority;

/// Signs as often as it is told to, and then fails.
#[derive(Debug)]
struct Tired {
    signer: FileSigner,
    left: AtomicUsize,
}

#[async_trait::async_trait]
impl Signer for Tired {
    fn algorithm(&self) -> Algorithm {
        self.signer.algorithm()
    }

    fn public_key(&self) -> &crypto::PublicKey {
        self.signer.public_key()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let left = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        match left {
            Ok(_) => self.signer.sign(message).await,
            Err(_) => Err(SignError::Unavailable("secret backend address".to_owned())),
        }
    }
}

#[tokio::test]
async fn a_key_that_fails_is_our_error_and_says_nothing_of_the_inside() {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let files = &authority().await.files;
    let chain = std::fs::read_to_string(&files.chain).unwrap();
    let principal = Principal {
        san: pki::leaf::San::Email("dev@corp.example".to_owned()),
        extensions: Extensions::of_token("https://i.example", "s"),
        challenges: vec![],
        issuer: "https://i.example".to_owned(),
        subject: "s".to_owned(),
    };
    let key = crypto::PublicKey::from_spki_der(&Key::p256().spki()).unwrap();
    let log = Log::start().await;
    for (signatures, with_log, submissions) in [(0, false, 0), (0, true, 0), (1, true, 1)] {
        let tired = Tired {
            signer: FileSigner::load(&files.key, &Passphrase::new("correct horse")).unwrap(),
            left: AtomicUsize::new(signatures),
        };
        let chain = pki::chain::Chain::from_pem(&chain).unwrap();
        let authority =
            Authority::new(chain, Arc::new(tired), std::time::SystemTime::now()).unwrap();
        let ct = with_log.then(|| {
            let url = log.url.parse().unwrap();
            CtLog::new(
                &url,
                log.public_key.clone(),
                std::time::Duration::from_secs(1),
            )
            .unwrap()
        });
        let issuer = Issuer::new(authority, ct, clock::SystemClock::shared());
        let error = issuer
            .issue(&principal, key.clone(), fulcio_rs::issuance::LIFETIME)
            .await
            .unwrap_err();
        assert!(matches!(error, IssueError::Sign(_)));
        let (code, message) = RequestError::from(error).public();
        assert_eq!(
            (code, message.as_str()),
            (Code::Unavailable, "error communicating with CA backend")
        );
        assert_eq!(log.submissions().len(), submissions);
    }
}
