//! What `/readyz` asks.

use std::sync::Arc;
use std::time::Duration;

use clock::SharedClock;
use serve::Probe;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::certify::Certifier;

/// How long an answer holds. Whoever can reach `/readyz` must not be able to make the key sign
/// without bound.
const HOLDS: Duration = Duration::from_secs(5);

/// What the key signs to show that it can; not the start of anything that a certificate could be.
const MESSAGE: &[u8] = b"fulcio-rs readiness probe";

/// The outcome of the last check.
#[derive(Default)]
struct Last(Mutex<Option<(Instant, Result<(), String>)>>);

impl Last {
    async fn or_check(
        &self,
        check: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        let mut last = self.0.lock().await;
        if let Some((when, outcome)) = &*last
            && when.elapsed() < HOLDS
        {
            return outcome.clone();
        }
        let outcome = check.await;
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }
}

/// Whether the certificate authority's key signs.
pub(crate) struct KeyProbe {
    certifier: Arc<Certifier>,
    last: Last,
}

/// Whether the transparency log answers.
pub(crate) struct LogProbe {
    certifier: Arc<Certifier>,
    last: Last,
}

/// Whether the certificate authority is within its validity.
pub(crate) struct ValidityProbe {
    certifier: Arc<Certifier>,
    clock: SharedClock,
}

/// The probes of a service.
pub(crate) fn health(certifier: &Arc<Certifier>) -> serve::Health {
    let health = serve::Health::default()
        .with(KeyProbe {
            certifier: Arc::clone(certifier),
            last: Last::default(),
        })
        .with(ValidityProbe {
            certifier: Arc::clone(certifier),
            clock: Arc::clone(&certifier.clock),
        });
    if certifier.issuer.ct().is_some() {
        health.with(LogProbe {
            certifier: Arc::clone(certifier),
            last: Last::default(),
        })
    } else {
        health
    }
}

#[async_trait::async_trait]
impl Probe for KeyProbe {
    fn name(&self) -> &'static str {
        "key"
    }

    async fn check(&self) -> Result<(), String> {
        let authority = self.certifier.issuer.authority();
        self.last
            .or_check(async {
                authority
                    .signer()
                    .sign(MESSAGE)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            })
            .await
    }
}

#[async_trait::async_trait]
impl Probe for LogProbe {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn check(&self) -> Result<(), String> {
        match self.certifier.issuer.ct() {
            Some(log) => self.last.or_check(log.probe(&self.certifier.clock)).await,
            None => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Probe for ValidityProbe {
    fn name(&self) -> &'static str {
        "certificate"
    }

    async fn check(&self) -> Result<(), String> {
        let (from, until) = self.certifier.issuer.authority().chain().validity();
        let now = self.clock.now();
        if (from..=until).contains(&now) {
            Ok(())
        } else {
            Err("a certificate of the chain has expired or is not valid yet".to_owned())
        }
    }
}
